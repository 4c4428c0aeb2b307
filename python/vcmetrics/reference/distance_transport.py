"""Meaning of the transport distances. x is (n, D), y is (m, D), float64; weights are uniform."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vcmetrics.reference.distance_cells import pair_table
from vcmetrics.reference.transport import sinkhorn_cost

Cells = NDArray[np.float64]


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
    value = sinkhorn_cost(
        x,
        y,
        epsilon=epsilon,
        scale=scale,
        threshold=threshold,
        max_iterations=max_iterations,
        check_every=check_every,
    )[0]
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

    def cost(a: Cells, b: Cells) -> float:
        how = {"threshold": threshold, "max_iterations": max_iterations, "check_every": check_every}
        return sinkhorn_cost(a, b, epsilon=epsilon, **how)[0]  # type: ignore[arg-type]

    return cost(x, y) - cost(x, x) / 2 - cost(y, y) / 2


def _least(cost: Cells) -> float:
    """Least cost of a plan with uniform marginals, by linear programming."""
    from scipy.optimize import linprog

    n, m = cost.shape
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    marginals = np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m)])
    found = linprog(cost.ravel(), A_eq=np.concatenate([rows, columns]), b_eq=marginals, method="highs")
    return float(found.fun)


def _entropic(cost: Cells, regularization: float) -> float:
    """⟨P, C⟩ of the plan with uniform marginals that minimises ⟨P, C⟩ + regularization Σ P log P."""
    from scipy.special import logsumexp

    f, g = np.zeros(len(cost)), np.zeros(cost.shape[1])
    for _ in range(20_000):
        g = -regularization * (logsumexp((f[:, None] - cost) / regularization, axis=0) + math.log(cost.shape[1]))
        f = -regularization * (logsumexp((g[None, :] - cost) / regularization, axis=1) + math.log(len(cost)))
        plan = np.exp((f[:, None] + g[None, :] - cost) / regularization)
        if np.abs(plan.sum(0) - 1 / cost.shape[1]).sum() < 1e-12:
            break
    return float((plan * cost).sum())


def wasserstein_1(x: Cells, y: Cells, *, regularization: float = 0.0) -> float:
    """Least mean Euclidean cost, or that of the plan with entropy."""
    cost = pair_table(x, y, "euclidean")
    return _entropic(cost, regularization) if regularization else _least(cost)


def wasserstein_2(x: Cells, y: Cells, *, regularization: float = 0.0) -> float:
    """Root of the least mean squared Euclidean cost, or of that of the plan with entropy."""
    cost = pair_table(x, y, "sqeuclidean")
    return math.sqrt(max(_entropic(cost, regularization) if regularization else _least(cost), 0.0))


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


def sliced_wasserstein(x: Cells, y: Cells, *, n_projections: int = 128, power: int = 2, random_state: int = 0) -> float:
    """Distance on the line of seeded projections: root of the mean power."""
    raw = np.random.default_rng(random_state).standard_normal((x.shape[1], n_projections))
    values = []
    for direction in raw.T:
        unit = direction / math.sqrt(direction @ direction)
        values.append(_on_a_line(x @ unit, y @ unit, power))
    return float((math.fsum(values) / n_projections) ** (1 / power))
