"""Compact copies: any stored matrix as canonical compressed rows in memory.

Values become uint16 where all are whole numbers within 0 … 65535, else float32 where that loses nothing,
else float64; column numbers uint16 up to 65536 genes, else int32. Columns ascend strictly, duplicates are
summed, zeros dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics import _core
from vcmetrics.sources.matrix import Matrix
from vcmetrics.sources.rows import ChunkedArray, Rows
from vcmetrics.sources.spill import is_mapped, release

# what the kernels read in place
VALUE_TYPES = frozenset(np.dtype(t) for t in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"))
INDEX_TYPES = frozenset(np.dtype(t) for t in ("u2", "i4", "i8"))
# values that one block of a copy holds as stored: 32–64 MiB, well above a chunk, well below a matrix
BLOCK_VALUES = 1 << 23
# values of rows that lie apart, which are copied at a time: enough for all threads, few enough for the pages they touch
SCATTERED_VALUES = 1 << 22
_KINDS = tuple(np.dtype(t) for t in ("u2", "f4", "f8"))


def rows_in_place(matrix: Matrix) -> Rows | None:
    """Return the matrix where it lies, or None where it must be copied; column numbers are not checked yet."""
    if matrix.layout != "csr" or matrix.indices is None or matrix.indptr is None:
        return None
    if matrix.data.dtype not in VALUE_TYPES or matrix.indices.dtype not in INDEX_TYPES:
        return None
    data = matrix.data.in_place()
    indices = matrix.indices.in_place()
    if data is None or indices is None:
        return None
    return Rows(matrix.n_rows, matrix.n_cols, matrix.indptr, _cut(indices, matrix.nnz), _cut(data, matrix.nnz))


def _cut(array: ChunkedArray, n: int) -> ChunkedArray:
    """Leave out what SciPy lets stand behind the last row."""
    if len(array) == n:
        return array
    return array.between(0, n)


class _Growing:
    """Rows that arrive block by block, in arrays sized once where the number of values is known before."""

    def __init__(self, n_rows: int, n_cols: int, expected: int) -> None:
        self._n_rows, self._n_cols = n_rows, n_cols
        self._indptr = np.zeros(n_rows + 1, np.int64)
        self._row = 0
        self._kind = 0
        # untouched memory costs nothing, so the bound on the number of values may be generous
        self._indices = np.empty(expected, np.uint16 if n_cols <= 65536 else np.int32)
        self._data: NDArray[Any] = np.empty(expected, _KINDS[0])

    def add(
        self,
        counts: NDArray[np.int64],
        kind: int,
        fill: Callable[[NDArray[np.int64], NDArray[Any], NDArray[Any]], None],
    ) -> None:
        """Append a block of rows of known lengths; ``fill`` writes them."""
        first, last = self._row, self._row + counts.size
        used = int(self._indptr[first])
        np.cumsum(counts, out=self._indptr[first + 1 : last + 1])
        self._indptr[first + 1 : last + 1] += used
        self._row = last
        need = int(self._indptr[last])
        if need > self._indices.size:
            left = self._n_rows / max(last, 1)
            size = max(need, int(need * min(left, 1.6) * 1.05))
            self._indices = _resized(self._indices, used, size, self._indices.dtype)
            self._data = _resized(self._data, used, size, self._data.dtype)
        if kind > self._kind:
            self._kind = kind
            self._data = _resized(self._data, used, self._data.size, _KINDS[kind])
        fill(self._indptr[first : last + 1], self._indices, self._data)

    def rows(self) -> Rows:
        """Return what has been added."""
        nnz = int(self._indptr[self._row])
        return Rows(
            self._n_rows,
            self._n_cols,
            self._indptr,
            ChunkedArray.of(self._indices[:nnz]),
            ChunkedArray.of(self._data[:nnz]),
        )


def _resized(array: NDArray[Any], used: int, size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    out = np.empty(size, dtype)
    out[:used] = array[:used]
    return out


def canonical(rows: Rows, n_threads: int, gene_map: NDArray[np.int64] | None = None, n_cols: int | None = None) -> Rows:
    """Copy rows into canonical compact form, optionally with other columns.

    Parameters
    ----------
    rows
        What to copy; column numbers in any order, repeated or not.
    n_threads
        Threads to use.
    gene_map
        New column number of each column, -1 to drop it; None keeps all.
    n_cols
        Number of columns of the copy; needed with ``gene_map``.
    """
    width = rows.n_cols if n_cols is None else n_cols
    indptr, indices, data = _core.canonical_rows(rows.args(), n_threads, gene_map, width)
    return Rows(rows.n_rows, width, indptr, ChunkedArray.of(indices), ChunkedArray.of(data))


def copied_rows(rows: Rows, chosen: NDArray[np.int64], n_threads: int) -> Rows:
    """The rows ``chosen`` as a compact copy in memory.

    Out of a mapped file they are taken some at a time: a row that is touched brings its neighbours' pages along.
    """
    if not is_mapped(rows):
        return canonical(rows.take(chosen), n_threads)
    lengths = rows.indptr[chosen + 1] - rows.indptr[chosen]
    out = _Growing(chosen.size, rows.n_cols, int(lengths.sum()))
    borders = np.concatenate([[0], np.cumsum(lengths)])
    first = 0
    while first < chosen.size:
        last = int(np.searchsorted(borders, borders[first] + SCATTERED_VALUES, "right")) - 1
        last = min(max(last, first + 1), chosen.size)
        source = (rows.take(chosen[first:last]).args(), n_threads, None, rows.n_cols)
        counts, kind = _core.count_rows(*source)
        out.add(counts, kind, partial(_core.fill_rows, *source))
        release(rows)
        first = last
    return out.rows()


def compact_bytes(matrix: Matrix) -> int:
    """At most so many bytes does a compact copy of a matrix take, by its element type alone."""
    value = min(8, max(2, matrix.dtype.itemsize))
    return matrix.nnz * ((2 if matrix.n_cols <= 65536 else 4) + value)


def compact_rows(matrix: Matrix, n_threads: int) -> Rows:
    """Copy any stored matrix into canonical compact rows.

    Memory: the copy (4 bytes a value for counts, 6 or 10 for others), one block of the stored matrix
    (``BLOCK_VALUES`` values and column numbers, more where single chunks are larger), and for CSC
    a second copy while it is turned over.
    """
    if matrix.layout == "dense":
        return _from_dense(matrix, n_threads)
    if matrix.layout == "csr":
        return _from_compressed(matrix, n_threads)
    # a CSC matrix is the CSR matrix of genes × cells
    turned = Matrix("csr", matrix.n_cols, matrix.n_rows, matrix.data, matrix.indices, matrix.indptr)
    by_gene = rows_in_place(turned)
    if by_gene is None:
        by_gene = _from_compressed(turned, n_threads)
    else:
        found = _core.scan_rows(by_gene.args(), n_threads)
        if found["column_out_of_range"] or found["unsorted"] or found["duplicates"]:
            by_gene = canonical(by_gene, n_threads)
    indptr, indices, data = _core.transpose_rows(by_gene.args(), n_threads)
    return Rows(matrix.n_rows, matrix.n_cols, indptr, ChunkedArray.of(indices), ChunkedArray.of(data))


def _from_compressed(matrix: Matrix, n_threads: int) -> Rows:
    assert matrix.indices is not None
    assert matrix.indptr is not None
    indptr = matrix.indptr
    out = _Growing(matrix.n_rows, matrix.n_cols, matrix.nnz)
    first = 0
    while first < matrix.n_rows:
        last = int(np.searchsorted(indptr, indptr[first] + BLOCK_VALUES, "right")) - 1
        last = min(max(last, first + 1), matrix.n_rows)
        begin, end = int(indptr[first]), int(indptr[last])
        block = Rows(
            last - first,
            matrix.n_cols,
            indptr[first : last + 1] - begin,
            ChunkedArray.of(plain_indices(matrix.indices.read(begin, end, n_threads))),
            ChunkedArray.of(plain_values(matrix.data.read(begin, end, n_threads))),
        )
        source = (block.args(), n_threads, None, matrix.n_cols)
        counts, kind = _core.count_rows(*source)
        out.add(counts, kind, partial(_core.fill_rows, *source))
        first = last
    return out.rows()


def _from_dense(matrix: Matrix, n_threads: int) -> Rows:
    rows_a_block = max(1, BLOCK_VALUES // max(1, matrix.n_cols))
    # whole chunks; a guess at the size grows with what the first blocks show
    grain = matrix.data.block
    rows_a_block = max(grain, rows_a_block // grain * grain)
    out = _Growing(matrix.n_rows, matrix.n_cols, min(matrix.nnz, BLOCK_VALUES))
    for first in range(0, matrix.n_rows, rows_a_block):
        block = plain_values(matrix.data.read(first, min(first + rows_a_block, matrix.n_rows), n_threads))
        counts, kind = _core.count_dense(block, n_threads)
        out.add(counts, kind, partial(_core.fill_dense, block, n_threads))
    return out.rows()


def plain_values(values: NDArray[Any]) -> NDArray[Any]:
    """Return values of a type that the kernels know; a copy only for booleans, half floats and foreign byte orders."""
    dtype = values.dtype
    if dtype.kind == "b":
        return values.astype(np.uint8)
    if dtype == np.float16 or (dtype.kind == "f" and dtype.itemsize == 2):
        return values.astype(np.float32)
    return values.astype(dtype.newbyteorder("="), copy=False)


def plain_indices(indices: NDArray[Any]) -> NDArray[Any]:
    """Return column numbers of a type that the kernels know."""
    if indices.dtype in INDEX_TYPES:
        return indices
    # numbers beyond int64 turn negative and are refused as out of range
    return indices.astype(np.int64)
