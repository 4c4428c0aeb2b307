"""``python -m bench.scale_curve``: time grows with the cells, memory does not; 0.1, 0.3, 1 million × 18,000 genes.

Each size is a pair of uncompressed files, half of the cells a side, in random order. Every step is a process of its own
with a memory budget; the files are dropped from the page cache before each, except before the warm ones. Written are
``build/scale_curve.json`` and ``bench/figures/scale_curve.png``. ``--context`` scores one whole context of the largest
submission, 1.58 billion stored values a side. Disk: 8 bytes a stored value; the files are deleted afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.process import Run, run

HERE = Path(__file__).parent
GENES, A_CELL, PERTURBATIONS, CONTROL_SHARE = 18_000, 1_200, 100, 0.02
PIECE = 1 << 24  # bytes read at a time
DRAWN = 4096  # cells drawn at a time

READ = (
    "import sys\nfor p in sys.argv[1:]:\n    with open(p, 'rb', buffering=0) as f:\n"
    "        b = bytearray({piece})\n        while f.readinto(b): pass"
)
SUMS = (
    "import sys, vcmetrics as vcm\nfor p in sys.argv[2:]:\n"
    "    vcm.pseudobulk(p, pert_col='p', memory_budget=sys.argv[1])"
)


def write_cells(path: Path, n: int, genes: int, a_cell: int, seed: int) -> int:
    """Write ``n`` cells of some ``a_cell`` counts each; return the stored values."""
    import anndata
    import h5py
    import pandas as pd

    rng = np.random.default_rng(seed)
    labels = [f"g{k}" for k in range(PERTURBATIONS)] + ["non-targeting"]
    codes = rng.integers(0, PERTURBATIONS, n)
    codes[rng.random(n) < CONTROL_SHARE] = PERTURBATIONS
    obs = pd.DataFrame({"p": pd.Categorical.from_codes(codes, labels)}, index=[f"c{i}" for i in range(n)])
    anndata.AnnData(obs=obs, var=pd.DataFrame(index=[f"g{j}" for j in range(genes)])).write_h5ad(path)
    counts = np.minimum(rng.geometric(0.45, 1 << 16), 200).astype(np.float32)
    gap = 2 * genes // a_cell  # gaps of 1 … gap - 1 between the genes of a cell
    with h5py.File(path, "r+") as file:
        if "X" in file:
            del file["X"]
        group = file.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [n, genes]})
        made = {
            name: group.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(1 << 20,))
            for name, dtype in (("data", "f4"), ("indices", "i4"))
        }
        ends = [0]
        for first in range(0, n, DRAWN):
            height = min(DRAWN, n - first)
            columns = np.cumsum(rng.integers(1, gap, (height, a_cell), np.uint8), axis=1, dtype=np.int32) - 1
            inside = columns < genes
            lengths = inside.sum(1)
            chosen = columns[inside]
            values = counts[rng.integers(0, 1 << 16, chosen.size, np.uint16)]
            at = ends[-1]
            for name, array in (("data", values), ("indices", chosen)):
                made[name].resize((at + chosen.size,))
                made[name][at:] = array
            ends.extend((at + np.cumsum(lengths)).tolist())
        group.create_dataset("indptr", data=np.array(ends, np.int64))
    return ends[-1]


def drop(paths: list[Path]) -> None:
    """Drop files from the page cache."""
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measured(paths: list[Path], budget: str, out: Path, *, short: bool) -> dict[str, Any]:
    """Raw read, sums and score of a pair; ``short``: the cold read and the cold score alone."""
    pred, real = map(str, paths)
    read = [sys.executable, "-c", READ.format(piece=PIECE), pred, real]
    score = [sys.executable, "-m", "vcmetrics", "score", pred, real, "--pert-col", "p", "--json"]
    score += ["--memory-budget", budget, "-o", str(out)]
    found: dict[str, Any] = {}

    def step(name: str, command: list[str], cold: bool) -> None:
        if cold:
            drop(paths)
        one: Run = run(command)
        found[name] = {"wall_s": round(one.wall, 3), "cpu_s": round(one.cpu, 3), "peak_MiB": one.peak_bytes >> 20}
        print(f"  {name:<12} {one.wall:8.2f} s  {one.cpu:8.2f} s CPU  {one.peak_bytes / 2**30:6.2f} GiB", flush=True)

    step("read cold", read, cold=True)
    if not short:
        step("read warm", read, cold=False)
        step("sums cold", [sys.executable, "-c", SUMS, budget, pred, real], cold=True)
    step("score cold", score, cold=True)
    if not short:
        step("score warm", score, cold=False)
    found["passes"] = json.loads((out / "run.json").read_text())["settings"]["memory"]["passes"]
    shutil.rmtree(out)
    return found


def one_size(
    folder: Path, n: int, genes: int, a_cell: tuple[int, int], budget: str, *, short: bool = False
) -> dict[str, Any]:
    """Write, measure and delete one pair; ``a_cell``: values of a cell in the prediction and in reality."""
    paths = [folder / "pred.h5ad", folder / "real.h5ad"]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        start = time.perf_counter()
        each = [
            write_cells(path, n // 2, genes, a, seed) for seed, (path, a) in enumerate(zip(paths, a_cell, strict=True))
        ]
        stored = sum(each)
        print(f"{n:,} cells, {stored:,} values, written in {time.perf_counter() - start:.0f} s", flush=True)
        row = {
            "cells": n,
            "genes": genes,
            "stored": stored,
            "of_each": each,
            "bytes": sum(p.stat().st_size for p in paths),
        }
        return row | measured(paths, budget, folder / "out", short=short)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def draw(rows: list[dict[str, Any]], budget: str, path: Path) -> None:
    """Time per stored value and peak memory over the number of cells."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    cells = [row["cells"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name in ("read cold", "read warm", "sums cold", "score cold", "score warm"):
        style = {"marker": "o", "linestyle": "--" if "read" in name else "-"}
        left.plot(cells, [row[name]["wall_s"] / row["stored"] * 1e9 for row in rows], label=name, **style)
        if "read" not in name:
            right.plot(cells, [row[name]["peak_MiB"] / 1024 for row in rows], label=name, **style)
    right.plot(cells, [row["bytes"] / 2**30 for row in rows], "k:", label="size of the files")
    from vcmetrics.backend.memory import resolve_budget

    right.axhline(resolve_budget(budget) / 2**30, color="grey", linewidth=1, label=f"budget {budget}")
    left.set(ylabel="ns per stored value", ylim=(0, None), title="time")
    right.set(ylabel="GiB", yscale="log", title="peak memory, mapped pages included")
    for axis in (left, right):
        axis.set(xscale="log", xlabel="cells (both sides)")
        axis.legend(fontsize=8)
        axis.grid(alpha=0.3)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)


def verdict(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The ratios that are wanted: spread of time per value, sums and score against the read."""
    per_value = {name: [r[name]["wall_s"] / r["stored"] for r in rows] for name in ("sums cold", "score warm")}
    return {
        **{f"{name}: slowest over fastest per value": max(v) / min(v) for name, v in per_value.items()},
        "sums cold / read cold": max(r["sums cold"]["wall_s"] / r["read cold"]["wall_s"] for r in rows),
        "score warm / read warm": max(r["score warm"]["wall_s"] / r["read warm"]["wall_s"] for r in rows),
        "score cold / read cold": max(r["score cold"]["wall_s"] / r["read cold"]["wall_s"] for r in rows),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--budget", default="2GiB")
    parser.add_argument("--context", action="store_true", help="one context of 1.58 billion values a side instead")
    parser.add_argument("--share", type=float, default=1.0, help="of the cells of --context")
    parser.add_argument("--data", type=Path, default=HERE.parent / "build" / "scale-data")
    parser.add_argument("--json", type=Path, default=HERE.parent / "build" / "scale_curve.json")
    options = parser.parse_args()
    if options.context:
        # 138,400 predicted cells of 11,417 values each store 1.58 billion; 24 % of the real values are stored
        n = int(2 * 138_400 * options.share)
        rows = [one_size(options.data, n, 18_533, (11_417, 4_448), options.budget, short=True)]
    else:
        rows = [one_size(options.data, n, GENES, (A_CELL, A_CELL), options.budget) for n in options.cells]
        draw(rows, options.budget, HERE / "figures" / "scale_curve.png")
    options.json.parent.mkdir(exist_ok=True)
    ratios = {} if options.context else verdict(rows)
    options.json.write_text(json.dumps({"budget": options.budget, "rows": rows, "ratios": ratios}, indent=2) + "\n")
    print(json.dumps(ratios, indent=2))


if __name__ == "__main__":
    main()
