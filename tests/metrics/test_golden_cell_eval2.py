"""Per-perturbation values and aggregates of cell-eval2 0.20.0 from its own DE tables, profiles and corrections."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vcmetrics.metrics import aggregate
from vcmetrics.metrics.pair import Profiles
from vcmetrics.metrics.registry import get, list_metrics

GOLDEN = Path(__file__).parents[1] / "golden"
CELL_EVAL2 = GOLDEN / "cell_eval2"
V2 = {"gated": True, "exclude": "panel", "ties": "midrank", "denominator": "n-1", "auc_floor": "min_nonzero"}
V1 = {"gated": False, "exclude": "row", "ties": "position", "denominator": "n", "auc_floor": "replace_zero"}
RUNS = CELL_EVAL2 / "runs"
A_NOISE, A_CONSTANT = RUNS / "a_noise.vcc2026.pdex", RUNS / "a_constant.vcc2026.pdex"

# run, folder of its tables, real, pred, settings, how the tables are read
CASES = [
    ("a_noise.vcc2026.pdex", A_NOISE, "a_real", "a_noise", V2, {}),
    ("a_noise.v2.pdex", A_NOISE, "a_real", "a_noise", V2, {}),
    ("a_noise.v2+alpha0.2.pdex", A_NOISE, "a_real", "a_noise", V2 | {"alpha": 0.2}, {}),
    ("a_noise.v2+lfc-floor.pdex", A_NOISE, "a_real", "a_noise", V2, {"min_abs_log2fc": 0.3}),
    ("a_noise.v2+global-fdr.pdex", A_NOISE, "a_real", "a_noise", V2, {"fdr_scope": "global"}),
    ("a_noise.v2+position-ties.pdex", A_NOISE, "a_real", "a_noise", V2 | {"ties": "position"}, {}),
    ("a_noise.v2+row-exclusion.pdex", A_NOISE, "a_real", "a_noise", V2 | {"exclude": "row"}, {}),
    ("a_noise.vcc2026.scanpy", RUNS / "a_noise.vcc2026.scanpy", "a_real", "a_noise", V2, {}),
    ("a_noise.v2.scanpy", RUNS / "a_noise.vcc2026.scanpy", "a_real", "a_noise", V2, {}),
    ("a_noise.v2.gpudge-arith", CELL_EVAL2 / "gpudge_arith", "a_real", "a_noise", V2, {}),
    ("a_noise.v2+pred-control.pdex", A_NOISE, "a_real", "a_noise", V2, {}),  # the same control cells on both sides
    ("a_equal.vcc2026.pdex", A_NOISE, "a_real", "a_real", V2, {"pred_table": "de_real.parquet"}),
    ("a_equal.v2.pdex", A_NOISE, "a_real", "a_real", V2, {"pred_table": "de_real.parquet"}),
    ("b_equal.vcc2026.pdex", RUNS / "b_edge.v2.pdex", "b_real", "b_real", V2, {"pred_table": "de_real.parquet"}),
    ("a_constant.vcc2026.pdex", A_CONSTANT, "a_real", "a_constant", V2, {}),
    ("a_constant.v2.pdex", A_CONSTANT, "a_real", "a_constant", V2, {}),
    ("b_edge.v2.pdex", RUNS / "b_edge.v2.pdex", "b_real", "b_edge", V2, {}),
    ("b_equal.v2.scanpy", RUNS / "b_equal.v2.scanpy", "b_real", "b_real", V2, {}),
]


def compare(metric: str, got: np.ndarray, perturbations: tuple[str, ...], want: dict[str, float]) -> None:
    got_rows = {p: float(v) for p, v in zip(perturbations, got, strict=True) if v is not np.ma.masked}
    assert got_rows.keys() == want.keys(), f"{metric}: rows differ: {got_rows.keys() ^ want.keys()}"
    for p, value in want.items():
        np.testing.assert_allclose(got_rows[p], value, rtol=1e-12, atol=1e-14, err_msg=f"{metric} of {p}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_values_and_aggregates(case: tuple, golden: SimpleNamespace) -> None:
    run, folder, real, pred, settings, reading = case
    reading = dict(reading)
    both = golden.tables(folder, pred=reading.pop("pred_table", "de_pred.parquet"))
    pair = golden.cell_eval2_pair(real, pred, both, **reading)
    want = golden.results(RUNS / run / "results.csv")
    values = {}
    for metric, rows in want.items():
        values[metric] = get(metric).evaluate(pair, settings)
        compare(metric, values[metric], pair.perturbations, rows)
    of_scorer = ("expression", "discrimination")
    of_tables = {x for x in list_metrics() if get(x).family in of_scorer or x.startswith("de_wilcoxon_")}
    missing = of_tables - set(want) - {"expr_mse_unbiased_capped_norm"}
    assert not (missing and ".v2" in run)

    with (RUNS / run / "agg_results.csv").open(newline="") as file:
        agg = {row.pop("statistic"): row for row in csv.DictReader(file)}
    for metric, rows in values.items():
        for statistic, value in aggregate.statistics(rows).items():
            np.testing.assert_allclose(
                value, float(agg[statistic][metric]), rtol=1e-12, atol=1e-14, err_msg=f"{statistic} of {metric}"
            )
    ratio, reason = aggregate.aggregate(values, "expr_mse_unbiased_capped_norm")
    assert reason is None
    np.testing.assert_allclose(ratio, float(agg["mean"]["expr_mse_unbiased_capped_norm"]), rtol=1e-12)


def test_v1_values(golden: SimpleNamespace) -> None:
    run = RUNS / "a_noise.v1.pdex"
    pair = golden.cell_eval2_pair("a_real", "a_noise", golden.tables(run), nan_lfc="keep")
    want = golden.results(run / "results.csv")
    seen = 0
    for metric, rows in want.items():
        if "de" in get(metric).needs:
            compare(metric, get(metric).evaluate(pair, V1), pair.perturbations, rows)
            seen += 1
    assert seen == 21


def test_second_data_set(golden: SimpleNamespace) -> None:
    folder = GOLDEN / "cell_eval" / "cell_eval2_0.20.0"
    real, pred = golden.tables(folder / "counts_vcc2026_de", "real_de.csv", "pred_vs_real_control_de.csv")
    from vcmetrics.metrics.pair import Pair

    pair = Pair(
        perturbations=real.targets,
        genes=real.genes,
        own=np.full(len(real.targets), -1),
        de_real=real,
        de_pred=pred,
        own_de=tuple(p if p in set(real.genes) else None for p in real.targets),
    )
    for run in ("counts_vcc2026_pdex", "counts_v2_full_pdex"):
        for metric, rows in golden.results(folder / run / "results.csv").items():
            if "de" in get(metric).needs:
                compare(metric, get(metric).evaluate(pair, V2), pair.perturbations, rows)


@pytest.mark.parametrize("data", ["noise", "constant", "loud"])
def test_profiles_of_single_precision(data: str, golden: SimpleNamespace) -> None:
    # the CUDA route rounds profiles to float32 and nothing else
    want = json.loads((CELL_EVAL2 / "internals" / "float32_profile_metrics.json").read_text())[data]
    pair = golden.cell_eval2_pair("a_real", f"a_{data}", None)

    def rounded(side: Profiles) -> Profiles:
        mean, control = (np.float64(np.float32(x)) for x in (side.mean, side.control))
        return replace(side, mean=mean, control=control)

    pair = replace(pair, real=rounded(pair.real), pred=rounded(pair.pred))
    values = {}
    for metric, rows in want.items():
        if isinstance(rows, dict):
            values[metric] = get(metric).evaluate(pair, V2)
            compare(metric, values[metric], pair.perturbations, rows)
    for metric, value in want.items():
        if not isinstance(value, dict):
            got, _ = aggregate.aggregate(values, metric)
            np.testing.assert_allclose(got, value, rtol=1e-12)
