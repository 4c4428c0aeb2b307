"""Meaning of the detection of effects: one random mean after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.cell_distances import table
from vcmetrics.reference.roc import average_precision, roc_area

Values = NDArray[np.float64]


def _active(pair: Pair, n_draws: int, cap: int, seed: int) -> list[bool]:
    assert pair.cells is not None
    side = pair.cells().real
    x = table(side, None)
    control = x[side.cells_of(side.groups.control)].mean(0)
    rng = np.random.default_rng(seed)
    pool: list[int] = []
    for label in sorted((*pair.perturbations, side.groups.control)):
        rows = side.cells_of(label)
        pool += sorted(rng.choice(rows, cap, replace=False).tolist()) if rows.size > cap else rows.tolist()
    members = {label: side.cells_of(label) for label in pair.perturbations}
    orders = np.random.default_rng([seed, 1])
    largest = min(max(rows.size for rows in members.values()), len(pool))
    draws = [[pool[i] for i in orders.choice(len(pool), largest, replace=False)] for _ in range(n_draws)]
    out = []
    for rows in members.values():
        length = float(np.linalg.norm(x[rows].mean(0) - control))
        null = [float(np.linalg.norm(x[order[: rows.size]].mean(0) - control)) for order in draws]
        out.append(sum(length <= v for v in null) / n_draws < 0.05)
    return out


def _lengths(pair: Pair) -> list[float]:
    pred, _ = pair.profiles()
    return [float(np.linalg.norm(row - pred.control)) for row in pred.mean]


def effect_detection_auroc(pair: Pair, *, n_draws: int = 1000, cap: int = 100, seed: int = 0) -> Values:
    """Pairs of an active and another perturbation in the right order."""
    return np.full(pair.n, roc_area(_active(pair, n_draws, cap, seed), _lengths(pair)))


def effect_detection_average_precision(pair: Pair, *, n_draws: int = 1000, cap: int = 100, seed: int = 0) -> Values:
    """Precision at each active perturbation."""
    return np.full(pair.n, average_precision(_active(pair, n_draws, cap, seed), _lengths(pair)))
