"""Several files as one data set: the same bytes as one file with the same cells in the same order."""

from __future__ import annotations

import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import vcmetrics as vcm
from vcmetrics import _core
from vcmetrics.sources import ChunkedArray, Rows, open_cells

N_FILES = 5


@pytest.fixture
def whole():
    """240 cells × 40 genes of counts; labels recur in every fifth of the rows, and 'G9' only in the last."""
    rng = np.random.default_rng(5)
    counts = sparse.csr_matrix((rng.poisson(0.6, (240, 40)) * rng.integers(1, 60, (240, 40))).astype(np.float32))
    labels = [f"G{i}" for i in rng.integers(0, 4, 240)]
    labels[::3] = ["non-targeting"] * 80
    labels[-5:] = ["G9"] * 5
    obs = pd.DataFrame({"target": pd.Categorical(labels)}, index=[f"c{i}" for i in range(240)])
    obs["plate"] = np.arange(240) // 48
    a = anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"G{j}" for j in range(40)]))
    a.obsm["E"] = rng.normal(size=(240, 3))
    a.layers["log"] = counts.log1p()
    return a


def pieces(whole, change=lambda a, k: a):
    """Five AnnData of 48 cells, each with its own categories."""
    out = []
    for k in range(N_FILES):
        part = whole[k * 48 : (k + 1) * 48].copy()
        part.obs["target"] = part.obs["target"].cat.remove_unused_categories()
        out.append(change(part, k))
    return out


def write(parts, folder, how):
    """The parts in files of one kind; ``mixed``: one of each."""
    paths = []
    for k, part in enumerate(parts):
        kind = ("bare", "gzip", "zarr", "csc", "dense")[k] if how == "mixed" else how
        path = folder / (f"part{k}.zarr" if kind == "zarr" else f"part{k}.h5ad")
        if kind == "csc":
            part.X = sparse.csc_matrix(part.X)
        elif kind == "dense":
            part.X = part.X.toarray()
        if kind == "zarr":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # which version is the default will change
                part.write_zarr(path)
        else:
            part.write_h5ad(path, compression="gzip" if kind == "gzip" else None)
        paths.append(path)
    return paths


def tables_of(summary):
    return {f"{key}/{name}": table for key, tables in summary.tables.items() for name, table in tables.items()}


def same_summary(a, b):
    assert a.labels == b.labels
    assert np.array_equal(a.genes, b.genes)
    assert np.array_equal(a.n, b.n)
    assert a.totals.tobytes() == b.totals.tobytes()
    assert tables_of(a).keys() == tables_of(b).keys()
    for name, table in tables_of(a).items():
        assert table.tobytes() == tables_of(b)[name].tobytes(), name


@pytest.mark.parametrize("how", ["bare", "gzip", "zarr", "csc", "dense", "mixed"])
@pytest.mark.filterwarnings("ignore::vcmetrics.VcmetricsWarning")
def test_five_files_are_one(whole, tmp_path, how):
    one = tmp_path / "one.h5ad"
    whole.write_h5ad(one)
    paths = write(pieces(whole), tmp_path, how)
    settings = {"pert_col": "target", "fields": ("sum", "linear", "log1p", "rank", "jackknife")}
    expected = vcm.summarize(one, **settings)
    same_summary(expected, vcm.summarize(paths, **settings))
    frame = vcm.differential_expression(one, pert_col="target")
    pd.testing.assert_frame_equal(frame, vcm.differential_expression(tuple(paths), pert_col="target"), check_exact=True)


@pytest.mark.parametrize("kind", ["bare", "dense"])
def test_genes_in_another_order(whole, tmp_path, kind):
    rng = np.random.default_rng(0)
    parts = pieces(whole, lambda a, k: a if k == 0 else a[:, rng.permutation(40)].copy())
    paths = write(parts, tmp_path, kind)
    settings = {"pert_col": "target", "fields": ("sum", "log1p", "rank")}
    same_summary(vcm.summarize(whole, **settings), vcm.summarize(paths, **settings))


def test_a_pattern_and_a_mapping(whole, tmp_path):
    paths = write(pieces(whole), tmp_path, "bare")
    expected = vcm.summarize(paths, pert_col="target")
    same_summary(expected, vcm.summarize(str(tmp_path / "part*.h5ad"), pert_col="target"))
    named = {f"plate{k}": path for k, path in enumerate(paths)}
    by_file = vcm.summarize(named, pert_col="file", control="plate0", fields=["sum"])
    assert by_file.labels == tuple(named)
    assert by_file.n.tolist() == [48] * N_FILES
    with pytest.raises(vcm.DataError, match="no file matches this pattern"):
        vcm.summarize(tmp_path / "other*.h5ad", pert_col="target")


def test_memory_and_files_together(whole, tmp_path):
    parts = pieces(whole)
    paths = write(pieces(whole), tmp_path, "bare")
    settings = {"pert_col": "target"}
    expected = vcm.summarize(whole, **settings)
    same_summary(expected, vcm.summarize(parts, **settings))
    same_summary(expected, vcm.summarize([*paths[:2], *parts[2:]], **settings))


def test_every_door_takes_several(whole, tmp_path):
    paths = write(pieces(whole), tmp_path, "bare")
    two = {"pert_col": "target", "control": "non-targeting"}
    profiles = [vcm.pseudobulk(x, pert_col="target") for x in (whole, paths)]
    assert profiles[0].X.tobytes() == profiles[1].X.tobytes()
    for how in ({"obsm": "E"}, {"layer": "log"}):
        a, b = (vcm.distance_matrix(x, pert_col="target", metric="edistance", **how) for x in (whole, paths))
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    for function in (vcm.discrimination, vcm.gene_correlation):
        a, b = (function(x, x, **two) for x in (whole, paths))
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    options = {"preset": "vcc2026", "pert_col": "target"}
    a, b = (vcm.score(x, x, **options) for x in (whole, paths))
    pd.testing.assert_frame_equal(a.per_perturbation, b.per_perturbation, check_exact=True)
    by_plate = vcm.score(paths, paths, context_col="plate", **options | {"target_map": {"*": None}})
    assert len(by_plate.contexts) == N_FILES


def test_nothing_is_copied(whole, tmp_path):
    big = anndata.concat([whole] * 40, index_unique="-", merge="first")  # beyond what is read rather than mapped
    paths = write([big, big[:5000].copy()], tmp_path, "bare")
    with open_cells(paths) as cells:
        rows = cells.rows()
        assert len(rows.data.buffers) == 2
        assert rows.data.which is not None
        assert cells.n_obs == big.n_obs + 5000
        taken = rows.take(np.array([0, big.n_obs - 1, big.n_obs, cells.n_obs - 1]))
    expected = sparse.vstack([big.X, big.X[:5000]]).tocsr()[[0, big.n_obs - 1, big.n_obs, big.n_obs + 4999]]
    got = sparse.csr_matrix(
        (taken.data.read(0, taken.nnz), taken.indices.read(0, taken.nnz), taken.indptr), expected.shape
    )
    assert (got != expected).nnz == 0


def test_categories_are_united(whole):
    parts = pieces(whole)
    with open_cells(parts) as cells:
        assert cells.group_order("target") == ["G0", "G1", "G2", "G3", "G9", "non-targeting"]
        assert cells.group_order("plate") == ["0", "1", "2", "3", "4"]
        assert cells.column("target").tolist() == whole.obs["target"].astype(str).tolist()
        assert cells.layers() == ["log"]
        assert cells.obsm_keys() == ["E"]
        assert cells.obs_names() == whole.obs_names.tolist()
        assert cells.obsm("E").tobytes() == np.ascontiguousarray(whole.obsm["E"]).tobytes()
    parts[1].obs["target"] = parts[1].obs["target"].cat.reorder_categories(["G3", "G2", "G1", "G0", "non-targeting"])
    with open_cells(parts) as cells:  # not sorted: those of later files stand behind
        assert cells.group_order("target") == ["G0", "G1", "G2", "G3", "non-targeting", "G9"]


def test_what_does_not_fit_is_named(whole, tmp_path):
    parts = pieces(whole)
    with pytest.raises(
        vcm.DataError, match=r"the genes differ: 1 of 40 genes of .*number 1.* are not in .*number 2.*'G39'"
    ):
        open_cells([parts[0], parts[1][:, :-1].copy()])
    del parts[3].obs["plate"]
    with (
        open_cells(parts) as cells,
        pytest.raises(vcm.DataError, match="number 4: 'plate' is not a column of obs there"),
    ):
        cells.column("plate")
    whole.obs["file"] = "x"
    with pytest.raises(vcm.DataError, match="has a column 'file' already"):
        open_cells({"a": whole})
    with pytest.raises(vcm.DataError, match="no such file"):
        open_cells([tmp_path / "none.h5ad"])
    with pytest.raises(TypeError, match="or a list of these, got int"):
        open_cells(3)


def test_fingerprints_name_all_files(whole, tmp_path):
    paths = write(pieces(whole), tmp_path, "bare")
    with open_cells(paths) as a, open_cells(paths) as b, open_cells(paths[:4]) as c, open_cells(paths[::-1]) as d:
        assert a.fingerprint() == b.fingerprint()
        assert len({x.fingerprint() for x in (a, c, d)}) == 3
    parts = pieces(whole)
    before = open_cells(parts).fingerprint()
    assert open_cells(parts).fingerprint() == before
    parts[4].X.data[0] += 1
    assert open_cells(parts).fingerprint() != before


def test_pieces_outside_every_buffer_are_refused():
    a, b = np.arange(4, dtype=np.float32), np.arange(3, dtype=np.float32)
    data = ChunkedArray.joined([ChunkedArray.of(a), ChunkedArray.of(b)])
    assert data.read(2, 6).tolist() == [2, 3, 0, 1]
    assert data.between(3, 6).read(0, 3).tolist() == [3, 0, 1]
    columns = ChunkedArray.of(np.zeros(7, np.int32))
    rows = Rows(7, 2, np.arange(8), columns, data)
    assert _core.scan_rows(rows.args(), 1)["totals"].tolist() == [0, 1, 2, 3, 0, 1, 2]
    beyond = ChunkedArray(data.buffer, data.offsets + 4, data.starts, data.dtype, data.more, data.which)
    with pytest.raises(ValueError, match="does not lie inside its buffer"):
        _core.scan_rows(Rows(7, 2, np.arange(8), columns, beyond).args(), 1)
