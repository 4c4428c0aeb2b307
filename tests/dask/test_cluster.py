"""Over a cluster of two workers: the same bytes as in one process."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import vcmetrics as vcm

pytest.importorskip("distributed", reason="needs the extra `dask`")

import distributed

import vcmetrics.dask as vcd

FIELDS = ("sum", "linear", "log1p", "square", "nonzero", "rank", "jackknife")


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.ERROR
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def cells(n, seed, order):
    """So many cells × 50 genes of counts; labels sorted, or mixed."""
    rng = np.random.default_rng(seed)
    counts = sparse.csr_matrix((rng.poisson(0.5, (n, 50)) * rng.integers(1, 70, (n, 50))).astype(np.float32))
    labels = np.array([f"G{i}" for i in rng.integers(0, 9, n)], object)
    labels[rng.random(n) < 0.3] = "non-targeting"
    if order == "sorted":
        labels.sort()
    obs = pd.DataFrame({"target": pd.Categorical(labels)}, index=[f"c{i}" for i in range(n)])
    return anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"G{j}" for j in range(50)]))


@pytest.fixture(scope="module", params=["sorted", "mixed"])
def whole(request):
    return cells(900, 3, request.param)


def files(a, folder, kind, n=5):
    out = []
    borders = np.linspace(0, a.n_obs, n + 1).astype(int)
    for k in range(n):
        part = a[borders[k] : borders[k + 1]].copy()
        path = folder / f"p{k}.h5ad"
        if kind == "shuffled genes" and k:
            part = part[:, np.random.default_rng(k).permutation(50)].copy()
        if kind == "dense":
            part.X = part.X.toarray()
        if kind == "csc":
            part.X = part.X.tocsc()
        part.write_h5ad(path, compression="gzip" if kind == "gzip" else None)
        out.append(path)
    return out


def same(a, b):
    assert a.labels == b.labels
    assert np.array_equal(a.genes, b.genes)
    assert a.n.tobytes() == b.n.tobytes()
    assert a.totals.tobytes() == b.totals.tobytes()
    assert a.tables.keys() == b.tables.keys()
    for key, tables in a.tables.items():
        assert tables.keys() == b.tables[key].keys()
        for name, table in tables.items():
            assert table.dtype == b.tables[key][name].dtype
            assert table.tobytes() == b.tables[key][name].tobytes(), name


@pytest.mark.parametrize("kind", ["bare", "gzip", "dense", "csc", "shuffled genes"])
@pytest.mark.parametrize("fields", [FIELDS, ("sum", "nonzero"), ("log1p",)])
def test_summaries(whole, client, tmp_path, kind, fields):
    paths = files(whole, tmp_path, kind)
    a = vcm.summarize(paths, pert_col="target", fields=fields)
    b = vcd.summarize(paths, pert_col="target", fields=fields, client=client)
    same(a, b)
    if "rank" in fields:
        assert b.control_side.rows.nnz == a.control_side.rows.nnz
        assert b.control_side.rows.data.buffer.tobytes() == a.control_side.rows.data.buffer.tobytes()
    if kind != "csc":
        assert a.fingerprint == b.fingerprint


@pytest.mark.parametrize("kind", ["bare", "gzip"])
def test_tables(whole, client, tmp_path, kind):
    paths = files(whole, tmp_path, kind)
    options = {"pert_col": "target"}
    for how in ({}, {"mode": "on_target"}, {"mean": "geometric", "cpm_gate": 5.0, "gate_on": "either"}):
        a = vcm.differential_expression(paths, **options, **how)
        b = vcd.differential_expression(str(tmp_path / "p*.h5ad"), client=client, **options, **how)
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    for space in ("log_of_sums", "mean_of_logs", "mean"):
        a = vcm.pseudobulk(paths, space=space, **options)
        b = vcd.pseudobulk(paths, space=space, client=client, **options)
        assert a.X.tobytes() == b.X.tobytes()
    with pytest.raises(ValueError, match="mode='all' ranks all cells together"):
        vcd.differential_expression(paths, mode="all", client=client, **options)


@pytest.mark.parametrize("preset", ["vcc2026", "cell-eval"])
def test_scores(whole, client, tmp_path, preset):
    (tmp_path / "real").mkdir()
    (tmp_path / "pred").mkdir()
    pred = cells(700, 4, "mixed")
    sides = files(pred, tmp_path / "pred", "bare", 2), files(whole, tmp_path / "real", "gzip", 3)
    options = {"preset": preset, "pert_col": "target", "control": "non-targeting"}
    if preset == "cell-eval":
        options["metrics"] = ["overlap_at_N", "pearson_delta", "mae"]
    a, b = vcm.score(*sides, **options), vcd.score(*sides, client=client, **options)
    pd.testing.assert_frame_equal(a.per_perturbation, b.per_perturbation, check_exact=True)
    pd.testing.assert_series_equal(a.aggregate, b.aggregate, check_exact=True)


def test_a_saved_reference(client, tmp_path):
    real, pred = cells(600, 1, "sorted"), cells(500, 2, "mixed")
    paths = files(pred, tmp_path, "bare", 3)
    real.write_h5ad(tmp_path / "real.h5ad")
    options = {"preset": "vcc2026", "pert_col": "target"}
    for _ in range(2):  # the second time the reference is a summary
        a = vcm.score(paths, tmp_path / "real.h5ad", cache=tmp_path / "a", **options)
        b = vcd.score(paths, tmp_path / "real.h5ad", cache=tmp_path / "b", client=client, **options)
        pd.testing.assert_frame_equal(a.per_perturbation, b.per_perturbation, check_exact=True)


def test_scales_and_metrics_of_single_cells(client, tmp_path):
    a, b = cells(500, 1, "mixed"), cells(400, 2, "mixed")
    (tmp_path / "real").mkdir()
    sides = files(b, tmp_path, "bare", 2), files(a, tmp_path / "real", "bare", 3)
    options = {"preset": "vcc2026", "pert_col": "target", "scale": "auto"}
    one, other = vcm.score(*sides, **options), vcd.score(*sides, client=client, **options)
    pd.testing.assert_series_equal(one.scaled, other.scaled, check_exact=True)
    with pytest.raises(vcm.DataError, match="needs single cells in one process"):
        vcd.score(*sides, preset="cell-eval", profile="full", pert_col="target", client=client)


@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_collections(whole, client, kind):
    import dask.array as da

    x = whole.X if kind == "csr" else whole.X.toarray()
    meta = x[:0]
    blocks = [
        da.from_delayed(__import__("dask").delayed(x[first : first + 70]), (min(70, 900 - first), 50), x.dtype, meta)
        for first in range(0, 900, 70)
    ]
    held = anndata.AnnData(da.concatenate(blocks), obs=whole.obs, var=whole.var)
    a = vcm.summarize(whole, pert_col="target", fields=FIELDS)
    same(a, vcd.summarize(held, pert_col="target", fields=FIELDS, client=client))
    assert vcd.summarize(held, pert_col="target", client=client).fingerprint
    with pytest.raises(TypeError, match="a cluster reads files, or AnnData that Dask holds"):
        vcd.summarize(whole, pert_col="target", client=client)


def test_facts_name_the_same_cells(client, tmp_path):
    a = cells(300, 5, "mixed")
    a.X.data[::97] *= -1
    a.X.data[50::80] += 0.25
    paths = files(a, tmp_path, "bare")
    from vcmetrics.dask.cells import open_remote
    from vcmetrics.sources import open_cells

    with open_cells(paths) as here, open_remote(paths, client) as there:
        one, other = here.scan(), there.scan()
        assert one.keys() <= other.keys()
        for key, value in one.items():
            np.testing.assert_array_equal(value, other[key], err_msg=key)
        assert (here.dtype, here.layout) == (there.dtype, there.layout)
        chosen = np.array([250, 3, 77, 76, 200])
        x, y = here.rows().take(chosen), there.rows().take(chosen)
        assert x.data.read(0, x.nnz).astype(float).tolist() == y.data.read(0, y.nnz).astype(float).tolist()
        with pytest.raises(vcm.DataError, match="call the function of vcmetrics in place"):
            there.rows().args()
    with pytest.raises(vcm.DataError, match="counts must not be negative"):
        vcd.summarize(paths, pert_col="target", client=client)


def test_progress(client, tmp_path):
    paths = files(cells(300, 5, "mixed"), tmp_path, "bare")
    seen = []
    vcd.summarize(paths, pert_col="target", client=client, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 0
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_changed_file(client, tmp_path):
    from vcmetrics.dask.cells import open_remote

    paths = files(cells(300, 5, "mixed"), tmp_path, "bare")
    with open_remote(paths, client) as there:
        cells(60, 6, "mixed").write_h5ad(tmp_path / "new.h5ad")
        os.replace(tmp_path / "new.h5ad", paths[1])
        with pytest.raises(vcm.DataError, match="was changed, or is another file on the worker"):
            there.scan()


def test_a_lost_worker_changes_nothing(tmp_path):
    """Workers that do the work are killed in mid-run, one behind the other."""
    whole = cells(4000, 7, "mixed")
    paths = files(whole, tmp_path, "gzip")
    expected = vcm.summarize(paths, pert_col="target", fields=FIELDS)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        alive, killed = list(client.run(os.getpid).values()), []

        def kill(done, total):
            if alive and done < total:
                killed.append(alive.pop())
                os.kill(killed[-1], signal.SIGKILL)

        found = vcd.summarize(paths, pert_col="target", fields=FIELDS, client=client, progress=kill)
        assert killed
    same(expected, found)


@pytest.mark.parametrize(
    ("metric", "how"),
    [
        ("edistance", {"obsm": "E"}),
        ("edistance", {"groups": ["G3", "G1", "non-targeting"], "order": None}),
        ("mmd", {"gamma": 0.5, "obsm": "E"}),
        ("cosine", {"aggregate": "median"}),
        ("sym_kldiv", {"obsm": "E", "diagonal": "zero"}),
    ],
)
def test_distances(client, tmp_path, metric, how):
    a = cells(300, 5, "mixed")
    a.obsm["E"] = np.random.default_rng(0).normal(size=(300, 4))
    paths = files(a, tmp_path, "bare", 3)
    how = {key: value for key, value in how.items() if value is not None}
    one = vcm.distance_matrix(paths, pert_col="target", metric=metric, **how)
    seen = []
    other = vcd.distance_matrix(
        str(tmp_path / "p*.h5ad"),
        pert_col="target",
        metric=metric,
        client=client,
        progress=lambda *at: seen.append(at),
        **how,
    )
    pd.testing.assert_frame_equal(one, other, rtol=1e-12, atol=1e-14)
    assert one.attrs == other.attrs
    assert seen[-1][0] == seen[-1][1]


def test_distances_that_are_not_of_pairs_alone(client, tmp_path):
    paths = files(cells(200, 5, "mixed"), tmp_path, "bare", 2)
    with pytest.raises(ValueError, match="looks at all groups of the call"):
        vcd.distance_matrix(paths, pert_col="target", metric="mmd", kernel="rbf", gamma="median", client=client)
    with pytest.raises(TypeError, match="are of files, not of AnnData"):
        vcd.distance_matrix(cells(50, 1, "mixed"), pert_col="target", client=client)
    with pytest.raises(ValueError, match="within= is not for a cluster"):
        vcd.distance_matrix(paths, pert_col="target", within="plate", client=client)


SCRIPT = """
import sys
import vcmetrics.dask as vcd

if __name__ == "__main__":
    vcd.summarize(sys.argv[1], pert_col="target", n_threads=1).save(sys.argv[2])
    print("done")
"""


def test_without_a_client_a_cluster_is_started_and_closed(tmp_path):
    a = cells(200, 5, "mixed")
    files(a, tmp_path, "bare", 2)
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "VCMETRICS_NUM_THREADS": "2"}
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "p*.h5ad"), str(tmp_path / "s.npz")]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert (run.returncode, run.stdout) == (0, "done\n"), run.stderr
    same(vcm.summarize(a, pert_col="target"), vcm.GroupSummary.load(tmp_path / "s.npz"))


def test_plain_vcmetrics_needs_no_dask():
    code = "import sys, vcmetrics; vcmetrics.summarize; print('dask' in sys.modules, 'distributed' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False False\n"


def test_genes_in_the_order_of_another_side(client, tmp_path):
    from vcmetrics.dask.cells import open_remote
    from vcmetrics.sources import open_cells

    paths = files(cells(500, 2, "mixed"), tmp_path, "shuffled genes", 3)
    order = np.random.default_rng(0).permutation(50)
    for chosen in (order[:41], np.arange(50)[::-1]):
        with open_cells(paths) as here, open_remote(paths, client) as there:
            a, b = (vcm.summarize(x.with_gene_order(chosen), pert_col="target", fields=FIELDS) for x in (here, there))
        same(a, b)
