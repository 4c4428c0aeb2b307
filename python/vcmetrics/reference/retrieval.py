"""Meaning of discrimination: every distance on its own, over the genes that its scope leaves, ranks by counting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

Rows = NDArray[Any]


def distance(x: Rows, y: Rows, metric: str) -> float:
    """Distance of two profiles, exactly rounded sums; an angle with a zero (or constant) profile is 1."""
    a, b = x.astype(float).tolist(), y.astype(float).tolist()
    if metric == "cityblock":
        return math.fsum(abs(s - t) for s, t in zip(a, b, strict=True))
    if metric in ("euclidean", "sqeuclidean"):
        square = math.fsum((s - t) ** 2 for s, t in zip(a, b, strict=True))
        return square if metric == "sqeuclidean" else math.sqrt(square)
    if metric == "spearman":
        from scipy.stats import rankdata

        a, b = rankdata(a).tolist(), rankdata(b).tolist()
    if metric in ("pearson", "spearman"):
        for side in (a, b):
            mean = math.fsum(side) / len(side)
            side[:] = [s - mean for s in side] if max(side) > min(side) else [0.0] * len(side)
    length = math.sqrt(math.fsum(s * s for s in a)) * math.sqrt(math.fsum(t * t for t in b))
    return 1 - math.fsum(s * t for s, t in zip(a, b, strict=True)) / length if length else 1.0


def ranks(
    x: Rows,
    y: Rows,
    own: Sequence[int],
    targets_x: Sequence[Sequence[int]],
    targets_y: Sequence[Sequence[int]],
    *,
    metric: str,
    scope: str,
    ties: str = "mid",
    digits: int = 11,
) -> list[float]:
    """Rank of candidate ``own[i]`` for every query, distances rounded to ``digits`` so that ties are ties."""
    panel = {g for genes in targets_y for g in genes}
    out = []
    for i, mine in enumerate(own):
        smaller, equal = 0, []
        for j in range(len(y)):
            if j == mine:
                continue
            gone = {
                "none": set(),
                "panel": panel,
                "row": set(targets_x[i]),
                "pair": set(targets_x[i]) | set(targets_y[j]),
            }[scope]
            left = [g for g in range(x.shape[1]) if g not in gone]
            here, there = (round(distance(x[i, left], y[k, left], metric), digits) for k in (mine, j))
            smaller += there < here
            if there == here:
                equal.append(j)
        before = {
            "mid": len(equal) / 2,
            "first": sum(j < mine for j in equal),
            "last": sum(j > mine for j in equal),
            "optimistic": 0,
            "pessimistic": len(equal),
        }[ties]
        out.append(smaller + before)
    return out
