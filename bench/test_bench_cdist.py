"""Distances of all rows beside scikit-learn and SciPy; ``extra_info`` states the fraction of the arithmetic floor."""

from __future__ import annotations

import numpy as np
import pytest

from bench.ceiling import floor_seconds
from vcmetrics import _core, arrays
from vcmetrics.backend.threads import resolve_threads

N_FEATURES = 18_533


def scipy(x: np.ndarray, y: np.ndarray, metric: str) -> np.ndarray:
    from scipy.spatial.distance import cdist

    return cdist(x, y, metric)


def sklearn(x: np.ndarray, y: np.ndarray, metric: str) -> np.ndarray:
    from sklearn.metrics import pairwise_distances

    return pairwise_distances(x, y, metric=metric)


BY = {"vcmetrics": arrays.cdist, "scipy": scipy, "sklearn": sklearn}


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("metric", ["cityblock", "euclidean", "cosine"])
@pytest.mark.parametrize("n", [300, 1000])
def test_cdist(benchmark, n: int, metric: str, dtype: str, by: str) -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(n, N_FEATURES)).astype(dtype) for _ in range(2))
    benchmark.group = f"cdist {metric} {n} × {n} × {N_FEATURES:,} {dtype}"
    floor = floor_seconds(metric, n, n, N_FEATURES, resolve_threads())
    few_x, few_y = x[:20], y[:20]  # results first
    want = scipy(few_x.astype(float), few_y.astype(float), metric)
    loose = by == "sklearn" and dtype == "float32"
    np.testing.assert_allclose(BY[by](few_x, few_y, metric), want, rtol=1e-4 if loose else 1e-10)
    rounds = 5 if by == "vcmetrics" else 1
    benchmark.pedantic(BY[by], (x, y, metric), rounds=rounds, warmup_rounds=2 * int(by == "vcmetrics"))
    benchmark.extra_info |= {
        "n_obs": n,
        "n_vars": N_FEATURES,
        "isa": _core.isa(),
        "threads": resolve_threads(),
        "floor_s": round(floor, 4),
        "fraction_of_floor": round(floor / benchmark.stats.stats.median, 3),
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_match_rank(benchmark, dtype: str) -> None:
    d = np.random.default_rng(0).normal(size=(5000, 5000)).astype(dtype)
    benchmark.group = "match_rank 5,000 × 5,000"
    own = np.diag(d)[:, None]
    others = (d == own).sum(1) - 1
    np.testing.assert_array_equal(arrays.match_rank(d), (d < own).sum(1) + others / 2)
    benchmark.pedantic(arrays.match_rank, (d,), rounds=3, warmup_rounds=1)
