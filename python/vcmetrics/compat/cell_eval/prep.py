"""The command ``cell-eval prep``: a prediction as the challenge of 2025 takes it."""

from __future__ import annotations

import csv
import io
import logging
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics.compat.cell_eval.utils import is_lognorm
from vcmetrics.results.staging import staged_file
from vcmetrics.scoring.jobs import median_total
from vcmetrics.sources import open_cells
from vcmetrics.sources.genes import some
from vcmetrics.summary.single_precision import log_normalised

logger = logging.getLogger(__name__)

MEMBER, MARK, MARK_TEXT = "pred.h5ad.zst", "watermark.txt", "vcc-prep"


def prepare(
    *,
    path: str,
    genes: str,
    output: str | None,
    pert_col: str,
    celltype_col: str | None,
    ntc_name: str,
    output_pert_col: str,
    output_celltype_col: str,
    encoding: int,
    allow_discrete: bool,
    expected_gene_dim: int,
    max_cell_dim: int,
) -> str:
    """Strip, check, normalise and pack; parameters are the command line's. Returns the path written.

    Raises
    ------
    DataError
        If a column, the control or a gene is missing, a gene is too many, or there are too many cells.
    """
    compressor = zstandard()
    if encoding not in (32, 64):
        msg = f"encoding must be 32 or 64, not {encoding}"
        raise DataError(msg)
    target = output or path.replace(".h5ad", ".prep.vcc")
    with open(genes, newline="", encoding="utf-8-sig") as file:
        wanted = [row[0] for row in csv.reader(file) if row]
    if expected_gene_dim not in (-1, len(wanted)):
        logger.warning("the list holds %d genes, not %d", len(wanted), expected_gene_dim)
    from anndata import read_h5ad

    adata = read_h5ad(path)
    check_labels(adata, pert_col, celltype_col, ntc_name)
    made = stripped(with_genes(adata, wanted, path), encoding)
    made.obs[output_pert_col] = np.asarray(adata.obs[pert_col])
    if celltype_col:
        made.obs[output_celltype_col] = np.asarray(adata.obs[celltype_col])
    if max_cell_dim != -1 and made.n_obs > max_cell_dim:
        msg = f"{path}: has {made.n_obs} cells, more than {max_cell_dim}; predict fewer, or pass --max-cell-dim"
        raise DataError(msg)
    made = normalised(made, allow_discrete=allow_discrete, encoding=encoding)
    with staged_file(target) as stage, tempfile.TemporaryDirectory(dir=stage.parent) as folder:
        plain = Path(folder) / "pred.h5ad"
        made.write_h5ad(plain)
        packed = Path(folder) / MEMBER
        with plain.open("rb") as source, packed.open("wb") as sink:
            compressor.ZstdCompressor(level=3, threads=-1).copy_stream(source, sink, size=plain.stat().st_size)
        plain.unlink()
        with tarfile.open(stage, "w") as archive:
            archive.add(packed, MEMBER)
            mark = tarfile.TarInfo(MARK)
            mark.size = len(MARK_TEXT)
            archive.addfile(mark, io.BytesIO(MARK_TEXT.encode()))
    return target


def zstandard() -> Any:
    """The compressor, or one clear line where it is missing."""
    try:
        import zstandard
    except ImportError:
        msg = ".vcc archives need zstandard, which is not installed; run: pip install 'vcmetrics[vcc]'"
        raise DataError(msg) from None
    return zstandard


def check_labels(adata: Any, pert_col: str, celltype_col: str | None, control: str) -> None:
    """Refuse missing columns and a missing control."""
    for column in (pert_col, *([celltype_col] if celltype_col else [])):
        if column not in adata.obs:
            msg = f"{column!r} is not a column of obs (columns: {some(list(adata.obs.columns))}); name another"
            raise DataError(msg)
    if control not in set(adata.obs[pert_col].astype(str)):
        msg = f"no cell is labelled {control!r} in {pert_col!r}; pass --ntc-name"
        raise DataError(msg)


def with_genes(adata: Any, wanted: list[str], path: str) -> Any:
    """The cells with the listed genes in the order of the list."""
    names = [str(name) for name in adata.var_names]
    if names == wanted:
        return adata
    missing, extra = sorted(set(wanted) - set(names)), sorted(set(names) - set(wanted))
    if missing or extra:
        parts = [f"lacks {len(missing)} listed genes ({some(missing)})"] if missing else []
        parts += [f"has {len(extra)} that are not listed ({some(extra)})"] if extra else []
        msg = f"{path}: {' and '.join(parts)}; the genes must be those of --genes"
        raise DataError(msg)
    if len(names) != len(wanted):
        msg = f"{path}: has {len(names)} genes and the list {len(wanted)}: a name comes twice"
        raise DataError(msg)
    logger.warning("the genes are not in the order of the list; they are put in order")
    adata.var_names = names
    return adata[:, wanted]


def stripped(adata: Any, encoding: int) -> Any:
    """The matrix alone, CSR (CSC stays CSC), cells named 0, 1, …."""
    import pandas as pd
    from anndata import AnnData
    from scipy.sparse import csr_matrix, issparse

    dtype = np.float32 if encoding == 32 else np.float64
    x = adata.X.astype(dtype)
    obs = pd.DataFrame(index=[str(k) for k in range(adata.n_obs)])
    var = pd.DataFrame(index=[str(name) for name in adata.var_names])
    return AnnData(x if issparse(x) else csr_matrix(x), obs=obs, var=var)


def normalised(adata: Any, *, allow_discrete: bool, encoding: int) -> Any:
    """Counts scaled to the median total and logged; log-normalised values as they are."""
    with open_cells(adata) as cells:
        if is_lognorm(cells, validate=not allow_discrete) or allow_discrete:
            return adata
        totals = np.asarray(cells.scan()["totals"])
        used = totals if cells.layout == "csr" else totals[totals > 0]
        rows = log_normalised(cells.rows(), totals, median_total(used))
    from scipy.sparse import csr_matrix

    dtype = np.float32 if encoding == 32 else np.float64
    parts = (rows.data.read(0, rows.nnz).astype(dtype), rows.indices.read(0, rows.nnz).astype(np.int32), rows.indptr)
    adata.X = csr_matrix(parts, shape=(rows.n_rows, rows.n_cols))
    return adata
