"""Correlation by column: against the reference and SciPy, its laws, its undefined values; co-moments that merge."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import vcmetrics as vcm
from vcmetrics.arrays import CoMoments, column_correlation
from vcmetrics.reference import gene_correlation as slow

METHODS = ("pearson", "spearman", "concordance")


def pair(n=60, n_columns=23, dtype="f8", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, n_columns)) + 4
    y = 0.6 * x + rng.normal(size=x.shape)
    y[:, 1] = 2.5  # constant
    x[:, 2] = np.round(x[:, 2])
    return x.astype(dtype), y.astype(dtype)


@pytest.mark.parametrize("bad", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i4"])
@pytest.mark.parametrize("method", METHODS)
def test_against_the_reference(method: str, dtype: str, bad: bool) -> None:
    x, y = pair(dtype=dtype)
    if bad and x.dtype.kind == "f":
        x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
        y[0, 3] = np.inf
    got, n = column_correlation(x, y, method=method, return_n=True)
    np.testing.assert_allclose(got, slow.column_correlation(x, y, method=method), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(n, (np.isfinite(x) & np.isfinite(y)).sum(0))
    for layout in (np.asfortranarray, lambda a: np.repeat(a, 2, 1)[:, ::2], lambda a: a[::-1].copy()[::-1]):
        np.testing.assert_array_equal(column_correlation(layout(x), layout(y), method=method), got)
    np.testing.assert_array_equal(column_correlation(x, y, method=method, n_threads=3), got)


def test_against_scipy() -> None:
    x, y = pair(300)
    assert np.isnan(column_correlation(x, y)[1])
    for g in (0, 2, 5):
        assert column_correlation(x, y)[g] == pytest.approx(stats.pearsonr(x[:, g], y[:, g])[0], rel=1e-13)
        rho = column_correlation(x, y, method="spearman")[g]
        assert rho == pytest.approx(stats.spearmanr(x[:, g], y[:, g])[0], rel=1e-13)


@pytest.mark.parametrize("method", ["pearson", "concordance"])
def test_weights(method: str) -> None:
    x, y = pair(50)
    x[3, 4] = np.nan
    w = np.random.default_rng(2).integers(0, 4, 50)
    got = column_correlation(x, y, method=method, weights=w)
    np.testing.assert_allclose(got, slow.column_correlation(x, y, method=method, weights=w), rtol=1e-12)
    # whole weights are repeated rows
    np.testing.assert_allclose(
        got, column_correlation(np.repeat(x, w, 0), np.repeat(y, w, 0), method=method), rtol=1e-12
    )
    np.testing.assert_array_equal(column_correlation(np.asfortranarray(x), y, method=method, weights=w), got)
    np.testing.assert_allclose(column_correlation(x, y, method=method, weights=7.5 * w), got, rtol=1e-12)


def test_laws() -> None:
    x, y = pair()
    r, rho, ccc = (column_correlation(x, y, method=m) for m in METHODS)
    fine = np.arange(23) != 1
    a, b = np.random.default_rng(0).uniform(0.5, 2, (2, 23))
    np.testing.assert_allclose(column_correlation(a * x + b, y), r, rtol=1e-12)
    np.testing.assert_allclose(column_correlation(x, -a * y + b), -r, rtol=1e-12)
    np.testing.assert_array_equal(column_correlation(np.exp(x), y, method="spearman"), rho)
    assert (abs(ccc[fine]) <= abs(r[fine])).all()
    assert (abs(column_correlation(x + 1, y, method="concordance") - ccc)[fine] > 1e-4).all()
    assert ccc[1] == 0  # a constant side agrees with nothing
    for method in METHODS:
        same = column_correlation(x, x, method=method)
        np.testing.assert_array_equal(same, np.ones(23))
        np.testing.assert_array_equal(column_correlation(y, x, method=method), column_correlation(x, y, method=method))
        order = np.random.default_rng(1).permutation(60)
        np.testing.assert_allclose(
            column_correlation(x[order], y[order], method=method),
            column_correlation(x, y, method=method),
            rtol=1e-12,
        )


def test_single_precision_is_judged_against_double() -> None:
    x, y = pair(500, dtype="f4")
    np.testing.assert_allclose(column_correlation(x, y), column_correlation(x.astype("f8"), y.astype("f8")), rtol=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_undefined(method: str) -> None:
    x, y = np.ones((5, 3)), np.arange(15.0).reshape(5, 3)
    want = [0.0] * 3 if method == "concordance" else [np.nan] * 3
    np.testing.assert_array_equal(column_correlation(x, y, method=method), want)
    np.testing.assert_array_equal(column_correlation(x, x, method=method), [np.nan] * 3)
    np.testing.assert_array_equal(column_correlation(y[:1], y[:1], method=method), [np.nan] * 3)
    np.testing.assert_array_equal(column_correlation(y[:0], y[:0], method=method), [np.nan] * 3)
    assert column_correlation(y[:, :0], y[:, :0], method=method).shape == (0,)
    # rounding is no variation
    if method == "pearson":
        assert np.isnan(column_correlation(0.3 + 1e-16 * np.arange(5)[:, None], y[:, :1]))
    z = y.copy()
    z[2, 1] = np.nan
    np.testing.assert_array_equal(np.isnan(column_correlation(z, y, method=method, nan="propagate")), [0, 1, 0])
    assert not np.isnan(column_correlation(z, y, method=method)).any()


def test_inputs_stay() -> None:
    x, y = pair()
    x.flags.writeable = y.flags.writeable = False
    for method in METHODS:
        column_correlation(x, y, method=method)


def test_what_is_refused() -> None:
    x = np.ones((4, 2))
    for arguments, keywords, error, words in (
        ((x, x[:3]), {}, ValueError, "x is 4 × 2, y is 3 × 2"),
        ((x[0], x[0]), {}, ValueError, "x has 1 dimensions; pass a table"),
        ((x.astype(str), x), {}, TypeError, "x holds <U"),
        ((x, x), {"method": "kendall"}, ValueError, "method 'kendall' is not known; choose from pearson"),
        ((x, x), {"nan": "drop"}, ValueError, "pass 'omit' or 'propagate'"),
        ((x, x), {"method": "spearman", "weights": np.ones(4)}, ValueError, "weights have no meaning for ranks"),
        ((x, x), {"weights": [1, 2, -1, 0]}, ValueError, "weights must be 4 finite numbers, none negative"),
        ((x, x), {"weights": [1, 2]}, ValueError, "weights must be 4 finite numbers"),
    ):
        with pytest.raises(error, match=words):
            column_correlation(*arguments, **keywords)


def test_dlpack() -> None:
    class Foreign:
        def __init__(self, values, place=1):
            self.values, self.place = values, place

        def __dlpack_device__(self):
            return self.place, 0

        def __dlpack__(self, **how):
            return self.values.__dlpack__(**how)

    x, y = pair()
    np.testing.assert_array_equal(column_correlation(Foreign(x), Foreign(y)), column_correlation(x, y))
    with pytest.raises(vcm.DeviceError, match="x lies on a GPU"):
        column_correlation(Foreign(x, 2), y)


def test_co_moments_merge() -> None:
    x, y = pair(200)
    x[5, 7] = np.nan
    x[:, 9] = np.nan
    w = np.random.default_rng(0).uniform(0, 2, 200)
    whole = CoMoments(23).add(x, y, weights=w)
    for cut in (0, 1, 64, 150, 200):
        parts = [CoMoments(23).add(x[s], y[s], weights=w[s]) for s in (slice(cut), slice(cut, None))]
        merged = parts[0].merge(parts[1])
        for name in ("n", "weight", "mean_x", "mean_y", "variance_x", "variance_y", "covariance"):
            np.testing.assert_allclose(getattr(merged, name), getattr(whole, name), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(merged.pearson(), whole.pearson(), rtol=1e-12)
        np.testing.assert_array_equal(merged.constant_y, whole.constant_y)
    far = CoMoments(1).add(x[:100, :1] + 1e8, y[:100, :1]).merge(CoMoments(1).add(x[100:, :1] + 1e8, y[100:, :1]))
    near = (x[:, :1] + 1e8) - 1e8
    np.testing.assert_allclose(far.pearson(), CoMoments(1).add(near, y[:, :1]).pearson(), rtol=1e-11)
    with pytest.raises(ValueError, match="23 columns cannot be merged with 1"):
        whole.merge(far)


def test_streaming_in_parts_has_the_bits_of_one_call() -> None:
    x, y = pair(200)
    whole = CoMoments(23).add(x, y)
    parts = CoMoments(23)
    for start in range(0, 200, 96):
        parts.add(x[start : start + 96], y[start : start + 96])
    np.testing.assert_array_equal(parts.pearson(), whole.pearson())
    np.testing.assert_array_equal(parts.covariance, whole.covariance)
    matched = CoMoments(23).add(x[::-1], y, rows_x=np.arange(200)[::-1])
    np.testing.assert_array_equal(matched.covariance, whole.covariance)


def test_moments() -> None:
    x, y = pair(40)
    m = CoMoments(23).add(x, y)
    np.testing.assert_allclose(m.mean_x, x.mean(0), rtol=1e-14)
    np.testing.assert_allclose(m.variance_y, y.var(0), rtol=1e-12)
    np.testing.assert_allclose(m.covariance, ((x - x.mean(0)) * (y - y.mean(0))).mean(0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(m.dispersion_ratio()[0], x[:, 0].std() / y[:, 0].std(), rtol=1e-13)
    assert np.isnan(m.dispersion_ratio()[1])
    assert CoMoments(23).add(y, x).dispersion_ratio()[1] == 0
    empty = CoMoments(2)
    assert np.isnan(empty.mean_x).all()
    assert np.isnan(empty.pearson()).all()
