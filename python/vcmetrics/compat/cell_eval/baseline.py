"""``build_base_mean_adata``: the mean of the group means in every cell, as a prediction."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.compat.cell_eval.utils import is_lognorm
from vcmetrics.compat.frames import has_polars, read_columns, write_frame
from vcmetrics.results.staging import staged_file
from vcmetrics.scoring.baseline import cell_eval_baseline
from vcmetrics.scoring.jobs import median_total
from vcmetrics.sources import open_cells
from vcmetrics.summary.plan import group_cells
from vcmetrics.summary.single_precision import log_normalised
from vcmetrics.summary.summarize import differential_expression

if TYPE_CHECKING:
    from anndata import AnnData


def build_base_mean_adata(
    adata: AnnData | str,
    counts_df: Any = None,
    pert_col: str = "target_gene",
    control_pert: str = "non-targeting",
    counts_col: str = "n_cells",
    as_delta: bool = False,
    allow_discrete: bool = False,
    output_path: str | None = None,
    output_de_path: str | None = None,
    num_threads: int = 1,
    pdex_kwargs: Mapping[str, Any] | None = None,
) -> AnnData:
    """Cells of a model that predicts the mean of all group means for every perturbation.

    Parameters
    ----------
    adata
        AnnData or the path of an ``.h5ad``: log1p-normalised values, or counts, which are normalised first. It is not
        changed.
    counts_df, counts_col
        Frame or ``.csv`` with the labels (in ``pert_col``) and the number of cells to emit for each; None: as many as
        ``adata`` has.
    pert_col, control_pert
        Column of ``obs`` with the labels, and the control's.
    as_delta
        Emit the mean *difference* from the control as if it were expression, as cell-eval does.
    allow_discrete
        Take counts as they are.
    output_path, output_de_path
        Where to write the ``.h5ad``, and the differential expression of its cells as ``.csv``.
    num_threads
        Threads.
    pdex_kwargs
        ``epsilon``, ``geometric_mean`` and ``is_log1p`` as pdex takes them.

    Returns
    -------
    AnnData, CSR float32: predicted cells ``p.0`` … by sorted label, then the control cells of ``adata``. (The labels
    come in no fixed order from cell-eval.)

    Raises
    ------
    DataError
        If a column or the control is missing.
    """
    threads = resolve_threads(num_threads if num_threads > 0 else None)
    with open_cells(adata) as cells:
        logged = is_lognorm(cells, validate=not allow_discrete, n_threads=threads)
        groups = group_cells(cells.column(pert_col), control_pert)
        if groups.control_code < 0:
            msg = f"{cells.name}: no cell is labelled {control_pert!r} in {pert_col!r}; pass control_pert="
            raise DataError(msg)
        rows = cells.rows()
        if not logged and not allow_discrete:
            totals = np.asarray(cells.scan(threads)["totals"])
            used = totals if cells.layout == "csr" else totals[totals > 0]
            rows = log_normalised(rows, totals, median_total(used))
        wanted = None if counts_df is None else cell_numbers(counts_df, pert_col, control_pert, counts_col)
        made = cell_eval_baseline(
            rows,
            groups.labels,
            groups.codes,
            control_pert,
            cells.genes,
            n_cells=wanted,
            as_delta=as_delta,
        )
    out = made.to_anndata(pert_col)
    n_controls = int((groups.codes == groups.control_code).sum())
    names = cell_names(adata)[groups.codes == groups.control_code]
    out.obs_names = [*(f"p.{k}" for k in range(out.n_obs - n_controls)), *names]
    table = None
    if output_de_path is not None:
        options = dict(pdex_kwargs or {})
        log1p = options.get("is_log1p", not allow_discrete)
        table = differential_expression(
            out,
            pert_col=pert_col,
            control=control_pert,
            input_type="lognorm" if log1p else "values",
            mean="geometric" if options.get("geometric_mean", True) else "arithmetic",
            epsilon=float(options.get("epsilon", 0.0)),
            n_threads=threads,
        )
    if output_path is not None:
        with staged_file(output_path) as stage:
            out.write_h5ad(stage)
    if output_de_path is not None:
        write_frame(plain(table), output_de_path)
    return out


def cell_names(adata: Any) -> Any:
    """Names of the cells."""
    if isinstance(adata, (str, os.PathLike)):
        from anndata import read_h5ad

        backed = read_h5ad(adata, backed="r")
        try:
            return np.asarray(backed.obs_names.astype(str))
        finally:
            backed.file.close()
    return np.asarray(adata.obs_names.astype(str))


def cell_numbers(source: Any, pert_col: str, control: str, counts_col: str) -> dict[str, int]:
    """Label → number of cells to emit, the control left out."""
    table = read_columns(source)
    for name in (pert_col, counts_col):
        if name not in table:
            msg = f"column {name!r} is not in the table of cell numbers (columns: {', '.join(table)})"
            raise DataError(msg)
    numbers = zip(table[pert_col], table[counts_col], strict=True)
    return {str(label): int(n) for label, n in numbers if str(label) != control}


def plain(table: Any) -> Any:
    """The same rows with labels as text, as polars where it is installed (its csv writer is the quicker one)."""
    texts = {name: table[name].astype(str) for name in ("target", "feature")}
    table = table.assign(**texts)
    if has_polars():
        import polars as pl

        return pl.DataFrame({name: table[name].to_numpy() for name in table.columns})
    return table
