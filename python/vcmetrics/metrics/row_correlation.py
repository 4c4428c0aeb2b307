"""Correlation of effects over genes, one perturbation after the other, and why it is undefined where it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.co_moments import FLAT, Floats
from vcmetrics.metrics.column_correlation import rank_correlation

Method = Literal["pearson", "spearman", "cosine"]
METHODS = ("pearson", "spearman", "cosine")
RANKED = 64  # rows that are ranked together


class Sides(NamedTuple):
    """Predicted and observed profile of one perturbation over its genes, and what is subtracted from each."""

    x: Floats
    y: Floats
    base_x: Floats
    base_y: Floats


class Correlations(NamedTuple):
    """Values in [-1, 1], numbers of genes, and why a value is NaN (else empty), one a perturbation."""

    values: Floats
    n: NDArray[np.int64]
    why: list[str]


def row_correlations(rows: Iterable[Sides], method: str, *, n_threads: int = 1) -> Correlations:
    """Correlation of ``x - base_x`` with ``y - base_y`` for each of ``rows``.

    Parameters
    ----------
    rows
        One a perturbation; arrays of one length each.
    method
        ``pearson``, ``spearman`` (average ranks) or ``cosine`` (not centred).
    n_threads
        For the ranks; the result does not depend on it.

    Returns
    -------
    Values, numbers of genes and reasons. Undefined: an effect that is constant over the genes (cosine: zero) up to
    rounding, not above 1e-13 of the largest value that it is the difference of; fewer than two genes (cosine: one); a
    base that does not exist. Genes with a value that is not finite are passed over.

    Examples
    --------
    >>> x, y, zero = np.array([1.0, 2.0, 4.0]), np.array([2.0, 4.0, 8.0]), np.zeros(3)
    >>> found = row_correlations([Sides(x, y, zero, zero), Sides(x, y, zero, y)], "pearson")
    >>> found.values.tolist(), found.why
    ([1.0, nan], ['', 'observed effect is constant'])
    """
    values: list[float] = []
    numbers: list[int] = []
    why: list[str] = []
    pending: list[tuple[int, Floats, Floats]] = []
    for k, sides in enumerate(rows):
        value, n, reason, effects = _value(sides, method)
        values.append(value)
        numbers.append(n)
        why.append(reason)
        if method == "spearman" and effects is not None:
            pending.append((k, *effects))
        if len(pending) == RANKED:
            _rank(pending, values, n_threads)
    _rank(pending, values, n_threads)
    return Correlations(np.array(values, np.float64), np.array(numbers, np.int64), why)


def _value(sides: Sides, method: str) -> tuple[float, int, str, tuple[Floats, Floats] | None]:
    """Value (of ranks: not yet), number of genes, why there is none, and the finite effects."""
    x, y, base_x, base_y = sides
    if np.isnan(base_x).any() or np.isnan(base_y).any():
        return np.nan, 0, "no other perturbation to average", None
    with np.errstate(invalid="ignore"):
        a, b = x - base_x, y - base_y
    kept: NDArray[np.bool_] | None = None
    finite = np.isfinite(a) & np.isfinite(b)
    if not finite.all():
        kept = finite
        a, b = a[kept], b[kept]
    n = a.size
    if n < (1 if method == "cosine" else 2):
        return np.nan, n, "a profile is not finite" if kept is not None and kept.size > n else "too few genes", None
    da, db = (a, b) if method == "cosine" else (a - a.mean(), b - b.mean())
    aa, bb = float((da * da).sum()), float((db * db).sum())
    for side, size, profile, base in (("predicted", aa, x, base_x), ("observed", bb, y, base_y)):
        if kept is not None:
            profile, base = profile[kept], base[kept]
        largest = max(profile.max(), -profile.min(), base.max(), -base.min())
        if np.sqrt(size / n) <= FLAT * largest:
            return np.nan, n, f"{side} effect is {'zero' if method == 'cosine' else 'constant'}", None
    below = np.sqrt(aa * bb)
    if not 0 < below < np.inf:  # squares beyond the range of doubles
        below = np.sqrt(aa) * np.sqrt(bb)
    return float(np.clip((da * db).sum() / below, -1.0, 1.0)), n, "", (a, b)


def _rank(pending: list[tuple[int, Floats, Floats]], values: list[float], n_threads: int) -> None:
    """Put the rank correlations of the waiting rows in their places."""
    if not pending:
        return
    shape = (len(pending), max(a.size for _, a, _ in pending))
    sides = np.full((2, *shape), np.nan)  # pairs with NaN are passed over
    for row, (_, a, b) in enumerate(pending):
        sides[0, row, : a.size], sides[1, row, : b.size] = a, b
    r, _ = rank_correlation(*(np.ascontiguousarray(side.T) for side in sides), n_threads=n_threads)
    for (k, _, _), value in zip(pending, r.tolist(), strict=True):
        values[k] = value
    pending.clear()
