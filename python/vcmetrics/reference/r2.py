"""Coefficients of determination, one gene after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.gene_choice import gene_choice
from vcmetrics.reference.referenced_effects import effects
from vcmetrics.reference.weighted_error import gene_weights

Values = NDArray[np.float64]


def determination(truth: list[float], prediction: list[float], scale: float, weights: list[float]) -> float:
    """1 - weighted squared errors / weighted squared deviations of the truth from its weighted mean."""
    total = math.fsum(weights)
    if len(truth) < 2 or not total > 0 or any(math.isnan(v) for v in (*truth, *prediction)):
        return math.nan
    middle = math.fsum(w * y for w, y in zip(weights, truth, strict=True)) / total
    spread = math.fsum(w * (y - middle) ** 2 for w, y in zip(weights, truth, strict=True))
    if math.sqrt(spread / total) <= 1e-13 * scale:
        return math.nan
    return 1 - math.fsum(w * (y - x) ** 2 for w, y, x in zip(weights, truth, prediction, strict=True)) / spread


def _row(truth: list[float], prediction: list[float], arguments: str, scale: float) -> float:
    one, other = (truth, prediction) if arguments == "truth_first" else (prediction, truth)
    return determination(one, other, scale, [1.0] * len(one))


def _end(out: list[float], undefined: str) -> Values:
    values = np.array(out, np.float64)
    return np.nan_to_num(values, nan=0.0) if undefined == "zero" else values


def r2(
    pair: Pair,
    *,
    reference: str = "none",
    leave_one_out: bool = True,
    arguments: str = "truth_first",
    min_cells: int = 0,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
    undefined: str = "nan",
) -> Values:
    """R² of means or effects over each perturbation's genes."""
    pred, real = effects(pair, reference, leave_one_out)
    out = []
    for p, chosen in enumerate(gene_choice(pair, genes, exclude, alpha)):
        x, y = ([float(t[p, g]) for g in chosen] for t in (pred, real))
        out.append(_row(y, x, arguments, _scale(pair, p, chosen)))
        if min_cells and pair.profiles()[1].n_cells[p] < min_cells:  # type: ignore[index]
            out[-1] = math.nan
    return _end(out, undefined)


def _scale(pair: Pair, p: int, genes: list[int]) -> float:
    return max([abs(float(side.mean[p, g])) for side in pair.profiles() for g in genes], default=0.0)


def r2_variance(
    pair: Pair,
    *,
    of: str = "variance",
    arguments: str = "truth_first",
    min_cells: int = 0,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
    undefined: str = "nan",
) -> Values:
    """R² of variances or standard deviations."""
    pred, real = pair.profiles()
    assert pred.variance is not None
    assert real.variance is not None
    out = []
    for p, chosen in enumerate(gene_choice(pair, genes, exclude, alpha)):
        x, y = ([float(t[p, g]) for g in chosen] for t in (pred.variance, real.variance))
        if of == "sd":
            x, y = [math.sqrt(v) for v in x], [math.sqrt(v) for v in y]
        out.append(_row(y, x, arguments, max([0.0, *x, *y])))
        if min_cells and real.n_cells[p] < min_cells:  # type: ignore[index]
            out[-1] = math.nan
    return _end(out, undefined)


def r2_weighted(
    pair: Pair,
    *,
    reference: str = "control",
    leave_one_out: bool = True,
    weights: str = "t_rest",
    flat: str = "by_score",
    zero_weights: str = "nan",
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
    undefined: str = "nan",
) -> Values:
    """Weighted R² of effects."""
    pred, real = effects(pair, reference, leave_one_out)
    chosen = gene_choice(pair, genes, exclude, alpha)
    out = []
    for p, ws in enumerate(gene_weights(pair, weights, flat, genes, exclude, alpha)):
        if zero_weights == "uniform" and all(w == 0 or math.isnan(w) for w in ws):
            ws = [1.0] * len(ws)
        x, y = ([float(t[p, g]) for g in chosen[p]] for t in (pred, real))
        out.append(determination(y, x, _scale(pair, p, chosen[p]), ws))
    return _end(out, undefined)
