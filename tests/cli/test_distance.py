"""`vcmetrics distance`: files, tables on the terminal, tests, pictures, and one line where something is wrong."""

import io
import json
import os

import numpy as np
import pandas as pd
import pytest

import vcmetrics as vcm
from vcmetrics.cli import entry


@pytest.fixture
def screen(tmp_path, clean):
    """A screen with an embedding and a batch, log-normalised."""
    adata = clean[1].copy()
    x = np.log1p(adata.X.toarray())
    adata.X = x.astype(np.float32)
    adata.obsm["X_pca"] = x[:, :8] - x[:, :8].mean(0)
    adata.obs["batch"] = np.where(np.arange(adata.n_obs) % 2, "b1", "b2")
    folder = tmp_path / "data"
    folder.mkdir()
    adata.write_h5ad(folder / "screen.h5ad")
    return folder / "screen.h5ad"


def distance(screen, *options):
    return entry.run(["distance", str(screen), "--pert-col", "target_gene", *map(str, options)])


def test_matrix_in_every_format(tmp_path, screen):
    pytest.importorskip("pyarrow")
    expected = vcm.distance_matrix(screen, pert_col="target_gene", obsm="X_pca", estimator="u")
    for suffix in ("csv", "parquet", "npz"):
        out = tmp_path / f"matrix.{suffix}"
        assert distance(screen, "--obsm", "X_pca", "--set", "estimator=u", "-o", out) == 0
        if suffix == "npz":
            with np.load(out) as file:
                np.testing.assert_array_equal(file["values"], expected)
                assert file["rows"].tolist() == list(expected.index)
                assert file["columns"].tolist() == list(expected.columns)
                assert json.loads(str(file["settings"]))["parameters"]["estimator"] == "u"
            continue
        found = pd.read_csv(out, float_precision="round_trip") if suffix == "csv" else pd.read_parquet(out)
        assert list(found.columns) == ["target_gene", *expected.columns]
        assert list(found["target_gene"]) == list(expected.index)
        np.testing.assert_array_equal(found.drop(columns="target_gene"), expected)
    assert sorted(os.listdir(tmp_path)) == ["data", "matrix.csv", "matrix.npz", "matrix.parquet"]


def test_columns_on_the_terminal(screen, capsys):
    assert distance(screen, "--metric", "rmse", "--to", "non-targeting,GENE07", "--groups", "GENE03,GENE11") == 0
    found = pd.read_csv(io.StringIO(capsys.readouterr().out), index_col=0, float_precision="round_trip")
    expected = vcm.distances_to(
        screen, ["non-targeting", "GENE07"], pert_col="target_gene", metric="rmse", groups=["GENE03", "GENE11"]
    )
    pd.testing.assert_frame_equal(found, expected, check_names=False, check_exact=True)


def test_test(tmp_path, screen):
    out = tmp_path / "test.csv"
    options = ("--to", "non-targeting", "--test", "--permutations", 49, "--seed", 3, "--within", "batch")
    assert distance(screen, *options, "--metric", "euclidean", "-o", out) == 0
    found = pd.read_csv(out, index_col=[0, 1], float_precision="round_trip")
    expected = vcm.permutation_test(
        screen,
        "non-targeting",
        pert_col="target_gene",
        metric="euclidean",
        within="batch",
        n_permutations=49,
        random_state=3,
    )
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_genes_of_a_file(tmp_path, screen):
    (tmp_path / "genes.txt").write_text("GENE05\n\nGENE01\n")
    assert distance(screen, "--metric", "l1", "--genes", tmp_path / "genes.txt", "-o", tmp_path / "m.csv") == 0
    expected = vcm.distance_matrix(screen, pert_col="target_gene", metric="l1", genes=["GENE05", "GENE01"])
    np.testing.assert_array_equal(pd.read_csv(tmp_path / "m.csv", index_col=0, float_precision="round_trip"), expected)


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_heat_map(tmp_path, screen, suffix):
    pytest.importorskip("matplotlib")
    picture = tmp_path / f"heat.{suffix}"
    assert distance(screen, "--plot", picture, "--mirror", "upper", "-o", tmp_path / "m.csv") == 0
    start = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[suffix]
    assert picture.read_bytes().startswith(start)
    assert (tmp_path / "m.csv").exists()


def test_rows_of_a_heat_map_are_clustered():
    from vcmetrics.distances.heatmap import cluster_order

    at = np.array([0.0, 10.0, 0.1, 10.1, 0.2, 10.3])
    matrix = pd.DataFrame(np.abs(at[:, None] - at))
    order = cluster_order(matrix)
    assert {tuple(sorted(order[:3])), tuple(sorted(order[3:]))} == {(0, 2, 4), (1, 3, 5)}
    matrix.iloc[2, 3] = np.nan
    assert sorted(cluster_order(matrix - 0.5)) == list(range(6))
    assert cluster_order(matrix.iloc[:2, :2]).tolist() == [0, 1]


def test_list(capsys):
    assert entry.run(["distance", "--list"]) == 0
    text = capsys.readouterr().out
    for name in [*vcm.list_distances(), *vcm.list_conventions()]:
        assert name in text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--metric", "nope"], "'nope' is not known"),
        (["--set", "gamma=1"], "no parameter 'gamma'"),
        (["--set", "estimator=w"], "estimator 'w'"),
        (["--metric", "mmd", "--set", "kernel=rbf", "--set", "gamma=-1"], "gamma"),
        (["--convention", "nope"], "'nope' is not known; choose from pertpy-1.0"),
        (["--test"], "--to LABEL"),
        (["--test", "--to", "GENE03,GENE07"], "--to LABEL"),
        (["--to", "GENE03", "--mirror", "upper"], "--mirror"),
        (["--to", "GENE03", "--plot", "a.png"], "--plot"),
        (["--plot", "a.jpg"], ".png"),
        (["-o", "a.xlsx"], ".csv"),
        (["--mirror", "both"], "mirror"),
        (["--correction", "magic", "--test", "--to", "GENE03"], "magic"),
    ],
)
def test_wrong_usage(screen, capsys, options, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(os.listdir(tmp_path))
    assert distance(screen, *options) == 2
    assert says in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--to", "nope"], "'nope'"),
        (["--groups", "GENE03,nope"], "'nope'"),
        (["--obsm", "X_umap"], "'X_umap' is not in obsm"),
        (["--layer", "nope"], "'nope'"),
        (["--within", "nope"], "'nope' is not a column"),
        (["--metric", "nb_ll"], "needs raw counts"),
        (["--genes", "no.txt"], "no.txt"),
        (["-o", "no/folder/m.csv"], "cannot write"),
    ],
)
def test_faulty_data(screen, capsys, options, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(os.listdir(tmp_path))
    assert distance(screen, "-o", "out.csv", *options) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert captured.err.startswith("vcmetrics: ")
    assert says in captured.err
    assert sorted(os.listdir(tmp_path)) == before


def test_missing_extras_are_one_line(screen, capsys, monkeypatch):
    from vcmetrics.distances import heatmap
    from vcmetrics.metrics.distance import registry

    monkeypatch.setattr(heatmap, "find_spec", lambda name: None)
    assert distance(screen, "--plot", "a.png") == 1
    assert "vcmetrics[plot]" in capsys.readouterr().err
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    assert distance(screen, "--metric", "w2") == 1
    assert "vcmetrics[ot]" in capsys.readouterr().err
