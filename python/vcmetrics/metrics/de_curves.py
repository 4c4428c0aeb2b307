"""Areas under curves: do predicted p-values find the real significant genes?"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.de_overlap import CALLS, ENOUGH_LABELLED, PREFIX, SOURCE
from vcmetrics.metrics.de_view import DEView, view
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import MetricSpec, Parity, Values, register
from vcmetrics.reference import de_curves as reference

Floor = Literal["min_nonzero", "clip", "replace_zero", "preserve"]
FLOOR = 1e-10


def scores(de: DEView, auc_floor: Floor) -> NDArray[Any]:
    """``-log10`` of the predicted adjusted p-values with zeros lifted to a floor; -inf where the real table has no row.

    A gene that the prediction lacks, or whose value is undefined, counts as 1.
    """
    asked = de.real.known_p_adj
    p = np.where(np.isnan(de.pred.p_adj), de.pred.p_adj.dtype.type(1), de.pred.p_adj)
    if auc_floor == "clip":
        p = np.clip(p, p.dtype.type(FLOOR), p.dtype.type(1))
    elif auc_floor == "replace_zero":
        with np.errstate(under="ignore"):
            p = p.astype(np.float32)
        p = np.where(p == 0, p.dtype.type(FLOOR), p).astype(np.float64)
    elif auc_floor == "min_nonzero":
        positive = p[asked & (p > 0)]
        p = np.where(p == 0, positive.min() if positive.size else p.dtype.type(FLOOR), p)
    elif auc_floor == "preserve":
        p = np.maximum(p, np.finfo(p.dtype).smallest_subnormal)
    else:
        msg = f"auc_floor {auc_floor!r} is not one of min_nonzero, clip, replace_zero, preserve"
        raise ValueError(msg)
    return np.asarray(np.where(asked, -np.log10(p), -np.inf))


def _areas(pair: Pair, auc_floor: Floor, alpha: float, single_precision: bool) -> tuple[Values, Values]:
    """Area under the ROC curve and average precision of each perturbation."""

    def make() -> tuple[Values, Values]:
        de = view(pair, alpha, single_precision)
        score = scores(de, auc_floor)
        ascending = np.sort(score, axis=1)
        asked = de.real.known_p_adj.sum(axis=1)
        roc, precision = np.full(de.n, np.nan), np.full(de.n, np.nan)
        for i in range(de.n):
            n_pos, n_all = int(de.n_real[i]), int(asked[i])
            if n_pos == 0 or n_pos == n_all:
                continue
            # genes that are not asked stand at -inf, below every threshold
            positive = np.sort(score[i, de.R[i]])
            cuts, first = np.unique(positive, return_index=True)
            above = np.searchsorted(ascending[i], cuts, side="left")
            tp = n_pos - first
            called = ascending.shape[1] - above
            step = -np.diff(np.append(tp, 0))
            precision[i] = ((step / n_pos) * (tp / called)).sum()
            # a positive beats every negative below it and half of those at its own score
            below = np.searchsorted(ascending[i], positive, side="left")
            upto = np.searchsorted(ascending[i], positive, side="right")
            hidden = ascending.shape[1] - n_all
            rank_sum = ((below + upto + 1) / 2 - hidden).sum()
            roc[i] = (rank_sum - n_pos * (n_pos + 1) / 2) / (n_pos * (n_all - n_pos))
        return roc, np.clip(precision, 0.0, 1.0)

    return pair.shared(("areas", auc_floor, alpha, single_precision), make)


def roc_auc(
    pair: Pair, *, auc_floor: Floor = "min_nonzero", alpha: float = 0.05, single_precision: bool = False
) -> Values:
    """Area under the ROC curve of the predicted adjusted p-values for the real significant genes.

    Parameters
    ----------
    pair
        DE tables of both sides; the genes are those of the real table.
    auc_floor
        What a predicted value of 0 counts as, see :mod:`vcmetrics.metrics.registry`.
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), in [0, 1]; 1 is best, 0.5 is chance; NaN where all genes are significant, or none.

    Examples
    --------
    Real significant (yes, no, yes), predicted p_adj (0.01, 0.2, 0.5): one of two pairs is ordered rightly: 0.5.
    """
    return _areas(pair, auc_floor, alpha, single_precision)[0]


def pr_auc(
    pair: Pair, *, auc_floor: Floor = "min_nonzero", alpha: float = 0.05, single_precision: bool = False
) -> Values:
    """Average precision of the predicted adjusted p-values for the real significant genes.

    Parameters
    ----------
    pair
        DE tables of both sides; the genes are those of the real table.
    auc_floor
        What a predicted value of 0 counts as, see :mod:`vcmetrics.metrics.registry`.
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), ``Σ (recall step) · precision`` in [0, 1]; 1 is best; NaN where all genes are significant, or
    none.

    Examples
    --------
    Real significant (yes, no, yes), predicted p_adj (0.01, 0.2, 0.5): 1/2 · 1 + 1/2 · 2/3 = 5/6.
    """
    return _areas(pair, auc_floor, alpha, single_precision)[1]


for _name, _formula, _chance, _definition in (
    ("pr_auc", pr_auc, None, "average precision of -log10 p̂_adj for R"),
    ("roc_auc", roc_auc, 0.5, "area under the ROC curve of -log10 p̂_adj for R"),
):
    register(
        MetricSpec(
            name=PREFIX + _name,
            aliases=(_name,),
            family="de_curves",
            needs=frozenset({"de"}),
            better="higher",
            best=1.0,
            chance=_chance,
            bounds=(0.0, 1.0),
            definition=_definition,
            formula=_formula,
            reference=getattr(reference, _name),
            defaults=MappingProxyType({"auc_floor": "min_nonzero", **CALLS}),
            gate=ENOUGH_LABELLED,
            pitfalls=(
                "Predicted p-values of 0 are lifted to a floor (auc_floor), which decides the order at the top.",
                "The direction of the change does not enter.",
            ),
            parity=Parity(rtol=1e-11, atol=1e-13),
            source=SOURCE,
        )
    )
