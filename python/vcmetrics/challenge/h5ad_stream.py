"""An ``.h5ad`` file as a stream of bytes, written nowhere.

HDF5 lays the file out around chunks that are only promised; the stream fills them in as their values arrive. X is CSR
in chunks of 262,144 values under HDF5's own shuffle filter: the bytes of a value are stored by their place in it, which
every reader undoes, and which compresses in far less time.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vcmetrics.sources.rows import ChunkedArray

CHUNK = 1 << 18  # values
PIECE = 1 << 20  # bytes of the layout that are passed on at a time


class Sink(Protocol):
    """Where the stream goes."""

    def bytes(self, content: bytes, /) -> None:
        """Take content as it is."""

    def planes(self, values: ChunkedArray, run: int, /) -> None:
        """Take values, padded with zeros to ``run`` of them: first all lowest bytes, then all second ones, …"""

    def settle(self) -> None:
        """Read what was handed over; it need not live longer."""


class _Layout(io.RawIOBase):
    """A file that keeps what HDF5 writes, except the promised chunks: of them it keeps only where they go."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._at = 0
        self.size = 0
        self.promised: int | None = None  # bytes of the chunk that is being promised
        self.slots: list[int] = []

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at = offset + (0, self._at, self.size)[whence]
        return self._at

    def write(self, content: Any, /) -> int:
        n = memoryview(content).nbytes
        if n == self.promised:
            self.slots.append(self._at)
        else:
            os.pwrite(self._file.fileno(), content, self._at)
        self._at += n
        self.size = max(self.size, self._at)
        return n

    def readinto(self, target: Any, /) -> int:
        content = self.read_at(self._at, memoryview(target).nbytes)
        memoryview(target).cast("B")[: len(content)] = content
        self._at += len(content)
        return len(content)

    def truncate(self, size: int | None = None, /) -> int:
        self.size = self._at if size is None else size
        return self.size

    def read_at(self, at: int, n: int) -> bytes:
        """Bytes of the layout; holes are zero."""
        found = os.pread(self._file.fileno(), n, at)
        return found + bytes(min(n, self.size - at) - len(found))

    def discard(self) -> None:
        """Remove what was kept."""
        self._file.close()


class H5adStream:
    """One prediction as the bytes of an ``.h5ad``, in order.

    Parameters
    ----------
    n_vars, indptr, dtype
        Shape and row pointers of X; float32 or float64.
    obs
        Columns, each as labels.
    genes
        Names of the genes.
    folder
        Where the layout (some megabytes) is kept while the stream is open.
    """

    def __init__(
        self,
        indptr: NDArray[np.int64],
        dtype: np.dtype[Any],
        obs: Mapping[str, NDArray[np.object_]],
        genes: Sequence[str],
        folder: str | os.PathLike[str],
    ) -> None:
        self.nnz = int(indptr[-1])
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._chunk = max(1, min(CHUNK, self.nnz))
        self._n_chunks = -(-self.nnz // self._chunk)
        self._layout = _Layout(folder)
        self._write_layout(indptr, obs, genes)
        self.size = self._layout.size
        self._at = 0
        self._done = 0  # chunks

    def _write_layout(
        self, indptr: NDArray[np.int64], obs: Mapping[str, NDArray[np.object_]], genes: Sequence[str]
    ) -> None:
        import h5py

        n_obs = indptr.size - 1
        with h5py.File(self._layout, "w") as file:
            _tag(file, "anndata", "0.1.0")
            x = file.create_group("X")
            _tag(x, "csr_matrix", "0.1.0")
            x.attrs["shape"] = np.array([n_obs, len(genes)], np.int64)
            x.create_dataset("indptr", data=indptr.astype(np.int32 if self.nnz < 1 << 31 else np.int64))
            if self.nnz:
                parts = [
                    x.create_dataset(name, (self.nnz,), dtype, chunks=(self._chunk,), shuffle=True)
                    for name, dtype in (("data", self._dtype), ("indices", np.dtype("<i4")))
                ]
                empty = {part: bytes(self._chunk * part.dtype.itemsize) for part in parts}
                for k in range(self._n_chunks):
                    for part in parts:
                        self._promise(part, k, empty[part])
            else:
                x.create_dataset("data", (0,), self._dtype)
                x.create_dataset("indices", (0,), "<i4")
            frame = _frame(file, "obs", np.array([str(k) for k in range(n_obs)], object), list(obs))
            for name, labels in obs.items():
                _categorical(frame, name, labels)
            _frame(file, "var", np.array(list(genes), object), [])
            for name in ("layers", "obsm", "obsp", "uns", "varm", "varp"):
                _tag(file.create_group(name), "dict", "0.1.0")
        if sorted(self._layout.slots) != self._layout.slots or len(self._layout.slots) != 2 * self._n_chunks:
            msg = "this HDF5 library does not write chunks where and when it is told to; use another release of h5py"
            raise RuntimeError(msg)

    def _promise(self, part: Any, k: int, content: bytes) -> None:
        self._layout.promised = len(content)
        part.id.write_direct_chunk((k * self._chunk,), content)
        self._layout.promised = None

    def advance(self, sink: Sink, data: ChunkedArray, indices: ChunkedArray, stop: int) -> None:
        """Pass on everything up to the last whole chunk within the first ``stop`` values."""
        whole = self._n_chunks if stop >= self.nnz else stop // self._chunk
        while self._done < whole:
            begin = self._done * self._chunk
            end = min(begin + self._chunk, self.nnz)
            for slot, array in enumerate((data, indices)):
                self._skip_to(sink, self._layout.slots[2 * self._done + slot])
                sink.planes(array.between(begin, end), self._chunk)  # HDF5 stores the last chunk whole
                self._at += self._chunk * array.dtype.itemsize
            self._done += 1
        sink.settle()

    def finish(self, sink: Sink) -> None:
        """Pass on what comes after the last chunk."""
        self._skip_to(sink, self.size)

    def _skip_to(self, sink: Sink, at: int) -> None:
        while self._at < at:
            piece = self._layout.read_at(self._at, min(PIECE, at - self._at))
            sink.bytes(piece)
            self._at += len(piece)

    def close(self) -> None:
        """Remove the layout."""
        self._layout.discard()


def _tag(node: Any, kind: str, version: str) -> None:
    node.attrs["encoding-type"] = kind
    node.attrs["encoding-version"] = version


def _strings(group: Any, name: str, values: NDArray[np.object_]) -> None:
    import h5py

    _tag(group.create_dataset(name, data=values, dtype=h5py.string_dtype()), "string-array", "0.2.0")


def _frame(file: Any, name: str, index: NDArray[np.object_], columns: list[str]) -> Any:
    import h5py

    frame = file.create_group(name)
    _tag(frame, "dataframe", "0.2.0")
    frame.attrs["_index"] = "_index"
    frame.attrs.create("column-order", np.array(columns, object), dtype=h5py.string_dtype())
    _strings(frame, "_index", index)
    return frame


def _categorical(frame: Any, name: str, labels: NDArray[np.object_]) -> None:
    categories, codes = np.unique(labels.astype(str), return_inverse=True)
    group = frame.create_group(name)
    _tag(group, "categorical", "0.2.0")
    group.attrs["ordered"] = False
    narrow = np.int8 if categories.size < 128 else np.int16 if categories.size < 1 << 15 else np.int32
    _tag(group.create_dataset("codes", data=codes.reshape(-1).astype(narrow)), "array", "0.2.0")
    _strings(group, "categories", categories.astype(object))
