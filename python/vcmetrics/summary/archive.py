"""Named arrays in one ``.npz`` file that is mapped, not read: tables of hundreds of megabytes open in milliseconds.

NumPy reads the files as well. What NumPy's own writer lacks: every array begins at a multiple of 64 bytes, so that the
kernels can work on the mapped file, and a digest of each stands in the head, which several threads check.
"""

from __future__ import annotations

import hashlib
import io
import json
import mmap
import os
import struct
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.backend.threads import resolve_threads

Array = NDArray[Any]

_ALIGNMENT = 64
_LOCAL_HEADER = 30  # bytes before the name and the extra field
_ZIP64_EXTRA = 20  # zipfile adds it behind ours
_PADDING = 0xD935  # kind of extra field that holds nothing
_HEAD = "head"


def write_archive(file: IO[bytes], arrays: Mapping[str, Array], head: Mapping[str, Any]) -> None:
    """Write ``arrays`` and the JSON-ready ``head`` into a file that is open for writing."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    text = json.dumps({**head, "digests": {name: _digest(array) for name, array in arrays.items()}})
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in {**arrays, _HEAD: np.frombuffer(text.encode(), np.uint8)}.items():
            entry = zipfile.ZipInfo(f"{name}.npy")
            at = file.tell() + _LOCAL_HEADER + len(entry.filename.encode()) + 4 + _ZIP64_EXTRA
            padding = -at % _ALIGNMENT
            entry.extra = struct.pack("<HH", _PADDING, padding) + bytes(padding)
            with archive.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def map_archive(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays, read-only and left in the mapped file, and the head.

    Raises
    ------
    OSError, ValueError, KeyError, zipfile.BadZipFile
        If the file cannot be read, is no such archive, or holds other bytes than were written.
    """
    with open(path, "rb") as file:
        content = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
        with zipfile.ZipFile(file) as archive:
            arrays = {e.filename.removesuffix(".npy"): _member(content, e) for e in archive.infolist()}
    head = json.loads(arrays.pop(_HEAD).tobytes())
    digests = head.pop("digests", {})
    for name, array in arrays.items():
        if digests.get(name) != _digest(array):
            msg = f"array {name!r} is not as it was written"
            raise ValueError(msg)
    return arrays, head


def _member(content: Array, entry: zipfile.ZipInfo) -> Array:
    if entry.compress_type != zipfile.ZIP_STORED:
        msg = f"array {entry.filename!r} is compressed"
        raise ValueError(msg)
    at = entry.header_offset
    begin = at + _LOCAL_HEADER + sum(struct.unpack("<HH", content[at + 26 : at + _LOCAL_HEADER].tobytes()))
    stored = content[begin : begin + entry.file_size]
    if stored.size != entry.file_size:
        msg = f"array {entry.filename!r} ends behind the file"
        raise ValueError(msg)
    start = io.BytesIO(stored[: 1 << 12].tobytes())
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, fortran, dtype = read_header[np.lib.format.read_magic(start)](start)
    if fortran or dtype.hasobject:
        msg = f"array {entry.filename!r} is of an unusual kind"
        raise ValueError(msg)
    return np.asarray(stored[start.tell() :].view(dtype).reshape(shape))


def _digest(array: Array) -> str:
    from vcmetrics import _core

    words = _core.block_digests(array.reshape(-1).view(np.uint8), resolve_threads()) if array.size else b""
    return hashlib.sha256(f"{array.dtype.str}{array.shape}".encode() + words).hexdigest()[:32]
