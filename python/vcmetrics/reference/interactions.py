"""Meaning of the genetic interactions: doubles and genes in a list, thresholds one after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.empirical_null import empirical_null

Values = NDArray[np.float64]


def _calls(pair: Pair, genes: Any, level: float) -> tuple[list[int], list[float]]:
    """+1, 0 or -1 for every (double, gene), and the predicted deviation."""
    pred, real = pair.profiles()
    singles: dict[str, Values] = {}
    if pair.train is not None:
        control = real.control if pair.train.control is None else pair.train.control
        for label, row in zip(pair.train.labels, pair.train.mean, strict=True):
            singles[label] = row - control
    for label, row in zip(pair.perturbations, real.mean, strict=True):
        singles[label] = row - real.control
    assert isinstance(genes, str)
    k = int(genes.partition(":")[2])
    chosen = sorted(range(real.control.size), key=lambda g: (-real.control[g], g))[:k]
    true, guess = [], []
    for i, label in enumerate(pair.perturbations):
        parts = label.split("+")
        if len(parts) != 2 or parts[0] not in singles or parts[1] not in singles:
            continue
        for g in sorted(chosen):
            additive = singles[parts[0]][g] + singles[parts[1]][g]
            true.append(float(real.mean[i, g] - real.control[g] - additive))
            guess.append(float(pred.mean[i, g] - pred.control[g] - additive))
    _, _, _, lower, upper = empirical_null(np.array(true), level)
    return [1 if e >= upper else -1 if e <= lower else 0 for e in true], guess


def _curve(pair: Pair, genes: Any, level: float) -> list[tuple[float, float]] | None:
    """(rate, false share) at every threshold, the largest first."""
    true, guess = _calls(pair, genes, level)
    total = sum(t != 0 for t in true)
    if not total:
        return None
    out = []
    for cut in sorted({abs(v) for v in guess if v != 0}, reverse=True):
        called = [(t, 1 if v > 0 else -1) for t, v in zip(true, guess, strict=True) if v != 0 and abs(v) >= cut]
        right = sum(t == side for t, side in called)
        out.append((right / total, 1 - right / len(called)))
    return out


def interaction_tpr(
    pair: Pair, *, genes: Any = "top_expressed:1000", level: float = 0.05, max_fdp: float = 0.2
) -> Values:
    """Best rate among the thresholds that are allowed."""
    curve = _curve(pair, genes, level)
    if curve is None:
        return np.full(pair.n, math.nan)
    return np.full(pair.n, max([rate for rate, false in curve if false <= max_fdp], default=0.0))


def interaction_average_precision(pair: Pair, *, genes: Any = "top_expressed:1000", level: float = 0.05) -> Values:
    """Rates gained times what is right."""
    curve = _curve(pair, genes, level)
    if curve is None:
        return np.full(pair.n, math.nan)
    area, before = 0.0, 0.0
    for rate, false in curve:
        area += (rate - before) * (1 - false)
        before = rate
    return np.full(pair.n, area)
