"""Chunks of zarr arrays on a disk, read and inflated by several threads: formats 2 and 3, shards too.

zarr inflates one chunk at a time where its codecs keep Python's lock. Here those that let go of it are used, for the
one-dimensional arrays that hold sparse matrices; whatever else an array may be is left to zarr.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Inflate = Callable[[bytes, int], Any]  # stored bytes and the size they come to -> bytes
_ABSENT = 2**64 - 1  # offset and length of a chunk that a shard does not hold


class LocalChunks:
    """One array in one directory.

    Parameters
    ----------
    folder, key
        Where the chunks are, and the file of chunk number ``k``, or of shard number ``k``.
    size, chunk, dtype, fill
        Elements of the array and of a chunk, their type, and what chunks that were not written stand for.
    inflate
        Undoes the compression of a chunk.
    per_shard, index_at_end
        Chunks of a shard, None where each is a file of its own; where the shard keeps their places.
    """

    def __init__(
        self,
        folder: Path,
        key: Callable[[int], str],
        size: int,
        chunk: int,
        dtype: np.dtype[Any],
        fill: Any,
        inflate: Inflate,
        per_shard: int | None = None,
        index_at_end: bool = True,
    ) -> None:
        self._folder, self._key = folder, key
        self._size, self._chunk, self._dtype, self._fill = size, chunk, dtype, fill
        self._inflate = inflate
        self._per_shard, self._index_at_end = per_shard, index_at_end
        self._places: dict[int, NDArray[np.uint64] | None] = {}

    def read(self, start: int, stop: int, n_threads: int) -> NDArray[Any]:
        """Elements ``start … stop - 1``; both are borders of chunks, or the end."""
        out = np.empty(stop - start, self._dtype)
        first, last = start // self._chunk, -(-stop // self._chunk)
        if self._per_shard is not None:
            for shard in range(first // self._per_shard, -(-last // self._per_shard)):
                if shard not in self._places:
                    self._places[shard] = self._index(shard)

        def one(k: int) -> None:
            begin = k * self._chunk
            target = out[begin - start : min(begin + self._chunk, stop) - start]
            raw = self._raw(k)
            if raw is None:
                target[...] = self._fill
                return
            n_bytes = self._chunk * self._dtype.itemsize
            values = np.frombuffer(self._inflate(raw, n_bytes), np.uint8)
            if values.size != n_bytes:
                msg = f"chunk {k} of {self._folder.name} holds {values.size} bytes, expected {n_bytes}"
                raise ValueError(msg)
            target[...] = values.view(self._dtype)[: target.size]

        if n_threads == 1 or last - first < 2:
            for k in range(first, last):
                one(k)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(one, range(first, last)))  # passes on the first exception
        return out

    def _raw(self, k: int) -> bytes | None:
        """The stored bytes of a chunk; None where it was never written."""
        if self._per_shard is None:
            try:
                return (self._folder / self._key(k)).read_bytes()
            except FileNotFoundError:
                return None
        shard, inside = divmod(k, self._per_shard)
        places = self._places[shard]
        if places is None:
            return None
        offset, length = int(places[inside, 0]), int(places[inside, 1])
        if offset == length == _ABSENT:
            return None
        with (self._folder / self._key(shard)).open("rb") as file:
            file.seek(offset)
            raw = file.read(length)
        if len(raw) != length:
            msg = f"chunk {k} of {self._folder.name} reaches beyond the end of its shard"
            raise ValueError(msg)
        return raw

    def _index(self, shard: int) -> NDArray[np.uint64] | None:
        """Offset and length of every chunk of a shard; None where the shard was never written."""
        import google_crc32c

        assert self._per_shard is not None
        size = 16 * self._per_shard + 4
        try:
            with (self._folder / self._key(shard)).open("rb") as file:
                if self._index_at_end:
                    file.seek(-size, 2)
                raw = file.read(size)
        except FileNotFoundError:
            return None
        if len(raw) != size or google_crc32c.value(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
            msg = f"the index of shard {shard} of {self._folder.name} is damaged (its checksum is wrong)"
            raise ValueError(msg)
        return np.frombuffer(raw[:-4], "<u8").reshape(-1, 2)


def local_chunks(array: Any) -> LocalChunks | None:
    """How to read an array of zarr here; None where only zarr knows."""
    root = getattr(getattr(array, "store", None), "root", None)
    metadata = getattr(array, "metadata", None)
    dtype = np.dtype(array.dtype)
    if not isinstance(root, Path) or metadata is None or len(array.shape) != 1 or not array.size:
        return None
    if dtype.kind not in "iuf" or dtype.byteorder == ">" or metadata.fill_value is None:
        return None
    if metadata.zarr_format == 2:
        inflate, per_shard, at_end = (None if metadata.filters else _numcodec(metadata.compressor)), None, True
    else:
        inflate, per_shard, at_end = _of_format_3(array, tuple(metadata.codecs))
    if inflate is None:
        return None
    size, chunk = int(array.shape[0]), int(array.chunks[0])

    def key(k: int) -> str:
        return str(metadata.encode_chunk_key((k,)))

    fill = metadata.fill_value
    return LocalChunks(root / array.path, key, size, chunk, dtype, fill, inflate, per_shard, at_end)


def _of_format_3(array: Any, codecs: tuple[Any, ...]) -> tuple[Inflate | None, int | None, bool]:
    """What inflates a chunk, how many a shard holds, and whether its index is at the end."""
    if len(codecs) != 1 or type(codecs[0]).__name__ != "ShardingCodec":
        return _codec(codecs), None, True
    sharding = codecs[0]
    kept = [type(codec).__name__ for codec in sharding.index_codecs]
    per_shard, rest = divmod(int(array.shards[0]), int(array.chunks[0]))
    if kept != ["BytesCodec", "Crc32cCodec"] or rest or not _has("google_crc32c"):
        return None, None, True
    at_end = str(getattr(sharding.index_location, "value", sharding.index_location)) == "end"
    return _codec(tuple(sharding.codecs)), per_shard, at_end


def _codec(codecs: tuple[Any, ...]) -> Inflate | None:
    """What undoes the codecs of format 3: the bytes as they are, then perhaps one compression."""
    names = [type(codec).__name__ for codec in codecs]
    if not names or names[0] != "BytesCodec" or str(getattr(codecs[0].endian, "value", "little")) != "little":
        return None
    if len(names) == 1:
        return _as_it_is
    if names[1:] == ["ZstdCodec"]:
        return _zstd()
    return _blosc if names[1:] == ["BloscCodec"] and _has("numcodecs") else None


def _numcodec(compressor: Any) -> Inflate | None:
    """What undoes the compressor of format 2."""
    if compressor is None:
        return _as_it_is
    name = getattr(compressor, "codec_id", "")
    return _zstd() if name == "zstd" else _blosc if name == "blosc" else None


def _as_it_is(raw: bytes, size: int) -> bytes:
    return raw


def _blosc(raw: bytes, size: int) -> Any:
    from numcodecs import blosc

    return blosc.decompress(raw)


def _zstd() -> Inflate | None:
    """Zstandard inflates without Python's lock; it belongs to the extra ``vcc``."""
    if not _has("zstandard"):
        return None
    import zstandard

    kept = threading.local()  # making one costs as much as a small chunk; no two threads may share it

    def inflate(raw: bytes, size: int) -> bytes:
        if not hasattr(kept, "zstd"):
            kept.zstd = zstandard.ZstdDecompressor()
        out: bytes = kept.zstd.decompress(raw, max_output_size=size)
        return out

    return inflate


def _has(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None
