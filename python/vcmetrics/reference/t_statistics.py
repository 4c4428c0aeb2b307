"""t statistics of one gene after the other, from moments."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair

Array = NDArray[np.float64]


def t_of(
    mean: float, variance: float, n: float, other_mean: float, other_variance: float, other_n: float
) -> tuple[float, float]:
    """Welch's t and its degrees of freedom; t is 0 where it is undefined."""
    if other_n == 0:
        return 0.0, 1.0
    gap, error = mean - other_mean, variance / n + other_variance / other_n
    if math.isnan(error) or (gap == 0 and error == 0):
        return 0.0, 1.0
    if error == 0:
        return math.copysign(math.inf, gap), 1.0
    below = (variance / n) ** 2 / (n - 1) + (other_variance / other_n) ** 2 / (other_n - 1)
    return gap / math.sqrt(error), error**2 / below


def rest_of(pair: Pair, p: int, g: int) -> tuple[float, float, float]:
    """Mean, variance and number of all cells of the other perturbations."""
    real = pair.profiles()[1]
    assert real.variance is not None
    assert real.n_cells is not None
    others = [q for q in range(pair.n) if q != p]
    n = sum(int(real.n_cells[q]) for q in others)
    if n == 0:
        return math.nan, math.nan, 0.0
    mean = math.fsum(float(real.n_cells[q]) * float(real.mean[q, g]) for q in others) / n
    squares = math.fsum(
        (float(real.variance[q, g]) * (int(real.n_cells[q]) - 1) if real.n_cells[q] > 1 else 0.0)
        + int(real.n_cells[q]) * (float(real.mean[q, g]) - mean) ** 2
        for q in others
    )
    return mean, squares / (n - 1) if n > 1 else math.nan, float(n)


def t_statistics(pair: Pair, against: str = "control", *, overestimated: bool = False) -> tuple[Array, Array]:
    """Table of t and table of degrees of freedom, (n_perturbations, n_genes) each."""
    real = pair.profiles()[1]
    assert real.variance is not None
    assert real.n_cells is not None
    t, df = np.zeros(real.mean.shape), np.ones(real.mean.shape)
    for p in range(pair.n):
        for g in range(real.mean.shape[1]):
            if against == "rest":
                mean, variance, n = rest_of(pair, p, g)
            else:
                assert real.control_variance is not None
                assert real.control_n_cells is not None
                mean, variance, n = float(real.control[g]), float(real.control_variance[g]), real.control_n_cells
            own = (float(real.mean[p, g]), float(real.variance[p, g]), float(real.n_cells[p]))
            t[p, g], df[p, g] = t_of(*own, mean, variance, own[2] if overestimated else n)
    return t, df
