"""Kendall's rank correlation of two profiles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def kendall_tau(x: Any, y: Any) -> float:
    """Kendall's tau-b, from all pairs of features.

    Parameters
    ----------
    x, y
        D values each.

    Returns
    -------
    float
        (concordant - discordant) / sqrt(pairs that differ in x · pairs that differ in y); NaN where either is
        constant, holds a NaN, or has fewer than two features.

    Examples
    --------
    >>> kendall_tau([1.0, 2.0, 3.0], [1.0, 3.0, 2.0])
    0.3333333333333333
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if np.isnan(x).any() or np.isnan(y).any():
        return math.nan
    upper = np.triu_indices(len(x), 1)
    order_x, order_y = (((v[:, None] < v).astype(int) - (v[:, None] > v))[upper] for v in (x, y))
    differ = int((order_x != 0).sum()) * int((order_y != 0).sum())
    return int((order_x * order_y).sum()) / math.sqrt(differ) if differ else math.nan
