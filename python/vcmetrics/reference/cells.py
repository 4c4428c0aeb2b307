"""Meaning of the metrics that look at single cells."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def mean_distances(cells: Values, codes: NDArray[np.int32], pairs: NDArray[np.int32]) -> Values:
    """Mean Euclidean distance over all ordered pairs of cells of two groups; NaN where a group is empty.

    A cell paired with itself counts (distance 0), as in the V-statistic.
    """
    out = np.full(len(pairs), math.nan)
    for k, (a, b) in enumerate(pairs):
        x, y = cells[codes == a], cells[codes == b]
        if len(x) and len(y):
            out[k] = math.fsum(math.dist(p, q) for p in x for q in y) / (len(x) * len(y))
    return out
