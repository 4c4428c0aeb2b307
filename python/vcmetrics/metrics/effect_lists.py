"""Do the genes that change most agree? Overlap of lists by the size of the effect, and recall of DE genes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from vcmetrics.metrics.de_view import view
from vcmetrics.metrics.gene_choice import gene_choice
from vcmetrics.metrics.gene_sets import Bools, ranked_within, top
from vcmetrics.metrics.literature import REFERENCED, literature_row
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.referenced_effects import referenced_effects
from vcmetrics.metrics.registry import Values
from vcmetrics.reference import effect_lists as slow

Rank = Literal["average", "first"]


def _listed(size: Values, k: int, allowed: Bools, rank_rule: Rank) -> Bools:
    """The genes of the ``k`` largest values."""
    if rank_rule not in ("average", "first"):
        msg = f"rank_rule={rank_rule!r} is not known; choose from average, first"
        raise ValueError(msg)
    return ranked_within(size, k, allowed) if rank_rule == "average" else top(size, k, allowed)


def _allowed(pair: Pair, exclude: str, p: int, n_genes: int) -> Bools:
    """Genes that are not left out."""
    allowed = np.zeros(n_genes, bool)
    allowed[gene_choice(pair, "all", exclude).of(p)] = True
    return allowed


def overlap_top_n(
    pair: Pair,
    *,
    k: int = 20,
    rank_rule: Rank = "average",
    reference: str = "control",
    leave_one_out: bool = True,
    exclude: str = "none",
) -> Values:
    """Share of ``k`` that the lists of the largest predicted and observed |effects| have in common.

    Parameters
    ----------
    pair
        Profiles of both sides with what ``reference`` is made of.
    k
        Length of the lists.
    rank_rule
        ``average``: genes whose average rank is at most k, so that ties make a list longer or shorter (PEREGGRN);
        ``first``: exactly k genes, of equal ones the first.
    reference, leave_one_out
        What both effects are taken against, see :func:`vcmetrics.metrics.referenced_effects.referenced_effects`.
    exclude
        Target genes left out before the lists are made: ``none`` | ``own`` | ``panel``.

    Returns
    -------
    (n_perturbations,), >= 0; 1 is best, k / n_genes is chance; ties can lengthen lists, and the value beyond 1. NaN
    where an effect has no reference.

    Notes
    -----
    Divided by k even where fewer genes are left. The target gene is mostly in the list: compare with ``exclude="own"``.

    References
    ----------
    PEREGGRN (overlap_top_n).

    Examples
    --------
    |effects| (3, 2, 1) and (3, 1, 2), k = 2: one of two in common, 0.5.
    """
    effects = referenced_effects(pair, reference, leave_one_out=leave_one_out)
    out = np.full(pair.n, np.nan)
    for p in range(pair.n):
        sizes = [np.abs(side(p)) for side in (effects.pred, effects.real)]
        if not any(np.isnan(size).any() for size in sizes):
            allowed = _allowed(pair, exclude, p, sizes[0].size)
            one, other = (_listed(size, k, allowed, rank_rule) for size in sizes)
            out[p] = np.count_nonzero(one & other) / k
    return out


def jaccard_top(
    pair: Pair,
    *,
    k: int = 20,
    reference: str = "control",
    leave_one_out: bool = True,
    genes: Any = "t_test:20",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Jaccard index of the observed list and of the genes with the ``k`` largest predicted |effects|.

    Parameters
    ----------
    pair
        Profiles of both sides with what ``reference`` and ``genes`` are made of.
    k
        Length of the predicted list; of equal effects the first.
    reference, leave_one_out
        What the predicted effect is taken against.
    genes, exclude, alpha
        The observed list, see :mod:`vcmetrics.metrics.gene_choice`; by default GEARS' list of 20.

    Returns
    -------
    (n_perturbations,), in [0, 1]; 1 is best. NaN where both lists are empty, or there is no reference.

    Notes
    -----
    Lists by t and lists by |effect| differ even for the perfect prediction, whose value may lie below 1; take
    ``genes="top_effect:20"`` to compare like with like.

    References
    ----------
    Systema (jaccard of the top 20).

    Examples
    --------
    Lists (a, b) and (b, c): 1 / 3.
    """
    choice = gene_choice(pair, genes, exclude, alpha)
    effects = referenced_effects(pair, reference, leave_one_out=leave_one_out)
    out = np.full(pair.n, np.nan)
    for p in range(pair.n):
        size = np.abs(effects.pred(p))
        if np.isnan(size).any():
            continue
        foretold = top(size, k, _allowed(pair, exclude, p, size.size))
        real = np.zeros(size.size, bool)
        real[choice.of(p)] = True
        either = np.count_nonzero(foretold | real)
        if either:
            out[p] = np.count_nonzero(foretold & real) / either
    return out


def deg_recall(pair: Pair, *, alpha: float = 0.05, min_abs_lfc: float = 0.5, single_precision: bool = False) -> Values:
    """Share of the observed DE genes, significant and large, that are DE in the prediction as well.

    Parameters
    ----------
    pair
        DE tables of both sides.
    alpha
        Level of the adjusted p-values, strictly below.
    min_abs_lfc
        |log2 fold change| strictly above; of both sides.
    single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), in [0, 1]; 1 is best. NaN where there is no observed DE gene.

    Notes
    -----
    The number of predicted cells sets the power of the predicted side, and calling every gene is never charged: keep
    the number of cells equal, and read it beside a precision.

    References
    ----------
    CellForge (DEG recall: Wilcoxon, Benjamini-Hochberg below 0.05, |log2 fold change| above 0.5).

    Examples
    --------
    R = (a, b, c), Q = (a, d): 1 / 3.
    """
    de = view(pair, alpha, single_precision)
    real, pred = (called & (np.abs(side.lfc) > min_abs_lfc) for called, side in ((de.R, de.real), (de.Q, de.pred)))
    below = real.sum(1)
    out = np.full(pair.n, np.nan)
    np.divide((real & pred).sum(1), below, out=out, where=below > 0)
    return out


_SHARE: dict[str, Any] = {"better": "higher", "best": 1.0, "bounds": (0.0, 1.0)}
literature_row(
    "overlap_top_n",
    "effect_lists",
    overlap_top_n,
    slow.overlap_top_n,
    "|top-k |d̂| ∩ top-k |d|| / k",
    "PEREGGRN, overlap_top_n",
    {"k": 20, "rank_rule": "average", **REFERENCED, "exclude": "none"},
    "common_shift",
    "scale_degree_0",
    "prediction_scale",
    better="higher",
    best=None,
    bounds=(0.0, np.inf),
    pitfalls=(
        "Both lists hold the own target gene unless it is excluded.",
        "Average ranks at ties can select more or fewer than k genes.",
    ),
)
literature_row(
    "jaccard_top",
    "effect_lists",
    jaccard_top,
    slow.jaccard_top,
    "|A ∩ B| / |A ∪ B|, A the observed list (by t), B the k largest |d̂|",
    "Systema, Jaccard of the top 20 genes",
    {"k": 20, **REFERENCED, "genes": "t_test:20", "exclude": "none", "alpha": 0.05},
    "common_shift",
    "scale_degree_0",
    "prediction_scale",
    needs=("profiles", "variance"),
    better="higher",
    best=None,
    bounds=(0.0, 1.0),
    pitfalls=("The observed list is by test, the predicted one by size: a perfect prediction need not score 1.",),
)
literature_row(
    "deg_recall",
    "effect_lists",
    deg_recall,
    slow.deg_recall,
    "|R ∩ Q| / |R|, R and Q significant with |log2 fold change| above a bound",
    "CellForge, DEG recall",
    {"alpha": 0.05, "min_abs_lfc": 0.5, "single_precision": False},
    needs=("de",),
    **_SHARE,
    pitfalls=(
        "Precision does not enter: calling every gene scores 1.",
        "The number of predicted cells sets the power of the predicted side's test.",
    ),
)
