"""t statistics of every gene from means, variances and numbers of cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.pair import Pair

Table = NDArray[np.float64]
Against = Literal["control", "rest"]

_NO_CELLS = (
    "t statistics need the variance of the observed cells; score from cells, with profiles that are means (of logs), "
    "not logs of sums"
)


def welch(
    mean: Table,
    variance: Table,
    n: float,
    other_mean: Table,
    other_variance: Table,
    other_n: float,
    *,
    overestimated: bool = False,
) -> tuple[Table, Table]:
    """Welch's t of one group against another, and its degrees of freedom.

    Parameters
    ----------
    mean, variance, n
        Of the group's cells, one a gene; variances over n - 1.
    other_mean, other_variance, other_n
        The same of the other cells.
    overestimated
        Divide the other variance by ``n`` in place of ``other_n`` (scanpy's ``t-test_overestim_var``), in the degrees
        of freedom as well.

    Returns
    -------
    t and degrees of freedom, one a gene. t is 0 where it is undefined (0/0, a single cell), as in scanpy; ±inf where
    two constant genes differ.

    Examples
    --------
    >>> t, df = welch(np.array([3.0]), np.array([2.0]), 4, np.array([1.0]), np.array([1.0]), 8)
    >>> t.round(4).tolist(), df.round(4).tolist()
    ([2.5298], [4.5652])
    """
    m = n if overestimated else other_n
    t = t_only(mean, variance, n, other_mean, other_variance, m)
    with np.errstate(invalid="ignore", divide="ignore"):
        own, others = variance / n, other_variance / m
        # 0/0 has no degrees of freedom; any number serves, scipy takes 1
        df = (own + others) ** 2 / (own * own / (n - 1) + others * others / (m - 1))
    return t, np.where(np.isnan(df), 1.0, df)


def t_only(mean: Table, variance: Table, n: float, other_mean: Table, other_variance: Table, other_n: float) -> Table:
    """Welch's t, 0 where it is undefined."""
    with np.errstate(invalid="ignore", divide="ignore"):
        t = variance / n
        t += other_variance / other_n
        np.sqrt(t, out=t)
        np.divide(mean - other_mean, t, out=t)
    t[np.isnan(t)] = 0.0
    return np.asarray(t)


def p_values(t: Table, df: Table) -> Table:
    """Two-sided p-values of t; 1 where t is 0.

    Examples
    --------
    >>> p_values(np.array([0.0, 2.0]), np.array([5.0, 5.0])).round(4).tolist()
    [1.0, 0.1019]
    """
    from scipy.special import stdtr

    return np.asarray(2.0 * stdtr(df, -np.abs(t)), np.float64)


def rest_moments(mean: Table, variance: Table, n: NDArray[np.int64]) -> tuple[Table, Table, NDArray[np.int64]]:
    """Means, variances and numbers of the cells of all other groups.

    Parameters
    ----------
    mean, variance
        (n_groups, n_genes), variances over n - 1 (NaN for one cell, which counts as 0).
    n
        Cells of every group, (n_groups,).

    Returns
    -------
    Mean and variance (over n - 1) of the cells outside each group, (n_groups, n_genes), and their number. NaN where
    there is no cell outside, or one for the variance.

    Notes
    -----
    Groups are merged from both ends, so that nothing is subtracted: a group that holds nearly all the spread does not
    cost the rest its digits. Cost O(n_groups · n_genes).

    References
    ----------
    Chan, Golub & LeVeque (1983), Am. Stat. 37:242.

    Examples
    --------
    >>> mean, variance, n = rest_moments(np.array([[0.0], [1.0], [3.0]]), np.zeros((3, 1)), np.array([5, 1, 1]))
    >>> mean[:, 0].round(4).tolist(), variance[:, 0].round(4).tolist(), n.tolist()
    ([2.0, 0.5, 0.1667], [2.0, 1.5, 0.1667], [2, 6, 6])
    """
    n_groups, n_genes = mean.shape
    size = np.asarray(n, np.float64)
    spread = np.where(size[:, None] > 1, variance * (size[:, None] - 1), 0.0)
    after_mean, after_spread = np.zeros((n_groups, n_genes)), np.zeros((n_groups, n_genes))
    after_n = np.zeros(n_groups)
    for k in range(n_groups - 2, -1, -1):
        after_n[k], after_mean[k], after_spread[k] = _merged(
            (size[k + 1], mean[k + 1], spread[k + 1]), (after_n[k + 1], after_mean[k + 1], after_spread[k + 1])
        )
    before = (0.0, np.zeros(n_genes), np.zeros(n_genes))
    total = np.asarray(size.sum() - size)
    for k in range(n_groups):
        _, rest_mean, rest_spread = _merged(before, (after_n[k], after_mean[k], after_spread[k]))
        before = _merged(before, (size[k], mean[k], spread[k]))
        after_mean[k] = rest_mean if total[k] > 0 else np.nan
        after_spread[k] = rest_spread / (total[k] - 1) if total[k] > 1 else np.nan
    return after_mean, after_spread, total.astype(np.int64)


def _merged(one: tuple[float, Table, Table], two: tuple[float, Table, Table]) -> tuple[float, Table, Table]:
    """Number, mean and summed squared deviations of both."""
    if one[0] == 0 or two[0] == 0:
        return two if one[0] == 0 else one
    n = one[0] + two[0]
    apart = two[1] - one[1]
    mean = one[1] + apart * (two[0] / n)
    apart *= apart
    apart *= one[0] * two[0] / n
    apart += one[2]
    apart += two[2]
    return n, mean, apart


def t_statistics(pair: Pair, against: Against = "control", *, overestimated: bool = False) -> Table:
    """Welch's t of every observed perturbation and gene.

    Parameters
    ----------
    pair
        Observed profiles that are means of the cells' values, with variances and numbers of cells.
    against
        ``control``: the control cells. ``rest``: the cells of all other perturbations, the control left out.
    overestimated
        See :func:`welch`.

    Returns
    -------
    t, (n_perturbations, n_genes), computed once for the pair.

    Raises
    ------
    DataError
        If the profiles have no variances of cells.

    References
    ----------
    scanpy, ``rank_genes_groups``: ``t-test`` and ``t-test_overestim_var``.
    """

    def make() -> Table:
        t = np.empty(pair.profiles()[1].mean.shape)
        for p, (own, other) in enumerate(_comparisons(pair, against)):
            t[p] = t_only(*own, *other[:2], own[2] if overestimated else other[2])
        return t

    return pair.shared(("t_statistics", against, overestimated), make)


def t_p_values(pair: Pair, against: Against = "control", *, overestimated: bool = False) -> Table:
    """Two-sided p-values of :func:`t_statistics`, (n_perturbations, n_genes)."""
    p = np.empty(pair.profiles()[1].mean.shape)
    for k, (own, other) in enumerate(_comparisons(pair, against)):
        p[k] = p_values(*welch(*own, *other, overestimated=overestimated))
    return p


Moments = tuple[Table, Table, float]


def _comparisons(pair: Pair, against: Against) -> Iterator[tuple[Moments, Moments]]:
    """Mean, variance and number of the cells of each perturbation, and of those that they are compared with."""
    _, real = pair.profiles()
    mean, variance, n = real.mean, real.variance, real.n_cells
    if variance is None or n is None:
        raise DataError(_NO_CELLS)
    if against == "rest":
        means, variances, numbers = rest_moments(mean, variance, n)
        for p in range(pair.n):
            yield (mean[p], variance[p], float(n[p])), (means[p], variances[p], float(numbers[p]))
    elif against == "control":
        if real.control_variance is None or real.control_n_cells is None:
            raise DataError(_NO_CELLS)
        control = (real.control, real.control_variance, float(real.control_n_cells))
        for p in range(pair.n):
            yield (mean[p], variance[p], float(n[p])), control
    else:
        msg = f"against={against!r} is not known; choose from control, rest"
        raise ValueError(msg)
