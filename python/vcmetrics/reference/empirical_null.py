"""Meaning of the empirical null: every density summed, the likelihood climbed without derivatives."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def empirical_null(values: Values, level: float = 0.05) -> tuple[float, float, float, float, float]:
    """(mean, sd, p0, lower, upper)."""
    from scipy.optimize import minimize
    from scipy.stats import norm

    n = values.size
    q25, middle, q75 = (float(q) for q in np.quantile(values, [0.25, 0.5, 0.75]))
    b = 1.0 if n > 500_000 else 4.3 * math.exp(-0.26 * math.log10(n))
    low, high = middle - b * (q75 - q25) / 1.349, middle + b * (q75 - q25) / 1.349
    inside = values[(values >= low) & (values <= high)]

    def loss(parameters: Values) -> float:
        mean, sd = float(parameters[0]), float(np.exp(parameters[1]))
        mass = norm.cdf(high, mean, sd) - norm.cdf(low, mean, sd)
        if not mass > 0:
            return math.inf
        return float(-norm.logpdf(inside, mean, sd).mean() + math.log(mass))

    start = [float(inside.mean()), math.log(float(inside.std()))]
    options = {"xatol": 1e-10, "fatol": 1e-14, "maxiter": 5000, "maxfev": 5000}
    found = minimize(loss, start, method="Nelder-Mead", options=options).x
    mean, sd = float(found[0]), float(np.exp(found[1]))
    p0 = min(1.0, inside.size / n / float(norm.cdf(high, mean, sd) - norm.cdf(low, mean, sd)))
    width = 0.9 * min(float(values.std(ddof=1)), (q75 - q25) / 1.34) * n**-0.2
    lower, upper = -math.inf, math.inf
    for z in values.tolist():
        f = float(norm.pdf((z - values) / width).mean()) / width
        if p0 * float(norm.pdf(z, mean, sd)) / f <= level:
            if z > mean:
                upper = min(upper, z)
            elif z < mean:
                lower = max(lower, z)
    return mean, sd, p0, lower, upper
