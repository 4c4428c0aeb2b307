"""Data and peers that the benchmarks share."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.make_synth import Shape, make_pair, make_submission

STORE = Path(os.environ.get("VCM_BENCH_DATA", Path(__file__).parents[1] / "build" / "bench-data"))
SLICE = Shape()  # 50 perturbations × 400 cells + 3,000 controls
CONTEXT = Shape(perturbations=300, control=18400)  # a whole context of the challenge of 2026


@pytest.fixture(scope="session")
def slice_pair() -> tuple[Path, Path]:
    """Prediction and reality, a slice of a context, raw counts."""
    return make_pair(STORE / SLICE.name, SLICE)


@pytest.fixture(scope="session")
def context_pair() -> tuple[Path, Path]:
    """Prediction and reality, a whole context, raw counts."""
    if not os.environ.get("VCM_BENCH_LARGE"):
        pytest.skip("a whole context takes 10 GB of disk: python -m bench --large")
    return make_pair(STORE / CONTEXT.name, CONTEXT)


@pytest.fixture(scope="session")
def lognorm_pair(slice_pair: tuple[Path, Path]) -> tuple[Path, Path]:
    """The slice, log1p of counts per 10,000, float32."""
    import anndata
    import numpy as np

    folder = slice_pair[0].parent / "lognorm"
    folder.mkdir(exist_ok=True)
    made = []
    for source in slice_pair:
        path = folder / source.name
        made.append(path)
        if path.exists():
            continue
        adata = anndata.read_h5ad(source)
        totals = np.asarray(adata.X.sum(1)).ravel()
        adata.X.data = np.log1p(adata.X.data * np.repeat(1e4 / totals, np.diff(adata.X.indptr))).astype(np.float32)
        adata.write_h5ad(path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)
    return made[0], made[1]


@pytest.fixture(scope="session")
def peer_python() -> str:
    """A Python that has the peers: VCM_PEERS_PYTHON, else this one."""
    if not os.environ.get("VCM_BENCH_PEERS"):
        pytest.skip("peers take minutes: python -m bench --peers")
    other = os.environ.get("VCM_PEERS_PYTHON")
    if other:
        subprocess.run([other, "-c", "import cell_eval, cell_eval2, pdex"], check=True)
        return other
    if importlib.util.find_spec("cell_eval2") is None:
        pytest.skip("peers are not installed: pip install '.[bench]', or set VCM_PEERS_PYTHON")
    return sys.executable


@pytest.fixture(scope="session")
def submission() -> tuple[Path, Path, Path]:
    """A submission of 2 GB with its lists of genes and perturbations: 3 contexts × 48 perturbations × 400 cells."""
    return make_submission(STORE / "submission", Shape(perturbations=48, control=0), ("A", "B", "C"))


@pytest.fixture(scope="session")
def vcc_python() -> str:
    """A Python that has the challenge's own tool: VCM_VCC_PYTHON, else this one."""
    if not os.environ.get("VCM_BENCH_PEERS"):
        pytest.skip("peers take minutes: python -m bench --peers")
    other = os.environ.get("VCM_VCC_PYTHON")
    if other:
        subprocess.run([other, "-c", "import vcc.prep"], check=True)
        return other
    if importlib.util.find_spec("vcc") is None:
        pytest.skip("the challenge's tool is not installed: pip install vcc-cli, or set VCM_VCC_PYTHON")
    return sys.executable


@pytest.fixture
def measure(benchmark):
    """Time whole processes: ``measure(command, rounds=…)`` runs one round to warm the page cache, then times."""
    from bench.process import run

    def measured(command: list[str], *, rounds: int, warmup: int = 1):
        runs = []
        benchmark.pedantic(lambda: runs.append(run(command)), rounds=rounds, warmup_rounds=warmup, iterations=1)
        timed = runs[warmup:]
        benchmark.extra_info["peak_MiB"] = round(max(r.peak_bytes for r in timed) / 2**20)
        benchmark.extra_info["cpu_s"] = round(sorted(r.cpu for r in timed)[len(timed) // 2], 3)
        benchmark.extra_info["threads"] = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None

    return measured
