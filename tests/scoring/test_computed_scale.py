"""Baseline and replicate computed from the reference, against cell-eval2's own."""

import csv
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from vcmetrics._errors import DataError
from vcmetrics.scoring.score import score

GOLDEN = Path(__file__).parents[1] / "golden"
A = GOLDEN / "cell_eval2"


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def noise():
    return score(A / "inputs" / "a_noise.h5ad", A / "inputs" / "a_real.h5ad", scale="auto", n_threads=1)


def test_the_replicate_is_the_mean_of_five_split_halves(noise):
    want = {r["metric"]: float(r["replicate"]) for r in rows(A / "reference" / "anchor" / "anchor_agg.csv")}
    assert set(noise.replicate_values) == set(want)
    for metric, value in want.items():
        assert noise.replicate_values[metric] == pytest.approx(value, rel=1e-12), metric


def test_a_perturbation_of_one_cell_is_left_out_of_both_halves():
    real = ad.read_h5ad(A / "inputs" / "b_real.h5ad")
    label = next(x for x in real.obs["target"] if x != "non-targeting")
    cells = np.flatnonzero(real.obs["target"] == label)
    without = real[np.setdiff1d(np.arange(real.n_obs), cells)].copy()
    with_one = real[np.setdiff1d(np.arange(real.n_obs), cells[1:])].copy()
    a, b = (score(x, x, profile="anndata", scale="auto", n_threads=1).replicate_values for x in (without, with_one))
    assert set(a) == set(b)
    for metric, value in a.items():
        assert b[metric] == pytest.approx(value, rel=1e-9), metric


def test_the_baseline_is_the_dispersed_mean_response(noise):
    (want,) = (r for r in rows(A / "reference" / "baseline" / "baseline_agg.csv") if r["statistic"] == "mean")
    for metric, value in noise.baseline_values.items():
        assert value == pytest.approx(float(want[metric]), rel=1e-9), metric


@pytest.mark.parametrize("pred", ["noise", "loud", "paste", "constant", "equal"])
def test_scaled_scores_are_those_of_the_bundle(pred):
    real = A / "inputs" / "a_real.h5ad"
    given = real if pred == "equal" else A / "inputs" / f"a_{pred}.h5ad"
    result = score(given, real, scale="auto", n_threads=1)
    want = {r["metric"]: float(r["from_replicate"]) for r in rows(A / "scores" / f"a_{pred}.bundle.csv")}
    overall = want.pop("avg_score")
    assert set(result.scaled_values) == set(want)
    for metric, value in want.items():
        assert result.scaled_values[metric] == pytest.approx(value, rel=1e-8, abs=1e-10), metric
    assert result.overall == pytest.approx(overall, rel=1e-9)


def test_from_the_baseline_to_the_ideal_value():
    result = score(A / "inputs" / "a_noise.h5ad", A / "inputs" / "a_real.h5ad", scale="baseline", n_threads=1)
    want = {r["metric"]: float(r["from_baseline"]) for r in rows(A / "scores" / "a_noise.baseline.csv")}
    assert result.overall == pytest.approx(want.pop("avg_score"), rel=1e-9)
    assert {m: pytest.approx(v, rel=1e-8) for m, v in want.items()} == result.scaled_values


def test_a_fixed_scale():
    name = "low-random_high-1_v10"
    result = score(A / "inputs" / "a_noise.h5ad", A / "inputs" / "a_real.h5ad", scale=name, n_threads=1)
    want = {r["metric"]: float(r[name]) for r in rows(A / "scores" / "a_noise.scale.csv")}
    assert result.overall == pytest.approx(want.pop("avg_score"), rel=1e-12)
    assert {m: pytest.approx(v, rel=1e-12) for m, v in want.items()} == result.scaled_values


def test_cell_eval_scores_against_its_mean_baseline():
    folder = GOLDEN / "cell_eval" / "inputs"
    result = score(
        folder / "base_pred.h5ad",
        folder / "base_real.h5ad",
        preset="cell-eval",
        profile="vcc",
        scale="auto",
        n_threads=1,
    )
    want = {
        r["metric"]: float(r["from_baseline"])
        for r in rows(GOLDEN / "cell_eval/cell_eval_0.8.2/baseline/score_vcc.csv")
    }
    assert result.overall == pytest.approx(want.pop("avg_score"), rel=1e-5)
    assert {m: pytest.approx(v, rel=1e-5) for m, v in want.items()} == result.scaled_values


def test_a_kept_reference_and_scale_give_the_same(tmp_path):
    pred, real = A / "inputs" / "a_noise.h5ad", A / "inputs" / "a_real.h5ad"
    first = score(pred, real, scale="auto", cache=tmp_path, n_threads=1)
    kept = sorted(p.name for p in tmp_path.iterdir())
    assert len(kept) == 2
    second = score(pred, real, scale="auto", cache=tmp_path, n_threads=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == kept
    for name, values in first.contexts[0].values.items():
        assert np.ma.allequal(values, second.contexts[0].values[name]) or np.isnan(values.filled(np.nan)).any(), name
    assert first.aggregate_values == second.aggregate_values
    assert first.scaled_values == second.scaled_values


@pytest.mark.parametrize("pred", ["noise", "loud", "paste", "constant", "equal"])
def test_an_official_bundle(pred):
    real = A / "inputs" / "a_real.h5ad"
    given = real if pred == "equal" else A / "inputs" / f"a_{pred}.h5ad"
    result = score(given, real, scale=A / "bundle", n_threads=1)
    want = {r["metric"]: float(r["from_replicate"]) for r in rows(A / "scores" / f"a_{pred}.bundle.csv")}
    assert result.overall == pytest.approx(want.pop("avg_score"), rel=1e-12)
    assert {m: pytest.approx(v, rel=1e-12, abs=1e-12) for m, v in want.items()} == result.scaled_values


def test_a_bundle_of_other_data_is_refused():
    b = A / "inputs" / "b_real.h5ad"
    with pytest.raises(DataError, match="not the one that bundle 'golden-a' was built from"):
        score(b, b, scale=A / "bundle", n_threads=1)


def test_a_scale_that_is_nothing_is_refused(tmp_path):
    b = A / "inputs" / "b_real.h5ad"
    with pytest.raises(DataError, match="neither 'auto' nor 'baseline'"):
        score(b, b, scale=tmp_path / "absent", n_threads=1)


def test_a_baseline_given_as_a_file():
    folder = A / "reference" / "baseline" / "baseline_agg.csv"
    result = score(A / "inputs" / "a_noise.h5ad", A / "inputs" / "a_real.h5ad", baseline=folder, n_threads=1)
    want = {r["metric"]: float(r["from_baseline"]) for r in rows(A / "scores" / "a_noise.baseline.csv")}
    assert result.overall == pytest.approx(want.pop("avg_score"), rel=1e-12)
    assert {m: pytest.approx(v, rel=1e-12) for m, v in want.items()} == result.scaled_values
