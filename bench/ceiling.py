"""What the arithmetic units of this machine can do, measured beside the kernels."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

SOURCE = Path(__file__).with_name("ceiling.cpp")


@lru_cache
def ceiling(n_threads: int) -> dict[str, float] | None:
    """G operations of float64 a second over all threads, from registers alone; None without a compiler.

    ``fused``: a fused multiply-add. ``square``: subtract, multiply, add, half of the subtractions on the multiplying
    ports. ``product``: multiply, add.
    """
    compiler = shutil.which("c++")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder) / "ceiling")
        flags = ["-std=c++20", "-O3", "-march=native", "-ffp-contract=off", "-pthread"]
        subprocess.run([compiler, *flags, str(SOURCE), "-o", program], check=True)
        found = subprocess.run([program, str(n_threads)], check=True, capture_output=True, text=True).stdout
    return {name: float(rate) for name, rate in json.loads(found).items()}


def reached(benchmark, unit: str, operations: float, n_threads: int) -> None:
    """Note how much of the ceiling of ``unit`` the median run reached."""
    limits = ceiling(n_threads)
    if limits is None or benchmark.stats is None:
        return
    rate = operations / benchmark.stats.stats.median / 1e9
    benchmark.extra_info |= {
        "G_per_s": round(rate, 1),
        f"ceiling_{unit}_G_per_s": limits[unit],
        "reached": round(rate / limits[unit], 2),
        "of_fused": round(rate / limits["fused"], 2),
    }


def floor_seconds(metric: str, n_x: int, n_y: int, n_features: int, n_threads: int) -> float:
    """Least time of n_x × n_y sums: one FMA a product; else a subtraction and an addition, each at the FMA's rate."""
    operations = 1 if metric in ("product", "cosine") else 2
    limits = ceiling(n_threads)
    return float("nan") if limits is None else operations * n_x * n_y * n_features / (limits["fused"] * 1e9)
