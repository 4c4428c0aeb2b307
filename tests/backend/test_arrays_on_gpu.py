"""The calls of vcmetrics.arrays by every engine, against the CPU."""

from __future__ import annotations

import numpy as np
import pytest

from vcmetrics import DeviceError, VcmetricsWarning, arrays
from vcmetrics.backend import gpu
from vcmetrics.metrics.co_moments_on_device import co_moments_on
from vcmetrics.retrieval.on_device import cdist_on, match_rank_on
from vcmetrics.retrieval.pairs import METRICS
from vcmetrics.retrieval.ranks import TIES

from .conftest import twin

RNG = np.random.default_rng(0)
X, Y = RNG.normal(1, 1, (67, 301)), RNG.normal(1, 1, (29, 301))
X[5], X[6], X[7] = 0.0, 3.0, X[8]  # without direction, constant, a duplicate


@pytest.fixture
def gpu_by_twin(monkeypatch):
    """A machine whose GPU is the twin: public calls with device="cuda" run there."""
    engine = twin()
    monkeypatch.setattr(gpu, "resolve_device", lambda device, **_: "cuda" if device == "cuda" else "cpu")
    monkeypatch.setattr(gpu, "engine", lambda: engine)
    return engine


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("from_host", [False, True])
def test_cdist(on, metric, dtype, from_host):
    x, y = X.astype(dtype), Y.astype(dtype)
    given = (x, y) if from_host else (on.xp.asarray(x), on.xp.asarray(y))
    got = cdist_on(on, *given, metric, None, from_host=from_host)
    assert isinstance(got, np.ndarray if from_host else on.xp.ndarray)
    want = arrays.cdist(x, y, metric)
    np.testing.assert_allclose(on.to_host(got), want, rtol=1e-12, atol=1e-13)
    if on.kernels.is_compiled and (on.xp is np or metric not in ("pearson",)):
        np.testing.assert_array_equal(on.to_host(got), want)
    same = cdist_on(on, given[0], given[0], metric, None, from_host=from_host)
    np.testing.assert_allclose(on.to_host(same), arrays.cdist(x, x, metric), rtol=1e-12, atol=1e-13)
    if on.kernels.is_compiled:
        assert (on.to_host(same)[8, 7:9] == 0).all()


@pytest.mark.parametrize("metric", ["cosine", "pearson"])
def test_angles_of_rows_beyond_the_range_of_squares(on, metric):
    x = X[8:12] * np.array([[1e-170], [1e160], [1.0], [1e-170]])
    got = on.to_host(cdist_on(on, on.xp.asarray(x), on.xp.asarray(Y), metric, None, from_host=False))
    np.testing.assert_allclose(got, arrays.cdist(x, Y, metric), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("metric", METRICS)
def test_nan_stays_in_its_row(on, metric):
    x = X.copy()
    x[3, 7] = np.nan
    got = on.to_host(cdist_on(on, on.xp.asarray(x), on.xp.asarray(Y), metric, None, from_host=False))
    np.testing.assert_allclose(got, arrays.cdist(x, Y, metric), rtol=1e-12, atol=1e-13)
    assert np.isnan(got[3]).all()


def test_other_numbers_and_layouts(on):
    x = RNG.integers(0, 9, (7, 6))
    want = arrays.cdist(x, x, "cityblock")
    for given in (x, x.astype(np.float16), x.astype(np.uint8), np.asfortranarray(x.astype(np.float32))):
        got = cdist_on(on, on.xp.asarray(given), on.xp.asarray(given), "cityblock", None, from_host=False)
        np.testing.assert_array_equal(on.to_host(got), want)
    out = on.xp.empty((7, 7))
    table = on.xp.asarray(x)
    assert cdist_on(on, table, table, "cityblock", out, from_host=False) is out
    with pytest.raises(ValueError, match="where the tables lie"):
        cdist_on(on, table, table, "cityblock", on.xp.empty((7, 6)), from_host=False)
    with pytest.raises(ValueError, match="x has 6 features, y has 5"):
        cdist_on(on, table, table[:, :5], "cityblock", None, from_host=False)
    with pytest.raises(DeviceError, match="metric 'kendall' has no CUDA kernels"):
        cdist_on(on, table, table, "kendall", None, from_host=False)


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("from_host", [False, True])
def test_match_rank(on, ties, from_host):
    d = RNG.integers(0, 5, (40, 70)).astype(np.float32)
    d[RNG.uniform(size=d.shape) < 0.1] = np.nan
    own = RNG.integers(0, 70, 40)
    table = d if from_host else on.xp.asarray(d)
    got = match_rank_on(on, table, own, ties, from_host=from_host)
    np.testing.assert_array_equal(on.to_host(got), arrays.match_rank(d, own=own, ties=ties))
    for view in (table.T[:40], table[::2], table[:, ::-1]):
        got = match_rank_on(on, view, np.arange(len(view)), ties, from_host=from_host)
        host = on.to_host(view) if not from_host else view
        np.testing.assert_array_equal(on.to_host(got), arrays.match_rank(host, own=np.arange(len(view)), ties=ties))
    whole = np.nan_to_num(d).astype(np.int64)
    got = match_rank_on(on, whole if from_host else on.xp.asarray(whole), own, ties, from_host=from_host)
    np.testing.assert_array_equal(on.to_host(got), arrays.match_rank(whole, own=own, ties=ties))


@pytest.mark.parametrize("from_host", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_co_moments(on, from_host, weighted):
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(90, 50)).astype(np.float32), rng.normal(size=(90, 50))
    x[4, 3] = np.nan
    weights = rng.integers(0, 3, 90) if weighted else None
    given = (x, y) if from_host else (on.xp.asarray(x), on.xp.asarray(y))
    state, n = co_moments_on(on, *given, weights, from_host=from_host)
    want = arrays.CoMoments(50).add(x, y, weights=weights)
    got = arrays.CoMoments.of_state(on.to_host(state))
    np.testing.assert_allclose(got.pearson(), want.pearson(), rtol=1e-12)
    np.testing.assert_array_equal(got.n, want.n)
    assert n == 90
    with pytest.raises(ValueError, match="pass tables of one shape"):
        co_moments_on(on, given[0], given[1][:5], None, from_host=from_host)
    with pytest.raises(ValueError, match="weights must be 90 finite numbers"):
        co_moments_on(on, *given, -np.ones(90), from_host=from_host)


def test_public_calls_on_the_device(gpu_by_twin):
    for metric in METRICS:
        got = arrays.cdist(X, Y, metric, device="cuda")
        np.testing.assert_array_equal(got, arrays.cdist(X, Y, metric))
    d = arrays.cdist(X[:29], Y, "cityblock")
    np.testing.assert_array_equal(arrays.match_rank(d, device="cuda"), arrays.match_rank(d))
    x = X.copy()
    x[3, 4] = np.nan
    for method in ("pearson", "concordance"):
        for nan in ("omit", "propagate"):
            r, n = arrays.column_correlation(x, X[::-1], method=method, nan=nan, return_n=True, device="cuda")
            want, want_n = arrays.column_correlation(x, X[::-1], method=method, nan=nan, return_n=True)
            np.testing.assert_allclose(r, want, rtol=1e-12, atol=1e-14)
            np.testing.assert_array_equal(n, want_n)
    with pytest.raises(DeviceError, match="'spearman' has no CUDA kernel"):
        arrays.column_correlation(X, X, method="spearman", device="cuda")


def test_memory_that_runs_out_halves_the_batch(gpu_by_twin, monkeypatch):
    want = arrays.cdist(X, Y, "cosine")
    whole = gpu_by_twin.kernels.pair_sums

    def scarce(x, y, term, out=None):
        if len(x) > 20:
            msg = "out of memory"
            raise MemoryError(msg)
        return whole(x, y, term, out)

    monkeypatch.setattr(gpu_by_twin.kernels, "pair_sums", scarce)
    with pytest.warns(VcmetricsWarning, match="cdist: out of memory on the device; going on with batches of") as told:
        got = arrays.cdist(X, Y, "cosine", device="cuda")
    np.testing.assert_array_equal(got, want)
    assert len(told) == 2  # 67, 34, 17


def test_reasons(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match=r"CuPy .*"):
        gpu.load_cupy()
    monkeypatch.setattr(gpu, "cuda_status", lambda: (1, ""))
    count, reason = gpu.gpu_status()
    assert count == 0
    assert "CuPy" in reason
    monkeypatch.setattr(gpu, "cuda_status", lambda: (0, "no driver here"))
    assert gpu.gpu_status() == (0, "no driver here")


def test_plain_cupy_warns_once():
    gpu._warn_plain.cache_clear()
    with pytest.warns(VcmetricsWarning, match="computed by plain CuPy.*built without"):
        gpu._warn_plain("vcmetrics was built without its CUDA extension")
    gpu._warn_plain("vcmetrics was built without its CUDA extension")
