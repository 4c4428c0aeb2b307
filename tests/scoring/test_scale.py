"""Scores against baselines, replicates and fixed scales."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from vcmetrics._errors import DataError, VcmetricsWarning
from vcmetrics.presets.policy import ScalePolicy
from vcmetrics.presets.preset import get_preset
from vcmetrics.scoring.scale import (
    cell_eval_scores,
    from_baseline,
    from_reference,
    from_replicate,
    on_fixed_scale,
    read_aggregate,
    score_one,
)

CELL_EVAL2 = Path(__file__).parents[1] / "golden/cell_eval2"
CELL_EVAL = Path(__file__).parents[1] / "golden/cell_eval/cell_eval_0.8.2"
POLICIES = get_preset("vcc2026").policies
PREDICTIONS = ["a_noise", "a_constant", "a_loud", "a_paste", "a_equal"]


def _table(path: Path) -> dict[str, dict[str, str]]:
    with open(path, newline="") as handle:
        return {row.pop("metric"): row for row in csv.DictReader(handle)}


def _compare(scores, golden: dict[str, dict[str, str]], column: str, rtol: float = 1e-12) -> None:
    expected = {name: row[column] for name, row in golden.items()}
    average = expected.pop("avg_score")
    assert list(scores.scores) == list(expected)
    for name, text in expected.items():
        assert scores.scores[name] == pytest.approx(float(text), rel=rtol, abs=1e-14), name
    if average:
        assert scores.overall == pytest.approx(float(average), rel=rtol)


def _values(prediction: str) -> dict[str, float | None]:
    return read_aggregate(CELL_EVAL2 / f"runs/{prediction}.vcc2026.pdex/agg_results.csv")


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_from_baseline_golden(prediction):
    golden = _table(CELL_EVAL2 / f"scores/{prediction}.baseline.csv")
    base = read_aggregate(CELL_EVAL2 / "reference/baseline/baseline_agg.csv")
    values = _values(prediction)
    _compare(from_baseline(values, base, POLICIES), golden, "from_baseline")
    reference = read_aggregate(CELL_EVAL2 / "reference/anchor/lfc_nmae_ref_agg.csv")["nmae_ref_raw"]
    expected = float(golden["de_wilcoxon_lfc_nmae"]["from_reference"])
    assert from_reference(values["de_wilcoxon_lfc_nmae"], reference) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_bundle_golden(prediction):
    golden = _table(CELL_EVAL2 / f"scores/{prediction}.bundle.csv")
    base = read_aggregate(CELL_EVAL2 / "bundle/baseline_agg.csv")
    with open(CELL_EVAL2 / "reference/anchor/anchor_agg.csv", newline="") as handle:
        replicate = {row["metric"]: float(row["replicate"]) for row in csv.DictReader(handle)}
    values = _values(prediction)
    _compare(from_baseline(values, base, POLICIES), golden, "from_baseline")
    _compare(from_replicate(values, base, replicate, POLICIES), golden, "from_replicate")


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_fixed_scale_golden(prediction):
    golden = _table(CELL_EVAL2 / f"scores/{prediction}.scale.csv")
    _compare(on_fixed_scale(_values(prediction), "low-random_high-1_v10"), golden, "low-random_high-1_v10")


@pytest.mark.parametrize(("profile", "run"), [("full", "base_full"), ("vcc", "base_vcc")])
def test_cell_eval_golden(profile, run):
    preset = get_preset("cell-eval")
    canonical = {m.output: m.metric for m in preset.members(profile)}
    values, base = (
        {canonical[name]: value for name, value in read_aggregate(CELL_EVAL / path).items()}
        for path in (f"{run}/agg_results.csv", f"baseline/agg_{profile}_results.csv")
    )
    golden = {canonical.get(k, k): v for k, v in _table(CELL_EVAL / f"baseline/score_{profile}.csv").items()}
    _compare(cell_eval_scores(values, base, preset.policies), golden, "from_baseline")


ERROR = ScalePolicy("lower", anchor=0.0, boxcox=True, low=-6.0, decisive=True)
OPEN = ScalePolicy("higher", low=-2.0, high=2.0)
SIGNED = ScalePolicy("higher", low=-2.0, high=2.0, absolute=True)
UNFLOORED = ScalePolicy("higher", anchor=1.0, missing=0.0)


@pytest.mark.parametrize(
    ("value", "base", "policy", "expected"),
    [
        (0.5, 1.0, ERROR, 0.5),
        (1.0, 1.0, ERROR, 0.0),
        (2.0, 1.0, ERROR, -1.5),
        (math.sqrt(13.0), 1.0, ERROR, -6.0),
        (1e300, 1e-300, ERROR, -6.0),
        (None, 1.0, ERROR, -6.0),
        (math.inf, 1.0, ERROR, -6.0),
        (0.9, 0.3, OPEN, 2.0),
        (0.45, 0.3, OPEN, 0.5),
        (0.0, 0.3, OPEN, -1.0),
        (-0.1, -0.2, SIGNED, 0.5),
        (math.nan, -0.2, SIGNED, -2.0),
        (0.25, 0.5, UNFLOORED, -0.5),
        (math.nan, 0.5, UNFLOORED, -1.0),
        (2.0, 0.5, UNFLOORED, 3.0),
    ],
)
def test_score_one(value, base, policy, expected):
    assert score_one(value, base, policy) == pytest.approx(expected, rel=1e-15)


def test_undefined_ratio_gives_nan_with_the_reason_and_no_overall():
    values = {"expr_mse_unbiased_capped_norm": math.nan, "pds_cosine": 0.8}
    base = {"expr_mse_unbiased_capped_norm": math.nan, "pds_cosine": 0.5}
    why = {"expr_mse_unbiased_capped_norm": "the summed denominator is -0.1"}
    scores = from_baseline(values, base, POLICIES, undefined=why)
    assert math.isnan(scores.scores["expr_mse_unbiased_capped_norm"])
    assert scores.reasons == why
    assert scores.overall is None
    scores = from_replicate(values, base, {**values, "pds_cosine": 0.9}, POLICIES, undefined=why)
    assert scores.scores["pds_cosine"] == pytest.approx(0.75)
    assert scores.overall is None


def test_degenerate_baseline():
    values = {"pds_cosine": 0.8, "delta_mae": 0.5}
    with pytest.raises(DataError, match="'pds_cosine' cannot be scored: the baseline is 1"):
        from_baseline(values, {"pds_cosine": 1.0, "delta_mae": 1.0}, POLICIES)
    with pytest.raises(DataError, match="'delta_mae' cannot be scored: the baseline is None"):
        from_baseline(values, {"pds_cosine": 0.5}, POLICIES)
    scores = from_baseline(values, {"pds_cosine": 1.0, "delta_mae": 1.0}, POLICIES, strict=False)
    assert math.isnan(scores.scores["pds_cosine"])
    assert scores.overall is None
    loose = {"de_wilcoxon_direction_coverage": 0.4, "pds_cosine": 0.8}
    with pytest.warns(VcmetricsWarning, match="direction_coverage"):
        scores = from_baseline(loose, {"de_wilcoxon_direction_coverage": 0.0, "pds_cosine": 0.5}, POLICIES)
    assert scores.overall == pytest.approx(0.6)


def test_replicate_on_the_wrong_side_of_the_baseline():
    values = {"pds_cosine": 0.8}
    with pytest.raises(DataError, match="not on the worse side"):
        from_replicate(values, {"pds_cosine": 0.5}, {"pds_cosine": 0.4}, POLICIES)
    with pytest.raises(DataError, match="no usable replicate scale: the replicate is nan"):
        from_replicate(values, {"pds_cosine": 0.5}, {"pds_cosine": math.nan}, POLICIES)
    with pytest.raises(DataError, match="where a missing value lies"):
        from_replicate(values, {"pds_cosine": -0.5}, {"pds_cosine": -0.1}, POLICIES)
    with pytest.raises(DataError, match="de_wilcoxon_sig_jaccard, which the results lack"):
        from_replicate(values, {"pds_cosine": 0.5}, {"pds_cosine": 0.9, "de_wilcoxon_sig_jaccard": 0.4}, POLICIES)


def test_gated_metric_without_any_judged_perturbation():
    values = {"de_wilcoxon_pr_auc": math.nan, "pds_cosine": 0.8}
    base = {"de_wilcoxon_pr_auc": math.nan, "pds_cosine": 0.5}
    with pytest.warns(VcmetricsWarning, match="admits no perturbation"):
        scores = from_baseline(values, base, POLICIES, gated={"de_wilcoxon_pr_auc"})
    assert list(scores.scores) == ["pds_cosine"]
    with pytest.raises(DataError, match="undefined in the results alone"):
        from_baseline(values, {**base, "de_wilcoxon_pr_auc": 0.3}, POLICIES, gated={"de_wilcoxon_pr_auc"})


def test_nothing_to_score():
    with pytest.raises(DataError, match="nothing is left to score"):
        from_baseline({"expr_real_mass_ratio": 1.0}, {}, POLICIES)


def test_cell_eval_counts_undefined_as_zero_and_refuses_a_perfect_baseline():
    policies = get_preset("cell-eval").policies
    scores = cell_eval_scores({"pds_l1": math.nan, "expr_mae": 2.0}, {"pds_l1": 0.5, "expr_mae": 1.0}, policies)
    assert dict(scores.scores) == {"expr_mae": 0.0, "pds_l1": 0.0}
    with pytest.raises(DataError, match="at its optimum"):
        cell_eval_scores({"expr_mae": 2.0}, {"expr_mae": 0.0}, policies)
    with pytest.raises(DataError, match="different metrics"):
        cell_eval_scores({"expr_mae": 2.0}, {"pds_l1": 0.0}, policies)


def test_from_reference_without_signal():
    assert from_reference(0.25, 1.2) == 0.75
    assert from_reference(math.nan, 0.5) is None
    with pytest.raises(DataError, match="non-negative"):
        from_reference(0.5, -1.0)


def test_fixed_scale_refuses():
    with pytest.raises(DataError, match="no fixed scale 'v9'"):
        on_fixed_scale({}, "v9")
    with pytest.raises(DataError, match="needs expr_mse_unbiased_capped_norm"):
        on_fixed_scale({}, "low-random_high-1_v10")


def test_read_aggregate_refuses(tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        read_aggregate(tmp_path / "none.csv")
    path = tmp_path / "agg.csv"
    path.write_text("metric,a\nmean,1\n")
    with pytest.raises(DataError, match="not an aggregate table"):
        read_aggregate(path)
    path.write_text("statistic,a\nstd,1\n")
    with pytest.raises(DataError, match="exactly one row 'mean'"):
        read_aggregate(path)
    path.write_text("statistic,a\nmean,one\n")
    with pytest.raises(DataError, match="could not convert"):
        read_aggregate(path)
    path.write_text("statistic,a,b\nmean,,NaN\n")
    assert read_aggregate(path)["a"] is None
