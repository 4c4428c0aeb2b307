"""Copies are made block by block, and told when they are large."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import sparse

from vcmetrics._errors import VcmetricsWarning
from vcmetrics.sources import cells as cells_module
from vcmetrics.sources import compact, open_cells


@pytest.fixture
def messy():
    """Cells of very different length whose values grow: small counts first, then large, then fractions."""
    import anndata

    rng = np.random.default_rng(4)
    dense = rng.poisson(0.5, (300, 57)).astype(np.float64)
    dense[100:103] = rng.integers(1, 9, (3, 57))
    dense[50:60] = 0
    dense[200, 5] = 70000
    dense[250, 7] = 1 / 3
    return anndata.AnnData(sparse.csr_matrix(dense))


@pytest.mark.parametrize("block", [1, 50, 333, 10**6])
@pytest.mark.parametrize("chunk", [1, 13, 4096])
@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
def test_blocks(messy, tmp_path, dense_of, monkeypatch, layout, chunk, block):
    import h5py

    monkeypatch.setattr(compact, "BLOCK_VALUES", block)
    messy_dense = messy.X.toarray()
    messy.X = messy_dense if layout == "dense" else messy.X.asformat(layout)
    path = tmp_path / "a.h5ad"
    messy.write_h5ad(path)
    with h5py.File(path, "a") as file:
        parts = ["X"] if layout == "dense" else ["X/data", "X/indices"]
        for part in parts:
            values, attrs = file[part][...], dict(file[part].attrs)
            del file[part]
            chunks = (min(chunk, values.shape[0]), 20) if layout == "dense" else (min(chunk, values.shape[0]),)
            file.create_dataset(part, data=values, chunks=chunks, compression="gzip", shuffle=chunk == 13)
            file[part].attrs.update(attrs)
    with open_cells(path) as cells:
        rows = cells.rows(2)
        assert rows.data.dtype == np.float64
        np.testing.assert_array_equal(dense_of(rows), messy_dense)


@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
def test_blocks_of_lzf(messy, tmp_path, dense_of, monkeypatch, layout):
    monkeypatch.setattr(compact, "BLOCK_VALUES", 500)
    dense = messy.X.toarray()
    messy.X = dense if layout == "dense" else messy.X.asformat(layout)
    messy.write_h5ad(tmp_path / "a.h5ad", compression="lzf")
    with open_cells(tmp_path / "a.h5ad") as cells:
        np.testing.assert_array_equal(dense_of(cells.rows()), dense)


def test_chunks_that_were_never_written(tmp_path, adata, dense_of):
    """HDF5 reads them as zeros."""
    import h5py

    path = tmp_path / "a.h5ad"
    adata.write_h5ad(path)
    with h5py.File(path, "a") as file:
        del file["X"]
        stored = file.create_dataset("X", shape=adata.shape, dtype="f4", chunks=(10, 10), compression="gzip")
        stored[10:20, 10:20] = 3
    expected = np.zeros(adata.shape)
    expected[10:20, 10:20] = 3
    with open_cells(path) as cells:
        np.testing.assert_array_equal(dense_of(cells.rows()), expected)


@pytest.mark.parametrize("how", ["contiguous", "chunked", "unaligned"])
def test_read_in_place(tmp_path, messy, dense_of, how):
    """Large bare arrays are used in the mapped file."""
    import anndata
    import h5py

    big = anndata.AnnData(sparse.vstack([messy.X] * 4, "csr"))
    path = tmp_path / "a.h5ad"
    big.write_h5ad(path)
    with h5py.File(path, "a") as file:
        for part in ("X/data", "X/indices"):
            values = file[part][...]
            del file[part]
            file.create_dataset(part, data=values, chunks=None if how == "contiguous" else (1001,))
    with open_cells(path) as cells:
        rows = cells.rows()
        assert rows.data.buffer.size == path.stat().st_size
        assert not rows.data.buffer.flags.writeable
        assert (rows.data.offsets.size == 1) == (how == "contiguous")
    # rows outlive the open file
    np.testing.assert_array_equal(dense_of(rows), big.X.toarray())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"compression": "gzip"}, "stored with gzip"),
        ({"compression": "lzf"}, "stored with lzf"),
        ({}, None),
    ],
)
def test_large_copies_are_told_once(tmp_path, messy, monkeypatch, options, words):
    monkeypatch.setattr(cells_module, "LARGE_COPY", 1000)
    messy.write_h5ad(tmp_path / "a.h5ad", **options)
    with open_cells(tmp_path / "a.h5ad") as cells:
        if words is None:
            cells.rows()
            return
        with pytest.warns(VcmetricsWarning, match=words) as told:
            cells.rows()
        assert len(told) == 1
        assert "an uncompressed CSR matrix with sorted columns and the genes in order is read in place" in str(
            told[0].message
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            cells.rows()
            cells.scan()


def test_large_copies_of_memory(messy, monkeypatch):
    monkeypatch.setattr(cells_module, "LARGE_COPY", 1000)
    for matrix, words in (
        (messy.X.tocsc(), r"stored by gene \(CSC\)"),
        (messy.X.toarray(), "stored dense"),
        (
            sparse.csr_matrix((messy.X.data, messy.X.indices[::-1].copy(), messy.X.indptr), messy.shape),
            "unsorted or repeated",
        ),
    ):
        messy.X = matrix
        with open_cells(messy) as cells, pytest.warns(VcmetricsWarning, match=words):
            cells.rows()


def test_large_copies_in_another_gene_order(messy, monkeypatch):
    monkeypatch.setattr(cells_module, "LARGE_COPY", 1000)
    with open_cells(messy) as cells, pytest.warns(VcmetricsWarning, match="wanted in another gene order"):
        cells.with_gene_order(np.arange(57)[::-1]).rows()
