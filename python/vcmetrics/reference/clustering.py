"""Meaning of the clustering agreement: neighbours, weights and scores one number at a time.

The clusters themselves come from igraph here as well.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair

Values = NDArray[np.float64]


def _graph(profiles: Values, n_neighbours: int) -> dict[tuple[int, int], float]:
    n = len(profiles)
    k = min(n_neighbours, n - 1)
    one_way: dict[tuple[int, int], float] = {}
    near = []
    for i in range(n):
        others = sorted((np.float32(math.dist(profiles[i], profiles[j])), j != i, j) for j in range(n))
        near.append([(float(d), j) for d, _, j in others[:k]])
    overall = sum(d for row in near for d, _ in row) / (n * k)
    for i, row in enumerate(near):
        rho = min((d for d, _ in row if d > 0), default=0.0)
        beyond = [max(0.0, d - rho) for d, j in row if j != i]
        low, high, sigma = 0.0, math.inf, 1.0
        for _ in range(64):
            excess = sum(math.exp(-d / sigma) for d in beyond) - math.log2(k)
            if abs(excess) < 1e-5:
                break
            if excess > 0:
                high = sigma
            else:
                low = sigma
            sigma = sigma * 2 if math.isinf(high) else (low + high) / 2
        mean = sum(d for d, _ in row) / k if rho > 0 else overall
        sigma = max(sigma, 1e-3 * mean)
        for d, j in row:
            if j != i:
                one_way[i, j] = math.exp(-max(0.0, d - rho) / sigma) if sigma > 0 else 1.0
    both = {}
    for i, j in {*one_way, *((j, i) for i, j in one_way)}:
        w, v = one_way.get((i, j), 0.0), one_way.get((j, i), 0.0)
        if w + v - w * v > 0:
            both[i, j] = w + v - w * v
    return dict(sorted(both.items()))


def _entropy(counts: Counter[int], n: int) -> float:
    return -sum(c / n * math.log(c / n) for c in counts.values())


def _mutual(real: list[int], pred: list[int]) -> tuple[float, float, float, float]:
    """Mutual information, its expectation under shuffled labels, and both entropies."""
    n = len(real)
    a, b, together = Counter(real), Counter(pred), Counter(zip(real, pred, strict=True))
    found = sum(c / n * math.log(n * c / (a[r] * b[p])) for (r, p), c in together.items())

    def log_factorial(m: int) -> float:
        return math.lgamma(m + 1)

    expected = 0.0
    for x in a.values():
        for y in b.values():
            for c in range(max(1, x + y - n), min(x, y) + 1):
                ways = sum(map(log_factorial, (x, y, n - x, n - y)))
                ways -= sum(map(log_factorial, (n, c, x - c, y - c, n - x - y + c)))
                expected += c / n * math.log(n * c / (x * y)) * math.exp(ways)
    return found, expected, _entropy(a, n), _entropy(b, n)


def _agreement(real: list[int], pred: list[int], agreement: str) -> float:
    n_real, n_pred, n = len(set(real)), len(set(pred)), len(real)
    if agreement == "ari":
        pairs = [(real[i] == real[j], pred[i] == pred[j]) for i in range(n) for j in range(i)]
        both, in_real, in_pred = (sum(x and y for x, y in pairs), sum(x for x, _ in pairs), sum(y for _, y in pairs))
        chance = in_real * in_pred / len(pairs)
        top = (in_real + in_pred) / 2 - chance
        return 1.0 if top == 0 else ((both - chance) / top + 1) / 2
    if n_real == n_pred == 1 or (agreement == "ami" and n_real == n_pred == n):
        return 1.0
    found, expected, h_real, h_pred = _mutual(real, pred)
    mean = (h_real + h_pred) / 2
    if agreement == "nmi":
        return found / mean if found > 1e-15 else 0.0
    return (found - expected) / (mean - expected)


def clustering_agreement(
    pair: Pair,
    *,
    embedding: str | None = None,
    agreement: str = "ami",
    real_resolution: float = 1.0,
    pred_resolutions: Sequence[float] = (0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0),
    n_neighbours: int = 15,
) -> Values:
    """Best agreement, over the resolutions of the prediction, with the observed clusters; never below 0."""
    from vcmetrics.metrics.clustering import leiden

    if pair.n < 2:
        return np.full(pair.n, np.nan)
    pred, real = (_graph(side.mean, n_neighbours) for side in pair.profiles(embedding))
    observed = leiden(pair.n, list(real), list(real.values()), real_resolution)
    best = 0.0
    for resolution in pred_resolutions:
        found = leiden(pair.n, list(pred), list(pred.values()), resolution)
        best = max(best, _agreement(observed, found, agreement))
    return np.full(pair.n, best)
