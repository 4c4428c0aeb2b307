"""AnnData in memory: every container, never modified, not copied where it need not be."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from scipy import sparse

from vcmetrics.sources import open_cells


def state(matrix):
    """What must not change: the bytes and flags of a container."""
    parts = [matrix] if isinstance(matrix, np.ndarray) else [matrix.data, matrix.indices, matrix.indptr]
    flags = [] if isinstance(matrix, np.ndarray) else [matrix.has_sorted_indices, matrix.has_canonical_format]
    return [hashlib.sha256(part.tobytes()).hexdigest() for part in parts], flags


def unsorted(counts):
    """The same matrix with its columns backwards, some values split in two, and zeros stored."""
    dense = counts.toarray()
    data, indices, indptr = [], [], [0]
    for row in dense:
        for j in np.flatnonzero(row)[::-1]:
            data += [row[j] - 1, 0, 1] if j % 3 == 0 else [row[j]]
            indices += [j] * 3 if j % 3 == 0 else [j]
        indptr.append(len(data))
    return sparse.csr_matrix((np.array(data, np.float32), np.array(indices, np.int32), np.array(indptr)), dense.shape)


MAKERS = {
    "csr_matrix": lambda x: x,
    "csr_array": sparse.csr_array,
    "csc_matrix": sparse.csc_matrix,
    "csc_array": sparse.csc_array,
    "dense": lambda x: x.toarray(),
    "fortran": lambda x: np.asfortranarray(x.toarray()),
    "strided": lambda x: np.repeat(np.repeat(x.toarray(), 2, 0), 3, 1)[::2, ::3],
    "unsorted": unsorted,
    "unsorted_csc": lambda x: unsorted(x.T.tocsr()).T,
    "wide_indices": lambda x: sparse.csr_matrix(
        (x.data, x.indices.astype(np.int64), x.indptr.astype(np.int64)), x.shape
    ),
    "big_endian": lambda x: x.toarray().astype(">f4"),
    "whole": lambda x: x.astype(np.int64),
}


def with_matrix(adata, matrix):
    """The AnnData around exactly this container."""
    import anndata

    out = anndata.AnnData(shape=adata.shape, obs=adata.obs, var=adata.var)
    out.X = matrix
    return out


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("place", ["X", "layer"])
def test_containers(adata, counts, dense_of, kind, place):
    data = with_matrix(adata, MAKERS[kind](counts))
    if place == "layer":
        data.layers["raw"] = data.X
        data.X = None
    stored = data.X if place == "X" else data.layers["raw"]
    before = state(stored)
    with open_cells(data, layer=None if place == "X" else "raw") as cells:
        rows = cells.rows()
        found = cells.scan()
    expected = counts.toarray()
    np.testing.assert_array_equal(dense_of(rows), expected)
    np.testing.assert_array_equal(found["totals"], expected.sum(1, dtype=np.float64))
    assert found["max_row_total"] == expected.sum(1, dtype=np.float64).max()
    assert (data.X if place == "X" else data.layers["raw"]) is stored
    assert state(stored) == before
    # canonical: ascending, once each
    indices = rows.indices.read(0, rows.nnz)
    for first, last in zip(rows.indptr[:-1], rows.indptr[1:], strict=True):
        assert np.all(np.diff(indices[first:last].astype(np.int64)) > 0)


def test_flags_of_a_messy_matrix(adata, counts):
    with open_cells(with_matrix(adata, unsorted(counts))) as cells:
        found = cells.scan()
    assert found["unsorted"]
    assert found["duplicates"]
    assert found["n_explicit_zeros"] > 0


@pytest.mark.parametrize("kind", ["csr_matrix", "csr_array", "wide_indices", "whole"])
def test_compressed_rows_are_not_copied(adata, counts, kind):
    matrix = MAKERS[kind](counts)
    data = with_matrix(adata, matrix)
    with open_cells(data) as cells:
        rows = cells.rows()
    assert np.shares_memory(rows.data.buffer, data.X.data)
    assert np.shares_memory(rows.indices.buffer, data.X.indices)


def test_read_only_arrays(adata, counts, dense_of):
    matrix = counts.copy()
    for part in (matrix.data, matrix.indices, matrix.indptr):
        part.flags.writeable = False
    with open_cells(with_matrix(adata, matrix)) as cells:
        np.testing.assert_array_equal(dense_of(cells.rows()), counts.toarray())


def test_view(adata, counts, dense_of):
    chosen = np.array([5, 3, 17, 50, 3 + 20])
    view = adata[chosen, adata.var_names[::-1]]
    with open_cells(view) as cells:
        np.testing.assert_array_equal(dense_of(cells.rows()), counts.toarray()[chosen][:, ::-1])
        assert cells.genes.tolist() == adata.var_names[::-1].tolist()
        assert cells.column("target").tolist() == adata.obs["target"].to_numpy()[chosen].tolist()
    assert view.is_view


@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
def test_backed(adata, counts, tmp_path, dense_of, layout):
    import anndata

    adata.X = counts.toarray() if layout == "dense" else counts.asformat(layout)
    adata.write_h5ad(tmp_path / "a.h5ad")
    backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    with open_cells(backed) as cells:
        np.testing.assert_array_equal(dense_of(cells.rows()), counts.toarray())
    assert backed.isbacked
    with open_cells(backed[3:9]) as cells:
        np.testing.assert_array_equal(dense_of(cells.rows()), counts.toarray()[3:9])
    backed.file.close()


def test_leftovers_behind_the_last_row(adata, counts, dense_of):
    """SciPy allows arrays longer than the last row pointer."""
    matrix = counts.copy()
    matrix.data = np.append(matrix.data, np.float32(np.nan))
    matrix.indices = np.append(matrix.indices, np.int32(-7))
    with open_cells(with_matrix(adata, matrix)) as cells:
        np.testing.assert_array_equal(dense_of(cells.rows()), counts.toarray())
        assert cells.scan()["n_nonfinite"] == 0


def test_fingerprints(adata, counts, tmp_path):
    def print_of(data):
        with open_cells(data) as cells:
            return cells.fingerprint()

    first = print_of(adata)
    assert print_of(adata.copy()) == first
    other = adata.copy()
    other.X.data[-1] += 1
    assert print_of(other) != first
    other = adata.copy()
    other.var_names = ["H", *other.var_names[1:]]
    assert print_of(other) != first
    adata.write_h5ad(tmp_path / "a.h5ad")
    stored = print_of(tmp_path / "a.h5ad")
    assert print_of(str(tmp_path / "a.h5ad")) == stored
    adata.layers["twice"] = adata.X * 2
    adata.write_h5ad(tmp_path / "a.h5ad")
    assert print_of(tmp_path / "a.h5ad") != stored


def test_opening_opened_cells(adata):
    with open_cells(adata) as cells:
        assert open_cells(cells) is cells
        with pytest.raises(ValueError, match="was opened with layer=None, not 'raw'"):
            open_cells(cells, layer="raw")


def test_strange_containers(adata):
    class Strange:
        obs = var = X = layers = obsm = n_obs = n_vars = None

    strange = Strange()
    strange.n_obs, strange.n_vars = adata.shape
    strange.var_names, strange.obs, strange.layers, strange.obsm = adata.var_names, adata.obs, {}, {}
    with pytest.raises(ValueError, match="has no X"):
        open_cells(strange)
    strange.X = sparse.coo_matrix(adata.X)
    with pytest.raises(TypeError, match="coo_matrix; expected a NumPy array, a SciPy CSR or CSC matrix"):
        open_cells(strange)
