"""Energy distance and mean pairwise distance between groups of cells.

``estimator="v"`` divides the means inside a group by n² (the zero diagonal counts), ``"u"`` by n(n - 1). One cell has
no pair for ``"u"``: its group's values are NaN, or with ``one_cell="zero"`` its inside mean is taken as 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vcmetrics.metrics.distance.numbers import not_negative
from vcmetrics.metrics.distance.pair_means import check_estimator, pair_means, without_diagonal
from vcmetrics.metrics.distance.profile import profile_sums
from vcmetrics.metrics.distance.registry import DistanceSpec, Pairs, Values, register
from vcmetrics.metrics.registry import Parity
from vcmetrics.reference import distance_cells as reference
from vcmetrics.sources.cell_groups import CellGroups

CELL_METRICS = ("euclidean", "sqeuclidean", "cityblock", "cosine")
# these have no kernel: blocks of SciPy's cdist
SCIPY_CELL_METRICS = ("braycurtis", "canberra", "chebyshev", "correlation", "hamming")
_OTHER_NAMES = {"l1": "cityblock", "manhattan": "cityblock", "l2": "euclidean"}


def check_one_cell(one_cell: str) -> None:
    """Refuse another word."""
    if one_cell not in ("nan", "zero"):
        msg = f"one_cell {one_cell!r} is not known; pass 'nan' or 'zero'"
        raise ValueError(msg)


def cell_metric_name(cell_metric: str) -> str:
    """The name that a distance between two cells has here; refuses what is none: kernels belong to ``mmd``."""
    name = _OTHER_NAMES.get(cell_metric, cell_metric)
    if name not in CELL_METRICS + SCIPY_CELL_METRICS:
        known = ", ".join((*CELL_METRICS, *SCIPY_CELL_METRICS))
        msg = f"cell_metric {cell_metric!r} is not known; choose from {known}"
        raise ValueError(msg)
    return name


def own_pairs(pairs: Pairs) -> tuple[Pairs, Pairs]:
    """Each group of ``pairs`` with itself, once, and the place of both groups of a pair among them."""
    groups, place = np.unique(pairs, return_inverse=True)
    return np.repeat(groups[:, None], 2, axis=1).astype(np.int32), place.reshape(pairs.shape).astype(np.int32)


def edistance(
    cells: CellGroups,
    pairs: Pairs,
    *,
    estimator: str = "v",
    cell_metric: str = "euclidean",
    one_cell: str = "nan",
    floor: float = 0.0,
    halved: bool = False,
) -> Values:
    """2 mean d(x, y) - mean d(x, x') - mean d(y, y').

    Parameters
    ----------
    cells, pairs
        Groups, and which of them.
    estimator, one_cell
        See the module.
    cell_metric
        d: ``euclidean``, ``sqeuclidean`` (closed form, no pairs of cells), ``cityblock``, ``cosine``; and as SciPy has
        them, much slower: ``braycurtis``, ``canberra``, ``chebyshev``, ``correlation``, ``hamming``.
    floor
        d = sqrt(max(d², floor)), as one scorer has it; Euclidean V-statistic only.
    halved
        Half of it, which is the MMD² of the kernel -d.

    Returns
    -------
    (n_pairs,); >= 0 for ``"v"`` and a Euclidean d; ``"u"`` may be negative. A group has 0 to itself (NaN for ``"u"`` of
    one cell).

    Notes
    -----
    Cost: D operations a pair of cells, each inside mean once a group; ``sqeuclidean`` one read of the cells.
    """
    check_one_cell(one_cell)
    cell_metric = cell_metric_name(cell_metric)
    not_negative(floor=floor)
    if floor and (cell_metric != "euclidean" or estimator != "v"):
        msg = f"floor={floor} needs cell_metric='euclidean' and estimator='v'"
        raise ValueError(msg)
    if floor:
        out = _floored(cells, pairs, floor)
    elif cell_metric == "sqeuclidean":
        out = _squared(cells, pairs, estimator, one_cell)
    else:
        own, place = own_pairs(pairs)
        means = _cell_means(cells, np.concatenate([own, pairs]), cell_metric, estimator)
        inside, cross = means[: len(own)], means[len(own) :]
        if one_cell == "zero":
            inside = np.where(cells.sizes[own[:, 0]] == 1, 0.0, inside)
        out = (cross - inside[place[:, 0]]) + (cross - inside[place[:, 1]])
        # a group is at 0 from itself, unless its own inside mean is undefined
        out = np.where(pairs[:, 0] == pairs[:, 1], 0.0 * inside[place[:, 0]], out)
    return out / 2 if halved else out


def _squared(cells: CellGroups, pairs: Pairs, estimator: str, one_cell: str) -> Values:
    """V: 2 |μx - μy|²; U: less 2 (tr S_x / n + tr S_y / m)."""
    check_estimator(estimator)
    out = 2.0 * profile_sums(cells.means, pairs, "sqeuclidean", cells.n_threads)
    if estimator == "v":
        return out
    n = cells.sizes.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        noise = cells.total_variances / (n * (n - 1))
    noise[n == 1] = 0.0 if one_cell == "zero" else np.nan
    first, second = noise[pairs[:, 0]], noise[pairs[:, 1]]
    return np.where(pairs[:, 0] == pairs[:, 1], 0.0 * first, out - 2.0 * (first + second))


def _floored(cells: CellGroups, pairs: Pairs, floor: float) -> Values:
    """V-statistic with a floor under the squared distances."""

    def distances(x: Values, y: Values) -> Values:
        away = x[:, None, :] - y[None, :, :]
        return np.asarray(np.sqrt(np.maximum(np.einsum("ijk,ijk->ij", away, away), floor)))

    own, place = own_pairs(pairs)
    means = _block_means(cells, np.concatenate([own, pairs]), distances)
    inside, cross = means[: len(own)], means[len(own) :]
    energy = (cross - inside[place[:, 0]]) + (cross - inside[place[:, 1]])
    return np.asarray(np.where(pairs[:, 0] == pairs[:, 1], 0.0, energy))


def _block_means(cells: CellGroups, pairs: Pairs, distances: Callable[..., Any]) -> Values:
    """Mean of ``distances(x, y)`` over all ordered pairs of cells, pair of groups by pair, in blocks of rows."""
    means = np.full(len(pairs), np.nan)
    for k, (a, b) in enumerate(pairs.tolist()):
        x, y = cells.block(a), cells.block(b)
        if not len(x) or not len(y):
            continue
        step = max(1, (1 << 20) // max(1, y.size))
        total = sum(float(distances(x[first : first + step], y).sum()) for first in range(0, len(x), step))
        means[k] = total / (len(x) * len(y))
    return means


def _cell_means(cells: CellGroups, pairs: Pairs, cell_metric: str, estimator: str) -> Values:
    """Mean distances of cells, by a kernel where there is one."""
    if cell_metric in CELL_METRICS:
        return pair_means(cells, pairs, cell_metric, estimator=estimator)
    from scipy.spatial.distance import cdist

    check_estimator(estimator)
    means = _block_means(cells, pairs, lambda x, y: cdist(x, y, cell_metric))
    return without_diagonal(means, pairs, cells.sizes) if estimator == "u" else means


def mean_pairwise(
    cells: CellGroups,
    pairs: Pairs,
    *,
    estimator: str = "v",
    cell_metric: str = "euclidean",
    one_cell: str = "nan",
) -> Values:
    """Mean d(x, y) over all pairs of cells; of a group with itself as ``estimator`` says."""
    check_one_cell(one_cell)
    cell_metric = cell_metric_name(cell_metric)
    check_estimator(estimator)
    if cell_metric == "sqeuclidean":
        n = cells.sizes.astype(np.float64)
        spread = cells.total_variances / n
        out = profile_sums(cells.means, pairs, "sqeuclidean", cells.n_threads)
        out = out + spread[pairs[:, 0]] + spread[pairs[:, 1]]
        if estimator == "u":
            own = pairs[:, 0] == pairs[:, 1]
            m = n[pairs[:, 0]]
            with np.errstate(invalid="ignore", divide="ignore"):
                out = np.where(own, out * m / (m - 1), out)
    else:
        out = _cell_means(cells, pairs, cell_metric, estimator)
    if one_cell == "zero":
        out = np.where((pairs[:, 0] == pairs[:, 1]) & (cells.sizes[pairs[:, 0]] == 1), 0.0, out)
    return np.asarray(out)


_PAIRS = {"estimator": "v", "cell_metric": "euclidean", "one_cell": "nan"}
register(
    DistanceSpec(
        name="edistance",
        aliases=("energy", "e_distance"),
        kind="cells",
        symmetric=True,
        definition="2 mean d(x, y) - mean d(x, x') - mean d(y, y')",
        formula=edistance,
        reference=reference.edistance,
        defaults={**_PAIRS, "floor": 0.0, "halved": False},
        invariants=("feature_order", "nonnegative", "translation", "rotation", "scale:1"),
        # a small difference of float64 means of distances that are summed in double
        parity=Parity(rtol=1e-8, atol=1e-9),
        source="Székely & Rizzo (2013), J. Stat. Plan. Inference 143:1249; pertpy, scperturb, cell-eval by parameters",
    )
)
register(
    DistanceSpec(
        name="mean_pairwise",
        kind="cells",
        symmetric=True,
        definition="mean d(x, y)",
        formula=mean_pairwise,
        reference=reference.mean_pairwise,
        defaults=_PAIRS,
        invariants=("feature_order", "nonnegative", "translation", "rotation", "scale:1"),
        zero_self=False,
        parity=Parity(rtol=1e-10, atol=1e-12),
        source="pertpy 1.0.3, Distance('mean_pairwise')",
    )
)
