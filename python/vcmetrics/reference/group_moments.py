"""Means and centred second moments of groups of cells."""

from __future__ import annotations

from typing import Any

import numpy as np


def group_moments(cells: Any, codes: Any, n_groups: int) -> tuple[Any, Any, Any]:
    """Numbers of cells, means and sums of squared deviations of every group.

    Parameters
    ----------
    cells
        n × D values.
    codes
        Group of each cell, -1 for none; shape (n,).
    n_groups
        How many groups there are.

    Returns
    -------
    tuple
        counts (n_groups,), mean and m2 = Σ (x - mean)² (n_groups, D), float64; NaN for an empty group.

    Examples
    --------
    >>> counts, mean, m2 = group_moments([[1.0], [3.0], [5.0]], [0, 0, 1], 2)
    >>> counts.tolist(), mean.tolist(), m2.tolist()
    ([2, 1], [[2.0], [5.0]], [[2.0], [0.0]])
    """
    cells, codes = np.asarray(cells, np.float64), np.asarray(codes)
    counts = np.array([np.sum(codes == g) for g in range(n_groups)], np.int64)
    mean, m2 = np.full((2, n_groups, cells.shape[1]), np.nan)
    for g in np.flatnonzero(counts):
        block = cells[codes == g]
        mean[g] = block.mean(0)
        m2[g] = ((block - mean[g]) ** 2).sum(0)
    return counts, mean, m2
