"""Closed forms that need cells or DE tables: distances from means and traces, perfect and empty calls, storage."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

import vcmetrics as vcm
from vcmetrics import datasets

HOW = {"pert_col": "perturbation", "control": "non-targeting"}
PAPERS = ("systema", "diversity-by-design", "shift-calibrated", "gears", "cpa", "presage", "pereggrn", "ahlmann-eltze")


def groups(seed: int, n: int, m: int, g: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scale = rng.uniform(0.5, 2.0, g)
    return scale * rng.normal(size=(n, g)), scale * rng.normal(0.4, 1.3, size=(m, g))


def apart(x: np.ndarray, y: np.ndarray, **how: object) -> float:
    labels = ["x"] * len(x) + ["y"] * len(y)
    return float(vcm.distances_to(np.concatenate([x, y]), "y", pert_col=labels, **how)["x"])


@pytest.mark.parametrize("seed", range(3))
def test_energy_of_squared_distances_is_of_means_and_traces(seed: int) -> None:
    """V: 2 |x̄ - ȳ|². U: less 2 tr(S)/n of both. The same data moved apart in shape alone are at 0."""
    x, y = groups(seed, 14, 23, 9)
    squared = 2 * ((x.mean(0) - y.mean(0)) ** 2).sum()
    traces = sum(2 * z.var(0, ddof=1).sum() / len(z) for z in (x, y))
    energy = {"metric": "edistance", "cell_metric": "sqeuclidean"}
    assert apart(x, y, **energy, estimator="v") == pytest.approx(squared, rel=1e-10)
    assert apart(x, y, **energy, estimator="u") == pytest.approx(squared - traces, rel=1e-10)
    same_mean = y - y.mean(0) + x.mean(0)
    assert apart(x, same_mean, **energy, estimator="v") == pytest.approx(0, abs=1e-10)
    assert apart(x, same_mean, metric="edistance", cell_metric="euclidean", estimator="v") > 1e-3


def test_identical_cells_are_at_zero() -> None:
    x, _ = groups(4, 15, 1, 8)
    for how in (
        {"metric": "edistance", "estimator": "v"},
        {"metric": "edistance", "convention": "cellflow"},
        {"metric": "mmd", "convention": "cellflow"},
        {"metric": "mmd", "convention": "broad-obesity-1"},
    ):
        assert apart(x, x, **how) == pytest.approx(0, abs=1e-9), how


def test_mmd_of_the_crunch_depends_on_the_order_of_cells_where_numbers_differ() -> None:
    x, y = groups(5, 20, 11, 50)
    how = {"metric": "mmd", "convention": "broad-obesity-2"}
    other = x[::-1]  # other cells are the first eleven
    assert abs(apart(x, y, **how) - apart(other, y, **how)) > 1e-4
    assert apart(x[:11], y, **how) == pytest.approx(apart(x, y, **how), rel=1e-12)
    assert apart(x[:11][::-1], y, **how) == pytest.approx(apart(x[:11], y, **how), rel=1e-9)
    # nothing else does: all cells of both sides enter
    free = {"metric": "mmd", "convention": "cellflow"}
    assert apart(other, y, **free) == pytest.approx(apart(x, y, **free), rel=1e-9)


def test_perfect_and_empty_calls() -> None:
    data = datasets.demo().load()
    perfect = vcm.score(data, data, preset="vcc2026", **HOW).aggregate_values
    names = {name.rpartition("wilcoxon_")[2]: value for name, value in perfect.items()}
    assert names["lfc_nmae"] == 0
    for name in ("sig_jaccard", "direction_fidelity_yield_raw", "direction_reach_raw", "pds_cosine"):
        assert names[name] == 1, name
    table = vcm.differential_expression(data, **HOW)
    nothing = table.assign(log2_fold_change=0.0, p_value=1.0, fdr=1.0)
    empty = vcm.score(data, data, preset="vcc2026", de_pred=nothing, **HOW).aggregate_values
    names = {name.rpartition("wilcoxon_")[2]: value for name, value in empty.items()}
    assert names["lfc_nmae"] == 1
    assert names["direction_fidelity_yield_raw"] == names["direction_reach_raw"] == 0


@pytest.mark.parametrize("name", PAPERS)
def test_storage_of_the_cells_does_not_matter(name: str) -> None:
    """float32 and float64, dense and CSR, whole and in blocks: whole counts are the same numbers in all of them."""
    from vcmetrics import baselines

    truth, again = baselines.halves(datasets.demo().path, **HOW)
    want = vcm.score(again, truth, preset=[name], **HOW)[name]

    def stored(cells: ad.AnnData, how: str) -> ad.AnnData:
        out = cells.copy()
        wide = sp.csr_matrix(cells.X, dtype=np.float64)
        out.X = {"float64": wide, "dense": wide.toarray(), "dense32": wide.toarray().astype(np.float32)}[how]
        return out

    for how in ("float64", "dense", "dense32"):
        got = vcm.score(stored(again, how), stored(truth, how), preset=[name], **HOW)[name]
        for metric, value in want.aggregate_values.items():
            assert got.aggregate_values[metric] == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True), (how, metric)
    blocks = vcm.score(again, truth, preset=[name], memory_budget="1MiB", **HOW)[name]
    for metric, value in want.aggregate_values.items():
        assert blocks.aggregate_values[metric] == pytest.approx(value, rel=0, abs=0, nan_ok=True), metric
