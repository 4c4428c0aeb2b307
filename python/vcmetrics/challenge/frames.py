"""How an archive's content is compressed: by the core, or by zstd at one of its levels."""

from __future__ import annotations

from typing import IO, Any

import numpy as np

from vcmetrics import _core
from vcmetrics.challenge.h5ad_stream import Sink
from vcmetrics.sources.packed import need_zstandard
from vcmetrics.sources.rows import ChunkedArray

BATCH = 1 << 24  # bytes compressed at a time: they and what was made of those before stay in the cache
LARGEST_TEAM = 8  # zstd's workers each hold a buffer and gain nothing beyond


class FrameSink(Sink):
    """Where an archive's content goes."""

    def finish(self) -> None:
        """Write everything; nothing may follow."""


def frame_sink(file: IO[bytes], size: int, level: int | None, n_threads: int) -> FrameSink:
    """One Zstandard frame at the end of an open file; ``size`` bytes of content will be passed on."""
    if level is None:
        return _CoreFrame(file, size, n_threads)
    return _LevelFrame(file, size, level, n_threads)


class _CoreFrame(FrameSink):
    """Codes for single bytes and runs of them, in the core; the bytes do not depend on the number of threads."""

    def __init__(self, file: IO[bytes], size: int, n_threads: int) -> None:
        self._frame = _core.ZstdFrame(file.fileno(), size)
        self._n_threads, self._waiting = n_threads, 0

    def bytes(self, content: bytes, /) -> None:
        """Take content as it is."""
        self._frame.add_bytes(np.frombuffer(content, np.uint8))
        self._waits(len(content))

    def planes(self, values: ChunkedArray, run: int, /) -> None:
        """Take values."""
        self._frame.add_planes(values.args(), run)
        self._waits(run * values.dtype.itemsize)

    def _waits(self, n: int) -> None:
        self._waiting += n
        if self._waiting >= BATCH:
            self.settle()

    def settle(self) -> None:
        """Compress what waits."""
        if self._waiting:
            self._frame.compress(self._n_threads)
            self._waiting = 0

    def finish(self) -> None:
        """Write everything."""
        self._frame.finish(self._n_threads)


class _LevelFrame(FrameSink):
    """zstd at a level."""

    def __init__(self, file: IO[bytes], size: int, level: int, n_threads: int) -> None:
        zstandard = need_zstandard(f"packing at level {level}")
        # one worker or more: the bytes do not depend on how many, but they do on whether there are any
        team = max(1, min(n_threads, LARGEST_TEAM))
        how = {"threads": team, "write_checksum": True, "write_content_size": True}
        chosen = zstandard.ZstdCompressionParameters.from_level(level, **how)
        self._file = file
        self._packer: Any = zstandard.ZstdCompressor(compression_params=chosen).compressobj(size=size)

    def bytes(self, content: bytes, /) -> None:
        """Take content as it is."""
        self._file.write(self._packer.compress(content))

    def planes(self, values: ChunkedArray, run: int, /) -> None:
        """Take values."""
        n, width = len(values), values.dtype.itemsize
        planes = np.zeros((width, run), np.uint8)
        planes[:, :n] = values.read(0, n).view(np.uint8).reshape(n, width).T
        self._file.write(self._packer.compress(planes))

    def settle(self) -> None:
        """Nothing waits."""

    def finish(self) -> None:
        """Write everything."""
        self._file.write(self._packer.flush())
