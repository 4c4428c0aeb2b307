"""Correlation of effects, one perturbation after the other, from the definition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.gene_choice import gene_choice
from vcmetrics.reference.gene_correlation import average_ranks
from vcmetrics.reference.referenced_effects import bases, effects

Values = NDArray[np.float64]


def correlation(x: list[float], y: list[float], method: str, largest: tuple[float, float]) -> float:
    """Of two vectors; NaN where one is constant (cosine: zero) beside the largest number that it came from."""
    if len(x) < (1 if method == "cosine" else 2):
        return math.nan
    sides = []
    for values, scale in ((x, largest[0]), (y, largest[1])):
        middle = 0.0 if method == "cosine" else math.fsum(values) / len(values)
        deviations = [v - middle for v in values]
        if math.sqrt(math.fsum(d * d for d in deviations) / len(values)) <= 1e-13 * scale:
            return math.nan
        sides.append(deviations)
    if method == "spearman":
        ranks = [average_ranks(np.array(values)).tolist() for values in (x, y)]
        return correlation(ranks[0], ranks[1], "pearson", (0.0, 0.0))
    a, b = sides
    product = math.fsum(s * t for s, t in zip(a, b, strict=True))
    return product / math.sqrt(math.fsum(s * s for s in a) * math.fsum(t * t for t in b))


def effect_correlation_row(
    pair: Pair,
    *,
    method: str,
    reference: str = "control",
    leave_one_out: bool = True,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
    undefined: str = "nan",
) -> Values:
    """Correlation of the effects at each perturbation's genes."""
    pred, real = pair.profiles()
    tables, base = effects(pair, reference, leave_one_out), bases(pair, reference, leave_one_out)
    out = []
    for p, chosen in enumerate(gene_choice(pair, genes, exclude, alpha)):
        x, y = ([float(t[p, g]) for g in chosen] for t in tables)
        if any(math.isnan(v) for v in (*x, *y)):
            out.append(math.nan)
            continue
        scales = [
            max([abs(float(t[p, g])) for t in (side.mean, b) for g in chosen], default=0.0)
            for side, b in zip((pred, real), base, strict=True)
        ]
        out.append(correlation(x, y, method, (scales[0], scales[1])))
    values = np.array(out, np.float64)
    return np.nan_to_num(values, nan=0.0) if undefined == "zero" else values


def effect_undefined(
    pair: Pair,
    *,
    method: str = "pearson",
    reference: str = "control",
    leave_one_out: bool = True,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """1 where there is no correlation."""
    how: dict[str, Any] = {"reference": reference, "leave_one_out": leave_one_out, "genes": genes}
    values = effect_correlation_row(pair, method=method, exclude=exclude, alpha=alpha, **how)
    return np.array([float(math.isnan(v)) for v in values])


def squared_pearson(
    pair: Pair,
    *,
    reference: str = "none",
    leave_one_out: bool = True,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
    undefined: str = "nan",
) -> Values:
    """Squares of Pearson correlations."""
    how: dict[str, Any] = {"reference": reference, "leave_one_out": leave_one_out, "genes": genes}
    how |= {"exclude": exclude, "alpha": alpha, "undefined": undefined}
    return np.array([v * v for v in effect_correlation_row(pair, method="pearson", **how)])
