"""Predicted means against the observed cells: inside their range, in units of their spread, as fold changes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.cells import CellSide, cells_of
from vcmetrics.metrics.gene_choice import gene_choice
from vcmetrics.metrics.literature import CHOICE, literature_row
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import Values
from vcmetrics.reference import cell_range as slow

Index = NDArray[np.int64]


def values_of(side: CellSide, cells: Index, genes: Index) -> NDArray[np.float32]:
    """Expression of some cells at some genes, (n_cells, n_genes): only these rows are read.

    The values are those of :meth:`~vcmetrics.metrics.cells.CellSide.expression`.
    """
    rows = side.rows.take(cells)
    place = np.full(rows.n_cols, -1, np.int64)
    place[genes] = np.arange(genes.size)
    column = place[np.asarray(rows.indices.read(0, rows.nnz), np.int64)]
    wanted = column >= 0
    row = np.repeat(np.arange(cells.size), np.diff(rows.indptr))[wanted]
    values = np.asarray(rows.data.read(0, rows.nnz))[wanted].astype(np.float32)
    if side.kind == "counts":
        unit = side.totals[cells].astype(np.float32) / np.float32(side.target_sum)
        unit[unit == 0] = 1.0
        values = np.log1p(values / unit[row], dtype=np.float64).astype(np.float32)
    out = np.zeros((cells.size, genes.size), np.float32)
    out[row, column[wanted]] = values
    return out


def in_range(
    pair: Pair,
    *,
    low: float = 0.0,
    high: float = 1.0,
    genes: Any = "t_test:20",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Share of the chosen genes whose predicted mean lies between two quantiles of the observed cells.

    Parameters
    ----------
    pair
        Profiles that are means (of logs), and the observed cells.
    low, high
        Levels of the quantiles, ends included: 0 and 1 (smallest and largest cell), 0.25 and 0.75, 0.4 and 0.6, 0.45
        and 0.55 in GEARS.
    genes, exclude, alpha
        See :mod:`vcmetrics.metrics.gene_choice`; by default GEARS' list of 20.

    Returns
    -------
    (n_perturbations,), in [0, 1]; 1 is best. Genes that are 0 in all observed cells are left out; NaN where none is
    left.

    Notes
    -----
    Quantiles are linear between neighbours. The whole range holds nearly every prediction; in sparse data the inner
    quantiles of most genes are 0, and then even the observed mean lies outside. Cost: the cells are read once.

    References
    ----------
    GEARS (frac_in_range, frac_in_range_25_75, …).

    Examples
    --------
    Cells (0, 1, 2) at one gene, (0, 0, 3) at another, predicted 1 and 4: inside and outside, 0.5.
    """
    if pair.bulk:
        msg = "in_range compares predicted means with observed cells; score in a space of means (of logs), not of sums"
        raise DataError(msg)
    choice = gene_choice(pair, genes, exclude, alpha)
    pred, _ = pair.profiles()
    side = cells_of(pair).real
    every = np.arange(len(pair.genes))
    out = np.full(pair.n, np.nan)
    for p, label in enumerate(pair.perturbations):
        at = every[choice.of(p)]
        values = values_of(side, side.cells_of(label), at).astype(np.float64)
        if not at.size:
            continue
        kept = ~((values.min(0) == 0) & (values.max(0) == 0))
        if kept.any():
            ends = np.quantile(values[:, kept], [low, high], axis=0)
            foretold = pred.mean[p][at][kept]
            out[p] = np.count_nonzero((foretold >= ends[0]) & (foretold <= ends[1])) / foretold.size
    return out


def _sigmas(pair: Pair, p: int, at: Index | slice, ddof: int) -> Values:
    """Distances of predicted from observed means in standard deviations of the observed cells, where these vary."""
    pred, real = pair.profiles()
    if real.variance is None or real.n_cells is None:
        msg = "this metric needs the variance of the observed cells; score from cells, with means (of logs), not sums"
        raise DataError(msg)
    n = int(real.n_cells[p])
    variance = real.variance[p][at]
    if ddof == 0:  # one cell does not vary
        variance = variance * ((n - 1) / n) if n > 1 else np.zeros(variance.shape)
    sd = np.sqrt(variance)
    varies = sd > 0
    return np.asarray(np.abs(pred.mean[p][at] - real.mean[p][at])[varies] / sd[varies])


def sigma_distance(
    pair: Pair, *, ddof: int = 0, genes: Any = "t_test:20", exclude: str = "none", alpha: float = 0.05
) -> Values:
    """Mean over the chosen genes of ``|b̂ - b|`` in standard deviations of the observed cells.

    Parameters
    ----------
    pair
        Profiles that are means (of logs); of the observed one with variances and numbers of cells.
    ddof
        Variances over n (0, as NumPy's default and GEARS) or n - 1 (1).
    genes, exclude, alpha
        See :mod:`vcmetrics.metrics.gene_choice`; by default GEARS' list of 20.

    Returns
    -------
    (n_perturbations,), >= 0; 0 is best. Genes whose cells do not vary are left out; NaN where none is left.

    Notes
    -----
    The spread of single cells is large beside that of their mean: below 1 for nearly any prediction.

    References
    ----------
    GEARS (mean_sigma).

    Examples
    --------
    Mean 1, standard deviation 0.5, predicted 2: 2.
    """
    choice = gene_choice(pair, genes, exclude, alpha)
    out = np.full(pair.n, np.nan)
    for p in range(pair.n):
        sigmas = _sigmas(pair, p, choice.of(p), ddof)
        if sigmas.size:
            out[p] = sigmas.mean()
    return out


def sigma_share(
    pair: Pair,
    *,
    within: float = 1.0,
    ddof: int = 0,
    genes: Any = "t_test:20",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Share of the chosen genes whose predicted mean lies within so many standard deviations of the observed cells.

    Parameters
    ----------
    pair
        Profiles that are means (of logs); of the observed one with variances and numbers of cells.
    within
        Standard deviations, the bound included (GEARS: 1 and 2).
    ddof, genes, exclude, alpha
        As for :func:`sigma_distance`.

    Returns
    -------
    (n_perturbations,), in [0, 1]; 1 is best. NaN as for :func:`sigma_distance`.

    References
    ----------
    GEARS (frac_sigma_below_1, frac_sigma_below_2).

    Examples
    --------
    Distances of 0.5 and 2 standard deviations: 0.5.
    """
    choice = gene_choice(pair, genes, exclude, alpha)
    out = np.full(pair.n, np.nan)
    for p in range(pair.n):
        sigmas = _sigmas(pair, p, choice.of(p), ddof)
        if sigmas.size:
            out[p] = np.count_nonzero(sigmas <= within) / sigmas.size
    return out


def fold_change_gap(
    pair: Pair,
    *,
    above: float = 0.0,
    below: float | None = None,
    min_mean: float = 0.5,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Mean ``|b̂ / c - b / c|`` over the genes whose observed fold change lies beyond a bound.

    Parameters
    ----------
    pair
        Profiles of both sides and the observed control.
    above, below
        Observed ``b / c`` strictly between them (None: no upper bound). GEARS: above 3, 10 or 0; below 0.333 or 0.1.
    min_mean
        Genes with a lower observed mean are left out.
    genes, exclude, alpha
        See :mod:`vcmetrics.metrics.gene_choice`.

    Returns
    -------
    (n_perturbations,), >= 0, a ratio; 0 is best. Genes that are 0 in the control are left out; NaN where none is left.

    Notes
    -----
    A quotient of means of logs is no fold change of counts. Genes barely expressed in the control decide the mean.

    References
    ----------
    GEARS (fold_change_gap_all, _upreg_3, _upreg_10, _downreg_0.33, _downreg_0.1).

    Examples
    --------
    Control 1, observed 4, predicted 3, above 3: 1.
    """
    choice = gene_choice(pair, genes, exclude, alpha)
    pred, real = pair.profiles()
    out = np.full(pair.n, np.nan)
    for p in range(pair.n):
        at = choice.of(p)
        x, y, c = pred.mean[p][at], real.mean[p][at], real.control[at]
        ratio = np.zeros(y.size)
        np.divide(y, c, out=ratio, where=(c != 0) & (y >= min_mean))
        chosen = ratio > above
        if below is not None:
            chosen &= ratio < below
        if chosen.any():
            out[p] = np.abs(x[chosen] / c[chosen] - y[chosen] / c[chosen]).mean()
    return out


_TOP = {**CHOICE, "genes": "t_test:20"}
_SHARE: dict[str, Any] = {"better": "higher", "bounds": (0.0, 1.0)}
literature_row(
    "in_range",
    "cell_range",
    in_range,
    slow.in_range,
    "share of genes with b̂ between two quantiles of the observed cells",
    "GEARS, frac_in_range",
    {"low": 0.0, "high": 1.0, **_TOP},
    needs=("profiles", "variance", "cells"),
    best=None,
    **_SHARE,
    pitfalls=("The range of single cells is wide: predicting the control is mostly inside.",),
)
literature_row(
    "sigma_distance",
    "cell_range",
    sigma_distance,
    slow.sigma_distance,
    "mean_g |b̂ - b| / sd of the observed cells",
    "GEARS, mean_sigma",
    {"ddof": 0, **_TOP},
    "common_shift",
    "scale_degree_0",
    needs=("profiles", "variance"),
    pitfalls=("The spread of single cells is the unit: small effects vanish in it.",),
)
literature_row(
    "sigma_share",
    "cell_range",
    sigma_share,
    slow.sigma_share,
    "share of genes with |b̂ - b| <= so many sd of the observed cells",
    "GEARS, frac_sigma_below_1 and _2",
    {"within": 1.0, "ddof": 0, **_TOP},
    "common_shift",
    "scale_degree_0",
    needs=("profiles", "variance"),
    best=1.0,
    **_SHARE,
    pitfalls=("Predicting the control is mostly within one standard deviation of single cells.",),
)
literature_row(
    "fold_change_gap",
    "cell_range",
    fold_change_gap,
    slow.fold_change_gap,
    "mean_g |b̂/c - b/c| over genes with b/c beyond a bound",
    "GEARS, fold_change_gap",
    {"above": 0.0, "below": None, "min_mean": 0.5, **CHOICE},
    pitfalls=("Fold changes of low controls explode; only genes above min_mean count.",),
)
