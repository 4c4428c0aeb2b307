"""Meaning of the distances between profiles. x is (n, D), y is (m, D), float64; a profile is their mean cell."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.float64]


def profile(cells: Cells, aggregate: Any = "mean") -> Cells:
    """Mean (or median, or ``aggregate(cells, axis=0)``) cell."""
    if aggregate == "mean":
        return np.asarray(cells.mean(0))
    return np.asarray(np.median(cells, axis=0) if aggregate == "median" else aggregate(cells, axis=0))


def _two(x: Cells, y: Cells, aggregate: Any) -> tuple[Cells, Cells]:
    return profile(x, aggregate), profile(y, aggregate)


def euclidean(x: Cells, y: Cells, *, aggregate: Any = "mean") -> float:
    """Length of the difference of the profiles."""
    return math.dist(*_two(x, y, aggregate))


def sqeuclidean(x: Cells, y: Cells, *, aggregate: Any = "mean") -> float:
    """Squared length of the difference."""
    return float(math.dist(*_two(x, y, aggregate)) ** 2)


def rmse(x: Cells, y: Cells, *, aggregate: Any = "mean") -> float:
    """Root of the mean squared difference."""
    return math.sqrt(sqeuclidean(x, y, aggregate=aggregate) / x.shape[1])


def mse(x: Cells, y: Cells, *, aggregate: Any = "mean") -> float:
    """Mean squared difference."""
    return float(sqeuclidean(x, y, aggregate=aggregate) / x.shape[1])


def mae(x: Cells, y: Cells, *, aggregate: Any = "mean") -> float:
    """Mean absolute difference."""
    return float(cityblock(x, y, aggregate=aggregate) / x.shape[1])


def cityblock(x: Cells, y: Cells, *, aggregate: Any = "mean") -> float:
    """Sum of absolute differences."""
    a, b = _two(x, y, aggregate)
    return math.fsum(np.abs(a - b))


def _similar(a: Cells, b: Cells) -> float:
    length = math.sqrt(a @ a) * math.sqrt(b @ b)
    return float(a @ b) / length if length > 0 else math.nan


def cosine(x: Cells, y: Cells, *, aggregate: Any = "mean", similarity: bool = False) -> float:
    """1 - cosine of the angle; ``similarity``: the cosine."""
    value = _similar(*_two(x, y, aggregate))
    return value if similarity else 1 - value


def pearson(x: Cells, y: Cells, *, aggregate: Any = "mean", similarity: bool = False) -> float:
    """1 - Pearson correlation over features."""
    a, b = _two(x, y, aggregate)
    value = math.nan if np.ptp(a) == 0 or np.ptp(b) == 0 else _similar(a - a.mean(), b - b.mean())
    return value if similarity else 1 - value


def ranks(values: Cells) -> Cells:
    """Mean ranks, 1 for the smallest."""
    return np.array([np.count_nonzero(values < v) + (np.count_nonzero(values == v) + 1) / 2 for v in values])


def spearman(x: Cells, y: Cells, *, aggregate: Any = "mean", similarity: bool = False) -> float:
    """1 - Pearson correlation of mean ranks."""
    a, b = (ranks(values) for values in _two(x, y, aggregate))
    value = math.nan if np.ptp(a) == 0 or np.ptp(b) == 0 else _similar(a - a.mean(), b - b.mean())
    return value if similarity else 1 - value


def kendall(
    x: Cells, y: Cells, *, aggregate: Any = "mean", similarity: bool = False, unit: str = "correlation"
) -> float:
    """1 - tau_b; ``unit="pairs"``: (1 - tau_b) D (D - 1)/4, the number of discordant pairs where nothing ties."""
    a, b = _two(x, y, aggregate)
    i, j = np.triu_indices(a.size, 1)
    p, q = np.sign(a[i] - a[j]), np.sign(b[i] - b[j])
    length = math.sqrt(np.count_nonzero(p)) * math.sqrt(np.count_nonzero(q))
    tau = float(p @ q) / length if length > 0 else math.nan
    if similarity:
        return tau
    return (1 - tau) * (a.size * (a.size - 1) / 4 if unit == "pairs" else 1)


def r2(x: Cells, y: Cells, *, aggregate: Any = "mean", similarity: bool = False) -> float:
    """Σ(μx - μy)² / Σ(μx - mean μx)², that is 1 - R² with x as the truth; ``similarity``: R²."""
    a, b = _two(x, y, aggregate)
    total = math.fsum((a - a.mean()) ** 2)
    left = math.fsum((a - b) ** 2) / total if total > 0 else math.nan
    return 1 - left if similarity else left
