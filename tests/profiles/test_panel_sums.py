"""Sums over all pairs of rows through packed panels: right, one pair one value, the same bits on every path."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vcmetrics import _core

TERMS = {
    "cityblock": lambda x, y: abs(x - y),
    "sqeuclidean": lambda x, y: (x - y) * (x - y),
    "product": lambda x, y: x * y,
}


def sums(x: np.ndarray, y: np.ndarray, term: str, n_threads: int = 1) -> np.ndarray:
    out = np.full((len(x), len(y)), np.nan)
    _core.panel_sums(x, y, term, out, n_threads)
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("n_features", [0, 1, 2, 255, 256, 257, 513, 2061])
def test_sums(dtype: type, term: str, n_features: int) -> None:
    rng = np.random.default_rng(n_features)
    x, y = (rng.normal(size=(n, n_features)).astype(dtype) for n in (51, 49))
    got = sums(x, y, term)
    for i in (0, 1, 7, 8, 47, 48, 50):
        for j in (0, 5, 23, 24, 47, 48):
            want = math.fsum(TERMS[term](x[i].astype(float), y[j].astype(float)))
            assert got[i, j] == pytest.approx(want, rel=1e-13, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("term", TERMS)
def test_same_bits_for_threads_instruction_sets_and_neighbours(
    dtype: type, term: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    x, y = (rng.normal(size=(n, 700)).astype(dtype) for n in (131, 405))
    want = sums(x, y, term)
    for n_threads in (2, 3, 7):
        np.testing.assert_array_equal(sums(x, y, term, n_threads), want)
    for isa in _core.isa_available():
        monkeypatch.setenv("VCMETRICS_ISA", isa)
        np.testing.assert_array_equal(sums(x, y, term), want)
    assert sums(x[5:6], y[404:], term)[0, 0] == want[5, 404]
    # float32 tables give what their float64 copies give
    np.testing.assert_array_equal(sums(x.astype(float), y.astype(float), term), want)


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("n", [1, 47, 48, 49, 390, 800])
def test_a_table_against_itself_is_mirrored(term: str, n: int) -> None:
    x = np.random.default_rng(n).normal(size=(n, 33))
    got = sums(x, x, term, 3)
    np.testing.assert_array_equal(got, sums(x, x.copy(), term))
    np.testing.assert_array_equal(got, got.T)
    if term != "product":
        assert (np.diag(got) == 0).all()


def test_duplicates_tie_to_the_bit() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(60, 1999)), np.repeat(rng.normal(size=(1, 1999)), 77, axis=0)
    for term in TERMS:
        got = sums(x, y, term)
        assert (got == got[:, :1]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 0), (1, 1), (7, 255), (8, 256), (9, 257), (30, 1999)])
def test_squares_of_rows_are_their_products_with_themselves(dtype: type, shape: tuple[int, int]) -> None:
    x = np.random.default_rng(3).normal(size=shape).astype(dtype)
    np.testing.assert_array_equal(_core.row_squares(x, 2), np.diag(sums(x, x, "product")))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("without", [[], [0], [255, 256], [1, 2, 511, 512, 600], [*range(250, 601)], [*range(601)]])
def test_columns_that_are_left_out(dtype: type, term: str, without: list[int]) -> None:
    rng = np.random.default_rng(4)
    x, y = (rng.normal(size=(n, 601)).astype(dtype) for n in (53, 47))
    columns = np.array(without, np.int64)
    zeroed = x.copy(), y.copy()
    for table in zeroed:
        table[:, columns] = 0
    want = sums(*zeroed, term)
    for n_threads in (1, 3):
        out = np.empty((53, 47))
        _core.panel_sums(x, y, term, out, n_threads, columns)
        np.testing.assert_array_equal(out, want)
    squares = _core.row_squares(x, 1, columns)
    np.testing.assert_array_equal(squares, np.diag(sums(zeroed[0], zeroed[0], "product")))
    x[:, columns] = np.nan  # what is left out is not seen
    out = np.empty((53, 47))
    _core.panel_sums(x, y, term, out, 1, columns)
    np.testing.assert_array_equal(out, want)
    np.testing.assert_array_equal(_core.row_squares(x, 1, columns), squares)


def test_not_a_number_and_infinity_stay_with_their_pair() -> None:
    x = np.ones((50, 300))
    y = np.zeros((50, 300))
    x[3, 299], y[48, 0] = np.nan, np.inf
    got = sums(x, y, "cityblock")
    assert np.isnan(got[3]).all()
    assert np.isinf(np.delete(got[:, 48], 3)).all()
    assert (np.delete(np.delete(got, 3, 0), 48, 1) == 300).all()


def test_empty_tables() -> None:
    assert sums(np.zeros((0, 3)), np.zeros((2, 3)), "product").shape == (0, 2)
    assert sums(np.zeros((2, 3)), np.zeros((0, 3)), "product").shape == (2, 0)


def test_inputs_stay() -> None:
    x, y = np.arange(6.0).reshape(2, 3), np.ones((4, 3))
    before = x.copy(), y.copy()
    sums(x, y, "cityblock")
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_wrong_arguments() -> None:
    x, out = np.zeros((2, 3)), np.zeros((2, 2))
    for arguments, error, words in (
        ((x.astype(np.float32), x, "product", out), TypeError, "y must be a C-contiguous NumPy array of float32"),
        ((x, x.astype(np.float32), "product", out), TypeError, "y must be a C-contiguous NumPy array of float64"),
        ((x.astype(int), x, "product", out), TypeError, "x must be a C-contiguous"),
        ((x.T, x, "product", out), TypeError, "x must be a C-contiguous"),
        ((x, x[0], "product", out), ValueError, "y has 1 dimensions; expected 2"),
        ((x, np.zeros((2, 4)), "product", out), ValueError, "x has 3 columns, y has 4"),
        ((x, x, "l1", out), ValueError, "term 'l1' is not one of cityblock, sqeuclidean, product"),
        ((x, x, "product", np.zeros((3, 2))), ValueError, "out is 3 x 2; expected 2 x 2"),
        ((x, x, "product", out, 1, np.array([1, 1])), ValueError, "without must hold ascending columns below 3"),
        ((x, x, "product", out, 1, np.array([3])), ValueError, "without must hold ascending columns below 3"),
        ((x, x, "product", out, 1, [1]), TypeError, "without must be a C-contiguous"),
        ((x, x, "product", out, 0), ValueError, "n_threads is 0; pass a positive number"),
    ):
        with pytest.raises(error, match=words):
            _core.panel_sums(*arguments)
