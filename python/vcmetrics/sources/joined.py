"""Several files or AnnData as one data set: their cells one behind the other, left where they lie."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from glob import glob, has_magic
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError, VcmetricsWarning
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.sources.arrays import MemoryArray, StoredArray
from vcmetrics.sources.compact import compact_rows
from vcmetrics.sources.genes import align_genes, some
from vcmetrics.sources.matrix import Matrix, dense_matrix, sparse_matrix
from vcmetrics.sources.memory import looks_like_anndata
from vcmetrics.sources.rows import ChunkedArray
from vcmetrics.sources.stored import Store

FILE = "file"  # column that says which of the named files a cell is of


def looks_joined(data: object) -> bool:
    """Whether ``data`` is a list or tuple of paths and AnnData, or a mapping name → path or AnnData."""
    if isinstance(data, Mapping):
        return bool(data) and all(map(_is_one, data.values()))
    return isinstance(data, list | tuple) and bool(data) and all(map(_is_one, data))


def _is_one(data: object) -> bool:
    return isinstance(data, str | os.PathLike) or looks_like_anndata(data)


def matching(path: Path) -> list[Path] | None:
    """The files that a pattern with ``*``, ``?`` or ``[…]`` stands for, sorted; None for a plain path.

    Raises
    ------
    DataError
        If there is none.
    """
    if not has_magic(str(path)) or path.exists():
        return None
    found = sorted(Path(name) for name in glob(str(path), recursive=True))
    if not found:
        msg = f"{str(path)!r}: no file matches this pattern; check the path"
        raise DataError(msg)
    return found


def open_joined(data: Any, name: str | None, open_one: Callable[[Any, str | None], Store]) -> Store:
    """Open every part of a list, tuple or mapping; what is open already is closed where one cannot be."""
    parts: list[Store] = []
    keys = [str(key) for key in data] if isinstance(data, Mapping) else None
    try:
        for k, one in enumerate(data.values() if isinstance(data, Mapping) else data):
            parts.append(open_one(one, f"AnnData number {k + 1}" if looks_like_anndata(one) else None))
        return JoinedStore(parts, name, keys)
    except BaseException:
        for part in parts:
            part.close()
        raise


class JoinedStore:
    """Stores of one gene set, as one.

    Parameters
    ----------
    parts
        The stores, in the order of their cells. Genes take the order of the first; the others may order them otherwise.
    name
        For messages.
    keys
        Names of the parts: labels of a further column ``file``.

    Raises
    ------
    DataError
        If a part has other genes, or a column ``file`` of its own beside ``keys``.
    """

    def __init__(self, parts: Sequence[Store], name: str | None = None, keys: Sequence[str] | None = None) -> None:
        self._parts = tuple(parts)
        self._keys = keys
        names = ", ".join(part.name for part in parts[:2]) + (", …" if len(parts) > 2 else "")
        self.name = f"{name or 'data set'} of {len(parts)} files ({names})"
        self.n_obs = sum(part.n_obs for part in parts)
        self._genes = parts[0].genes()
        self.n_vars = parts[0].n_vars
        self._orders: list[NDArray[np.int64] | None] = [None]
        self._orders += [
            align_genes(part.genes(), self._genes, pred_name=part.name, real_name=parts[0].name) for part in parts[1:]
        ]
        if keys is not None and FILE in self._columns():
            msg = f"{self.name}: has a column {FILE!r} already; pass a list of files, not a mapping from names"
            raise DataError(msg)

    def parts(self) -> list[tuple[Store, NDArray[np.int64] | None]]:
        """Every part, with the column that each gene has there; None where the order is that of the first."""
        return list(zip(self._parts, self._orders, strict=True))

    def genes(self) -> NDArray[np.str_]:
        """Names of the genes, in the order of the first part."""
        return self._genes

    def obs_names(self) -> list[str]:
        """Names of the cells; one name may occur in several parts."""
        return [name for part in self._parts for name in part.obs_names()]

    def _columns(self) -> list[str]:
        return list(dict.fromkeys(column for part in self._parts for column in part.columns()))

    def columns(self) -> list[str]:
        """Names of the columns of ``obs`` that any part has."""
        return self._columns() + ([] if self._keys is None else [FILE])

    def _with_column(self, name: str) -> tuple[Store, ...]:
        for part in self._parts:
            columns = part.columns()
            if name not in columns:
                msg = (
                    f"{part.name}: {name!r} is not a column of obs there, but of other files of the data set "
                    f"(columns: {some(columns) or 'none'}); every file needs it"
                )
                raise DataError(msg)
        return self._parts

    def column(self, name: str) -> NDArray[np.object_]:
        """Labels of a column, None where missing."""
        if name == FILE and self._keys is not None:
            return np.repeat(np.array(self._keys, object), [part.n_obs for part in self._parts])
        return np.concatenate([part.column(name) for part in self._with_column(name)])

    def group_order(self, name: str) -> list[str] | None:
        """Labels of a column in the order of its categories; None for plain text.

        Where those of all parts ascend, as numbers or as text, the union does; else those of later parts stand behind.
        """
        if name == FILE and self._keys is not None:
            return list(self._keys)
        orders = []
        for part in self._with_column(name):
            order = part.group_order(name)
            if order is None:
                return None
            orders.append(order)
        united = list(dict.fromkeys(label for order in orders for label in order))
        if all(order == united for order in orders):
            return united
        if all(_numbers_ascend(order) for order in orders):
            return sorted(united, key=float)
        return sorted(united) if all(order == sorted(order) for order in orders) else united

    def layers(self) -> list[str]:
        """Names of the layers that all parts have."""
        return self._shared([part.layers() for part in self._parts])

    def obsm_keys(self) -> list[str]:
        """Names of the embeddings that all parts have."""
        return self._shared([part.obsm_keys() for part in self._parts])

    @staticmethod
    def _shared(names: Sequence[Sequence[str]]) -> list[str]:
        return [name for name in names[0] if all(name in other for other in names[1:])]

    def matrix(self, layer: str | None) -> Matrix:
        """``X`` or a layer: CSR or dense where all parts are; else by compact copies of the parts that are not CSR."""
        matrices = [part.matrix(layer) for part in self._parts]
        shape = (self.n_obs, self.n_vars)
        if all(matrix.layout == "dense" for matrix in matrices):
            return dense_matrix(
                JoinedArray([_selected(m.data, order) for m, order in zip(matrices, self._orders, strict=True)])
            )
        rows = [
            m if m.layout == "csr" else self._by_cells(m, part) for m, part in zip(matrices, self._parts, strict=True)
        ]
        indptr = [np.zeros(1, np.int64)]
        data, indices = [], []
        for matrix, order in zip(rows, self._orders, strict=True):
            assert matrix.indices is not None
            assert matrix.indptr is not None
            indptr.append(matrix.indptr[1:] + indptr[-1][-1])
            data.append(Cut(matrix.data, 0, matrix.nnz))
            indices.append(_renumbered(Cut(matrix.indices, 0, matrix.nnz), order))
        return sparse_matrix("csr", shape, JoinedArray(data), JoinedArray(indices), np.concatenate(indptr))

    def _by_cells(self, matrix: Matrix, part: Store) -> Matrix:
        from vcmetrics.sources.cells import LARGE_COPY

        rows = compact_rows(matrix, resolve_threads())
        size = rows.nnz * (rows.data.dtype.itemsize + rows.indices.dtype.itemsize)
        if size > LARGE_COPY:
            msg = (
                f"{part.name}: {size / 2**30:.2f} GiB were copied into memory because the matrix is "
                f"{matrix.why_copied()} and joined with others"
            )
            warnings.warn(msg, VcmetricsWarning, stacklevel=6)
        data, indices = rows.data.read(0, rows.nnz), rows.indices.read(0, rows.nnz)
        return Matrix("csr", matrix.n_rows, matrix.n_cols, MemoryArray(data), MemoryArray(indices), rows.indptr)

    def obsm(self, key: str, *, as_stored: bool = False) -> NDArray[Any]:
        """One embedding, cells × dimensions: float64, or float32 where all parts store it so and ``as_stored``."""
        found = [part.obsm(key, as_stored=as_stored) for part in self._parts]
        widths = {values.shape[1] for values in found}
        if len(widths) > 1:
            msg = f"{self.name}: obsm {key!r} has {some(sorted(widths))} dimensions in different files"
            raise DataError(msg)
        return np.concatenate(found)

    def identity(self) -> str | None:
        """What names the files, in their order; None where a part is in memory."""
        digest = hashlib.sha256()
        for part in self._parts:
            identity = part.identity()
            if identity is None:
                return None
            digest.update(identity.encode())
        return digest.hexdigest()

    def release(self) -> None:
        """Give pages of mapped files back to the system."""
        for part in self._parts:
            part.release()

    def close(self) -> None:
        """Close every part."""
        for part in self._parts:
            part.close()


def _numbers_ascend(labels: Sequence[str]) -> bool:
    """Whether labels are numbers that ascend."""
    try:
        numbers = [float(label) for label in labels]
    except ValueError:
        return False
    return all(a < b for a, b in pairwise(numbers))


def row_range(matrix: Matrix, first: int, last: int) -> Matrix:
    """Rows ``first … last - 1`` of a dense or CSR matrix; of a CSC matrix all rows or none."""
    if (first, last) == (0, matrix.n_rows):
        return matrix
    if matrix.layout == "dense":
        return dense_matrix(Cut(matrix.data, first, last))
    assert matrix.layout == "csr"
    assert matrix.indices is not None
    assert matrix.indptr is not None
    begin, end = int(matrix.indptr[first]), int(matrix.indptr[last])
    parts = Cut(matrix.data, begin, end), Cut(matrix.indices, begin, end)
    return Matrix("csr", last - first, matrix.n_cols, *parts, matrix.indptr[first : last + 1] - begin)


class JoinedArray:
    """Arrays one behind the other along the first axis; their common element type."""

    def __init__(self, parts: Sequence[StoredArray]) -> None:
        self._parts = tuple(parts)
        self._starts = np.cumsum([0, *(part.shape[0] for part in parts)])
        self.shape: tuple[int, ...] = (int(self._starts[-1]), *parts[0].shape[1:])
        self.dtype: np.dtype[Any] = np.result_type(*(part.dtype for part in parts))
        self.block = max(part.block for part in parts)

    @property
    def why_copied(self) -> str:
        """Why the array cannot be used where it lies; empty if it can."""
        reasons = [part.why_copied for part in self._parts if part.why_copied]
        if not reasons and any(part.dtype != self.dtype for part in self._parts):
            return f"stored in files of different types, together {self.dtype}"
        return reasons[0] if reasons else ""

    def in_place(self) -> ChunkedArray | None:
        """Return the pieces of all parts, or None where one must be copied."""
        if self.why_copied:
            return None
        parts = [part.in_place() for part in self._parts]
        found = [part for part in parts if part is not None]
        return ChunkedArray.joined(found) if len(found) == len(parts) else None

    def read(self, start: int, stop: int, n_threads: int) -> NDArray[Any]:
        """Return a range of the first axis."""
        found = []
        first, last = np.searchsorted(self._starts, [start, stop], side="right")
        for k in range(int(first) - 1, min(int(last), len(self._parts))):
            begin, size = int(self._starts[k]), self._parts[k].shape[0]
            a, b = max(start - begin, 0), min(stop - begin, size)
            if a < b:
                found.append(self._parts[k].read(a, b, n_threads).astype(self.dtype, copy=False))
        if len(found) == 1:
            return found[0]
        return np.concatenate(found) if found else np.empty((0, *self.shape[1:]), self.dtype)


class Cut:
    """Elements ``first … last - 1`` of an array."""

    def __init__(self, array: StoredArray, first: int, last: int) -> None:
        self._array = array
        self._first = first
        self.shape: tuple[int, ...] = (last - first, *array.shape[1:])
        self.dtype: np.dtype[Any] = array.dtype
        self.block = array.block

    @property
    def why_copied(self) -> str:
        """Why the array cannot be used where it lies; empty if it can."""
        return self._array.why_copied

    def in_place(self) -> ChunkedArray | None:
        """Return the pieces of the elements that are kept."""
        found = self._array.in_place()
        whole = found is None or len(found) == self.shape[0]
        return found if whole or found is None else found.between(self._first, self._first + self.shape[0])

    def read(self, start: int, stop: int, n_threads: int) -> NDArray[Any]:
        """Return a range."""
        return self._array.read(self._first + start, self._first + stop, n_threads)


class _Mapped(Cut):
    """An array whose elements are changed as they are read."""

    def __init__(self, array: StoredArray, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        super().__init__(array, 0, array.shape[0])
        self._change = change

    @property
    def why_copied(self) -> str:
        """Why the array cannot be used where it lies."""
        return self._array.why_copied or "stored in another gene order than the first file"

    def in_place(self) -> ChunkedArray | None:
        """Return None."""
        return None

    def read(self, start: int, stop: int, n_threads: int) -> NDArray[Any]:
        """Return a range, changed."""
        return self._change(self._array.read(start, stop, n_threads))


def _selected(dense: StoredArray, order: NDArray[np.int64] | None) -> StoredArray:
    """A dense matrix with its columns in another order."""
    return dense if order is None else _Mapped(dense, lambda values: values[:, order])


def _renumbered(columns: StoredArray, order: NDArray[np.int64] | None) -> StoredArray:
    """Column numbers in another order of genes; numbers outside the matrix stay so."""
    if order is None:
        return columns
    new = np.empty(order.size, columns.dtype)
    new[order] = np.arange(order.size)

    def change(numbers: NDArray[Any]) -> NDArray[Any]:
        outside = (numbers < 0) | (numbers >= order.size)
        out: NDArray[Any] = new[np.where(outside, 0, numbers)]
        return np.where(outside, numbers, out) if outside.any() else out

    return _Mapped(columns, change)
