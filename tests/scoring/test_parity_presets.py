"""Every preset against its scorer run live, on data of other seeds than the stored runs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from vcmetrics.presets.preset import get_preset
from vcmetrics.scoring.score import score

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

CELLS = ("pearson_edistance", "clustering_agreement", "cell_cov_corr", "cell_cov_eig_ratio", "cell_cov_ccc")
CELL_EVAL2 = {
    "vcc2026": "vcc2026",
    "cell-eval2": "v2",
    "cell-eval2-v1": "v1",
    "cell-eval2-0.7.6": "cell-eval-0.7.6",
}


def _screen(seed, logged=None):
    """Prediction and reality: 9 perturbations with effects, one of no gene, 90 genes, uneven depth.

    One abundant gene makes every total large and different, so that no two cells of different depth tie.
    """
    import anndata
    import pandas as pd

    rng = np.random.default_rng(seed)
    genes = [f"GENE{i:02d}" for i in range(90)]
    names = ["non-targeting", "UNKNOWN", *genes[:9]]
    rate = rng.gamma(0.6, 6.0, 90)
    rate[80:84] = 0.01, 0.02, 0.0, 0.05
    effect = np.where(rng.random((11, 90)) < 0.3, rng.normal(0.0, 1.2, (11, 90)), 0.0)
    effect[:2] = 0.0
    sides = []
    for which in range(2):
        sizes = rng.integers(24, 48, 11) * np.array([3, *[1] * 10])
        group = np.repeat(np.arange(11), sizes)
        shown = effect if which else 0.6 * effect + rng.normal(0.0, 0.15, effect.shape) * (effect != 0)
        mean = rate * np.exp(shown[group]) * rng.lognormal(0.0, 0.35, (group.size, 1))
        counts = rng.negative_binomial(2.0, 2.0 / (2.0 + mean + 1e-12))
        counts[:, 89] = rng.integers(20_000, 60_000, group.size)
        order = rng.permutation(group.size)
        values = counts[order].astype(np.float32)
        if logged is not None:
            total = values.sum(axis=1, keepdims=True, dtype=float)
            values = np.log1p(1e5 * values / total).astype(logged)
        obs = pd.DataFrame({"target_gene": np.array(names)[group[order]]}, index=[str(i) for i in range(group.size)])
        obs["target"] = obs["target_gene"]
        sides.append(anndata.AnnData(sp.csr_matrix(values), obs=obs, var=pd.DataFrame(index=genes)))
    return sides


def _agree(context, metric, want, rtol):
    """``want`` maps perturbations to values; those that are absent have no row."""
    got = {p: v for p, v in zip(context.perturbations, context.values[metric], strict=True) if v is not np.ma.masked}
    assert set(got) == set(want), metric
    for label, value in want.items():
        np.testing.assert_allclose(got[label], value, rtol=rtol, atol=rtol * 1e-4, err_msg=f"{metric} {label}")


@pytest.mark.parametrize("seed", [91, 92])
@pytest.mark.parametrize("preset", CELL_EVAL2)
def test_cell_eval2(preset, seed):
    from dataclasses import replace

    from cell_eval2 import EvalConfig, aggregate_metrics, compute_metrics
    from cell_eval2.run import metric_output_names

    pred, real = _screen(seed)
    config = EvalConfig.from_preset(CELL_EVAL2[preset])
    config = replace(config, device="cpu", de=replace(config.de, backend="pdex"))
    table = compute_metrics(pred.copy(), real.copy(), config=config)
    result = score(pred, real, preset=preset, n_threads=1)
    (context,) = result.contexts
    rows = {}
    for p, metric, value in table.select("perturbation", "metric", "value").iter_rows():
        rows.setdefault(metric, {})[p] = float("nan") if value is None else value
    for metric, want in rows.items():
        _agree(context, metric, want, 1e-8)
    want = aggregate_metrics(table, metrics=metric_output_names(config))
    want = dict(zip(want["metric"].to_list(), want["mean"].to_list(), strict=True))
    assert set(context.aggregate) == set(want)
    for metric, value in want.items():
        value = float("nan") if value is None else value
        np.testing.assert_allclose(context.aggregate[metric], value, rtol=1e-8, atol=1e-12, err_msg=metric)


@pytest.mark.parametrize("logged", [None, np.float32, np.float64])
def test_cell_eval(logged, tmp_path):
    from cell_eval import MetricsEvaluator

    pred, real = _screen(93, logged)
    names = [m.output for m in get_preset("cell-eval").members("full") if m.output not in CELLS]
    evaluator = MetricsEvaluator(
        adata_pred=pred.copy(),
        adata_real=real.copy(),
        control_pert="non-targeting",
        pert_col="target_gene",
        num_threads=1,
        outdir=str(tmp_path),
    )
    table, aggregate = evaluator.compute(profile="full", skip_metrics=list(CELLS[:2]), write_csv=False)
    result = score(pred, real, preset="cell-eval", metrics=names, n_threads=1)
    (context,) = result.contexts
    rtol = 1e-9 if logged is np.float64 else 2e-5
    for metric in names:
        want = dict(zip(table["perturbation"].to_list(), table[metric].to_list(), strict=True))
        _agree(context, metric, {p: v for p, v in want.items() if v is not None}, rtol)
        (mean,) = aggregate.filter(aggregate["statistic"] == "mean")[metric].to_list()
        np.testing.assert_allclose(context.aggregate[metric], mean, rtol=rtol, atol=1e-9, err_msg=metric)


def test_vcc2025(tmp_path):
    from cell_eval import MetricsEvaluator

    pred, real = _screen(94, np.float32)
    evaluator = MetricsEvaluator(
        adata_pred=pred.copy(),
        adata_real=real.copy(),
        control_pert="non-targeting",
        pert_col="target_gene",
        num_threads=1,
        outdir=str(tmp_path),
    )
    table, _ = evaluator.compute(profile="vcc", write_csv=False)
    (context,) = score(pred, real, preset="vcc2025", n_threads=1).contexts
    for metric in ("mae", "discrimination_score_l1", "overlap_at_N"):
        want = dict(zip(table["perturbation"].to_list(), table[metric].to_list(), strict=True))
        _agree(context, metric, want, 2e-6 if metric == "mae" else 1e-12)


@pytest.mark.parametrize("seed", [95, 96])
def test_scaled_scores_of_2026(seed, tmp_path):
    """Baseline, five split halves and the lfc_nmae anchor of both, down to the score of a leaderboard."""
    from dataclasses import replace

    import polars as pl
    from cell_eval2 import EvalConfig, aggregate_metrics_wide, build_generic_baseline, compute_metrics
    from cell_eval2.anchor import compute_replicate_anchor
    from cell_eval2.score import _replicate_entries
    from cell_eval2.scoring import score_one

    pred, real = _screen(seed)
    if seed == 96:  # the groups draw in the order of their categories
        names = np.random.default_rng(seed).permutation(real.obs["target"].unique())
        for column in ("target", "target_gene"):
            real.obs[column] = real.obs[column].astype("category").cat.set_categories(names)
    config = EvalConfig.from_preset("vcc2026")
    config = replace(config, device="cpu", de=replace(config.de, backend="pdex"))
    user = aggregate_metrics_wide(compute_metrics(pred.copy(), real.copy(), config=config))
    base = build_generic_baseline(real.copy(), config=config).agg
    _, anchor = compute_replicate_anchor(real.copy(), config=config)

    def mean(frame):
        return frame.filter(pl.col("statistic") == "mean").drop("statistic").to_dicts()[0]

    entries = _replicate_entries(mean(base), anchor)
    want = {m: score_one(mean(user)[m], e.base, e.scoring) for m, e in entries.items()}
    result = score(pred, real, scale="auto", n_threads=1)
    assert set(result.scaled_values) == set(want)
    for metric, value in want.items():
        np.testing.assert_allclose(result.scaled_values[metric], value, rtol=1e-7, atol=1e-9, err_msg=metric)
    np.testing.assert_allclose(result.overall, np.mean(list(want.values())), rtol=1e-7)
