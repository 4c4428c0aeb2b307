"""Coefficients of determination: share of the observed spread over genes that a prediction accounts for."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics.metrics.co_moments import FLAT
from vcmetrics.metrics.delta_correlation import Undefined, filled
from vcmetrics.metrics.gene_choice import gene_choice
from vcmetrics.metrics.gene_weights import Flat, Weights, gene_weights
from vcmetrics.metrics.literature import CHOICE, REFERENCED, literature_row
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.referenced_effects import referenced_effects
from vcmetrics.metrics.registry import Values
from vcmetrics.reference import r2 as slow

Arguments = Literal["truth_first", "swapped"]


def determination(truth: Values, prediction: Values, largest: float, weights: Values | None = None) -> float:
    """``1 - Σ w (y - ŷ)² / Σ w (y - ȳ)²``, y the truth and ȳ its (weighted) mean.

    NaN for fewer than two values or a truth that is constant up to 1e-13 of ``largest``.

    Examples
    --------
    >>> y, x = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 5.0])
    >>> determination(y, x, 3.0), round(determination(x, y, 5.0), 4)
    (-1.0, 0.5385)
    """
    if truth.size < 2:
        return float("nan")
    if weights is None:
        residual, deviation = truth - prediction, truth - truth.mean()
        total, squares = float(truth.size), deviation * deviation
        errors = residual * residual
    else:
        total = float(weights.sum())
        if not total > 0:
            return float("nan")
        deviation = truth - (weights * truth).sum() / total
        residual = truth - prediction
        squares, errors = weights * deviation * deviation, weights * residual * residual
    spread = float(squares.sum())
    if not np.sqrt(spread / total) > FLAT * largest:
        return float("nan")
    return 1.0 - float(errors.sum()) / spread


def _ordered(prediction: Values, truth: Values, arguments: Arguments) -> tuple[Values, Values]:
    """Truth and prediction in the order in which the formula takes them."""
    if arguments not in ("truth_first", "swapped"):
        msg = f"arguments={arguments!r} is not known; choose from truth_first, swapped"
        raise ValueError(msg)
    return (truth, prediction) if arguments == "truth_first" else (prediction, truth)


def _largest(*tables: Values) -> float:
    return max(float(np.abs(t).max(initial=0.0)) for t in tables)


def r2(
    pair: Pair,
    *,
    reference: str = "none",
    leave_one_out: bool = True,
    arguments: Arguments = "truth_first",
    min_cells: int = 0,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
    undefined: Undefined = "nan",
) -> Values:
    """R² of the mean profiles over genes: ``1 - Σ_g (b - b̂)² / Σ_g (b - mean b)²``, b the observed one.

    Parameters
    ----------
    pair
        Profiles of both sides with what ``reference`` is made of.
    reference, leave_one_out
        What both profiles are taken against; ``none``: raw profiles.
    arguments
        ``truth_first``; ``swapped`` puts the prediction in the truth's place (TxPert registers it so).
    min_cells
        Perturbations with fewer observed cells are undefined (chemCPA: 6); 0 needs no number of cells.
    genes, exclude, alpha
        See :mod:`vcmetrics.metrics.gene_choice`.
    undefined
        ``nan``, or ``zero``.

    Returns
    -------
    (n_perturbations,), at most 1, which is best; 0 for predicting the mean over genes, below for worse. NaN where the
    observed profile is constant over the genes, or there are fewer than two.

    Notes
    -----
    R²(b, b̂) is not R²(b̂, b). Raw profiles differ so much between genes that predicting no change scores above 0.95.
    Weights that are all equal give the same number as ``r2_weighted``.

    References
    ----------
    CPA (R2_mean, R2_mean_DE), chemCPA, CellFlow (r_squared), TxPert (swapped).

    Examples
    --------
    Observed (1, 2, 3), predicted (1, 2, 5): 1 - 4 / 2 = -1; swapped 1 - 4 / 8.67 = 0.54.
    """
    choice = gene_choice(pair, genes, exclude, alpha)
    effects = referenced_effects(pair, reference, leave_one_out=leave_one_out)
    out = np.full(pair.n, np.nan)
    for p in range(pair.n):
        at = choice.of(p)
        truth, prediction = _ordered(effects.pred(p)[at], effects.real(p)[at], arguments)
        out[p] = determination(truth, prediction, _largest(effects.real_mean[p][at], effects.pred_mean[p][at]))
    return filled(np.where(_few(pair, min_cells), np.nan, out), undefined)


def _few(pair: Pair, min_cells: int) -> Any:
    """Perturbations with too few observed cells."""
    if min_cells == 0:
        return np.zeros(pair.n, bool)
    n_cells = pair.profiles()[1].n_cells
    if n_cells is None:
        msg = f"min_cells={min_cells} needs the numbers of observed cells, and a table of profiles has none"
        raise DataError(msg)
    return n_cells < min_cells


def r2_variance(
    pair: Pair,
    *,
    of: Literal["variance", "sd"] = "variance",
    arguments: Arguments = "truth_first",
    min_cells: int = 0,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
    undefined: Undefined = "nan",
) -> Values:
    """R² of the variances over cells, gene by gene, over the chosen genes.

    Parameters
    ----------
    pair
        Variances over the cells of both sides.
    of
        ``variance``, or its root (``sd``).
    arguments, min_cells, genes, exclude, alpha, undefined
        As for :func:`r2`.

    Returns
    -------
    (n_perturbations,), at most 1, which is best. NaN for a single cell, and as for :func:`r2`.

    Notes
    -----
    A prediction without spread between its cells scores below 0. CPA averages variances that its decoder predicts for
    every cell; predicted cells have the variance that is compared here.

    References
    ----------
    CPA (R2_var, R2_var_DE); PrePR-CT (of standard deviations).

    Examples
    --------
    Observed variances (1, 2, 3), predicted (1, 2, 4): 1 - 1 / 2 = 0.5.
    """
    pred, real = pair.profiles()
    if pred.variance is None or real.variance is None:
        msg = "r2_variance compares variances over cells; score from cells, with profiles that are means (of logs)"
        raise DataError(msg)
    if of not in ("variance", "sd"):
        msg = f"of={of!r} is not known; choose from variance, sd"
        raise ValueError(msg)
    choice = gene_choice(pair, genes, exclude, alpha)
    out = np.full(pair.n, np.nan)
    for p in range(pair.n):
        x, y = pred.variance[p][choice.of(p)], real.variance[p][choice.of(p)]
        if of == "sd":
            x, y = np.sqrt(x), np.sqrt(y)
        truth, prediction = _ordered(x, y, arguments)
        out[p] = determination(truth, prediction, _largest(x, y))
    return filled(np.where(_few(pair, min_cells), np.nan, out), undefined)


def r2_weighted(
    pair: Pair,
    *,
    reference: str = "control",
    leave_one_out: bool = True,
    weights: Weights = "t_rest",
    flat: Flat = "by_score",
    zero_weights: Literal["nan", "uniform"] = "nan",
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
    undefined: Undefined = "nan",
) -> Values:
    """R² of the effects, weighted by how much each gene tells the perturbation from the others.

    ``1 - Σ_g w (d - d̂)² / Σ_g w (d - d̄_w)²``, d̄_w the weighted mean of the observed effect.

    Parameters
    ----------
    pair
        Profiles of both sides; of the observed one with variances and numbers of cells.
    reference, leave_one_out
        What effects are taken against (control, or a perturbed mean).
    weights, flat
        See :mod:`vcmetrics.metrics.gene_weights`.
    zero_weights
        Where all weights are 0 or undefined: ``nan``, or ``uniform`` (Shift takes the unweighted R²).
    genes, exclude, alpha
        See :mod:`vcmetrics.metrics.gene_choice`.
    undefined
        ``nan``, or ``zero``.

    Returns
    -------
    (n_perturbations,), at most 1, which is best; 0 for predicting d̄_w. NaN as for :func:`r2`.

    Notes
    -----
    Unchanged by a common factor of the weights. Weights come from the truth (see ``wmse``).

    References
    ----------
    Diversity by Design and Shift (weighted delta R²).

    Examples
    --------
    Effects (1, 2, 3) observed, (1, 2, 5) predicted, weights (1, 1, 0): 1.
    """
    if zero_weights not in ("nan", "uniform"):
        msg = f"zero_weights={zero_weights!r} is not known; choose from nan, uniform"
        raise ValueError(msg)
    choice = gene_choice(pair, genes, exclude, alpha)
    effects = referenced_effects(pair, reference, leave_one_out=leave_one_out)
    out = np.full(pair.n, np.nan)
    for p, w in enumerate(gene_weights(pair, weights, flat, genes, exclude, alpha)):
        at = choice.of(p)
        given = None if zero_weights == "uniform" and not np.nansum(w) > 0 else w
        out[p] = determination(
            effects.real(p)[at],
            effects.pred(p)[at],
            _largest(effects.real_mean[p][at], effects.pred_mean[p][at]),
            given,
        )
    return filled(out, undefined)


_SHARE: dict[str, Any] = {"better": "higher", "best": 1.0, "chance": 0.0, "bounds": (-np.inf, 1.0)}
_ENDS = {**CHOICE, "undefined": "nan"}
_PLAIN = {"arguments": "truth_first", "min_cells": 0, **_ENDS}
literature_row(
    "r2",
    "r2",
    r2,
    slow.r2,
    "1 - Σ_g (b - b̂)² / Σ_g (b - mean b)²",
    "CPA R2_mean, chemCPA, CellFlow r_squared, TxPert r2 (swapped)",
    {"reference": "none", "leave_one_out": True, **_PLAIN},
    "scale_degree_0",
    **_SHARE,
    pitfalls=(
        "The order of truth and prediction matters: swapped arguments give another number.",
        "On raw profiles predicting no change is near 0.95, for genes differ more than perturbations.",
    ),
)
literature_row(
    "r2_variance",
    "r2",
    r2_variance,
    slow.r2_variance,
    "1 - Σ_g (v - v̂)² / Σ_g (v - mean v)², v the variances over cells",
    "CPA R2_var; PrePR-CT (standard deviations)",
    {"of": "variance", **_PLAIN},
    "common_shift",
    "scale_degree_0",
    needs=("profiles", "variance"),
    **_SHARE,
    pitfalls=(
        "Variances grow with means, so predicting the mean right brings much of it.",
        "A model that emits equal cells has a variance of 0 in every gene.",
    ),
)
literature_row(
    "r2_weighted",
    "r2",
    r2_weighted,
    slow.r2_weighted,
    "1 - Σ_g w (d - d̂)² / Σ_g w (d - d̄_w)², w from squared t scores",
    "Diversity by Design and Shift, weighted delta R2",
    {**REFERENCED, "weights": "t_rest", "flat": "by_score", "zero_weights": "nan", **_ENDS},
    "common_shift",
    "scale_degree_0",
    needs=("profiles", "variance"),
    **_SHARE,
    pitfalls=(
        "The weights come from the truth; a handful of genes carries nearly all of it.",
        "Undefined where all weight lies on genes of equal effect.",
    ),
)
