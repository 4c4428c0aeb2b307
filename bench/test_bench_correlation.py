"""Per-gene correlation beside NumPy, SciPy and a copy of the same tables; bootstrap of all aggregates."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import spearmanr

from vcmetrics import _core
from vcmetrics.arrays import column_correlation
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.metrics.aggregate import Parts
from vcmetrics.metrics.gene_bootstrap import bootstrap_summary
from vcmetrics.metrics.resample import percentile_interval, resample_counts
from vcmetrics.scoring.interval import replicates

N, G = 2000, 18_533
LOOPED = 400  # columns that SciPy is timed on; its time is linear in them


@pytest.fixture(scope="module", params=["float32", "float64"])
def tables(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, G), dtype=request.param)
    return x, 0.5 * x + rng.standard_normal((N, G), dtype=request.param)


def two_pass(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    a, b = x - x.mean(0, dtype=np.float64), y - y.mean(0, dtype=np.float64)
    return (a * b).sum(0) / np.sqrt((a * a).sum(0) * (b * b).sum(0))


def copy_rate(source: np.ndarray, n_threads: int) -> float:
    """Bytes copied a second, by the quickest of several copies; the pages are there already."""
    target = np.empty_like(source)
    parts = np.array_split(np.arange(len(source)), n_threads)

    def copy() -> None:
        workers = [
            threading.Thread(target=np.copyto, args=(target[p[0] : p[-1] + 1], source[p[0] : p[-1] + 1])) for p in parts
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    copy()
    return source.nbytes / min(seconds(copy) for _ in range(7))


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def described(benchmark, x: np.ndarray, group: str, n_threads: int) -> None:
    benchmark.group = f"{group} {x.dtype} {x.shape[0]}x{x.shape[1]}"
    benchmark.extra_info |= {
        "n_groups": x.shape[0],
        "n_vars": x.shape[1],
        "bytes": 2 * x.nbytes,
        "isa": _core.isa(),
        "threads": n_threads,
    }


@pytest.mark.parametrize("by", ["vcmetrics", "vcmetrics, one thread", "numpy"])
def test_pearson(benchmark, tables, by: str) -> None:
    x, y = tables
    n_threads = resolve_threads() if by == "vcmetrics" else 1
    described(benchmark, x, "pearson by gene", n_threads)
    if by == "numpy":
        benchmark.pedantic(two_pass, (x, y), rounds=3)
        return
    got = column_correlation(x, y, n_threads=n_threads)
    np.testing.assert_allclose(got[:500], two_pass(x[:, :500].astype("f8"), y[:, :500].astype("f8")), rtol=1e-9)
    benchmark.pedantic(column_correlation, (x, y), {"n_threads": n_threads}, rounds=7, warmup_rounds=1)
    rate = copy_rate(x, n_threads)
    read = 2 * x.nbytes / benchmark.stats.stats.median
    benchmark.extra_info |= {"copy_GB_s": round(rate / 1e9, 1), "read_GB_s": round(read / 1e9, 1)}
    benchmark.extra_info["fraction_of_copy"] = round(read / rate, 2)


@pytest.mark.parametrize("by", ["vcmetrics", "scipy"])
def test_spearman(benchmark, tables, by: str) -> None:
    x, y = tables
    n_threads = resolve_threads() if by == "vcmetrics" else 1
    described(benchmark, x, "spearman by gene", n_threads)

    def looped() -> np.ndarray:
        return np.array([spearmanr(x[:, g], y[:, g])[0] for g in range(LOOPED)])

    if by == "scipy":
        benchmark.extra_info["columns_timed"] = LOOPED
        benchmark.pedantic(looped, rounds=1)
        benchmark.extra_info["seconds_for_all_columns"] = round(benchmark.stats.stats.median * G / LOOPED, 2)
        return
    np.testing.assert_allclose(column_correlation(x, y, method="spearman")[:LOOPED], looped(), rtol=1e-12)
    how = {"method": "spearman", "n_threads": n_threads}
    benchmark.pedantic(column_correlation, (x, y), how, rounds=5, warmup_rounds=1)


def test_bootstrap_of_all_aggregates(benchmark) -> None:
    """1,000 resamples of 300 perturbations × 50 metrics, one of them a ratio of sums, one a rank correlation."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 52))
    parts = {f"m{k}": Parts("mean", (values[:, k],)) for k in range(48)}
    parts["ratio"] = Parts("ratio_of_sums", (values[:, 48], 1 + values[:, 49] ** 2))
    parts["spearman"] = Parts("spearman", (values[:, 50], values[:, 51]))

    def run() -> tuple[np.ndarray, np.ndarray]:
        found = replicates(parts, resample_counts(300, 1000, 0))
        return percentile_interval(np.stack(list(found.values()), 1), 0.95)

    low, high = run()
    assert (low < high).all()
    benchmark.group = "bootstrap 300 x 50"
    benchmark.extra_info |= {"n_groups": 300, "n_metrics": len(parts), "n_resamples": 1000}
    benchmark.pedantic(run, rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("ranked", [False, True], ids=["pearson", "spearman"])
def test_bootstrap_of_all_genes(benchmark, ranked: bool) -> None:
    """Median and quantiles over 18,533 genes in 1,000 resamples of 300 perturbations."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, G))
    y = x + rng.normal(size=x.shape)
    benchmark.group = "bootstrap of genes 300"
    benchmark.extra_info |= {"n_groups": 300, "n_vars": G, "n_resamples": 1000, "threads": resolve_threads()}
    how = {"n_resamples": 1000, "seed": 0, "ranked": ranked}
    benchmark.pedantic(bootstrap_summary, (x, y, np.arange(300), None), how, rounds=1)
