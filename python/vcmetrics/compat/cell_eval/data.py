"""``cell_eval.data``: small made-up data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from anndata import AnnData

PERT_COL = "perturbation"
CELLTYPE_COL = "celltype"
CONTROL_VAR = "control"

N_CELLS = 1000
N_GENES = 100
N_PERTS = 10
N_CELLTYPES = 3
MAX_UMI = 1e6
NORM_TOTAL = 1e4
RANDOM_SEED = 42


def build_random_anndata(
    n_cells: int = N_CELLS,
    n_genes: int = N_GENES,
    n_perts: int = N_PERTS,
    n_celltypes: int = N_CELLTYPES,
    pert_col: str = PERT_COL,
    celltype_col: str = CELLTYPE_COL,
    control_var: str = CONTROL_VAR,
    random_state: int = RANDOM_SEED,
    as_sparse: bool = False,
    normlog: bool = True,
    normtotal: int | float = NORM_TOTAL,
) -> AnnData:
    """Cells of uniform random counts with random labels; the same draws as cell-eval's for the same seed.

    Parameters
    ----------
    n_cells, n_genes, n_perts, n_celltypes
        Size; labels are ``pert_0`` … and the control, ``celltype_0`` ….
    pert_col, celltype_col, control_var
        Names of the two columns of ``obs`` and of the control.
    random_state
        Seed of NumPy's global generator, which is set, as there; None leaves it as it is.
    as_sparse
        CSR in place of a dense matrix.
    normlog, normtotal
        log1p of the values scaled to ``normtotal`` a cell, in place of counts.

    Examples
    --------
    >>> build_random_anndata(n_cells=4, n_genes=3).shape
    (4, 3)
    """
    import pandas as pd
    from anndata import AnnData

    if random_state is not None:
        np.random.seed(random_state)  # noqa: NPY002 - the draws are part of the interface
    values: Any = np.random.randint(0, int(MAX_UMI), size=(n_cells, n_genes))  # noqa: NPY002
    if normlog:
        values = np.log1p(values / values.sum(axis=1, keepdims=True) * normtotal)
    if as_sparse:
        from scipy.sparse import csr_matrix

        values = csr_matrix(values)
    perturbations = [*(f"pert_{k}" for k in range(n_perts)), control_var]
    kinds = [f"celltype_{k}" for k in range(n_celltypes)]
    labels = np.random.choice(perturbations, size=n_cells, replace=True)  # noqa: NPY002
    types = np.random.choice(kinds, size=n_cells, replace=True)  # noqa: NPY002
    index = [str(k) for k in range(n_cells)]
    return AnnData(values, obs=pd.DataFrame({pert_col: labels, celltype_col: types}, index=index))


def downsample_cells(adata: AnnData, fraction: float = 0.5) -> AnnData:
    """A copy of each cell with probability ``fraction``, drawn from NumPy's global generator."""
    if not 0 <= fraction <= 1:
        msg = f"fraction must lie in [0, 1], not {fraction}"
        raise AssertionError(msg)
    return adata[np.random.rand(adata.shape[0]) < fraction, :].copy()  # noqa: NPY002
