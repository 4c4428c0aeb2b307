"""Matrices that Dask holds: computed block by block as their rows are asked for, never whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.sources.arrays import ChunkReader, reading
from vcmetrics.sources.matrix import Matrix, dense_matrix, sparse_matrix
from vcmetrics.sources.rows import ChunkedArray

WHY = "held by Dask"


def looks_lazy(values: object) -> bool:
    """Whether this is a Dask array; dask itself is not imported."""
    # AnnData's views of lazy data are a class of its own, derived from Dask's
    return any(base.__module__.partition(".")[0] == "dask" for base in type(values).__mro__) and hasattr(
        values, "to_delayed"
    )


def lazy_matrix(values: Any, name: str) -> Matrix:
    """A Dask array of dense, CSR or CSC blocks, cells × genes, as a matrix.

    Sparse blocks are computed twice: once for the lengths of their rows, when this is called, and once for the values.
    Memory: the blocks that Dask computes at a time, and those that hold the rows asked for.

    Raises
    ------
    DataError
        If the blocks' shapes are not known, or a block cannot be computed.
    """
    if any(np.isnan(length) for axis in values.chunks for length in axis):
        msg = "is a Dask array whose chunks have no known shape; call compute_chunk_sizes() on it first"
        raise DataError(msg)
    if len(values.chunks[1]) > 1:
        values = values.rechunk({1: -1})
    if isinstance(values._meta, np.ndarray):
        return dense_matrix(LazyDense(values, name))
    blocks = LazyBlocks(values, name)
    parts = LazyPart(blocks, "data", values.dtype), LazyPart(blocks, "indices", np.dtype(np.int32))
    return sparse_matrix("csr", tuple(values.shape), *parts, blocks.indptr)


class LazyDense(ChunkReader):
    """A Dask array of dense blocks."""

    why_copied = WHY

    def __init__(self, values: Any, name: str) -> None:
        super().__init__(name, tuple(values.shape), np.dtype(values.dtype), max(values.chunks[0], default=1))
        self._values = values

    def load(self, start: int, stop: int, n_threads: int) -> NDArray[Any]:
        """Compute a range."""
        found = self._values[start:stop].compute()
        return np.asarray(found.toarray() if hasattr(found, "toarray") else found)


def _by_rows(block: Any) -> Any:
    from scipy import sparse

    return block if getattr(block, "format", "") == "csr" else sparse.csr_matrix(block)


def _row_lengths(block: Any) -> NDArray[np.int64]:
    lengths: NDArray[np.int64] = np.diff(_by_rows(block).indptr).astype(np.int64)
    return lengths


class LazyBlocks:
    """Sparse blocks of rows, computed when they are needed and let go once their values have been read.

    Attributes
    ----------
    indptr
        (n_obs + 1,) int64 of all rows.
    """

    def __init__(self, values: Any, name: str) -> None:
        import dask

        self.name = name
        self._blocks = values.to_delayed().reshape(-1)
        with reading(name, "the lengths of the rows"):
            lengths = dask.compute(*(dask.delayed(_row_lengths)(block) for block in self._blocks))
        self.indptr = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
        self.starts = self.indptr[np.concatenate([[0], np.cumsum(values.chunks[0])]).astype(np.int64)]
        self._held: dict[int, Any] = {}

    def read(self, part: str, start: int, stop: int) -> list[NDArray[Any]]:
        """``data`` or ``indices`` of a range of stored values, a piece a block; column numbers are asked for first."""
        import dask

        first = int(np.searchsorted(self.starts, start, side="right")) - 1
        last = int(np.searchsorted(self.starts, stop))
        missing = [k for k in range(first, last) if k not in self._held]
        with reading(self.name, "the matrix"):
            found = dask.compute(*(dask.delayed(_by_rows)(self._blocks[k]) for k in missing))
        self._held |= dict(zip(missing, found, strict=True))
        out = []
        for k in range(first, last):
            begin, end = int(self.starts[k]), int(self.starts[k + 1])
            values = getattr(self._held[k], part)
            if len(values) != end - begin:
                msg = f"{self.name}: block {k} was computed with other lengths of rows before; it must not change"
                raise DataError(msg)
            out.append(values[max(start, begin) - begin : min(stop, end) - begin])
            if part == "data" and stop >= end:
                del self._held[k]
        return out


class LazyPart:
    """Values or column numbers of sparse blocks, as one array."""

    why_copied = WHY
    block = 1

    def __init__(self, blocks: LazyBlocks, part: str, dtype: np.dtype[Any]) -> None:
        self._blocks = blocks
        self._part = part
        self.shape: tuple[int, ...] = (int(blocks.indptr[-1]),)
        self.dtype: np.dtype[Any] = np.dtype(dtype)

    def in_place(self) -> ChunkedArray | None:
        """Return None: blocks must be computed first."""
        return None

    def read(self, start: int, stop: int, n_threads: int) -> NDArray[Any]:
        """Return a range."""
        found = self._blocks.read(self._part, start, stop)
        return np.concatenate(found).astype(self.dtype, copy=False) if found else np.empty(0, self.dtype)
