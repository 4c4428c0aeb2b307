"""Meaning of the areas: pairs counted, thresholds one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise


def _both(positive: Sequence[bool], score: Sequence[float]) -> bool:
    return any(positive) and not all(positive) and not any(math.isnan(s) for s in score)


def roc_area(positive: Sequence[bool], score: Sequence[float]) -> float:
    """Share of (positive, negative) pairs ordered rightly, ties by half."""
    if not _both(positive, score):
        return math.nan
    yes = [s for s, p in zip(score, positive, strict=True) if p]
    no = [s for s, p in zip(score, positive, strict=True) if not p]
    return sum((a > b) + 0.5 * (a == b) for a in yes for b in no) / (len(yes) * len(no))


def average_precision(positive: Sequence[bool], score: Sequence[float]) -> float:
    """Recall gained times precision at each distinct score, from the largest down."""
    if not _both(positive, score):
        return math.nan
    area, before = 0.0, 0.0
    for cut in sorted(set(score), reverse=True):
        called = [p for p, s in zip(positive, score, strict=True) if s >= cut]
        recall = sum(called) / sum(positive)
        area += (recall - before) * sum(called) / len(called)
        before = recall
    return area


def partial_roc_area(positive: Sequence[bool], score: Sequence[float], max_fpr: float) -> float:
    """Trapezoids of the curve cut at ``max_fpr``, moved from [max_fpr²/2, max_fpr] to [0.5, 1]."""
    if not _both(positive, score):
        return math.nan
    n_pos = sum(positive)
    n_neg = len(list(positive)) - n_pos
    points = [(0.0, 0.0)]
    for cut in sorted(set(score), reverse=True):
        called = [p for p, s in zip(positive, score, strict=True) if s >= cut]
        points.append(((len(called) - sum(called)) / n_neg, sum(called) / n_pos))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 >= max_fpr:
            break
        end = min(x1, max_fpr)
        top = y1 if x1 <= max_fpr else y0 + (y1 - y0) * (max_fpr - x0) / (x1 - x0)
        area += (end - x0) * (y0 + top) / 2
    low, high = max_fpr**2 / 2, max_fpr
    return 0.5 * (1 + (area - low) / (high - low))
