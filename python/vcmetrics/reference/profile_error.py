"""Errors over chosen genes, one gene after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.gene_choice import gene_choice
from vcmetrics.reference.referenced_effects import effects

Values = NDArray[np.float64]


def errors(pair: Pair, reference: str, genes: Any, exclude: str, alpha: float) -> list[list[float]]:
    """Predicted less observed effect at every chosen gene of every perturbation."""
    pred, real = effects(pair, reference, leave_one_out=False)
    chosen = gene_choice(pair, genes, exclude, alpha)
    return [[float(pred[p, g]) - float(real[p, g]) for g in chosen[p]] for p in range(pair.n)]


def squared_error(
    pair: Pair,
    *,
    reduce: str = "mean",
    reference: str = "none",
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Mean or sum over genes of squared errors, or the root of either."""
    out = []
    for row in errors(pair, reference, genes, exclude, alpha):
        total = math.fsum(x * x for x in row)
        if not row:
            out.append(math.nan)
        elif reduce == "mean":
            out.append(total / len(row))
        elif reduce == "sum":
            out.append(total)
        elif reduce == "root":
            out.append(math.sqrt(total / len(row)))
        else:
            out.append(math.sqrt(total))
    return np.array(out, np.float64)


def absolute_error(
    pair: Pair,
    *,
    reduce: str = "mean",
    reference: str = "none",
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Mean or sum over genes of absolute errors."""
    out = []
    for row in errors(pair, reference, genes, exclude, alpha):
        total = math.fsum(abs(x) for x in row)
        out.append(math.nan if not row else total / len(row) if reduce == "mean" else total)
    return np.array(out, np.float64)


def squared_error_corrected(
    pair: Pair, *, correct: str = "both", genes: Any = "all", exclude: str = "none", alpha: float = 0.05
) -> Values:
    """Mean over genes of the squared error less variance / cells of one side or both."""
    pred, real = pair.profiles()
    out = []
    for p, chosen in enumerate(gene_choice(pair, genes, exclude, alpha)):
        terms = []
        for g in chosen:
            term = (float(pred.mean[p, g]) - float(real.mean[p, g])) ** 2
            for side in (real, pred) if correct == "both" else (real,):
                assert side.variance is not None
                assert side.n_cells is not None
                term -= float(side.variance[p, g]) / int(side.n_cells[p])
            terms.append(term)
        out.append(sum(terms) / len(terms) if terms else math.nan)
    return np.array(out, np.float64)
