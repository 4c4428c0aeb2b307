"""One door to every baseline: read both sides, predict perturbation by perturbation, emit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics.backend.device import resolve_device
from vcmetrics.baselines import formulas
from vcmetrics.baselines.duplicates import interpolated_profiles, second_half
from vcmetrics.baselines.emission import EMISSIONS, Place, copied, emitted, profile_table
from vcmetrics.baselines.formulas import Floats, Predictor, Source
from vcmetrics.baselines.inputs import Reading, Side, read_both, reading
from vcmetrics.sources.genes import some

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True)
class Kind:
    """A baseline: its formula (None: made of the test cells), what it says, and the options of its own."""

    rule: Callable[..., Predictor] | None
    about: str
    options: tuple[str, ...] = ()
    needs_source: bool = True


DUPLICATE = "the half of the test cells that halves() calls duplicate; score against the other half"

KINDS: Mapping[str, Kind] = {
    "no-change": Kind(formulas.no_change, "the control of the test data", needs_source=False),
    "perturbed-mean": Kind(formulas.perturbed_mean, "one profile for all: the mean over perturbations", ("weights",)),
    "matching-mean": Kind(formulas.matching_mean, "mean of the parts' profiles; the mean perturbed cell where unseen"),
    "additive": Kind(formulas.additive, "control plus the parts' effects; nothing where unseen", needs_source=False),
    "cell-type-transfer": Kind(formulas.cell_type_transfer, "control plus the effect seen in other cell types"),
    "linear-pca": Kind(
        formulas.linear_pca,
        "bilinear ridge regression on principal components",
        ("n_components", "ridge", "target_map"),
    ),
    "random-perturbation": Kind(formulas.random_perturbation, "the profile of another perturbation drawn at random"),
    "nearest-by-depth": Kind(
        formulas.nearest_by_depth,
        "the profile of another perturbation most alike in number and depth of cells",
        ("n_neighbors",),
    ),
    "technical-duplicate": Kind(None, "the other half of the test cells", needs_source=False),
    "interpolated-duplicate": Kind(None, "the other half where it is certain, the mean elsewhere", needs_source=False),
    "oracle": Kind(None, "the test cells themselves", needs_source=False),
}


def make(
    kind: str,
    real: Any,
    *,
    train: Any = None,
    pert_col: str | None = None,
    control: str = "non-targeting",
    context_col: str | None = None,
    batch_col: str | None = None,
    layer: str | None = None,
    space: str = "log_of_sums",
    target_sum: float = 5e4,
    separator: str = "+",
    leave_one_out: bool = True,
    emit: str = "cells",
    n_cells: int | None = None,
    seed: int = 0,
    device: str = "auto",
    n_threads: int | None = None,
    **options: Any,
) -> AnnData:
    """Make the prediction of a baseline, to be scored like any other.

    Parameters
    ----------
    kind
        A name of :data:`KINDS`.
    real
        The test data: AnnData or path, n_obs × n_vars. Where ``train`` is given, only their labels, the number and
        depth of the cells of each, and the control cells are used (duplicates and oracle are made of them throughout).
    train
        The training data, over the same genes. None: the test data, each perturbation left out of its own baseline
        (``cell-type-transfer``: each cell type).
    pert_col, control, context_col
        Columns of ``obs`` with labels and (optionally) cell types or donors, and the control's label; the label column
        is ``target_gene`` or ``target`` where None. Contexts are predicted apart, from training data of the same one.
    batch_col
        Column of ``obs`` whose batches the emitted cells get, in the proportions of the test cells of their label, for
        rule sets that match controls by batch. It changes no profile.
    layer
        Read this layer in place of ``X``, of both sides.
    space, target_sum
        Where means and differences are taken: ``"log_of_sums"`` and ``"mean_of_logs"`` of counts (see
        :func:`vcmetrics.pseudobulk`), or ``"mean"`` of the values as they are (log-normalised data).
    separator
        What joins the parts of a combination; the control's name and ``ctrl`` are no parts.
    leave_one_out
        Without ``train``: leave a perturbation out of its own baseline. False: its truth leaks in.
    emit
        ``"cells"``: control cells drawn with replacement and scaled gene by gene until their mean is the profile,
        rounded to whole counts (``mean_of_logs`` and log-normalised values, for which scaling means nothing:
        as ``"tile"``). ``"dispersed"``: the same, but the drawn cells' mean is a sample of the profile, as noisy as
        that of real cells.
        ``"tile"``: the profile on every row; mean counts where the data are counts, then not whole numbers.
        ``"profiles"``: one row a perturbation and one for the control, float64, in ``space``. Cells are cut off at 0
        where the data hold no negative value; profiles are not.
    n_cells
        Cells a perturbation; None: as many as the test data have.
    seed
        Of every draw.
    device, n_threads
        ``"auto"`` or ``"cpu"``; threads of the reading.
    options
        ``weights`` (``"perturbations"`` or ``"cells"``) of ``perturbed-mean``; ``n_components``, ``ridge`` and
        ``target_map`` (part of a label → gene) of ``linear-pca``; ``n_neighbors`` of ``nearest-by-depth``.

    Returns
    -------
    AnnData
        CSR float32, perturbations in sorted order and then the control cells of the test data, ``obs`` with the label
        (and context) column; ``uns["baseline"]`` says what was made of what, and what leaks.

    Raises
    ------
    DataError
        If data, labels or genes do not fit together, or nothing is left to learn from.
    ValueError
        If a name or an option is not known.

    Notes
    -----
    ``"cells"`` have the spread of real cells around a mean without their sampling noise: errors that subtract an
    estimate of that noise (``expr_mse_unbiased…``) come out too low where profiles differ between perturbations; judge
    those by ``"dispersed"`` cells.

    Cost: one read of each side; ``linear-pca`` without ``train`` one decomposition a perturbation. Memory: twice the
    cells that are emitted. Of ``log_of_sums`` profiles the shares are taken, so a sum of effects is normalised anew.

    References
    ----------
    Systema (matching mean, perturbed mean), TxPert (transfer), Ahlmann-Eltze, Huber & Anders (linear), Diversity by
    Design and the Shift study (duplicates), Seal et al. 2026 (number of cells).

    Examples
    --------
    >>> from vcmetrics import datasets
    >>> demo = datasets.demo()
    >>> made = make("perturbed-mean", demo.path, pert_col=demo.pert_col, control=demo.control, emit="profiles")
    >>> made.shape, made.uns["baseline"]["train"]
    ((9, 299), 'none: each perturbation left out of its own baseline')
    """
    resolve_device(device, what="baselines")
    known = kind_of(kind)
    check_options(kind, known, emit, n_cells, options)
    how = reading(
        pert_col=pert_col,
        control=control,
        context_col=context_col,
        batch_col=batch_col,
        layer=layer,
        space=space,
        target_sum=float(target_sum),
        separator=separator,
        n_threads=n_threads,
    )
    if kind == "cell-type-transfer" and context_col is None:
        msg = "cell-type-transfer needs context_col= (--context-col): the column of obs with the cell types"
        raise ValueError(msg)
    side, trained = read_both(real, train, how)
    record = {"kind": kind, "space": space, "target_sum": float(target_sum), "seed": int(seed), "control": control}
    if known.rule is None:
        made, extra = of_test_cells(kind, side, trained, how, emit, n_cells, seed)
    else:
        options = dict(options)
        if kind == "random-perturbation":
            options["rng"] = np.random.default_rng(seed)
        profiles = predicted(kind, known, side, trained, leave_one_out, options)
        made, emission = emitted(side, profiles, how, emit, n_cells, seed)
        extra = {"emit": emission, "train": told(kind, trained, leave_one_out)}
    made.uns["baseline"] = record | extra
    return made


def kind_of(kind: str) -> Kind:
    """The row of a baseline."""
    if kind not in KINDS:
        msg = f"there is no baseline {kind!r}; choose from {', '.join(KINDS)}"
        raise ValueError(msg)
    return KINDS[kind]


def check_options(kind: str, known: Kind, emit: str, n_cells: int | None, options: Mapping[str, Any]) -> None:
    """Refuse what this baseline does not take."""
    unknown = sorted(set(options) - set(known.options))
    if unknown:
        msg = f"{kind} takes no {unknown[0]!r}; its own options are {', '.join(known.options) or 'none'}"
        raise ValueError(msg)
    if emit not in EMISSIONS:
        msg = f"emit {emit!r} is not known; choose from {', '.join(EMISSIONS)}"
        raise ValueError(msg)
    if options.get("weights", "cells") not in ("cells", "perturbations"):
        msg = f"weights {options['weights']!r} is not known; pass 'perturbations' or 'cells'"
        raise ValueError(msg)
    for name, value in (("n_cells", n_cells), *((o, options.get(o)) for o in ("n_components", "n_neighbors"))):
        if value is not None and (int(value) != value or value < 1):
            msg = f"{name} is {value!r}; pass a positive whole number"
            raise ValueError(msg)
    if options.get("ridge", 1.0) <= 0.0:
        msg = f"ridge is {options['ridge']!r}; pass a positive number"
        raise ValueError(msg)


def predicted(
    kind: str, known: Kind, side: Side, trained: Side | None, leave_one_out: bool, options: Mapping[str, Any]
) -> dict[Place, Floats]:
    """Profile of every (context, label) of the test data."""
    assert known.rule is not None
    rule = partial(known.rule, **options)
    test = side.source
    pool = test if trained is None else trained.source
    contexts, keys = np.array(pool.contexts, object), pool.keys
    out: dict[Place, Floats] = {}
    whole: dict[str, Predictor] = {}
    for row, (context, label) in enumerate(zip(test.contexts, test.labels, strict=True)):
        # a transfer never sees the cell type that it predicts, the others see no other
        usable = contexts != context if kind == "cell-type-transfer" else contexts == context
        alone = trained is None and leave_one_out and kind != "cell-type-transfer"
        if alone:
            usable = usable & np.array([key != test.keys[row] for key in keys], bool)
        if alone or context not in whole:
            source = checked(kind, known, pool.take(usable), context, label, trained)
            whole[context] = rule(source, test.controls[context])
        out[context, label] = whole[context](side.asked(row))
    return out


def checked(kind: str, known: Kind, source: Source, context: str, label: str, trained: Side | None) -> Source:
    """The source, or an error that says what is missing."""
    if known.needs_source and not source.labels:
        place = f" of {context!r}" if context else ""
        where = "the test data besides it" if trained is None else trained.name
        what = "no other cell type" if kind == "cell-type-transfer" else "no perturbation"
        msg = (
            f"{kind}: {where} hold {what} to predict {label!r}{place} from; pass other training data (train=, --train)"
        )
        raise DataError(msg)
    return source


def told(kind: str, trained: Side | None, leave_one_out: bool) -> str:
    """What the prediction was learnt from, and what leaks."""
    if kind == "no-change":
        return "not used"
    if trained is not None:
        return f"{trained.name}; the profiles of the test data were not used"
    if kind == "cell-type-transfer":
        return "none: each cell type left out of its own baseline"
    if leave_one_out:
        return "none: each perturbation left out of its own baseline"
    return "none: LEAKS, the truth of every perturbation is in its own baseline"


def of_test_cells(
    kind: str, side: Side, trained: Side | None, how: Reading, emit: str, n_cells: int | None, seed: int
) -> tuple[AnnData, dict[str, str]]:
    """Duplicates and oracle."""
    if kind == "interpolated-duplicate":
        contexts = set(side.source.contexts)
        if trained is not None and contexts - set(trained.source.contexts):
            absent = sorted(contexts - set(trained.source.contexts))
            msg = f"{trained.name}: holds no perturbation of {some(absent)}, whose mean the baseline needs"
            raise DataError(msg)
        half = second_half(side, seed, how)
        profiles = interpolated_profiles(half, None if trained is None else trained.source, how)
        made, emission = emitted(half, profiles, how, emit, n_cells, seed)
        mean = "the mean of its perturbations" if trained is None else f"the mean of {trained.name}"
        return made, {"emit": emission, "train": f"{DUPLICATE}, and {mean}"}
    if n_cells is not None or emit in ("tile", "dispersed"):
        msg = f"{kind} is made of observed cells: pass emit='cells' or 'profiles', and no n_cells"
        raise ValueError(msg)
    one, told_train = side, "the test cells: LEAKS by design"
    if kind == "technical-duplicate":
        one, told_train = second_half(side, seed, how), DUPLICATE
    s = one.source
    places = list(zip(s.contexts, s.labels, strict=True))
    extra = {"emit": emit, "train": told_train}
    if emit == "profiles":
        return profile_table(one, {place: s.mean[k] for k, place in enumerate(places)}, how), extra
    wanted = {*places, *((context, how.control) for context in s.contexts)}
    pairs = zip(one.contexts.tolist(), one.labels.tolist(), strict=True)
    return copied(one, np.flatnonzero([pair in wanted for pair in pairs]), how), extra
