"""Work in batches that shrink where memory runs out."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from vcmetrics._errors import DeviceError, VcmetricsWarning


def in_batches(
    n: int,
    size: int,
    work: Callable[[int, int], None],
    *,
    what: str,
    out_of_memory: type[BaseException] = MemoryError,
    release: Callable[[], None] | None = None,
) -> None:
    """``work(first, last)`` over [0, n); a batch that finds no memory is done again in halves, with a warning.

    Parameters
    ----------
    n, size
        Number of items, and of those in a batch at first.
    work
        Does items first … last - 1. It may be called twice for the same items, and must then overwrite.
    what
        The public function, for messages.
    out_of_memory
        What ``work`` raises where memory runs out.
    release
        Called before a second try, to give cached memory back.

    Raises
    ------
    DeviceError
        If one item does not fit.
    """
    first, size = 0, max(1, min(size, n))
    while first < n:
        try:
            work(first, min(first + size, n))
        except out_of_memory as error:
            if size == 1:
                msg = f"{what}: the memory of the device does not hold one item ({error}); free some, or use the CPU"
                raise DeviceError(msg) from error
            size = (size + 1) // 2
            if release is not None:
                release()
            msg = f"{what}: out of memory on the device; going on with batches of {size}"
            warnings.warn(msg, VcmetricsWarning, stacklevel=3)
        else:
            first += size
