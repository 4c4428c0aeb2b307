"""The arithmetic floor of all-pairs sums on this machine, measured: fused multiply-adds from registers alone."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from vcmetrics.backend.threads import resolve_threads


@cache
def fma_rate() -> float:
    """Fused multiply-adds in float64 a second: one core's best, times the threads; NaN without a compiler."""
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        return float("nan")
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder) / "fma")
        flags = ["-O3", "-march=native", "-ffp-contract=fast", "-std=c++17"]
        subprocess.run([compiler, *flags, str(Path(__file__).with_name("fma.cpp")), "-o", program], check=True)
        done = subprocess.run([program], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[0]) * resolve_threads()


def floor_seconds(metric: str, n_x: int, n_y: int, n_features: int) -> float:
    """Least time of n_x × n_y sums: one FMA a product; else a subtraction and an addition, at the FMA's rate."""
    operations = 1 if metric in ("product", "cosine") else 2
    return operations * n_x * n_y * n_features / fma_rate()
