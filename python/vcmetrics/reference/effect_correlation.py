"""Correlation of effects over genes, one perturbation after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.reference.gene_correlation import average_ranks, pearson

Array = NDArray[Any]


def effect_correlation(
    pred: Array, real: Array, base: Array, *, method: str = "pearson", genes: Sequence[Array] | None = None
) -> NDArray[np.float64]:
    """(n_rows,): ``base`` is (n_rows, n_genes); ``genes`` the places of the genes that each row uses."""
    out = np.full(len(pred), np.nan)
    for p in range(len(pred)):
        chosen = np.arange(pred.shape[1]) if genes is None else genes[p]
        x, y = (pred[p] - base[p])[chosen], (real[p] - base[p])[chosen]
        if method == "cosine":
            below = np.sqrt((x * x).sum() * (y * y).sum())
            out[p] = (x * y).sum() / below if below > 0 else np.nan
        elif method == "spearman":
            out[p] = pearson(average_ranks(x), average_ranks(y))
        else:
            out[p] = pearson(x, y)
    return out
