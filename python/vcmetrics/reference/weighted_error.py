"""Weights of genes and what is weighted by them, one gene after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.gene_choice import gene_choice
from vcmetrics.reference.t_statistics import t_statistics

Values = NDArray[np.float64]


def weights_of(scores: list[float], flat: str) -> list[float]:
    """Squares of stretched sizes; a share that is no number counts 0."""
    sizes = [abs(s) for s in scores]
    if not sizes:
        return []
    low, high = min(sizes), max(sizes)
    if low == high:
        equal = {"nan": math.nan, "uniform": 1.0}.get(flat, 0.0 if high == 0 else 1.0)
        return [equal] * len(sizes)
    out = []
    for size in sizes:
        share = math.nan if math.isinf(high) and math.isinf(size) else (size - low) / (high - low)
        out.append(0.0 if math.isnan(share) else share * share)
    return out


def gene_weights(pair: Pair, weights: str, flat: str, genes: Any, exclude: str, alpha: float) -> list[list[float]]:
    """Weights of every perturbation's genes."""
    chosen = gene_choice(pair, genes, exclude, alpha)
    if weights == "uniform":
        return [[1.0] * len(one) for one in chosen]
    t, _ = pair.shared(
        ("reference weights", weights),
        lambda: t_statistics(pair, weights.removeprefix("t_"), overestimated=True),
    )
    return [weights_of([float(t[p, g]) for g in one], flat) for p, one in enumerate(chosen)]


def weighted_error(
    pair: Pair,
    *,
    weights: str = "t_rest",
    flat: str = "by_score",
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Weighted mean of squared errors."""
    pred, real = pair.profiles()
    chosen = gene_choice(pair, genes, exclude, alpha)
    out = []
    for p, ws in enumerate(gene_weights(pair, weights, flat, genes, exclude, alpha)):
        squares = [(float(pred.mean[p, g]) - float(real.mean[p, g])) ** 2 for g in chosen[p]]
        total = sum(ws)
        out.append(sum(w * e for w, e in zip(ws, squares, strict=True)) / total if total > 0 else math.nan)
    return np.array(out, np.float64)


def effective_genes(
    pair: Pair,
    *,
    weights: str = "t_rest",
    flat: str = "by_score",
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """(sum of weights)² / sum of squared weights."""
    out = []
    for ws in gene_weights(pair, weights, flat, genes, exclude, alpha):
        squares = sum(w * w for w in ws)
        out.append(sum(ws) ** 2 / squares if squares > 0 else math.nan)
    return np.array(out, np.float64)
