"""Co-moments and ranks by column: right, the same bits on every path, and fussy about what they are given."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import rankdata

from vcmetrics import _core

TILE = 1024


def moments(x, y, rows=None, weights=None, n_threads=1, state=None):
    if state is None:
        state = np.zeros((9, x.shape[1]))
    rows = np.arange(len(x)) if rows is None else rows
    _core.add_co_moments(state, x, rows, y, rows, weights, n_threads)
    return state


def plain(state):
    """Count, weight, means and moments of a state."""
    return np.concatenate([state[:2], state[2:4] + state[4:6], state[6:]])


def exact(x, y, w):
    """Moments of one column in exact arithmetic."""
    from fractions import Fraction

    ok = np.isfinite(x) & np.isfinite(y)
    x, y, w = ([Fraction(float(v)) for v in a[ok]] for a in (x, y, w))
    if not x:
        return np.zeros(7)
    total = sum(w)
    mx, my = (sum(a * b for a, b in zip(w, v, strict=True)) / total for v in (x, y))
    parts = [
        sum(c * (a - ma) * (b - mb) for a, b, c in zip(u, v, w, strict=True))
        for u, ma, v, mb in ((x, mx, x, mx), (y, my, y, my), (x, mx, y, my))
    ]
    return np.array([len(x), float(total), float(mx), float(my), *map(float, parts)])


def table(n, n_columns, dtype, seed=0, bad=0.0):
    rng = np.random.default_rng(seed)
    out = rng.normal(size=(n, n_columns)) + rng.normal(size=n_columns) * 3
    out[rng.random(out.shape) < bad] = rng.choice([np.nan, np.inf, -np.inf])
    return out.astype(dtype)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("bad", [0.0, 0.2])
@pytest.mark.parametrize("types", [("f4", "f4"), ("f8", "f8"), ("f4", "f8"), ("f8", "f4")])
def test_against_exact_arithmetic(types, bad: float, weighted: bool) -> None:
    for n in (1, 2, 3, 4, 5, 31, 32, 33, 64, 67):
        x, y = table(n, 11, types[0], n, bad), table(n, 11, types[1], n + 100, bad)
        w = np.random.default_rng(n).uniform(0.1, 3, n) if weighted else None
        got = plain(moments(x, y, weights=w))
        for g in range(11):
            want = exact(x[:, g], y[:, g], np.ones(n) if w is None else w)
            scale = max(1.0, abs(want[4:]).max())
            np.testing.assert_allclose(got[:, g], want, rtol=1e-13, atol=1e-14 * scale)


def test_two_pass_accuracy_far_from_zero() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1000, 4)) + 1e8
    y = 0.5 * (x - 1e8) + rng.normal(size=x.shape) - 1e7
    got = plain(moments(x, y))
    for g in range(4):
        want = exact(x[:, g], y[:, g], np.ones(1000))
        np.testing.assert_allclose(got[4:, g], want[4:], rtol=1e-12)


@pytest.mark.parametrize("value", [0.1, 1e-300, 12345.678, -7.3e200])
def test_constant_columns_have_no_moment(value: float) -> None:
    for n in (1, 5, 32, 33, 200):
        x = np.full((n, 9), value)
        x[: n // 3, 4] = np.nan
        got = plain(moments(x, table(n, 9, "f8")))
        np.testing.assert_array_equal(got[4], np.zeros(9))
        np.testing.assert_array_equal(got[6], np.zeros(9))
        np.testing.assert_array_equal(got[2], np.full(9, value))


@pytest.mark.parametrize("n_columns", [0, 1, 2, 7, 8, 9, 15, 17, TILE - 1, TILE, TILE + 1, 2 * TILE + 5])
def test_same_bits_for_threads_sets_layouts_and_neighbours(n_columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    n = 70
    x, y = table(n, n_columns, "f4", 1, 0.01), table(n, n_columns, "f8", 2, 0.01)
    w = np.random.default_rng(1).uniform(0.1, 2, n)
    before = x.tobytes(), y.tobytes()
    for weights in (None, w):
        want = moments(x, y, weights=weights)
        for n_threads in (2, 3, 7):
            np.testing.assert_array_equal(moments(x, y, weights=weights, n_threads=n_threads), want)
        for isa in _core.isa_available():
            monkeypatch.setenv("VCMETRICS_ISA", isa)
            np.testing.assert_array_equal(moments(x, y, weights=weights), want)
        monkeypatch.delenv("VCMETRICS_ISA")
        for g in range(0, n_columns, 37):  # a column alone, cut out of the table
            np.testing.assert_array_equal(moments(x[:, g : g + 1], y[:, g : g + 1], weights=weights)[:, 0], want[:, g])
        np.testing.assert_array_equal(moments(x[::-1], y[::-1], rows=np.arange(n)[::-1].copy(), weights=weights), want)
    np.testing.assert_array_equal(moments(x, y, weights=np.ones(n)), moments(x, y))
    assert (x.tobytes(), y.tobytes()) == before


def test_threads_on_a_table_that_is_worth_them() -> None:
    x, y = table(600, 9000, "f4", 1), table(600, 9000, "f4", 2)
    want = moments(x, y)
    for n_threads in (2, 3, 7):
        np.testing.assert_array_equal(moments(x, y, n_threads=n_threads), want)


def test_rows_are_taken_from_the_list_and_states_go_on() -> None:
    x, y = table(90, 13, "f8", 5), table(90, 13, "f8", 6)
    order = np.random.default_rng(0).permutation(90)
    state = np.zeros((9, 13))
    _core.add_co_moments(state, x, order, y, order[::-1].copy(), None, 1)
    np.testing.assert_array_equal(state, moments(x[order], y[order[::-1]]))
    whole = moments(x, y)
    cut = moments(x, y, rows=np.arange(64))  # blocks of 32 rows: the same blocks
    np.testing.assert_array_equal(moments(x, y, rows=np.arange(64, 90), state=cut), whole)
    odd = moments(x, y, rows=np.arange(11))
    np.testing.assert_allclose(moments(x, y, rows=np.arange(11, 90), state=odd), whole, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(moments(x, y, rows=np.zeros(0, np.int64)), np.zeros((9, 13)))


def test_wrong_arguments() -> None:
    x, rows, state = np.zeros((3, 2)), np.arange(3), np.zeros((9, 2))
    for arguments, error, words in (
        ((state, x.astype(int), rows, x, rows), ValueError, "x must be a NumPy array of float32 or float64"),
        ((state, x[0], rows, x, rows), ValueError, "x has 1 dimensions"),
        ((state, np.asfortranarray(x), rows, x, rows), ValueError, "x must have contiguous, aligned rows"),
        ((state, x, rows, x[:, :1], rows), ValueError, "x has 2 columns, y has 1"),
        ((state, x, rows, x, rows[:2]), ValueError, "3 rows of x are paired with 2 of y"),
        ((state, x, rows + 1, x, rows), ValueError, "rows of x hold 3; there are 3"),
        ((np.zeros((7, 2)), x, rows, x, rows), ValueError, "state must be a table of 9 × 2"),
        ((state, x, rows, x, rows, np.ones(2)), ValueError, "weights has 2 entries; expected 3"),
        ((state, x, rows, x, rows, np.array([1.0, 0, 1])), ValueError, "positive and finite; number 1 is not"),
        ((state, x, rows, x, rows, np.array([1.0, 2, np.inf])), ValueError, "number 2 is not"),
        ((state, x, rows, x, rows, None, 0), ValueError, "n_threads is 0"),
    ):
        with pytest.raises(error, match=words):
            _core.add_co_moments(*arguments)


@pytest.mark.parametrize("kind", ["values", "ties", "nearly tied", "zeros"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_ranks(dtype: str, kind: str) -> None:
    rng = np.random.default_rng(4)
    for n in (1, 2, 3, 50, 192, 193, 700):
        x, y = rng.normal(size=(n, 18)), rng.normal(size=(n, 18))
        if kind == "ties":
            x, y = np.round(x), np.round(2 * y) / 2
        elif kind == "nearly tied":  # equal as float32, apart as float64
            x = 1.0 + 1e-12 * np.round(3 * x)
        elif kind == "zeros":
            x = np.where(rng.random(x.shape) < 0.5, -0.0, 0.0)
        x, y = x.astype(dtype), y.astype(dtype)
        if n > 3:
            x[1, 2], y[2, 2], x[0, 5] = np.nan, np.inf, -np.inf
        rows = np.arange(n)
        got = _core.rank_moments(x, rows, y, rows, 1)
        rank_x, rank_y = _core.column_ranks(x, rows, y, rows, 1)
        for g in range(18):
            ok = np.isfinite(x[:, g]) & np.isfinite(y[:, g])
            a, b = rankdata(x[ok, g]), rankdata(y[ok, g])
            np.testing.assert_array_equal(rank_x[ok, g], a)
            np.testing.assert_array_equal(rank_y[ok, g], b)
            assert np.isnan(rank_x[~ok, g]).all()
            a, b = a - (a.size + 1) / 2, b - (b.size + 1) / 2
            np.testing.assert_array_equal(got[:, g], [a.size, math.fsum(a * a), math.fsum(b * b), math.fsum(a * b)])


def test_ranks_have_the_same_bits_for_any_threads() -> None:
    x, y = table(300, 999, "f4", 1, 0.01), table(300, 999, "f8", 2)
    rows = np.random.default_rng(0).permutation(300)[:250]
    want = _core.rank_moments(x, rows, y, rows, 1)
    ranks = _core.column_ranks(x, rows, y, rows, 1)
    for n_threads in (2, 3, 7):
        np.testing.assert_array_equal(_core.rank_moments(x, rows, y, rows, n_threads), want)
        for a, b in zip(_core.column_ranks(x, rows, y, rows, n_threads), ranks, strict=True):
            np.testing.assert_array_equal(a, b)


def test_ranks_of_nothing() -> None:
    rows = np.zeros(0, np.int64)
    np.testing.assert_array_equal(_core.rank_moments(np.zeros((2, 3)), rows, np.zeros((2, 3)), rows), np.zeros((4, 3)))
    assert _core.rank_moments(np.zeros((2, 0)), rows, np.zeros((2, 0)), rows).shape == (4, 0)
