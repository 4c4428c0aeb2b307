"""Sums over all pairs of rows: right, the same bits on every path, and fussy about what they are given."""

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


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("n_features", [0, 1, 7, 8, 9, 64, 1023, 1024, 1025, 2061])
def test_sums(term: str, n_features: int) -> None:
    rng = np.random.default_rng(n_features)
    x, y = rng.normal(size=(35, n_features)), rng.normal(size=(33, n_features))
    left_out = rng.integers(-1, n_features, 35) if n_features else np.full(35, -1)
    for skipped in (None, left_out):
        got = _core.pairwise_sums(x, y, term, skipped)
        for i in (0, 1, 31, 32, 34):
            for j in (0, 1, 31, 32):
                terms = TERMS[term](x[i], y[j])
                if skipped is not None and skipped[i] >= 0:
                    terms = np.delete(terms, skipped[i])
                assert got[i, j] == pytest.approx(math.fsum(terms), rel=1e-13, abs=1e-12)


@pytest.mark.parametrize("term", TERMS)
def test_same_bits_for_threads_and_instruction_sets(term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(67, 1500)), rng.normal(size=(71, 1500))
    left_out = rng.integers(-1, 1500, 67)
    want = _core.pairwise_sums(x, y, term, left_out)
    for n_threads in (2, 3, 7):
        np.testing.assert_array_equal(_core.pairwise_sums(x, y, term, left_out, n_threads), want)
    for isa in _core.isa_available():
        monkeypatch.setenv("VCMETRICS_ISA", isa)
        np.testing.assert_array_equal(_core.pairwise_sums(x, y, term, left_out), want)
    # a pair's sum depends on its two rows alone
    np.testing.assert_array_equal(_core.pairwise_sums(x[5:6], y[9:10], term, left_out[5:6])[0, 0], want[5, 9])


def test_not_a_number_and_infinity() -> None:
    x = np.array([[np.nan, 1.0], [np.inf, 1.0]])
    np.testing.assert_array_equal(_core.pairwise_sums(x, np.zeros((1, 2)), "cityblock"), [[np.nan], [np.inf]])
    np.testing.assert_array_equal(
        _core.pairwise_sums(x, np.zeros((1, 2)), "cityblock", np.array([0, -1])), [[1.0], [np.inf]]
    )


def test_empty_tables() -> None:
    assert _core.pairwise_sums(np.zeros((0, 3)), np.zeros((2, 3)), "product").shape == (0, 2)
    assert _core.pairwise_sums(np.zeros((2, 3)), np.zeros((0, 3)), "product").shape == (2, 0)


def test_wrong_arguments() -> None:
    x = np.zeros((2, 3))
    for arguments, error, words in (
        ((x.astype(np.float32), x, "product"), TypeError, "x must be a C-contiguous NumPy array of float64"),
        ((x, x.T.copy().T, "product"), TypeError, "y must be a C-contiguous"),
        ((x, x[0], "product"), ValueError, "y has 1 dimensions; expected 2"),
        ((x, np.zeros((2, 4)), "product"), ValueError, "x has 3 columns, y has 4"),
        ((x, x, "l1"), ValueError, "term 'l1' is not one of cityblock, sqeuclidean, product"),
        ((x, x, "product", np.zeros(3, np.int64)), ValueError, "left_out has 3 entries; expected 2"),
        ((x, x, "product", np.array([0, 3])), ValueError, "left_out holds 3; there are 3 columns"),
        ((x, x, "product", None, 0), ValueError, "n_threads is 0; pass a positive number"),
    ):
        with pytest.raises(error, match=words):
            _core.pairwise_sums(*arguments)
