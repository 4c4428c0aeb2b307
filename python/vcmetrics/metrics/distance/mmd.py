"""Maximum mean discrepancy: mean k(x, x') + mean k(y, y') - 2 mean k(x, y), squared (no root) unless asked.

Linear and quadratic kernels have closed forms that need no pair of cells: |μx - μy|² and
γ² |XᵀX/n - YᵀY/m|² + 2 γ c |μx - μy|². They are never the small difference of three large kernel means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.distance.energy import check_one_cell, own_pairs
from vcmetrics.metrics.distance.pair_means import pair_means
from vcmetrics.metrics.distance.profile import profile_sums
from vcmetrics.metrics.distance.registry import DistanceSpec, Pairs, Values, register
from vcmetrics.metrics.registry import Parity
from vcmetrics.reference import distance_cells as reference
from vcmetrics.sources.cell_groups import CellGroups

KERNELS = ("linear", "poly", "rbf", "braycurtis", "tanimoto", "ruzicka")
_TABLE = 1 << 24  # numbers in one piece of the groups × D² table of second moments
_SAMPLE = 1000  # cells whose distances give the median bandwidth


def mmd(
    cells: CellGroups,
    pairs: Pairs,
    *,
    kernel: str = "linear",
    gamma: float | Sequence[float] | str = 1.0,
    degree: int = 2,
    coef0: float = 0.0,
    estimator: str = "v",
    one_cell: str = "nan",
    combine: str = "mean",
    truncate: bool = False,
    root: bool = False,
) -> Values:
    """Squared MMD between the cells of two groups.

    Parameters
    ----------
    cells, pairs
        Groups, and which of them.
    kernel
        ``linear`` x·y; ``poly`` (γ x·y + coef0)^degree; ``rbf`` exp(-γ |x - y|²); ``braycurtis``
        2 Σmin/(Σx + Σy); ``tanimoto`` x·y/(|x|² + |y|² - x·y); ``ruzicka`` Σmin/Σmax.
    gamma
        γ; for ``rbf`` also several, or ``"median"``: 1/(2 m²), m the median distance between cells of the whole call
        (1000 of them, evenly spaced, where there are more), so that all pairs of groups share one kernel.
    degree, coef0
        Of ``poly``.
    estimator, one_cell
        ``"v"``: means over all n² pairs; ``"u"``: without a cell's pair with itself, NaN for one cell unless
        ``one_cell="zero"``.
    combine
        Several bandwidths: their ``"mean"`` or their ``"sum"``.
    truncate
        Cut both groups to the first min(n, m) cells. The value then depends on the order of the cells.
    root
        sqrt(max(0, MMD²)).

    Returns
    -------
    (n_pairs,); 0 for a group and itself; >= 0 for ``"v"`` up to rounding, at most 2 (times the number of summed
    kernels) for kernels within [0, 1].

    Notes
    -----
    Cost: one read of the cells for ``linear``; D² a cell for ``poly`` of degree 2; else D operations a pair of cells,
    once for all bandwidths.
    """
    check_one_cell(one_cell)
    if kernel not in KERNELS:
        msg = f"kernel {kernel!r} is not known; choose from {', '.join(KERNELS)}"
        raise ValueError(msg)
    if combine not in ("mean", "sum"):
        msg = f"combine {combine!r} is not known; pass 'mean' or 'sum'"
        raise ValueError(msg)
    if estimator not in ("v", "u"):
        msg = f"estimator {estimator!r} is not known; pass 'v' or 'u'"
        raise ValueError(msg)
    gammas = bandwidths(cells, gamma, kernel)
    values = _cut(cells, pairs, kernel, gammas, degree, coef0, estimator, one_cell) if truncate else None
    if values is None:
        values = _squared(cells, pairs, kernel, gammas, degree, coef0, estimator, one_cell)
    out = values.mean(0) if combine == "mean" else values.sum(0)
    return np.sqrt(np.maximum(out, 0.0)) if root else np.asarray(out)


def bandwidths(cells: CellGroups, gamma: Any, kernel: str) -> list[float]:
    """Values of γ as numbers."""
    if isinstance(gamma, str):
        if gamma != "median" or kernel != "rbf":
            msg = f"gamma {gamma!r} is not known; pass a number, several (rbf), or 'median' (rbf)"
            raise ValueError(msg)
        return [median_gamma(cells)]
    found = [float(g) for g in np.atleast_1d(np.asarray(gamma, np.float64))]
    if not found or not all(np.isfinite(g) and g > 0 for g in found):
        msg = f"gamma is {gamma!r}; pass positive numbers"
        raise ValueError(msg)
    if len(found) > 1 and kernel != "rbf":
        msg = f"kernel {kernel!r} takes one gamma, not {len(found)}"
        raise ValueError(msg)
    return found


def median_gamma(cells: CellGroups) -> float:
    """1/(2 m²), m the median Euclidean distance between two different cells; 1 where that is 0."""
    from vcmetrics import _core

    used = np.flatnonzero(cells.codes >= 0)
    if used.size > _SAMPLE:
        used = used[np.linspace(0, used.size - 1, _SAMPLE).astype(np.int64)]
    x = np.ascontiguousarray(cells.cells(used), np.float64)
    squared = _core.pairwise_sums(x, x, "sqeuclidean", None, cells.n_threads)
    if used.size < 2:
        return 1.0
    middle = float(np.median(np.sqrt(squared[np.triu_indices(used.size, 1)])))
    return 1.0 / (2.0 * middle**2) if middle > 0 else 1.0


def _squared(
    cells: CellGroups,
    pairs: Pairs,
    kernel: str,
    gammas: list[float],
    degree: int,
    coef0: float,
    estimator: str,
    one_cell: str,
) -> Values:
    """(n_gammas, n_pairs) values of the kernel."""
    if kernel == "linear":
        return _closed(cells, pairs, cells.total_variances / cells.sizes, 1, 1.0, 0.0, estimator, one_cell)[None]
    if kernel == "poly" and degree in (1, 2):
        return _closed(cells, pairs, None, degree, gammas[0], coef0, estimator, one_cell)[None]
    own, place = own_pairs(pairs)
    wanted = np.concatenate([own, pairs])
    if kernel == "poly":
        means = _poly_means(cells, wanted, gammas[0], degree, coef0, estimator)[None]
    else:
        means = pair_means(
            cells, wanted, kernel, gammas=gammas if kernel == "rbf" else None, estimator=estimator
        ).reshape(-1, len(wanted))
    inside, cross = means[:, : len(own)], means[:, len(own) :]
    if one_cell == "zero" and estimator == "u":
        inside = np.where(cells.sizes[own[:, 0]] == 1, 0.0, inside)
    out = (inside[:, place[:, 0]] - cross) + (inside[:, place[:, 1]] - cross)
    same = pairs[:, 0] == pairs[:, 1]
    return np.where(same, 0.0 * inside[:, place[:, 0]], out)


def _closed(
    cells: CellGroups,
    pairs: Pairs,
    noise: Values | None,
    degree: int,
    gamma: float,
    coef0: float,
    estimator: str,
    one_cell: str,
) -> Values:
    """V from moments; U = V - Σ over both groups of (mean k(x, x) - mean k(x, x')) / (n - 1)."""
    first = profile_sums(cells.means, pairs, "sqeuclidean", cells.n_threads)
    out = first if noise is not None else gamma * first
    if degree == 2:
        second, squares, diagonal = _second_moments(cells, pairs, gamma, coef0)
        out = gamma**2 * second + 2 * gamma * coef0 * first
    if estimator == "v":
        return out
    n = cells.sizes.astype(np.float64)
    if noise is None:
        # mean k(x, x) - mean k(x, x') over all pairs; for degree 1 that is γ times the variance
        noise = gamma * cells.total_variances / n if degree == 1 else diagonal - squares
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = noise / (n - 1)
    excess[n == 1] = 0.0 if one_cell == "zero" else np.nan
    a, b = excess[pairs[:, 0]], excess[pairs[:, 1]]
    return np.where(pairs[:, 0] == pairs[:, 1], 0.0 * a, out - a - b)


def _second_moments(cells: CellGroups, pairs: Pairs, gamma: float, coef0: float) -> tuple[Values, Values, Values]:
    """|XᵀX/n - YᵀY/m|² of pairs; mean k over all pairs inside each group, and over its diagonal, for degree 2.

    The D × D matrices of all groups are made in pieces of their rows.
    """
    from vcmetrics import _core

    d, n_groups = cells.n_features, cells.n_groups
    step = max(1, _TABLE // max(1, n_groups * d))
    groups = np.flatnonzero(cells.sizes).tolist()
    apart, squares = np.zeros(len(pairs)), np.zeros(n_groups)
    diagonal = np.full(n_groups, np.nan)
    for start in range(0, d, step):
        stop = min(start + step, d)
        table = np.full((n_groups, (stop - start) * d), np.nan)
        for group in groups:
            turned = np.ascontiguousarray(cells.block(group).T)
            moments = _core.pairwise_sums(turned[start:stop], turned, "product", None, cells.n_threads)
            table[group] = moments.reshape(-1) / cells.sizes[group]
            if start == 0:
                diagonal[group] = float(((gamma * (turned**2).sum(0) + coef0) ** 2).mean())
        apart += profile_sums(table, pairs, "sqeuclidean", cells.n_threads)
        squares += np.einsum("ij,ij->i", table, table)
    lengths = np.einsum("ij,ij->i", cells.means, cells.means)
    return apart, gamma**2 * squares + 2 * gamma * coef0 * lengths + coef0**2, diagonal


def _poly_means(cells: CellGroups, pairs: Pairs, gamma: float, degree: int, coef0: float, estimator: str) -> Values:
    """Means of (γ x·y + c)^degree, in blocks of rows."""
    from vcmetrics import _core

    out = np.empty(len(pairs))
    for k, (a, b) in enumerate(pairs.tolist()):
        x, y = cells.block(a), cells.block(b)
        step = max(1, (1 << 22) // max(1, len(y)))
        total = 0.0
        for first in range(0, len(x), step):
            products = _core.pairwise_sums(x[first : first + step], y, "product", None, cells.n_threads)
            total += float(((gamma * products + coef0) ** degree).sum())
        if a == b and estimator == "u":
            total -= float(((gamma * (x**2).sum(1) + coef0) ** degree).sum())
            out[k] = total / (len(x) * (len(x) - 1)) if len(x) > 1 else np.nan
        else:
            out[k] = total / (len(x) * len(y))
    return out


def _cut(cells: CellGroups, pairs: Pairs, *how: Any) -> NDArray[np.float64]:
    """Pair by pair, both groups cut to the size of the smaller one."""
    out = []
    pair = np.array([[0, 1]], np.int32)
    for a, b in pairs.tolist():
        n = int(min(cells.sizes[a], cells.sizes[b]))
        first, second = cells.members(a)[:n], cells.members(b)[:n]
        codes = np.repeat(np.array([0, 1], np.int32), n)
        part = cells.resample(np.concatenate([first, second]), codes)
        part = part.regrouped((cells.labels[a], cells.labels[b]), codes)
        found = _squared(part, pair, *how)[:, 0]
        out.append(found * 0.0 if a == b else found)
    return np.array(out).reshape(len(pairs), -1).T


register(
    DistanceSpec(
        name="mmd",
        kind="cells",
        symmetric=True,
        definition="mean k(x, x') + mean k(y, y') - 2 mean k(x, y); linear kernel: |μx - μy|²",
        formula=mmd,
        reference=reference.mmd,
        defaults={
            "kernel": "linear",
            "gamma": 1.0,
            "degree": 2,
            "coef0": 0.0,
            "estimator": "v",
            "one_cell": "nan",
            "combine": "mean",
            "truncate": False,
            "root": False,
        },
        invariants=("feature_order", "nonnegative", "translation", "rotation", "scale:2"),
        # the reference is a difference of three kernel means
        parity=Parity(rtol=1e-8, atol=1e-9),
        source="Gretton et al. (2012), JMLR 13:723; pertpy 1.0.3, Distance('mmd'); CellFlow; Broad obesity challenge",
    )
)
