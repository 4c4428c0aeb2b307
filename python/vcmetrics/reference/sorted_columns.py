"""Distances between the distributions of two groups, feature by feature."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np


def column_mean(x: Any, y: Any, statistic: str = "ks") -> float:
    """Mean over the features of a distance between two empirical distributions.

    Parameters
    ----------
    x, y
        n × D and m × D values.
    statistic
        ``"ks"``: largest difference of the distribution functions. ``"w1"``, ``"w2sq"``: integral over [0, 1] of the
        absolute or squared difference of the quantile functions.

    Returns
    -------
    float
        NaN for an empty group, no features, or values that are not finite.

    Examples
    --------
    >>> x, y = [[0.0], [1.0]], [[1.0], [3.0]]
    >>> column_mean(x, y), column_mean(x, y, "w1"), column_mean(x, y, "w2sq")
    (0.5, 1.5, 2.5)
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if min(x.size, y.size) == 0 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return math.nan
    if statistic not in ("ks", "w1", "w2sq"):
        msg = f"statistic {statistic!r} is not one of ks, w1, w2sq"
        raise ValueError(msg)
    power = 2 if statistic == "w2sq" else 1
    of_columns = (
        ks_statistic(a, b) if statistic == "ks" else quantile_distance(a, b, power)
        for a, b in zip(x.T, y.T, strict=True)
    )
    return math.fsum(of_columns) / len(x.T)


def ks_statistic(x: Any, y: Any) -> float:
    """Largest difference of two empirical distribution functions, both at all values."""
    values = np.concatenate([x, y])
    i, j = (np.searchsorted(np.sort(side), values, "right") for side in (x, y))
    return int(np.abs(i * len(y) - j * len(x)).max()) / (len(x) * len(y))


def quantile_distance(x: Any, y: Any, power: int) -> float:
    """Integral of ``|Q_x - Q_y|**power`` over [0, 1]."""
    x, y = np.sort(x), np.sort(y)
    ends = sorted({Fraction(i, len(x)) for i in range(len(x) + 1)} | {Fraction(j, len(y)) for j in range(len(y) + 1)})
    return float(
        math.fsum(
            float(last - first) * abs(x[math.floor(first * len(x))] - y[math.floor(first * len(y))]) ** power
            for first, last in pairwise(ends)
        )
    )
