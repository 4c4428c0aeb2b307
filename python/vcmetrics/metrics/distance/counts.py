"""Likelihood of one group's counts under negative binomials fitted to another's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.distance.registry import DistanceSpec, Pairs, Values, register
from vcmetrics.metrics.registry import Parity
from vcmetrics.reference import distance_counts as reference
from vcmetrics.sources.cell_groups import CellGroups

_EPSILON = 1e-8  # inside logarithms, as the source has it
_LOW = 10.0  # mean below which a gene that cannot be fitted counts 0
_STEPS = 100
_LOG_RANGE = (-18.0, 25.0)  # of log θ: beyond, NB is degenerate or Poisson to the last digit


@dataclass(frozen=True)
class Fit:
    """Negative binomials of one group, a gene each: mean, θ = 1/α (inf: Poisson); ``mean`` 0 has no fit."""

    mean: Values
    theta: Values


@dataclass(frozen=True)
class Histogram:
    """Counts of one group: ``values`` (n_values,) and how many cells have each, (n_values, n_genes)."""

    values: Values
    numbers: Values
    n_cells: int


def histogram(block: Values, name: str) -> Histogram:
    """Count the values of each gene.

    Raises
    ------
    DataError
        Where a value is negative or not whole.
    """
    rounded = np.rint(block)
    if block.size and (np.abs(block - rounded).max() >= 1e-6 or rounded.min() < 0):
        bad = block[(np.abs(block - rounded) >= 1e-6) | (rounded < 0)][0]
        msg = f"{name}: nb_ll needs raw counts, but there is a value {bad:g}; pass layer= with counts"
        raise DataError(msg)
    values, place = np.unique(rounded, return_inverse=True)
    place = place.reshape(block.shape)
    flat = place * block.shape[1] + np.arange(block.shape[1])
    numbers = np.bincount(flat.ravel(), minlength=values.size * block.shape[1]).reshape(values.size, -1)
    return Histogram(values, numbers.astype(np.float64), block.shape[0])


def fit(counts: Histogram) -> Fit:
    """Maximum-likelihood NB2 with an intercept only: the mean is the sample's, θ the root of its score.

    A gene whose variance does not exceed its mean has no finite θ: it is Poisson.
    """
    from scipy.special import digamma

    v, shares = counts.values[:, None], counts.numbers / counts.n_cells
    mean = (v * shares).sum(0)
    variance = ((v - mean) ** 2 * shares).sum(0)
    theta = np.full(mean.size, np.inf)
    chosen = np.flatnonzero((mean > 0) & (variance > mean))
    low, high = (np.full(chosen.size, edge) for edge in _LOG_RANGE)
    m, part = mean[chosen], shares[:, chosen]

    def score(log_theta: NDArray[np.float64]) -> NDArray[np.float64]:
        t = np.exp(log_theta)
        slope = ((digamma(v + t) - digamma(t)) * part).sum(0) - np.log1p(m / t)
        return np.asarray(slope, np.float64)

    for _ in range(_STEPS):  # the score falls through 0 once
        middle = (low + high) / 2
        above = score(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
        if np.all(high - low <= 1e-14 * np.maximum(np.abs(low), 1)):
            break
    theta[chosen] = np.exp((low + high) / 2)
    return Fit(mean, theta)


def mean_log_likelihood(found: Fit, counts: Histogram) -> Values:
    """(n_genes,) mean log-likelihood of a group's counts; NaN for genes without a fit that do not count."""
    from scipy.special import gammaln

    v, shares = counts.values[:, None], counts.numbers / counts.n_cells
    mean, theta = found.mean, found.theta
    log_mean = np.log(mean + _EPSILON)
    with np.errstate(invalid="ignore"):
        total = np.log(theta + mean + _EPSILON)
        binomial = (
            theta * (np.log(theta + _EPSILON) - total)
            + v * (log_mean - total)
            + gammaln(v + theta)
            - gammaln(theta)
            - gammaln(v + 1)
        )
    poisson = v * log_mean - mean - gammaln(v + 1)
    table = np.where(np.isfinite(theta), binomial, poisson)
    out = np.where(shares > 0, table * shares, 0.0).sum(0)
    there = (v * shares).sum(0)
    return np.where(mean > 0, out, np.where(there < _LOW, 0.0, np.nan))


def nb_ll(cells: CellGroups, pairs: Pairs) -> Values:
    """Minus the mean log-likelihood of y's counts under negative binomials fitted to x, averaged over genes.

    Fits are made once a group and gene. A gene without any count in x counts 0 where y's mean is below 10 and is left
    out else; NaN where more than half are left out. Raises :class:`DataError` for anything but counts.
    """
    tables = {g: histogram(cells.block(g), cells.name) for g in np.unique(pairs).tolist()}
    fits = {g: fit(tables[g]) for g in np.unique(pairs[:, 0]).tolist()}
    out = np.full(len(pairs), np.nan)
    for k, (a, b) in enumerate(pairs.tolist()):
        values = mean_log_likelihood(fits[a], tables[b])
        kept = ~np.isnan(values)
        if 2 * np.count_nonzero(~kept) <= values.size:
            out[k] = -float(values[kept].mean())
    return out


register(
    DistanceSpec(
        name="nb_ll",
        kind="cells",
        symmetric=False,
        definition="- mean_g mean log NB2(y; μ, θ fitted to x)",
        formula=nb_ll,
        reference=reference.nb_ll,
        invariants=("feature_order",),
        zero_self=False,
        needs_counts=True,
        # the reference maximises the likelihood directly, where it is flat
        parity=Parity(rtol=1e-7, atol=1e-9),
        source="pertpy 1.0.3, Distance('nb_ll')",
    )
)
