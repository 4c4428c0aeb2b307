"""A normal null read off the middle of many values, most of which come from it, and what stands out on either side."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import UnsuitedError

Values = NDArray[np.float64]
_REACH = 8.0  # bandwidths after which a value no longer counts
_FINE = 64  # grid points a bandwidth
_GRID = 1 << 22  # points of the grid at most; a wider step where that is too few
_LARGE = 500_000


class EmpiricalNull(NamedTuple):
    """Null N(``mean``, ``sd``²) with mass ``p0``, and the values from which on, on each side, fdr <= level.

    ``lower`` is -inf and ``upper`` inf where nothing stands out.
    """

    mean: float
    sd: float
    p0: float
    lower: float
    upper: float


def central_interval(values: Values) -> tuple[float, float]:
    """Median ± b · IQR / 1.349, where the values are taken for null ones; b = 4.3 · n^(-0.26 / ln 10).

    b is 1 for more than half a million values, as locfdr has it.
    """
    q25, middle, q75 = np.quantile(values, [0.25, 0.5, 0.75])
    b = 1.0 if values.size > _LARGE else 4.3 * float(np.exp(-0.26 * np.log10(values.size)))
    half = b * (q75 - q25) / 1.349
    return float(middle - half), float(middle + half)


def truncated_normal(inside: Values, low: float, high: float) -> tuple[float, float]:
    """Mean and sd of the normal whose values, cut to [low, high], are likeliest those ``inside``."""
    from scipy.optimize import minimize
    from scipy.special import log_ndtr

    # in units of the interval, so that one start and one tolerance do for all data
    centre, unit = (low + high) / 2, (high - low) / 2
    x = (inside - centre) / unit
    first, second = float(x.mean()), float((x**2).mean())

    def loss(parameters: Values) -> float:
        mean, log_sd = float(parameters[0]), float(parameters[1])
        sd = np.exp(log_sd)
        a, b = (-1 - mean) / sd, (1 - mean) / sd
        # ln(Φ(b) - Φ(a)), from the side where both are small
        upper, lower = (log_ndtr(b), log_ndtr(a)) if a + b < 0 else (log_ndtr(-a), log_ndtr(-b))
        mass = upper + np.log1p(-np.exp(lower - upper))
        return float(log_sd + mass + (second - 2 * mean * first + mean**2) / (2 * sd**2))

    start = np.array([first, np.log(max(np.sqrt(max(second - first**2, 0.0)), 1e-3))])
    bounds = [(-1.0, 1.0), (-5.0, 2.0)]  # a flatter middle than sd = 7 half-widths has no sd to speak of
    found = minimize(loss, start, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14, "gtol": 1e-9}).x
    return centre + unit * float(found[0]), unit * float(np.exp(found[1]))


def density(values: Values) -> Values:
    """Gaussian kernel density at each value; bandwidth 0.9 · min(sd, IQR / 1.34) · n^(-1/5) (Silverman).

    Values are shared out between the points of a grid and read off between them, which is exact to about 1e-4.
    """
    spread = float(values.std(ddof=1))
    q25, q75 = np.quantile(values, [0.25, 0.75])
    width = 0.9 * (min(spread, (q75 - q25) / 1.34) or spread) * values.size**-0.2
    low, high = float(values.min()) - _REACH * width, float(values.max()) + _REACH * width
    step = max(width / _FINE, (high - low) / _GRID)
    n = int(np.ceil((high - low) / step)) + 1
    place = (values - low) / step
    left = np.minimum(place.astype(np.int64), n - 2)
    share = place - left
    mass = np.bincount(left, 1 - share, n) + np.bincount(left + 1, share, n)
    arms = np.arange(-int(_REACH * width / step), int(_REACH * width / step) + 1) * (step / width)
    kernel = np.exp(-(arms**2) / 2) / (values.size * width * np.sqrt(2 * np.pi))
    heights = np.convolve(mass, kernel, mode="same") if kernel.size <= n else np.convolve(mass, kernel, "full")
    start = 0 if kernel.size <= n else (kernel.size - 1) // 2
    heights = heights[start : start + n]
    return np.asarray(heights[left] * (1 - share) + heights[left + 1] * share)


def empirical_null(values: Values, level: float = 0.05) -> EmpiricalNull:
    """Fit the null, and find what stands out at a local false discovery rate of ``level``, side by side.

    Parameters
    ----------
    values
        (n,) finite; most of them null.
    level
        fdr(z) = min(1, p0 · N(z; mean, sd²) / f(z)), f the kernel density of all values.

    Returns
    -------
    EmpiricalNull

    Raises
    ------
    UnsuitedError
        If half of the values are equal, so that there is no spread to fit.

    Notes
    -----
    Step by step: the middle of the data is median ± b · IQR / 1.349; mean and sd are those of the normal that, cut to
    it, gives the values inside the largest likelihood; p0 is the share of values inside over the mass that the normal
    has there, at most 1. The upper threshold is the smallest value above the mean with fdr <= level, the lower one
    the largest below it. Cost O(n log n).

    References
    ----------
    Efron (2004), J. Am. Stat. Assoc. 99:96; the central interval is that of the R package locfdr, whose density is a
    spline in place of the kernel here.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = empirical_null(np.concatenate([rng.normal(0, 1, 9800), rng.normal(8, 1, 200)]))
    >>> round(found.mean, 1) == 0, round(found.sd, 1), round(found.p0, 2), found.upper > 3
    (True, 1.0, 0.99, True)
    """
    low, high = central_interval(values)
    if not high > low:
        msg = "the middle half of the values is one number, so no null can be fitted; are genes or doubles constant?"
        raise UnsuitedError(msg)
    inside = values[(values >= low) & (values <= high)]
    mean, sd = truncated_normal(inside, low, high)
    from scipy.special import ndtr

    mass = float(ndtr((high - mean) / sd) - ndtr((low - mean) / sd))
    p0 = min(1.0, inside.size / values.size / mass)
    null = p0 * np.exp(-(((values - mean) / sd) ** 2) / 2) / (sd * np.sqrt(2 * np.pi))
    out = null <= level * density(values)
    above, below = values[out & (values > mean)], values[out & (values < mean)]
    lower = float(below.max()) if below.size else -np.inf
    return EmpiricalNull(mean, sd, p0, lower, float(above.min()) if above.size else np.inf)
