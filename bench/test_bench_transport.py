"""Sinkhorn costs between groups, beside POT's iteration on the same costs.

Two floors. On potentials an iteration takes two exponentials an entry: at most ``exp_G_per_s`` / 2 entries a second.
On scalings it reads the kernel once: at most a bandwidth / 8 bytes; in memory ``read_GB_per_s``, in the caches more.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import pytest

from bench.test_bench_moments import read_rate, upper
from vcmetrics import _core
from vcmetrics.backend.threads import resolve_threads


@lru_cache
def exponentials(n_threads: int) -> float:
    """Exponentials of float64 a second that NumPy makes on as many threads, in the caches."""
    x = np.random.default_rng(0).uniform(-50, 0, (n_threads, 4096))
    out = np.empty_like(x)

    def work(k: int) -> None:
        for _ in range(5000):
            np.exp(x[k], out[k])

    start = time.perf_counter()
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(work, range(n_threads)))
    return 5000 * x.size / (time.perf_counter() - start)


def embedded(n_groups: int, n_cells: int) -> tuple[np.ndarray, np.ndarray]:
    """50 dimensions whose spread falls as that of principal components does."""
    rng = np.random.default_rng(0)
    spread = 3 * np.exp(-np.arange(50) / 15)
    codes = np.repeat(np.arange(n_groups, dtype=np.int32), n_cells)
    return (rng.normal(size=(codes.size, 50)) + 0.3 * rng.normal(size=(n_groups, 50))[codes]) * spread, codes


def by_pot(x: np.ndarray, y: np.ndarray, n_iterations: int) -> float:
    import ot

    costs = ot.dist(x, y)
    epsilon = 0.05 * costs.std()
    a, b = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    plan, log = ot.bregman.sinkhorn_log(a, b, costs, epsilon, n_iterations, stopThr=0, warn=False, log=True)
    dual = log["log_u"].mean() + log["log_v"].mean() - np.log(a).mean() - np.log(b).mean()
    return float(epsilon * (dual - plan.sum() + 1))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("by", ["vcmetrics", "pot"])
@pytest.mark.parametrize(("n_groups", "n_cells"), [(12, 400), (4, 1000), (2, 4000)])
def test_sinkhorn(benchmark, n_groups: int, n_cells: int, by: str) -> None:
    pytest.importorskip("ot")
    cells, codes = embedded(n_groups, n_cells)
    pairs, n_threads = upper(n_groups), resolve_threads()
    cost, iterations, converged = _core.sinkhorn_costs(cells, codes, n_groups, pairs, n_threads=n_threads)
    assert converged.all()
    blocks = [cells[codes == g] for g in range(n_groups)]
    want = by_pot(blocks[0], blocks[1], int(iterations[0]))
    assert cost[0] == pytest.approx(want, rel=1e-9)
    benchmark.group = f"sinkhorn {n_cells} x {n_cells}, {len(pairs)} pairs (POT: 1 pair)"
    if by == "pot":
        benchmark.pedantic(by_pot, (blocks[0], blocks[1], int(iterations[0])), rounds=2)
        benchmark.extra_info["pairs"] = 1
        return
    arguments = (cells, codes, n_groups, pairs)
    benchmark.pedantic(_core.sinkhorn_costs, arguments, {"n_threads": n_threads}, rounds=5, warmup_rounds=1)
    entries = int(iterations.sum()) * n_cells * n_cells / benchmark.stats.stats.median
    benchmark.extra_info |= {
        "pairs": len(pairs),
        "isa": _core.isa(),
        "threads": n_threads,
        "G_entries_per_s": round(entries / 1e9, 2),
        "exp_G_per_s": round(exponentials(n_threads) / 1e9, 2),
        "of_two_exponentials": round(2 * entries / exponentials(n_threads), 2),
        "kernel_GB_per_s": round(8 * entries / 1e9, 1),
        "read_GB_per_s": round(read_rate(n_threads) / 1e9, 1),
    }
