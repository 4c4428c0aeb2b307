"""Cells × genes in compressed rows, left where they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ChunkedArray:
    """A long 1-D array that lies in pieces inside one buffer (a mapped file, or a plain array).

    ``offsets[k]`` is the byte where piece ``k`` begins in ``buffer``; the piece holds the elements
    ``starts[k] … starts[k + 1] - 1`` of the whole. Pieces need not be aligned to ``dtype``.
    """

    buffer: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    starts: NDArray[np.int64]
    dtype: np.dtype[np.generic]

    @classmethod
    def of(cls, array: NDArray[np.generic]) -> ChunkedArray:
        """View a contiguous 1-D array as one piece; nothing is copied."""
        flat = np.ascontiguousarray(array).reshape(-1)
        return cls(
            buffer=flat.view(np.uint8),
            offsets=np.zeros(1, np.int64),
            starts=np.array([0, flat.size], np.int64),
            dtype=flat.dtype,
        )

    def __len__(self) -> int:
        return int(self.starts[-1])

    def read(self, start: int, stop: int) -> NDArray[np.generic]:
        """Elements ``start`` … ``stop - 1``: a view where they lie in one piece, else a copy."""
        size = self.dtype.itemsize
        piece = int(np.searchsorted(self.starts, start, side="right")) - 1
        parts = []
        at = start
        while at < stop:
            end = min(stop, int(self.starts[piece + 1]))
            byte = int(self.offsets[piece]) + (at - int(self.starts[piece])) * size
            parts.append(self.buffer[byte : byte + (end - at) * size].view(self.dtype))
            at, piece = end, piece + 1
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.empty(0, self.dtype)

    def between(self, start: int, stop: int) -> ChunkedArray:
        """Elements ``start`` … ``stop - 1``, left where they lie."""
        first = int(np.searchsorted(self.starts, start, side="right")) - 1
        last = max(first + 1, int(np.searchsorted(self.starts, stop)))
        offsets, starts = self.offsets[first:last].copy(), self.starts[first : last + 1].copy()
        offsets[:1] += (start - starts[:1]) * self.dtype.itemsize
        starts[0], starts[-1] = start, stop
        return ChunkedArray(self.buffer, offsets, starts - start, self.dtype)

    def pieces(self, begin: NDArray[np.int64], end: NDArray[np.int64]) -> ChunkedArray:
        """Ranges ``begin[i] … end[i] - 1`` one behind the other, left where they lie."""
        first = np.searchsorted(self.starts, begin, side="right") - 1
        last = np.maximum(first, np.searchsorted(self.starts, end) - 1)
        counts = np.where(end > begin, last - first + 1, 0)
        owner = np.repeat(np.arange(begin.size), counts)
        piece = first[owner] + np.arange(owner.size) - np.repeat(np.cumsum(counts) - counts, counts)
        at = np.maximum(begin[owner], self.starts[piece])
        lengths = np.minimum(end[owner], self.starts[piece + 1]) - at
        offsets = self.offsets[piece] + (at - self.starts[piece]) * self.dtype.itemsize
        kept = lengths > 0
        starts = np.concatenate([[0], np.cumsum(lengths[kept])]).astype(np.int64)
        return ChunkedArray(self.buffer, offsets[kept].astype(np.int64), starts, self.dtype)


@dataclass(frozen=True)
class Rows:
    """A cells × genes matrix in compressed sparse rows.

    ``indptr`` counts elements over all pieces. Inside a row the column numbers may come in any order
    and repeat until :func:`vcmetrics.sources.canonical` has made them ascend strictly.
    """

    n_rows: int
    n_cols: int
    indptr: NDArray[np.int64]
    indices: ChunkedArray
    data: ChunkedArray

    @property
    def nnz(self) -> int:
        """Stored values, explicit zeros included."""
        return int(self.indptr[-1])

    def take(self, chosen: NDArray[np.int64]) -> Rows:
        """The rows ``chosen``, in that order, left where they lie."""
        begin, end = self.indptr[chosen], self.indptr[chosen + 1]
        indptr = np.concatenate([[0], np.cumsum(end - begin)]).astype(np.int64)
        indices, data = self.indices.pieces(begin, end), self.data.pieces(begin, end)
        return Rows(chosen.size, self.n_cols, indptr, indices, data)

    def args(self) -> tuple[object, ...]:
        """The flat tuple that the compiled kernels take."""
        return (
            self.n_rows,
            self.n_cols,
            self.indptr,
            self.indices.buffer,
            self.indices.offsets,
            self.indices.starts,
            self.indices.dtype.str,
            self.data.buffer,
            self.data.offsets,
            self.data.starts,
            self.data.dtype.str,
        )
