"""``cell_eval.utils``: the guess of what the values are, and splitting by cell type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics.scoring.inputs import Scan, guess
from vcmetrics.sources import open_cells
from vcmetrics.sources.cells import Cells

if TYPE_CHECKING:
    from anndata import AnnData


def is_lognorm(cells: Cells, *, validate: bool = True, n_threads: int | None = None) -> bool:
    """Whether opened cells hold log1p-normalised values; False for counts.

    Raises
    ------
    DataError
        For fractional values outside the range of log1p-normalised data.
    """
    facts = cells.scan(n_threads)
    sparse = cells.rows().nnz < cells.n_obs * cells.n_vars
    scan = Scan(name=cells.name, facts=facts, dtype=cells.dtype, genes=cells.genes, has_zeros=sparse)
    try:
        kind = guess(scan, discrete=False) if validate else guess(scan, discrete=True)
    except DataError as error:
        msg = f"Invalid scale: {error}"
        raise DataError(msg) from None
    return kind == "lognorm" if validate else bool(facts["max_fraction"] > 1e-3)


def guess_is_lognorm(adata: AnnData, epsilon: float = 1e-3, max_threshold: float = 15.0, validate: bool = True) -> bool:
    """Guess whether values are log1p-normalised (True) or counts (False).

    Parameters
    ----------
    adata
        AnnData, n_obs × n_vars.
    epsilon, max_threshold
        The smallest fractional part that marks log values, and the largest value they may have; only cell-eval's
        own settings (0.001 and 15) are known here.
    validate
        Refuse fractional values outside that range.

    Raises
    ------
    DataError
        If fractional values are negative or too large (a ``ValueError``).

    Examples
    --------
    >>> from vcmetrics.compat.cell_eval.data import build_random_anndata
    >>> guess_is_lognorm(build_random_anndata(n_cells=20)), guess_is_lognorm(build_random_anndata(normlog=False))
    (True, False)
    """
    if (epsilon, max_threshold) != (1e-3, 15.0):
        msg = "only epsilon=0.001 and max_threshold=15.0 are known; leave both out"
        raise ValueError(msg)
    if adata.X is None:
        msg = "adata.X is None; there are no values to look at"
        raise ValueError(msg)
    with open_cells(adata) as cells:
        return is_lognorm(cells, validate=validate)


def split_anndata_on_celltype(adata: AnnData, celltype_col: str) -> dict[str, Any]:
    """Views of ``adata`` by the values of one column of ``obs``, in the order of first appearance.

    Raises
    ------
    ValueError
        If there is no such column.
    """
    if celltype_col not in adata.obs.columns:
        msg = f"celltype_col {celltype_col!r} is not a column of adata.obs (columns: {list(adata.obs.columns)})"
        raise ValueError(msg)
    column = adata.obs[celltype_col]
    return {kind: adata[np.asarray(column == kind)] for kind in column.unique()}
