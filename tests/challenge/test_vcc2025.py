"""The archive of the 2025 challenge, beside its own tool where that is installed."""

import argparse
import dataclasses
import importlib.util
import shutil
import tarfile

import anndata
import numpy as np
import pytest
import scipy.sparse as sp

from vcmetrics.challenge import vcc2025
from vcmetrics.challenge.contract import ContractError

zstandard = pytest.importorskip("zstandard")
PEER = importlib.util.find_spec("cell_eval") and shutil.which("zstd") and shutil.which("tar")


def content(path, folder):
    with tarfile.open(path) as archive:
        assert archive.getnames() == ["pred.h5ad.zst", "watermark.txt"]
        assert archive.extractfile("watermark.txt").read() == b"vcc-prep"
        with (folder / "out.h5ad").open("wb") as out:
            zstandard.ZstdDecompressor().copy_stream(archive.extractfile("pred.h5ad.zst"), out)
    return anndata.read_h5ad(folder / "out.h5ad")


@pytest.fixture
def with_control(submission):
    labels = submission.obs["target_gene"].to_numpy().astype(object)
    labels[:9] = "non-targeting"
    submission.obs["target_gene"] = labels
    x = submission.X.toarray()
    x[4] = 0  # an empty cell
    submission.X = sp.csr_matrix(x)
    return submission


def normalised(x):
    x = x.astype(np.float64)
    totals = x.sum(1)
    scale = totals / np.median(totals)
    scale[totals == 0] = 1
    return np.log1p(x / scale[:, None])


@pytest.mark.parametrize("layout", [sp.csr_matrix, sp.csc_matrix, lambda x: x.toarray()])
@pytest.mark.parametrize("encoding", [32, 64])
def test_counts_are_normalised(layout, encoding, with_control, lists, tmp_path):
    x = with_control.X.toarray()
    with_control.X = layout(with_control.X)
    contract = dataclasses.replace(vcc2025.CONTRACT, encoding=encoding, celltype_col="celltype")
    vcc2025.pack(with_control[:, ::-1].copy(), tmp_path / "a.vcc", genes=lists["genes"], contract=contract)
    made = content(tmp_path / "a.vcc", tmp_path)
    assert made.X.dtype == (np.float32 if encoding == 32 else np.float64)
    np.testing.assert_allclose(made.X.toarray(), normalised(x), rtol=1e-6 if encoding == 32 else 1e-14)
    assert list(made.obs) == ["target_gene", "celltype"]
    assert made.var_names.tolist() == with_control.var_names.tolist()


def test_logs_stay(with_control, lists, tmp_path):
    logs = with_control.copy()
    logs.X = sp.csr_matrix(normalised(with_control.X.toarray()).astype(np.float32))
    vcc2025.pack(logs, tmp_path / "a.vcc", genes=lists["genes"])
    np.testing.assert_array_equal(content(tmp_path / "a.vcc", tmp_path).X.toarray(), logs.X.toarray())
    vcc2025.pack(with_control, tmp_path / "b.vcc", genes=lists["genes"], discrete=True)
    np.testing.assert_array_equal(content(tmp_path / "b.vcc", tmp_path).X.toarray(), with_control.X.toarray())


def test_problems(with_control, submission, lists, tmp_path):
    def codes(adata, **changes):
        contract = dataclasses.replace(vcc2025.CONTRACT, **changes)
        found = [p.code for p in vcc2025.validate(adata, genes=lists["genes"], contract=contract)]
        if found:
            with pytest.raises(ContractError):
                vcc2025.pack(adata, tmp_path / "no.vcc", genes=lists["genes"], contract=contract)
            assert not (tmp_path / "no.vcc").exists()
        return found

    assert codes(with_control) == []
    assert codes(with_control, max_cells=10) == ["too_many_cells"]
    assert codes(with_control, control="DMSO") == ["no_controls"]
    assert codes(with_control[:, 1:].copy()) == ["missing_genes"]
    assert codes(with_control, pert_col="pert") == ["no_pert_col"]
    changed = with_control.copy()
    changed.X = changed.X.toarray()
    changed.X[0, 0] = 20.5
    assert codes(changed) == ["not_log"]
    changed.X[0, 0], changed.X[1, 1] = 0.5, -0.5
    assert codes(changed) == ["negative"]


def test_command(with_control, lists, tmp_path, capsys):
    from vcmetrics.cli import entry

    with_control.write_h5ad(tmp_path / "pred.h5ad")
    how = ["--rules", "vcc2025", "-g", str(lists["genes"])]
    assert entry.run(["validate", str(tmp_path / "pred.h5ad"), *how]) == 0
    assert entry.run(["pack", str(tmp_path / "pred.h5ad"), *how]) == 0
    assert (tmp_path / "pred.prep.vcc").exists()
    assert entry.run(["validate", str(tmp_path / "pred.h5ad"), *how, "-n", "DMSO"]) == 1
    assert "DMSO" in capsys.readouterr().out


@pytest.mark.skipif(not PEER, reason="needs cell-eval and the programs tar and zstd")
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("layout", [sp.csr_matrix, sp.csc_matrix, lambda x: x.toarray()])
def test_as_cell_eval_writes_it(layout, with_control, lists, tmp_path):
    from cell_eval._cli import _prep

    with_control.X = layout(with_control.X)
    with_control.write_h5ad(tmp_path / "pred.h5ad")
    genes = tmp_path / "genes.csv"
    genes.write_text("\n".join(with_control.var_names[::-1]) + "\n")
    parser = argparse.ArgumentParser()
    _prep.parse_args_prep(parser)
    theirs = tmp_path / "theirs.vcc"
    _prep.run_prep(parser.parse_args(["-i", str(tmp_path / "pred.h5ad"), "-g", str(genes), "-o", str(theirs)]))
    vcc2025.pack(tmp_path / "pred.h5ad", tmp_path / "ours.vcc", genes=genes)
    a, b = content(tmp_path / "ours.vcc", tmp_path), content(theirs, tmp_path)
    np.testing.assert_allclose(a.X.toarray(), b.X.toarray(), rtol=3e-7)
    assert a.obs.astype(str).equals(b.obs.astype(str))
    assert a.var_names.tolist() == b.var_names.tolist()
