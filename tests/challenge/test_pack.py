"""The archive: what is in it, the same bytes always, nothing left behind."""

import dataclasses
import io
import json
import os
import tarfile

import anndata
import numpy as np
import pytest
import scipy.sparse as sp

import vcmetrics as vcm
from vcmetrics.challenge import h5ad_stream, pack, validate
from vcmetrics.challenge.contract import ContractError
from vcmetrics.cli import entry
from vcmetrics.sources import blocks, open_cells

zstandard = pytest.importorskip("zstandard")


def unpacked(path, folder):
    with tarfile.open(path) as archive:
        assert archive.getnames() == ["meta.json", "pred.h5ad.zst"]
        assert {(m.uid, m.gid, m.uname, m.mtime) for m in archive.getmembers()} == {(0, 0, "", 0)}
        meta = json.load(archive.extractfile("meta.json"))
        with (folder / "out.h5ad").open("wb") as out:
            zstandard.ZstdDecompressor().copy_stream(archive.extractfile("pred.h5ad.zst"), out)
    return meta, anndata.read_h5ad(folder / "out.h5ad")


@pytest.fixture(params=[1 << 18, 64], ids=["one chunk", "many chunks"])
def chunk(request, monkeypatch):
    monkeypatch.setattr(h5ad_stream, "CHUNK", request.param)
    monkeypatch.setattr(blocks, "BLOCK_VALUES", 200)
    monkeypatch.setattr(blocks, "BARE_VALUES", 200)
    monkeypatch.setattr(blocks, "BAND_VALUES", 300)
    return request.param


@pytest.mark.parametrize("encoding", [32, 64])
def test_content(good, change, encoding, chunk, submission, lists, tmp_path):
    adata = change[good](submission)
    before = adata.X.copy()
    adata.write_h5ad(tmp_path / "pred.h5ad")
    contract = dataclasses.replace(lists["contract"], encoding=encoding, celltype_col="celltype")
    how = {**lists, "contract": contract}
    done = pack(tmp_path / "pred.h5ad", tmp_path / "a.vcc", **how)
    meta, made = unpacked(tmp_path / "a.vcc", tmp_path)
    order = [adata.var_names.get_loc(gene) for gene in made.var_names]
    expected = (before.toarray() if sp.issparse(before) else before)[:, order]
    assert made.X.format == "csr"
    assert made.X.dtype == (np.float32 if encoding == 32 else np.float64)
    assert made.X.has_canonical_format
    np.testing.assert_array_equal(made.X.toarray(), expected.astype(made.X.dtype))
    assert made.obs_names.tolist() == [str(k) for k in range(adata.n_obs)]
    assert list(made.obs) == ["target_gene", "celltype", "context"]
    for key in made.obs:
        assert made.obs[key].tolist() == adata.obs[key].tolist()
    assert not made.layers
    assert not made.obsm
    assert made.raw is None
    assert meta["nnz"] == done.nnz == made.X.nnz
    assert (meta["n_obs"], meta["n_vars"], meta["schema"]) == (36, 30, 1)
    assert meta["contexts"] == ["A", "B", "C"]
    assert meta["perts_fingerprint"].startswith("sha256:")
    if good != "good explicit zeros":
        pack(adata, tmp_path / "b.vcc", n_threads=3, **how)  # from memory, with other threads
        assert (tmp_path / "a.vcc").read_bytes() == (tmp_path / "b.vcc").read_bytes()
    assert validate(tmp_path / "a.vcc", **how) == []


def test_slack_is_left_out(change_file, submission, lists, tmp_path):
    submission.write_h5ad(tmp_path / "pred.h5ad")
    pack(tmp_path / "pred.h5ad", tmp_path / "a.vcc", **lists)
    change_file["good slack behind the last row"](tmp_path / "pred.h5ad")
    pack(tmp_path / "pred.h5ad", tmp_path / "b.vcc", **lists)
    assert (tmp_path / "a.vcc").read_bytes() == (tmp_path / "b.vcc").read_bytes()


@pytest.mark.parametrize("compression", ["gzip", "lzf"])
def test_compressed_input(compression, submission, lists, tmp_path):
    submission.write_h5ad(tmp_path / "plain.h5ad")
    submission.write_h5ad(tmp_path / "small.h5ad", compression=compression)
    for name in ("plain", "small"):
        pack(tmp_path / f"{name}.h5ad", tmp_path / f"{name}.vcc", **lists)
    assert (tmp_path / "plain.vcc").read_bytes() == (tmp_path / "small.vcc").read_bytes()


@pytest.mark.parametrize("name", ["NaN", "control cell", "one gene less", "dense NaN", "csc fraction"])
def test_faults_leave_nothing(name, change, submission, lists, tmp_path):
    change[name](submission).write_h5ad(tmp_path / "pred.h5ad")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(ContractError) as caught:
        pack(tmp_path / "pred.h5ad", tmp_path / "a.vcc", **lists)
    assert [p.code for p in caught.value.problems] == [p.code for p in validate(tmp_path / "pred.h5ad", **lists)]
    assert sorted(os.listdir(tmp_path)) == before


def test_output(submission, lists, tmp_path):
    path = tmp_path / "pred.h5ad"
    submission.write_h5ad(path)
    content = path.read_bytes()
    for force in (False, True):
        with pytest.raises(vcm.DataError, match="input"):
            pack(path, path, overwrite=force, **lists)
    os.link(path, tmp_path / "alias.h5ad")
    with pytest.raises(vcm.DataError, match="input"):
        pack(path, tmp_path / "alias.h5ad", overwrite=True, **lists)
    assert path.read_bytes() == content
    (tmp_path / "a.vcc").write_text("old")
    with pytest.raises(vcm.DataError, match="exists"):
        pack(path, tmp_path / "a.vcc", **lists)
    pack(path, tmp_path / "a.vcc", overwrite=True, **lists)
    with pytest.raises(vcm.DataError, match="cannot write"):
        pack(path, tmp_path / "no" / "a.vcc", **lists)


def test_command(change, submission, lists, tmp_path, capsys):
    path = tmp_path / "pred.h5ad"
    submission.write_h5ad(path)
    how = ["-g", str(lists["genes"]), "--perts", str(lists["perturbations"]), "--cells-per-pert", "4"]
    how += ["--contexts", "A,B,C"]
    assert entry.run(["pack", str(path), *how, "--dry-run"]) == 0
    assert not (tmp_path / "pred.prep.vcc").exists()
    assert entry.run(["pack", str(path), *how]) == 0
    assert entry.run(["pack", str(path), *how]) == 1
    assert "exists" in capsys.readouterr().err
    assert entry.run(["pack", str(path), *how, "--force", "--json", "-P", "pert"]) == 0
    assert json.loads(capsys.readouterr().out)["n_obs"] == 36
    assert list(unpacked(tmp_path / "pred.prep.vcc", tmp_path)[1].obs) == ["pert", "context"]
    change["control cell"](submission).write_h5ad(path)
    assert entry.run(["pack", str(path), *how, "-o", str(tmp_path / "b.vcc")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "non-targeting" in lines[0]
    assert not (tmp_path / "b.vcc").exists()


def test_reading_a_packed_file(submission, lists, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    pack(submission, tmp_path / "a.vcc", **lists)
    with open_cells(tmp_path / "a.vcc") as cells:
        assert os.listdir(scratch) == []
        rows = cells.rows()
        x = sp.csr_matrix((rows.data.read(0, rows.nnz), rows.indices.read(0, rows.nnz), rows.indptr), (36, 30))
        assert cells.fingerprint()
    np.testing.assert_array_equal(x.toarray(), submission.X.toarray())
    content = (tmp_path / "a.vcc").read_bytes()
    start = content.index(b"\x28\xb5\x2f\xfd")  # zstd's magic number
    for bad in (content[: start + 900], b"", content[: start + 900] + bytes(64) + content[start + 964 :]):
        (tmp_path / "bad.vcc").write_bytes(bad)
        with pytest.raises(vcm.DataError, match=r"bad\.vcc"):
            open_cells(tmp_path / "bad.vcc")
        assert os.listdir(scratch) == []
    with pytest.raises(vcm.DataError, match="no such file"):
        open_cells(tmp_path / "none.vcc")
    with tarfile.open(tmp_path / "other.vcc", "w") as archive:
        archive.addfile(tarfile.TarInfo("x"), io.BytesIO())
    with pytest.raises(vcm.DataError, match="holds no"):
        open_cells(tmp_path / "other.vcc")
    monkeypatch.setattr("vcmetrics.sources.packed.LARGEST", 100)
    with pytest.raises(vcm.DataError, match="unpacks to more"):
        open_cells(tmp_path / "a.vcc")
    assert os.listdir(scratch) == []
