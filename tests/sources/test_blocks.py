"""Blocks of rows hold what the matrix holds; ranges and byte planes are what NumPy says."""

import numpy as np
import pytest
import scipy.sparse as sp

from vcmetrics.sources import blocks
from vcmetrics.sources.cells import open_store
from vcmetrics.sources.rows import ChunkedArray


def together(store, n_cols):
    parts, first = [], 0
    for block in blocks.row_blocks(store.matrix(None), 2):
        rows = block.rows
        assert block.first == first
        first += rows.n_rows
        triple = rows.data.read(0, rows.nnz), rows.indices.read(0, rows.nnz), rows.indptr
        parts.append(sp.csr_matrix(triple, (rows.n_rows, n_cols)).toarray())
    return np.concatenate(parts), len(parts)


@pytest.mark.parametrize("layout", ["csr", "csc", "dense", "gzip"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u1"])
def test_blocks(layout, dtype, tmp_path, monkeypatch):
    import anndata

    monkeypatch.setattr(blocks, "BLOCK_VALUES", 500)
    monkeypatch.setattr(blocks, "BARE_VALUES", 500)
    monkeypatch.setattr(blocks, "BAND_VALUES", 700)
    x = np.random.default_rng(0).poisson(0.7, (97, 60)).astype(dtype)
    x[13] = 0
    made = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}.get(layout, sp.csr_matrix)(x)
    adata = anndata.AnnData(made)
    keywords = {"gzip": {"compression": "gzip"}}.get(layout, {})
    adata.write_h5ad(tmp_path / "x.h5ad", **keywords)
    for given in (adata, tmp_path / "x.h5ad"):
        store = open_store(given)
        found, n = together(store, 60)
        store.release()
        again, _ = together(store, 60)  # pages that were given back come again
        store.close()
        np.testing.assert_array_equal(found, x)
        np.testing.assert_array_equal(again, x)
        assert n > 1


def test_ranges_of_pieces():
    whole = np.arange(100, dtype=np.int32)
    pieces = ChunkedArray(whole.view(np.uint8), np.array([0, 64, 256]), np.array([0, 16, 64, 100]), np.dtype(np.int32))
    for start in (0, 1, 15, 16, 63, 64, 99):
        for stop in (start + 1, 16, 17, 64, 65, 100):
            if stop > start:
                part = pieces.between(start, stop)
                assert len(part) == stop - start
                np.testing.assert_array_equal(part.read(0, len(part)), whole[start:stop])
