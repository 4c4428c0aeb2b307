"""Correlation gene by gene, one column after the other in two passes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]


def average_ranks(values: Floats) -> Floats:
    """1 + number of smaller values + half the number of other equal ones."""
    below = (values[None, :] < values[:, None]).sum(1)
    equal = (values[None, :] == values[:, None]).sum(1)
    return np.asarray(1 + below + (equal - 1) / 2, np.float64)


def pearson(x: Floats, y: Floats, w: Floats | None = None) -> float:
    """Weighted correlation of two vectors; NaN where one is constant."""
    w = np.ones(x.size) if w is None else w
    if np.unique(x[w > 0]).size < 2 or np.unique(y[w > 0]).size < 2:
        return np.nan
    dx, dy = x - np.average(x, weights=w), y - np.average(y, weights=w)
    return float((w * dx * dy).sum() / np.sqrt((w * dx * dx).sum() * (w * dy * dy).sum()))


def spearman(x: Floats, y: Floats) -> float:
    """Correlation of average ranks."""
    return pearson(average_ranks(x), average_ranks(y))


def concordance(x: Floats, y: Floats, w: Floats | None = None) -> float:
    """Lin's concordance, moments over n."""
    w = np.ones(x.size) if w is None else w
    mx, my = np.average(x, weights=w), np.average(y, weights=w)
    vx, vy = np.average((x - mx) ** 2, weights=w), np.average((y - my) ** 2, weights=w)
    below = vx + vy + (mx - my) ** 2
    return float(2 * np.average((x - mx) * (y - my), weights=w) / below) if vx + vy > 0 else np.nan


def column_correlation(x: Array, y: Array, *, method: str = "pearson", weights: Array | None = None) -> Floats:
    """(n_columns,): one column after the other, over the pairs in which both values are finite."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    out = np.full(x.shape[1], np.nan)
    for g in range(x.shape[1]):
        ok = np.isfinite(x[:, g]) & np.isfinite(y[:, g])
        w = None if weights is None else np.asarray(weights, np.float64)[ok]
        if (ok.sum() if w is None else (w > 0).sum()) < 2:
            continue
        a, b = x[ok, g], y[ok, g]
        if method == "spearman":
            out[g] = spearman(a, b)
        else:
            out[g] = pearson(a, b, w) if method == "pearson" else concordance(a, b, w)
    return out


def decomposition(x: Array, y: Array, studies: Array) -> dict[str, Floats]:
    """Total, within and between covariance of every column, over n; and the correlations that belong to them."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    within_x, within_y = x.copy(), y.copy()
    means_x, means_y = np.empty_like(x), np.empty_like(y)
    for s in np.unique(studies):
        rows = studies == s
        means_x[rows], means_y[rows] = x[rows].mean(0), y[rows].mean(0)
        within_x[rows] -= means_x[rows]
        within_y[rows] -= means_y[rows]
    between_x, between_y = means_x - x.mean(0), means_y - y.mean(0)
    return {
        "cov": ((x - x.mean(0)) * (y - y.mean(0))).mean(0),
        "cov_within": (within_x * within_y).mean(0),
        "cov_between": (between_x * between_y).mean(0),
        "within": column_correlation(within_x, within_y),
        "between": column_correlation(means_x, means_y),
    }


def averaged(x: Array, y: Array, studies: Array, *, method: str = "pearson", n_min: int = 4) -> Floats:
    """Correlation inside every study of at least ``n_min`` rows, averaged as Fisher's z with weights n - 3."""
    top, bottom = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for s in np.unique(studies):
        rows = studies == s
        if rows.sum() < max(n_min, 4):
            continue
        r = column_correlation(x[rows], y[rows], method=method)
        defined = ~np.isnan(r)
        weight = rows.sum() - 3
        with np.errstate(divide="ignore"):
            top[defined] += weight * np.arctanh(r[defined])
        bottom[defined] += weight
    return np.where(bottom > 0, np.tanh(top / np.where(bottom > 0, bottom, 1)), np.nan)
