"""Meaning of the per-gene correlations of a panel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.gene_correlation import average_ranks, averaged, decomposition

Values = NDArray[np.float64]


def _included(real: Values, min_expression: float | None, min_variance: float | None) -> list[int]:
    out = []
    for g in range(real.shape[1]):
        column = real[:, g]
        variance = column.var(ddof=1) if column.size > 1 else np.nan
        if min_expression is not None and not column.mean() >= min_expression:
            continue
        if min_variance is not None and not variance >= min_variance:
            continue
        out.append(g)
    return out


def _summary(values: Values, over: str) -> float:
    found = [v for v in values.tolist() if not np.isnan(v)]
    if not found:
        return float("nan")
    if over == "fisher_mean":
        with np.errstate(divide="ignore"):
            return float(np.tanh(np.mean(np.arctanh(found))))
    return float(np.median(found) if over == "median" else np.mean(found))


def r_gene_within(
    pair: Pair,
    *,
    studies: Mapping[str, str] | None = None,
    part: str = "within",
    method: str = "pearson",
    statistic: str = "median",
    n_min: int = 4,
    min_expression: float | None = None,
    min_variance: float | None = None,
) -> Values:
    """The parts by study of each column (of its ranks, for ``spearman``), then the summary."""
    pred, real = pair.profiles()
    genes = _included(real.mean, min_expression, min_variance)
    x, y = pred.mean[:, genes], real.mean[:, genes]
    labels = np.array([studies[p] if studies else "" for p in pair.perturbations])
    if part == "within_averaged":
        values = averaged(x, y, labels, method=method, n_min=n_min)
    else:
        if method == "spearman":
            x, y = (np.stack([average_ranks(c) for c in side.T], 1) if genes else side for side in (x, y))
        values = decomposition(x, y, labels)[part]
    return np.full(pair.n, _summary(values, statistic))
