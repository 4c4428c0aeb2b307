"""The archive of the 2025 challenge: log-normalised values, control cells among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.backend.threads import resolve_threads
from vcmetrics.challenge.archive import Packed, Scratch, archive, check_output
from vcmetrics.challenge.contract import Contract, ContractError, Problem
from vcmetrics.challenge.panel import read_panel
from vcmetrics.challenge.validate import Inspection, PathLike, Progress, inspect
from vcmetrics.challenge.values import ValueCheck
from vcmetrics.results.staging import staged_file
from vcmetrics.scoring.inputs import DECIMALS, LOG_CEILING
from vcmetrics.sources.blocks import row_blocks
from vcmetrics.sources.cells import open_store
from vcmetrics.sources.compact import canonical
from vcmetrics.sources.packed import need_zstandard
from vcmetrics.sources.rows import Rows
from vcmetrics.sources.stored import Store

WATERMARK = {"watermark.txt": b"vcc-prep"}
CONTRACT = Contract(
    with_control=True,
    cells_per_pert=None,
    check_cell_counts=False,
    n_genes=18_080,
    max_cells=200_000,
    max_stored=None,
    max_counts_per_cell=None,
)


def read_values(
    store: Store, seen: Inspection, contract: Contract, n_threads: int, discrete: bool, progress: Progress | None
) -> tuple[list[Problem], ValueCheck]:
    """What is wrong with the values, and the facts about them."""
    check = ValueCheck(store.n_obs, store.genes(), contract, n_threads, counts=False)
    if seen.matrix is None:
        return [], check
    for block in row_blocks(seen.matrix, n_threads):
        rows = check.add(block)
        store.release()
        if progress is not None:
            progress(block.first + rows.n_rows, 2 * store.n_obs)
    problems = check.problems(None)
    if logged(check):
        if check.low < 0:
            text = f"the smallest value is {check.low:g}; log-normalised values are 0 or more"
            problems.append(Problem("negative", text))
        if check.high >= LOG_CEILING and not discrete:
            text = (
                f"the largest value is {check.high:g}, too large for log-normalised values (below {LOG_CEILING:g}); "
                "log1p them, or submit whole counts"
            )
            problems.append(Problem("not_log", text))
    return problems, check


def logged(check: ValueCheck) -> bool:
    """Values with a fraction above 1e-3 are taken for logs, all others for counts."""
    return check.fraction > DECIMALS


def validate(
    data: Any,
    *,
    genes: PathLike | Iterable[str],
    contract: Contract = CONTRACT,
    discrete: bool = False,
    n_threads: int | None = None,
    progress: Progress | None = None,
    note: Callable[[str], object] | None = None,
) -> list[Problem]:
    """Check a prediction against the rules of the 2025 challenge's packing tool.

    Parameters
    ----------
    data
        Path or AnnData, cells × genes, log-normalised or counts, with control cells.
    genes
        The official gene list.
    contract
        Column names and limits.
    discrete
        Take whole numbers as they are and lift the limit on logs.
    n_threads, progress, note
        As in :func:`vcmetrics.challenge.validate`.

    Returns
    -------
    All problems. Values that are NaN or infinite are one here; that tool lets them through, and scoring then fails.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> made = anndata.AnnData(np.array([[0.5, 20.5]], np.float32))
    >>> made.var_names, made.obs["target_gene"] = ["A1BG", "TP53"], "non-targeting"
    >>> [problem.code for problem in validate(made, genes=["A1BG", "TP53"])]
    ['not_log']
    """
    panel = read_panel(genes, None, contexts=())
    store = open_store(data)
    try:
        seen = inspect(store, panel, contract)
        if note is not None:
            for text in seen.notes:
                note(text)
        return seen.problems + read_values(store, seen, contract, resolve_threads(n_threads), discrete, progress)[0]
    finally:
        store.close()


def pack(
    data: Any,
    output: PathLike,
    *,
    genes: PathLike | Iterable[str],
    contract: Contract = CONTRACT,
    names: Mapping[str, str] | None = None,
    discrete: bool = False,
    level: int | None = None,
    overwrite: bool = False,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Packed:
    """Check a prediction and write it as a submission to the 2025 challenge.

    Counts are scaled to the median total of all cells and log1p-ed, in the precision of the archive.

    Parameters
    ----------
    data, genes, contract, discrete, n_threads, progress
        As in :func:`validate`.
    output, names, level, overwrite
        As in :func:`vcmetrics.challenge.pack`.

    Returns
    -------
    What was written: ``pred.h5ad.zst`` and ``watermark.txt``.

    Raises
    ------
    ContractError
        If anything is wrong with the prediction.

    Examples
    --------
    >>> import anndata, numpy as np, tempfile
    >>> made = anndata.AnnData(np.array([[1.0, 2.0], [3.0, 0.0]], np.float32))
    >>> made.var_names, made.obs["target_gene"] = ["A1BG", "TP53"], ["TP53", "non-targeting"]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pack(made, f"{folder}/mine.vcc", genes=["A1BG", "TP53"]).nnz
    3
    """
    threads, final = resolve_threads(n_threads), Path(output)
    check_output(final, [data, genes], overwrite)
    need_zstandard("packing a submission")
    panel = read_panel(genes, None, contexts=())
    store = open_store(data)
    try:
        seen = inspect(store, panel, contract)
        problems, check = read_values(store, seen, contract, threads, discrete, progress)
        if seen.problems or problems:
            raise ContractError(store.name, seen.problems + problems)
        assert seen.matrix is not None
        scales = None if discrete or logged(check) else cell_scales(check.totals, contract.encoding)
        gene_map = None
        if seen.order is not None:
            gene_map = np.empty(store.n_vars, np.int64)
            gene_map[seen.order] = np.arange(seen.order.size)
        labels = seen.annotations.labels
        assert labels is not None
        shown = names or {}
        obs = {shown.get("pert_col", "target_gene"): labels}
        if seen.annotations.celltypes is not None:
            obs[shown.get("celltype_col", "celltype")] = seen.annotations.celltypes
        dtype = np.dtype(np.float32 if contract.encoding == 32 else np.float64)
        second = ValueCheck(store.n_obs, store.genes(), contract, threads, counts=False)
        with staged_file(final) as stage, Scratch(stage.parent, store.n_obs, dtype) as scratch:
            for block in row_blocks(seen.matrix, threads):
                tidy = canonical(second.add(block), threads, gene_map, len(panel.genes))
                part = None if scales is None else scales[block.first : block.first + tidy.n_rows]
                scratch.add(tidy, log_scaled(tidy, part, dtype))
                store.release()
                if progress is not None:
                    progress(store.n_obs + block.first + tidy.n_rows, 2 * store.n_obs)
            rows = scratch.rows(len(panel.genes))
            how = (dtype, obs, panel.genes, level, threads, WATERMARK)
            with archive(stage, None, rows.indptr, *how) as to:
                for stop in range(0, rows.nnz, 1 << 23):
                    to.advance(rows.data, rows.indices, stop)
                    scratch.release()
                to.advance(rows.data, rows.indices, rows.nnz)
        return Packed(final, final.stat().st_size, store.n_obs, len(panel.genes), rows.nnz, tuple(seen.notes))
    finally:
        store.close()


def cell_scales(totals: NDArray[np.float64], encoding: int) -> NDArray[Any]:
    """What each cell is divided by: its total over the median of all totals; 1 for an empty cell."""
    own: NDArray[Any] = totals.astype(np.float32 if encoding == 32 else np.float64)
    scales = own / np.median(own)
    scales[own == 0] = 1
    return np.asarray(scales)


def log_scaled(rows: Rows, scales: NDArray[Any] | None, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values in the archive's precision, divided and log1p-ed unless ``scales`` is None."""
    data = rows.data.read(0, rows.nnz).astype(dtype)
    if scales is not None:
        data /= np.repeat(scales, np.diff(rows.indptr))
        np.log1p(data, out=data)
    return data
