"""What effects are taken against, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def effect_reference(
    kind: str,
    rows: NDArray[Any],
    control: NDArray[Any],
    *,
    n_cells: NDArray[Any],
    labels: Sequence[str],
    train: NDArray[np.bool_],
    leave_one_out: bool = True,
) -> Array:
    """(n_rows, n_genes): for every row the plain mean of what its definition takes in."""
    out = np.full(rows.shape, np.nan)
    for i in range(len(rows)):
        taken = [j for j in range(len(rows)) if train[j] and not (leave_one_out and labels[j] == labels[i])]
        if kind == "guide_count_mean":
            taken = [j for j in taken if labels[j].count("+") == labels[i].count("+")]
        by_cells = kind in ("perturbed_mean_cells", "guide_count_mean")
        parts = [(float(n_cells[j]) if by_cells else 1.0, rows[j]) for j in taken]
        if kind == "condition_mean":
            parts.append((1.0, control))
        if parts:
            out[i] = sum(w * x for w, x in parts) / sum(w for w, _ in parts)
    return out
