"""Each fault of the data: exit code 1, one line that names offender and way out, nothing written."""

import errno
import os
import re
import resource
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp

from vcmetrics.cli import entry
from vcmetrics.results import files

LOGNORM = ("--preset", "cell-eval2", "--set", "input_type=lognorm")


def set_value(value):
    def change(adata):
        adata.X.data[7] = value

    return change


def rename(old, new):
    def change(adata):
        adata.obs["target_gene"] = adata.obs["target_gene"].cat.rename_categories({old: new})

    return change


def drop_control(adata):
    adata._inplace_subset_obs(np.asarray(adata.obs["target_gene"] != "non-targeting"))


def log_normalise(adata):
    totals = np.asarray(adata.X.sum(1)).ravel()
    adata.X = sp.csr_matrix(np.log1p(adata.X.toarray() / totals[:, None] * 1e4).astype(np.float32))


def other_genes(adata):
    adata.var_names = ["OTHER", *adata.var_names[1:]]


def duplicate_gene(adata):
    adata.var_names = [adata.var_names[1], *adata.var_names[1:]]


def no_targets(adata):
    adata.var_names = [f"X{name}" for name in adata.var_names]


def shuffle_genes(adata):
    adata._inplace_subset_var(np.arange(adata.n_vars)[::-1])


def no_cells(adata):
    adata._inplace_subset_obs(np.zeros(adata.n_obs, bool))


def negate(adata):
    adata.X = -adata.X


def no_column(adata):
    adata.obs = adata.obs.rename(columns={"target_gene": "guide"})


# name: (change of pred, change of real, options, what the line must say)
FAULTS = {
    "missing column": (None, no_column, (), r"target_gene.*columns?.*guide.*--pert-col|pert_col"),
    "missing named column": (None, None, ("--pert-col", "nope"), r"'nope'.*target_gene"),
    "no control in the reference": (drop_control, drop_control, (), r"non-targeting"),
    "no control in the prediction": (drop_control, None, ("--preset", "cell-eval2-v1"), r"non-targeting"),
    "labels differ": (rename("GENE03", "OTHER"), None, (), r"OTHER.*GENE03|GENE03.*OTHER"),
    "genes differ": (other_genes, None, (), r"OTHER|GENE00"),
    "gene order differs": (shuffle_genes, None, (), r"order"),
    "negative counts in pred": (set_value(-1.0), None, (), r"pred.*negative.*-1"),
    "negative counts in real": (None, set_value(-3.0), (), r"real.*negative.*-3"),
    "NaN": (set_value(np.nan), None, (), r"NaN|nan"),
    "Inf": (None, set_value(np.inf), (), r"[Ii]nf"),
    "fractional counts": (set_value(1.5), None, (), r"1\.5.*count|count.*1\.5"),
    "logs where counts are required": (log_normalise, log_normalise, (), r"log"),
    "counts where logs are required": (None, None, LOGNORM, r"log.*counts|counts.*log"),
    "negative cells, guessed to be counts": (negate, None, ("--preset", "cell-eval"), r"pred.*negative.*first: -"),
    "negative cells, not checked": (negate, None, ("--preset", "cell-eval2-v1"), r"pred.*negative.*first: -"),
    "row total over the limit": (set_value(2e6), None, (), r"limit.*1e\+06|1e\+06|1000000|1,000,000"),
    "no target resolved": (no_targets, no_targets, (), r"target"),
    "duplicate genes": (duplicate_gene, duplicate_gene, (), r"GENE01"),
    "a file without cells": (no_cells, None, (), r"no cells"),
    "missing layer": (None, None, ("--layer", "counts"), r"counts"),
}


def one_line(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("vcmetrics: ")
    return lines[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FAULTS)
def test_fault(name, tmp_path, clean, capsys):
    change_pred, change_real, options, says = FAULTS[name]
    for side, adata, change in zip(("pred", "real"), clean, (change_pred, change_real), strict=True):
        faulty = adata.copy()
        if change is not None:
            change(faulty)
        faulty.write_h5ad(tmp_path / f"{side}.h5ad")
    before = sorted(os.listdir(tmp_path))
    out = tmp_path / "new" / "out"
    code = entry.run(["score", str(tmp_path / "pred.h5ad"), str(tmp_path / "real.h5ad"), *options, "-o", str(out)])
    line = one_line(capsys)
    assert code == 1
    assert re.search(says, line.replace(str(tmp_path), "")), line
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "folder", "image"])
def test_no_such_data(kind, tmp_path, pair, capsys):
    bad = tmp_path / "bad.h5ad"
    content = {"text": b"perturbation,gene\n", "empty": b"", "image": b"\x89PNG\r\n\x1a\n" + bytes(2000)}
    if kind == "folder":
        bad.mkdir()
    elif kind != "missing":
        bad.write_bytes(content[kind])
    before = sorted(os.listdir(tmp_path))
    assert entry.run(["score", str(bad), str(pair[1]), "-o", str(tmp_path / "out")]) == 1
    assert "bad.h5ad" in one_line(capsys)
    assert sorted(os.listdir(tmp_path)) == before


CUTS = """
import sys
from pathlib import Path
from vcmetrics.cli import entry
pred, real, cut = map(Path, sys.argv[1:4])
whole = pred.read_bytes()
for k in range(1, 60):
    size = len(whole) * k // 60
    cut.write_bytes(whole[:size])
    print("cut", size, file=sys.stderr, flush=True)
    print(size, entry.run(["score", str(cut), str(real), "-o", str(cut.parent / "out")]), flush=True)
"""


def test_truncated_file(tmp_path, pair):
    """Cut at many places; in a process of its own, for a mapped file that is too short could kill it."""
    done = subprocess.run(
        [sys.executable, "-c", CUTS, *map(str, pair), str(tmp_path / "cut.h5ad")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    codes = [line.split()[1] for line in done.stdout.splitlines()]
    assert codes == ["1"] * 59
    words = done.stderr.splitlines()
    assert len(words) == 2 * 59, done.stderr
    assert all("cut.h5ad" in line for line in words[1::2])
    assert "open for writing" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_output_is_a_file(tmp_path, pair, capsys):
    target = tmp_path / "taken"
    target.write_text("mine")
    assert entry.run(["score", *map(str, pair), "-o", str(target)]) == 1
    assert "taken is a file" in one_line(capsys)
    assert target.read_text() == "mine"


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc on this system")
def test_output_cannot_be_written(pair, capsys):
    assert entry.run(["score", *map(str, pair), "-o", "/proc/no/out"]) == 1
    assert "cannot write to /proc/no/out" in one_line(capsys)


def test_output_is_checked_before_the_work(tmp_path, capsys, monkeypatch):
    """The line is about the output although the data do not exist either."""
    (tmp_path / "file").write_text("")
    assert entry.run(["score", "no.h5ad", "no.h5ad", "-o", str(tmp_path / "file" / "out")]) == 1
    assert "cannot write to" in one_line(capsys)


def test_full_disk(tmp_path, pair, capsys, monkeypatch):
    """The writer runs out of space in the middle."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "results.csv")

    monkeypatch.setattr(files, "run_record", full)
    before = sorted(os.listdir(tmp_path))
    assert entry.run(["score", *map(str, pair), "-o", str(tmp_path / "out")]) == 1
    assert "No space left on device" in one_line(capsys)
    assert sorted(os.listdir(tmp_path)) == before


def test_file_size_limit(tmp_path, pair):
    """A real process that may write no more than 200 bytes a file."""
    done = subprocess.run(
        [sys.executable, "-m", "vcmetrics", "score", *map(str, pair), "-o", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200)),
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "File too large" in done.stderr
    assert not (tmp_path / "out").exists()


def test_wrong_choices_are_wrong_usage(pair, capsys):
    pairs = list(map(str, pair))
    for options, word in (
        (["--preset", "vcc2030"], "vcc2030"),
        (["--profile", "nope"], "nope"),
        (["--metrics", "nope"], "nope"),
        (["--set", "nope=1"], "nope"),
        (["--set", "nope"], "NAME=VALUE"),
        (["--write-de"], "-o DIR"),
        (["--metrics", "pds_cosine", "--profile", "full"], "exclude"),
    ):
        assert entry.run(["score", *pairs, *options]) == 2
        assert word in capsys.readouterr().err


def test_a_reason_that_all_presets_share_is_said_once(tmp_path, clean, capsys):
    clean[1].copy().write_h5ad(tmp_path / "real.h5ad")
    clean[0][:, :-1].copy().write_h5ad(tmp_path / "pred.h5ad")
    assert entry.run(["score", str(tmp_path / "pred.h5ad"), str(tmp_path / "real.h5ad"), "--preset", "all"]) == 1
    line = one_line(capsys)
    assert line.count("the genes differ") == 1
