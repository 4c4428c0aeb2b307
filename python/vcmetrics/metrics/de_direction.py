"""Are the claimed directions of change right, and how far down the list of claims do they stay right?

All count over genes of both tables. A gene can be judged where the real fold change has a direction (``in_denom``);
a claim is a predicted significant gene that can be judged; it matches where the predicted fold change points the
same way. ``n_conf`` is the number of real significant genes, ``n_pred`` of claims, ``k`` of matching claims. ``q`` is
the share of the commoner sign among the real significant genes: what guessing one sign would reach.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.de_overlap import CALLS, ENOUGH_REAL, EXACT, PREFIX, SOURCE_V2
from vcmetrics.metrics.de_view import DEView, Index, Mask, at_least, view, view_of
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import Gate, MetricSpec, Values, register
from vcmetrics.reference import de_direction as reference

Pool = Literal["real", "all"]
Correction = Literal["raw", "corrected"]

_LEAST_ROOM = 0.05  # floor of 1 - q, where nearly all real changes share one sign
_PURITY_RAW = 0.9


@dataclass(frozen=True)
class Tally:
    """Counts of each perturbation, own target gene left out; ``q`` is NaN where no real change has a sign."""

    n_conf: Values
    n_pred: Values
    k: Values
    q: Values

    @property
    def room(self) -> Values:
        """What can be gained over guessing the commoner sign."""
        return np.maximum(1.0 - self.q, _LEAST_ROOM)


def tally(pair: Pair, alpha: float, single_precision: bool) -> Tally:
    """Counts that the direction metrics share."""

    def make() -> Tally:
        de = view(pair, alpha, single_precision)
        claims = de.Q_other & de.in_denom
        up = (de.R_other & (de.real.lfc > 0)).sum(axis=1)
        down = (de.R_other & (de.real.lfc < 0)).sum(axis=1)
        return Tally(
            n_conf=de.R_other.sum(axis=1).astype(np.float64),
            n_pred=claims.sum(axis=1).astype(np.float64),
            k=(claims & de.match).sum(axis=1).astype(np.float64),
            q=_ratio(np.maximum(up, down), up + down),
        )

    return pair.shared(("tally", alpha, single_precision), make)


def _ratio(top: NDArray[Any], bottom: NDArray[Any]) -> Values:
    """``top / bottom``; NaN where ``bottom`` is not positive."""
    out = np.full(bottom.shape, np.nan)
    np.divide(top, bottom, out=out, where=bottom > 0)
    return out


def _depth(de: DEView, order: list[Index], own: Index | None, purity: Values) -> Values:
    """Largest number of judged claims, from the top of ``order``, of which at least the share ``purity`` match."""
    out = np.zeros(de.n)
    for i, columns in enumerate(order):
        if np.isnan(purity[i]):
            continue
        if own is not None and own[i] >= 0:
            columns = columns[columns != own[i]]
        judged = columns[de.in_denom[i, columns]]
        right = np.cumsum(de.match[i, judged])
        count = np.arange(1, judged.size + 1)
        deep = np.flatnonzero(right / count >= purity[i])
        if deep.size:
            out[i] = deep[-1] + 1
    return out


def direction_precision(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """Share of the claims, own target gene included, whose direction is right.

    Parameters
    ----------
    pair
        DE tables of both sides.
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), in [0, 1]; 1 is best, 0.5 is chance; NaN without a claim.

    Examples
    --------
    Two claims, +1 on a gene that rises and +1 on a gene that falls: 0.5.
    """
    de = view(pair, alpha, single_precision)
    claims = de.Q & de.in_denom
    return _ratio((claims & de.match).sum(axis=1), claims.sum(axis=1))


def direction_sensitivity(
    pair: Pair, *, pool: Pool = "real", alpha: float = 0.05, single_precision: bool = False
) -> Values:
    """How many genes deep the claims stay right, own target gene included, over the real significant genes.

    Parameters
    ----------
    pair
        DE tables of both sides.
    pool
        Genes that are ordered: the ``real`` significant ones, or ``all``.
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`; the share that must match is ``1 - alpha / 2``.

    Returns
    -------
    (n_perturbations,), >= 0 (at most 1 for pool ``real``); higher is better; NaN without a real significant gene.

    Examples
    --------
    Four real significant genes, the claims on the first three right and the last wrong: 3/4.
    """
    de = view(pair, alpha, single_precision)
    order = de.claimed_real if pool == "real" else de.claimed_all
    return _ratio(_depth(de, order, None, np.full(de.n, 1 - alpha / 2)), de.n_real)


def direction_fidelity(
    pair: Pair, *, scale: Correction = "corrected", alpha: float = 0.05, single_precision: bool = False
) -> Values:
    """Share of right directions among the claims.

    Parameters
    ----------
    pair
        DE tables of both sides; the own target gene is left out.
    scale
        ``raw``: ``k / n_pred``; ``corrected``: what it gains over guessing the commoner sign, ``(k / n_pred - q) /
        max(1 - q, 0.05)``.
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), at most 1; 1 is best; NaN without a claim. Corrected, without a real significant gene: 1 if
    nothing was claimed, else 0.

    Examples
    --------
    Four claims, three right, q = 0.5: raw 0.75, corrected (0.75 - 0.5) / 0.5 = 0.5.
    """
    t = tally(pair, alpha, single_precision)
    share = _ratio(t.k, t.n_pred)
    if scale == "raw":
        return share
    return np.where(t.n_conf == 0, (t.n_pred == 0).astype(np.float64), (share - t.q) / t.room)


def direction_coverage(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """Number of claims over the number of real significant genes.

    Parameters
    ----------
    pair
        DE tables of both sides; the own target gene is left out.
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), ``n_pred / n_conf`` >= 0, without an upper bound; NaN without a real significant gene.

    Examples
    --------
    Six claims, four real significant genes: 1.5.
    """
    t = tally(pair, alpha, single_precision)
    return _ratio(t.n_pred, t.n_conf)


def direction_yield(
    pair: Pair, *, scale: Correction = "corrected", alpha: float = 0.05, single_precision: bool = False
) -> Values:
    """Right claims over the real significant genes.

    Parameters
    ----------
    pair
        DE tables of both sides; the own target gene is left out.
    scale
        ``raw``: ``k / n_conf``; ``corrected``: ``(k - q n_pred) / (n_conf max(1 - q, 0.05))``.
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), higher is better, without an upper bound; NaN without a real significant gene.

    Examples
    --------
    Four claims, three right, four real significant genes, q = 0.5: raw 0.75, corrected (3 - 2) / (4 · 0.5) = 0.5.
    """
    t = tally(pair, alpha, single_precision)
    return _ratio(t.k, t.n_conf) if scale == "raw" else _ratio(t.k - t.q * t.n_pred, t.n_conf) / t.room


def direction_fidelity_yield(
    pair: Pair, *, scale: Correction = "corrected", alpha: float = 0.05, single_precision: bool = False
) -> Values:
    """Fidelity of the claims, discounted where fewer are made than there are real significant genes.

    Parameters
    ----------
    pair
        DE tables of both sides; the own target gene is left out.
    scale
        ``raw``: ``k / max(n_pred, n_conf)``; ``corrected``: ``min(1, coverage) · fidelity``, 0 without a claim.
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), at most 1; 1 is best; raw NaN where there is neither a claim nor a real significant gene.

    Examples
    --------
    Two claims, both right, four real significant genes: raw 2/4 = 0.5.
    """
    t = tally(pair, alpha, single_precision)
    if scale == "raw":
        return _ratio(t.k, np.maximum(t.n_pred, t.n_conf))
    fidelity = direction_fidelity(pair, scale="corrected", alpha=alpha, single_precision=single_precision)
    value = np.minimum(1.0, _ratio(t.n_pred, t.n_conf)) * fidelity
    value = np.where((t.n_pred == 0) & ~np.isnan(t.q), 0.0, value)
    return np.where(t.n_conf == 0, fidelity, value)


def direction_reach(
    pair: Pair,
    *,
    scale: Correction = "corrected",
    pool: Pool = "real",
    alpha: float = 0.05,
    single_precision: bool = False,
) -> Values:
    """How many genes deep the claims stay right, over the real significant genes.

    Parameters
    ----------
    pair
        DE tables of both sides; the own target gene is left out.
    scale
        Share that must match: ``raw`` 0.9, ``corrected`` ``q + (1 - alpha) (1 - q)``.
    pool
        Genes that are ordered: the ``real`` significant ones, or ``all`` (unbounded).
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), >= 0 (at most 1 for pool ``real``); higher is better; NaN without a real significant gene.

    Notes
    -----
    Order: predicted p_adj, then p-value ascending, then larger fold change, then gene name. The deepest place where
    the share holds counts, not the first where it fails.

    Examples
    --------
    Ten real significant genes, the claim on the fifth wrong: 9 of 10 are right at the end: 1.
    """
    de = view(pair, alpha, single_precision)
    t = tally(pair, alpha, single_precision)
    purity = np.full(de.n, _PURITY_RAW) if scale == "raw" else t.q + (1.0 - alpha) * (1.0 - t.q)
    order = de.claimed_real if pool == "real" else de.claimed_all
    return np.where(np.isnan(purity), np.nan, _ratio(_depth(de, order, de.own, purity), t.n_conf))


def _enough_directed(pair: Pair, parameters: Mapping[str, Any]) -> Mask:
    real = view_of(pair, parameters).real
    return at_least(((real.lfc > 0) | (real.lfc < 0)).sum(axis=1))


_C, _R = {"scale": "corrected"}, {"scale": "raw"}
_INF = np.inf
_ROWS: tuple[
    tuple[
        str, Callable[..., Values], dict[str, Any], str, float | None, float | None, tuple[float, float], Gate | None
    ],
    ...,
] = (
    (
        "direction_precision",
        direction_precision,
        {},
        "share of right signs among Q, own gene kept",
        1.0,
        0.5,
        (0.0, 1.0),
        Gate(_enough_directed, 0.0, "at least 10 genes whose real fold change has a direction"),
    ),
    (
        "direction_sensitivity",
        direction_sensitivity,
        {"pool": "real"},
        "k*(1 - α/2) / |R| over R, own gene kept",
        1.0,
        None,
        (0.0, 1.0),
        ENOUGH_REAL,
    ),
    (
        "direction_sensitivity_universe",
        direction_sensitivity,
        {"pool": "all"},
        "k*(1 - α/2) / |R| over all genes, own gene kept",
        None,
        None,
        (0.0, _INF),
        ENOUGH_REAL,
    ),
    ("direction_fidelity", direction_fidelity, _C, "(k / n_pred - q) / max(1 - q, 0.05)", 1.0, 0.0, (-20.0, 1.0), None),
    ("direction_fidelity_raw", direction_fidelity, _R, "k / n_pred", 1.0, 0.5, (0.0, 1.0), None),
    ("direction_coverage", direction_coverage, {}, "n_pred / n_conf", None, None, (0.0, _INF), None),
    (
        "direction_yield",
        direction_yield,
        _C,
        "(k - q n_pred) / (n_conf max(1 - q, 0.05))",
        None,
        0.0,
        (-_INF, _INF),
        None,
    ),
    ("direction_yield_raw", direction_yield, _R, "k / n_conf", None, None, (0.0, _INF), None),
    (
        "direction_fidelity_yield",
        direction_fidelity_yield,
        _C,
        "min(1, n_pred / n_conf) · direction_fidelity",
        1.0,
        0.0,
        (-20.0, 1.0),
        None,
    ),
    (
        "direction_fidelity_yield_raw",
        direction_fidelity_yield,
        _R,
        "k / max(n_pred, n_conf)",
        1.0,
        None,
        (0.0, 1.0),
        None,
    ),
    (
        "direction_reach",
        direction_reach,
        _C | {"pool": "real"},
        "k*(q + (1 - α)(1 - q)) / n_conf over R",
        1.0,
        None,
        (0.0, 1.0),
        None,
    ),
    (
        "direction_reach_raw",
        direction_reach,
        _R | {"pool": "real"},
        "k*(0.9) / n_conf over R",
        1.0,
        None,
        (0.0, 1.0),
        None,
    ),
    (
        "direction_reach_unbounded",
        direction_reach,
        _C | {"pool": "all"},
        "k*(q + (1 - α)(1 - q)) / n_conf over all genes",
        None,
        None,
        (0.0, _INF),
        None,
    ),
    (
        "direction_reach_unbounded_raw",
        direction_reach,
        _R | {"pool": "all"},
        "k*(0.9) / n_conf over all genes",
        None,
        None,
        (0.0, _INF),
        None,
    ),
)
_MAJORITY = "Where most changed genes move one way, calling that way for all scores high."
_CALLED = "Only the prediction's calls are judged: few safe calls score high, see the yield."
_DEPTH = "Depends on the order of the predicted list: one wrong gene near the top ends it early."
_OVER = "May exceed 1: calls beyond the truly significant genes count too."
_PITFALLS = {
    "direction_precision": (_MAJORITY, _CALLED),
    "direction_sensitivity": (_DEPTH, "The own target gene is inside."),
    "direction_sensitivity_universe": (_DEPTH, _OVER, "The own target gene is inside."),
    "direction_fidelity": (_CALLED, "Falls to -20 where nearly all genes move one way and the calls are wrong."),
    "direction_fidelity_raw": (_MAJORITY, _CALLED),
    "direction_coverage": ("Right and wrong calls count alike.", _OVER),
    "direction_yield": (_OVER, "Unstable where nearly all genes move one way."),
    "direction_yield_raw": (_OVER, _MAJORITY),
    "direction_fidelity_yield": ("Unstable where nearly all genes move one way.",),
    "direction_fidelity_yield_raw": (
        _MAJORITY,
        "Calls beyond the truly significant genes dilute it.",
    ),
    "direction_reach": (_DEPTH,),
    "direction_reach_raw": (_DEPTH, _MAJORITY),
    "direction_reach_unbounded": (_DEPTH, _OVER),
    "direction_reach_unbounded_raw": (_DEPTH, _OVER, _MAJORITY),
}
for _name, _formula, _extra, _definition, _best, _chance, _bounds, _gate in _ROWS:
    register(
        MetricSpec(
            name=PREFIX + _name,
            aliases=(_name,),
            family="de_direction",
            needs=frozenset({"de"}),
            better="higher",
            best=_best,
            chance=_chance,
            bounds=_bounds,
            definition=_definition,
            formula=_formula,
            reference=getattr(reference, _formula.__name__),
            defaults=MappingProxyType({**_extra, **CALLS}),
            gate=_gate,
            parity=EXACT,
            source=SOURCE_V2,
            pitfalls=_PITFALLS[_name],
        )
    )
