"""Signed significance and genes one by one: numbers by hand, and other libraries' formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import vcmetrics as vcm
from vcmetrics.metrics.pair import Pair, Profiles
from vcmetrics.metrics.registry import get
from vcmetrics.summary.de_table import DETable


def tables(seed: int = 0, n: int = 5, g: int = 30) -> tuple[Pair, np.ndarray, np.ndarray]:
    """A pair of complete DE tables, and their scores by the formula."""
    rng = np.random.default_rng(seed)
    names, genes = tuple(f"p{k}" for k in range(n)), np.array([f"g{k}" for k in range(g)])
    sides, scores = [], []
    for _ in range(2):
        lfc, p = rng.normal(size=(n, g)), 10 ** -rng.uniform(0, 6, (n, g))
        sides.append(DETable(names, genes, lfc, p, np.minimum(2 * p, 1)))
        scores.append(np.sign(lfc) * -np.log10(np.clip(p, 1e-4, 1)))
    return Pair(names, genes, np.full(n, -1), de_pred=sides[0], de_real=sides[1]), scores[0], scores[1]


def value(pair: Pair, name: str, **settings: object) -> np.ndarray:
    return get(name).evaluate(pair, settings)


def test_formulas_of_open_problems() -> None:
    pair, x, y = tables()
    np.testing.assert_allclose(value(pair, "mrrmse"), np.sqrt(((y - x) ** 2).mean(1)), rtol=1e-13)
    np.testing.assert_allclose(value(pair, "mrmae"), np.abs(y - x).mean(1), rtol=1e-13)
    for p in range(5):
        assert value(pair, "signed_p_pearson")[p] == pytest.approx(stats.pearsonr(x[p], y[p]).statistic, rel=1e-11)
        assert value(pair, "signed_p_spearman")[p] == pytest.approx(stats.spearmanr(x[p], y[p]).statistic, rel=1e-11)
        cosine = x[p] @ y[p] / np.linalg.norm(x[p]) / np.linalg.norm(y[p])
        assert value(pair, "signed_p_cosine")[p] == pytest.approx(cosine, rel=1e-11)
    # the mean of roots, not the root of the mean
    assert value(pair, "mrrmse").mean() < np.sqrt(((y - x) ** 2).mean())


def test_tables_of_scores_are_errors_of_profiles() -> None:
    pair, x, y = tables()
    zero = np.zeros(x.shape[1])
    scores = replace(pair, pred=Profiles(x, zero), real=Profiles(y, zero))
    np.testing.assert_allclose(value(scores, "squared_error", reduce="root"), value(pair, "mrrmse"), rtol=1e-13)
    np.testing.assert_allclose(value(scores, "absolute_error"), value(pair, "mrmae"), rtol=1e-13)
    np.testing.assert_allclose(
        value(scores, "effect_pearson", reference="none"), value(pair, "signed_p_pearson"), rtol=1e-11
    )


def test_columns_and_clips() -> None:
    pair, _, _ = tables()
    pred, real = pair.de_pred, pair.de_real
    for column in ("p_value", "p_adj"):
        x, y = (np.sign(t.lfc) * -np.log10(getattr(t, column)) for t in (pred, real))
        got = value(pair, "mrmae", column=column, clip=None)
        np.testing.assert_allclose(got, np.abs(y - x).mean(1), rtol=1e-12)
    without_p = replace(pair, de_pred=replace(pred, p_value=np.where(pred.p_value > 0.1, 0.0, pred.p_value)))
    assert np.isnan(value(without_p, "mrrmse", clip=None)).all()
    assert np.isfinite(value(without_p, "mrrmse")).all()
    fewer = replace(
        pair,
        de_pred=replace(
            pred, genes=pred.genes[:10], lfc=pred.lfc[:, :10], p_value=pred.p_value[:, :10], p_adj=pred.p_adj[:, :10]
        ),
    )
    x, y = (np.sign(t.lfc) * -np.log10(np.clip(t.p_value, 1e-4, 1)) for t in (pred, real))
    x[:, 10:] = 0.0
    np.testing.assert_allclose(value(fewer, "mrmae"), np.abs(y - x).mean(1), rtol=1e-12)
    with pytest.raises(ValueError, match="column='fdr' is not known"):
        value(pair, "mrrmse", column="fdr")


def profiles(seed: int = 0, n: int = 12, g: int = 20) -> tuple[pd.DataFrame, pd.DataFrame, Pair]:
    rng = np.random.default_rng(seed)
    names, genes = [f"p{k}" for k in range(n)], [f"g{k}" for k in range(g)]
    real = pd.DataFrame(rng.normal(size=(n + 1, g)), [*names, "ctrl"], genes)
    pred = 0.3 * real + 0.2 * rng.normal(size=real.shape)
    pred["g3"] = 1.0
    real["g5"] = 2.0
    control = real.loc["ctrl"].to_numpy()
    sides = [Profiles(t.loc[names].to_numpy(), control) for t in (pred, real)]
    return pred, real, Pair(tuple(names), np.array(genes), np.full(n, -1), pred=sides[0], real=sides[1])


@pytest.mark.parametrize("method", ["pearson", "spearman", "concordance"])
def test_genes_are_those_of_the_public_function(method: str) -> None:
    pred, real, pair = profiles()
    table = vcm.gene_correlation(pred, real, control="ctrl", method="pearson" if method == "concordance" else method)
    for statistic, of in (("median", np.nanmedian), ("mean", np.nanmean)):
        want = of(table[method].to_numpy())
        np.testing.assert_allclose(value(pair, "r_gene", method=method, statistic=statistic), want, rtol=1e-12)
    np.testing.assert_allclose(
        value(pair, "gene_dispersion_ratio"), np.nanmedian(table["dispersion_ratio"].to_numpy()), rtol=1e-12
    )
    np.testing.assert_allclose(value(pair, "genes_predicted_constant"), 1 / 19, rtol=1e-12)


def test_collapse_and_scale_of_genes() -> None:
    _, _, pair = profiles()
    collapsed = replace(pair, pred=replace(pair.pred, mean=np.tile(pair.real.mean.mean(0), (12, 1))))
    np.testing.assert_array_equal(value(collapsed, "gene_dispersion_ratio"), 0.0)
    np.testing.assert_array_equal(value(collapsed, "genes_predicted_constant"), 1.0)
    assert np.isnan(value(collapsed, "r_gene")).all()
    for factor in (0.25, 1.0, 3.0):
        scaled = replace(pair, pred=replace(pair.real, mean=1.5 + factor * pair.real.mean))
        np.testing.assert_allclose(value(scaled, "gene_dispersion_ratio"), factor, rtol=1e-12)
        np.testing.assert_allclose(value(scaled, "r_gene"), 1.0, rtol=1e-12)


def test_filters_of_genes() -> None:
    _, _, pair = profiles()
    mean, variance = pair.real.mean.mean(0), pair.real.mean.var(0, ddof=1)
    r = np.array(
        [
            np.corrcoef(pair.pred.mean[:, g], pair.real.mean[:, g])[0, 1] if g not in (3, 5) else np.nan
            for g in range(20)
        ]
    )
    kept = (mean >= 0.05) & (variance >= 0.5)
    got = value(pair, "r_gene", min_expression=0.05, min_variance=0.5)
    np.testing.assert_allclose(got, np.nanmedian(r[kept]), rtol=1e-11)
    assert np.isnan(value(pair, "r_gene", min_variance=1e9)).all()
    with pytest.raises(ValueError, match="statistic='max' is not known; choose from mean, median"):
        value(pair, "r_gene", statistic="max")
