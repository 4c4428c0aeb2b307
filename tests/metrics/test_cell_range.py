"""Predicted means against observed cells: by hand, against the reference, and GEARS' own analysis of the same cells."""

from __future__ import annotations

import importlib.util
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from vcmetrics._errors import DataError
from vcmetrics.metrics.cell_range import values_of
from vcmetrics.metrics.cells import CellPair, CellSide
from vcmetrics.metrics.pair import Pair, Profiles
from vcmetrics.metrics.registry import get
from vcmetrics.metrics.t_statistics import t_statistics
from vcmetrics.sources.rows import ChunkedArray, Rows
from vcmetrics.summary.plan import group_cells

NAMES = ("A", "B", "C")


def side_of(values: np.ndarray, labels: np.ndarray, kind: str = "lognorm") -> CellSide:
    cells = sp.csr_matrix(values)
    cells.sort_indices()
    rows = Rows(
        *cells.shape, cells.indptr.astype(np.int64), ChunkedArray.of(cells.indices), ChunkedArray.of(cells.data)
    )
    return CellSide(rows, group_cells(labels, "ctrl"), values.sum(1), kind)


def profiles(values: np.ndarray, labels: np.ndarray) -> Profiles:
    def moments(name: str) -> tuple[np.ndarray, np.ndarray]:
        chosen = values[labels == name]
        return chosen.mean(0), chosen.var(0, ddof=1) if len(chosen) > 1 else np.full(values.shape[1], np.nan)

    stacked = [moments(name) for name in NAMES]
    control, control_variance = moments("ctrl")
    return Profiles(
        np.array([m for m, _ in stacked]),
        control,
        n_cells=np.array([(labels == name).sum() for name in NAMES]),
        control_n_cells=int((labels == "ctrl").sum()),
        variance=np.array([v for _, v in stacked]),
        control_variance=control_variance,
    )


def cells(seed: int, g: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observed and predicted log-normalised cells in float32, and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(["ctrl", *NAMES], [40, 25, 12, 9]))
    sides = []
    for shift in (0.0, 0.3):
        x = rng.poisson(rng.uniform(0.05, 4, g) + shift, (labels.size, g)).astype(np.float32)
        x[:, 0] = 0.0
        sides.append(np.log1p(x))
    return sides[0], sides[1], labels


def pair_of(real: np.ndarray, pred: np.ndarray, labels: np.ndarray, **more: object) -> Pair:
    real64, pred64 = real.astype(np.float64), pred.astype(np.float64)
    found = CellPair(side_of(real, labels), side_of(pred, labels))
    observed = profiles(real64, labels)
    return Pair(
        NAMES,
        np.array([f"g{k}" for k in range(real.shape[1])]),
        np.array([1, 2, -1]),
        real=observed,
        pred=replace(profiles(pred64, labels), control=observed.control),
        cells=lambda: found,
        bulk=False,
        **more,
    )


def value(pair: Pair, name: str, **settings: object) -> np.ndarray:
    return get(name).evaluate(pair, settings)


@pytest.mark.parametrize("levels", [(0.0, 1.0), (0.25, 0.75), (0.4, 0.6), (0.45, 0.55)])
@pytest.mark.parametrize("genes", ["t_test:20", "all", "top_effect:5:non_zero"])
def test_range_against_the_reference(levels: tuple[float, float], genes: str) -> None:
    pair = pair_of(*cells(0))
    for exclude in ("none", "own", "panel"):
        how = {"low": levels[0], "high": levels[1], "genes": genes, "exclude": exclude}
        spec = get("in_range")
        np.testing.assert_array_equal(spec.evaluate(pair, how), spec.evaluate(pair, how, slow=True))


def test_values_of_cells_are_the_expression() -> None:
    rng = np.random.default_rng(1)
    counts = rng.poisson(1.0, (30, 12)).astype(np.float32)
    counts[4] = 0
    labels = np.repeat(["ctrl", *NAMES], [12, 6, 6, 6])
    side = side_of(counts, labels, "counts")
    from vcmetrics.reference.summary import dense

    chosen, genes = side.cells_of("B"), np.array([0, 3, 11])
    want = dense(side.expression())[chosen][:, genes]
    np.testing.assert_array_equal(values_of(side, chosen, genes), want)


def test_by_hand() -> None:
    labels = np.array(["ctrl", "A", "A", "A", "B", "C"])
    real = np.array([[1, 1], [0, 0], [1, 0], [2, 3], [1, 1], [1, 1]], np.float32)
    pred = np.array([[1, 1], [1, 4], [1, 4], [1, 4], [1, 1], [1, 3]], np.float32)
    pair = pair_of(real, pred, labels)
    pair = replace(pair, own=np.full(3, -1))
    assert value(pair, "in_range", genes="all").tolist() == [0.5, 1.0, 0.5]
    assert value(pair, "in_range", genes="all", low=0.5, high=0.5).tolist() == [0.5, 1.0, 0.5]
    # gene 0 of A: mean 1 predicted 1; gene 1: mean 1, sd √2 over n, predicted 4
    np.testing.assert_allclose(value(pair, "sigma_distance", genes="all")[0], (0 + 3 / np.sqrt(2)) / 2, rtol=1e-14)
    np.testing.assert_allclose(
        value(pair, "sigma_distance", genes="all", ddof=1)[0], (0 + 3 / np.sqrt(3)) / 2, rtol=1e-14
    )
    assert value(pair, "sigma_share", genes="all")[0] == 0.5
    assert np.isnan(value(pair, "sigma_share", genes="all")[1:]).all()  # single cells do not vary
    assert value(pair, "fold_change_gap").tolist() == [1.5, 0.0, 1.0]
    assert np.isnan(value(pair, "fold_change_gap", above=3.0)).all()


def test_what_it_cannot_do() -> None:
    pair = pair_of(*cells(0))
    with pytest.raises(DataError, match="compares predicted means with observed cells"):
        value(replace(pair, bulk=True), "in_range")
    with pytest.raises(DataError, match="looks at single cells"):
        value(replace(pair, cells=None), "in_range")
    with pytest.raises(DataError, match="needs the variance of the observed cells"):
        value(replace(pair, real=replace(pair.real, variance=None)), "sigma_share", genes="all")


def gears_inference(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """GEARS' module of analyses alone; its package imports far more."""
    found = importlib.util.find_spec("gears")
    if found is None or found.submodule_search_locations is None:
        pytest.skip("needs cell-gears")
    path = Path(found.submodule_search_locations[0]) / "inference.py"
    spec = importlib.util.spec_from_file_location("gears_inference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as patch:
        for name in ("torch", "scanpy"):  # imported there, not needed by the analyses
            if importlib.util.find_spec(name) is None:
                stand_in = types.ModuleType(name)
                stand_in.Tensor = type("Tensor", (), {})
                patch.setitem(sys.modules, name, stand_in)
        spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore")
def test_gears(monkeypatch: pytest.MonkeyPatch) -> None:
    gears = gears_inference(monkeypatch)
    import anndata
    import pandas as pd

    real, pred, labels = cells(5, g=260)
    real, pred = real.astype(np.float64), pred.astype(np.float64)
    pair = pair_of(real, pred, labels)
    t = t_statistics(pair)
    obs = pd.DataFrame({"condition": labels, "condition_name": labels}, index=[f"c{k}" for k in range(labels.size)])
    var = pd.DataFrame({"gene_name": pair.genes}, index=pair.genes)
    adata = anndata.AnnData(sp.csr_matrix(real), obs, var)
    # profiles of its own are means of sparse rows
    order = {name: pair.genes[np.argsort(-np.abs(t[p]), kind="stable")].tolist() for p, name in enumerate(NAMES)}
    adata.uns["rank_genes_groups_cov_all"] = order
    kept = labels != "ctrl"
    result = {"pert_cat": labels[kept], "pred": pred[kept], "truth": real[kept]}
    at = {name: [pair.genes.tolist().index(x) for x in order[name][:20]] for name in NAMES}
    result["pred_de"] = np.array([row[at[name]] for name, row in zip(labels[kept], pred[kept], strict=True)])
    result["truth_de"] = np.array([row[at[name]] for name, row in zip(labels[kept], real[kept], strict=True)])
    theirs = gears.deeper_analysis(adata, result)
    top = {"genes": "t_test:20"}
    ours = {
        "frac_correct_direction_all": value(pair, "direction_correct"),
        **{f"frac_correct_direction_{k}": value(pair, "direction_correct", genes=f"t_test:{k}") for k in (20, 50, 200)},
        "frac_in_range": value(pair, "in_range"),
        "frac_in_range_25_75": value(pair, "in_range", low=0.25, high=0.75),
        "frac_in_range_40_60": value(pair, "in_range", low=0.4, high=0.6),
        "frac_in_range_45_55": value(pair, "in_range", low=0.45, high=0.55),
        "mean_sigma": value(pair, "sigma_distance"),
        "frac_sigma_below_1": value(pair, "sigma_share"),
        "frac_sigma_below_2": value(pair, "sigma_share", within=2.0),
        "pearson_delta": value(pair, "effect_pearson", undefined="zero"),
        "pearson_delta_de": value(pair, "effect_pearson", undefined="zero", **top),
        "pearson_delta_top20_de": value(pair, "effect_pearson", undefined="zero", **top),
        "pearson_top100_de": value(pair, "effect_pearson", reference="none", genes="t_test:100"),
        "pearson_delta_top200_hvg": value(pair, "effect_pearson", genes="top_variable:200"),
        "mse_top20_de": value(pair, "squared_error", **top),
        "mse_top200_hvg": value(pair, "squared_error", genes="top_variable:200"),
        "fold_change_gap_all": value(pair, "fold_change_gap"),
        "fold_change_gap_upreg_3": value(pair, "fold_change_gap", above=3.0),
        "fold_change_gap_downreg_0.33": value(pair, "fold_change_gap", below=0.333),
    }
    for p, name in enumerate(NAMES):
        for key, values in ours.items():
            assert values[p] == pytest.approx(theirs[name].get(key, np.nan), rel=1e-9, nan_ok=True), (name, key)
    metrics, each = gears.compute_metrics(result)
    for p, name in enumerate(NAMES):
        assert value(pair, "squared_error")[p] == pytest.approx(each[name]["mse"], rel=1e-11)
        assert value(pair, "squared_error", **top)[p] == pytest.approx(each[name]["mse_de"], rel=1e-11)
        assert value(pair, "effect_pearson", reference="none")[p] == pytest.approx(each[name]["pearson"], rel=1e-11)
    assert metrics["mse"] == pytest.approx(value(pair, "squared_error").mean(), rel=1e-11)
