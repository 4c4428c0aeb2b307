"""The scorers run live on real data: half of a screen as the prediction of its other half.

In real counts cells of different depth tie exactly (y/total equal as fractions). The peers rank a rounded log1p of the
quotient, which keeps or breaks such a tie by accident; exact ties are the definition here. So where the peer's p-values
differ at all, they differ in those rows, and the test counts them.
"""

import numpy as np
import pytest

from vcmetrics import datasets
from vcmetrics.scoring.score import score

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def halves():
    adata = datasets.demo().load()
    adata.obs["target"] = adata.obs["target_gene"] = adata.obs["perturbation"].astype(str).to_numpy()
    rng = np.random.default_rng(7)
    first = rng.random(adata.n_obs) < 0.5
    keep = adata.obs["target"] == "non-targeting"
    return adata[first | keep].copy(), adata[~first | keep].copy()


@pytest.fixture(scope="module")
def peer(halves):
    """Long table of cell-eval2, preset vcc2026, CPU engine pdex."""
    from dataclasses import replace

    from cell_eval2 import EvalConfig, compute_metrics

    pred, real = halves
    config = EvalConfig.from_preset("vcc2026")
    config = replace(config, device="cpu", de=replace(config.de, backend="pdex"))
    return compute_metrics(pred.copy(), real.copy(), config=config)


def test_vcc2026(halves, peer):
    (context,) = score(*halves, preset="vcc2026").contexts
    seen = 0
    for p, metric, value in peer.select("perturbation", "metric", "value").iter_rows():
        if metric not in context.values:
            continue
        got = float(context.values[metric][context.perturbations.index(p)])
        limit = 1e-8
        if "direction" in metric or "jaccard" in metric or "nmae" in metric:
            limit = 0.03  # a gene at the level whose p-value an accidental tie moved
        np.testing.assert_allclose(
            got, value, rtol=limit, atol=1e-12 if limit < 0.01 else limit, err_msg=f"{metric} {p}"
        )
        seen += 1
    assert seen >= 9 * 7


def test_cell_eval_on_the_same_halves_log_normalised(halves, tmp_path):
    import scanpy as sc
    from cell_eval import MetricsEvaluator

    sides = [x.copy() for x in halves]
    for x in sides:
        x.X = x.X.astype(np.float64)
        sc.pp.normalize_total(x, target_sum=1e4)
        sc.pp.log1p(x)
    evaluator = MetricsEvaluator(
        sides[0].copy(),
        sides[1].copy(),
        pert_col="target",
        control_pert="non-targeting",
        outdir=str(tmp_path),
        num_threads=1,
    )
    want, _ = evaluator.compute(profile="full", skip_metrics=["clustering_agreement"], write_csv=False)
    names = [c for c in want.columns if c != "perturbation"]
    (context,) = score(*sides, preset="cell-eval", metrics=names).contexts
    for row in want.iter_rows(named=True):
        k = context.perturbations.index(row["perturbation"])
        for name in names:
            if row[name] is None:
                assert np.ma.is_masked(context.values[name][k]), name
            else:
                np.testing.assert_allclose(
                    context.values[name][k], row[name], rtol=1e-8, atol=1e-9, err_msg=f"{name} {row['perturbation']}"
                )
