"""Would a screen for a set of genes, read off the predictions, call the perturbations that the real one calls?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.de_effect import spearman
from vcmetrics.metrics.distance.numbers import positive, whole
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.phenocopy import screen_of
from vcmetrics.metrics.registry import MetricSpec, Parity, Values, register
from vcmetrics.metrics.roc import average_precision, roc_area
from vcmetrics.reference import virtual_screen as reference

Indices = NDArray[np.int64]
DIRECTIONS = ("up", "down")


def control_genes(
    average: Values, names: NDArray[Any], chosen: Indices, ctrl_size: int, n_bins: int, seed: int
) -> Indices:
    """Genes that a set is compared with: up to ``ctrl_size`` drawn from each expression bin in which the set has one.

    Bins hold about n_genes / (n_bins - 1) genes by the rank of their average; genes of a bin are drawn in the order of
    their names, members of the set are taken out afterwards. With names in that order this is scanpy's draw.
    """
    from scipy.stats import rankdata

    per_bin = max(1, round(average.size / (n_bins - 1)))
    bins = rankdata(average, method="min") // per_bin
    draw = np.random.RandomState(seed)
    by_name = np.argsort(names.astype(str), kind="stable")
    found: set[int] = set()
    for cut in np.unique(bins[chosen]):
        members = by_name[bins[by_name] == cut]
        if ctrl_size < members.size:
            members = members[draw.choice(members.size, ctrl_size, replace=False)]
        found |= set(members.tolist()) - set(chosen.tolist())
    return np.array(sorted(found), np.int64)


def gene_set_scores(
    rows: Values, names: NDArray[Any], chosen: Indices, ctrl_size: int, n_bins: int, seed: int
) -> Values:
    """Mean over the set minus mean over its control genes, (n_rows,)."""
    others = control_genes(rows.mean(0), names, chosen, ctrl_size, n_bins, seed)
    if not others.size:
        msg = "gene_set leaves no gene of similar expression to compare with; pass a smaller set or fewer n_bins"
        raise DataError(msg)
    return np.asarray(rows[:, chosen].mean(1) - rows[:, others].mean(1))


def set_scores(
    pair: Pair, gene_set: Sequence[str] | None, ctrl_size: int, n_bins: int, seed: int
) -> tuple[Values, Values, Values]:
    """Scores of the scored perturbations by truth and by prediction, and of the training ones by truth."""
    if gene_set is None or isinstance(gene_set, str) or not len(gene_set):
        msg = "gene_set= is missing: pass the names of the genes that the screen reads"
        raise DataError(msg)
    whole(1, ctrl_size=ctrl_size)
    whole(2, n_bins=n_bins)
    whole(0, seed=seed)
    wanted = set(map(str, gene_set))
    chosen = np.flatnonzero(np.isin(pair.genes.astype(str), sorted(wanted)))
    if not chosen.size:
        msg = f"none of the {len(wanted)} genes of gene_set= is measured; names must be those of the data"
        raise DataError(msg)

    def make() -> tuple[Values, Values, Values]:
        screen = screen_of(pair)
        real, pred = (
            gene_set_scores(t, pair.genes, chosen, ctrl_size, n_bins, seed) for t in (screen.real, screen.pred)
        )
        return real[: pair.n], pred[: pair.n], real[pair.n :]

    return pair.shared(("gene set", tuple(sorted(wanted)), ctrl_size, n_bins, seed), make)


_TEXT = """{what} of a virtual screen's hits by predicted gene-set scores.

    A perturbation's score is the mean effect over ``gene_set`` minus that over control genes of similar average effect.
    Positive are the scored perturbations whose observed score lies beyond median ± ``mads`` · MAD of the observed
    training scores; the predicted scores rank them.

    Parameters
    ----------
    pair
        Profiles of both sides with their controls, and ``train``.
    gene_set
        Names of the genes; those that are not measured are passed over. Must be given.
    direction
        ``up`` or ``down``: above the median, or below.
    mads
        PRESAGE reports 1 … 5.
    ctrl_size, n_bins, seed
        Control genes drawn from each of so many bins of average effect, and the seed of the draw. Each side draws its
        own, for its averages are its own.

    Returns
    -------
    (n_perturbations,), the same value in each, in [0, 1]; 1 is best{chance}; NaN where all are positive, or none.

    Examples
    --------
    Observed hits (yes, no, yes), predicted scores (3, 2, 1): {example}.
    """


def hits_row(name: str, area: Callable[..., float], what: str, chance: str, example: str) -> Callable[..., Values]:
    """The formula of one area."""

    def formula(
        pair: Pair,
        *,
        gene_set: Sequence[str] | None = None,
        direction: str = "up",
        mads: float = 1.0,
        ctrl_size: int = 50,
        n_bins: int = 25,
        seed: int = 0,
    ) -> Values:
        if direction not in DIRECTIONS:
            msg = f"direction {direction!r} is not known; pass 'up' or 'down'"
            raise ValueError(msg)
        positive(mads=mads)
        real, pred, train = set_scores(pair, gene_set, ctrl_size, n_bins, seed)
        sign = 1.0 if direction == "up" else -1.0
        middle = np.median(train)
        reach = mads * np.median(np.abs(train - middle))
        return np.full(pair.n, area(sign * (real - middle) > reach, sign * pred))

    formula.__name__ = formula.__qualname__ = name
    formula.__doc__ = _TEXT.format(what=what, chance=chance, example=example)
    return formula


def both_set_scores(
    pair: Pair,
    *,
    gene_set: Sequence[str] | None = None,
    ctrl_size: int = 50,
    n_bins: int = 25,
    seed: int = 0,
) -> Values:
    """Gene-set scores of the scored perturbations, (n_perturbations, 2): predicted, observed."""
    real, pred, _ = set_scores(pair, gene_set, ctrl_size, n_bins, seed)
    return np.stack([pred, real], 1)


def virtual_screen_spearman(
    pair: Pair,
    *,
    gene_set: Sequence[str] | None = None,
    ctrl_size: int = 50,
    n_bins: int = 25,
    seed: int = 0,
) -> Values:
    """Spearman correlation, over the scored perturbations, of predicted and observed gene-set scores.

    Parameters
    ----------
    pair, gene_set, ctrl_size, n_bins, seed
        As for the areas of the virtual screen.

    Returns
    -------
    (n_perturbations,), the same value in each, in [-1, 1]; 1 is best, 0 is chance; NaN for fewer than two perturbations
    or constant scores.

    Examples
    --------
    Observed scores (1, 2, 3), predicted (2, 1, 3): 0.5.
    """
    both = both_set_scores(pair, gene_set=gene_set, ctrl_size=ctrl_size, n_bins=n_bins, seed=seed)
    return np.full(pair.n, spearman(both[:, 0], both[:, 1]))


_DRAW: dict[str, Any] = {"ctrl_size": 50, "n_bins": 25, "seed": 0}
_SOURCE = "PRESAGE (4dc6d59), virtual screen; gene-set score of scanpy 1.11 (Tirosh et al. 2016), seed fixed"
_LAWS = ("gene_order", "perturbation_order", "scale_degree_0", "common_shift")
_PITFALLS = (
    "Control genes are drawn at random: another seed moves the score of a small set.",
    "Averages and control genes are each side's own, so adding a profile to all effects need not cancel.",
    "A model that predicts one direction for all perturbations is not seen through by AUROC alone: look at the scores.",
)
for _name, _area, _what, _chance, _tail, _example in (
    ("virtual_screen_auroc", roc_area, "Area under the ROC curve", 0.5, ", 0.5 is chance", "1/2"),
    ("virtual_screen_average_precision", average_precision, "Average precision", None, "", "1/2 · 1 + 1/2 · 2/3 = 5/6"),
):
    register(
        MetricSpec(
            name=_name,
            family="virtual_screen",
            needs=frozenset({"profiles", "train"}),
            better="higher",
            best=1.0,
            chance=_chance,
            bounds=(0.0, 1.0),
            definition=f"{_what} of predicted gene-set scores for observed ones beyond the training median ± m · MAD",
            formula=hits_row(_name, _area, _what, _tail, _example),
            reference=getattr(reference, _name),
            defaults=MappingProxyType({"gene_set": None, "direction": "up", "mads": 1.0, **_DRAW}),
            required=("gene_set",),
            invariants=_LAWS,
            panel="whole",
            parity=Parity(rtol=1e-9, atol=1e-12),
            source=_SOURCE,
            pitfalls=_PITFALLS,
        )
    )
register(
    MetricSpec(
        name="virtual_screen_spearman",
        family="virtual_screen",
        needs=frozenset({"profiles", "train"}),
        better="higher",
        best=1.0,
        chance=0.0,
        bounds=(-1.0, 1.0),
        definition="Spearman over perturbations of predicted and observed gene-set scores",
        formula=virtual_screen_spearman,
        reference=reference.virtual_screen_spearman,
        defaults=MappingProxyType({"gene_set": None, **_DRAW}),
        required=("gene_set",),
        invariants=_LAWS,
        panel="spearman",
        panel_values=both_set_scores,
        parity=Parity(rtol=1e-9, atol=1e-12),
        source=_SOURCE,
        pitfalls=_PITFALLS[:2],
    )
)
