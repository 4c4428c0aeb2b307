"""Scores, baselines and split halves against the peers run live, on data of other seeds than the stored runs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from vcmetrics.presets.preset import get_preset
from vcmetrics.scoring.baseline import cell_eval_baseline, generic_baseline
from vcmetrics.scoring.replicate import split_halves
from vcmetrics.scoring.scale import cell_eval_scores, from_baseline, from_replicate, on_fixed_scale
from vcmetrics.sources.rows import ChunkedArray, Rows

pytestmark = pytest.mark.parity

SEED = 4071


def _rows(matrix) -> Rows:
    m = sp.csr_matrix(matrix)
    return Rows(*m.shape, m.indptr.astype(np.int64), ChunkedArray.of(m.indices), ChunkedArray.of(m.data))


def _dense(rows: Rows):
    parts = (rows.data.read(0, rows.nnz), rows.indices.read(0, rows.nnz).astype(np.int32), rows.indptr)
    return sp.csr_matrix(parts, shape=(rows.n_rows, rows.n_cols)).toarray()


def _screen(kind):
    """Counts of 11 groups, one of them without a gene, one gene silent; and the label column."""
    import anndata
    import pandas as pd

    rng = np.random.default_rng(SEED)
    names = ["ctrl", *(f"g{i}" for i in range(9)), "zz"]
    labels = np.array(names)[rng.integers(0, len(names), 400)]
    counts = rng.poisson(rng.gamma(0.4, 3, 80) * rng.lognormal(0, 0.4, (400, 1)))
    counts[:, 7] = 0
    order = names if kind == "csr" else list(rng.permutation(names))
    matrix = {
        "csr": sp.csr_matrix(counts.astype(np.float32)),
        "int": sp.csr_matrix(counts.astype(np.int32)),
        "fractional": sp.csr_matrix(counts * 0.37),
        "dense": counts.astype(np.float32),
    }[kind]
    obs = pd.DataFrame({"t": pd.Categorical(labels, categories=order)}, index=[str(i) for i in range(400)])
    adata = anndata.AnnData(matrix, obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(80)]))
    found, codes = np.unique(labels, return_inverse=True)
    return adata, [str(x) for x in found], codes


def _tables(policies, shift):
    rng = np.random.default_rng(SEED + shift)
    names = list(policies)
    user = {name: float(x) for name, x in zip(names, rng.normal(0.6, 0.4, len(names)), strict=True)}
    base = {name: float(x) for name, x in zip(names, rng.uniform(0.1, 0.9, len(names)), strict=True)}
    user[names[shift % len(names)]] = float("nan")
    return user, base


@pytest.mark.parametrize("shift", range(20))
def test_from_baseline(shift):
    import polars as pl
    from cell_eval2 import score_metrics

    preset = get_preset("cell-eval2")
    user, base = _tables({m.metric: None for m in preset.members("vcc2026")}, shift)
    frames = [pl.DataFrame({"statistic": ["mean"], **{k: [v] for k, v in sorted(x.items())}}) for x in (user, base)]
    name = "low-random_high-1_v10"
    want = {row["metric"]: row for row in score_metrics(*frames, scale=name).to_dicts()}
    got, fixed = from_baseline(user, base, preset.policies), on_fixed_scale(user, name)
    assert got.overall == pytest.approx(want["avg_score"]["from_baseline"], rel=1e-13)
    assert fixed.overall == pytest.approx(want["avg_score"][name], rel=1e-13)
    for metric, score in got.scores.items():
        assert score == pytest.approx(want[metric]["from_baseline"], rel=1e-14), metric
        assert fixed.scores[metric] == pytest.approx(want[metric][name], rel=1e-14), metric


def test_every_policy():
    from dataclasses import replace

    from cell_eval2.catalog import CATALOG
    from cell_eval2.scoring import is_degenerate, score_one

    rng = np.random.default_rng(SEED)
    policies = get_preset("cell-eval2").policies
    assert set(policies) == {n for n, m in CATALOG.items() if m.scoring.scored and "deseq2" not in n}
    for metric, policy in policies.items():
        for user, base, anchor in rng.normal(0.5, 0.7, (50, 3)).tolist():
            theirs = CATALOG[metric].scoring
            if not is_degenerate(base, theirs):
                got = from_baseline({metric: user}, {metric: base}, {metric: policy}).overall
                assert got == score_one(user, base, theirs)
            usable = policy.missing is None or anchor > policy.missing
            if usable and not is_degenerate(
                base, moved := replace(theirs, anchor=anchor, allow_negative_baseline=False)
            ):
                got = from_replicate({metric: user}, {metric: base}, {metric: anchor}, {metric: policy}).overall
                assert got == score_one(user, base, moved)


@pytest.mark.parametrize("shift", range(5))
def test_cell_eval_scores(shift):
    import polars as pl
    from cell_eval import score_agg_metrics

    preset = get_preset("cell-eval")
    names = {m.metric: m.output for m in preset.members()}
    user, base = _tables(names, shift)
    frames = [pl.DataFrame({"statistic": ["mean"], **{names[k]: [v] for k, v in x.items()}}) for x in (user, base)]
    want = score_agg_metrics(*frames)
    got = cell_eval_scores(user, base, preset.policies)
    assert [names[m] for m in got.scores] + ["avg_score"] == want["metric"].to_list()
    assert [*got.scores.values(), got.overall] == pytest.approx(want["from_baseline"].to_list(), rel=1e-14)


@pytest.mark.parametrize("emit", ["dispersed", "tile"])
@pytest.mark.parametrize("kind", ["csr", "int", "fractional", "dense"])
def test_generic_baseline(kind, emit):
    from cell_eval2.baseline import build_baseline_prediction, generic_response_profile

    adata, labels, codes = _screen(kind)
    profile = generic_response_profile(adata, pert_col="t", control="ctrl")
    want = build_baseline_prediction(profile, adata, pert_col="t", control="ctrl", emit=emit, seed=3).X
    own = np.array([int(x[1:]) if x[0] == "g" else -1 for x in labels])
    got = generic_baseline(_rows(adata.X), labels, codes, "ctrl", adata.var_names.to_numpy(str), own, emit=emit, seed=3)
    assert np.array_equal(_dense(got.rows), want.toarray() if sp.issparse(want) else want)


def test_cell_eval_mean_baseline():
    from cell_eval import build_base_mean_adata

    adata, labels, codes = _screen("csr")
    adata.X.data = np.log1p(adata.X.data / 3)
    rows, genes = _rows(adata.X.copy()), adata.var_names.to_numpy(str)
    made = build_base_mean_adata(adata, pert_col="t", control_pert="ctrl")
    got = cell_eval_baseline(rows, labels, codes, "ctrl", genes)
    assert sorted(made.obs["t"].astype(str)) == sorted(got.labels)
    perturbed = np.asarray(made[made.obs["t"] != "ctrl"].X.todense() if sp.issparse(made.X) else made.X)[0]
    np.testing.assert_allclose(_dense(got.rows)[0], perturbed.ravel(), rtol=2e-6)


@pytest.mark.parametrize("kind", ["csr", "int"])
def test_halves(kind):
    from cell_eval2.ceiling import _disjoint_halves

    adata, labels, codes = _screen(kind)
    order = [labels.index(x) for x in adata.obs["t"].cat.categories if x in labels]
    half = split_halves(codes, len(labels), SEED, order)
    for which, theirs in enumerate(_disjoint_halves(adata, "t", "ctrl", SEED)):
        assert np.flatnonzero(half == which).tolist() == sorted(int(x) for x in theirs.obs_names)
