"""Rank correlations of resamples: SciPy's on the repeated rows, the same bits on every path."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from vcmetrics import _core
from vcmetrics.metrics.resample import percentile_interval, resample_counts, resampled_sums


def tables(n, n_columns, seed=0):
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=(n, n_columns)), 1)
    return x, np.round(x + rng.normal(size=x.shape), 1)


@pytest.mark.parametrize("n_resamples", [1, 7, 8, 9, 20])
def test_against_scipy(n_resamples: int) -> None:
    x, y = tables(25, 9)
    counts = resample_counts(25, n_resamples, 3)
    got = _core.resampled_rank_correlations(x, y, counts, 1)
    for b in range(n_resamples):
        rows = np.repeat(np.arange(25), counts[b].astype(int))
        for g in range(9):
            assert got[b, g] == pytest.approx(spearmanr(x[rows, g], y[rows, g])[0], rel=1e-13)


def test_same_bits_for_threads_and_instruction_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = tables(60, 90)
    counts = resample_counts(60, 1001, 0)
    want = _core.resampled_rank_correlations(x, y, counts, 1)
    for n_threads in (2, 3, 7):
        np.testing.assert_array_equal(_core.resampled_rank_correlations(x, y, counts, n_threads), want)
    for isa in _core.isa_available():
        monkeypatch.setenv("VCMETRICS_ISA", isa)
        np.testing.assert_array_equal(_core.resampled_rank_correlations(x, y, counts, 1), want)


def test_undefined_and_empty() -> None:
    x = np.array([[1.0, -0.0], [2.0, 0.0], [3.0, 5.0]])
    got = _core.resampled_rank_correlations(x, x, np.array([[1.0, 1, 1], [3, 0, 0], [1, 2, 0]]), 1)
    np.testing.assert_array_equal(got, [[1, 1], [np.nan, np.nan], [1, np.nan]])
    assert _core.resampled_rank_correlations(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros((3, 0)), 1).shape == (3, 2)
    with pytest.raises(ValueError, match="must hold finite values"):
        _core.resampled_rank_correlations(np.full((1, 1), np.nan), np.zeros((1, 1)), np.ones((1, 1)), 1)
    with pytest.raises(ValueError, match="counts has 2 columns; expected 3"):
        _core.resampled_rank_correlations(x, x, np.ones((1, 2)), 1)


def test_resamples() -> None:
    counts = resample_counts(40, 5000, 1)
    assert (counts.sum(1) == 40).all()
    assert abs(counts.mean() - 1) < 1e-12
    assert abs(counts.var() - (1 - 1 / 40)) < 0.02
    np.testing.assert_array_equal(counts[:100], resample_counts(40, 5000, 1)[:100])
    assert (resample_counts(40, 3, 2) != resample_counts(40, 3, 1)).any()
    values = np.random.default_rng(0).normal(size=(40, 3))
    np.testing.assert_allclose(resampled_sums(counts[:9], values), counts[:9] @ values, rtol=1e-12)
    with pytest.raises(ValueError, match="n_resamples is 0"):
        resample_counts(3, 0, 0)


def test_percentiles_leave_undefined_replicates_out() -> None:
    values = np.random.default_rng(0).normal(size=(200, 4))
    values[::3, 1] = np.nan
    values[:, 2] = np.nan
    values[:, 3] = np.inf
    low, high = percentile_interval(values, 0.9)
    for k in range(2):
        kept = values[~np.isnan(values[:, k]), k]
        np.testing.assert_allclose([low[k], high[k]], np.quantile(kept, [0.05, 0.95]), rtol=1e-12)
    assert np.isnan(low[2])
    assert low[3] == high[3] == np.inf
