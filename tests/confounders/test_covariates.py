"""Covariates against a brute force over cells, and what they do to scores."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import vcmetrics as vcm
from vcmetrics import confounders

HOW = {"pert_col": "pert", "control": "ctrl"}


def logs_of(adata, label, context):
    cells = adata.X[np.flatnonzero((adata.obs["pert"] == label) & (adata.obs["cell"] == context))].toarray()
    cells = cells.astype(float)
    return cells, np.log1p(1e4 * cells / cells.sum(1, keepdims=True))


def test_against_cells(test):
    table = confounders.covariates(test, context_col="cell", **HOW)
    assert list(table.columns) == list(confounders.COVARIATES)
    genes = list(test.var_names)
    for context in ("K", "T"):
        labels = sorted(set(test.obs["pert"]) - {"ctrl"})
        raw_c, log_c = logs_of(test, "ctrl", context)
        effects = {p: logs_of(test, p, context)[1].mean(0) - log_c.mean(0) for p in labels}
        shared = np.mean(list(effects.values()), axis=0)
        depth = np.log(raw_c.sum(1))
        slope = np.array([np.polyfit(depth, log_c[:, g], 1)[0] for g in range(len(genes))])
        for p in labels:
            raw, log = logs_of(test, p, context)
            row, d = table.loc[context, p], effects[p]
            assert row["n_cells"] == len(raw)
            assert row["depth"] == np.median(raw.sum(1))
            assert row["depth_shift"] == pytest.approx(np.log(np.median(raw.sum(1)) / np.median(raw_c.sum(1))))
            assert row["effect_norm"] == pytest.approx(np.linalg.norm(d), rel=1e-5)
            noise = log.var(0, ddof=1).sum() / len(log) + log_c.var(0, ddof=1).sum() / len(log_c)
            square = d @ d - noise
            assert row["effect_norm_corrected"] == pytest.approx(np.sign(square) * np.sqrt(abs(square)), rel=1e-4)
            own = [genes.index(g) for g in p.split("+") if g in genes]
            if own:
                assert row["knockdown"] == pytest.approx(d[own].mean(), rel=1e-5)
            else:
                assert np.isnan(row["knockdown"])
            cosine = d @ shared / np.linalg.norm(d) / np.linalg.norm(shared)
            assert row["systematic_cosine"] == pytest.approx(cosine, rel=1e-5)
            share = (d @ slope / np.linalg.norm(d) / np.linalg.norm(slope)) ** 2
            assert row["depth_share"] == pytest.approx(share, rel=1e-3, abs=1e-6)


def test_corrected_norm_does_not_grow_when_cells_are_few():
    """Perturbations without any effect: the plain norm follows the number of cells, the corrected one does not."""
    import anndata

    rng = np.random.default_rng(0)
    sizes = [5, 10, 20, 40, 80, 160] * 6
    labels = ["ctrl"] * 400 + [f"p{k}" for k, n in enumerate(sizes) for _ in range(n)]
    x = rng.poisson(rng.uniform(1, 20, 60), (len(labels), 60)).astype(np.float32)
    obs = pd.DataFrame({"pert": labels}, index=[str(k) for k in range(len(labels))])
    table = confounders.covariates(anndata.AnnData(x, obs=obs), target_map={"*": None}, **HOW)
    assert stats.spearmanr(table["n_cells"], table["effect_norm"]).statistic < -0.9
    assert abs(stats.spearmanr(table["n_cells"], table["effect_norm_corrected"]).statistic) < 0.35
    assert abs((np.sign(table["effect_norm_corrected"]) * table["effect_norm_corrected"] ** 2).mean()) < 0.1


def test_systematic_variation_by_formula():
    rng = np.random.default_rng(1)
    d = rng.normal(size=(9, 7)) + 0.5
    got = confounders.systematic_variation(d)
    mean = d.mean(0)
    assert got["shared_share"] == pytest.approx(1 - ((d - mean) ** 2).sum() / (d**2).sum())

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    assert got["median_cosine"] == pytest.approx(np.median([cosine(x, mean) for x in d]))
    pairs = [cosine(d[i], d[j]) for i in range(9) for j in range(i)]
    assert got["median_pairwise_cosine"] == pytest.approx(np.median(pairs))
    assert confounders.systematic_variation(d, reference=mean)["shared_share"] == pytest.approx(0, abs=1e-12)
    assert np.isnan(confounders.systematic_variation(np.zeros((3, 4)))["shared_share"])


def test_correlations():
    rng = np.random.default_rng(2)
    index = [f"p{k}" for k in range(30)]
    table = pd.DataFrame({"n_cells": rng.permutation(30) + 1.0, "flat": 1.0}, index=index)
    scores = pd.DataFrame({"a": table["n_cells"] ** 3, "b": rng.normal(size=30)}, index=index)
    scores.iloc[4, 1] = np.nan
    got = confounders.correlations(table, scores.sample(frac=1, random_state=0))
    assert got.loc[("a", "n_cells"), ["spearman", "lower", "upper"]].tolist() == pytest.approx([1, 1, 1])
    want = stats.spearmanr(table["n_cells"], scores["b"], nan_policy="omit")
    row = got.loc[("b", "n_cells")]
    assert (row["spearman"], row["p_value"]) == pytest.approx((want.statistic, want.pvalue))
    assert row["n"] == 29
    assert row["lower"] < row["spearman"] < row["upper"]
    assert np.isnan(got.loc[("a", "flat"), "spearman"])
    with pytest.raises(vcm.DataError, match="different perturbations"):
        confounders.correlations(table, scores.iloc[1:])


def test_adjusted_scores():
    rng = np.random.default_rng(3)
    index = [f"p{k}" for k in range(50)]
    table = pd.DataFrame({"n_cells": rng.integers(5, 500, 50), "x": rng.normal(size=50)}, index=index)
    own = rng.normal(size=50)
    score = pd.Series(2 * np.log(table["n_cells"]) - table["x"] + own, index=index)
    got = confounders.adjusted_scores(table, score, ["n_cells", "x"])
    design = np.column_stack([np.ones(50), np.log(table["n_cells"]), table["x"]])
    left = score - design @ np.linalg.lstsq(design, score, rcond=None)[0]
    np.testing.assert_allclose(got["score"], left + score.mean())
    assert got["score"].mean() == pytest.approx(score.mean())
    assert got.attrs["r2"]["score"] == pytest.approx(1 - (left**2).sum() / ((score - score.mean()) ** 2).sum())
    assert abs(stats.pearsonr(got["score"], np.log(table["n_cells"])).statistic) < 1e-9
    with pytest.raises(ValueError, match="'depth' is not among the covariates"):
        confounders.adjusted_scores(table, score, ["depth"])


def test_nothing_is_modified(test):
    values, obs = test.X.copy(), test.obs.copy()
    confounders.covariates(test, context_col="cell", **HOW)
    assert (values != test.X).nnz == 0
    assert test.obs.equals(obs)


def test_refuses(test):
    with pytest.raises(ValueError, match="space 'sum'"):
        confounders.covariates(test, space="sum", **HOW)


def test_scores_by_strata():
    rng = np.random.default_rng(3)
    labels = [f"p{k}" for k in range(23)]
    known = pd.DataFrame({"effect_norm": rng.permutation(23.0 + np.arange(23))}, index=labels)
    known.loc["p4", "effect_norm"] = np.nan
    scores = pd.DataFrame({"a": rng.normal(size=23), "b": rng.normal(size=23)}, index=labels[::-1])
    scores.loc["p7", "b"] = np.nan
    table = confounders.stratified_scores(known, scores)
    assert table["n"].tolist() == [3, 3] + [2] * 8
    assert (table["lowest"].to_numpy()[1:] > table["highest"].to_numpy()[:-1]).all()
    for row in table.itertuples():
        inside = known.index[known["effect_norm"].between(row.lowest, row.highest)]
        assert row.a == pytest.approx(scores.loc[inside, "a"].mean(), rel=1e-12)
        assert row.b == pytest.approx(scores.loc[inside, "b"].mean(), rel=1e-12, nan_ok=True)
    assert len(confounders.stratified_scores(known, scores, n_strata=99)) == 22
    with pytest.raises(ValueError, match="'depth' is not among"):
        confounders.stratified_scores(known, scores, "depth")
    with pytest.raises(ValueError, match="n_strata is 0"):
        confounders.stratified_scores(known, scores, n_strata=0)
    with pytest.raises(vcm.DataError, match="no perturbation has a value"):
        confounders.stratified_scores(known * np.nan, scores)


def test_a_perfect_order_of_three_is_no_certainty():
    known = pd.DataFrame({"n_cells": [1.0, 2.0, 3.0]}, index=list("abc"))
    table = confounders.correlations(known, pd.Series([0.1, 0.2, 0.3], index=list("abc")))
    assert table["spearman"].item() == 1
    assert table["p_value"].item() == pytest.approx(1 / 3)
