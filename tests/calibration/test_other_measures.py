"""Dynamic range fraction, saturation, depth, audit: closed forms and brute force."""

import numpy as np
import pandas as pd
import pytest

import vcmetrics as vcm
from vcmetrics import calibration


def test_dynamic_range_fraction_by_hand():
    got = calibration.dynamic_range_fraction([1.0, 0.5, 0.2, np.nan], [0.0, 0.5, 0.4, 0.1], better="higher")
    np.testing.assert_allclose(got, [1 / (1 + 1e-6), 0.0, -0.2 / (0.6 + 1e-6), np.nan], rtol=1e-15)
    got = calibration.dynamic_range_fraction([0.0, 2.0, 9.0], [4.0, 4.0, 1.0], better="lower")
    np.testing.assert_allclose(got, [4 / (4 + 1e-6), 2 / (4 + 1e-6), -1.0], rtol=1e-15)
    # a mean at the best value already: the clip, not an infinity
    assert calibration.dynamic_range_fraction([0.5], [1.0], better="higher")[0] == -1.0
    assert calibration.dynamic_range_fraction([1.0], [1.0], better="higher")[0] == 0.0


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_dynamic_range_fraction_is_bounded(better):
    rng = np.random.default_rng(0)
    pos, neg = rng.normal(size=(2, 500)) * 10.0 ** rng.integers(-9, 9, (2, 500))
    got = calibration.dynamic_range_fraction(pos, neg, better=better)
    assert (np.abs(got) <= 1).all()


def test_fewer_than_ten_are_dropped():
    pos, neg = np.full(12, 0.9), np.full(12, 0.5)
    assert calibration.dynamic_range(pos, neg, better="higher").loc["score", "median"] == pytest.approx(0.8, abs=1e-5)
    pos[:3] = np.nan
    row = calibration.dynamic_range(pos, neg, better="higher").loc["score"]
    assert np.isnan(row["median"])
    assert np.isnan(row["mean"])
    assert (row["n_valid"], row["n"]) == (9, 12)
    assert row["reason"] == "9 defined perturbations, fewer than 10"


def test_dynamic_range_refuses():
    with pytest.raises(ValueError, match="better= is needed"):
        calibration.dynamic_range([1.0], [0.0])
    with pytest.raises(ValueError, match="better 'up'"):
        calibration.dynamic_range_fraction([1.0], [0.0], better="up")
    with pytest.raises(ValueError, match="perfect is 2"):
        calibration.dynamic_range_fraction([1.0], [0.0], better="lower", perfect=2)
    with pytest.raises(ValueError, match="shape"):
        calibration.dynamic_range_fraction([1.0], [0.0, 1.0], better="lower")


def test_spearman_brown():
    r = np.array([0.0, 0.25, 0.5, 1.0, -0.3, np.nan])
    np.testing.assert_allclose(calibration.spearman_brown(r), [np.nan, 0.4, 2 / 3, 1.0, np.nan, np.nan])
    # twice double is fourfold
    twice = calibration.spearman_brown(calibration.spearman_brown(r[1:4]))
    np.testing.assert_allclose(twice, calibration.spearman_brown(r[1:4], factor=4))


def test_spearman_brown_predicts_the_whole():
    """Halves of simulated measurements: the agreement at full depth is the one that is predicted."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=200_000)
    halves = signal + rng.normal(0, 1.3, (4, signal.size))
    half = np.corrcoef(halves[0], halves[1])[0, 1]
    full = np.corrcoef(halves[0] + halves[1], halves[2] + halves[3])[0, 1]
    assert float(calibration.spearman_brown(half)) == pytest.approx(full, abs=0.01)
    rmse_half = np.sqrt(np.mean((halves[0] - halves[1]) ** 2))
    rmse_full = np.sqrt(np.mean(((halves[0] + halves[1]) / 2 - (halves[2] + halves[3]) / 2) ** 2))
    assert float(calibration.noise_at_full_depth(rmse_half)) == pytest.approx(rmse_full, rel=0.01)
    assert float(calibration.noise_at_full_depth(rmse_half**2, squared=True)) == pytest.approx(rmse_full**2, rel=0.02)


def test_saturation():
    got = calibration.saturation([0.5, 0.1, 1.2, np.nan], [0.0, 0.1, 0.2, 0.0], [1.0, 0.1, 0.7, 1.0])
    np.testing.assert_allclose(got, [0.5, np.nan, 2.0, np.nan])


@pytest.mark.parametrize("metric", ["cosine", "euclidean", lambda a, b: float(np.abs(a - b).max())])
def test_audit_against_pairs(metric):
    rng = np.random.default_rng(1)
    kinds = np.repeat(["a", "b", None], [4, 5, 3])
    centre = {"a": rng.normal(size=15), "b": rng.normal(size=15), None: np.zeros(15)}
    truth = np.array([centre[k] for k in kinds]) + rng.normal(size=(12, 15))
    x, y = (truth + rng.normal(0, 0.8, truth.shape) for _ in range(2))
    got = calibration.metric_audit(x, y, metric=metric, classes=kinds)
    distance = {
        "cosine": lambda a, b: 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b),
        "euclidean": lambda a, b: np.linalg.norm(a - b),
    }.get(metric, metric)
    d = np.array([[distance(a, b) for b in y] for a in x])

    def wins(some, others):
        return np.mean([(a < b) + 0.5 * (a == b) for a in some for b in others])

    off = [(i, j) for i in range(12) for j in range(12) if i != j]
    assert got["replicate_auroc"] == pytest.approx(wins(np.diag(d), [d[p] for p in off]))
    known = [(i, j) for i, j in off if kinds[i] is not None and kinds[j] is not None]
    alike = [d[i, j] for i, j in known if kinds[i] == kinds[j]]
    assert got["class_auroc"] == pytest.approx(wins(alike, [d[i, j] for i, j in known if kinds[i] != kinds[j]]))
    rank = [sum(d[i, j] < d[i, i] for j in range(12)) for i in range(12)]
    assert got["replicate_rank"] == pytest.approx(1 - np.mean(rank) / 11)
    assert got["n_class_pairs"] == 4 * 3 + 5 * 4
    pd.testing.assert_series_equal(calibration.metric_audit(d, classes=kinds), got)


def test_audit_of_noise_and_of_equals():
    rng = np.random.default_rng(2)
    got = calibration.metric_audit(*rng.normal(size=(2, 200, 20)), metric="euclidean")
    assert got["replicate_rank"] == pytest.approx(0.5, abs=0.08)
    assert np.isnan(got["class_auroc"])
    assert calibration.metric_audit(np.ones((5, 5)))[["replicate_auroc", "replicate_rank"]].tolist() == [0.5, 0.5]
    with pytest.raises(vcm.DataError, match="shape"):
        calibration.metric_audit(np.ones((5, 4)))
    with pytest.raises(vcm.DataError, match="classes has 3 entries"):
        calibration.metric_audit(np.ones((5, 5)), classes=["a"] * 3)
