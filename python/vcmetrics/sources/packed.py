"""Packed submissions (``.vcc``): unpacked into a temporary file that is gone when the cells are."""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from vcmetrics._errors import DataError
from vcmetrics.sources.arrays import one_line, reading
from vcmetrics.sources.stored import StoredAnnData

MEMBER = "pred.h5ad.zst"
BLOCK = 4 << 20
LARGEST = 96 << 30  # bytes unpacked: more than the densest submission that scoring accepts
COPY_VALUES = 1 << 22


def looks_packed(path: Path) -> bool:
    """Whether a path names a packed submission."""
    return path.suffix == ".vcc" and not path.is_dir()


def need_zstandard(what: str) -> Any:
    """The module zstandard, or one line that says how to get it."""
    try:
        import zstandard
    except ImportError as error:
        msg = f"{what} needs zstandard; pip install 'vcmetrics[vcc]'"
        raise DataError(msg) from error
    return zstandard


def open_packed(path: Path) -> PackedAnnData:
    """Open the prediction in a packed submission.

    It is unpacked, block by block, into a file that has no name any more once this returns: nothing stays behind,
    however the process ends. Values that were stored through a filter are written out bare, so that they can be read
    where they lie. Disk: the size of the unpacked file, twice while a filter is undone.

    Raises
    ------
    DataError
        If the archive is damaged or holds no prediction, if it unpacks to more than any submission may be, or if there
        is no room for it.
    """
    name = repr(str(path))
    with tempfile.TemporaryDirectory(prefix="vcmetrics-") as folder:
        file = Path(folder) / "pred.h5ad"
        with _member(path, name) as packed:
            _unpack(packed, file, name)
        file = _bare(file, name)
        return PackedAnnData(file, path)


class PackedAnnData(StoredAnnData):
    """The prediction in a packed submission; the file it was unpacked into may be unlinked once this is made."""

    def __init__(self, unpacked: Path, archive: Path) -> None:
        super().__init__(unpacked)
        assert self._file is not None
        self._file.mapped()  # by name, which is soon gone
        self.path = archive
        self.name = self._file.name = repr(str(archive))


@contextlib.contextmanager
def _member(path: Path, name: str) -> Iterator[IO[bytes]]:
    try:
        with tarfile.open(path, "r:") as archive:
            packed = archive.extractfile(MEMBER)
            if packed is None:
                raise KeyError(MEMBER)
            yield packed
    except FileNotFoundError as error:
        msg = f"{name}: no such file; check the path"
        raise DataError(msg) from error
    except KeyError as error:
        msg = f"{name}: holds no {MEMBER}; it is not a packed submission (`vcmetrics pack` makes one)"
        raise DataError(msg) from error
    except (tarfile.TarError, OSError) as error:
        msg = f"{name}: cannot be read as a packed submission ({one_line(error)}); pack it again"
        raise DataError(msg) from error


def _unpack(packed: IO[bytes], file: Path, name: str) -> None:
    zstandard = need_zstandard(f"{name}: reading a packed submission")
    room = shutil.disk_usage(file.parent).free
    size = 0
    stream = zstandard.ZstdDecompressor().stream_reader(packed, read_size=BLOCK, read_across_frames=True)
    with file.open("wb") as out:
        while True:
            try:
                block = stream.read(BLOCK)
            except zstandard.ZstdError as error:
                msg = f"{name}: {MEMBER} is damaged ({one_line(error)}); pack it again"
                raise DataError(msg) from error
            if not block:
                break
            size += len(block)
            if size > LARGEST:
                msg = f"{name}: unpacks to more than {LARGEST >> 30} GiB, which no submission may; pack it again"
                raise DataError(msg)
            if size > room:
                msg = f"{name}: there is no room to unpack it in {file.parent.parent}; set TMPDIR to a larger disk"
                raise DataError(msg)
            out.write(block)


def _bare(file: Path, name: str) -> Path:
    """The same file with the arrays of X unfiltered and contiguous, where they are not yet."""
    import h5py

    with reading(name, "the matrix"), h5py.File(file, "r") as old:
        x = old.get("X")
        if not isinstance(x, h5py.Group) or not any(x[part].chunks for part in ("data", "indices") if part in x):
            return file
        bare = file.with_name("bare.h5ad")
        with h5py.File(bare, "w") as new:
            for part in old:
                if part != "X":
                    old.copy(part, new)
            for key, value in old.attrs.items():
                new.attrs[key] = value
            group = new.create_group("X")
            for key, value in x.attrs.items():
                group.attrs[key] = value
            for part in x:
                made = group.create_dataset(part, x[part].shape, x[part].dtype)
                for begin in range(0, x[part].shape[0], COPY_VALUES):
                    made[begin : begin + COPY_VALUES] = x[part][begin : begin + COPY_VALUES]
    os.unlink(file)
    return bare
