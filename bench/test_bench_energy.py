"""Means and weighted sums over pairs of cells, beside pertpy and the arithmetic of the machine.

Floors, per pair of cells and feature: one subtraction, one multiplication, one addition, of float64 and rounded one by
one ("square" in ceiling.cpp); per pair one square root; per pair and column of weights one multiplication and one
addition ("product"). A square root or an exponential is not counted in ``reached``.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from bench.ceiling import reached
from vcmetrics import _core
from vcmetrics.backend.threads import resolve_threads

GROUPS, CELLS, FEATURES = 50, 400, 50
GAMMAS = [2.0, 1.0, 0.5, 0.1, 0.01, 0.005]


def groups_of(n_groups: int, n_cells: int, dtype: str = "f8") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells, codes and all pairs of groups, each group moved a little."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(n_groups, dtype=np.int32), n_cells)
    cells = rng.normal(size=(codes.size, FEATURES)) + 0.2 * rng.normal(size=(n_groups, FEATURES))[codes]
    return cells.astype(dtype), codes, np.stack(np.triu_indices(n_groups), 1).astype(np.int32)


def formed(codes: np.ndarray, pairs: np.ndarray) -> int:
    """Pairs of cells whose term is computed."""
    n = np.bincount(codes).astype(int)
    a, b = n[pairs[:, 0]], n[pairs[:, 1]]
    return int(np.where(pairs[:, 0] == pairs[:, 1], a * (a - 1) // 2, a * b).sum())


def energies(cells: np.ndarray, codes: np.ndarray, pairs: np.ndarray, n_threads: int) -> np.ndarray:
    """Energy distances of all groups, V-statistic."""
    n_groups = int(codes.max()) + 1
    means = np.empty((n_groups, n_groups))
    a, b = pairs.T
    means[a, b] = means[b, a] = _core.pair_means(cells, codes, n_groups, pairs, "euclidean", n_threads=n_threads)
    own = np.diag(means)
    return 2 * means - own[:, None] - own


def assert_means(found: np.ndarray, cells: np.ndarray, codes: np.ndarray, pairs: np.ndarray) -> None:
    """A few of the means against SciPy."""
    for k in np.linspace(0, len(pairs) - 1, 5).astype(int):
        x, y = (cells[codes == g].astype(float) for g in pairs[k])
        np.testing.assert_allclose(found[k], cdist(x, y).mean(), rtol=1e-12)


@pytest.fixture(scope="module")
def pertpy_python() -> str:
    """A Python that has pertpy: VCM_PERTPY_PYTHON, else this one."""
    if not os.environ.get("VCM_BENCH_PEERS"):
        pytest.skip("peers take minutes: python -m bench --peers")
    other = os.environ.get("VCM_PERTPY_PYTHON")
    if other is None and importlib.util.find_spec("pertpy") is None:
        pytest.skip("pertpy is not installed: pip install pertpy==1.0.3, or set VCM_PERTPY_PYTHON")
    return other or sys.executable


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_all_pairs(benchmark, dtype: str) -> None:
    cells, codes, pairs = groups_of(GROUPS, CELLS, dtype)
    n_threads = resolve_threads()
    benchmark.group = f"energy distance {GROUPS} x {CELLS} x {FEATURES}"
    benchmark.extra_info |= {"isa": _core.isa(), "threads": n_threads, "dtype": dtype, "bytes": cells.nbytes}
    assert_means(_core.pair_means(cells, codes, GROUPS, pairs, "euclidean"), cells, codes, pairs)
    benchmark.pedantic(energies, (cells, codes, pairs, n_threads), rounds=7, warmup_rounds=1)
    reached(benchmark, "square", formed(codes, pairs) * FEATURES, n_threads)


def test_all_pairs_by_pertpy(benchmark, pertpy_python: str, tmp_path: Path) -> None:
    cells, codes, pairs = groups_of(GROUPS, CELLS)
    np.savez(tmp_path / "cells.npz", cells=cells, codes=codes)
    benchmark.group = f"energy distance {GROUPS} x {CELLS} x {FEATURES}"
    server = str(Path(__file__).with_name("peer_pertpy.py"))
    command = [pertpy_python, server, str(tmp_path / "cells.npz"), str(tmp_path / "found.npy")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, **pipes) as peer:

        def wait_for(word: str) -> None:
            if all(line.strip() != word for line in peer.stdout):
                pytest.fail(f"{pertpy_python} could not run pertpy: it ended before it was {word}")

        def run() -> None:
            peer.stdin.write("go\n")
            peer.stdin.flush()
            wait_for("done")

        wait_for("ready")
        benchmark.pedantic(run, rounds=1)
    want = energies(cells, codes, pairs, resolve_threads())
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), want, rtol=1e-9, atol=1e-11)


def test_many_groups_to_one_control(benchmark) -> None:
    rng = np.random.default_rng(1)
    codes = np.r_[np.zeros(20_000), 1 + np.repeat(np.arange(200), 500)].astype(np.int32)
    cells = rng.normal(size=(codes.size, FEATURES)).astype("f4")
    own = np.repeat(np.arange(201), 2).reshape(-1, 2)
    to_control = np.stack([np.zeros(200, int), np.arange(1, 201)], 1)
    pairs = np.vstack([own, to_control]).astype(np.int32)
    n_threads = resolve_threads()
    benchmark.group = "energy distance to 20,000 controls of 200 x 500 x 50"
    benchmark.extra_info |= {"isa": _core.isa(), "threads": n_threads, "dtype": "f4", "bytes": cells.nbytes}

    def run() -> np.ndarray:
        return _core.pair_means(cells, codes, 201, pairs, "euclidean", n_threads=n_threads)

    assert_means(run()[201:], cells, codes, pairs[201:])
    benchmark.pedantic(run, rounds=3)
    reached(benchmark, "square", formed(codes, pairs) * FEATURES, n_threads)


@pytest.mark.parametrize("gammas", [GAMMAS[1:2], GAMMAS], ids=lambda gammas: f"{len(gammas)} gammas")
def test_rbf_kernels(benchmark, gammas: list[float]) -> None:
    cells, codes, pairs = groups_of(GROUPS, CELLS)
    n_threads = resolve_threads()
    benchmark.group = f"rbf kernel means {GROUPS} x {CELLS} x {FEATURES}"
    benchmark.extra_info |= {"isa": _core.isa(), "threads": n_threads, "n_gammas": len(gammas)}

    def run() -> np.ndarray:
        return _core.pair_means(cells, codes, GROUPS, pairs, "rbf", gammas=gammas, n_threads=n_threads)

    squares = cdist(cells[codes == 0], cells[codes == 1], "sqeuclidean")
    np.testing.assert_allclose(run()[:, 1], [np.exp(-gamma * squares).mean() for gamma in gammas], rtol=1e-12)
    benchmark.pedantic(run, rounds=5)
    reached(benchmark, "square", formed(codes, pairs) * FEATURES, n_threads)


@pytest.mark.parametrize("what", ["one distance", "1,000 permutations"])
@pytest.mark.parametrize("n", [400, 1000])
def test_permutations(benchmark, n: int, what: str) -> None:
    """Two groups of n cells; the permutation test wants the pairs inside a group and the sums of the rows."""
    cells, codes, pairs = groups_of(2, n)
    rng = np.random.default_rng(2)
    labels = np.ascontiguousarray(np.array([rng.permutation(codes == 0) for _ in range(1000)]).T.astype(float))
    n_threads = resolve_threads()
    benchmark.group = f"permutation test {n} + {n} x {FEATURES}"
    benchmark.extra_info |= {"isa": _core.isa(), "threads": n_threads, "n_columns": labels.shape[1]}

    def run() -> tuple[np.ndarray, np.ndarray]:
        rows = _core.pair_row_sums(cells, None, "euclidean", n_threads=n_threads)
        return rows, _core.weighted_pair_sums(cells, None, labels, None, "euclidean", n_threads=n_threads)

    if what == "one distance":
        benchmark.pedantic(energies, (cells, codes, pairs, n_threads), rounds=21, warmup_rounds=2)
        reached(benchmark, "square", 2 * n * (2 * n - 1) // 2 * FEATURES, n_threads)
        return
    rows, inside = run()
    distances = cdist(cells, cells)
    np.testing.assert_allclose(rows, distances.sum(1), rtol=1e-12)
    np.testing.assert_allclose(inside[:5], [s @ distances @ s for s in labels.T[:5]], rtol=1e-12)
    benchmark.pedantic(run, rounds=7, warmup_rounds=1)
    reached(benchmark, "product", 2 * n * (2 * n - 1) // 2 * labels.shape[1], n_threads)


MEMORY = """
import numpy as np, pathlib
from vcmetrics import _core
n_groups = 1000
cells = np.random.default_rng(0).normal(size=(200_000, 50)).astype("f4")
codes = np.repeat(np.arange(n_groups, dtype=np.int32), 200)
pairs = np.stack(np.triu_indices(n_groups), 1).astype(np.int32)
def status(name):
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith(name + ":"))
pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = status("VmRSS")
_core.pair_means(cells, codes, n_groups, pairs, "euclidean", n_threads={n_threads})
print(status("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from /proc")
def test_memory_of_200_000_cells(benchmark) -> None:
    """Peak beyond the input: all pairs of 1,000 groups × 200 cells × 50 features, float32; 20 G pairs."""
    benchmark.group = "energy distance 1,000 x 200 x 50"
    n_threads = resolve_threads()
    found = []

    def run() -> None:
        program = [sys.executable, "-c", MEMORY.format(n_threads=n_threads)]
        found.append(int(subprocess.run(program, check=True, capture_output=True, text=True).stdout) / 1024)

    benchmark.pedantic(run, rounds=1)
    benchmark.extra_info |= {"threads": n_threads, "beyond_input_MiB": round(found[0])}
    assert found[0] < 200
