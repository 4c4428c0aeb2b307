"""Three honest stand-ins for a model, made of real cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from anndata import AnnData


def halves(labels: NDArray[np.object_], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers of two halves, every label cut in two at random; an odd cell is left out."""
    rng = np.random.default_rng(seed)
    first, second = [], []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        half = rows.size // 2
        first.append(rows[:half])
        second.append(rows[half : 2 * half])
    return np.sort(np.concatenate(first)), np.sort(np.concatenate(second))


def unperturbed(real: AnnData, pert_col: str, control: str, seed: int) -> AnnData:
    """Every perturbation predicted as if nothing happened: its cells are drawn from the control cells of ``real``."""
    from anndata import AnnData

    rng = np.random.default_rng(seed)
    labels = real.obs[pert_col].astype(str).to_numpy()
    source = np.flatnonzero(labels == control)
    rows = np.where(labels == control, np.arange(labels.size), rng.choice(source, labels.size))
    return AnnData(real.X[rows], obs=real.obs[[pert_col]].copy(), var=real.var.copy())
