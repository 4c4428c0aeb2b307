"""Effects against their mean and against each other, one pair after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.delta_correlation import correlation
from vcmetrics.reference.gene_choice import gene_choice
from vcmetrics.reference.referenced_effects import bases, effects

Values = NDArray[np.float64]


def _side(pair: Pair, side: str, reference: str, leave_one_out: bool) -> tuple[Values, Values]:
    """Effects, and the largest number that each entry is the difference of."""
    which = 1 if side == "real" else 0
    mean = pair.profiles()[which].mean
    base = bases(pair, reference, leave_one_out)[which]
    return effects(pair, reference, leave_one_out)[which], np.maximum(np.abs(mean), np.abs(base))


def mean_effect_cosine(
    pair: Pair,
    *,
    side: str = "real",
    reference: str = "control",
    leave_one_out: bool = False,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Cosine with the mean over all perturbations."""
    effect, size = _side(pair, side, reference, leave_one_out)
    out = []
    for p, chosen in enumerate(gene_choice(pair, genes, exclude, alpha)):
        x = [float(effect[p, g]) for g in chosen]
        middle = [math.fsum(effect[:, g]) / pair.n for g in chosen]
        if any(math.isnan(v) for v in (*x, *middle)):
            out.append(math.nan)
            continue
        largest = max([float(size[p, g]) for g in chosen], default=0.0)
        level = math.sqrt(sum(float(np.abs(pair.profiles()[side == "real"].mean[:, g]).max()) ** 2 for g in chosen))
        flat = math.sqrt(sum(v * v for v in middle)) <= 1e-13 * level
        out.append(math.nan if flat else correlation(x, middle, "cosine", (largest, 0.0)))
    return np.array(out, np.float64)


def effect_pair_cosine(
    pair: Pair,
    *,
    side: str = "real",
    statistic: str = "mean",
    reference: str = "control",
    leave_one_out: bool = False,
    exclude: str = "none",
) -> Values:
    """Mean or median over the others of the cosine of two effects."""
    effect, size = _side(pair, side, reference, leave_one_out)
    genes = gene_choice(pair, "all", exclude)
    out = []
    for p in range(pair.n):
        found = []
        for q in range(pair.n):
            x, y = ([float(effect[k, g]) for g in genes[0]] for k in (p, q))
            scales = [max([float(size[k, g]) for g in genes[0]], default=0.0) for k in (p, q)]
            if q != p and not any(math.isnan(v) for v in (*x, *y)):
                found.append(correlation(x, y, "cosine", (scales[0], scales[1])))
        found = [v for v in found if not math.isnan(v)]
        middle = np.median if statistic == "median" else np.mean
        out.append(float(middle(found)) if found else math.nan)
    return np.array(out, np.float64)


def effect_norm(
    pair: Pair,
    *,
    side: str = "real",
    reference: str = "control",
    leave_one_out: bool = True,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Root of the sum of squares."""
    effect, _ = _side(pair, side, reference, leave_one_out)
    squares = [
        [float(effect[p, g]) ** 2 for g in chosen] for p, chosen in enumerate(gene_choice(pair, genes, exclude, alpha))
    ]
    return np.array([math.sqrt(math.fsum(row)) if row else math.nan for row in squares])
