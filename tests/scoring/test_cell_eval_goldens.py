"""`score` against every stored run of cell-eval 0.8.2, and of cell-eval2 0.20.0 on the same inputs."""

import csv
from pathlib import Path

import numpy as np
import pytest

from vcmetrics.scoring.score import score

GOLDEN = Path(__file__).parents[1] / "golden" / "cell_eval"
EXACT = ("overlap_", "precision_", "de_nsig", "discrimination_", "de_sig_genes", "de_direction")
FDR = {"alpha": 0.2}
NO_EXCLUSION = {f"discrimination_score_{d}": {"exclude": "none"} for d in ("l1", "l2", "cosine")}
RUNS = {
    "base_full": ("base", "full", {}),
    "base_minimal": ("base", "minimal", {}),
    "base_vcc": ("base", "vcc", {}),
    "base_de": ("base", "de", {}),
    "base_anndata": ("base", "anndata", {}),
    "base_pds": ("base", "pds", {}),
    "base_eps1e-9": ("base", "de", {"de.epsilon": 1e-9}),
    "base_cpm2000": ("base", "de", {"de.cpm_gate": 2000.0}),
    "base_arith": ("base", "de", {"de.mean": "arithmetic"}),
    "dense64_full": ("dense64", "full", {}),
    "dense64_embed": ("dense64", "anndata", {}),
    "tiny_full": ("tiny", "full", {}),
    "counts_full": ("counts", "full", {}),
    "counts_discrete": ("counts", "full", {"discrete": True}),
}


def paths(name):
    return GOLDEN / "inputs" / f"{name}_pred.h5ad", GOLDEN / "inputs" / f"{name}_real.h5ad"


def table(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return {c: {r["perturbation"]: r[c] for r in rows} for c in rows[0] if c != "perturbation"}


def tolerance(metric, single):
    """float64 input 1e-9; float32 input 1e-5; match ranks and set metrics exactly.

    The peer's e-distances of float32 cells are means of float32 distances.
    """
    if metric == "pearson_edistance" and single:
        return 2e-4
    if metric.startswith(EXACT):
        return 1e-12
    return 1e-5 if single else 1e-9


def agree(context, want, single):
    for metric, cells in want.items():
        got = dict(zip(context.perturbations, context.values[metric], strict=True))
        assert set(got) == set(cells), metric
        for label, text in cells.items():
            if text == "":
                assert np.ma.is_masked(got[label]), (metric, label)
            else:
                limit = tolerance(metric, single)
                np.testing.assert_allclose(
                    got[label], float(text), rtol=limit, atol=limit / 10, err_msg=f"{metric} {label}"
                )


def members(profile):
    from vcmetrics.presets import get_preset

    return [m.output for m in get_preset("cell-eval").members(profile)]


@pytest.mark.parametrize("run", RUNS)
def test_every_value(run):
    name, profile, changes = RUNS[run]
    folder = GOLDEN / "cell_eval_0.8.2" / run
    metrics = {m: {} for m in members(profile)}
    if run.endswith("embed"):  # that run gave the embedding to every metric that takes one
        ranks = {f"discrimination_score_{d}": {"embedding": "X_emb", "exclude": "none"} for d in ("l2", "cosine")}
        ranks |= {m: {"embedding": "X_emb"} for m in ("pearson_edistance", "clustering_agreement")}
        metrics |= {m: {"embedding": "X_emb"} for m in ("pearson_delta", "mse", "mae")} | ranks
    result = score(*paths(name), preset="cell-eval", metrics=metrics, overrides=changes, n_threads=1)
    (context,) = result.contexts
    want = table(folder / "results.csv")
    if not folder.joinpath("pred_de.csv").exists() or profile == "full":
        assert list(context.values) == list(want)
    agree(context, {m: v for m, v in want.items() if m in context.values}, single=run != "dense64_full")


def test_options_of_single_metrics():
    chosen = {m: {} for m in members("full")} | NO_EXCLUSION | {"overlap_at_N": FDR, "de_direction_match": FDR}
    chosen["clustering_agreement"] = {"agreement": "ari"}
    result = score(*paths("base"), preset="cell-eval", metrics=chosen, n_threads=1)
    agree(result.contexts[0], table(GOLDEN / "cell_eval_0.8.2" / "base_options" / "results.csv"), single=True)


def test_cell_types_are_scored_apart():
    result = score(*paths("celltype"), preset="cell-eval", metrics=members("full"), context_col="celltype", n_threads=1)
    assert [c.context for c in result.contexts] == ["B", "T"]
    for context in result.contexts:
        agree(
            context, table(GOLDEN / "cell_eval_0.8.2" / "celltype_cli" / f"{context.context}_results.csv"), single=True
        )


@pytest.mark.parametrize("side", ["real", "pred"])
@pytest.mark.parametrize(
    "run",
    [
        "base_full",
        "base_eps1e-9",
        "base_cpm2000",
        "base_arith",
        "dense64_full",
        "tiny_full",
        "counts_full",
        "counts_discrete",
    ],
)
def test_every_row_of_the_de_tables(run, side):
    name, _, changes = RUNS[run]
    result = score(*paths(name), preset="cell-eval", profile="de", overrides=changes, n_threads=1)
    got = getattr(result, f"de_{side}").set_index(["target", "feature"])
    import pandas as pd

    want = pd.read_csv(GOLDEN / "cell_eval_0.8.2" / run / f"{side}_de.csv").set_index(["target", "feature"])
    assert len(got) == len(want)
    got = got.loc[want.index]
    assert list(got.columns) == list(want.columns)
    single = name != "dense64"
    for column in want.columns:
        limit = 1e-9
        if single and ("mean" in column or "change" in column):
            limit = 1e-5
        np.testing.assert_allclose(got[column], want[column], rtol=limit, atol=limit, err_msg=column)


V2_RUNS = {
    "counts_vcc2026_pdex": ("counts", "vcc2026", {}),
    "counts_vcc2026_scanpy": ("counts", "vcc2026", {"de.continuity": False}),
    "counts_v2_full_pdex": ("counts", "cell-eval2", {}),
    "counts_v2_full_scanpy": ("counts", "cell-eval2", {"de.continuity": False}),
    "counts_v2_full_row_position_nofilter": (
        "counts",
        "cell-eval2",
        {"exclude": "row", "ties": "position", "denominator": "n", "de.cpm_gate": None},
    ),
    "base_v2_full_lognorm": ("base", "cell-eval2", {"input_type": "lognorm"}),
    "base_v1_full": ("base", "cell-eval2-v1", {}),
}


@pytest.mark.parametrize("run", V2_RUNS)
def test_cell_eval2_on_the_same_inputs(run, close, undecided):
    name, preset, changes = V2_RUNS[run]
    result = score(*paths(name), preset=preset, overrides=changes, n_threads=1)
    (context,) = result.contexts
    want = {}
    with open(GOLDEN / "cell_eval2_0.20.0" / run / "results.csv", newline="") as file:
        for row in csv.DictReader(file):
            want.setdefault(row["metric"], {})[row["perturbation"]] = row["value"]
    assert {m for m, v in context.values.items() if v.count()} == set(want)
    for metric, cells in want.items():
        got = dict(zip(context.perturbations, context.values[metric], strict=True))
        for label, text in cells.items():
            close(context, metric, label, got[label], float(text or "nan"), 1e-9)
    with open(GOLDEN / "cell_eval2_0.20.0" / run / "agg.csv", newline="") as file:
        for row in csv.DictReader(file):
            if "direction" not in row["metric"] or not undecided(context):
                got = result.aggregate_values[row["metric"]]
                np.testing.assert_allclose(got, float(row["mean"] or "nan"), rtol=1e-9, atol=1e-9)


def test_cpm_filter_on_counts():
    """Counts are tested as float32 logs there, and the filter reads their linear means."""
    all_rows = score(*paths("counts"), preset="cell-eval", profile="de", n_threads=1).de_real
    kept = score(*paths("counts"), preset="cell-eval", profile="de", overrides={"de.cpm_gate": 2000.0}, n_threads=1)
    few = kept.de_real
    assert 0 < len(few) < len(all_rows)
    both = few.merge(all_rows, on=["target", "feature"], suffixes=("", "_all"))
    np.testing.assert_array_equal(both["log2_fold_change"], both["log2_fold_change_all"])
    np.testing.assert_array_equal(both["p_value"], both["p_value_all"])
