"""Signs of effects, one gene after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.gene_choice import gene_choice
from vcmetrics.reference.referenced_effects import effects

Values = NDArray[np.float64]


def _sign(x: float, decimals: int | None) -> int:
    x = float(x if decimals is None else np.round(x, decimals))
    return int(x > 0) - int(x < 0)


def _pairs(
    pair: Pair, decimals: int | None, reference: str, leave_one_out: bool, genes: Any, exclude: str, alpha: float
) -> list[list[tuple[int, int, float]]]:
    """Predicted sign, observed sign and observed effect of every chosen gene; none where there is no reference."""
    pred, real = effects(pair, reference, leave_one_out)
    out = []
    for p, chosen in enumerate(gene_choice(pair, genes, exclude, alpha)):
        known = not any(math.isnan(real[p, g]) or math.isnan(pred[p, g]) for g in chosen)
        row = [(_sign(pred[p, g], decimals), _sign(real[p, g], decimals), float(real[p, g])) for g in chosen]
        out.append(row if known else [])
    return out


def direction_share(
    pair: Pair,
    *,
    outcome: str,
    decimals: int | None = None,
    reference: str = "control",
    leave_one_out: bool = True,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Share of genes by how far their signs lie apart."""
    wanted = {"correct": 0, "one_zero": 1, "opposite": 2}[outcome]
    rows = _pairs(pair, decimals, reference, leave_one_out, genes, exclude, alpha)
    return np.array([sum(abs(x - y) == wanted for x, y, _ in r) / len(r) if r else math.nan for r in rows])


def direction_p_value(
    pair: Pair,
    *,
    decimals: int | None = 2,
    correction: bool = True,
    reference: str = "control",
    leave_one_out: bool = True,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """SciPy's test of the table of signs that occur."""
    from scipy.stats import chi2_contingency

    out = []
    for row in _pairs(pair, decimals, reference, leave_one_out, genes, exclude, alpha):
        if not row:
            out.append(math.nan)
            continue
        ys, xs = sorted({y for _, y, _ in row}), sorted({x for x, _, _ in row})
        table = [[sum(x == a and y == b for x, y, _ in row) for a in xs] for b in ys]
        out.append(float(chi2_contingency(table, correction=correction).pvalue))
    return np.array(out, np.float64)


def fold_change_contrast(
    pair: Pair,
    *,
    decimals: int | None = 2,
    reference: str = "control",
    leave_one_out: bool = True,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
    undefined: str = "nan",
) -> Values:
    """Mean observed effect of one predicted direction less that of another."""
    out = []
    for row in _pairs(pair, decimals, reference, leave_one_out, genes, exclude, alpha):
        mean = {}
        for s in (-1, 0, 1):
            found = [d for x, _, d in row if x == s]
            if found:
                mean[s] = math.fsum(found) / len(found)
        present = sorted(mean)
        out.append(mean[present[-1]] - mean[present[0]] if len(present) > 1 else math.nan)
    values = np.array(out, np.float64)
    return np.nan_to_num(values, nan=0.0) if undefined == "zero" else values
