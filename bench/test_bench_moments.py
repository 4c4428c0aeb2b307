"""Group moments, sorted columns and rank correlations of profiles, beside NumPy and SciPy.

Floors: moments read every value once from memory (``read_GB_per_s``, the rate of a plain NumPy product on as many
threads); sorted columns take n + m steps a pair and feature after one sort a group and feature.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import pytest
from scipy.stats import kendalltau, ks_2samp, wasserstein_distance

from vcmetrics import _core
from vcmetrics.backend.threads import resolve_threads


@lru_cache
def read_rate(n_threads: int) -> float:
    """Bytes a second that as many threads read from memory."""
    parts = np.array_split(np.ones(2**27, np.float32), n_threads)
    best = np.inf
    with ThreadPoolExecutor(n_threads) as pool:
        for _ in range(5):
            start = time.perf_counter()
            list(pool.map(lambda part: np.dot(part, part), parts))
            best = min(best, time.perf_counter() - start)
    return 2**29 / best


def groups_of(n_cells: int, n_features: int, n_groups: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    cells = np.empty((n_cells, n_features), dtype)
    for first in range(0, n_cells, 10_000):
        block = cells[first : first + 10_000]
        block[:] = rng.standard_normal(block.shape, np.float32)
    return cells, rng.integers(0, n_groups, n_cells).astype(np.int32)


def upper(n: int) -> np.ndarray:
    return np.stack(np.triu_indices(n, 1), 1).astype(np.int32)


def moments_by_numpy(cells: np.ndarray, codes: np.ndarray, n_groups: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=n_groups))
    mean, m2 = np.empty((2, n_groups, cells.shape[1]))
    for g, (first, last) in enumerate(zip(np.r_[0, ends[:-1]], ends, strict=True)):
        block = cells[order[first:last]].astype(np.float64)
        mean[g] = block.mean(0)
        m2[g] = ((block - mean[g]) ** 2).sum(0)
    return mean, m2


@pytest.mark.parametrize("by", ["vcmetrics", "numpy"])
@pytest.mark.parametrize(
    ("n_cells", "n_features", "n_groups", "dtype"),
    [(1_000_000, 50, 2000, "f4"), (1_000_000, 50, 2000, "f8"), (20_000, 18_533, 50, "f4")],
)
def test_moments(benchmark, n_cells: int, n_features: int, n_groups: int, dtype: str, by: str) -> None:
    cells, codes = groups_of(n_cells, n_features, n_groups, dtype)
    n_threads = resolve_threads()
    benchmark.group = f"moments {n_cells}x{n_features} {dtype}"
    want = moments_by_numpy(cells, codes, n_groups)
    _, *got = _core.group_moments(cells, codes, n_groups, n_threads)
    np.testing.assert_allclose(got[0], want[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(got[1], want[1], rtol=1e-12)
    if by == "numpy":
        benchmark.pedantic(moments_by_numpy, (cells, codes, n_groups), rounds=2)
    else:
        benchmark.pedantic(_core.group_moments, (cells, codes, n_groups, n_threads), rounds=7, warmup_rounds=1)
    rate = cells.nbytes / benchmark.stats.stats.median
    benchmark.extra_info |= {
        "n_obs": n_cells,
        "n_vars": n_features,
        "n_groups": n_groups,
        "isa": _core.isa(),
        "threads": n_threads,
        "GB_per_s": round(rate / 1e9, 1),
        "read_GB_per_s": round(read_rate(n_threads) / 1e9, 1),
    }


def closed_form(cells: np.ndarray, codes: np.ndarray, n_groups: int, n_threads: int) -> np.ndarray:
    """Energy distances of all pairs on squared distances, U-statistic: 2 (|Δμ|² - S²x/n - S²y/m)."""
    n, mean, m2 = _core.group_moments(cells, codes, n_groups, n_threads)
    own = m2.sum(1) / (n - 1) / n
    apart = _core.pairwise_sums(mean, mean, "sqeuclidean", None, n_threads)
    return 2 * (apart - own[:, None] - own)


def test_squared_energy_of_a_million_cells(benchmark) -> None:
    cells, codes = groups_of(1_000_000, 50, 2000, "f4")
    n_threads = resolve_threads()
    benchmark.group = "energy distance, squared, 1,000,000 cells, all pairs of 2,000 groups"
    got = closed_form(cells, codes, 2000, n_threads)
    x, y = (cells[codes == g].astype(np.float64) for g in (3, 11))
    between = ((x[:, None] - y) ** 2).sum(-1).mean()
    within = sum(((z[:, None] - z) ** 2).sum(-1).sum() / len(z) / (len(z) - 1) for z in (x, y))
    assert got[3, 11] == pytest.approx(2 * between - within, rel=1e-6, abs=1e-9)
    benchmark.extra_info |= {"isa": _core.isa(), "threads": n_threads}
    benchmark.pedantic(closed_form, (cells, codes, 2000, n_threads), rounds=5, warmup_rounds=1)


def columns_by_scipy(cells: np.ndarray, codes: np.ndarray, pairs: np.ndarray, statistic: str) -> np.ndarray:
    def one(x: np.ndarray, y: np.ndarray) -> float:
        return ks_2samp(x, y, method="asymp").statistic if statistic == "ks" else wasserstein_distance(x, y)

    blocks = [(cells[codes == a].T, cells[codes == b].T) for a, b in pairs]
    return np.array([np.mean([one(*columns) for columns in zip(*block, strict=True)]) for block in blocks])


@pytest.mark.parametrize("by", ["vcmetrics", "scipy"])
@pytest.mark.parametrize("statistic", ["ks", "w1"])
def test_sorted_columns(benchmark, statistic: str, by: str) -> None:
    n_groups, n_cells, n_features = 50, 400, 50
    cells, _ = groups_of(n_groups * n_cells, n_features, n_groups, "f4")
    codes = np.random.default_rng(1).permutation(np.repeat(np.arange(n_groups, dtype=np.int32), n_cells))
    pairs, n_threads = upper(n_groups), resolve_threads()
    few = pairs[::100].copy()  # SciPy's share: 13 of 1,225 pairs
    benchmark.group = f"{statistic} over columns, 50 x 400 x 50 (SciPy: 13 of 1,225 pairs)"
    want = columns_by_scipy(cells, codes, few, statistic)
    np.testing.assert_allclose(
        _core.sorted_column_means(cells, codes, n_groups, few, statistic, n_threads), want, rtol=1e-12
    )
    if by == "scipy":
        benchmark.pedantic(columns_by_scipy, (cells, codes, few, statistic), rounds=2)
        benchmark.extra_info["pairs"] = len(few)
        return
    arguments = (cells, codes, n_groups, pairs, statistic, n_threads)
    benchmark.pedantic(_core.sorted_column_means, arguments, rounds=5, warmup_rounds=1)
    steps = len(pairs) * 2 * n_cells * n_features
    benchmark.extra_info |= {
        "pairs": len(pairs),
        "isa": _core.isa(),
        "threads": n_threads,
        "G_steps_per_s": round(steps / benchmark.stats.stats.median / 1e9, 2),
    }


@pytest.mark.parametrize("by", ["vcmetrics", "scipy"])
@pytest.mark.parametrize("ties", [False, True])
def test_kendall(benchmark, ties: bool, by: str) -> None:
    rng = np.random.default_rng(2)
    profiles = rng.normal(size=(50, 18_533)) + rng.normal(size=18_533)
    if ties:
        profiles = np.maximum(np.round(profiles, 1), 0)
    pairs, n_threads = upper(50), resolve_threads()
    few = pairs[::25].copy()  # SciPy's share: 49 of 1,225 pairs
    benchmark.group = f"kendall 50 x 18,533, ties {ties} (SciPy: 49 of 1,225 pairs)"

    def by_scipy() -> list[float]:
        return [kendalltau(profiles[a], profiles[b]).statistic for a, b in few]

    np.testing.assert_allclose(_core.kendall_tau(profiles, few, n_threads), by_scipy(), rtol=1e-14)
    if by == "scipy":
        benchmark.pedantic(by_scipy, rounds=2)
    else:
        benchmark.pedantic(_core.kendall_tau, (profiles, pairs, n_threads), rounds=5, warmup_rounds=1)
    benchmark.extra_info |= {"pairs": len(few if by == "scipy" else pairs), "isa": _core.isa(), "threads": n_threads}
