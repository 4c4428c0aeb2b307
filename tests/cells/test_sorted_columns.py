"""Means over features of 1-D distances between groups: SciPy's numbers, ties, bounded memory, the same bits."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import ks_2samp, wasserstein_distance

from vcmetrics import _core
from vcmetrics.reference.sorted_columns import column_mean

STATISTICS = ("ks", "w1", "w2sq")
PAIR = np.array([[0, 1]], np.int32)


def made(seed: int, sizes: list[int], width: int, dtype: str = "f8", ties: bool = False):
    rng = np.random.default_rng(seed)
    cells = rng.normal(size=(sum(sizes), width))
    codes = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    cells += 0.3 * codes[:, None]
    order = rng.permutation(len(codes))
    return (np.round(2 * cells) / 2 if ties else cells).astype(dtype)[order], codes[order]


def by_reference(cells: np.ndarray, codes: np.ndarray, pairs: np.ndarray, statistic: str) -> list[float]:
    return [column_mean(cells[codes == a], cells[codes == b], statistic) for a, b in pairs]


@pytest.fixture(params=_core.isa_available())
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("VCMETRICS_ISA", request.param)
    return request.param


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("sizes", [[2, 2], [1, 7], [8, 8], [40, 25], [100, 64]])
def test_reference_equals_scipy(sizes: list[int], ties: bool) -> None:
    cells, codes = made(1, sizes, 6, ties=ties)
    x, y = cells[codes == 0], cells[codes == 1]
    ks = [ks_2samp(a, b, method="asymp").statistic for a, b in zip(x.T, y.T, strict=True)]
    w1 = [wasserstein_distance(a, b) for a, b in zip(x.T, y.T, strict=True)]
    assert column_mean(x, y, "ks") == pytest.approx(np.mean(ks), rel=1e-14)
    assert column_mean(x, y, "w1") == pytest.approx(np.mean(w1), rel=1e-13)
    if len(x) == len(y):
        assert column_mean(x, y, "w2sq") == pytest.approx(((np.sort(x, 0) - np.sort(y, 0)) ** 2).mean(), rel=1e-13)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("width", [1, 3, 4, 5, 7, 8, 9, 17])
@pytest.mark.parametrize("statistic", STATISTICS)
def test_equals_reference(isa: str, statistic: str, width: int, dtype: str, ties: bool) -> None:
    cells, codes = made(width, [40, 1, 23, 64], width, dtype, ties)
    pairs = np.array(list(product(range(4), repeat=2)), np.int32)
    got = _core.sorted_column_means(cells, codes, 4, pairs, statistic, 2)
    np.testing.assert_allclose(got, by_reference(cells, codes, pairs, statistic), rtol=1e-13, atol=1e-16)
    assert (got[pairs[:, 0] == pairs[:, 1]] == 0).all()
    square = got.reshape(4, 4)
    np.testing.assert_allclose(square, square.T, rtol=1e-14)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_budget_threads_and_paths_change_no_bit(statistic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cells, codes = made(3, [900, 1400, 700], 37, "f4")
    pairs = np.array(list(product(range(3), repeat=2)), np.int32)
    found = set()
    for name, n_threads, budget in product(_core.isa_available(), (1, 2, 3, 7), (1, 300_000, 2**26)):
        monkeypatch.setenv("VCMETRICS_ISA", name)
        found.add(_core.sorted_column_means(cells, codes, 3, pairs, statistic, n_threads, budget).tobytes())
    assert len(found) == 1


@pytest.mark.parametrize("statistic", STATISTICS)
def test_zeros_of_both_signs_are_equal(statistic: str) -> None:
    cells = np.array([[0.0], [-0.0], [0.0], [-0.0], [-0.0]])
    codes = np.array([0, 0, 1, 1, 1], np.int32)
    assert _core.sorted_column_means(cells, codes, 2, PAIR, statistic)[0] == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", [0, 3, 8])
@pytest.mark.parametrize("statistic", STATISTICS)
def test_values_that_are_not_finite(statistic: str, column: int, bad: float) -> None:
    cells, codes = made(4, [30, 20, 10], 9)
    cells[np.flatnonzero(codes == 1)[3], column] = bad
    pairs = np.array([[0, 1], [0, 2], [1, 2], [1, 1]], np.int32)
    got = _core.sorted_column_means(cells, codes, 3, pairs, statistic)
    assert np.isnan(got).tolist() == [True, False, True, True]
    cells[codes == 1] = bad
    assert np.isnan(_core.sorted_column_means(cells, codes, 3, pairs, statistic)).tolist() == [True, False, True, True]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("n", [63, 64, 127, 128, 129, 700])
def test_sorting_by_bytes(n: int, dtype: str) -> None:
    rng = np.random.default_rng(n)
    wild = rng.normal(size=(n, 3)) * 10.0 ** rng.integers(-30, 30, (n, 3))
    wild[:, 2] = np.sign(wild[:, 2]) * 0.0
    for values in (wild, np.full((n, 3), 2.5), np.round(rng.normal(size=(n, 3)))):
        cells, codes = np.r_[values, values[: n // 2] * 1.5].astype(dtype), np.repeat([0, 1], [n, n // 2]).astype("i4")
        for statistic in STATISTICS:
            got = _core.sorted_column_means(cells, codes, 2, PAIR, statistic)
            np.testing.assert_allclose(got, by_reference(cells, codes, PAIR, statistic), rtol=1e-12)


def test_extreme_values() -> None:
    cells = np.array([[1.7e308], [-1.7e308], [5e-324], [0.0]])
    codes = np.array([0, 0, 1, 1], np.int32)
    assert _core.sorted_column_means(cells, codes, 2, PAIR, "ks")[0] == 0.5
    assert _core.sorted_column_means(cells[2:], codes[1:3], 2, PAIR, "w1")[0] == 5e-324


@pytest.mark.parametrize("statistic", STATISTICS)
def test_empty(statistic: str) -> None:
    cells, codes = made(5, [4, 3], 2)
    assert np.isnan(_core.sorted_column_means(cells, codes, 3, np.array([[0, 2], [2, 2]], np.int32), statistic)).all()
    assert _core.sorted_column_means(cells, codes, 3, np.zeros((0, 2), np.int32), statistic).shape == (0,)
    assert np.isnan(_core.sorted_column_means(cells[:, :0].copy(), codes, 2, PAIR, statistic)[0])


def test_wrong_calls_are_refused() -> None:
    cells, codes = made(6, [4, 3], 2)
    with pytest.raises(ValueError, match="statistic 'ad' is not one of ks, w1, w2sq"):
        _core.sorted_column_means(cells, codes, 2, PAIR, "ad")
    with pytest.raises(ValueError, match="pairs holds 1; expected 0 … 0"):
        _core.sorted_column_means(cells, np.zeros_like(codes), 1, PAIR, "ks")
    with pytest.raises(TypeError, match="cells must be a NumPy array of float32 or float64"):
        _core.sorted_column_means(cells.astype(int), codes, 2, PAIR, "ks")


def test_inputs_are_left_alone() -> None:
    cells, codes = made(7, [40, 30], 5)
    before = cells.tobytes(), codes.tobytes()
    for statistic in STATISTICS:
        _core.sorted_column_means(cells, codes, 2, PAIR, statistic, 2)
    assert (cells.tobytes(), codes.tobytes()) == before
