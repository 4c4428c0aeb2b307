"""Genes one by one over the perturbations."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.gene_correlation import concordance, pearson, spearman

Values = NDArray[np.float64]


def _genes(pair: Pair, min_expression: float | None, min_variance: float | None) -> list[tuple[Values, Values]]:
    """Predicted and observed values of the genes that pass the filters."""
    pred, real = pair.profiles()
    out = []
    for g in range(real.mean.shape[1]):
        x, y = pred.mean[:, g], real.mean[:, g]
        if min_expression is not None and y.mean() < min_expression:
            continue
        if min_variance is not None and not (y.size > 1 and y.var(ddof=1) >= min_variance):
            continue
        out.append((x, y))
    return out


def _summed_up(pair: Pair, found: list[float], statistic: str) -> Values:
    known = np.array([v for v in found if not math.isnan(v)])
    if not known.size:
        return np.full(pair.n, np.nan)
    if statistic == "fisher_mean":
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(np.tanh(np.arctanh(known).mean()))
    elif statistic.startswith("q"):
        value = float(np.quantile(known, int(statistic[1:]) / 100))
    else:
        value = float(np.median(known) if statistic == "median" else known.mean())
    return np.full(pair.n, value)


def _flat(values: Values) -> bool:
    return bool(values.std() <= 1e-13 * np.sqrt((values * values).mean()))


def r_gene(
    pair: Pair,
    *,
    method: str = "pearson",
    statistic: str = "median",
    min_expression: float | None = None,
    min_variance: float | None = None,
) -> Values:
    """Statistic of correlations gene by gene."""
    of = {"pearson": pearson, "spearman": spearman, "concordance": concordance}[method]
    found = []
    for x, y in _genes(pair, min_expression, min_variance):
        flat = (_flat(x), _flat(y))
        defined = x.size > 1 and not (all(flat) if method == "concordance" else any(flat))
        found.append(of(x, y) if defined else math.nan)
    return _summed_up(pair, found, statistic)


def gene_dispersion_ratio(
    pair: Pair,
    *,
    statistic: str = "median",
    min_expression: float | None = None,
    min_variance: float | None = None,
) -> Values:
    """Statistic of quotients of standard deviations."""
    found = []
    for x, y in _genes(pair, min_expression, min_variance):
        if x.size < 2 or _flat(y):
            continue
        found.append(0.0 if _flat(x) else float(x.std() / y.std()))
    return _summed_up(pair, found, statistic)


def genes_predicted_constant(
    pair: Pair, *, min_expression: float | None = None, min_variance: float | None = None
) -> Values:
    """Share of varying genes whose prediction does not vary."""
    found = [_flat(x) for x, y in _genes(pair, min_expression, min_variance) if y.size > 1 and not _flat(y)]
    return np.full(pair.n, sum(found) / len(found) if found else math.nan)
