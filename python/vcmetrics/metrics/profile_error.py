"""Errors of predicted profiles over chosen genes, plain or corrected for sampling noise."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.gene_choice import gene_choice
from vcmetrics.metrics.literature import CHOICE, hashable, literature_row
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.referenced_effects import referenced_effects
from vcmetrics.metrics.registry import Values
from vcmetrics.reference import profile_error as slow

Index = NDArray[np.int64]


def sums_of_errors(
    pair: Pair, power: int, reference: str, genes: Any, exclude: str, alpha: float
) -> tuple[Values, Index]:
    """Summed |error|^power of every perturbation over its genes, and their number."""

    def make() -> tuple[Values, Index]:
        choice = gene_choice(pair, genes, exclude, alpha)
        effects = referenced_effects(pair, reference, leave_one_out=False)
        sums = np.empty(pair.n)
        for p in range(pair.n):
            error = effects.error(p)[choice.of(p)]
            sums[p] = (error * error).sum() if power == 2 else np.abs(error).sum()
        return sums, np.array([choice.size(p) for p in range(pair.n)], np.int64)

    key = ("sums_of_errors", power, reference, hashable(genes), exclude, alpha)
    return pair.shared(key, make)


def per_gene(sums: Values, count: Index) -> Values:
    """Sums by numbers of genes, NaN without a gene."""
    out = np.full(sums.shape, np.nan)
    np.divide(sums, count, out=out, where=count > 0)
    return out


def squared_error(
    pair: Pair,
    *,
    reduce: Literal["mean", "sum", "root", "root_sum"] = "mean",
    reference: str = "none",
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Squared difference of predicted and observed profile over the chosen genes.

    Parameters
    ----------
    pair
        Profiles of both sides, n_perturbations × n_genes.
    reduce
        ``mean`` over genes (MSE); ``sum`` (PEREGGRN's mse and mse_top_n); ``root`` of the mean (RMSE; its mean over
        rows is MRRMSE); ``root_sum``, the Euclidean distance (Ahlmann-Eltze's L2).
    reference
        What is subtracted from both sides. It cancels, whatever it is, unless the sides have controls of their own.
    genes, exclude, alpha
        See :mod:`vcmetrics.metrics.gene_choice`. GEARS' mse_de is ``genes="t_test:20"``, PEREGGRN's mse_top_n
        ``effect_rank:n`` with the sum, Ahlmann-Eltze's L2 ``top_expressed:1000``.

    Returns
    -------
    (n_perturbations,), >= 0 in the profiles' unit squared (roots: unit); 0 is best and means equality. NaN where no
    gene is left.

    Notes
    -----
    A shared reference cancels, so errors of effects are no second signal. Errors reward collapse to the mean: the mean
    of all perturbations costs their own signal, a noisy prediction of it costs the noise. Noise of both sides biases
    them upwards (see ``squared_error_corrected``). The mean of roots is not the root of the mean. Lists by effect, t
    or DE use the truth. Cost O(n_perturbations · n_genes).

    References
    ----------
    GEARS, PEREGGRN, Ahlmann-Eltze et al., Systema; Open Problems (the mean over rows of roots).

    Examples
    --------
    Profiles (1, 2) and (2, 4): mean 2.5, sum 5, root of the mean 1.58, root of the sum 2.24.
    """
    sums, count = sums_of_errors(pair, 2, reference, genes, exclude, alpha)
    if reduce not in ("mean", "sum", "root", "root_sum"):
        msg = f"reduce={reduce!r} is not known; choose from mean, sum, root, root_sum"
        raise ValueError(msg)
    out = np.where(count > 0, sums, np.nan) if reduce.endswith("sum") else per_gene(sums, count)
    return np.sqrt(out) if reduce.startswith("root") else out


def absolute_error(
    pair: Pair,
    *,
    reduce: Literal["mean", "sum"] = "mean",
    reference: str = "none",
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Absolute difference of predicted and observed profile over the chosen genes.

    Parameters
    ----------
    pair
        Profiles of both sides, n_perturbations × n_genes.
    reduce
        ``mean`` over genes (MAE; the Broad obesity challenge's L1; its mean over rows is MRMAE) or ``sum``.
    reference, genes, exclude, alpha
        As for :func:`squared_error`.

    Returns
    -------
    (n_perturbations,), >= 0 in the profiles' unit; 0 is best. NaN where no gene is left.

    Examples
    --------
    Profiles (1, 2) and (2, 4): mean 1.5, sum 3.
    """
    sums, count = sums_of_errors(pair, 1, reference, genes, exclude, alpha)
    if reduce not in ("mean", "sum"):
        msg = f"reduce={reduce!r} is not known; choose from mean, sum"
        raise ValueError(msg)
    return np.where(count > 0, sums, np.nan) if reduce == "sum" else per_gene(sums, count)


def squared_error_corrected(
    pair: Pair,
    *,
    correct: Literal["both", "real"] = "both",
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Mean squared profile error less the sampling variance of the profiles at the same genes.

    ``mean_g (b̂ - b)² - v̂ / m - v / n``: v and v̂ are the unbiased variances over the n and m cells.

    Parameters
    ----------
    pair
        Profiles that are means of cells' values, with variances and numbers of cells.
    correct
        Whose noise is taken off: of ``both``, or only of the ``real`` profile (a prediction that is no sample).
    genes, exclude, alpha
        See :mod:`vcmetrics.metrics.gene_choice`.

    Returns
    -------
    (n_perturbations,), in the profiles' unit squared, of either sign; 0 is best, and the mean for an independent draw
    of the same law. NaN where a corrected profile is one cell.

    Notes
    -----
    The analytic counterpart, for means, of the jackknife of ``expr_mse_unbiased``; a prediction can buy credit with
    spread of its own, which that metric's capped form refuses.

    Examples
    --------
    Profiles (1, 2) and (2, 4), variances 1 of 4 cells on both sides: 2.5 - 1/4 - 1/4 = 2.
    """
    if correct not in ("both", "real"):
        msg = f"correct={correct!r} is not known; choose from both, real"
        raise ValueError(msg)
    pred, real = pair.profiles()
    choice = gene_choice(pair, genes, exclude, alpha)
    sums, count = sums_of_errors(pair, 2, "none", genes, exclude, alpha)
    noise = np.zeros(pair.n)
    for side in (real, pred) if correct == "both" else (real,):
        if side.variance is None or side.n_cells is None:
            msg = (
                "this metric needs the variance of the cells; score from cells, with profiles that are means (of logs)"
            )
            raise DataError(msg)
        for p in range(pair.n):
            noise[p] += side.variance[p][choice.of(p)].sum() / side.n_cells[p]
    return per_gene(sums - noise, count)


_REDUCED = {"reduce": "mean", "reference": "none", **CHOICE}
literature_row(
    "squared_error",
    "profile_error",
    squared_error,
    slow.squared_error,
    "mean_g (b̂ - b)² over chosen genes (or its sum, or roots)",
    "GEARS mse and mse_de; PEREGGRN mse_top_n; Ahlmann-Eltze et al. 2025, L2; Systema RMSE; Open Problems MRRMSE",
    _REDUCED,
    "common_shift",
    "scale_degree_2",
    unit="log1p²",
    pitfalls=(
        "Rewards collapse to the mean of all perturbations: weak signals are cheaper to leave out than to guess.",
        "Sampling noise of both sides is inside; values of different numbers of cells are not comparable.",
        "Lists by effect or test use the truth.",
    ),
)
literature_row(
    "absolute_error",
    "profile_error",
    absolute_error,
    slow.absolute_error,
    "mean_g |b̂ - b| over chosen genes (or its sum)",
    "PEREGGRN mae; Broad obesity challenge L1; Open Problems MRMAE",
    _REDUCED,
    "common_shift",
    "scale_degree_1",
    unit="log1p",
    pitfalls=(
        "Rewards medians: predicting what most perturbations do is hard to beat.",
        "A delta error against one control is the same number, no second signal.",
    ),
)
literature_row(
    "squared_error_corrected",
    "profile_error",
    squared_error_corrected,
    slow.squared_error_corrected,
    "mean_g (b̂ - b)² - v̂/m - v/n",
    "cell-eval2 0.20.0, unbiased expression error, in its analytic form for means of cells",
    {"correct": "both", **CHOICE},
    "common_shift",
    "scale_degree_2",
    needs=("profiles", "variance"),
    better="none",
    best=None,
    bounds=(-np.inf, np.inf),
    unit="log1p²",
    pitfalls=(
        "May be negative: an unbiased estimate of a small number.",
        "Needs variances of the cells; one cell has none.",
    ),
)
