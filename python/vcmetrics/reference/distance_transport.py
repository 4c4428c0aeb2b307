"""Meaning of the transport distances. x is (n, D), y is (m, D), float64; weights are uniform."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vcmetrics.reference.distance_cells import pair_table

Cells = NDArray[np.float64]


def _lse(table: Cells, axis: int) -> Cells:
    """log Σ exp along an axis."""
    top = table.max(axis, keepdims=True)
    return np.asarray(np.log(np.exp(table - top).sum(axis)) + top.squeeze(axis))


def sinkhorn(
    x: Cells, y: Cells, epsilon: float | None, scale: float, threshold: float, max_iterations: int, check_every: int
) -> tuple[float, bool]:
    """Entropic cost of squared Euclidean distances, and whether the column marginals settled."""
    cost = pair_table(x, y, "sqeuclidean")
    n, m = cost.shape
    eps = scale * float(cost.std()) if epsilon is None else epsilon
    if eps == 0:  # all costs are equal, so is every plan's
        return float(cost[0, 0]), True
    f, g = np.zeros(n), np.zeros(m)
    for k in range(1, max_iterations + 1):
        g = -eps * _lse((f[:, None] - cost) / eps, 0) - eps * math.log(m)
        f = -eps * _lse((g[None, :] - cost) / eps, 1) - eps * math.log(n)
        if k % check_every == 0:
            plan = np.exp((f[:, None] + g[None, :] - cost) / eps)
            if float(np.abs(plan.sum(0) - 1 / m).sum()) < threshold:
                break
    plan = np.exp((f[:, None] + g[None, :] - cost) / eps)
    off = float(np.abs(plan.sum(0) - 1 / m).sum())
    value = f.mean() + g.mean() + eps * (math.log(n) + math.log(m)) - eps * plan.sum() + eps
    return float(value), off < threshold


def wasserstein(
    x: Cells,
    y: Cells,
    *,
    epsilon: float | None = None,
    scale: float = 0.05,
    threshold: float = 1e-3,
    max_iterations: int = 2000,
    check_every: int = 10,
    not_finite: float = math.nan,
) -> float:
    """Entropic cost; epsilon None is ``scale`` times the standard deviation of the costs."""
    value = sinkhorn(x, y, epsilon, scale, threshold, max_iterations, check_every)[0]
    return value if math.isfinite(value) else not_finite


def sinkhorn_divergence(
    x: Cells,
    y: Cells,
    *,
    epsilon: float = 1.0,
    threshold: float = 1e-3,
    max_iterations: int = 2000,
    check_every: int = 10,
) -> float:
    """Entropic cost less half of those of each group to itself."""
    how = (epsilon, 1.0, threshold, max_iterations, check_every)
    return sinkhorn(x, y, *how)[0] - sinkhorn(x, x, *how)[0] / 2 - sinkhorn(y, y, *how)[0] / 2


def _least(cost: Cells) -> float:
    """Least cost of a plan with uniform marginals, by linear programming."""
    from scipy.optimize import linprog

    n, m = cost.shape
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    marginals = np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m)])
    found = linprog(cost.ravel(), A_eq=np.concatenate([rows, columns]), b_eq=marginals, method="highs")
    return float(found.fun)


def wasserstein_1(x: Cells, y: Cells) -> float:
    """Least mean Euclidean cost."""
    return _least(pair_table(x, y, "euclidean"))


def wasserstein_2(x: Cells, y: Cells) -> float:
    """Root of the least mean squared Euclidean cost."""
    return math.sqrt(max(_least(pair_table(x, y, "sqeuclidean")), 0.0))


def _on_a_line(x: Cells, y: Cells, power: int) -> float:
    """∫ |F⁻¹(q) - G⁻¹(q)|^power dq, step by step."""
    x, y = np.sort(x), np.sort(y)
    n, m = len(x), len(y)
    steps = sorted({0, *(i * m for i in range(1, n + 1)), *(j * n for j in range(1, m + 1))})
    return math.fsum(
        (high - low) / (n * m) * abs(float(x[low // m]) - float(y[low // n])) ** power for low, high in pairwise(steps)
    )


def wasserstein_1d(x: Cells, y: Cells, *, power: int = 1, flatten: bool = False) -> float:
    """Mean over features of the distance on the line."""
    if flatten:
        return float(_on_a_line(x.ravel(), y.ravel(), power) ** (1 / power))
    values = [_on_a_line(x[:, k], y[:, k], power) ** (1 / power) for k in range(x.shape[1])]
    return math.fsum(values) / len(values)


def sliced_wasserstein(
    x: Cells, y: Cells, *, n_projections: int = 128, power: int = 2, random_state: int = 0
) -> float:
    """Distance on the line of seeded projections: root of the mean power."""
    raw = np.random.default_rng(random_state).standard_normal((x.shape[1], n_projections))
    values = []
    for direction in raw.T:
        unit = direction / math.sqrt(direction @ direction)
        values.append(_on_a_line(x @ unit, y @ unit, power))
    return float((math.fsum(values) / n_projections) ** (1 / power))
