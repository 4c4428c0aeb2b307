"""Lists of the genes that change most, as sets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.de_rows import cases
from vcmetrics.reference.gene_choice import gene_choice
from vcmetrics.reference.referenced_effects import effects

Values = NDArray[np.float64]


def _top(size: dict[int, float], k: int, rank_rule: str) -> set[int]:
    if rank_rule == "first":
        return set(sorted(size, key=lambda g: (-size[g], g))[:k])
    values = list(size.values())
    rank = {g: sum(v > s for v in values) + (sum(v == s for v in values) + 1) / 2 for g, s in size.items()}
    return {g for g in size if rank[g] <= k}


def overlap_top_n(
    pair: Pair,
    *,
    k: int = 20,
    rank_rule: str = "average",
    reference: str = "control",
    leave_one_out: bool = True,
    exclude: str = "none",
) -> Values:
    """Common genes of both lists by k."""
    tables = effects(pair, reference, leave_one_out)
    out = []
    for p, genes in enumerate(gene_choice(pair, "all", exclude)):
        if any(np.isnan(t[p]).any() for t in tables):
            out.append(math.nan)
            continue
        one, other = (_top({g: abs(float(t[p, g])) for g in genes}, k, rank_rule) for t in tables)
        out.append(len(one & other) / k)
    return np.array(out, np.float64)


def jaccard_top(
    pair: Pair,
    *,
    k: int = 20,
    reference: str = "control",
    leave_one_out: bool = True,
    genes: Any = "t_test:20",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Common genes by all genes of two lists."""
    pred, _ = effects(pair, reference, leave_one_out)
    real = gene_choice(pair, genes, exclude, alpha)
    out = []
    for p, every in enumerate(gene_choice(pair, "all", exclude)):
        if np.isnan(pred[p]).any():
            out.append(math.nan)
            continue
        foretold = _top({g: abs(float(pred[p, g])) for g in every}, k, "first")
        either = foretold | set(real[p])
        out.append(len(foretold & set(real[p])) / len(either) if either else math.nan)
    return np.array(out, np.float64)


def deg_recall(pair: Pair, *, alpha: float = 0.05, min_abs_lfc: float = 0.5, single_precision: bool = False) -> Values:
    """Observed DE genes that are predicted, by those that are observed."""
    out = []
    for case in cases(pair, alpha, single_precision):
        real, pred = (
            {row.gene for row in case.called(side) if row.lfc is not None and abs(row.lfc) > min_abs_lfc}
            for side in ("real", "pred")
        )
        out.append(len(real & pred) / len(real) if real else math.nan)
    return np.array(out, np.float64)
