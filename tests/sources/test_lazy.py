"""AnnData whose matrix lies elsewhere: backed by a file, read lazily, held by Dask."""

from __future__ import annotations

import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import vcmetrics as vcm
from vcmetrics.sources import open_cells

pytest.importorskip("dask", reason="needs the extra `dask`")
import dask.array as da


def with_matrix(adata, values):
    return anndata.AnnData(values, obs=adata.obs, var=adata.var)


def in_blocks(counts, kind, height):
    """The counts as a Dask array of CSR, CSC or dense blocks of so many rows, and how often a block was computed."""
    computed = []

    def block(first):
        computed.append(first)
        part = counts[first : first + height]
        return part.toarray() if kind == "dense" else part.asformat(kind)

    import dask

    meta = counts[:0].toarray() if kind == "dense" else counts[:0].asformat(kind)
    blocks = [
        da.from_delayed(
            dask.delayed(block, pure=False)(first),
            (min(height, counts.shape[0] - first), counts.shape[1]),
            dtype=counts.dtype,
            meta=meta,
        )
        for first in range(0, counts.shape[0], height)
    ]
    return da.concatenate(blocks), computed


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("height", [1, 7, 53])
@pytest.mark.parametrize("step", [1 << 23, 100])
def test_dask_blocks(adata, counts, dense_of, kind, height, step, monkeypatch):
    monkeypatch.setattr("vcmetrics.sources.compact.BLOCK_VALUES", step)
    values, computed = in_blocks(counts, kind, height)
    with open_cells(with_matrix(adata, values)) as cells:
        np.testing.assert_array_equal(dense_of(cells.rows()), counts.toarray())
        assert cells.dtype == np.float32
        assert cells.layout == ("dense" if kind == "dense" else "csr")
    n_blocks = -(-53 // height)
    assert len(computed) == (n_blocks if kind == "dense" else 2 * n_blocks)


def test_blocks_are_let_go(adata, counts):
    values, _ = in_blocks(counts, "csr", 5)
    cells = open_cells(with_matrix(adata, values))
    matrix = cells._matrix
    for first in range(0, 53, 9):
        begin, end = matrix.indptr[first], matrix.indptr[min(first + 9, 53)]
        matrix.indices.read(begin, end, 1)
        matrix.data.read(begin, end, 1)
        assert len(matrix.data._blocks._held) <= 1


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.parametrize("layout", ["csr", "dense"])
def test_read_lazily(adata, counts, tmp_path, dense_of, suffix, layout):
    pytest.importorskip("xarray", reason="anndata reads lazily with xarray")
    from anndata.experimental import read_lazy

    adata.X = counts if layout == "csr" else counts.toarray()
    adata.obs["number"] = np.arange(53) % 3
    adata.obs["text"] = pd.array([f"t{i % 2}" for i in range(53)], dtype=object)
    adata.obsm["E"] = np.arange(106.0).reshape(53, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which zarr version is written
        getattr(adata, f"write_{suffix}")(tmp_path / f"a.{suffix}")
        lazy = read_lazy(tmp_path / f"a.{suffix}")
    with open_cells(adata) as plain, open_cells(lazy) as cells:
        np.testing.assert_array_equal(dense_of(cells.rows()), counts.toarray())
        assert cells.genes.tolist() == plain.genes.tolist()
        assert cells.obs_names() == plain.obs_names()
        assert cells.obsm("E").tolist() == plain.obsm("E").tolist()
        for column in ("target", "number", "text"):
            assert cells.column(column).tolist() == plain.column(column).tolist()
            used = [label for label in plain.group_order(column) or () if label != "never"]  # anndata drops the others
            assert (cells.group_order(column) or []) == used
    parts = [lazy[:20], lazy[20:]]
    expected = vcm.summarize(adata, pert_col="target", control="g0")
    found = vcm.summarize(parts, pert_col="target", control="g0")
    for name, table in expected.tables["ratio@1e+06"].items():
        assert found.tables["ratio@1e+06"][name].tobytes() == table.tobytes()


def test_blocks_of_unknown_shape(adata, counts):
    values, _ = in_blocks(counts, "csr", 9)
    values._chunks = ((np.nan,) * 6, (31,))
    lazy = with_matrix(adata, counts)
    lazy.__dict__["_X"] = values
    with pytest.raises((vcm.DataError, ValueError)):
        open_cells(lazy)


def test_a_block_that_fails_is_told(adata, counts):
    def bad(block):
        raise OSError("disk gone")

    values, _ = in_blocks(counts, "csr", 9)
    values = values.map_blocks(bad, dtype=np.float32, meta=sparse.csr_matrix((0, 31), dtype=np.float32))
    with pytest.raises(vcm.DataError, match=r"adata: cannot read the lengths of the rows \(disk gone\)"):
        open_cells(with_matrix(adata, values))


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_backed_data_are_mapped(adata, counts, tmp_path, dense_of, compression):
    adata.X = sparse.vstack([counts] * 40).tocsr()[:53] if compression else counts
    adata.write_h5ad(tmp_path / "a.h5ad", compression=compression)
    backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    with open_cells(backed) as cells:
        assert cells._matrix.data.why_copied == ("stored with gzip" if compression else "")
        np.testing.assert_array_equal(dense_of(cells.rows()), counts.toarray())
    assert backed.X[:2].toarray().tolist() == counts[:2].toarray().tolist()  # the caller's file is still open
    backed.file.close()
