"""Correlation of predicted and observed effects over genes, one number a perturbation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics.backend.device import resolve_device
from vcmetrics.backend.memory import budgeted
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.metrics.co_moments import Floats
from vcmetrics.metrics.gene_sets import GeneSets
from vcmetrics.metrics.row_correlation import METHODS, Sides, row_correlations
from vcmetrics.retrieval.targets import target_sets
from vcmetrics.sources.genes import some
from vcmetrics.summary.effect_reference import REFERENCES, effect_reference
from vcmetrics.summary.profile_rows import ProfileRows, check_reference, matched, read_profiles

if TYPE_CHECKING:
    import pandas as pd


@budgeted
def effect_correlation(
    pred: Any,
    real: Any,
    *,
    pert_col: str | None = None,
    control: str | None = None,
    method: str = "pearson",
    reference: str = "control",
    leave_one_out: bool = True,
    train: Iterable[str] | None = None,
    genes: Any = "all",
    de: Any = None,
    alpha: float = 0.05,
    target_map: Mapping[str, Any] | None = None,
    space: str = "log_of_sums",
    target_sum: float = 5e4,
    context_col: str | None = None,
    sample_col: str | None = None,
    batch_col: str | None = None,
    layer: str | None = None,
    labels: Sequence[str] | None = None,
    var_names: Sequence[str] | None = None,
    device: str = "auto",
    n_threads: int | None = None,
    memory_budget: int | float | str | None = None,
) -> pd.DataFrame:
    """Correlation, over genes, of each perturbation's predicted and observed effect.

    Both effects are taken against one reference made of observed data. What it is decides the number: against the
    control, a prediction of the effect shared by all perturbations already correlates; against a perturbed mean that
    knows as little of the perturbation it has nothing left to correlate (see Notes).

    Parameters
    ----------
    pred, real
        As in :func:`gene_correlation`.
    pert_col, control
        Column of ``obs`` with the labels, and the control's.
    method
        ``"pearson"``, ``"spearman"`` (average ranks) or ``"cosine"`` (not centred).
    reference
        A name of :mod:`vcmetrics.summary.effect_reference`: ``control``, ``batch_control`` (with ``batch_col``),
        ``perturbed_mean``, ``perturbed_mean_cells``, ``condition_mean``, ``guide_count_mean``, ``none``.
    leave_one_out
        Leave a perturbation out of the mean that it is compared with.
    train
        Perturbations that the means may use; None: all.
    genes
        ``"all"``; ``"top_expressed:K"`` by the observed control; ``"top_effect:K"`` by the observed effect against the
        control (an oracle: it uses the truth); ``"de"`` or ``"de:K"``, significant genes of ``de`` (an oracle as well),
        the first K by p, then fold change; or names. Of equal genes the first is taken.
    de, alpha
        Table as :func:`differential_expression` gives it for the observed side (frame, mapping or path), and its level.
    target_map
        label → own target gene, several, or None; ``{"*": None}`` for none at all. Without it the label is the gene, or
        joins genes by ``+``.
    space, target_sum, layer, labels, var_names
        As in :func:`gene_correlation`.
    context_col
        Column of ``obs``: each cell line or donor alone, with its own control and means.
    sample_col
        Column of ``obs``: means are over (sample, perturbation) rather than over perturbations.
    batch_col
        Column of ``obs`` with the batches that ``batch_control`` matches.
    device, n_threads
        ``"auto"`` or ``"cpu"``; threads (None: all that this process may use). Results do not depend on them.
    memory_budget
        Memory for cells: ``"4GiB"``, bytes, or a share of what is available; None for half of it. Results do not
        depend on it.

    Returns
    -------
    DataFrame, index ([context,] perturbation): the method's value in [-1, 1], 1 is best; the same
    ``…_without_target`` (lists are made after the target was left out); ``n_genes``, ``n_genes_without_target``;
    ``target``, the genes left out (joined by ``+``), missing where none is measured; ``undefined``, why the value is
    NaN, else empty. ``attrs``: ``mean`` and ``mean_without_target`` with undefined values as 0, ``mean_defined``
    without them, ``n_undefined``, ``undefined`` (reason → number), ``n_without_target_gene``, ``oracle`` and the
    settings.

    Raises
    ------
    DataError
        If perturbations or genes of the two sides differ, or a reference cannot be made.

    Notes
    -----
    Undefined: an effect that is zero (cosine) or constant over the genes (correlations) up to rounding, i.e. not above
    1e-13 of the largest value of its profile at those genes; fewer than two genes (one for cosine); no other
    perturbation to average.

    A prediction must not know more than its reference: the mean of all n perturbations, taken against the mean of the
    others, leaves 1/n of the perturbation's own effect and correlates perfectly. Give a baseline what the reference
    has (leave the perturbation out of both), or pass ``leave_one_out=False``, or ``train`` and read the others' rows.
    Cost O(perturbations · genes).

    References
    ----------
    GEARS, TxPert (control, batch-matched control), Systema, Shift, Diversity by Design (perturbed means), PRESAGE
    (cosine), PEREGGRN (Spearman).

    Examples
    --------
    >>> import pandas as pd
    >>> index, genes = ["A", "B", "ctrl"], ["A", "B", "g"]
    >>> real = pd.DataFrame([[0.0, 2.0, 3.0], [2.0, 0.0, 1.0], [1.0, 1.0, 1.0]], index, genes)
    >>> pred = pd.DataFrame([[0.0, 1.0, 2.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]], index, genes)
    >>> table = effect_correlation(pred, real, control="ctrl")
    >>> table[["pearson", "pearson_without_target", "undefined"]].round(3).values.tolist()
    [[0.982, 1.0, ''], [nan, nan, 'predicted effect is constant']]
    """
    resolve_device(device, what="effect_correlation")
    if method not in METHODS:
        msg = f"method {method!r} is not known; choose from {', '.join(METHODS)}"
        raise ValueError(msg)
    if reference not in REFERENCES:
        msg = f"reference {reference!r} is not known; choose from {', '.join(REFERENCES)}"
        raise ValueError(msg)
    threads = resolve_threads(n_threads)
    how: dict[str, Any] = {
        "pert_col": pert_col,
        "control": control,
        "space": space,
        "target_sum": target_sum,
        "layer": layer,
        "labels": labels,
        "var_names": var_names,
        "n_threads": threads,
    }
    observed = read_profiles(real, name="real", within=context_col, batch_col=batch_col, observed=True, **how)
    predicted = matched(read_profiles(pred, name="pred", within=context_col, **how), observed)
    samples = None
    if sample_col is not None:
        if context_col is not None:
            msg = "context_col and sample_col exclude each other; pass the data of one context at a time"
            raise ValueError(msg)
        samples = read_profiles(real, name="real", within=sample_col, **how)
    if isinstance(train, str):
        msg = f"train is the text {train!r}; pass a list of perturbations, such as [{train!r}]"
        raise TypeError(msg)
    chosen = None if train is None else {str(x) for x in train}
    if chosen is not None and not chosen <= set(observed.labels):
        msg = f"train names perturbations that are not in the data: {some(sorted(chosen - set(observed.labels)))}"
        raise DataError(msg)
    frames = []
    for stratum in [None] if context_col is None else sorted(set(observed.strata or ())):
        one, two = (part(side, stratum) for side in (predicted, observed))
        base = reference_of(reference, two, samples, leave_one_out, chosen)
        frames.append(
            scored(
                one,
                two,
                base,
                method,
                lambda effect, side=two: GeneSets(
                    genes, side.genes, control=side.control, effect=effect, de=de, labels=side.labels, alpha=alpha
                ),
                target_map,
                threads,
            )
        )
    import pandas as pd

    out = frames[0]
    if context_col is not None:
        names = sorted(set(observed.strata or ()))
        out = pd.concat(frames, keys=names, names=["context", "perturbation"])
    settings = {"method": method, "reference": reference, "leave_one_out": leave_one_out, "space": space}
    return with_attrs(
        out, frames[0].attrs["oracle"], {**settings, "genes": genes if isinstance(genes, str) else "list"}
    )


def part(side: ProfileRows, stratum: str | None) -> ProfileRows:
    """The rows of one context, with its own control."""
    if stratum is None:
        return side
    rows = [r for r, s in enumerate(side.strata or ()) if s == stratum]
    return replace(
        side,
        labels=tuple(side.labels[r] for r in rows),
        strata=None,
        table=side.table[rows],
        n_cells=None if side.n_cells is None else side.n_cells[rows],
        control=(side.strata_control or {}).get(stratum),
        batch_cells=None if side.batch_cells is None else side.batch_cells[rows],
    )


def reference_of(
    kind: str, real: ProfileRows, samples: ProfileRows | None, leave_one_out: bool, train: set[str] | None
) -> Floats:
    """The reference of every row of ``real``, (n_rows, n_genes)."""
    rows = real if samples is None or kind in ("none", "control", "batch_control") else samples
    check_reference(real, kind)
    if kind == "batch_control" and real.batch_control is None:
        msg = "reference='batch_control' needs batch_col= and cells of the control in each batch"
        raise ValueError(msg)
    base = effect_reference(
        kind,
        rows.table,
        real.control,
        n_cells=rows.n_cells,
        labels=rows.labels,
        train=None if train is None else np.array([x in train for x in rows.labels], bool),
        leave_one_out=leave_one_out,
        batch_control=real.batch_control,
        batch_cells=real.batch_cells,
    )
    if base.ndim == 1:
        return np.broadcast_to(base, real.table.shape)
    if rows is real:
        return base
    first = {label: r for r, label in reversed(list(enumerate(rows.labels)))}
    return base[[first[label] for label in real.labels]]


def scored(
    pred: ProfileRows,
    real: ProfileRows,
    base: Floats,
    method: str,
    sets_of: Any,
    target_map: Mapping[str, Any] | None,
    n_threads: int,
) -> pd.DataFrame:
    """The table of one context."""
    import pandas as pd

    sets: GeneSets = sets_of(None if real.control is None else real.table - real.control)
    table = target_sets(real.labels, real.genes, target_map, required=False).table
    targets = [tuple(row[row >= 0].tolist()) for row in table]
    n = range(len(real.labels))

    def rows(cut: bool) -> Iterator[Sides]:
        for r in n:
            at = np.flatnonzero(sets.of(r, targets[r] if cut else ()))
            yield Sides(pred.table[r][at], real.table[r][at], base[r][at], base[r][at])

    whole, less = (row_correlations(rows(cut), method, n_threads=n_threads) for cut in (False, True))
    columns = {
        method: whole.values,
        f"{method}_without_target": less.values,
        "n_genes": whole.n,
        "n_genes_without_target": less.n,
        "target": ["+".join(map(str, real.genes[list(targets[r])])) or None for r in n],
        "undefined": whole.why,
    }
    out = pd.DataFrame(columns, index=pd.Index(real.labels, name="perturbation", dtype=object))
    out.attrs["oracle"] = sets.oracle
    return out


def with_attrs(table: pd.DataFrame, oracle: bool, settings: Mapping[str, Any]) -> pd.DataFrame:
    """The table with its aggregates and settings."""
    method = settings["method"]
    values, without = table[method].to_numpy(), table[f"{method}_without_target"].to_numpy()
    defined = ~np.isnan(values)
    table.attrs = {
        **settings,
        "oracle": oracle,
        "mean": float(np.nan_to_num(values).mean()),
        "mean_without_target": float(np.nan_to_num(without).mean()),
        "mean_defined": float(values[defined].mean()) if defined.any() else float("nan"),
        "n_undefined": int((~defined).sum()),
        "undefined": dict(Counter(x for x in table["undefined"] if x)),
        "n_without_target_gene": int(table["target"].isna().sum()),
    }
    return table
