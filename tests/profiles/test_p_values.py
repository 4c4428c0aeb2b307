import numpy as np
import pytest
from scipy.special import erfc, log_ndtr
from scipy.stats import false_discovery_control

from vcmetrics import _core


def reference(u2, tie, m, n, continuity):
    m = m[:, None].astype(np.float64)
    total = m + n
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = m * n / 12 * ((total + 1) - tie / (total * (total - 1)))
        u = u2 / 2
        z = (np.maximum(u, m * n - u) - m * n / 2 - 0.5 * continuity) / np.sqrt(variance)
    return np.where(variance > 0, np.minimum(1, erfc(z / np.sqrt(2))), 1.0)


@pytest.mark.parametrize("continuity", [True, False])
def test_agrees_with_the_formula_into_the_far_tail(continuity):
    rng = np.random.default_rng(0)
    m, n = np.array([400, 1, 37, 5000]), 3000
    u2 = (rng.random((4, 500)) * 2 * m[:, None] * n).astype(np.int64)
    u2[:, 0] = 0  # complete separation: p down to 1e-300 and below
    u2[:, 1] = m * n  # exactly in the middle
    tie = rng.random((4, 500)) * 1e6
    got = _core.two_sided_p(u2, tie, m, n, continuity, 2)
    want = reference(u2, tie, m, n, continuity)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=2.3e-308)  # SciPy has no subnormal results
    assert got[3, 0] < 1e-300
    assert (got[:, 1] == 1).all()


@pytest.mark.parametrize("sds", [5.0, 15.0, 25.0, 37.0])
def test_the_tail_keeps_its_relative_accuracy(sds):
    m, n = np.array([700]), 3000
    pairs, total = int(m[0]) * n, int(m[0]) + n
    sd = np.sqrt(pairs / 12 * (total + 1))
    u2 = int(2 * (pairs / 2 + sds * sd))
    z = (u2 / 2 - pairs / 2 - 0.5) / sd
    got = _core.two_sided_p(np.array([[u2]]), np.zeros((1, 1)), m, n, True, 1)[0, 0]
    # log p from another function, which has no underflow: its error of some ulp is one of p relative to ~1e-13
    assert np.log(got) == pytest.approx(np.log(2) + log_ndtr(-z), rel=1e-14)
    assert got > 0


def test_all_values_tied_and_empty_groups_are_no_evidence():
    m, n = np.array([3, 0, 1]), 1
    tie = np.array([[60.0], [0.0], [0.0]])
    assert _core.two_sided_p(np.zeros((3, 1), np.int64), tie, m, n, True, 1)[:2].ravel().tolist() == [1.0, 1.0]


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_bh_agrees_with_scipy_row_by_row(threads):
    rng = np.random.default_rng(1)
    p = rng.random((6, 3000)) ** 3
    p[2] = 1.0
    p[3, :1500] = p[3, 1500:]
    got = _core.bh(p, threads)
    np.testing.assert_allclose(got, np.array([false_discovery_control(row) for row in p]), rtol=1e-15)


def test_bh_keeps_nan_and_does_not_count_it():
    p = np.array([[0.01, np.nan, 0.04, np.nan], [np.nan] * 4])
    got = _core.bh(p, 1)
    np.testing.assert_array_equal(got[0], [0.02, np.nan, 0.04, np.nan])
    assert np.isnan(got[1]).all()
    assert _core.bh(np.zeros((2, 0)), 1).shape == (2, 0)
