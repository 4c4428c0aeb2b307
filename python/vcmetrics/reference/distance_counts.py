"""Meaning of the count likelihood. x is (n, D), y is (m, D), whole numbers in float64."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.float64]


def _log_likelihood(y: Cells, mean: float, theta: float) -> Cells:
    from scipy.special import gammaln

    eps = 1e-8
    if math.isinf(theta):
        return np.asarray(y * math.log(mean + eps) - mean - gammaln(y + 1))
    total = math.log(theta + mean + eps)
    return np.asarray(
        theta * (math.log(theta + eps) - total)
        + y * (math.log(mean + eps) - total)
        + gammaln(y + theta)
        - gammaln(theta)
        - gammaln(y + 1)
    )


def _theta(x: Cells) -> float:
    """Dispersion that makes the sample likeliest, by search over log θ."""
    from scipy.optimize import minimize_scalar
    from scipy.special import gammaln

    mean = float(x.mean())
    if x.var() <= mean:
        return math.inf

    def loss(log_theta: float) -> float:
        t = math.exp(log_theta)
        rest = gammaln(x + t) - gammaln(t) + x * math.log(mean / (t + mean)) - t * math.log1p(mean / t)
        return -float(rest.mean())

    grid = np.linspace(-18, 25, 200)
    start = int(np.argmin([loss(v) for v in grid]))
    low, high = grid[max(start - 1, 0)], grid[min(start + 1, 199)]
    return math.exp(float(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-10}).x))


def nb_ll(x: Cells, y: Cells) -> float:
    """Minus the mean over genes of the mean log-likelihood of y under the fit to x."""
    values = []
    for a, b in zip(x.T, y.T, strict=True):
        if a.mean() == 0:
            values.append(0.0 if b.mean() < 10 else math.nan)
        else:
            values.append(float(_log_likelihood(b, float(a.mean()), _theta(a)).mean()))
    kept = [v for v in values if not math.isnan(v)]
    return -float(np.mean(kept)) if 2 * (len(values) - len(kept)) <= len(values) else math.nan
