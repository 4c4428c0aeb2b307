"""Distances between means and variances, or means and covariances, of two groups."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import VcmetricsWarning
from vcmetrics.metrics.distance.registry import DistanceSpec, Pairs, Values, register
from vcmetrics.metrics.registry import Parity
from vcmetrics.reference import distance_moments as reference
from vcmetrics.sources.cell_groups import CellGroups
from vcmetrics.sources.genes import some

_BLOCK = 1 << 21  # pairs × features at a time


def _chunks(cells: CellGroups, pairs: Pairs) -> Iterator[slice]:
    step = max(1, _BLOCK // max(1, cells.n_features))
    for start in range(0, len(pairs), step):
        yield slice(start, start + step)


def t_test(cells: CellGroups, pairs: Pairs, *, var_floor: float = 1e-8) -> Values:
    """Mean over features of |μx - μy| / sqrt(vx/n + vy/m), v the variance (n - 1) plus ``var_floor``.

    NaN where a group has one cell: its variance is unknown.
    """
    means, n = cells.means, cells.sizes.astype(np.float64)
    errors = (cells.variances(1) + var_floor) / n[:, None]
    out = np.empty(len(pairs))
    for part in _chunks(cells, pairs):
        a, b = pairs[part, 0], pairs[part, 1]
        with np.errstate(invalid="ignore", divide="ignore"):
            out[part] = (np.abs(means[a] - means[b]) / np.sqrt(errors[a] + errors[b])).mean(1)
    return out


def sym_kldiv(cells: CellGroups, pairs: Pairs, *, std_floor: float = 1e-8, one_cell: str = "nan") -> Values:
    """Symmetric Kullback-Leibler divergence of Gaussians, feature by feature, averaged.

    Parameters
    ----------
    cells, pairs
        Groups, and which of them.
    std_floor
        Added to each standard deviation (population, ÷n).
    one_cell
        ``"nan"``: a group of one cell has no spread, its values are NaN. ``"floor"``: its spread is ``std_floor``, and
        the value astronomic.

    Returns
    -------
    (n_pairs,): mean of (sx² + δ²)/(2 sy²) + (sy² + δ²)/(2 sx²) - 1.
    """
    if one_cell not in ("nan", "floor"):
        msg = f"one_cell {one_cell!r} is not known; pass 'nan' or 'floor'"
        raise ValueError(msg)
    means = cells.means
    squares = (np.sqrt(cells.variances(0)) + std_floor) ** 2
    if one_cell == "nan":
        squares[cells.sizes == 1] = np.nan
    out = np.empty(len(pairs))
    for part in _chunks(cells, pairs):
        a, b = pairs[part, 0], pairs[part, 1]
        away = (means[a] - means[b]) ** 2
        with np.errstate(invalid="ignore", divide="ignore"):
            terms = (squares[a] + away) / (2 * squares[b]) + (squares[b] + away) / (2 * squares[a]) - 1
        out[part] = terms.mean(1)
    return out


def frechet(cells: CellGroups, pairs: Pairs, *, ridge: float = 0.0, root: bool = False) -> Values:
    """Fréchet distance of two Gaussians: |μx - μy|² + tr(Sx + Sy - 2 (Sx Sy)^½).

    Parameters
    ----------
    cells, pairs
        Groups, and which of them.
    ridge
        Added to the diagonal of both covariances (n - 1). None is needed: the square root comes from singular
        values of the centred cells, which no singular covariance disturbs.
    root
        Its square root, the Wasserstein-2 distance of the Gaussians.

    Returns
    -------
    (n_pairs,), >= 0; NaN where a group has one cell. Biased upwards for few cells: compare at equal sizes.

    Notes
    -----
    Cost: D² a cell once a group, and singular values of a min(n, D) × min(m, D) matrix a pair.
    """
    from vcmetrics.metrics.distance.profile import profile_sums

    out = profile_sums(cells.means, pairs, "sqeuclidean", cells.n_threads)
    roots = {int(group): _root(cells, int(group), ridge) for group in np.unique(pairs)}
    for k, (a, b) in enumerate(pairs.tolist()):
        x, y = roots[a], roots[b]
        if x is None or y is None:
            out[k] = np.nan
        elif a == b:
            out[k] = 0.0
        else:
            spread = float((x**2).sum() + (y**2).sum() - 2 * np.linalg.svd(x @ y.T, compute_uv=False).sum())
            out[k] += max(spread, 0.0)
    return np.sqrt(out) if root else out


def _root(cells: CellGroups, group: int, ridge: float) -> Values | None:
    """A with AᵀA the covariance plus the ridge, at most D rows; None for one cell."""
    n, d = int(cells.sizes[group]), cells.n_features
    if n < 2:
        return None
    centred = (cells.block(group) - cells.means[group]) / np.sqrt(n - 1)
    if ridge:
        centred = np.concatenate([centred, np.sqrt(ridge) * np.eye(d)])
    return np.asarray(np.linalg.qr(centred, mode="r") if len(centred) > d else centred)


def mahalanobis(
    cells: CellGroups, pairs: Pairs, *, covariance: str = "first", shrinkage: float | str | None = None
) -> Values:
    """sqrt(δᵀ S⁻¹ δ), δ the difference of the means.

    Parameters
    ----------
    cells, pairs
        Groups, and which of them.
    covariance
        S: of the ``"first"`` group alone (n - 1), or ``"pooled"`` over both.
    shrinkage
        None, a number s in (0, 1], or ``"ledoit-wolf"``: S becomes (1 - s) S + s tr(S)/D · I.

    Returns
    -------
    (n_pairs,); 0 for a group and itself; else NaN, with one warning that names the groups, where S is singular, as it
    is for n <= D without shrinkage.
    """
    if covariance not in ("first", "pooled"):
        msg = f"covariance {covariance!r} is not known; pass 'first' or 'pooled'"
        raise ValueError(msg)
    if not (shrinkage is None or shrinkage == "ledoit-wolf" or (_is_number(shrinkage) and 0 < float(shrinkage) <= 1)):
        msg = f"shrinkage {shrinkage!r} is not known; pass None, a number in (0, 1], or 'ledoit-wolf'"
        raise ValueError(msg)
    out = np.full(len(pairs), np.nan)
    own: dict[int, Values] = {}
    bad: dict[str, None] = {}
    key = pairs[:, :1] if covariance == "first" else np.sort(pairs, axis=1)
    same = pairs[:, 0] == pairs[:, 1]
    out[same] = 0.0
    for groups in np.unique(key[~same], axis=0).tolist():
        chosen = np.flatnonzero((key == groups).all(1) & ~same)
        factor = _cholesky(cells, groups, shrinkage, own)
        if factor is None:
            bad.update(dict.fromkeys(cells.labels[g] for g in groups))
            continue
        delta = cells.means[pairs[chosen, 0]] - cells.means[pairs[chosen, 1]]
        from scipy.linalg import solve_triangular

        scaled = solve_triangular(factor, delta.T, lower=True)
        out[chosen] = np.sqrt((scaled**2).sum(0))
    if bad:
        msg = (
            f"{cells.name}: the covariance of {some(list(bad))} is singular (too few cells for {cells.n_features} "
            "features), so their Mahalanobis distances are NaN; pass shrinkage='ledoit-wolf' or a number"
        )
        warnings.warn(msg, VcmetricsWarning, stacklevel=2)
    return out


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _cholesky(cells: CellGroups, groups: list[int], shrinkage: Any, own: dict[int, Values]) -> Values | None:
    """Lower factor of the covariance of one group, or pooled over two; None where it is singular."""
    total, left = np.zeros((cells.n_features, cells.n_features)), 0
    centred = []
    for group in dict.fromkeys(groups):
        centred.append(cells.block(group) - cells.means[group])
        if group not in own:
            own[group] = centred[-1].T @ centred[-1]
        total += own[group]
        left += int(cells.sizes[group]) - 1
    if left < 1:
        return None
    covariance = total / left
    d = cells.n_features
    if shrinkage is not None:
        share = ledoit_wolf(np.concatenate(centred)) if shrinkage == "ledoit-wolf" else float(shrinkage)
        covariance = (1 - share) * covariance + share * np.trace(covariance) / d * np.eye(d)
    values = np.linalg.eigvalsh(covariance)
    if not values[0] > d * np.finfo(np.float64).eps * values[-1]:
        return None
    return np.asarray(np.linalg.cholesky(covariance))


def ledoit_wolf(centred: Values) -> float:
    """Shrinkage towards tr(S)/D · I that minimises the expected squared error; 0 … 1."""
    n, d = centred.shape
    squared = float(((centred.T @ centred / n) ** 2).sum())
    mean = float((centred**2).sum()) / (n * d)
    away = squared - d * mean**2
    noise = (float(((centred**2).sum(1) ** 2).sum()) / n - squared) / n
    return min(max(noise, 0.0), away) / away if away > 0 else 1.0


def mean_var_distribution(cells: CellGroups, pairs: Pairs, *, n_points: int = 100) -> Values:
    """How the clouds of (log mean, log variance) of the features differ.

    Parameters
    ----------
    cells, pairs
        Groups, and which of them.
    n_points
        Grid points along each axis.

    Returns
    -------
    (n_pairs,): mean over a grid that spans both clouds of the squared difference of their kernel densities
    (exponential kernel, bandwidth k^(-1/6) for k points). Features without mean > 0 or without variance (÷n) have no
    logarithm and are left out; NaN where fewer than two remain.

    Notes
    -----
    Cost: n_points² × features exponentials a group and pair, for the grid is the pair's.
    """
    points: dict[int, NDArray[np.float64]] = {}
    variances = cells.variances(0)
    for group in np.unique(pairs).tolist():
        kept = (cells.means[group] > 0) & (variances[group] > 0)
        points[group] = np.log(np.stack([cells.means[group][kept], variances[group][kept]], axis=1))
    out = np.full(len(pairs), np.nan)
    for k, (a, b) in enumerate(pairs.tolist()):
        x, y = points[a], points[b]
        if len(x) < 2 or len(y) < 2:
            continue
        grid = [_axis(np.concatenate([x[:, axis], y[:, axis]]), n_points) for axis in (0, 1)]
        if a == b:
            out[k] = 0.0
            continue
        out[k] = float(((density(x, grid) - density(y, grid)) ** 2).mean())
    return out


def _axis(values: Values, n_points: int) -> Values:
    """Midpoints of bins: as many over the range as there are points less two, and one on either side."""
    low, high = float(values.min()), float(values.max())
    step = (high - low) / (n_points - 2)
    return np.asarray(low - 0.5 * step + step * np.arange(n_points), np.float64)


def density(points: Values, grid: list[Values]) -> Values:
    """Mean over the points of exp(-r/h)/(2π h²) on the grid, h = k^(-1/6)."""
    h = len(points) ** (-1 / 6)
    out = np.empty((grid[0].size, grid[1].size))
    across = (grid[1][:, None] - points[:, 1]) ** 2
    for i, u in enumerate(grid[0].tolist()):
        out[i] = np.exp(-np.sqrt((u - points[:, 0]) ** 2 + across) / h).sum(1)
    return np.asarray(out / (2 * np.pi * h**2 * len(points)), np.float64)


_PERTPY = "pertpy 1.0.3, Distance"
# name, aliases, kind, symmetric, formula, reference, definition, defaults, laws, parity, source
_ROWS: tuple[tuple[str, Any, Any, bool, Callable[..., Values], Callable[..., float], str, Any, Any, Any, str], ...] = (
    ("t_test", (), "moments", True, t_test, reference.t_test, "mean_f |μx - μy| / sqrt(vx/n + vy/m)",
     {"var_floor": 1e-8}, ("feature_order", "nonnegative", "translation"), Parity(1e-9, 1e-12), f"{_PERTPY}('t_test')"),
    ("sym_kldiv", ("symmetric_kl",), "moments", True, sym_kldiv, reference.sym_kldiv,
     "mean_f (sx² + δ²)/(2 sy²) + (sy² + δ²)/(2 sx²) - 1", {"std_floor": 1e-8, "one_cell": "nan"},
     ("feature_order", "nonnegative", "translation"), Parity(1e-9, 1e-12), f"{_PERTPY}('sym_kldiv')"),
    ("frechet", ("fid",), "moments", True, frechet, reference.frechet, "|μx - μy|² + tr(Sx + Sy - 2 (Sx Sy)^½)",
     {"ridge": 0.0, "root": False}, ("feature_order", "nonnegative", "translation", "rotation", "scale:2"),
     # the reference takes square roots of rounded eigenvalues
     Parity(1e-6, 1e-6), "Dowson & Landau (1982), J. Multivar. Anal. 12:450; PerturbNet with ridge=1e-6"),
    ("mahalanobis", (), "moments", False, mahalanobis, reference.mahalanobis, "sqrt((μx - μy)ᵀ Sx⁻¹ (μx - μy))",
     {"covariance": "first", "shrinkage": None},
     ("feature_order", "nonnegative", "translation", "rotation", "scale:0"), Parity(1e-7, 1e-10),
     f"{_PERTPY}('mahalanobis'); Ledoit & Wolf (2004), J. Multivar. Anal. 88:365"),
    ("mean_var_distribution", (), "moments", True, mean_var_distribution, reference.mean_var_distribution,
     "mean over a grid of the squared difference of the densities of (log mean, log variance)", {"n_points": 100},
     ("feature_order", "nonnegative"), Parity(1e-9, 1e-12), f"{_PERTPY}('mean_var_distribution')"),
)  # fmt: skip
for _name, _aliases, _kind, _symmetric, _formula, _ref, _definition, _defaults, _laws, _parity, _source in _ROWS:
    register(
        DistanceSpec(
            name=_name,
            aliases=_aliases,
            kind=_kind,
            symmetric=_symmetric,
            definition=_definition,
            formula=_formula,
            reference=_ref,
            defaults=_defaults,
            invariants=_laws,
            parity=_parity,
            source=_source,
        )
    )
