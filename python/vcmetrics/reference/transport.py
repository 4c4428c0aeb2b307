"""Entropic optimal transport between two groups of cells, on the potentials."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def sinkhorn_cost(
    x: Any,
    y: Any,
    *,
    epsilon: float | None = None,
    scale: float = 0.05,
    threshold: float = 1e-3,
    max_iterations: int = 2000,
    check_every: int = 10,
) -> tuple[float, int, bool]:
    """Regularised cost of transporting one group of cells onto another.

    Parameters
    ----------
    x, y
        n × D and m × D values.
    epsilon
        Regularisation; None: ``scale`` times the population standard deviation of all n · m costs.
    scale
        See ``epsilon``.
    threshold
        Stop when the column sums of the plan are this near to 1/m, summed over columns.
    max_iterations, check_every
        At most so many iterations, the column sums looked at after every ``check_every`` of them and the last.

    Returns
    -------
    tuple
        Cost min_P <P, C> + ε KL(P | 1/nm) by its dual, iterations done, whether the threshold was met. Costs are
        squared Euclidean. A plan that costs the same whatever it is (ε = 0) is that cost after 0 iterations.

    Examples
    --------
    >>> sinkhorn_cost([[0.0]], [[3.0]])
    (9.0, 0, True)
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    n, m = len(x), len(y)
    if n == 0 or m == 0:
        return math.nan, 0, False
    cost = ((x[:, None] - y[None]) ** 2).sum(-1)
    if not np.isfinite(cost).all():
        return math.nan, 0, False
    epsilon = scale * float(cost.std()) if epsilon is None else epsilon
    if not epsilon > 1e-300:
        return float(cost.mean()), 0, True
    f, g = np.zeros(n), np.zeros(m)
    converged = False
    iteration = 0
    plan = np.zeros((n, m))
    while iteration < max_iterations and not converged:
        g = -epsilon * log_sum_exp((f[:, None] - cost) / epsilon, 0) - epsilon * math.log(m)
        f = -epsilon * log_sum_exp((g[None] - cost) / epsilon, 1) - epsilon * math.log(n)
        iteration += 1
        if iteration % check_every == 0 or iteration == max_iterations:
            plan = np.exp((f[:, None] + g[None] - cost) / epsilon)
            converged = bool(np.abs(plan.sum(0) - 1 / m).sum() < threshold)
    dual = f.mean() + g.mean() + epsilon * (math.log(n) + math.log(m))
    return float(dual - epsilon * plan.sum() + epsilon), iteration, converged


def log_sum_exp(values: Any, axis: int) -> Any:
    """Log of the sum of exponentials along an axis, the maximum taken out."""
    most = values.max(axis, keepdims=True)
    return np.log(np.exp(values - most).sum(axis)) + np.squeeze(most, axis)
