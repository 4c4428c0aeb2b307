"""One whole process: its wall time, its CPU time, its peak memory."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """What one process took. ``peak_bytes`` counts mapped file pages."""

    wall: float
    cpu: float
    peak_bytes: int


def run(command: Sequence[str]) -> Run:
    """Run to the end; raise with the process's own words where it fails."""
    start = time.perf_counter()
    # a file, not a pipe: nobody reads while wait4 waits
    with open(os.devnull) as nothing, _scratch() as words:
        process = subprocess.Popen(list(command), stdin=nothing, stdout=words, stderr=words)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            words.seek(0)
            msg = f"{' '.join(command)} ended with {process.returncode}:\n{words.read().decode()[-2000:]}"
            raise RuntimeError(msg)
    unit = 1 if os.uname().sysname == "Darwin" else 1024
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def _scratch():  # type: ignore[no-untyped-def]
    import tempfile

    return tempfile.TemporaryFile()
