"""Kendall's tau-b of rows of a table: SciPy's numbers, ties, the same bits on every path."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import kendalltau

from vcmetrics import _core
from vcmetrics.reference.kendall import kendall_tau


def all_pairs(n: int) -> np.ndarray:
    return np.array(list(product(range(n), repeat=2)), np.int32).reshape(-1, 2)


def made(seed: int, n: int, width: int, ties: str) -> np.ndarray:
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(n, width)) + rng.normal(size=width)
    if ties == "some":
        table[::2] = np.round(table[::2], 1)
    if ties == "many":
        table = np.maximum(np.round(table), 0)
    return table


@pytest.fixture(params=_core.isa_available())
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("VCMETRICS_ISA", request.param)
    return request.param


@pytest.mark.parametrize("ties", ["none", "some", "many"])
@pytest.mark.parametrize("width", [2, 3, 31, 63, 64, 65, 127, 128, 129, 1000, 1025])
def test_equals_scipy(isa: str, width: int, ties: str) -> None:
    table, pairs = made(width, 6, width, ties), all_pairs(6)
    want = [kendalltau(table[a], table[b]).statistic for a, b in pairs]
    got = _core.kendall_tau(table, pairs)
    np.testing.assert_allclose(got, want, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(got.reshape(6, 6), got.reshape(6, 6).T, rtol=1e-14)


@pytest.mark.parametrize("ties", ["none", "some", "many"])
def test_equals_reference(ties: str) -> None:
    table, pairs = made(1, 5, 80, ties), all_pairs(5)
    want = [kendall_tau(table[a], table[b]) for a, b in pairs]
    np.testing.assert_allclose(_core.kendall_tau(table, pairs), want, rtol=1e-14, atol=1e-15)


def test_same_bits_on_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    table, pairs = made(2, 12, 3000, "some"), all_pairs(12)
    found = set()
    for name, n_threads in product(_core.isa_available(), (1, 2, 3, 7)):
        monkeypatch.setenv("VCMETRICS_ISA", name)
        found.add(_core.kendall_tau(table, pairs, n_threads).tobytes())
    assert len(found) == 1


def test_order_reversal_and_scale() -> None:
    table = made(3, 1, 200, "none")
    table = np.concatenate([table, np.exp(table), -table, np.where(table > 0, np.inf, table)])
    tau = _core.kendall_tau(table, np.array([[0, 0], [0, 1], [0, 2], [2, 1], [3, 3]], np.int32))
    np.testing.assert_array_equal(tau, [1, 1, -1, -1, 1])


def test_undefined_is_not_a_number() -> None:
    table = np.array([[1.0, 2.0, 3.0], [4.0, 4.0, 4.0], [1.0, np.nan, 2.0], [3.0, 1.0, 2.0]])
    tau = _core.kendall_tau(table, np.array([[0, 1], [1, 1], [0, 2], [2, 0], [0, 3]], np.int32))
    assert np.isnan(tau).tolist() == [True, True, True, True, False]
    assert np.isnan(_core.kendall_tau(table[:, :1].copy(), np.array([[0, 1]], np.int32))[0])
    assert np.isnan(_core.kendall_tau(table[:, :0].copy(), np.array([[0, 1]], np.int32))[0])
    assert _core.kendall_tau(table, np.zeros((0, 2), np.int32)).shape == (0,)


def test_wrong_calls_are_refused() -> None:
    table = made(4, 3, 5, "none")
    with pytest.raises(TypeError, match="profiles must be a C-contiguous NumPy array of float64"):
        _core.kendall_tau(table.astype(np.float32), all_pairs(3))
    with pytest.raises(ValueError, match="pairs holds 3; expected 0 … 2"):
        _core.kendall_tau(table, all_pairs(4))
    with pytest.raises(ValueError, match="n_threads is 0"):
        _core.kendall_tau(table, all_pairs(3), 0)
