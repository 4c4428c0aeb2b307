"""`vcmetrics correlate`: the table of the function, as files and on the terminal."""

import json

import anndata
import numpy as np
import pandas as pd
import pytest

import vcmetrics as vcm
from vcmetrics.cli import entry

HOW = {"pert_col": "target_gene", "control": "non-targeting"}
OPTIONS = ["--pert-col", "target_gene"]


def read_csv(path):
    return pd.read_csv(path, index_col="gene", float_precision="round_trip")


@pytest.fixture
def batched(tmp_path, clean):
    paths = []
    for name, side in zip(("pred", "real"), clean, strict=True):
        adata = side.copy()
        adata.obs["batch"] = ["b1" if k % 2 else "b2" for k in range(adata.n_obs)]
        paths.append(str(tmp_path / f"{name}.h5ad"))
        adata.write_h5ad(paths[-1])
    return paths


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_file_holds_the_table(batched, tmp_path, capsys, suffix):
    out = tmp_path / f"genes.{suffix}"
    assert entry.run(["correlate", *batched, *OPTIONS, "--within", "batch", "-o", str(out)]) == 0
    read = read_csv(out) if suffix == "csv" else pd.read_parquet(out)
    want = vcm.gene_correlation(*batched, within="batch", **HOW)
    pd.testing.assert_frame_equal(read, want, rtol=1e-15)
    text = capsys.readouterr().out
    for word in ("median", "within", "between", "40 of 40 genes", "predicted constant: 0.0%", "written"):
        assert word in text


def test_json(batched, capsys):
    options = ["--method", "spearman", "--ci", "0.9", "--min-variance", "0.01", "--json"]
    assert entry.run(["correlate", *batched, *OPTIONS, *options]) == 0
    record = json.loads(capsys.readouterr().out)
    want = vcm.gene_correlation(*batched, method="spearman", ci=0.9, min_variance=0.01, **HOW)
    assert record["summary"]["median"] == pytest.approx(want.attrs["summary"]["median"])
    assert record["method"] == "spearman"
    assert record["n_included"] == int(want["included"].sum())


def test_over_cells(batched, tmp_path, capsys):
    out = tmp_path / "genes.csv"
    options = ["--over", "cells", "--space", "mean_of_logs", "--target-sum", "1e4", "-o", str(out)]
    assert entry.run(["correlate", *batched, *OPTIONS, *options]) == 0
    want = vcm.gene_correlation(*batched, over="cells", space="mean_of_logs", target_sum=1e4, **HOW)
    np.testing.assert_allclose(read_csv(out)["pearson"], want["pearson"], rtol=1e-15)


def test_what_goes_wrong(batched, tmp_path, capsys):
    for arguments, code, words in (
        ([*batched], 2, "Missing option '--pert-col'"),
        ([*batched, "--pert-col", "gene"], 1, "'gene' is not a column of obs"),
        ([*batched, *OPTIONS, "--within", "donor"], 1, "'donor' is not a column of obs"),
        ([*batched, *OPTIONS, "-o", "genes.txt"], 2, "must end in .parquet or .csv"),
        ([*batched, *OPTIONS, "--over", "cells"], 2, "needs --space mean"),
        ([*batched, *OPTIONS, "--over", "cells", "--ci", "0.9"], 2, "without intervals"),
        ([*batched, *OPTIONS, "--ci", "95"], 2, "95"),
        ([batched[0], str(tmp_path / "none.h5ad"), *OPTIONS], 1, "none.h5ad"),
        ([*batched, *OPTIONS, "--control", "DMSO", "--reference", "x"], 2, "No such option"),
    ):
        assert entry.run(["correlate", *arguments]) == code
        assert words in capsys.readouterr().err


def test_a_control_that_is_not_there_is_no_perturbation(batched, tmp_path, capsys):
    assert entry.run(["correlate", *batched, *OPTIONS, "--control", "ctrl"]) == 1
    error = capsys.readouterr().err
    assert "nothing is labelled 'ctrl' (labels: " in error
    assert "control=None" in error
    out = tmp_path / "genes.csv"
    assert entry.run(["correlate", *batched, *OPTIONS, "--control", "", "-o", str(out)]) == 0
    want = vcm.gene_correlation(*batched, pert_col="target_gene")
    np.testing.assert_allclose(read_csv(out)["pearson"], want["pearson"], rtol=1e-15)
    assert want["n"].eq(read_csv(out)["n"]).all()
    assert entry.run(["correlate", *batched, *OPTIONS, "--target-sum", "0"]) == 2


def test_log_normalised_values_are_no_counts(batched, capsys):
    real = anndata.read_h5ad(batched[1])
    real.X = np.log1p(real.X)
    real.write_h5ad(batched[1])
    for options in ([], ["--over", "cells", "--space", "mean_of_logs"]):
        assert entry.run(["correlate", *batched, *OPTIONS, *options]) == 1
        assert "whole numbers" in capsys.readouterr().err
    assert entry.run(["correlate", *batched, *OPTIONS, "--space", "mean"]) == 0
    with pytest.raises(vcm.DataError, match="takes counts, but not all values are whole numbers"):
        vcm.effect_correlation(*batched, **HOW)
