"""What both sides' effects are taken against, one perturbation after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair

Array = NDArray[np.float64]


def bases(pair: Pair, reference: str = "control", leave_one_out: bool = True) -> tuple[Array, Array]:
    """Predicted and observed base, (n_perturbations, n_genes) each; NaN where there is none."""
    pred, real = pair.profiles()
    shape = real.mean.shape
    if reference == "none":
        return np.zeros(shape), np.zeros(shape)
    if reference == "control":
        return np.array([pred.control] * pair.n), np.array([real.control] * pair.n)
    out = [np.full(shape, np.nan), np.full(shape, np.nan)]
    for p in range(pair.n):
        if reference == "batch_control":
            assert pair.batches is not None
            observed = pair.batches.real_cells[p]
            predicted = pair.batches.pred_cells[p]
            for k, cells in enumerate((predicted if predicted.sum() else observed, observed)):
                used = [b for b in range(len(cells)) if cells[b] > 0]
                out[k][p] = sum(cells[b] * pair.batches.control[b] for b in used) / sum(cells[b] for b in used)
            continue
        base = _mean(pair, p, reference, leave_one_out)
        out[0][p], out[1][p] = base, base
    return out[0], out[1]


def _mean(pair: Pair, p: int, reference: str, leave_one_out: bool) -> Array:
    real = pair.profiles()[1]
    train = pair.train
    labels = pair.perturbations if train is None else train.labels
    rows = real.mean if train is None else train.mean
    n_cells = real.n_cells if train is None else train.n_cells
    control = real.control if train is None or train.control is None else train.control
    own = pair.perturbations[p]
    taken = [j for j in range(len(labels)) if not (leave_one_out and labels[j] == own)]
    if reference == "guide_count_mean":
        taken = [j for j in taken if labels[j].count("+") == own.count("+")]
    by_cells = reference in ("perturbed_mean_cells", "guide_count_mean")
    parts = []
    for j in taken:
        weight = 1.0
        if by_cells:
            assert n_cells is not None
            weight = float(n_cells[j])
        parts.append((weight, rows[j]))
    if reference == "condition_mean":
        parts.append((1.0, control))
    if not parts:
        return np.full(real.mean.shape[1], np.nan)
    return np.asarray(sum(w * x for w, x in parts) / sum(w for w, _ in parts))


def effects(pair: Pair, reference: str = "control", leave_one_out: bool = True) -> tuple[Array, Array]:
    """Predicted and observed effects, (n_perturbations, n_genes) each."""
    pred, real = pair.profiles()
    base_pred, base_real = bases(pair, reference, leave_one_out)
    return pred.mean - base_pred, real.mean - base_real
