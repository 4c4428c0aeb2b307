"""Discrimination against cell-eval and cell-eval2 run live, on data of other seeds than the stored runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vcmetrics as vcm

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


def screen(seed: int, *, logged: bool):
    """Prediction and reality: 9 perturbations with effects, one of no gene, 90 genes, uneven depth."""
    import anndata
    import pandas as pd
    import scipy.sparse as sp

    rng = np.random.default_rng(seed)
    genes = [f"GENE{i:02d}" for i in range(90)]
    names = np.array(["non-targeting", "UNKNOWN", *genes[:9]])
    rate = rng.gamma(0.6, 6.0, 90)
    effect = np.where(rng.random((11, 90)) < 0.3, rng.normal(0.0, 1.2, (11, 90)), 0.0)
    effect[:2] = 0.0
    sides = []
    for which in range(2):
        group = np.repeat(np.arange(11), rng.integers(24, 48, 11))
        shown = effect if which else 0.4 * effect + rng.normal(0.0, 0.3, effect.shape)
        counts = rng.poisson(rate * np.exp(shown[group]) * rng.lognormal(0.0, 0.35, (group.size, 1))).astype(float)
        if logged:
            counts = np.log1p(1e4 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
        obs = pd.DataFrame({"target": names[group]}, index=[str(i) for i in range(group.size)])
        sides.append(anndata.AnnData(sp.csr_matrix(counts), obs=obs, var=pd.DataFrame(index=genes)))
    return sides


@pytest.mark.parametrize("metric", ["l1", "l2", "cosine"])
@pytest.mark.parametrize("seed", [71, 72])
def test_cell_eval(metric: str, seed: int, tmp_path: Path) -> None:
    from cell_eval import MetricsEvaluator

    pred, real = screen(seed, logged=True)
    evaluator = MetricsEvaluator(
        adata_pred=pred.copy(),
        adata_real=real.copy(),
        control_pert="non-targeting",
        pert_col="target",
        num_threads=1,
        outdir=str(tmp_path),
    )
    table, _ = evaluator.compute(profile="anndata", skip_metrics=["clustering_agreement"], write_csv=False)
    want = dict(zip(table["perturbation"], table[f"discrimination_score_{metric}"], strict=True))
    got = vcm.discrimination(pred, real, pert_col="target", convention="cell-eval", metric=metric)
    assert got["score"].to_dict() == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("metric", ["l1", "l2", "cosine"])
@pytest.mark.parametrize("scope", ["panel", "row", "none"])
def test_cell_eval2(metric: str, scope: str) -> None:
    from dataclasses import replace

    from cell_eval2 import EvalConfig, compute_metrics

    pred, real = screen(73, logged=False)
    config = EvalConfig.from_preset("v2")
    rules = replace(
        config.discrimination,
        exclude_target_gene=scope != "none",
        exclusion_scope="row" if scope == "none" else scope,
        tie_policy="midrank",
    )
    config = replace(config, device="cpu", metrics="anndata", discrimination=rules)
    table = compute_metrics(pred.copy(), real.copy(), config=config)
    rows = table.select("perturbation", "metric", "value").iter_rows()
    want = {p: value for p, name, value in rows if name == f"pds_{metric}"}
    got = vcm.discrimination(pred, real, pert_col="target", metric=metric, exclude_targets=scope)
    assert got["score"].to_dict() == pytest.approx(want, abs=1e-12)
