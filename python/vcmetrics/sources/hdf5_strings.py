"""Text of variable length in HDF5, read from the mapped file.

HDF5's own reader does not return when the table of a string heap is damaged; this one refuses. An element of the
dataset is a length (4 bytes), the address of a heap (8) and a number in it (4); a heap is a run of objects.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError

ELEMENT = np.dtype([("length", "<u4"), ("heap", "<u8"), ("number", "<u4")])
_OBJECT = struct.Struct("<HHIQ")  # number, references, reserved, size; then the bytes, padded to 8
_HEAD = 16  # signature, version, size of the heap


def text_of(elements: NDArray[Any], file: NDArray[np.uint8]) -> NDArray[np.object_]:
    """Decode elements of the type ``ELEMENT`` with the heaps in ``file``; ``str`` objects.

    Raises
    ------
    DataError
        If an element or a heap does not fit into the file.
    """
    content = file.data
    lengths, numbers = elements["length"].tolist(), elements["number"].tolist()
    out = np.empty(elements.size, object)
    heap: dict[int, tuple[int, int]] = {}
    at = -1
    for i, address in enumerate(elements["heap"].tolist()):
        length = lengths[i]
        if length == 0:
            out[i] = ""
            continue
        if address != at:  # neighbours mostly share a heap
            heap, at = _objects(content, address), address
        begin, size = heap.get(numbers[i], (0, 0))
        if length > size:
            msg = f"the text of entry {i} is not in its heap; the file is damaged, copy or write it again"
            raise DataError(msg)
        out[i] = str(content[begin : begin + length], "utf-8")
    return out


def _objects(content: memoryview, address: int) -> dict[int, tuple[int, int]]:
    """Where the objects of one heap lie: number → (first byte, size)."""
    damaged = f"the text heap at byte {address} is damaged; copy or write the file again"
    if address + _HEAD > len(content) or bytes(content[address : address + 4]) != b"GCOL":
        raise DataError(damaged)
    size = int.from_bytes(content[address + 8 : address + _HEAD], "little")
    end = address + size
    if end > len(content):
        raise DataError(damaged)
    found: dict[int, tuple[int, int]] = {}
    at = address + _HEAD
    while at + _OBJECT.size <= end:
        number, _, _, length = _OBJECT.unpack_from(content, at)
        if number == 0:  # the free space at the end
            break
        at += _OBJECT.size
        if at + length > end:
            raise DataError(damaged)
        found[number] = (at, length)
        at += (length + 7) & ~7
    return found
