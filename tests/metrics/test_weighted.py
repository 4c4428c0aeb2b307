"""Weighted and normalised errors from single cells, by the sources' own steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from vcmetrics.metrics.aggregate import ratio_of_sums
from vcmetrics.metrics.pair import Pair, Profiles
from vcmetrics.metrics.registry import get

NAMES = ("A", "B", "C", "D")


@pytest.fixture(scope="module")
def cells() -> tuple[np.ndarray, np.ndarray, Pair]:
    rng = np.random.default_rng(11)
    labels = np.repeat(["ctrl", *NAMES], [40, 15, 25, 8, 60])
    shift = {name: rng.normal(size=50) * (rng.uniform(size=50) < 0.2) for name in NAMES} | {"ctrl": np.zeros(50)}
    x = np.array([shift[name] for name in labels]) + rng.normal(size=(labels.size, 50)) + 2

    def side(table: np.ndarray) -> Profiles:
        def each(of) -> np.ndarray:
            return np.array([of(table[labels == name]) for name in NAMES])

        return Profiles(
            each(lambda c: c.mean(0)),
            x[labels == "ctrl"].mean(0),
            n_cells=each(len),
            control_n_cells=40,
            variance=each(lambda c: c.var(0, ddof=1)),
            control_variance=x[labels == "ctrl"].var(0, ddof=1),
        )

    real, pred = side(x), side(x + 0.3 * rng.normal(size=x.shape) + 0.1)
    pair = Pair(NAMES, np.array([f"g{k}" for k in range(50)]), np.arange(4), real=real, pred=pred, bulk=False)
    return x, labels, pair


def weights(x: np.ndarray, labels: np.ndarray, name: str, reference: str) -> np.ndarray:
    """Squares of stretched |scores| of the test with the overestimated variance."""
    own = x[labels == name]
    others = x[labels == "ctrl"] if reference == "control" else x[(labels != "ctrl") & (labels != name)]
    score = stats.ttest_ind_from_stats(
        own.mean(0),
        own.std(0, ddof=1),
        len(own),
        others.mean(0),
        others.std(0, ddof=1),
        len(own),
        equal_var=False,
    ).statistic
    size = np.abs(score)
    return ((size - size.min()) / (size.max() - size.min())) ** 2


@pytest.mark.parametrize("reference", ["rest", "control"])
def test_weights_of_diversity_by_design(cells, reference: str) -> None:
    x, labels, pair = cells
    how = {"weights": f"t_{reference}"}
    error, share = get("wmse").evaluate(pair, how), get("r2_weighted").evaluate(pair, how)
    effective = get("effective_genes").evaluate(pair, how)
    for p, name in enumerate(NAMES):
        w = weights(x, labels, name, reference)
        squares = (pair.pred.mean[p] - pair.real.mean[p]) ** 2
        assert error[p] == pytest.approx((w * squares).sum() / w.sum(), rel=1e-10)
        assert effective[p] == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-10)
        d = pair.real.effect[p]
        spread = (w * (d - np.average(d, weights=w)) ** 2).sum()
        assert share[p] == pytest.approx(1 - (w * squares).sum() / spread, rel=1e-9)
    assert (effective < 25).all()  # a part of the genes carries the weight


@pytest.mark.parametrize("k", [5, 20])
@pytest.mark.parametrize("union", [False, True])
def test_errors_of_presage(cells, k: int, union: bool) -> None:
    _, _, pair = cells
    d, dh = pair.real.effect, pair.pred.effect
    lists = [np.argsort(-np.abs(row), kind="stable")[:k] for row in d]
    if union:
        lists = [np.unique(np.concatenate(lists))] * 4
    how = {"genes": f"{'union_' if union else ''}top_effect:{k}"}
    error = np.array([((dh[p, g] - d[p, g]) ** 2).mean() for p, g in enumerate(lists)])
    nothing = np.array([(d[p, g] ** 2).mean() for p, g in enumerate(lists)])
    found = [get(f"norm_mse_{part}").evaluate(pair, how) for part in ("error", "effect")]
    assert ratio_of_sums(*found)[0] == pytest.approx(error.sum() / nothing.sum(), rel=1e-12)
    np.testing.assert_allclose(
        get("pn_mse").evaluate(pair, how), error / (nothing + np.quantile(nothing, 0.1)), rtol=1e-12
    )
    lengths = [np.array([np.linalg.norm(t[p, g]) for p, g in enumerate(lists)]) for t in (d, dh)]
    gap = np.abs(lengths[0] - lengths[1])
    np.testing.assert_allclose(get("norm_error").evaluate(pair, how), gap, rtol=1e-10)
    np.testing.assert_allclose(
        get("norm_error").evaluate(pair, {**how, "relative": True}), gap / lengths[0], rtol=1e-10
    )


def test_distance_of_ahlmann_eltze(cells) -> None:
    _, _, pair = cells
    listed = np.argsort(-pair.real.control, kind="stable")[:10]
    want = np.linalg.norm((pair.pred.mean - pair.real.mean)[:, listed], axis=1)
    got = get("squared_error").evaluate(pair, {"genes": "top_expressed:10", "reduce": "root_sum"})
    np.testing.assert_allclose(got, want, rtol=1e-13)


def test_effect_of_the_target_gene(cells) -> None:
    """A prediction of the target's own change alone: much of the correlation with the gene, nothing without it."""
    from dataclasses import replace

    _, _, pair = cells
    mean = np.tile(pair.real.control, (4, 1))
    mean[np.arange(4), np.arange(4)] -= 5.0
    real = replace(pair.real, mean=pair.real.mean - 5.0 * np.eye(4, 50))
    knocked = replace(pair, real=real, pred=replace(pair.pred, mean=mean))
    assert (get("effect_pearson").evaluate(knocked) > 0.5).all()
    assert np.isnan(get("effect_pearson").evaluate(knocked, {"exclude": "own"})).all()


def test_equal_scores_fall_back_to_equal_weights_as_shift_does(cells) -> None:
    _, _, pair = cells
    real = pair.real
    # whole numbers, so that no rounding tells the groups apart
    same = replace(real, mean=np.tile(real.mean[:1].round(), (4, 1)), variance=np.ones((4, 50)))
    pair = replace(pair, real=same)
    shift = {"flat": "nan", "zero_weights": "uniform"}
    for slow in (False, True):
        np.testing.assert_allclose(
            get("r2_weighted").evaluate(pair, shift, slow=slow),
            get("r2").evaluate(pair, {"reference": "control"}),
            rtol=1e-12,
        )
        assert np.isnan(get("wmse").evaluate(pair, {"flat": "nan"}, slow=slow)).all()
        assert np.isnan(get("r2_weighted").evaluate(pair, {"flat": "nan"}, slow=slow)).all()
