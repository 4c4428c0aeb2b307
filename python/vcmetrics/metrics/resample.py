"""Resamples of perturbations, and intervals from what was computed on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.backend.threads import resolve_threads

Floats = NDArray[np.float64]


def resample_counts(n: int, n_resamples: int, seed: int, stream: int = 0) -> Floats:
    """How often each of ``n`` units is drawn in each resample of ``n`` draws with replacement.

    Equal arguments give equal resamples: what is computed from one table of counts is paired.

    Returns
    -------
    (n_resamples, n) whole numbers as float64; every row sums to ``n``.

    Examples
    --------
    >>> resample_counts(5, 3, seed=0).sum(1).tolist()
    [5.0, 5.0, 5.0]
    """
    if n_resamples < 1:
        msg = f"n_resamples is {n_resamples}; pass a positive number"
        raise ValueError(msg)
    if n == 0:
        return np.zeros((n_resamples, 0))
    drawn = np.random.default_rng([seed, stream]).integers(0, n, (n_resamples, n))
    places = (drawn + np.arange(n_resamples)[:, None] * n).ravel()
    return np.bincount(places, minlength=n_resamples * n).reshape(n_resamples, n).astype(np.float64)


def resampled_sums(counts: Floats, values: Floats, n_threads: int | None = None) -> Floats:
    """Sums of the columns of ``values`` (n, n_columns) in every resample, (n_resamples, n_columns)."""
    from vcmetrics import _core

    columns = np.ascontiguousarray(np.asarray(values, np.float64).T)
    return np.asarray(
        _core.pairwise_sums(np.ascontiguousarray(counts), columns, "product", None, resolve_threads(n_threads))
    )


def check_level(ci: Any) -> float:
    """``ci`` as a share in (0, 1)."""
    level = float(ci)
    if not 0.0 < level < 1.0:
        msg = f"ci is {ci!r}; pass a share between 0 and 1, such as 0.95"
        raise ValueError(msg)
    return level


def percentile_interval(replicates: Floats, ci: float) -> tuple[Floats, Floats]:
    """Lower and upper end: the (1 - ci)/2 quantiles from below and above, along the first axis.

    Undefined replicates are left out; NaN where none is defined.

    Examples
    --------
    >>> low, high = percentile_interval(np.arange(101.0)[:, None], 0.9)
    >>> round(float(low[0]), 6), round(float(high[0]), 6)
    (5.0, 95.0)
    """
    tail = (1.0 - check_level(ci)) / 2.0
    ordered = np.sort(replicates, axis=0)  # NaN last
    return column_quantile(ordered, tail), column_quantile(ordered, 1.0 - tail)


def column_quantile(ordered: Floats, share: float) -> Floats:
    """Quantile of each column, sorted ascending with NaN last, linear between neighbours."""
    defined = (~np.isnan(ordered)).sum(0)
    place = share * np.maximum(defined - 1, 0)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(defined - 1, 0))
    columns = np.arange(ordered.shape[1])
    a, b = ordered[low, columns], ordered[high, columns]
    with np.errstate(invalid="ignore"):
        between = a + (b - a) * (place - low)
    return np.where(defined > 0, np.where(a == b, a, between), np.nan)
