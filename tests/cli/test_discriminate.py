"""`vcmetrics discriminate`: what it prints, what it writes, and how it fails."""

import json

import pandas as pd
import pytest

import vcmetrics as vcm
from vcmetrics.cli import entry


def discriminate(pair, *options):
    return entry.run(["discriminate", *map(str, pair), "--pert-col", "target_gene", *map(str, options)])


def test_table_and_file(tmp_path, pair, capsys):
    out = tmp_path / "pds.csv"
    assert discriminate(pair, "--metric", "l1", "--scope", "pair", "-o", out) == 0
    want = vcm.discrimination(*pair, pert_col="target_gene", metric="l1", exclude_targets="pair")
    got = pd.read_csv(out, index_col="perturbation")
    pd.testing.assert_frame_equal(got, want, check_dtype=False, check_index_type=False)
    shown = capsys.readouterr()
    assert "score" in shown.out
    assert f"written: {out} (4 rows)" in shown.out
    assert shown.err == ""


def test_json_and_parquet(tmp_path, pair, capsys):
    pytest.importorskip("pyarrow")
    out = tmp_path / "pds.parquet"
    assert discriminate(pair, "--convention", "cell-eval", "--metric", "l2", "--json", "-o", out) == 0
    record = json.loads(capsys.readouterr().out)
    want = vcm.discrimination(*pair, pert_col="target_gene", convention="cell-eval", metric="l2")
    assert [row["score"] for row in record["rows"]] == want["score"].tolist()
    assert record["aggregate"] == want.attrs["aggregate"]
    assert record["settings"]["exclude_targets"] == "row"
    assert pd.read_parquet(out)["score"].tolist() == want["score"].tolist()


def test_sweep(tmp_path, pair, capsys):
    out = tmp_path / "sweep.csv"
    assert discriminate(pair, "--metric", "l2", "--sweep", "-o", out) == 0
    assert "best_scale" in capsys.readouterr().out
    curve = vcm.discrimination_sweep(*pair, pert_col="target_gene", metric="l2")
    assert pd.read_csv(out)["score"].tolist() == curve["score"].tolist()
    assert discriminate(pair, "--sweep", "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"][-1]["scale"] == "inf"
    assert discriminate(pair, "--sweep", "--norm-match", "self") == 2
    assert "--sweep takes no --norm-match" in capsys.readouterr().err


def test_faults(tmp_path, pair, capsys):
    before = sorted(path.name for path in tmp_path.iterdir())
    for options, code, words in (
        (["--control", "nope", "-o", tmp_path / "x.csv"], 1, "no cell is labelled 'nope'"),
        (["--control", ""], 1, "no control to take effects against"),
        (["--target-sum", "-1"], 2, "-1.0 is not in the range x>0"),
        (["-o", tmp_path / "x.xlsx"], 2, "must end in .parquet or .csv"),
        (["--metric", "edistance"], 2, "is not a distance of profiles"),
        (["--metric", "spearman", "--scope", "pair"], 2, "exclude_targets='pair' cannot be had"),
        (["--obsm", "X_pca", "--scope", "none"], 1, "'X_pca' is not in obsm"),
        (["--device", "cuda", "--scope", "pair"], 1, "pass device='cpu'"),
    ):
        assert discriminate(pair, *options) == code
        assert words in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_unresolved_targets_are_told_on_stderr(tmp_path, pair, capsys):
    names = tmp_path / "map.csv"
    names.write_text("GENE03,NOT_MEASURED\n")
    assert discriminate(pair, "--target-map", names, "--json") == 0
    shown = capsys.readouterr()
    assert "1 of 4 perturbations have no measured target gene" in shown.err
    assert json.loads(shown.out)["unresolved_targets"] == ["GENE03"]
