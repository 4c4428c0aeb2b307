"""``vcmetrics baseline --kind``: files, options, refusals."""

import anndata
import numpy as np
import pytest

import vcmetrics as vcm
from vcmetrics import baselines
from vcmetrics.cli import baseline, entry
from vcmetrics.datasets import demo

LABELS = ["--pert-col", "perturbation", "--control", "non-targeting"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("halves")
    about = demo()
    for name, half in zip(
        ("test", "train"), baselines.halves(about.path, pert_col=about.pert_col, control=about.control), strict=True
    ):
        half.write_h5ad(folder / f"{name}.h5ad")
    return folder


def test_kinds_are_those_of_the_library():
    assert (baseline.MEAN_RESPONSE, *baselines.KINDS) == baseline.KINDS


@pytest.mark.parametrize("kind", [k for k in baselines.KINDS if k != "cell-type-transfer"])
def test_file_is_what_the_function_gives(files, tmp_path, kind, capsys):
    out = tmp_path / "b.h5ad"
    line = ["baseline", str(files / "test.h5ad"), "--kind", kind, "--train", str(files / "train.h5ad"), *LABELS]
    assert entry.run([*line, "--seed", "3", "-o", str(out)]) == 0
    assert "learnt from" in capsys.readouterr().out
    how = {"pert_col": "perturbation", "control": "non-targeting", "seed": 3}
    made = baselines.make(kind, files / "test.h5ad", train=files / "train.h5ad", **how)
    back = anndata.read_h5ad(out)
    assert np.array_equal(back.X.toarray(), made.X.toarray())
    assert dict(back.uns["baseline"]) == made.uns["baseline"]


def test_duplicate_with_its_truth(tmp_path):
    about = demo()
    out, truth = tmp_path / "again.h5ad", tmp_path / "truth.h5ad"
    line = ["baseline", str(about.path), "--kind", "technical-duplicate", *LABELS, "--truth", str(truth)]
    assert entry.run([*line, "-o", str(out)]) == 0
    got = vcm.score(out, truth, pert_col="perturbation", control="non-targeting", metrics=["pds_cosine"])
    assert got.aggregate_values["pds_cosine"] > 0.8


def test_options(files, tmp_path):
    out = tmp_path / "b.h5ad"
    line = ["baseline", str(files / "test.h5ad"), *LABELS, "-o", str(out)]
    more = [
        "--kind",
        "linear-pca",
        "--components",
        "3",
        "--ridge",
        "1",
        "--emit",
        "profiles",
        "--space",
        "mean_of_logs",
    ]
    assert entry.run([*line, *more]) == 0
    assert anndata.read_h5ad(out).n_obs == 9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--kind", "additive", "--ridge", "1"], "--ridge does not belong to --kind additive"),
        (["--train", "x.h5ad"], "--train does not belong to --kind mean-response"),
        (["--emit", "profiles"], "emitted as 'dispersed' or 'tile'"),
        (["--kind", "additive", "--truth", "t.h5ad"], "--truth is for"),
        (["--kind", "additive", "--truth", "t.csv"], "must end in .h5ad"),
        (["--kind", "cell-type-transfer"], "--context-col"),
        (["--kind", "median"], "median"),
        (["--kind", "technical-duplicate", "--truth", "OUT"], "the same file"),
        (["--kind", "technical-duplicate", "--truth", "REAL"], "is a file that is read"),
        (["--kind", "additive", "--train", "OUT"], "is a file that is read"),
    ],
)
def test_wrong_usage(files, tmp_path, options, words, capsys):
    out, real = tmp_path / "b.h5ad", files / "test.h5ad"
    options = [{"OUT": str(out), "REAL": str(real)}.get(word, word) for word in options]
    assert entry.run(["baseline", str(real), *LABELS, *options, "-o", str(out)]) == 2
    assert words in capsys.readouterr().err
    assert not out.exists()


def test_fault_of_the_data(files, tmp_path, capsys):
    line = ["baseline", str(files / "test.h5ad"), "--kind", "additive", *LABELS, "--train", str(tmp_path / "none.h5ad")]
    assert entry.run([*line, "-o", str(tmp_path / "b.h5ad")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_both_files_or_none(files, tmp_path, capsys):
    out, truth = tmp_path / "b.h5ad", tmp_path / "nowhere/truth.h5ad"
    line = ["baseline", str(files / "test.h5ad"), "--kind", "technical-duplicate", *LABELS, "--truth", str(truth)]
    assert entry.run([*line, "-o", str(out)]) == 1
    assert "nowhere/truth.h5ad" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
