"""Predicted means against observed cells, one gene after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.cells import cells_of
from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.gene_choice import gene_choice
from vcmetrics.reference.summary import dense

Values = NDArray[np.float64]


def in_range(
    pair: Pair,
    *,
    low: float = 0.0,
    high: float = 1.0,
    genes: Any = "t_test:20",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Share of genes between the quantiles of whole, dense cells."""
    pred, _ = pair.profiles()
    side = cells_of(pair).real
    table = dense(side.expression())
    out = []
    for p, chosen in enumerate(gene_choice(pair, genes, exclude, alpha)):
        inside = []
        for g in chosen:
            values = [float(v) for v in table[side.groups.codes == side.number(pair.perturbations[p]), g]]
            if any(values):
                ends = [float(np.quantile(values, level)) for level in (low, high)]
                inside.append(ends[0] <= float(pred.mean[p, g]) <= ends[1])
        out.append(sum(inside) / len(inside) if inside else math.nan)
    return np.array(out, np.float64)


def _sigmas(pair: Pair, ddof: int, genes: Any, exclude: str, alpha: float) -> list[list[float]]:
    pred, real = pair.profiles()
    assert real.variance is not None
    assert real.n_cells is not None
    out = []
    for p, chosen in enumerate(gene_choice(pair, genes, exclude, alpha)):
        n, row = int(real.n_cells[p]), []
        for g in chosen:
            squares = 0.0 if n == 1 else float(real.variance[p, g]) * (n - 1)
            sd = math.sqrt(squares / (n - ddof)) if n > ddof else 0.0
            if sd > 0:
                row.append(abs(float(pred.mean[p, g]) - float(real.mean[p, g])) / sd)
        out.append(row)
    return out


def sigma_distance(
    pair: Pair, *, ddof: int = 0, genes: Any = "t_test:20", exclude: str = "none", alpha: float = 0.05
) -> Values:
    """Mean of distances in standard deviations."""
    rows = _sigmas(pair, ddof, genes, exclude, alpha)
    return np.array([math.fsum(row) / len(row) if row else math.nan for row in rows])


def sigma_share(
    pair: Pair,
    *,
    within: float = 1.0,
    ddof: int = 0,
    genes: Any = "t_test:20",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Share of distances that are not beyond a bound."""
    rows = _sigmas(pair, ddof, genes, exclude, alpha)
    return np.array([sum(s <= within for s in row) / len(row) if row else math.nan for row in rows])


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
    """Mean difference of quotients by the control."""
    pred, real = pair.profiles()
    out = []
    for p, chosen in enumerate(gene_choice(pair, genes, exclude, alpha)):
        gaps = []
        for g in chosen:
            c, y, x = float(real.control[g]), float(real.mean[p, g]), float(pred.mean[p, g])
            if c != 0 and y >= min_mean and above < y / c and (below is None or y / c < below):
                gaps.append(abs(x / c - y / c))
        out.append(math.fsum(gaps) / len(gaps) if gaps else math.nan)
    return np.array(out, np.float64)
