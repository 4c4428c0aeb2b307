"""Meaning of the distances between distribution functions. x is (n, D), y is (m, D), float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.float64]


def ks_test(x: Cells, y: Cells) -> float:
    """Mean over features of the largest difference of the shares of cells at or below a value."""
    values = []
    for a, b in zip(x.T, y.T, strict=True):
        values.append(max(abs(np.mean(a <= v) - np.mean(b <= v)) for v in np.concatenate([a, b])))
    return float(np.mean(values))
