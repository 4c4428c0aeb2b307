"""`score` against every stored run of cell-eval2 0.20.0 (CPU engines)."""

import csv
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from vcmetrics.scoring.score import score

GOLDEN = Path(__file__).parents[1] / "golden" / "cell_eval2"
PRESETS = {"v1": "cell-eval2-v1", "v2": "cell-eval2", "vcc2026": "vcc2026", "cell-eval-0.7.6": "cell-eval2-0.7.6"}
OPTIONS = {
    "pred-control": {"control_source": "pred"},
    "row-exclusion": {"exclude": "row"},
    "position-ties": {"ties": "position"},
    "no-gate": {"de.cpm_gate": None},
    "lfc-floor": {"de.min_abs_log2fc": 0.3},
    "global-fdr": {"de.fdr_scope": "global"},
    "geometric": {"de.mean": "geometric"},
    "median-target": {"target_sum": "median_real_control"},
    "ts1e6": {"bulk_target_sum": 1e6},
    "alpha0.2": {"de.alpha": 0.2},
}
RUNS = sorted(p.name for p in (GOLDEN / "runs").iterdir())


def lognorm(path):
    """log1p(1e4·y/ℓ) in float32, as the stored runs on log-normalised data were given."""
    a = ad.read_h5ad(path)
    x = a.X.tocsr().astype(np.float64)
    size = np.asarray(x.sum(1)).ravel()
    size[size == 0] = 1
    x.data = np.log1p(1e4 * x.data / np.repeat(size, np.diff(x.indptr)))
    x = x.astype(np.float32)
    a.X = x
    return a


def inputs(run):
    data = run.split(".")[0]
    source, pred = data.split("_")
    real = GOLDEN / "inputs" / f"{'a' if source == 'aln' else source}_real.h5ad"
    pred = real if pred == "equal" else GOLDEN / "inputs" / f"{'a' if source == 'aln' else source}_{pred}.h5ad"
    return (lognorm(pred), lognorm(real)) if source == "aln" else (pred, real)


def settings(run):
    """Preset, profile, overrides of a stored run, from its name <data>_<pred>.<preset>[+option].<engine>."""
    engine = run.rsplit(".", 1)[1]
    middle = run[run.index(".") + 1 : run.rindex(".")]
    preset, _, option = middle.partition("+")
    changes = dict(OPTIONS.get(option, {}))
    if engine == "scanpy":
        changes["de.continuity"] = False
    if run.startswith("aln"):
        changes["input_type"] = "lognorm"
    profile = None
    if preset.endswith("cell"):
        preset, profile = preset.removesuffix("cell"), "cell"
    return PRESETS[preset], profile, changes


def stored(run, name):
    with open(GOLDEN / "runs" / run / name, newline="") as file:
        return list(csv.DictReader(file))


def number(text):
    return float(text) if text else np.nan


def tolerance(metric):
    """1e-12; but the peer multiplies matrices in float32 for cell_cov_ccc, in an order that is its BLAS's own."""
    return 1e-6 if metric == "cell_cov_ccc" else 1e-12


@pytest.fixture(scope="module")
def scored():
    kept = {}

    def run_it(run):
        if run not in kept:
            preset, profile, changes = settings(run)
            pred, real = inputs(run)
            de = {}
            if run.endswith("gpudge-arith"):
                de = {f"de_{s}": GOLDEN / "gpudge_arith" / f"de_{s}.parquet" for s in ("pred", "real")}
            kept[run] = score(pred, real, preset=preset, profile=profile, overrides=changes, n_threads=1, **de)
        return kept[run]

    return run_it


@pytest.mark.parametrize("run", RUNS)
def test_every_value(run, scored, close):
    result = scored(run)
    (context,) = result.contexts
    want = {}
    for row in stored(run, "results.csv"):
        want.setdefault(row["metric"], {})[row["perturbation"]] = number(row["value"])
    # a metric without a single row leaves no trace in the long table
    assert {m for m, v in context.values.items() if v.count()} == set(want)
    for metric, rows in want.items():
        got = context.values[metric]
        shown = {p for p, gone in zip(context.perturbations, np.ma.getmaskarray(got), strict=True) if not gone}
        assert shown == set(rows), metric
        for label, value in rows.items():
            close(context, metric, label, got[context.perturbations.index(label)], value, tolerance(metric))


@pytest.mark.parametrize("run", RUNS)
def test_every_aggregate(run, scored, undecided):
    (mean,) = (r for r in stored(run, "agg_results.csv") if r.pop("statistic") == "mean")
    got = scored(run).aggregate_values
    (context,) = scored(run).contexts
    assert set(got) == set(mean)
    for metric, text in mean.items():
        if "direction" not in metric or not undecided(context):
            limit = tolerance(metric)
            np.testing.assert_allclose(got[metric], number(text), rtol=limit, atol=limit, err_msg=metric)
