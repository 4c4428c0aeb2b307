"""A correlation taken apart by study: what holds inside studies, and what only tells them from each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.co_moments import FLAT, CoMoments, Floats, correlation, quotient
from vcmetrics.metrics.column_correlation import rank_correlation

Codes = NDArray[np.int64]
MIN_ROWS = 4  # fewer have no weight n - 3


@dataclass(frozen=True)
class StudyParts:
    """Columns of two tables, their covariance split by the law of total covariance; all (n_columns,).

    ``cov`` = ``cov_within`` + ``cov_between``, over the summed weight; the correlation of all rows is
    ``within_part`` + ``between_part``. ``within`` is the pooled correlation after each study's mean was taken off, on
    ``df`` = n - studies degrees of freedom; ``between`` that of the studies' means, each weighted by its rows;
    ``averaged`` the mean of Fisher's z over ``n_averaged`` studies, weights n - 3. ``flat_x`` and ``flat_y``: nothing
    varies inside the studies.
    """

    cov: Floats
    cov_within: Floats
    cov_between: Floats
    within: Floats
    between: Floats
    within_part: Floats
    between_part: Floats
    averaged: Floats
    df: NDArray[np.int64]
    n_averaged: NDArray[np.int64]
    flat_x: NDArray[np.bool_]
    flat_y: NDArray[np.bool_]


def study_parts(
    x: Floats,
    y: Floats,
    codes: Codes,
    *,
    n_min: int = MIN_ROWS,
    weights: Floats | None = None,
    ranked: tuple[Floats, Floats] | None = None,
    n_threads: int | None = None,
) -> StudyParts:
    """Split the covariance of every column by study.

    Parameters
    ----------
    x, y
        (n_rows, n_columns); a pair with a value that is not finite is passed over in its column.
    codes
        Study of each row, 0 … n_studies - 1.
    n_min
        Studies with fewer rows stay out of the average; 4 at least, as its weights are n - 3.
    weights
        One a row.
    ranked
        Ranks of both tables over all rows: they are what is split, and the average is of Spearman inside each study.
    n_threads
        Threads.
    """
    a, b = (x, y) if ranked is None else ranked
    studies = [np.flatnonzero(codes == s) for s in range(int(codes.max()) + 1)]
    parts = [
        CoMoments(a.shape[1]).add(
            a, b, rows_x=rows, rows_y=rows, weights=None if weights is None else weights[rows], n_threads=n_threads
        )
        for rows in studies
    ]
    whole = CoMoments(a.shape[1]).add(a, b, weights=weights, n_threads=n_threads)
    if ranked is None:
        inner = [(p.pearson(), p.n) for p in parts]
    else:
        inner = [rank_correlation(x, y, rows_x=rows, rows_y=rows, n_threads=n_threads) for rows in studies]
    return split(parts, whole, inner, n_min)


def split(
    parts: list[CoMoments], whole: CoMoments, inner: list[tuple[Floats, NDArray[np.int64]]], n_min: int
) -> StudyParts:
    """The parts from the co-moments of each study and of all rows, and the correlations inside the studies."""

    def inside(name: str) -> Floats:
        """Sum over studies of a moment, by the weight of all."""
        terms = [np.nan_to_num(getattr(p, name)) * p.weight for p in parts]
        return quotient(np.sum(terms, axis=0), whole.weight, whole.n > 0)

    xx, yy, xy = inside("variance_x"), inside("variance_y"), inside("covariance")
    outer = outside(parts, whole)
    flat = [
        np.sqrt(v) <= FLAT * np.max([np.abs(np.nan_to_num(getattr(p, m))) for p in parts], axis=0)
        for v, m in ((xx, "mean_x"), (yy, "mean_y"))
    ]
    flat_outer = [np.sqrt(v) <= FLAT * np.abs(m) for v, m in ((outer[0], whole.mean_x), (outer[1], whole.mean_y))]
    used = np.array([p.n > 0 for p in parts]).sum(0)
    df = np.maximum(whole.n - used, 0)
    below = np.sqrt(whole.variance_x * whole.variance_y)
    fine = ~(whole.constant_x | whole.constant_y) & (whole.n >= 2)
    averaged, n_averaged = fisher_mean(inner, n_min)
    return StudyParts(
        cov=whole.covariance,
        cov_within=xy,
        cov_between=outer[2],
        within=correlation(xx, yy, xy, flat[0] | flat[1] | (df < 1)),
        between=correlation(*outer, flat_outer[0] | flat_outer[1] | (used < 2)),
        within_part=quotient(xy, below, fine),
        between_part=quotient(outer[2], below, fine),
        averaged=averaged,
        df=df,
        n_averaged=n_averaged,
        flat_x=flat[0],
        flat_y=flat[1],
    )


def outside(parts: list[CoMoments], whole: CoMoments) -> tuple[Floats, Floats, Floats]:
    """Variances and covariance of the studies' means around the common one, over the weight of all."""
    sums = [np.zeros(whole.n_columns) for _ in range(3)]
    for p in parts:
        dx, dy = np.nan_to_num(p.mean_x - whole.mean_x), np.nan_to_num(p.mean_y - whole.mean_y)
        for k, product in enumerate((dx * dx, dy * dy, dx * dy)):
            sums[k] += p.weight * product
    xx, yy, xy = (quotient(s, whole.weight, whole.n > 0) for s in sums)
    return xx, yy, xy


def fisher_mean(inner: list[tuple[Floats, NDArray[np.int64]]], n_min: int) -> tuple[Floats, NDArray[np.int64]]:
    """Correlations inside the studies, averaged as Fisher's z with weights n - 3; and how many entered."""
    n_columns = inner[0][0].size
    top, weight = np.zeros(n_columns), np.zeros(n_columns)
    entered = np.zeros(n_columns, np.int64)
    for r, n in inner:
        taken = ~np.isnan(r) & (n >= n_min)
        with np.errstate(divide="ignore", invalid="ignore"):
            top[taken] += (n[taken] - 3) * np.arctanh(r[taken])
        weight[taken] += n[taken] - 3
        entered += taken
    with np.errstate(invalid="ignore"):
        return np.tanh(quotient(top, weight, entered > 0)), entered
