"""Signed significance of one gene after the other."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.de_rows import Row, cases, sign
from vcmetrics.reference.delta_correlation import correlation

Values = NDArray[np.float64]


def _score(row: Row, column: str, clip: float | None) -> float:
    """Sign times -log10 p; NaN where either is missing."""
    p = row.p if column == "p_value" else row.q
    if p is None or row.lfc is None or math.isnan(p) or math.isnan(row.lfc):
        return math.nan
    if sign(row.lfc) == 0:
        return 0.0
    size = math.inf if p == 0 else -math.log10(p)
    return sign(row.lfc) * (size if clip is None else min(size, clip))


def _rows(pair: Pair, column: str, clip: float | None) -> list[tuple[list[float], list[float]]]:
    out = []
    for case in cases(pair, 0.05, False):
        x, y = [], []
        for gene, row in case.real.items():
            score = _score(row, column, clip)
            if math.isnan(score):
                continue
            foretold = _score(case.pred[gene], column, clip) if gene in case.pred else 0.0
            y.append(score)
            x.append(0.0 if math.isnan(foretold) else foretold)
        out.append((x, y))
    return out


def _finite(values: list[float]) -> bool:
    return bool(values) and all(math.isfinite(v) for v in values)


def mrrmse(pair: Pair, *, column: str = "p_value", clip: float | None = 4.0) -> Values:
    """Root of the mean squared difference."""
    out = []
    for x, y in _rows(pair, column, clip):
        fine = _finite(y) and _finite(x)
        squares = math.fsum((a - b) ** 2 for a, b in zip(x, y, strict=True)) if fine else math.nan
        out.append(math.sqrt(squares / len(y)) if fine else math.nan)
    return np.array(out, np.float64)


def mrmae(pair: Pair, *, column: str = "p_value", clip: float | None = 4.0) -> Values:
    """Mean absolute difference."""
    out = []
    for x, y in _rows(pair, column, clip):
        fine = _finite(y) and _finite(x)
        out.append(math.fsum(abs(a - b) for a, b in zip(x, y, strict=True)) / len(y) if fine else math.nan)
    return np.array(out, np.float64)


def signed_p_correlation(
    pair: Pair, *, method: str, column: str = "p_value", clip: float | None = 4.0, undefined: str = "nan"
) -> Values:
    """Correlation over the genes at which both are finite."""
    out = []
    for x, y in _rows(pair, column, clip):
        kept = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]
        a, b = [s for s, _ in kept], [t for _, t in kept]
        scales = (max(map(abs, a), default=0.0), max(map(abs, b), default=0.0))
        out.append(correlation(a, b, method, scales))
    values = np.array(out, np.float64)
    return np.nan_to_num(values, nan=0.0) if undefined == "zero" else values
