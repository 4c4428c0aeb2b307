"""Errors in units of the effect, one perturbation after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair, no_rows
from vcmetrics.reference.gene_choice import gene_choice
from vcmetrics.reference.referenced_effects import effects

Values = NDArray[np.float64]


def no_effect_error(pair: Pair, *, genes: Any = "all", exclude: str = "none", alpha: float = 0.05) -> Values:
    """Mean of squared observed effects."""
    _, real = effects(pair)
    chosen = gene_choice(pair, genes, exclude, alpha)
    return _means([[float(real[p, g]) ** 2 for g in chosen[p]] for p in range(pair.n)])


def effect_error(pair: Pair, *, genes: Any = "all", exclude: str = "none", alpha: float = 0.05) -> Values:
    """Mean of squared differences of effects."""
    pred, real = effects(pair)
    chosen = gene_choice(pair, genes, exclude, alpha)
    return _means([[(float(pred[p, g]) - float(real[p, g])) ** 2 for g in chosen[p]] for p in range(pair.n)])


def norm_mse(pair: Pair, *, genes: Any = "all", exclude: str = "none", alpha: float = 0.05) -> Values:
    """No value a perturbation, whatever the genes."""
    assert len(gene_choice(pair, genes, exclude, alpha)) == pair.n
    return no_rows(pair.n)


def pn_mse(
    pair: Pair, *, quantile: float = 0.1, genes: Any = "all", exclude: str = "none", alpha: float = 0.05
) -> Values:
    """Error by (no-effect error + its quantile over the panel)."""
    how: dict[str, Any] = {"genes": genes, "exclude": exclude, "alpha": alpha}
    error, own = effect_error(pair, **how).tolist(), no_effect_error(pair, **how).tolist()
    known = sorted(x for x in own if not math.isnan(x))
    if not known:
        return np.full(pair.n, math.nan)
    place = quantile * (len(known) - 1)
    low = math.floor(place)
    high = min(low + 1, len(known) - 1)
    floor = known[low] + (known[high] - known[low]) * (place - low)
    return np.array([e / (o + floor) if o + floor > 0 else math.nan for e, o in zip(error, own, strict=True)])


def norm_error(
    pair: Pair,
    *,
    relative: bool = False,
    reference: str = "control",
    leave_one_out: bool = True,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Difference of the lengths of two effects."""
    pred, real = effects(pair, reference, leave_one_out)
    out = []
    for p, chosen in enumerate(gene_choice(pair, genes, exclude, alpha)):
        if not chosen:
            out.append(math.nan)
            continue
        length, other = (math.sqrt(sum(float(t[p, g]) ** 2 for g in chosen)) for t in (real, pred))
        gap = abs(length - other)
        out.append(gap if not relative else gap / length if length > 0 else math.nan)
    return np.array(out, np.float64)


def _means(rows: list[list[float]]) -> Values:
    return np.array([sum(row) / len(row) if row else math.nan for row in rows], np.float64)
