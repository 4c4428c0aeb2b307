"""Cells × genes in compressed rows, left where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError


@dataclass(frozen=True)
class ChunkedArray:
    """A long 1-D array that lies in pieces inside one buffer (a mapped file, or a plain array), or inside several.

    ``offsets[k]`` is the byte where piece ``k`` begins in its buffer; the piece holds the elements
    ``starts[k] … starts[k + 1] - 1`` of the whole. Pieces need not be aligned to ``dtype``. Where there are ``more``
    buffers, piece ``k`` lies in number ``which[k]`` of ``(buffer, *more)``.
    """

    buffer: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    starts: NDArray[np.int64]
    dtype: np.dtype[np.generic]
    more: tuple[NDArray[np.uint8], ...] = ()
    which: NDArray[np.int64] | None = None

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

    @classmethod
    def joined(cls, parts: Sequence[ChunkedArray]) -> ChunkedArray:
        """Arrays of one type, one behind the other, left where they lie."""
        if len(parts) == 1:
            return parts[0]
        buffers: list[NDArray[np.uint8]] = []
        which, starts = [], [np.zeros(1, np.int64)]
        for part in parts:
            which.append(part._buffer_numbers() + len(buffers))
            buffers += part.buffers
            starts.append(part.starts[1:] + starts[-1][-1])
        offsets = np.concatenate([part.offsets for part in parts])
        return cls(
            buffers[0], offsets, np.concatenate(starts), parts[0].dtype, tuple(buffers[1:]), np.concatenate(which)
        )

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def buffers(self) -> tuple[NDArray[np.uint8], ...]:
        """Every buffer that a piece may lie in."""
        return (self.buffer, *self.more)

    def _buffer_numbers(self) -> NDArray[np.int64]:
        return np.zeros(self.offsets.size, np.int64) if self.which is None else self.which

    def _buffer_of(self, piece: int) -> NDArray[np.uint8]:
        return self.buffer if self.which is None else self.buffers[int(self.which[piece])]

    def read(self, start: int, stop: int) -> NDArray[np.generic]:
        """Elements ``start`` … ``stop - 1``: a view where they lie in one piece, else a copy."""
        size = self.dtype.itemsize
        piece = int(np.searchsorted(self.starts, start, side="right")) - 1
        parts = []
        at = start
        while at < stop:
            end = min(stop, int(self.starts[piece + 1]))
            byte = int(self.offsets[piece]) + (at - int(self.starts[piece])) * size
            parts.append(self._buffer_of(piece)[byte : byte + (end - at) * size].view(self.dtype))
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
        which = None if self.which is None else self.which[first:last]
        return replace(self, offsets=offsets, starts=starts - start, which=which)

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
        which = None if self.which is None else self.which[piece[kept]]
        return replace(self, offsets=offsets[kept].astype(np.int64), starts=starts, which=which)

    def args(self) -> tuple[object, ...]:
        """The part of :meth:`Rows.args` that stands for this array; offsets count from the first buffer."""
        if self.which is None:
            return (self.buffer, self.offsets, self.starts, self.dtype.str)
        base = np.array([buffer.ctypes.data for buffer in self.buffers], np.int64)
        return (self.buffers, self.offsets + (base - base[0])[self.which], self.starts, self.dtype.str)


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

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Rows one behind the other, left where they lie; parts of narrower types than others are copied."""
        if len(parts) == 1:
            return parts[0]
        indptr = [np.zeros(1, np.int64)]
        for part in parts:
            indptr.append(part.indptr[1:] + indptr[-1][-1])
        indices = ChunkedArray.joined(_of_one_type([part.indices for part in parts]))
        data = ChunkedArray.joined(_of_one_type([part.data for part in parts]))
        return cls(sum(part.n_rows for part in parts), parts[0].n_cols, np.concatenate(indptr), indices, data)

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
            *self.indices.args(),
            *self.data.args(),
        )


def _of_one_type(arrays: Sequence[ChunkedArray]) -> list[ChunkedArray]:
    common = np.result_type(*(array.dtype for array in arrays))
    return [
        array if array.dtype == common else ChunkedArray.of(array.read(0, len(array)).astype(common))
        for array in arrays
    ]


class ArrayElsewhere(ChunkedArray):
    """Values of :class:`RowsElsewhere`: their type is known here, and nothing else."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        nothing = ChunkedArray.of(np.empty(0, dtype))
        super().__init__(nothing.buffer, nothing.offsets, nothing.starts, nothing.dtype)

    @property
    def buffers(self) -> tuple[NDArray[np.uint8], ...]:
        """None of this process."""
        return ()

    def read(self, start: int, stop: int) -> NDArray[np.generic]:
        """Refuse."""
        raise _elsewhere()

    def between(self, start: int, stop: int) -> ChunkedArray:
        """Refuse."""
        raise _elsewhere()

    def pieces(self, begin: NDArray[np.int64], end: NDArray[np.int64]) -> ChunkedArray:
        """Refuse."""
        raise _elsewhere()

    def args(self) -> tuple[object, ...]:
        """Refuse."""
        raise _elsewhere()


def _elsewhere() -> DataError:
    msg = (
        "this needs single cells in one process, and a cluster has them; call the function of vcmetrics in place of "
        "that of vcmetrics.dask, or leave metrics of single cells out"
    )
    return DataError(msg)


class RowsElsewhere(Rows):
    """Rows that other processes read: a pass over them runs there.

    ``indices`` and ``data`` are :class:`ArrayElsewhere`; ``indptr`` is that of the rows.
    """

    def take(self, chosen: NDArray[np.int64]) -> Rows:
        """The rows ``chosen``, in that order, brought here."""
        raise NotImplementedError

    def gather(self, pairs: Sequence[Any], recipe: Any, progress: Any) -> list[dict[str, NDArray[Any]]]:
        """What :func:`vcmetrics.summary.group_summary.gather` gives, from where the rows are."""
        raise NotImplementedError
