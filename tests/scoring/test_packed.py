"""A packed submission scores like the file it was made from."""

import os

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import vcmetrics as vcm
from vcmetrics.challenge import Contract, pack
from vcmetrics.cli import entry

pytest.importorskip("zstandard")
GENES = [f"GENE{k:02d}" for k in range(40)]
TARGETS = ["GENE03", "GENE07", "GENE11"]
CONTROL = "non-targeting"


def screen(seed, contexts, *, control=60, cells=20):
    rng = np.random.default_rng(seed)
    mean = np.random.default_rng(5).gamma(2.0, 5.0, len(GENES))
    rows, labels, where = [], [], []
    for c, context in enumerate(contexts):
        for k, label in enumerate([CONTROL, *TARGETS] if control else TARGETS):
            rate = mean * (1 + 0.1 * c)
            if label != CONTROL:
                rate[4 * k : 4 * k + 12] *= 2
                rate[GENES.index(label)] *= 0.1
            n = control if label == CONTROL else cells
            rows.append(rng.poisson(rate, (n, len(GENES))))
            labels += [label] * n
            where += [context] * n
    obs = pd.DataFrame({"target_gene": labels, "context": where}, index=[f"c{k}" for k in range(len(labels))])
    return anndata.AnnData(
        sp.csr_matrix(np.concatenate(rows).astype(np.float32)), obs=obs, var=pd.DataFrame(index=GENES)
    )


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def packed(adata, path, contexts):
    contract = Contract(cells_per_pert=20, n_genes=40)
    pack(adata, path, genes=GENES, perturbations=TARGETS, contexts=contexts, contract=contract)
    return path


def same(a, b):
    for one, two in zip(a.contexts, b.contexts, strict=True):
        assert one.context == two.context
        assert dict(one.aggregate) == pytest.approx(dict(two.aggregate), nan_ok=True, rel=0, abs=0)
        for name, values in one.values.items():
            np.testing.assert_array_equal(np.ma.getdata(values), np.ma.getdata(two.values[name]))


def test_scores_are_those_of_the_file(tmp_path, scratch):
    pred, real = screen(1, "ABC", control=0), screen(2, "ABC")
    path = packed(pred, tmp_path / "mine.vcc", ["A", "B", "C"])
    expected = vcm.score(pred, real, pert_col="target_gene", context_col="context")
    found = vcm.score(path, real, pert_col="target_gene")
    assert [c.context for c in found.contexts] == ["A", "B", "C"]
    same(found, expected)
    assert os.listdir(scratch) == []
    same(vcm.score(str(path), real, pert_col="target_gene", context_col="context"), expected)


def test_command(tmp_path, scratch, capsys):
    pred, real = screen(1, "AB", control=0), screen(2, "AB")
    packed(pred, tmp_path / "mine.vcc", ["A", "B"])
    real.write_h5ad(tmp_path / "real.h5ad")
    assert entry.run(["score", str(tmp_path / "mine.vcc"), str(tmp_path / "real.h5ad"), "-o", str(tmp_path / "o")]) == 0
    assert (tmp_path / "o" / "results.csv").read_text().startswith("context,perturbation")
    assert os.listdir(scratch) == []
    (tmp_path / "mine.vcc").write_bytes(b"no archive")
    assert entry.run(["score", str(tmp_path / "mine.vcc"), str(tmp_path / "real.h5ad")]) == 1
    assert "mine.vcc" in capsys.readouterr().err
    assert os.listdir(scratch) == []


def test_references_without_contexts(tmp_path, scratch):
    one, two = screen(1, "A", control=0), screen(1, "AB", control=0)
    real = screen(2, "A")
    del real.obs["context"]
    single = packed(one, tmp_path / "one.vcc", ["A"])
    same(vcm.score(single, real), vcm.score(one, real))
    several = packed(two, tmp_path / "two.vcc", ["A", "B"])
    with pytest.raises(vcm.DataError, match="several contexts"):
        vcm.score(several, real)
    with pytest.raises(vcm.DataError, match="different contexts"):
        vcm.score(several, screen(2, "A"))
    assert os.listdir(scratch) == []
    cache = tmp_path / "cache"
    same(vcm.score(single, real, cache=cache), vcm.score(one, real))
    kept = vcm.GroupSummary.load(next(cache.iterdir()))
    with pytest.raises(vcm.DataError, match="a summary"):
        vcm.score(several, kept)
    assert vcm.score(single, kept).aggregate_values
