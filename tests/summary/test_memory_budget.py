"""A pass within any memory budget has the bytes of the pass over everything at once."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import vcmetrics as vcm
from vcmetrics.backend import memory
from vcmetrics.sources import hdf5
from vcmetrics.summary import cell_pass

FIELDS = ("sum", "linear", "log1p", "square", "nonzero", "rank", "jackknife")

pytestmark = [
    pytest.mark.filterwarnings("ignore::vcmetrics.VcmetricsWarning"),
    pytest.mark.filterwarnings("ignore:Writing zarr v2"),
]


@pytest.fixture(autouse=True)
def small_budgets(monkeypatch):
    monkeypatch.setattr(memory, "SMALLEST", 1)
    monkeypatch.setattr(hdf5, "_SMALL_BYTES", 0)


def stored(adata, tmp_path, how):
    path = tmp_path / f"{how}.{'zarr' if how == 'zarr' else 'h5ad'}"
    if how == "memory":
        return adata
    if how == "zarr":
        adata.write_zarr(path)
        return path
    made = adata.copy()
    if how == "csc":
        made.X = made.X.tocsc()
    elif how == "dense":
        made.X = made.X.toarray()
    made.write_h5ad(path, **({"compression": "gzip"} if how == "gzip" else {}))
    return path


@pytest.mark.parametrize("fields", [FIELDS, ("sum",), ("sum", "linear", "log1p", "expm1")])
@pytest.mark.parametrize("how", ["memory", "h5ad", "gzip", "zarr", "csc", "dense"])
@pytest.mark.parametrize("order", ["blocks", "shuffled"])
def test_bytes_of_any_budget(fields, how, order, tmp_path, screen, same_bytes):
    adata = screen(order=order)
    keywords = {"pert_col": "p", "control": "control", "fields": fields, "gate": 5.0}
    whole = vcm.summarize(adata, **keywords, memory_budget="4GiB")
    data = stored(adata, tmp_path, how)
    # a matrix stored by gene is read once for every band of rows that the budget holds
    for budget in (1, 700, 20_000, 100_000, 1 << 30)[2 if how == "csc" else 0 :]:
        for threads in (1, 2) if budget == 20_000 else (2,):
            same_bytes(whole, vcm.summarize(data, **keywords, n_threads=threads, memory_budget=budget))


@pytest.mark.parametrize("kind", ["groups", "genes"])
@pytest.mark.parametrize("fractional", [False, True])
def test_each_cut(kind, fractional, tmp_path, monkeypatch, screen, same_bytes):
    """Both cuts, whatever their costs; fractional values need wide records."""
    adata = screen(fractional=fractional, order="shuffled")
    keywords = {"pert_col": "p", "control": "control", "fields": FIELDS, "gate": 5.0}
    whole = vcm.summarize(adata, **keywords)
    path = stored(adata, tmp_path, "h5ad")
    made = []

    def forced(pairs, recipe, **_):
        batches = cell_pass._batches(pairs, memory.current_budget().part, 0)
        n = len(batches) if kind == "groups" else 5
        made.append(n)
        return cell_pass.Cut(kind, n, "as told", batches)

    monkeypatch.setattr(cell_pass, "plan_cut", forced)
    same_bytes(whole, vcm.summarize(path, **keywords, memory_budget=8_000))
    assert made[0] > 2


def test_choice_is_reported(tmp_path, screen):
    adata = screen()
    path = stored(adata, tmp_path, "h5ad")
    with memory.spending(60_000) as budget:
        vcm.summarize(path, pert_col="p", control="control")
    assert len(budget.choices) == 1
    assert "batches of perturbations" in budget.choices[0]
    assert "sorted by perturbation" in budget.choices[0]
    with memory.spending(20_000) as budget:
        vcm.summarize(stored(adata, tmp_path, "gzip"), pert_col="p", control="control")
    assert "compact cells written to" in budget.choices[0]


def test_shuffled_rows(screen):
    """Integers are equal in any order of the cells; floats to the last digits."""
    adata = screen()
    keywords = {"pert_col": "p", "control": "control", "fields": FIELDS}
    one = vcm.summarize(adata, **keywords)
    order = np.random.default_rng(1).permutation(adata.n_obs)
    for budget in (None, 10_000):
        other = vcm.summarize(adata[order].copy(), **keywords, memory_budget=budget)
        for key, tables in one.tables.items():
            for name, table in tables.items():
                again = other.tables[key][name]
                if table.dtype.kind == "i" or name in ("sum", "square", "tie"):
                    assert table.tobytes() == again.tobytes(), name
                else:
                    np.testing.assert_allclose(again, table, rtol=1e-13, atol=0)


@pytest.mark.parametrize("preset", ["vcc2026", "vcc2025"])
@pytest.mark.parametrize("how", ["h5ad", "gzip"])
def test_score_of_any_budget(preset, how, tmp_path, screen):
    real, pred = screen(0), screen(1)
    if preset == "vcc2025":
        for adata in (real, pred):
            x = adata.X.toarray().astype(np.float64)
            adata.X = sp.csr_matrix(np.log1p(x / np.maximum(x.sum(1, keepdims=True), 1) * 1e4).astype(np.float32))
    folder = [tmp_path / "real", tmp_path / "pred"]
    paths = []
    for adata, at in zip((real, pred), folder, strict=True):
        at.mkdir()
        paths.append(stored(adata, at, how))
    keywords = {"preset": preset, "pert_col": "p", "control": "control", "target_map": {"*": None}}
    whole = vcm.score(pred, real, **keywords)
    assert whole.settings["memory"]["passes"] == []
    for budget in (3_000, 60_000):
        again = vcm.score(paths[1], paths[0], **keywords, memory_budget=budget)
        assert again.settings["memory"]["budget"] == budget
        assert again.settings["memory"]["passes"]
        pd.testing.assert_frame_equal(whole.per_perturbation, again.per_perturbation, check_exact=True)
        assert whole.aggregate_values == pytest.approx(again.aggregate_values, rel=0, abs=0, nan_ok=True)


@pytest.mark.parametrize("mode", ["reference", "all", "on_target"])
def test_tests_of_any_budget(mode, tmp_path, screen):
    adata = screen(order="shuffled")
    path = stored(adata, tmp_path, "h5ad")
    keywords = {"pert_col": "p", "control": "control", "mode": mode, "target_map": {"a": "g1", "b": "g2", "*": None}}
    whole = vcm.differential_expression(adata, **keywords)
    for budget in (2_000, 50_000):
        found = vcm.differential_expression(path, **keywords, memory_budget=budget)
        pd.testing.assert_frame_equal(whole, found, check_exact=True)


def test_other_functions(tmp_path, screen):
    adata = screen(order="shuffled")
    path = stored(adata, tmp_path, "gzip")
    pd.testing.assert_frame_equal(
        vcm.distance_matrix(adata, pert_col="p"), vcm.distance_matrix(path, pert_col="p", memory_budget=9_000)
    )
    for space in ("log_of_sums", "mean_of_logs", "mean", "sum"):
        one = vcm.pseudobulk(adata, pert_col="p", space=space)
        other = vcm.pseudobulk(path, pert_col="p", space=space, memory_budget=3_000)
        assert one.X.tobytes() == other.X.tobytes()
    pred = screen(5)
    one = vcm.gene_correlation(pred, adata, pert_col="p", control="control")
    other = vcm.gene_correlation(pred, path, pert_col="p", control="control", memory_budget=3_000)
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    one = vcm.discrimination(pred, adata, pert_col="p", control="control", exclude_targets="none")
    other = vcm.discrimination(pred, path, pert_col="p", control="control", exclude_targets="none", memory_budget=3_000)
    pd.testing.assert_frame_equal(one, other, check_exact=True)
