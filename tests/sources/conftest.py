"""A small matrix of counts and the files that hold it in every way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from vcmetrics.sources import Rows


def dense_of_rows(rows: Rows) -> np.ndarray:
    """The matrix that rows stand for, by plain NumPy; duplicates are summed."""

    def whole(array):
        parts = [
            array.buffer[at : at + (stop - start) * array.dtype.itemsize].tobytes()
            for at, start, stop in zip(array.offsets, array.starts[:-1], array.starts[1:], strict=True)
        ]
        return np.frombuffer(b"".join(parts), array.dtype)

    out = np.zeros((rows.n_rows, rows.n_cols))
    cell = np.repeat(np.arange(rows.n_rows), np.diff(rows.indptr))
    np.add.at(out, (cell, whole(rows.indices).astype(np.int64)), whole(rows.data).astype(np.float64))
    return out


@pytest.fixture(scope="session")
def dense_of():
    """The reader of rows that all comparisons use."""
    return dense_of_rows


@pytest.fixture
def counts() -> sparse.csr_matrix:
    """53 cells × 31 genes, a third stored, one empty row, one empty column."""
    rng = np.random.default_rng(1)
    dense = rng.poisson(0.4, (53, 31)) * rng.integers(1, 90, (53, 31))
    dense[17] = 0
    dense[:, 5] = 0
    return sparse.csr_matrix(dense.astype(np.float32))


@pytest.fixture
def adata(counts):
    """The counts as an AnnData with labels of several kinds."""
    import anndata
    import pandas as pd

    n = counts.shape[0]
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(n)])
    obs["target"] = pd.Categorical([f"g{i % 4}" for i in range(n)], categories=["never", "g3", "g2", "g1", "g0"])
    return anndata.AnnData(counts.copy(), obs=obs, var=pd.DataFrame(index=[f"G{j}" for j in range(counts.shape[1])]))
