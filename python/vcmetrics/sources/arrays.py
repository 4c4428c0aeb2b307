"""One array of a matrix, wherever it is stored."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.sources.rows import ChunkedArray


@contextlib.contextmanager
def reading(name: str, what: str) -> Iterator[None]:
    """Turn whatever a storage library raises on a bad file into one line that names the file and the part.

    The libraries have no common base for their errors (a flipped byte may surface as almost any
    exception), so everything but a :class:`DataError` of ours is taken for a fault of the file.
    """
    try:
        yield
    except DataError as error:
        if str(error).startswith(name):
            raise
        msg = f"{name}: {what}: {error}"
        raise DataError(msg) from error
    except MemoryError as error:
        msg = f"{name}: not enough memory to read {what} ({one_line(error)}); if its size is wrong, the file is damaged"
        raise DataError(msg) from error
    except Exception as error:
        msg = (
            f"{name}: cannot read {what} ({one_line(error)}); the file is truncated or damaged, copy or write it again"
        )
        raise DataError(msg) from error


def one_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its kind where it has none."""
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


class StoredArray(Protocol):
    """An array that is read in blocks of its first axis."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its element type as stored."""

    @property
    def why_copied(self) -> str:
        """Why the array cannot be used where it lies, in words that continue "it is …"; empty if it can."""

    @property
    def block(self) -> int:
        """Elements of the first axis that are stored together; reading pays off in multiples of it."""

    def in_place(self) -> ChunkedArray | None:
        """Return the bytes where they lie, or None. One-dimensional arrays only."""

    def read(self, start: int, stop: int, n_threads: int) -> NDArray[Any]:
        """Return elements ``start … stop - 1`` of the first axis; a view where the array is in memory."""


class MemoryArray:
    """A NumPy array of the caller; never written to, copied only if it is 1-D and strided."""

    why_copied = ""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[Any] = array.dtype
        self.block = 1

    def in_place(self) -> ChunkedArray | None:
        """Return the array as one piece."""
        return ChunkedArray.of(self._array)

    def read(self, start: int, stop: int, n_threads: int) -> NDArray[Any]:
        """Return a view of a range."""
        return self._array[start:stop]


class ChunkReader(ABC):
    """Base of arrays that are stored in compressed chunks.

    Callers ask for ranges of rows in ascending order; what was read beyond a range, because chunks come
    whole, is kept for the next one, so that no chunk is inflated twice.
    """

    def __init__(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], block: int) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self.block = max(1, block)
        self._held: NDArray[Any] | None = None
        self._held_at = 0

    def in_place(self) -> ChunkedArray | None:
        """Return None: chunks must be inflated first."""
        return None

    @abstractmethod
    def load(self, start: int, stop: int, n_threads: int) -> NDArray[Any]:
        """Read a range whose borders are chunk borders (or the end)."""

    def read(self, start: int, stop: int, n_threads: int) -> NDArray[Any]:
        """Return a range of the first axis."""
        held, at = self._held, self._held_at
        parts = []
        begin = start
        if held is not None and at <= start < at + held.shape[0]:
            parts.append(held[start - at : stop - at])
            begin = start + parts[0].shape[0]
        if begin < stop:
            first = begin // self.block * self.block
            last = min(-(-stop // self.block) * self.block, self.shape[0])
            with reading(self.name, "the matrix"):
                fresh = self.load(first, last, n_threads)
            parts.append(fresh[begin - first : stop - first])
            keep = fresh[stop - first :]
            self._held, self._held_at = (keep.copy(), stop) if keep.shape[0] else (None, 0)
        elif held is not None:
            self._held, self._held_at = held[stop - at :], stop
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.empty((0, *self.shape[1:]), self.dtype)
