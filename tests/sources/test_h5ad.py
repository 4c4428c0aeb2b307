"""Every way to store a matrix gives the matrix that anndata reads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from vcmetrics.sources import open_cells

LAYOUTS = ("csr", "csc", "dense")
DTYPES = (
    "float32",
    "float64",
    "float16",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "bool",
)
STORAGE = {
    "plain": {},
    "gzip": {"compression": "gzip"},
    "gzip_shuffle": {"compression": "gzip", "shuffle": True},
    "lzf": {"compression": "lzf"},
    "fletcher": {"fletcher32": True},
}


def stored(adata, layout, dtype):
    """A copy of ``adata`` with its matrix in another layout and type."""
    out = adata.copy()
    matrix = out.X
    dense = matrix.toarray()
    if dtype == "bool":
        dense = dense > 0
    elif dtype == "int8":
        dense = np.clip(dense, 0, 127) * np.where(np.arange(dense.shape[1]) % 2, -1, 1)
    elif dtype == "uint8":
        dense = np.clip(dense, 0, 255)
    elif dtype == "float64":
        dense = dense / 7
    dense = dense.astype(dtype)
    if layout == "dense":
        out.X = dense
        return out
    # SciPy's sparse matrices know no half floats: the file is rewritten below
    kind = sparse.csr_matrix if layout == "csr" else sparse.csc_matrix
    out.X = kind(dense.astype("float32") if dtype == "float16" else dense)
    return out


def rewrite(path, layout, dtype, options, index_dtype):
    """Store X of a file again with other options."""
    import h5py

    with h5py.File(path, "a") as file:
        if layout == "dense":
            values = file["X"][...]
            attrs = dict(file["X"].attrs)
            del file["X"]
            chunks = (7, 10) if options else None
            file.create_dataset("X", data=values.astype(dtype), chunks=chunks, **options).attrs.update(attrs)
            return
        for part, kind in (("data", dtype), ("indices", index_dtype)):
            values = file["X"][part][...].astype(kind)
            del file["X"][part]
            file["X"].create_dataset(part, data=values, chunks=(37,), **options)


@pytest.mark.parametrize("storage", STORAGE)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_storage(tmp_path, adata, dense_of, layout, dtype, storage):
    import anndata

    path = tmp_path / "a.h5ad"
    source = stored(adata, layout, dtype)
    source.write_h5ad(path)
    rewrite(path, layout, dtype, STORAGE[storage], "int64" if storage == "gzip" else "int32")
    if dtype == "float16" and layout != "dense":
        expected = source.X.toarray()
    else:
        read = anndata.read_h5ad(path).X
        expected = read if layout == "dense" else read.toarray()
    with open_cells(path) as cells:
        assert cells.dtype == np.dtype(dtype)
        rows = cells.rows()
        np.testing.assert_array_equal(dense_of(rows), expected.astype(np.float64))
        np.testing.assert_allclose(cells.scan()["totals"], expected.astype(np.float64).sum(1), rtol=1e-14)
        assert list(cells.genes) == list(source.var_names)


def test_reading_a_file_imports_little(tmp_path, adata):
    """Start-up is part of every run: neither anndata nor what it brings."""
    import os
    import subprocess
    import sys

    adata.write_h5ad(tmp_path / "a.h5ad")
    code = (
        "import sys; from vcmetrics.sources import open_cells\n"
        "with open_cells(sys.argv[1]) as cells: cells.rows(), cells.column('target'), cells.fingerprint()\n"
        "print([m for m in ('anndata', 'pandas', 'scipy', 'zarr') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.h5ad")],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.strip() == "[]"
