"""``vcmetrics confounders``."""

import json

import anndata
import numpy as np
import pandas as pd
import pytest

from vcmetrics import baselines, confounders
from vcmetrics.cli import entry
from vcmetrics.datasets import demo

HOW = {"pert_col": "perturbation", "control": "non-targeting"}
LABELS = ["--pert-col", "perturbation"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("halves")
    for name, half in zip(("truth", "again"), baselines.halves(demo().path, **HOW), strict=True):
        half.write_h5ad(folder / f"{name}.h5ad")
    return folder


def test_tables(files, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    pred, real = files / "again.h5ad", files / "truth.h5ad"
    line = ["confounders", str(pred), str(real), *LABELS, "--train", str(pred), "--metrics", "delta_pearson,pds_cosine"]
    assert entry.run([*line, "-o", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    for word in ("Spearman", "systematic variation", "effective_rank", "written"):
        assert word in text
    known = pd.read_csv(tmp_path / "out/covariates.csv", index_col=0)
    pd.testing.assert_frame_equal(known, confounders.covariates(real, **HOW), check_dtype=False)
    share = pd.read_csv(tmp_path / "out/known_only.csv", index_col=[0, 1])
    want = confounders.known_only(pred, real, train=pred, metrics=["delta_pearson", "pds_cosine"], **HOW)
    pd.testing.assert_series_equal(share["share"], want["share"])
    assert entry.run([*line, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"covariates", "correlations", "known_only", "systematic_variation", "collapse"}
    shared = next(row for row in found["systematic_variation"] if row["measure"] == "shared_share")
    assert 0.2 < shared["control"] < 1
    assert shared["perturbed_mean"] == pytest.approx(0, abs=1e-12)
    assert {row["measure"] for row in found["collapse"]} >= {"dispersion", "effective_rank"}


def test_no_number_is_lost_on_a_narrow_terminal(files, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    pred, real = files / "again.h5ad", files / "truth.h5ad"
    line = ["confounders", str(pred), str(real), *LABELS, "--metrics", "de_wilcoxon_direction_fidelity_yield_raw"]
    assert entry.run(line) == 0
    words = capsys.readouterr().out.split()
    table = confounders.covariates(real, **HOW)
    for column in ("n_cells", "effect_norm_corrected", "depth_share"):
        for value in table[column]:
            assert (f"{value:.3g}" if np.isfinite(value) else "–") in words, column
    share = confounders.known_only(pred, real, metrics=["de_wilcoxon_direction_fidelity_yield_raw"], **HOW)["share"]
    assert all((f"{value:.3g}" if np.isfinite(value) else "–") in words for value in share)


def test_log_normalised_values(files, tmp_path):
    for name in ("truth", "again"):
        cells = anndata.read_h5ad(files / f"{name}.h5ad")
        x = cells.X.toarray()
        cells.X = np.log1p(x / x.sum(1, keepdims=True) * 1e4)
        cells.write_h5ad(tmp_path / f"{name}.h5ad")
    line = ["confounders", str(tmp_path / "again.h5ad"), str(tmp_path / "truth.h5ad"), *LABELS, "--preset", "vcc2025"]
    assert entry.run([*line, "--space", "values", "--json"]) == 0


def test_faults(files, tmp_path, capsys):
    real = str(files / "truth.h5ad")
    assert entry.run(["confounders", real, real, "--pert-col", "nothing"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert entry.run(["confounders", real, real, *LABELS, "--ci", "2"]) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--metrics", "nope"], "metric 'nope' is not known; see list_metrics() or `vcmetrics metrics`"),
        (["--preset", "nope"], "there is no preset 'nope'"),
        (["--preset", "all"], "there is no preset 'all'"),
        (["--set", "nope=1"], "`vcmetrics info --preset vcc2026` lists all"),
    ],
)
def test_wrong_usage(files, tmp_path, options, words, capsys):
    real, out = str(files / "truth.h5ad"), tmp_path / "out"
    assert entry.run(["confounders", real, real, *LABELS, *options, "-o", str(out)]) == 2
    assert words in capsys.readouterr().err
    assert not out.exists()
