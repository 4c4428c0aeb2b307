"""Scores between a null and a ceiling: values, intervals, refusals."""

import numpy as np
import pandas as pd
import pytest

import vcmetrics as vcm
from vcmetrics import baselines, calibration
from vcmetrics.datasets import demo
from vcmetrics.metrics.resample import resample_counts

N = 40


@pytest.fixture
def sides():
    rng = np.random.default_rng(0)
    null = rng.normal(0.2, 0.1, N)
    return null + rng.normal(0.3, 0.1, N), null, null + rng.normal(0.6, 0.05, N)


def test_ends_are_0_and_1(sides):
    model, null, ceiling = sides
    for u, want in ((null, 0.0), (ceiling, 1.0), ((null + ceiling) / 2, 0.5)):
        row = vcm.calibrate(u, null, ceiling).loc["score"]
        assert row[["calibrated", "lower", "upper"]].to_numpy(float) == pytest.approx([want] * 3)
    row = vcm.calibrate(model, null, ceiling).loc["score"]
    assert row["calibrated"] == pytest.approx((model.mean() - null.mean()) / (ceiling.mean() - null.mean()))
    assert row["lower"] < row["calibrated"] < row["upper"]
    assert row["usable"]


def test_intervals_are_a_paired_bootstrap(sides):
    model, null, ceiling = sides
    row = vcm.calibrate(model, null, ceiling, n_resamples=300, seed=7, ci=0.9).loc["score"]
    counts = resample_counts(N, 300, 7).astype(int)
    drawn = [np.repeat(np.arange(N), c) for c in counts]
    for names, values in [
        (("lower", "upper"), [(model[d] - null[d]).mean() / (ceiling[d] - null[d]).mean() for d in drawn]),
        (("over_null_lower", "over_null_upper"), [(model[d] - null[d]).mean() for d in drawn]),
        (("span_lower", "span_upper"), [(ceiling[d] - null[d]).mean() for d in drawn]),
    ]:
        assert row[list(names)].to_numpy(float) == pytest.approx(np.quantile(values, [0.05, 0.95]))


def test_errors_go_the_other_way(sides):
    model, null, ceiling = (1 - x for x in sides)
    turned = vcm.calibrate(model, null, ceiling, better="lower").loc["score"]
    straight = vcm.calibrate(*sides, better="higher").loc["score"]
    assert turned["calibrated"] == pytest.approx(straight["calibrated"])
    assert turned["over_null"] < 0


def test_refuses_to_scale_what_cannot_be_told_apart(sides):
    model, null, _ = sides
    noise = null + np.random.default_rng(1).normal(0, 0.5, N)
    row = vcm.calibrate(model, null, noise).loc["score"]
    assert not row["usable"]
    assert np.isnan(row[["calibrated", "lower", "upper"]].to_numpy(float)).all()
    assert row["reason"].startswith("ceiling and null cannot be told apart: ceiling - null lies in [")
    assert row["over_null"] == pytest.approx((model - null).mean())
    with pytest.raises(vcm.DataError, match="score cannot be calibrated: ceiling and null cannot be told apart"):
        vcm.calibrate(model, null, noise, refuse="raise")


def test_other_reasons(sides):
    model, null, ceiling = sides
    assert (
        "the ceiling is worse than the null" in vcm.calibrate(model, ceiling, null, better="higher").loc["score"].reason
    )
    assert vcm.calibrate(model, ceiling, null).loc["score", "usable"]  # no direction, nothing to check
    assert vcm.calibrate(model, null * np.nan, ceiling).loc["score", "reason"] == "the null is undefined"
    assert "1 perturbation cannot be resampled" in vcm.calibrate([1.0], [0.0], [2.0]).loc["score", "reason"]
    for how in ({"refuse": "maybe"}, {"better": "up"}, {"ci": 2}, {"n_resamples": 0}):
        with pytest.raises(ValueError, match=next(iter(how))):
            vcm.calibrate(*sides, **how)


def test_tables_are_aligned_by_label(sides):
    index = [f"p{k}" for k in range(N)]
    frames = [pd.DataFrame({"a": x, "b": 1 - x}, index=index) for x in sides]
    want = vcm.calibrate(*frames)
    shuffled = frames[1].sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(vcm.calibrate(frames[0], shuffled, frames[2]), want)
    assert list(want.index) == ["a", "b"]
    one = vcm.calibrate(*(f["a"] for f in frames))
    assert one.loc["score", "calibrated"] == want.loc["a", "calibrated"]
    with pytest.raises(vcm.DataError, match="different perturbations"):
        vcm.calibrate(frames[0], frames[1].iloc[1:], frames[2])
    with pytest.raises(vcm.DataError, match="different metrics"):
        vcm.calibrate(frames[0], frames[1][["a"]], frames[2])
    with pytest.raises(vcm.DataError, match="one has labels"):
        vcm.calibrate(frames[0]["a"], sides[1], sides[2])
    with pytest.raises(vcm.DataError, match="40 values, null 3"):
        vcm.calibrate(sides[0], sides[1][:3], sides[2])
    with pytest.raises(TypeError, match="2 dimensions"):
        vcm.calibrate(np.zeros((2, 2)), sides[1], sides[2])


def test_results_of_score():
    """On real data: the replicate scores 1, the mean 0, a ratio of sums is taken as such."""
    about = demo()
    how = {"pert_col": about.pert_col, "control": about.control}
    truth, again = baselines.halves(about.path, **how)
    predictions = {
        "replicate": again,
        "mean": baselines.perturbed_mean(truth, train=again, **how),
        "additive": baselines.additive(truth, train=again, **how),
    }
    results = {name: vcm.score(p, truth, preset="vcc2026", **how) for name, p in predictions.items()}
    table = vcm.calibrate(results["additive"], results["mean"], results["replicate"])
    assert list(table.index) == list(results["mean"].aggregate_values)
    for metric, value in results["additive"].aggregate_values.items():
        assert table.loc[metric, "value"] == pytest.approx(value, nan_ok=True)
    usable = table.index[table["usable"]]
    assert "pds_cosine" in usable
    assert "expr_mse_unbiased_capped_norm" in usable
    for end, name in ((1.0, "replicate"), (0.0, "mean")):
        got = vcm.calibrate(results[name], results["mean"], results["replicate"])
        assert got["calibrated"].dropna().to_numpy() == pytest.approx(end, abs=1e-12)
    ratio = calibration.dynamic_range(results["replicate"], results["mean"], min_valid=5)
    assert ratio["median"].dropna().between(-1, 1).all()
    assert ratio.loc["pds_cosine", "n_valid"] == 8


def test_nothing_is_modified(sides):
    before = [x.copy() for x in sides]
    vcm.calibrate(*sides)
    assert all(np.array_equal(a, b) for a, b in zip(sides, before, strict=True))
