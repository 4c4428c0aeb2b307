"""Times of work on a device, by its own events; on the host by its clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

WARM, MOST, LONGEST = 1, 10, 4.0  # runs before, runs at most, seconds of runs at most


def seconds(xp: Any, work: Callable[[], object], *, most: int = MOST) -> tuple[float, float]:
    """(median, spread) seconds of ``work()``; spread is largest less smallest. The results of runs are dropped."""
    for _ in range(WARM):
        work()
    found: list[float] = []
    while len(found) < most and (not found or sum(found) + found[-1] < LONGEST):
        found.append(_once(xp, work))
    return float(np.median(found)), max(found) - min(found)


def _once(xp: Any, work: Callable[[], object]) -> float:
    if xp is np:
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin
    first, last = xp.cuda.Event(), xp.cuda.Event()
    first.record()
    work()
    last.record()
    last.synchronize()
    return float(xp.cuda.get_elapsed_time(first, last)) / 1e3
