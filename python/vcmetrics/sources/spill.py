"""Cells on a disk for the time of a call: what does not fit in the memory budget."""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.sources.rows import ChunkedArray, Rows

FOLDER = "VCMETRICS_SPILL_DIR"
_PIECE = 1 << 22  # elements that are rewritten at a time
_VALUES = tuple(np.dtype(t) for t in ("u2", "f4", "f8"))


def spill_folder() -> str:
    """Where spilled cells go: ``VCMETRICS_SPILL_DIR``, else the system's temporary directory (``TMPDIR``)."""
    return os.environ.get(FOLDER, "").strip() or tempfile.gettempdir()


class SpillFile:
    """One array that grows on the disk and is mapped afterwards.

    The file has no name from the moment it is made: the system frees it when the process ends, however it ends, so
    that no run can leave one behind.
    """

    def __init__(self, dtype: np.dtype[Any], folder: str | None = None) -> None:
        self.dtype = dtype
        self.size = 0
        self._folder = spill_folder() if folder is None else folder
        self._file = self._opened()

    def _opened(self) -> Any:
        try:
            return tempfile.TemporaryFile(prefix="vcmetrics-", dir=self._folder, buffering=0)
        except OSError as error:
            raise DataError(self._message(error)) from error

    def _message(self, error: OSError) -> str:
        done = self.size * self.dtype.itemsize / 2**30
        return (
            f"cells that exceed the memory budget cannot be kept in {self._folder!r} ({error.strerror}, after "
            f"{done:.2f} GiB); set {FOLDER} to a directory with more room, or pass a larger memory_budget="
        )

    def append(self, values: NDArray[Any]) -> None:
        """Write values behind those that are there; of another type than before where that is wider.

        Raises
        ------
        DataError
            If there is no room.
        """
        if values.dtype != self.dtype:
            wider = np.promote_types(self.dtype, values.dtype)
            if wider != self.dtype:
                self._widen(wider)
            values = values.astype(self.dtype)
        view = memoryview(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise DataError(self._message(error)) from error
        self.size += values.size

    def _widen(self, dtype: np.dtype[Any]) -> None:
        old, size = self._file, self.size
        before, self.dtype, self.size = self.dtype, dtype, 0
        self._file = self._opened()
        with old:
            old.seek(0)
            for begin in range(0, size, _PIECE):
                count = min(_PIECE, size - begin)
                piece = bytearray(old.read(count * before.itemsize))
                self.append(np.frombuffer(piece, before).astype(dtype))

    def mapped(self) -> ChunkedArray:
        """The array where it lies; nothing can be appended any more."""
        with self._file:
            if not self.size:
                return ChunkedArray.of(np.empty(0, self.dtype))
            content = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return ChunkedArray.of(np.frombuffer(content, self.dtype))

    def close(self) -> None:
        """Drop the file."""
        self._file.close()


class SpilledRows:
    """Canonical rows that arrive block by block and end up in two files: 4 bytes a count, 6 or 10 for others."""

    def __init__(self, n_cols: int, folder: str | None = None) -> None:
        self._n_cols = n_cols
        self._lengths: list[NDArray[np.int64]] = []
        self._indices = SpillFile(np.dtype(np.uint16 if n_cols <= 65536 else np.int32), folder)
        try:
            self._data = SpillFile(_VALUES[0], folder)
        except BaseException:
            self._indices.close()
            raise

    def append(self, rows: Rows) -> None:
        """Write rows as :func:`~vcmetrics.sources.compact.canonical` makes them."""
        self._lengths.append(np.diff(rows.indptr))
        self._indices.append(rows.indices.read(0, rows.nnz))
        self._data.append(rows.data.read(0, rows.nnz))

    @property
    def n_bytes(self) -> int:
        """Bytes on the disk."""
        return self._indices.size * self._indices.dtype.itemsize + self._data.size * self._data.dtype.itemsize

    def rows(self) -> Rows:
        """All rows, mapped."""
        lengths = np.concatenate([np.zeros(1, np.int64), *self._lengths])
        return Rows(lengths.size - 1, self._n_cols, np.cumsum(lengths), self._indices.mapped(), self._data.mapped())

    def close(self) -> None:
        """Drop both files; only where :meth:`rows` will not be asked for."""
        self._indices.close()
        self._data.close()


def mapping_of(array: NDArray[Any]) -> mmap.mmap | None:
    """The file mapping in which an array lies; None for plain memory."""
    at: Any = array
    while at is not None:
        if isinstance(at, mmap.mmap):
            return at
        at = at.obj if isinstance(at, memoryview) else getattr(at, "base", None)
    return None


def release(rows: Rows) -> None:
    """Give the pages of mapped rows back; whoever reads them again has them from the page cache or the disk."""
    for array in (rows.indices, rows.data):
        for buffer in array.buffers:
            mapping = mapping_of(buffer)
            if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
                mapping.madvise(mmap.MADV_DONTNEED)


def is_mapped(rows: Rows) -> bool:
    """Whether rows lie in files, not in memory; some of them is enough."""
    return any(mapping_of(buffer) is not None for buffer in rows.data.buffers)
