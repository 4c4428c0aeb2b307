"""Cells in blocks of rows, for work that needs each value once and never the whole matrix."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcmetrics import _core
from vcmetrics._errors import DataError
from vcmetrics.backend.memory import current_budget
from vcmetrics.sources.compact import BLOCK_VALUES, plain_indices, plain_values, rows_in_place
from vcmetrics.sources.matrix import Matrix
from vcmetrics.sources.rows import ChunkedArray, Rows
from vcmetrics.sources.spill import mapping_of

BARE_VALUES = 1 << 22  # values taken where they lie: enough for several threads, few enough to stay in the cache
BAND_VALUES = 1 << 25  # values of a gene-major matrix that are turned over at a time


@dataclass(frozen=True)
class Block:
    """Consecutive cells from number ``first`` on; ``rows`` may repeat columns or list them unsorted."""

    first: int
    rows: Rows


def row_blocks(matrix: Matrix, n_threads: int, start: int = 0) -> Iterator[Block]:
    """Blocks of whole rows from row ``start`` on, in order, of some ten million values each.

    Where the memory budget is small they hold fewer.

    Memory: one block as stored; for CSC one band of ``BAND_VALUES`` values, of which the matrix is read as often as
    there are bands. A CSR matrix that lies bare is not copied.

    Raises
    ------
    DataError
        If row numbers of a CSC matrix lie outside it, or the stored arrays cannot be read.
    """
    budget = current_budget()
    limit = budget.block_values(BLOCK_VALUES)
    if matrix.layout == "dense":
        return _dense(matrix, n_threads, limit, start)
    if matrix.layout == "csc":
        return _bands(matrix, n_threads, limit, budget.block_values(BAND_VALUES), start)
    return _compressed(matrix, n_threads, limit, start)


def rows_in_blocks(rows: Rows, limit: int, start: int = 0) -> Iterator[Block]:
    """Rows that lie bare, in blocks; the system is told what comes next."""
    for first, last in _cut(rows.indptr, limit, start):
        begin, end = int(rows.indptr[first]), int(rows.indptr[last])
        indices, data = rows.indices.between(begin, end), rows.data.between(begin, end)
        for array in (indices, data):
            _announce(array)
        yield Block(first, Rows(last - first, rows.n_cols, rows.indptr[first : last + 1] - begin, indices, data))


def _announce(array: ChunkedArray) -> None:
    """Have the system read mapped pages ahead: faults alone come one behind the other."""
    for number, buffer in enumerate(array.buffers):
        mapping = mapping_of(buffer)
        if mapping is None or not len(array) or not hasattr(mmap, "MADV_WILLNEED"):
            continue
        here = slice(None) if array.which is None else array.which == number
        sizes = np.diff(array.starts)[here] * array.dtype.itemsize
        if not sizes.size:
            continue
        begin = int(array.offsets[here].min()) // mmap.PAGESIZE * mmap.PAGESIZE
        end = int((array.offsets[here] + sizes).max())
        if end - begin <= 2 * int(sizes.sum()) + mmap.PAGESIZE:  # pieces that lie together
            mapping.madvise(mmap.MADV_WILLNEED, begin, end - begin)


def _cut(indptr: NDArray[np.int64], limit: int, first: int = 0) -> Iterator[tuple[int, int]]:
    """Ranges of rows from ``first`` on, of at most ``limit`` values (at least one row each)."""
    n = indptr.size - 1
    while first < n:
        last = int(np.searchsorted(indptr, indptr[first] + limit, "right")) - 1
        last = min(max(last, first + 1), n)
        yield first, last
        first = last


def _compressed(matrix: Matrix, n_threads: int, limit: int, start: int) -> Iterator[Block]:
    assert matrix.indices is not None
    assert matrix.indptr is not None
    bare = rows_in_place(matrix)
    if bare is not None:
        yield from rows_in_blocks(bare, min(limit, BARE_VALUES), start)
        return
    indptr = matrix.indptr
    for first, last in _cut(indptr, limit, start):
        begin, end = int(indptr[first]), int(indptr[last])
        indices = ChunkedArray.of(plain_indices(matrix.indices.read(begin, end, n_threads)))
        data = ChunkedArray.of(plain_values(matrix.data.read(begin, end, n_threads)))
        yield Block(first, Rows(last - first, matrix.n_cols, indptr[first : last + 1] - begin, indices, data))


def _dense(matrix: Matrix, n_threads: int, limit: int, start: int) -> Iterator[Block]:
    grain = matrix.data.block
    height = max(grain, limit // max(1, matrix.n_cols) // grain * grain)
    for first in range(start, matrix.n_rows, height):
        last = min(first + height, matrix.n_rows)
        block = plain_values(matrix.data.read(first, last, n_threads))
        indptr, indices, data = _core.dense_to_rows(block, n_threads)
        yield Block(first, Rows(last - first, matrix.n_cols, indptr, ChunkedArray.of(indices), ChunkedArray.of(data)))


def _bands(matrix: Matrix, n_threads: int, limit: int, band: int, start: int) -> Iterator[Block]:
    assert matrix.indices is not None
    assert matrix.indptr is not None
    per_row = np.zeros(matrix.n_rows, np.int64)
    for begin in range(0, matrix.nnz, limit):
        rows = plain_indices(matrix.indices.read(begin, min(begin + limit, matrix.nnz), n_threads))
        if rows.size and (rows.min() < 0 or rows.max() >= matrix.n_rows):
            msg = f"row numbers lie outside the {matrix.n_rows} cells; the data are damaged"
            raise DataError(msg)
        per_row += np.bincount(rows, minlength=matrix.n_rows)
    for first, last in _cut(np.concatenate([[0], np.cumsum(per_row)]), band, start):
        turned = _core.transpose_rows(_band(matrix, first, last, n_threads, limit).args(), n_threads)
        indptr, indices, data = turned
        yield Block(first, Rows(last - first, matrix.n_cols, indptr, ChunkedArray.of(indices), ChunkedArray.of(data)))


def _band(matrix: Matrix, first: int, last: int, n_threads: int, limit: int) -> Rows:
    """The rows ``first … last - 1`` of a CSC matrix, still gene by gene."""
    assert matrix.indices is not None
    assert matrix.indptr is not None
    from vcmetrics.sources.compact import canonical

    counts = np.zeros(matrix.n_cols + 1, np.int64)
    parts_rows, parts_data = [], []
    for begin in range(0, matrix.nnz, limit):
        end = min(begin + limit, matrix.nnz)
        rows = plain_indices(matrix.indices.read(begin, end, n_threads))
        chosen = np.flatnonzero((rows >= first) & (rows < last))
        parts_rows.append((rows[chosen] - first).astype(np.int32))
        parts_data.append(plain_values(matrix.data.read(begin, end, n_threads))[chosen])
        # how many of the chosen lie before each column's end
        inside = np.clip(matrix.indptr, begin, end) - begin
        counts += np.searchsorted(chosen, inside)
    by_gene = Rows(
        matrix.n_cols,
        last - first,
        counts,
        ChunkedArray.of(np.concatenate(parts_rows) if parts_rows else np.empty(0, np.int32)),
        ChunkedArray.of(np.concatenate(parts_data) if parts_data else np.empty(0, np.float32)),
    )
    found = _core.scan_rows(by_gene.args(), n_threads)
    return canonical(by_gene, n_threads) if found["unsorted"] or found["duplicates"] else by_gene
