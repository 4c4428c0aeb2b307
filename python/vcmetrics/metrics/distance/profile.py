"""Distances between profiles: one row of numbers a group.

Every formula takes ``aggregate``: ``"mean"`` (default), ``"median"``, or a callable ``f(cells, axis=0)``. Rows cost one
float64 sum over the cells (CSR is never made dense) and one kernel over groups × groups × features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vcmetrics.metrics.distance.registry import DistanceSpec, Pairs, Values, register
from vcmetrics.metrics.registry import Parity
from vcmetrics.reference import distance_profiles as reference
from vcmetrics.sources.cell_groups import CellGroups

_BLOCK = 256  # first profiles that one kernel call takes
_SPARSE = 16  # where fewer than one in so many pairs of rows is wanted, they are taken one by one


def profiles(cells: CellGroups, aggregate: Any) -> Values:
    """(n_groups, n_features) profiles."""
    if aggregate == "mean":
        return cells.means
    if aggregate == "median":
        return cells.medians
    if not callable(aggregate):
        msg = f"aggregate {aggregate!r} is not known; pass 'mean', 'median' or a function f(cells, axis=0)"
        raise ValueError(msg)
    return cells.aggregated(aggregate)


def profile_sums(table: Values, pairs: Pairs, term: str, n_threads: int) -> Values:
    """Σ over features of ``cityblock``, ``sqeuclidean`` or ``product`` for pairs of rows of ``table``.

    Whole blocks of the groups × groups table are computed, those that hold a wanted pair, in a fixed order of
    additions: equal rows have distance 0 and equal pairs equal sums.
    """
    from vcmetrics import _core

    table = np.ascontiguousarray(table)
    out = np.empty(len(pairs))
    order = np.argsort(pairs[:, 0], kind="stable")
    firsts, begin = np.unique(pairs[order, 0], return_index=True)
    edges = np.append(begin, len(pairs))
    for start in range(0, firsts.size, _BLOCK):
        stop = min(start + _BLOCK, firsts.size)
        chosen = order[edges[start] : edges[stop]]
        seconds, column = np.unique(pairs[chosen, 1], return_inverse=True)
        if chosen.size * _SPARSE < (stop - start) * seconds.size:
            out[chosen] = _row_by_row(table, pairs[chosen], term)
            continue
        row = np.searchsorted(firsts[start:stop], pairs[chosen, 0])
        sums = _core.pairwise_sums(table[firsts[start:stop]], table[seconds], term, None, n_threads)
        out[chosen] = sums[row, column.reshape(-1)]
    return out


def _row_by_row(table: Values, pairs: Pairs, term: str) -> Values:
    """The same for few pairs among many rows, as resampling has them."""
    out = np.empty(len(pairs))
    for start in range(0, len(pairs), _BLOCK):
        x, y = table[pairs[start : start + _BLOCK, 0]], table[pairs[start : start + _BLOCK, 1]]
        if term == "product":
            sums = np.einsum("ij,ij->i", x, y)
        else:
            sums = np.abs(x - y).sum(1) if term == "cityblock" else np.einsum("ij,ij->i", x - y, x - y)
        out[start : start + _BLOCK] = sums
    return out


def euclidean(cells: CellGroups, pairs: Pairs, *, aggregate: Any = "mean") -> Values:
    """Length of the difference of the profiles."""
    return np.sqrt(profile_sums(profiles(cells, aggregate), pairs, "sqeuclidean", cells.n_threads))


def sqeuclidean(cells: CellGroups, pairs: Pairs, *, aggregate: Any = "mean") -> Values:
    """Squared length of the difference of the profiles."""
    return profile_sums(profiles(cells, aggregate), pairs, "sqeuclidean", cells.n_threads)


def mse(cells: CellGroups, pairs: Pairs, *, aggregate: Any = "mean") -> Values:
    """Squared length of the difference, divided by the number of features."""
    return sqeuclidean(cells, pairs, aggregate=aggregate) / cells.n_features


def rmse(cells: CellGroups, pairs: Pairs, *, aggregate: Any = "mean") -> Values:
    """Root of the mean squared difference; it has the division by the number of features that pertpy's name lacks."""
    return np.sqrt(mse(cells, pairs, aggregate=aggregate))


def cityblock(cells: CellGroups, pairs: Pairs, *, aggregate: Any = "mean") -> Values:
    """Sum of absolute differences over features."""
    return profile_sums(profiles(cells, aggregate), pairs, "cityblock", cells.n_threads)


def mae(cells: CellGroups, pairs: Pairs, *, aggregate: Any = "mean") -> Values:
    """Sum of absolute differences, divided by the number of features."""
    return cityblock(cells, pairs, aggregate=aggregate) / cells.n_features


def _angle(table: Values, pairs: Pairs, similarity: bool, n_threads: int) -> Values:
    """1 - cosine of the angle as half a squared difference of unit vectors: 0 exactly for equal rows.

    A row without a direction (all zero, up to the rounding of its own centring) has NaN.
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", table, table))
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = np.where((lengths > 0)[:, None], table / lengths[:, None], np.nan)
    value = profile_sums(unit, pairs, "sqeuclidean", n_threads) / 2
    return 1 - value if similarity else value


def cosine(cells: CellGroups, pairs: Pairs, *, aggregate: Any = "mean", similarity: bool = False) -> Values:
    """1 - cosine similarity of the profiles; NaN for a zero profile."""
    return _angle(profiles(cells, aggregate), pairs, similarity, cells.n_threads)


def _centred(table: Values) -> Values:
    """Rows less their means; exactly zero where a row is constant."""
    out: Values = table - table.mean(1, keepdims=True)
    out[np.ptp(table, axis=1) == 0] = 0.0
    return out


def pearson(cells: CellGroups, pairs: Pairs, *, aggregate: Any = "mean", similarity: bool = False) -> Values:
    """1 - Pearson correlation of the profiles over features; NaN for a constant profile."""
    return _angle(_centred(profiles(cells, aggregate)), pairs, similarity, cells.n_threads)


def spearman(cells: CellGroups, pairs: Pairs, *, aggregate: Any = "mean", similarity: bool = False) -> Values:
    """1 - Pearson correlation of the mean ranks of the profiles' features; ranks are taken once a group."""
    from scipy.stats import rankdata

    ranks = np.asarray(rankdata(profiles(cells, aggregate), axis=1), np.float64)
    return _angle(_centred(ranks), pairs, similarity, cells.n_threads)


def kendall(
    cells: CellGroups,
    pairs: Pairs,
    *,
    aggregate: Any = "mean",
    similarity: bool = False,
    unit: str = "correlation",
) -> Values:
    """1 - tau_b of the profiles' features; with ``unit="pairs"`` times D (D - 1)/4: discordant pairs where none tie."""
    from vcmetrics import _core

    if unit not in ("correlation", "pairs"):
        msg = f"unit {unit!r} is not known; pass 'correlation' or 'pairs'"
        raise ValueError(msg)
    table = np.ascontiguousarray(profiles(cells, aggregate))
    tau = np.asarray(_core.kendall_tau(table, np.ascontiguousarray(pairs, np.int32), cells.n_threads), np.float64)
    # the product of two square roots may miss the number of pairs by rounding
    tau = np.where(np.abs(tau) > 1 - 4 * np.finfo(np.float64).eps, np.sign(tau), tau)
    if similarity:
        return tau
    n = cells.n_features
    return (1 - tau) * (n * (n - 1) / 4 if unit == "pairs" else 1.0)


def r2(cells: CellGroups, pairs: Pairs, *, aggregate: Any = "mean", similarity: bool = False) -> Values:
    """1 - R² with the first group as the truth: Σ(μx - μy)² / Σ(μx - mean μx)²; NaN where μx is constant."""
    table = profiles(cells, aggregate)
    centred = _centred(table)
    total = np.einsum("ij,ij->i", centred, centred)[pairs[:, 0]]
    left = profile_sums(table, pairs, "sqeuclidean", cells.n_threads)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(total > 0, left / total, np.nan)
    return 1 - value if similarity else value


_AGGREGATE = {"aggregate": "mean"}
_SIMILAR = {**_AGGREGATE, "similarity": False}
_MOVES = ("feature_order", "nonnegative", "translation")
_PERTPY = "pertpy 1.0.3, Distance"
# name, aliases, formula, reference, definition, defaults, laws, source
_ROWS: tuple[tuple[str, tuple[str, ...], Callable[..., Values], Callable[..., float], str, Any, Any, str], ...] = (
    ("euclidean", ("l2",), euclidean, reference.euclidean, "|μx - μy|", _AGGREGATE,
     (*_MOVES, "rotation", "scale:1"), f"{_PERTPY}('euclidean'); its 'root_mean_squared_error' is the same number"),
    ("sqeuclidean", (), sqeuclidean, reference.sqeuclidean, "|μx - μy|²", _AGGREGATE,
     (*_MOVES, "rotation", "scale:2"), "SciPy, spatial.distance.sqeuclidean of the profiles"),
    ("rmse", ("root_mean_squared_error",), rmse, reference.rmse, "sqrt(|μx - μy|² / D)", _AGGREGATE,
     (*_MOVES, "rotation", "scale:1"), "PerturBench, metric 'rmse'; scikit-learn, root_mean_squared_error"),
    ("mse", ("mean_squared_error",), mse, reference.mse, "|μx - μy|² / D", _AGGREGATE,
     (*_MOVES, "rotation", "scale:2"), f"{_PERTPY}('mse')"),
    ("mae", ("mean_absolute_error",), mae, reference.mae, "Σ|μx - μy| / D", _AGGREGATE,
     (*_MOVES, "scale:1"), f"{_PERTPY}('mean_absolute_error')"),
    ("cityblock", ("l1", "manhattan"), cityblock, reference.cityblock, "Σ|μx - μy|", _AGGREGATE,
     (*_MOVES, "scale:1"), "SciPy, spatial.distance.cityblock of the profiles"),
    ("cosine", ("cosine_distance",), cosine, reference.cosine, "1 - μx·μy / (|μx| |μy|)", _SIMILAR,
     ("feature_order", "nonnegative", "rotation", "scale:0"), f"{_PERTPY}('cosine_distance')"),
    ("pearson", ("pearson_distance", "correlation"), pearson, reference.pearson, "1 - Pearson(μx, μy) over features",
     _SIMILAR, ("feature_order", "nonnegative", "scale:0"), f"{_PERTPY}('pearson_distance')"),
    ("spearman", ("spearman_distance",), spearman, reference.spearman, "1 - Pearson of the mean ranks of μx and μy",
     _SIMILAR, ("feature_order", "nonnegative", "scale:0"), f"{_PERTPY}('spearman_distance')"),
    ("kendall", ("kendalltau_distance",), kendall, reference.kendall, "1 - τ_b(μx, μy); pairs: · D(D - 1)/4",
     {**_SIMILAR, "unit": "correlation"}, ("feature_order", "nonnegative", "scale:0"),
     f"{_PERTPY}('kendalltau_distance') with unit='pairs'"),
    ("r2", ("r2_distance", "r2_score"), r2, reference.r2, "Σ(μx - μy)² / Σ(μx - mean μx)²", _SIMILAR,
     ("feature_order", "nonnegative", "scale:0"), f"{_PERTPY}('r2_distance'); 1 - R², x is the truth"),
)  # fmt: skip
for _name, _aliases, _formula, _reference, _definition, _defaults, _laws, _source in _ROWS:
    register(
        DistanceSpec(
            name=_name,
            aliases=_aliases,
            kind="profile",
            symmetric=_name != "r2",
            definition=_definition,
            formula=_formula,
            reference=_reference,
            defaults=_defaults,
            invariants=_laws,
            # profiles are float64 means, angles are differences of unit vectors
            parity=Parity(rtol=1e-11, atol=1e-13),
            source=_source,
        )
    )
