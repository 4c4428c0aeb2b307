"""Effect correlations and R² as rows of the registry: references, closed forms, invariances, the order of arguments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import r2_score

import vcmetrics as vcm
from vcmetrics.metrics.pair import Pair, Profiles
from vcmetrics.metrics.registry import get
from vcmetrics.summary.effect_reference import REFERENCES

METHODS = ("pearson", "spearman", "cosine")


def value(pair: Pair, name: str, **settings: object) -> np.ndarray:
    return get(name).evaluate(pair, settings)


def simple(pred: np.ndarray, real: np.ndarray, control: np.ndarray) -> Pair:
    n, g = real.shape
    return Pair(
        tuple(f"p{k}" for k in range(n)),
        np.array([f"g{k}" for k in range(g)]),
        np.full(n, -1),
        real=Profiles(real, control),
        pred=Profiles(pred, control),
    )


def smooth(pair: Pair) -> Pair:
    rng = np.random.default_rng(1)
    real, pred = (replace(side, mean=side.mean + rng.normal(size=side.mean.shape)) for side in (pair.real, pair.pred))
    return replace(pair, real=real, pred=pred)


@pytest.mark.parametrize("leave_one_out", [True, False])
@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("method", METHODS)
def test_every_reference_and_list(literature_pair, method: str, reference: str, leave_one_out: bool) -> None:
    for trained in (True, False):
        pair = smooth(literature_pair(3, 7, 40, trained=trained))
        for genes in ("all", "t_test:9", "top_effect:7", "union_de:2", "top_expressed:12"):
            for exclude in ("none", "own", "panel"):
                how = {"reference": reference, "leave_one_out": leave_one_out, "genes": genes, "exclude": exclude}
                spec = get(f"effect_{method}")
                np.testing.assert_allclose(
                    spec.evaluate(pair, how), spec.evaluate(pair, how, slow=True), rtol=1e-10, atol=1e-12
                )


@pytest.mark.parametrize("method", METHODS)
def test_is_the_public_function(method: str) -> None:
    """One computation behind ``vcmetrics.effect_correlation`` and the rows."""
    rng = np.random.default_rng(0)
    labels, genes = ["g1", "g2", "g3", "g4"], [f"g{k}" for k in range(25)]
    real, pred = (pd.DataFrame(rng.normal(size=(5, 25)), [*labels, "ctrl"], genes) for _ in range(2))
    table = vcm.effect_correlation(pred, real, control="ctrl", method=method, reference="perturbed_mean")
    pair = Pair(
        tuple(labels),
        np.array(genes),
        np.array([1, 2, 3, 4]),
        real=Profiles(real.loc[labels].to_numpy(), real.loc["ctrl"].to_numpy()),
        pred=Profiles(pred.loc[labels].to_numpy(), real.loc["ctrl"].to_numpy()),
    )
    how = {"reference": "perturbed_mean"}
    np.testing.assert_array_equal(value(pair, f"effect_{method}", **how), table[method])
    np.testing.assert_array_equal(
        value(pair, f"effect_{method}", **how, exclude="own"), table[f"{method}_without_target"]
    )


def test_against_scipy(literature_pair) -> None:
    pair = smooth(literature_pair(0, 4, 50))
    x, y = pair.pred.effect, pair.real.effect
    for p in range(4):
        assert value(pair, "effect_pearson")[p] == pytest.approx(stats.pearsonr(x[p], y[p]).statistic, rel=1e-12)
        assert value(pair, "effect_spearman")[p] == pytest.approx(stats.spearmanr(x[p], y[p]).statistic, rel=1e-12)
        cosine = x[p] @ y[p] / np.linalg.norm(x[p]) / np.linalg.norm(y[p])
        assert value(pair, "effect_cosine")[p] == pytest.approx(cosine, rel=1e-12)


def test_opposite_prediction_flips_the_sign_and_cosine_is_not_pearson(literature_pair) -> None:
    pair = smooth(literature_pair(1, 5, 30))
    flipped = replace(pair, pred=replace(pair.pred, mean=2 * pair.pred.control - pair.pred.mean))
    raised = replace(pair, pred=replace(pair.pred, mean=pair.pred.mean + 1.0))
    for method in METHODS:
        name = f"effect_{method}"
        np.testing.assert_allclose(value(flipped, name), -value(pair, name), atol=1e-13)
        moved = np.abs(value(raised, name) - value(pair, name))
        assert (moved > 1e-3).all() if method == "cosine" else (moved < 1e-12).all()


def test_shared_effect_predictor() -> None:
    """Predicting the part that effects share scores |s| / √(|s|² + |u|²), and nothing against a perturbed mean."""
    rng = np.random.default_rng(2)
    n, g = 6, 200
    basis = np.linalg.qr(np.column_stack([np.ones(g), rng.normal(size=(g, n + 1))]))[0].T
    s, u = 3.0 * basis[1], 0.7 * np.arange(1, n + 1)[:, None] * basis[2:]
    control = rng.normal(size=g)
    pair = simple(np.tile(control + s, (n, 1)), control + s + u, control)
    want = np.linalg.norm(s) / np.sqrt(np.linalg.norm(s) ** 2 + (u * u).sum(1))
    np.testing.assert_allclose(value(pair, "effect_pearson"), want, rtol=1e-12)
    mean = pair.real.mean.mean(0)
    exact = replace(pair, pred=replace(pair.pred, mean=np.tile(mean, (n, 1))))
    how = {"reference": "perturbed_mean", "leave_one_out": False}
    assert np.isnan(value(exact, "effect_pearson", **how)).all()
    np.testing.assert_array_equal(value(exact, "effect_undefined", **how), 1.0)
    np.testing.assert_array_equal(value(exact, "effect_pearson", **how, undefined="zero"), 0.0)


def test_perfect_and_no_effect_predictions(literature_pair) -> None:
    pair = smooth(literature_pair(4, 5, 30, rough=False))
    perfect = replace(pair, pred=pair.real)
    silent = replace(pair, pred=replace(pair.real, mean=np.tile(pair.real.control, (5, 1))))
    for method in METHODS:
        np.testing.assert_array_equal(value(perfect, f"effect_{method}"), 1.0)
        assert np.isnan(value(silent, f"effect_{method}")).all()
        np.testing.assert_array_equal(value(silent, "effect_undefined", method=method), 1.0)
        np.testing.assert_array_equal(value(perfect, "effect_undefined", method=method), 0.0)
    for name in ("r2", "r2_variance", "r2_weighted"):
        np.testing.assert_array_equal(value(perfect, name), 1.0)
    np.testing.assert_allclose(value(perfect, "r2_pearson"), 1.0, rtol=1e-14)
    for name in ("squared_error", "absolute_error", "wmse", "pn_mse", "norm_error"):
        np.testing.assert_array_equal(value(perfect, name), 0.0)


def test_control_and_perturbed_form_coincide_where_the_reference_is_the_control(literature_pair) -> None:
    pair = smooth(literature_pair(5, 5, 30, trained=True))
    train = replace(pair.train, mean=np.tile(pair.real.control, (len(pair.train.labels), 1)))
    pair = replace(pair, train=train)
    np.testing.assert_allclose(
        value(pair, "effect_pearson", reference="perturbed_mean"), value(pair, "effect_pearson"), rtol=1e-12
    )


def test_r2_is_scikit_learns_with_the_truth_first(literature_pair) -> None:
    pair = smooth(literature_pair(6, 5, 30, rough=False))
    for p in range(5):
        truth, prediction = pair.real.mean[p], pair.pred.mean[p]
        assert value(pair, "r2")[p] == pytest.approx(r2_score(truth, prediction), rel=1e-12)
        swapped = value(pair, "r2", arguments="swapped")[p]
        assert swapped == pytest.approx(r2_score(prediction, truth), rel=1e-12)
        assert abs(swapped - value(pair, "r2")[p]) > 1e-3
        deviations = [np.sqrt(side.variance[p]) for side in (pair.real, pair.pred)]
        assert value(pair, "r2_variance", of="sd")[p] == pytest.approx(r2_score(*deviations), rel=1e-12)
        assert value(pair, "r2_variance")[p] == pytest.approx(
            r2_score(pair.real.variance[p], pair.pred.variance[p]), rel=1e-12
        )
        assert value(pair, "r2_pearson")[p] == pytest.approx(stats.linregress(prediction, truth).rvalue ** 2, rel=1e-11)


def test_r2_of_the_mean_over_genes_is_zero(literature_pair) -> None:
    pair = smooth(literature_pair(7, 4, 30))
    mean = np.tile(pair.real.mean.mean(1, keepdims=True), (1, 30))
    flat = replace(pair, pred=replace(pair.pred, mean=mean))
    np.testing.assert_allclose(value(flat, "r2"), 0.0, atol=1e-13)


def test_equal_weights_are_no_weights(literature_pair) -> None:
    pair = smooth(literature_pair(8, 5, 30))
    np.testing.assert_allclose(value(pair, "wmse", weights="uniform"), value(pair, "squared_error"), rtol=1e-13)
    np.testing.assert_allclose(
        value(pair, "r2_weighted", weights="uniform"), value(pair, "r2", reference="control"), rtol=1e-11
    )
    np.testing.assert_array_equal(value(pair, "effective_genes", weights="uniform"), 30.0)


def test_few_cells_are_left_out(literature_pair) -> None:
    pair = smooth(literature_pair(9, 5, 30))
    pair = replace(pair, real=replace(pair.real, n_cells=np.array([5, 6, 1, 30, 4])))
    assert np.isnan(value(pair, "r2", min_cells=6)).tolist() == [True, False, True, False, True]
    assert not np.isnan(value(pair, "r2")).any()
    with pytest.raises(vcm.DataError, match="needs the numbers of observed cells"):
        value(replace(pair, real=replace(pair.real, n_cells=None)), "r2", min_cells=5)


@pytest.mark.parametrize("name", ["effect_pearson", "r2", "r2_weighted", "r2_variance", "wmse", "squared_error"])
def test_values_that_are_not_known_are_refused(literature_pair, name: str) -> None:
    pair = literature_pair(0, 3, 8)
    wrong = {"genes": "some", "exclude": "target", "weights": "t", "flat": "no", "undefined": "one", "arguments": "x"}
    wrong |= {"reference": "mean", "reduce": "max", "of": "range", "zero_weights": "x", "method": "kendall"}
    for key in set(wrong) & set(get(name).defaults):
        with pytest.raises(ValueError, match="is not known; "):
            get(name).evaluate(pair, {key: wrong[key]})
