"""Meaning of the distances between moments. x is (n, D), y is (m, D), float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.float64]


def t_test(x: Cells, y: Cells, *, var_floor: float = 1e-8) -> float:
    """Mean over features of Welch's |t|, variances plus a floor."""
    if len(x) < 2 or len(y) < 2:
        return math.nan
    error = (x.var(0, ddof=1) + var_floor) / len(x) + (y.var(0, ddof=1) + var_floor) / len(y)
    return float((np.abs(x.mean(0) - y.mean(0)) / np.sqrt(error)).mean())


def sym_kldiv(x: Cells, y: Cells, *, std_floor: float = 1e-8, one_cell: str = "nan") -> float:
    """Mean over features of KL(N(x) || N(y)) + KL(N(y) || N(x))."""
    if one_cell == "nan" and min(len(x), len(y)) < 2:
        return math.nan
    s, t = x.std(0) + std_floor, y.std(0) + std_floor
    away = x.mean(0) - y.mean(0)
    there = np.log(t / s) + (s**2 + away**2) / (2 * t**2) - 0.5
    back = np.log(s / t) + (t**2 + away**2) / (2 * s**2) - 0.5
    return float((there + back).mean())


def _covariance(x: Cells) -> Cells:
    return np.atleast_2d(np.cov(x, rowvar=False))


def frechet(x: Cells, y: Cells, *, ridge: float = 0.0, root: bool = False) -> float:
    """Squared mean difference + tr(Sx + Sy - 2 (Sx Sy)^½), by the eigenvalues of Sx Sy."""
    if min(len(x), len(y)) < 2:
        return math.nan
    extra = ridge * np.eye(x.shape[1])
    s, t = _covariance(x) + extra, _covariance(y) + extra
    values = np.sqrt(np.maximum(np.linalg.eigvals(s @ t).real, 0))
    total = float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s) + np.trace(t) - 2 * values.sum())
    return math.sqrt(max(total, 0.0)) if root else total


def ledoit_wolf(x: Cells) -> float:
    """Shrinkage b²/d² of Ledoit & Wolf (2004), of centred cells."""
    n, d = x.shape
    s = x.T @ x / n
    m = np.trace(s) / d
    d2 = float(((s - m * np.eye(d)) ** 2).sum()) / d
    b2 = sum(float(((np.outer(row, row) - s) ** 2).sum()) / d for row in x) / n**2
    return min(b2, d2) / d2 if d2 > 0 else 1.0


def mahalanobis(x: Cells, y: Cells, *, covariance: str = "first", shrinkage: Any = None) -> float:
    """Length of the difference of means in the metric of the inverse covariance; NaN where that is singular."""
    groups = [x] if covariance == "first" else [x, y]
    centred = [g - g.mean(0) for g in groups]
    left = sum(len(g) - 1 for g in groups)
    if left < 1:
        return math.nan
    s = np.array(sum(c.T @ c for c in centred)) / left
    d = x.shape[1]
    if shrinkage is not None:
        share = ledoit_wolf(np.concatenate(centred)) if shrinkage == "ledoit-wolf" else shrinkage
        s = (1 - share) * s + share * np.trace(s) / d * np.eye(d)
    if np.linalg.matrix_rank(s) < d:
        return math.nan
    away = x.mean(0) - y.mean(0)
    return math.sqrt(away @ np.linalg.inv(s) @ away)


def mean_var_distribution(x: Cells, y: Cells, *, n_points: int = 100) -> float:
    """Mean squared difference, over a grid, of the densities of (log mean, log variance)."""
    clouds = []
    for cells in (x, y):
        mean, var = cells.mean(0), cells.var(0)
        kept = (mean > 0) & (var > 0)
        clouds.append(np.stack([np.log(mean[kept]), np.log(var[kept])], axis=1))
    if min(map(len, clouds)) < 2:
        return math.nan
    both = np.concatenate(clouds)
    step = np.ptp(both, axis=0) / (n_points - 2)
    axes = [both[:, k].min() - step[k] / 2 + step[k] * np.arange(n_points) for k in (0, 1)]
    total = 0.0
    for u in axes[0]:
        for v in axes[1]:
            density = []
            for cloud in clouds:
                h = len(cloud) ** (-1 / 6)
                r = np.sqrt((cloud[:, 0] - u) ** 2 + (cloud[:, 1] - v) ** 2)
                density.append(float(np.exp(-r / h).mean()) / (2 * math.pi * h**2))
            total += (density[0] - density[1]) ** 2
    return total / n_points**2
