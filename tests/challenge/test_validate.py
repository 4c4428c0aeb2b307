"""The upload contract: every rule, all problems at once."""

import dataclasses
import json
import re

import numpy as np
import pytest

from vcmetrics import DataError
from vcmetrics.challenge import Contract, read_panel, validate
from vcmetrics.cli import entry

CODES = {
    "NaN": "nonfinite",
    "infinite": "nonfinite",
    "negative": "negative",
    "fraction": "fractional",
    "nearly whole from below": "fractional",
    "csc fraction": "fractional",
    "dense NaN": "nonfinite",
    "too many counts": "counts_per_cell",
    "label all zero": "all_zero",
    "control cell": "controls",
    "unknown label": "unexpected_perturbation",
    "construct ids": "unexpected_perturbation",
    "one label less": "missing_perturbation",
    "one cell less": "cell_count",
    "unknown context": "unknown_context",
    "one context less": "missing_context",
    "no perturbation column": "no_pert_col",
    "no context column": "no_context_col",
    "one gene less": "missing_genes",
    "one gene renamed": "extra_genes",
    "gene twice": "duplicate_genes",
    "no cells": "no_cells",
}


def written(adata, path):
    adata.write_h5ad(path)
    return path


def test_memory_and_file_tell_the_same(memory, change, submission, lists, tmp_path):
    name = memory
    adata = change[name](submission)
    problems = validate(written(adata, tmp_path / "pred.h5ad"), **lists)
    assert bool(problems) != name.startswith("good")
    if name in CODES:
        assert CODES[name] in {p.code for p in problems}
    assert all("\n" not in p.text and p.count >= 1 for p in problems)
    assert [p.as_dict() for p in validate(adata, **lists)] == [p.as_dict() for p in problems]


def test_damaged_structure(stored, change_file, submission, lists, tmp_path):
    path = written(submission, tmp_path / "pred.h5ad")
    change_file[stored](path)
    problems = validate(path, **lists)
    assert {p.code for p in problems} == (set() if stored.startswith("good") else {"structure"})


def test_both_faults_are_told(pair, change, submission, lists, tmp_path):
    first, second = pair
    adata = change[second](change[first](submission))
    codes = {p.code for p in validate(written(adata, tmp_path / "pred.h5ad"), **lists)}
    assert {CODES[name] for name in (first, second) if name in CODES} <= codes


def test_counts_and_first_examples(submission, lists):
    dense = submission.X.toarray()
    dense[2, 5], dense[7, 1] = -1, 0.5
    dense[9, :3] = np.nan
    submission.X = dense
    found = {p.code: p for p in validate(submission, **lists)}
    assert set(found) == {"negative", "fractional", "nonfinite"}
    assert found["nonfinite"].count == 3
    assert "nan in cell 9, gene 'GENE00'" in found["nonfinite"].text
    assert "-1 in cell 2, gene 'GENE05'" in found["negative"].text
    assert "0.5 in cell 7, gene 'GENE01'" in found["fractional"].text


@pytest.mark.parametrize("n_threads", [1, 2, 3, 7])
def test_threads(n_threads, change, submission, lists):
    adata = change["log-normalised"](submission)
    assert validate(adata, n_threads=n_threads, **lists) == validate(adata, n_threads=1, **lists)


def test_limits(submission, lists):
    def codes(**changes):
        contract = dataclasses.replace(lists["contract"], **changes)
        return [p.code for p in validate(submission, **{**lists, "contract": contract})]

    assert codes(max_cells=35) == ["too_many_cells"]
    assert codes(max_cells=36) == []
    nnz = submission.X.nnz
    assert codes(max_stored=nnz - 1) == ["too_dense"]
    assert codes(max_stored=nnz) == []
    top = float(submission.X.sum(1).max())
    assert codes(max_counts_per_cell=top - 1) == ["counts_per_cell"]
    assert codes(max_counts_per_cell=top) == []
    assert codes(cells_per_pert=5, check_cell_counts=False) == []
    assert codes(with_control=True) == ["no_controls"]
    assert codes(celltype_col="celltype") == []
    assert codes(celltype_col="line") == ["no_celltype_col"]
    for name in ("cells_per_pert", "max_cells", "encoding"):
        with pytest.raises(ValueError, match=name):
            Contract(**{name: 0})


def test_lists(tmp_path, submission, lists):
    perts = tmp_path / "pert_counts.csv"
    perts.write_text(
        "target_gene,context,n_cells\nGENE03,A,4\nGENE07,A,\nGENE11,A,inf\nnon-targeting,A,9\n"
        "GENE03,B,4\nGENE07,B,0\nGENE11,B,4\n,B,4\nGENE03,C,4\nGENE07,C,4\nGENE11,C,4\n"
    )
    panel = read_panel(lists["genes"], perts, contexts=["A", "B", "C"])
    assert panel.expected("A") == {"GENE03": 4, "GENE07": None, "GENE11": None}
    assert panel.expected("B") == {"GENE03": 4, "GENE07": None, "GENE11": 4}
    assert panel.expected("D") is None
    assert validate(submission, **lists) == []
    assert [p.code for p in validate(submission, **{**lists, "contexts": ["A", "B", "C", "D"]})] == [
        "missing_context",
        "context_not_listed",
    ]
    (tmp_path / "manifest.json").write_text(json.dumps({"contexts": ["A", "B", "C"], "panel_id": "p1"}))
    assert read_panel(lists["genes"], perts).panel_id == "p1"
    assert read_panel(lists["genes"], perts, contexts=["A"]).panel_id is None
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="contexts"):
        read_panel(lists["genes"], perts)
    (tmp_path / "twice.csv").write_text("A1\nA1\n")
    with pytest.raises(DataError, match="A1"):
        read_panel(tmp_path / "twice.csv", perts, contexts=[])
    (tmp_path / "other.csv").write_text("gene\nA1\n")
    with pytest.raises(DataError, match="target_gene"):
        read_panel(lists["genes"], tmp_path / "other.csv", contexts=[])
    with pytest.raises(DataError, match="no such file"):
        read_panel(tmp_path / "none.csv", perts, contexts=[])


def arguments(lists, *more):
    return ["-g", str(lists["genes"]), "--perts", str(lists["perturbations"]), "--cells-per-pert", "4", *more]


def test_command(change, submission, lists, tmp_path, capsys):
    good = written(submission, tmp_path / "good.h5ad")
    bad = written(change["control cell"](change["fraction"](submission)), tmp_path / "bad.h5ad")
    how = arguments(lists, "--contexts", "A,B,C")
    assert entry.run(["validate", str(good), *how]) == 0
    told = capsys.readouterr()
    assert told.out == f"{good}: good\n"
    assert re.fullmatch(r"note: the gene list has \d+ genes, not 18533; it is taken as it is\n", told.err)
    assert entry.run(["validate", str(good), str(bad), *how]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{good}: good"
    assert len(lines) > 3
    assert all(line.startswith(f"{bad}: ") for line in lines[1:])
    assert entry.run(["validate", str(bad), *how, "--json"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert {row["code"] for row in record[str(bad)]} == {"controls", "fractional", "cell_count"}
    assert entry.run(["validate", str(good), "-g", str(lists["genes"])]) == 2
    assert entry.run(["validate", str(good), *arguments(lists)]) == 1
    assert "manifest.json" in capsys.readouterr().err
    assert entry.run(["validate", str(tmp_path / "no.h5ad"), *how]) == 1
    assert "no such file" in capsys.readouterr().err
