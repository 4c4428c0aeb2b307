"""Split halves, anchors and ceilings."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from vcmetrics._errors import DataError
from vcmetrics.presets.preset import get_preset
from vcmetrics.scoring.replicate import (
    CEILING_METRICS,
    HalfScore,
    SplitRow,
    assemble,
    lfc_nmae_reference,
    replicate_anchors,
    spearman_brown,
    split_halves,
    split_seeds,
)
from vcmetrics.summary.de_table import DETable

GOLDEN = Path(__file__).parents[1] / "golden"
ANCHOR = GOLDEN / "cell_eval2/reference/anchor"


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def a_real():
    adata = anndata.read_h5ad(GOLDEN / "cell_eval2/inputs/a_real.h5ad")
    labels, codes = np.unique(adata.obs["target"].astype(str), return_inverse=True)
    return adata, list(labels), codes.astype(np.int32)


def _lfc_table(adata, labels, codes, p_adj=None, genes=None) -> DETable:
    """Fold changes of arithmetic mean CPM against the own control, gated at 5 CPM there."""
    counts = adata.X.toarray().astype(float)
    cpm = counts / (counts.sum(axis=1, keepdims=True) / 1e6)
    means = np.array([cpm[codes == k].mean(axis=0) for k in range(len(labels))])
    control = labels.index("non-targeting")
    keep = means[control] > 5.0
    lfc = np.log2((means + 1e-9) / (means[control] + 1e-9))[:, keep]
    rows = [k for k in range(len(labels)) if k != control]
    nothing = np.full((len(rows), int(keep.sum())), np.nan)
    targets = tuple(labels[k] for k in rows)
    return DETable(targets, adata.var_names.to_numpy(str)[keep], lfc[rows], nothing, nothing)


@pytest.fixture(scope="module")
def full_table():
    frame = pyarrow.parquet.read_table(GOLDEN / "cell_eval2/runs/a_noise.vcc2026.pdex/de_real.parquet").to_pandas()
    lfc, p_adj = (frame.pivot(index="target", columns="feature", values=c) for c in ("log2_fold_change", "p_adj"))
    return DETable(
        tuple(lfc.index), lfc.columns.to_numpy(str), lfc.to_numpy(), p_adj.to_numpy(), p_adj.to_numpy(), None
    )


def test_seeds():
    assert split_seeds() == [2968811710, 3677149159, 745650761, 2884920346, 2642120001]
    with pytest.raises(ValueError, match="1 or more"):
        split_seeds(0, 0)


def test_halves_golden(a_real):
    _, labels, codes = a_real
    golden = np.load(GOLDEN / "cell_eval2/internals/a_real_halves.npz")
    for k, seed in enumerate(golden["seeds"].tolist()):
        half = split_halves(codes, len(labels), seed)
        for which, name in enumerate("ab"):
            assert np.array_equal(np.flatnonzero(half == which), np.sort(golden[f"{name}{k}"]))


def test_halves_follow_the_order_of_the_groups():
    codes = np.repeat(np.arange(3), 7)
    ascending = split_halves(codes, 3, 5)
    descending = split_halves(codes, 3, 5, order=[2, 1, 0])
    # the first draw falls on the first group in the order
    assert np.array_equal(ascending[codes == 0], descending[codes == 2])
    assert not np.array_equal(ascending, descending)


def test_halves_drop_odd_cells_single_cells_and_unused_ones():
    half = split_halves(np.array([0, 0, 0, -1, 1, -1, 2, 2]), 4, 0)
    assert (half == 0).sum() == (half == 1).sum() == 2
    assert half[3] == half[4] == half[5] == -1


def test_anchor_golden_from_its_splits():
    splits = [
        SplitRow(
            int(r["split_index"]),
            int(r["seed"]),
            r["metric"],
            float(r["value"]),
            int(r["n_perturbations"]) if r["n_perturbations"] else None,
        )
        for r in _rows(ANCHOR / "anchor_splits.csv")
    ]
    anchors = assemble(splits)
    assert list(anchors.seeds) == split_seeds()
    golden = _rows(ANCHOR / "anchor_agg.csv")
    assert [row.metric for row in anchors.rows] == [r["metric"] for r in golden]
    for row, expected in zip(anchors.rows, golden, strict=True):
        assert row.estimator == expected["estimator"]
        for field in ("replicate", "replicate_sd", "replicate_min", "replicate_max"):
            assert getattr(row, field) == pytest.approx(float(expected[field]), rel=1e-12, abs=1e-15)
        for field in ("n_perturbations_min", "n_perturbations_max"):
            assert getattr(row, field) == (int(expected[field]) if expected[field] else None)


def test_lfc_nmae_anchor_golden(a_real, full_table):
    adata, labels, codes = a_real
    golden = {r["split_index"]: r for r in _rows(ANCHOR / "anchor_splits.csv") if r["metric"].endswith("lfc_nmae")}

    def score_halves(a, b):
        return HalfScore({}, {}, _lfc_table(adata, labels, a), _lfc_table(adata, labels, b))

    anchors = replicate_anchors(
        codes,
        labels,
        "non-targeting",
        score_halves,
        metrics=["de_wilcoxon_lfc_nmae"],
        full=full_table,
        own=full_table.targets,
    )
    for row in anchors.splits:
        expected = golden[str(row.split_index)]
        assert row.value == pytest.approx(float(expected["value"]), rel=1e-12)
        assert row.n_perturbations == int(expected["n_perturbations"])


def test_lfc_nmae_reference_golden(a_real, full_table):
    adata, labels, codes = a_real
    half = split_halves(codes, len(labels), 0)
    a, b = (_lfc_table(adata, labels, np.where(half == k, codes, -1)) for k in (0, 1))
    found = lfc_nmae_reference(full_table, a, b, full_table.targets)
    golden = _rows(ANCHOR / "lfc_nmae_ref.csv")
    assert list(found) == [r["perturbation"] for r in golden]
    for row in golden:
        value, n = found[row["perturbation"]]
        assert value == pytest.approx(float(row["nmae_ref_raw"]), rel=1e-12)
        assert n == int(row["n_gate"])


def test_lfc_nmae_reference_wants_every_gated_target(full_table):
    half = DETable(
        full_table.targets[1:], full_table.genes, full_table.lfc[1:], full_table.p_value[1:], full_table.p_adj[1:]
    )
    with pytest.raises(DataError, match="no row in a half"):
        lfc_nmae_reference(full_table, half, full_table, full_table.targets)


def test_ceilings_golden():
    preset = get_preset("cell-eval")
    names = {m.output: m.metric for m in preset.members()}
    results = pd.read_csv(GOLDEN / "cell_eval/cell_eval_0.8.2/base_full/ceiling_results.csv", index_col=0)
    # null (empty) is skipped, NaN is not; pandas reads both as missing, so columns that hold NaN are told apart here
    text = pd.read_csv(
        GOLDEN / "cell_eval/cell_eval_0.8.2/base_full/ceiling_results.csv",
        index_col=0,
        dtype=str,
        keep_default_na=False,
    )
    means = {c: math.nan if (text[c] == "NaN").any() else results[c].mean() for c in results}
    golden = pd.read_csv(GOLDEN / "cell_eval/cell_eval_0.8.2/base_full/agg_ceiling_results.csv").iloc[0]
    found = spearman_brown({names[c]: means[c] for c in results}, list(names.values()), "cell-eval")
    for output, metric in names.items():
        assert found[metric] == pytest.approx(golden[output], rel=1e-12, nan_ok=True), output


def test_cell_eval2_ceiling_golden():
    results = _rows(ANCHOR / "ceiling_results.csv")
    values = [float(r["value"]) for r in results if r["metric"] == "pds_cosine"]
    golden = {r["metric"]: float(r["ceiling"]) for r in _rows(ANCHOR / "ceiling_agg.csv")}
    found = spearman_brown({"pds_cosine": float(np.mean(values))}, list(golden))
    assert found == pytest.approx(golden, rel=1e-12, nan_ok=True)
    assert len(CEILING_METRICS["cell-eval2"]) == 18


def test_anchors_refuse_what_cannot_be_halved():
    def nothing(a, b):
        return HalfScore({"pds_cosine": math.nan}, {})

    how = {"score_halves": nothing, "metrics": ["pds_cosine"]}
    codes = np.array([0, 0, 1, 1, 2], np.int32)
    with pytest.raises(DataError, match="control 'c' has fewer than 2 cells"):
        replicate_anchors(codes, ["a", "b", "c"], "c", **how)
    with pytest.raises(DataError, match="no perturbation of the reference has 2 cells"):
        replicate_anchors(np.array([0, 1, 1], np.int32), ["a", "c"], "c", **how)
    with pytest.raises(DataError, match="pds_cosine is undefined in split 0"):
        replicate_anchors(codes, ["a", "c", "d"], "c", **how)
    anchors = replicate_anchors(codes, ["a", "c", "d"], "c", **how, strict=False)
    assert math.isnan(anchors.replicate["pds_cosine"])
    with pytest.raises(DataError, match="'d' has fewer than 2 cells"):
        replicate_anchors(codes, ["a", "c", "d"], "c", nothing, metrics=["de_wilcoxon_lfc_nmae"])
