"""A cells × genes matrix as it is stored: layout, arrays, and whether their lengths fit together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.sources.annotations import attribute, encoding_of, is_array
from vcmetrics.sources.arrays import StoredArray

Layout = Literal["csr", "csc", "dense"]


@dataclass(frozen=True)
class Matrix:
    """Where the values lie. ``indices`` and ``indptr`` are None for a dense matrix.

    ``indptr`` has been checked: it starts at 0, never falls and ends within ``data`` and ``indices``.
    """

    layout: Layout
    n_rows: int
    n_cols: int
    data: StoredArray
    indices: StoredArray | None = None
    indptr: NDArray[np.int64] | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type as stored."""
        return self.data.dtype

    @property
    def nnz(self) -> int:
        """Stored values; all of them for a dense matrix."""
        return self.n_rows * self.n_cols if self.indptr is None else int(self.indptr[-1])

    def why_copied(self) -> str:
        """Why the kernels cannot read it where it lies, in words that continue "it is …"; empty if they can."""
        if self.layout == "csc":
            return "stored by gene (CSC)"
        if self.layout == "dense":
            return "stored dense"
        assert self.indices is not None
        return self.data.why_copied or self.indices.why_copied


def sparse_matrix(
    layout: Layout, shape: tuple[int, int], data: StoredArray, indices: StoredArray, indptr: NDArray[Any]
) -> Matrix:
    """Check the lengths of a compressed matrix and wrap it."""
    n_rows, n_cols = shape
    major = n_rows if layout == "csr" else n_cols
    pointers = np.ascontiguousarray(indptr, np.int64).reshape(-1)
    if pointers.size != major + 1:
        msg = f"indptr has {pointers.size} entries, expected {major + 1} for a {layout.upper()} of {n_rows} × {n_cols}"
        raise DataError(msg)
    if len(data.shape) != 1 or len(indices.shape) != 1 or data.shape != indices.shape:
        msg = f"data and indices differ in length ({data.shape} and {indices.shape})"
        raise DataError(msg)
    if pointers[0] != 0 or np.any(pointers[1:] < pointers[:-1]):
        msg = "indptr does not ascend from 0"
        raise DataError(msg)
    if pointers[-1] > data.shape[0]:
        msg = f"indptr ends at {pointers[-1]}, but only {data.shape[0]} values are stored"
        raise DataError(msg)
    if indices.dtype.kind not in "iu":
        msg = f"column numbers are {indices.dtype}, not whole numbers"
        raise DataError(msg)
    _check_values(data)
    return Matrix(layout, n_rows, n_cols, data, indices, pointers)


def dense_matrix(data: StoredArray) -> Matrix:
    """Check a dense matrix and wrap it."""
    if len(data.shape) != 2:
        msg = f"has {len(data.shape)} dimensions, expected cells × genes"
        raise DataError(msg)
    _check_values(data)
    return Matrix("dense", data.shape[0], data.shape[1], data)


def _check_values(data: StoredArray) -> None:
    if data.dtype.kind not in "biuf" or data.dtype.itemsize > 8:
        msg = f"has values of type {data.dtype}; expected real numbers of at most 64 bits"
        raise DataError(msg)


def stored_matrix(node: Any, n_rows: int, n_cols: int, array: Callable[[Any], StoredArray]) -> Matrix:
    """Find the layout of a matrix in a file and check it against the numbers of cells and genes.

    Parameters
    ----------
    node
        The group (sparse) or array (dense) that holds it, of h5py or zarr.
    n_rows, n_cols
        Cells and genes by ``obs`` and ``var``.
    array
        Wraps an array of the file.
    """
    kind = encoding_of(node)
    if is_array(node):
        if kind not in ("", "array"):
            msg = f"has the encoding {kind!r}, which vcmetrics does not read (csr_matrix, csc_matrix, array)"
            raise DataError(msg)
        matrix = dense_matrix(array(node))
        shape = matrix.n_rows, matrix.n_cols
    else:
        # before AnnData 0.7 the two attributes had other names
        layout = kind.removesuffix("_matrix") or str(attribute(node, "h5sparse_format", ""))
        stored_shape = node.attrs["shape"] if "shape" in node.attrs else node.attrs.get("h5sparse_shape")
        if layout not in ("csr", "csc") or stored_shape is None:
            msg = f"has the encoding {kind!r}, which vcmetrics does not read (csr_matrix, csc_matrix, array)"
            raise DataError(msg)
        missing = [part for part in ("data", "indices", "indptr") if part not in node]
        if missing:
            msg = f"lacks its part {missing[0]!r}"
            raise DataError(msg)
        rows, cols = (int(length) for length in np.asarray(stored_shape).reshape(-1))
        shape = rows, cols
    if shape != (n_rows, n_cols):
        msg = f"is {shape[0]} × {shape[1]}, but obs has {n_rows} rows and var has {n_cols}"
        raise DataError(msg)
    if is_array(node):
        return matrix
    major = n_rows if layout == "csr" else n_cols
    pointers = node["indptr"]
    if tuple(pointers.shape) != (major + 1,):
        msg = f"indptr has shape {tuple(pointers.shape)}, expected ({major + 1},) for {layout.upper()}"
        raise DataError(msg)
    name: Layout = "csr" if layout == "csr" else "csc"
    return sparse_matrix(name, shape, array(node["data"]), array(node["indices"]), np.asarray(pointers[...]))
