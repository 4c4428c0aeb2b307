"""Distances and match ranks of bare arrays, from whatever library they come."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.spatial.distance import cdist as scipy_cdist
from scipy.stats import spearmanr

from vcmetrics import DeviceError, VcmetricsWarning, _core, arrays
from vcmetrics.retrieval.pairs import METRICS
from vcmetrics.retrieval.ranks import TIES

RNG = np.random.default_rng(0)
X, Y = RNG.normal(1, 1, (37, 301)), RNG.normal(1, 1, (29, 301))


def oracle(x: np.ndarray, y: np.ndarray, metric: str) -> np.ndarray:
    x, y = x.astype(float), y.astype(float)
    if metric == "spearman":
        return np.array([[1 - spearmanr(a, b).statistic for b in y] for a in x])
    return scipy_cdist(x, y, {"pearson": "correlation"}.get(metric, metric))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", METRICS)
def test_scipy_agrees(metric: str, dtype: type) -> None:
    x, y = X.astype(dtype), Y.astype(dtype)
    got = arrays.cdist(x, y, metric)
    np.testing.assert_allclose(got, oracle(x, y, metric), rtol=1e-12, atol=1e-13)
    for alias in METRICS[metric]:
        np.testing.assert_array_equal(arrays.cdist(x, y, alias), got)


@pytest.mark.parametrize("metric", METRICS)
def test_layouts_threads_and_paths_give_the_same_bits(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    want = arrays.cdist(X, Y, metric)
    wide = np.zeros((37, 602))
    wide[:, ::2] = X
    for x in (np.asfortranarray(X), wide[:, ::2], X[::-1][::-1]):
        np.testing.assert_array_equal(arrays.cdist(x, Y, metric), want)
    for n_threads in (1, 2, 3, 7):
        np.testing.assert_array_equal(arrays.cdist(X, Y, metric, n_threads=n_threads), want)
    for isa in _core.isa_available():
        monkeypatch.setenv("VCMETRICS_ISA", isa)
        np.testing.assert_array_equal(arrays.cdist(X, Y, metric), want)
    out = np.empty_like(want)
    assert arrays.cdist(X, Y, metric, out=out) is out
    np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale", [1.0, 1e-170, 1e160])
def test_a_row_has_distance_zero_to_itself_and_to_its_copy(metric: str, scale: float) -> None:
    if metric in ("sqeuclidean", "euclidean") and scale > 1:
        pytest.skip("squares leave the range of float64")
    x = scale * np.vstack([X[:5], X[:5]])
    for table in (arrays.cdist(x, x, metric), arrays.cdist(x, x.copy(), metric)):
        near = np.array([table[i, j] for i in range(5) for j in (i, i + 5)])
        assert (near == 0).all()
        np.testing.assert_array_equal(table, table.T)


def test_distances_of_the_registry() -> None:
    from vcmetrics.metrics.distance.registry import rows

    for spec in rows():
        if spec.kind == "profile":
            got = arrays.cdist(X[:3], Y[:2], spec.name)
            want = [[spec.reference(a[None], b[None]) for b in Y[:2]] for a in X[:3]]
            np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)
            out = np.empty((3, 2))
            np.testing.assert_array_equal(arrays.cdist(X[:3], Y[:2], spec.name, out=out), got)
    with pytest.raises(ValueError, match="metric 'edistance' is not a distance of profiles"):
        arrays.cdist(X, Y, "edistance")


def test_zero_and_constant_rows_are_at_distance_one() -> None:
    x = np.vstack([np.zeros(4), np.full(4, 0.1), np.arange(4.0)])
    np.testing.assert_array_equal(arrays.cdist(x[:1], x, "cosine"), [[1, 1, 1]])
    for metric in ("pearson", "spearman"):
        np.testing.assert_array_equal(arrays.cdist(x[:2], x, metric), np.ones((2, 3)))


@pytest.mark.parametrize("metric", METRICS)
def test_nan_stays_in_its_row(metric: str) -> None:
    x = X.copy()
    x[3, 7] = np.nan
    got = arrays.cdist(x, Y, metric)
    assert np.isnan(got[3]).all()
    np.testing.assert_array_equal(np.delete(got, 3, 0), np.delete(arrays.cdist(X, Y, metric), 3, 0))


def test_whole_numbers_lists_and_half_floats() -> None:
    x = RNG.integers(0, 9, (4, 6))
    want = scipy_cdist(x, x, "cityblock")
    for given in (x, x.tolist(), x.astype(np.float16), x.astype(np.uint8), x > 3):
        got = arrays.cdist(given, given, "cityblock")
        np.testing.assert_array_equal(got, want if given is not x and np.asarray(given).dtype != bool else got)


class Elsewhere:
    """An array of another library, with DLPack and nothing else."""

    def __init__(self, values: np.ndarray, device: int = 1) -> None:
        self.values, self.device = values, device

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device, 0

    def __dlpack__(self, **how: object) -> object:
        return self.values.__dlpack__()


def test_dlpack() -> None:
    np.testing.assert_array_equal(arrays.cdist(Elsewhere(X), Elsewhere(Y), "cosine"), arrays.cdist(X, Y, "cosine"))


def test_a_gpu_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    there = Elsewhere(X, device=2)
    for call in (
        lambda: arrays.cdist(there, there, "cosine"),
        lambda: arrays.match_rank(there),
        lambda: arrays.column_correlation(there, there),
    ):
        with pytest.raises(DeviceError, match=r"is a .* array in the memory of a GPU, which cannot be used: CuPy"):
            call()
    with pytest.raises(DeviceError, match="x lies on a GPU, y on the host; bring both to one place"):
        arrays.cdist(there, Y, "cosine")
    with pytest.raises(DeviceError, match="x lies on a GPU and device='cpu' was asked for"):
        arrays.cdist(there, there, "cosine", device="cpu")
    with pytest.raises(DeviceError, match="x lies on a device that is no CUDA GPU"):
        arrays.cdist(Elsewhere(X, device=8), there, "cosine")
    monkeypatch.setattr("vcmetrics.backend.device.cuda_status", lambda: (0, "no driver here"))
    for call in (
        lambda: arrays.cdist(X, Y, "cosine", device="cuda"),
        lambda: arrays.match_rank(X, device="cuda"),
        lambda: arrays.column_correlation(X, X, device="cuda"),
    ):
        with pytest.raises(DeviceError, match="device='cuda' cannot be used: no driver here"):
            call()


def test_a_large_copy_is_told() -> None:
    x = np.zeros((2, 5_000_000), order="F")
    with pytest.warns(VcmetricsWarning, match=r"x: 0\.07 GiB were copied"):
        arrays.cdist(x, np.zeros((1, 5_000_000)), "cityblock")


def test_wrong_arguments() -> None:
    from scipy.sparse import csr_matrix

    for arguments, error, words in (
        ((X, Y, "chebyshev"), ValueError, "metric 'chebyshev' is not a distance of profiles; choose from cityblock"),
        ((X, Y[:, :3], "l1"), ValueError, "x has 301 features, y has 3"),
        ((X[0], Y, "l1"), ValueError, "x has 1 dimensions; cdist takes rows × features"),
        ((X, Y.astype(complex), "l1"), TypeError, "y holds complex128; cdist takes real numbers"),
        ((csr_matrix(X), Y, "l1"), TypeError, r"x is a sparse matrix; cdist takes dense rows: pass x.toarray\(\)"),
        ((object(), Y, "l1"), TypeError, "x is a object; cdist takes NumPy arrays"),
    ):
        with pytest.raises(error, match=words):
            arrays.cdist(*arguments)
    with pytest.raises(ValueError, match=r"out must be a C-contiguous float64 array of shape \(37, 29\)"):
        arrays.cdist(X, Y, "l1", out=np.empty((29, 37)))


def plain_rank(row: np.ndarray, own: int, ties: str) -> float:
    key = np.where(np.isnan(row), np.inf, row)
    key = np.where(np.isposinf(row), np.finfo(float).max, key)  # an infinite distance is nearer than none
    less = (key < key[own]).sum()
    equal = [j for j in range(len(row)) if j != own and key[j] == key[own]]
    return (
        less
        + {
            "mid": len(equal) / 2,
            "first": sum(j < own for j in equal),
            "last": sum(j > own for j in equal),
            "optimistic": 0,
            "pessimistic": len(equal),
        }[ties]
    )


@pytest.mark.parametrize("ties", TIES)
def test_match_rank_counts(ties: str) -> None:
    rng = np.random.default_rng(1)
    d = rng.integers(0, 4, (40, 60)).astype(float)
    d[rng.uniform(size=d.shape) < 0.1] = np.nan
    d[rng.uniform(size=d.shape) < 0.1] = np.inf
    own = rng.integers(0, 60, 40)
    before = d.copy()
    got = arrays.match_rank(d, own=own, ties=ties)
    np.testing.assert_array_equal(got, [plain_rank(d[i], own[i], ties) for i in range(40)])
    np.testing.assert_array_equal(d, before)
    np.testing.assert_array_equal(arrays.match_rank(d, ties=ties), [plain_rank(d[i], i, ties) for i in range(40)])


def test_match_rank_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    d = np.random.default_rng(2).integers(0, 9, (100, 100)).astype(np.float32)
    want = arrays.match_rank(d)
    monkeypatch.setattr("vcmetrics.retrieval.ranks._BLOCK", 700)
    np.testing.assert_array_equal(arrays.match_rank(d), want)


def test_match_rank_refuses() -> None:
    for d, more, words in (
        (np.zeros(3), {}, "d has 1 dimensions"),
        (np.zeros((3, 2)), {}, "own must name one of 2 columns for each of 3 rows; d is 3 × 2: pass own="),
        (np.zeros((2, 2)), {"own": [0, 2]}, "own must name one of 2 columns"),
        (np.zeros((2, 2)), {"ties": "max"}, "ties 'max' is not one of midrank, position, mid, first"),
    ):
        with pytest.raises(ValueError, match=words):
            arrays.match_rank(d, **more)
