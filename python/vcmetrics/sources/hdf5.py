"""Arrays in HDF5: found in the mapped file where they lie bare, else inflated in blocks."""

from __future__ import annotations

import mmap
import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.sources.annotations import check_size, read_values
from vcmetrics.sources.arrays import ChunkReader, one_line, reading
from vcmetrics.sources.hdf5_strings import ELEMENT, text_of
from vcmetrics.sources.rows import ChunkedArray

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# below this a plain read costs less than looking up chunk addresses
_SMALL_BYTES = 1 << 16


class HDF5File:
    """An open .h5 file and, once asked for, its bytes mapped into memory."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self._map: mmap.mmap | None = None
        self._bytes: NDArray[np.uint8] | None = None
        self.root: Any = self._open()

    def _open(self) -> Any:
        try:
            with self.path.open("rb") as stream:
                head = stream.read(8)
                offset = 512
                while head != _SIGNATURE and offset < 1 << 24:  # a user block may come first
                    stream.seek(offset)
                    head = stream.read(8)
                    if not head:
                        break
                    offset *= 2
        except OSError as error:
            msg = f"{self.name}: cannot be read ({error.strerror or one_line(error)})"
            raise DataError(msg) from error
        if head != _SIGNATURE:
            msg = f"{self.name}: is not an HDF5 file; pass an .h5ad file, a .zarr store or an AnnData"
            raise DataError(msg)
        import h5py

        try:
            return h5py.File(self.path, "r", locking="best-effort")
        except OSError as error:
            text = one_line(error)
            if re.search(r"\block\b", text):  # and not the "sblock" of a truncated file
                msg = f"{self.name}: is open for writing elsewhere ({text}); close it there first"
            else:
                msg = (
                    f"{self.name}: cannot be opened ({text}); the file is truncated or damaged, copy or write it again"
                )
            raise DataError(msg) from error

    def mapped(self) -> NDArray[np.uint8]:
        """Return the whole file as bytes, mapped read-only."""
        if self._bytes is None:
            with self.path.open("rb") as stream:
                self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            self._bytes = np.frombuffer(self._map, np.uint8)
        return self._bytes

    def release(self) -> None:
        """Give the mapped pages back; whoever reads them again has them from the page cache."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def read_values(self, node: Any, field: str | None = None) -> NDArray[Any]:
        """Read a whole annotation array, or one field of it."""
        check_size(node)
        if field is None and node.dtype.kind == "O":
            array = HDF5Array(node, self, self.name, ELEMENT)
            elements = array.bare()
            if elements is not None:
                return text_of(elements, self.mapped()).reshape(node.shape)
        return read_values(node, field)

    def close(self) -> None:
        """Close the file; mapped bytes live on while arrays refer to them."""
        self._bytes = self._map = None
        self.root.close()


class HDF5Array(ChunkReader):
    """One dataset.

    Attributes
    ----------
    why_copied
        "" where :meth:`in_place` gives the array in the mapped file: a native little-endian type, contiguous or chunked
        without filters, every chunk inside the file.
    """

    def __init__(self, dataset: Any, file: HDF5File | None, name: str, dtype: np.dtype[Any] | None = None) -> None:
        chunks = dataset.chunks
        super().__init__(name, tuple(dataset.shape), dtype or dataset.dtype, chunks[0] if chunks else 1)
        self._dataset = dataset
        self._file = file
        plist = dataset.id.get_create_plist()
        self._filters = [plist.get_filter(i) for i in range(plist.get_nfilters())]
        self.why_copied = self._why_copied(plist)
        self._table: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]] | None = None

    def bare(self) -> NDArray[Any] | None:
        """Return a 1-D dataset of an opaque ``dtype`` as its bytes stand in the file; None where only HDF5 can tell."""
        import h5py

        text = h5py.check_string_dtype(self._dataset.dtype)
        sizes = self._dataset.file.id.get_create_plist().get_sizes()
        if (
            text is None
            or text.length is not None
            or len(self.shape) != 1
            or sizes != (8, 8)
            or not self._file_is_ours()
        ):
            return None
        if self._filters:
            out = np.empty(self.shape, self.dtype)
            return out if self._inflates_here() and self._inflate(out, 0, self.shape[0], 1) else None
        pieces = self._pieces()
        return None if pieces is None else pieces.read(0, self.shape[0])

    def _why_copied(self, plist: Any) -> str:
        if self._filters:
            return f"stored with {self._dataset.compression or 'a filter'}"
        if self._file is None or self._dataset.file.filename != self._file.root.filename:
            return "kept in another file"
        if self._file.root.userblock_size or plist.get_external_count() or self._dataset.is_virtual:
            return "stored in an unusual HDF5 layout"
        if self.dtype.kind not in "iufV" or self.dtype.byteorder == ">":
            return f"stored as {self.dtype}"
        return ""

    def in_place(self) -> ChunkedArray | None:
        """Return the pieces of the dataset in the mapped file; None if they must be read."""
        with reading(self.name, "the matrix"):
            return self._pieces()

    def _pieces(self) -> ChunkedArray | None:
        if self.why_copied or len(self.shape) != 1 or self._file is None:
            return None
        n, width = self.shape[0], self.dtype.itemsize
        if n * width <= _SMALL_BYTES and self.dtype.kind != "V":
            return ChunkedArray.of(self._dataset[...])
        if self._dataset.chunks is None:
            offset = self._dataset.id.get_offset()
            if offset is None:
                self.why_copied = "stored in an unusual HDF5 layout"
                return None
            starts, offsets, sizes = np.zeros(1, np.int64), np.array([offset], np.int64), np.array([n * width])
            piece = n
        else:
            table = self._chunk_table()
            if table is None:
                return None
            places, offsets, sizes = table
            starts = places[:, 0]
            piece = int(self._dataset.chunks[0])
        # chunks that were never written have no address; HDF5 reads them as the fill value
        whole = starts.size == -(-n // piece) and bool(np.all(starts == np.arange(starts.size) * piece))
        if not whole:
            self.why_copied = "stored with gaps"
            return None
        buffer = self._file.mapped()
        held = np.minimum(starts + piece, n) - starts
        inside = (offsets >= 0) & (sizes >= held * width) & (offsets <= buffer.size - held * width)
        if not np.all(inside):
            msg = f"{self.name}: {self._dataset.name} reaches beyond the end of the file; it is truncated or damaged"
            raise DataError(msg)
        return ChunkedArray(buffer, offsets, np.append(starts, n), self.dtype)

    def _chunk_table(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]] | None:
        """Element offsets, byte offsets and stored sizes of all chunks in order; None where h5py cannot tell."""
        if self._table is not None:
            return self._table
        if not hasattr(self._dataset.id, "chunk_iter"):  # HDF5 before 1.12.3
            self.why_copied = "read through an old HDF5 library"
            return None
        places: list[tuple[int, ...]] = []
        offsets: list[int] = []
        sizes: list[int] = []
        masks: list[int] = []

        def visit(info: Any) -> None:
            places.append(info.chunk_offset)
            offsets.append(-1 if info.byte_offset is None else info.byte_offset)
            sizes.append(info.size)
            masks.append(info.filter_mask)

        self._dataset.id.chunk_iter(visit)
        if any(masks):  # single chunks that skip a filter
            return None
        where = np.array(places, np.int64).reshape(-1, len(self.shape))
        order = np.lexsort(where.T[::-1])
        self._table = (where[order], np.array(offsets, np.int64)[order], np.array(sizes, np.int64)[order])
        return self._table

    def load(self, start: int, stop: int, n_threads: int) -> NDArray[Any]:
        """Inflate the chunks of a range with ``n_threads`` where the filters are zlib's, else through h5py."""
        out = np.empty((stop - start, *self.shape[1:]), self.dtype)
        done = self._inflates_here() and self._inflate(out, start, stop, n_threads)
        if not done and out.size:
            self._dataset.read_direct(out, np.s_[start:stop])
        return out

    def _inflates_here(self) -> bool:
        import h5py

        known = {(h5py.h5z.FILTER_DEFLATE,), (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE)}
        plain = self.dtype.kind in "iufV"
        return plain and self._file_is_ours() and tuple(f[0] for f in self._filters) in known

    def _file_is_ours(self) -> bool:
        file = self._file
        return file is not None and self._dataset.file.filename == file.root.filename and not file.root.userblock_size

    def _inflate(self, out: NDArray[Any], start: int, stop: int, n_threads: int) -> bool:
        table = self._chunk_table()
        if table is None or self._file is None:
            return False
        places, offsets, sizes = table
        chunk = tuple(int(c) for c in self._dataset.chunks)
        first, last = np.searchsorted(places[:, 0], [start, stop])
        grid = [-(-length // c) for length, c in zip((stop - start, *self.shape[1:]), chunk, strict=True)]
        if last - first != int(np.prod(grid)):
            return False  # unwritten chunks: HDF5 knows the fill value
        raw = self._file.mapped()
        width = self.dtype.itemsize
        nbytes = int(np.prod(chunk)) * width
        shuffled = len(self._filters) == 2

        def one(k: int) -> None:
            begin, size = int(offsets[k]), int(sizes[k])
            if begin < 0 or size < 0 or begin + size > raw.size:
                msg = (
                    f"{self.name}: {self._dataset.name} reaches beyond the end of the file; it is truncated or damaged"
                )
                raise DataError(msg)
            inflater = zlib.decompressobj()
            # the bound keeps a damaged stream from filling the memory; one byte more makes zlib verify its checksum
            text = inflater.decompress(raw[begin : begin + size].data, nbytes + 1)
            if len(text) != nbytes or not inflater.eof:
                msg = f"{self.name}: a chunk of {self._dataset.name} is damaged; copy or write the file again"
                raise DataError(msg)
            values = np.frombuffer(text, np.uint8)
            if shuffled:
                values = np.ascontiguousarray(values.reshape(width, -1).T)
            box = values.reshape(-1).view(self.dtype).reshape(chunk)
            at = [int(p) - (start if axis == 0 else 0) for axis, p in enumerate(places[k])]
            target = out[tuple(slice(p, p + c) for p, c in zip(at, chunk, strict=True))]
            target[...] = box[tuple(slice(0, length) for length in target.shape)]

        if n_threads == 1:
            for k in range(first, last):
                one(k)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                # list() passes on the first exception of a worker
                list(pool.map(one, range(first, last)))
        return True
