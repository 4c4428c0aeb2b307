"""`vcmetrics de`, `baseline` and `demo`, and what a signal leaves behind."""

import csv
import json
import os
import signal
import subprocess
import sys

import anndata
import numpy as np
import pytest

import vcmetrics as vcm
from vcmetrics.cli import entry


def de(real, out, *options):
    return entry.run(["de", str(real), "--pert-col", "target_gene", *options, "-o", str(out)])


def test_de_csv(tmp_path, pair):
    assert de(pair[1], tmp_path / "de.csv") == 0
    table = vcm.differential_expression(pair[1], pert_col="target_gene")
    with (tmp_path / "de.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(table) == 4 * 40
    assert [float(row["p_value"]) for row in rows] == table["p_value"].tolist()
    assert os.listdir(tmp_path) == ["data", "de.csv"] or sorted(os.listdir(tmp_path)) == ["data", "de.csv"]


def test_de_parquet_and_modes(tmp_path, pair):
    parquet = pytest.importorskip("pyarrow.parquet")
    for mode, n in (("reference", 160), ("all", 200), ("on_target", 4)):
        assert de(pair[1], tmp_path / f"{mode}.parquet", "--mode", mode) == 0
        assert parquet.read_table(tmp_path / f"{mode}.parquet").num_rows == n


def test_de_faults(tmp_path, pair, capsys):
    before = sorted(os.listdir(tmp_path))
    assert de(pair[1], tmp_path / "de.csv", "--control", "nope") == 1
    assert "nope" in capsys.readouterr().err
    assert de(pair[1], tmp_path / "de.xlsx") == 2
    assert de(tmp_path / "no.h5ad", tmp_path / "de.csv") == 1
    assert "no.h5ad" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == before


def test_baseline_is_a_prediction(tmp_path, pair, capsys):
    out = tmp_path / "base.h5ad"
    assert entry.run(["baseline", str(pair[1]), "-o", str(out)]) == 0
    real, made = anndata.read_h5ad(pair[1]), anndata.read_h5ad(out)
    assert made.obs["target_gene"].value_counts().to_dict() == real.obs["target_gene"].value_counts().to_dict()
    assert list(made.var_names) == list(real.var_names)
    scores = ["score", str(out), str(pair[1]), "--set", "allow_fractional=true", "--scale", "auto", "--json"]
    capsys.readouterr()
    assert entry.run(scores) == 0
    record = json.loads(capsys.readouterr().out)
    row = record["metrics"]["expr_mse_unbiased_capped_norm"]
    assert row["value"] == pytest.approx(row["baseline"], rel=1e-12)


def test_baseline_is_the_mean_response(tmp_path, pair):
    out = tmp_path / "tile.h5ad"
    assert entry.run(["baseline", str(pair[1]), "--emit", "tile", "-o", str(out)]) == 0
    real, made = anndata.read_h5ad(pair[1]), anndata.read_h5ad(out)
    labels = real.obs["target_gene"].astype(str).to_numpy()
    targets = sorted(set(labels) - {"non-targeting"})
    means = np.array([np.asarray(real.X[labels == t].mean(0)).ravel() for t in targets])
    own = np.array([real.var_names.get_loc(t) for t in targets])
    weights = np.ones_like(means)
    weights[np.arange(len(targets)), own] = 0
    expected = (means * weights).sum(0) / weights.sum(0)
    row = made.X[(made.obs["target_gene"] == targets[0]).to_numpy()][0]
    np.testing.assert_allclose(np.asarray(row.todense()).ravel(), expected, rtol=1e-6)


def test_baseline_faults(tmp_path, pair, capsys):
    before = sorted(os.listdir(tmp_path))
    for options, code, word in (
        (["--control", "nope"], 1, "nope"),
        (["--pert-col", "nope"], 1, "nope"),
        (["--layer", "nope"], 1, "nope"),
    ):
        assert entry.run(["baseline", str(pair[1]), *options, "-o", str(tmp_path / "b.h5ad")]) == code
        err = capsys.readouterr().err
        assert word in err
        assert len(err.splitlines()) == 1
    assert entry.run(["baseline", str(pair[1]), "-o", str(tmp_path / "b.csv")]) == 2
    assert sorted(os.listdir(tmp_path)) == before


def test_demo(capsys):
    assert entry.run(["demo"]) == 0
    text = capsys.readouterr().out
    for word in ("unperturbed", "mean response", "replicate", "pds_cosine", "overall", "What to conclude"):
        assert word in text
    assert entry.run(["demo", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    overall = {name: side["overall"] for name, side in record.items()}
    assert overall["mean response"] == pytest.approx(0.0, abs=1e-12)
    assert overall["replicate"] == pytest.approx(1.0)
    assert overall["unperturbed"] < 0


BLOCKED = """
import signal
import vcmetrics.scoring.score as module
from vcmetrics.cli.entry import main

def blocked(*_, **__):
    print("ready", flush=True)
    while True:
        signal.pause()

module.score = blocked
main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_signals_leave_nothing_behind(number, code, tmp_path, pair):
    before = sorted(os.listdir(tmp_path))
    command = [sys.executable, "-c", BLOCKED, "score", *map(str, pair), "-o", str(tmp_path / "new" / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        assert sorted(os.listdir(tmp_path)) != before  # the staging folder proves that the output can be written
        process.send_signal(number)
        err = process.stderr.read()
    assert process.returncode == code
    assert len(err.split()) == 0 or len(err.strip().splitlines()) == 1, err
    assert sorted(os.listdir(tmp_path)) == before
