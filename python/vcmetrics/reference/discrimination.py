"""Meaning of the discrimination score: every distance on its own, ranks by counting."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.expression import _effect

Values = NDArray[np.float64]


def distance(x: list[float], y: list[float], metric: str) -> float:
    """Distance of two effects, exactly rounded sums."""
    if metric == "l1":
        return math.fsum(abs(a - b) for a, b in zip(x, y, strict=True))
    if metric == "l2":
        return math.fsum((a - b) ** 2 for a, b in zip(x, y, strict=True))
    norm = math.sqrt(math.fsum(a * a for a in x)) * math.sqrt(math.fsum(b * b for b in y))
    if norm == 0:
        return 1.0
    return min(2.0, max(0.0, 1.0 - math.fsum(a * b for a, b in zip(x, y, strict=True)) / norm))


def discrimination_score(
    pair: Pair,
    *,
    metric: str,
    exclude: str = "panel",
    ties: str = "midrank",
    denominator: str = "n-1",
    embedding: str | None = None,
    single_precision: bool = False,
) -> Values:
    """1 - rank of the own distance / (n - 1 or n)."""
    pred, real = pair.profiles(embedding)
    panel = {int(g) for g in pair.own if g >= 0}
    out = []
    for i in range(pair.n):
        query = _effect(pred, i, single_precision)
        dropped: set[int] = set()
        if embedding is None and exclude == "panel":
            dropped = panel
        elif embedding is None and exclude == "row":
            dropped = {int(pair.own[i])}
        genes = [g for g in range(len(query)) if g not in dropped]
        distances = []
        for j in range(pair.n):
            candidate = _effect(real, j, single_precision)
            distances.append(distance([query[g] for g in genes], [candidate[g] for g in genes], metric))
        own = distances[i]
        less = sum(d < own for d in distances)
        before = sum(d == own for d in distances[:i])
        after = sum(d == own for d in distances[i + 1 :])
        rank = {
            "midrank": less + (before + after) / 2,
            "position": less + before,
            "first": less + before,
            "last": less + after,
            "optimistic": less,
            "pessimistic": less + before + after,
        }[ties]
        out.append(1.0 - rank / max(pair.n - 1 if denominator == "n-1" else pair.n, 1))
    return np.array(out, np.float64)
