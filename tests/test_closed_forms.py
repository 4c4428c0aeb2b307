"""Predictions whose scores are known without data: perfect, no change, collapsed, an independent draw, one weight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vcmetrics.metrics.aggregate import aggregate
from vcmetrics.metrics.expression import correction_share
from vcmetrics.metrics.gene_weights import stretched
from vcmetrics.metrics.pair import Pair, Profiles
from vcmetrics.metrics.registry import get
from vcmetrics.metrics.row_correlation import METHODS, Sides, row_correlations

GENES = ("all", "top_effect:6", "effect_rank:6", "t_test:6", "top_expressed:6", "union_top_effect:2", "top_variable:6")


def drawn(seed: int, n: int, g: int, n_cells: int, effect: float = 1.0) -> tuple[Pair, np.ndarray]:
    """Means of normal cells around known profiles: two independent draws of every perturbation, and one of control.

    Corrections are the analytic ones, tr(S) / n. Also the control draw of the second side.
    """
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.zeros((1, g)), effect * rng.normal(size=(n, g))])
    sides = []
    for _ in range(2):
        cells = truth[:, None, :] + rng.normal(size=(n + 1, n_cells, g))
        mean, variance = cells.mean(1), cells.var(1, ddof=1)
        sides.append((mean, variance))
    (mean, variance), (other, other_variance) = sides
    noise = variance.sum(1) / n_cells
    real = Profiles(
        mean[1:],
        mean[0],
        noise[1:],
        float(noise[0]),
        n_cells=np.full(n, n_cells),
        control_n_cells=n_cells,
        variance=variance[1:],
        control_variance=variance[0],
    )
    pred = replace(real, mean=other[1:], variance=other_variance[1:], correction=other_variance[1:].sum(1) / n_cells)
    names = tuple(f"p{k}" for k in range(n))
    pair = Pair(names, np.array([f"g{k}" for k in range(g)]), np.full(n, -1), real=real, pred=pred, bulk=False)
    return pair, other[0]


def value(pair: Pair, name: str, **settings: object) -> np.ndarray:
    return get(name).evaluate(pair, settings)


def panel(pair: Pair, name: str, **settings: object) -> float:
    spec = get(name)
    parts = {part: value(pair, part, **settings) for part in (spec.numerator, spec.denominator) if part}
    return aggregate(parts or {name: value(pair, name, **settings)}, name)[0]


@pytest.mark.parametrize("genes", GENES)
@pytest.mark.parametrize("exclude", ["none", "own", "panel"])
def test_perfect_prediction(genes: str, exclude: str) -> None:
    pair, _ = drawn(0, 8, 40, 30)
    pair = replace(pair, pred=pair.real, own=np.arange(8))
    how = {"genes": genes, "exclude": exclude}
    for name in ("squared_error", "absolute_error", "wmse", "norm_mse_error", "pn_mse", "norm_error", "sigma_distance"):
        np.testing.assert_array_equal(value(pair, name, **how), 0.0, name)
    assert panel(pair, "norm_mse", **how) == 0
    for name in ("r2", "r2_variance", "r2_weighted", "direction_correct", "sigma_share"):
        np.testing.assert_array_equal(value(pair, name, **how), 1.0, name)
    for name in ("effect_pearson", "effect_spearman", "effect_cosine", "r2_pearson"):
        np.testing.assert_allclose(value(pair, name, **how), 1.0, rtol=1e-13)
    np.testing.assert_array_equal(value(pair, "overlap_top_n", k=6, exclude=exclude), 1.0)
    np.testing.assert_array_equal(value(pair, "jaccard_top", k=6, genes="top_effect:6", exclude=exclude), 1.0)
    np.testing.assert_allclose(value(pair, "gene_dispersion_ratio"), 1.0, rtol=1e-14)
    np.testing.assert_allclose(value(pair, "r_gene"), 1.0, rtol=1e-14)


@pytest.mark.parametrize("genes", GENES)
def test_predicting_the_control(genes: str) -> None:
    pair, _ = drawn(1, 8, 40, 30)
    pair = replace(pair, pred=replace(pair.pred, mean=np.tile(pair.real.control, (8, 1))))
    for name in ("effect_pearson", "effect_spearman", "effect_cosine"):
        assert np.isnan(value(pair, name, genes=genes)).all()
        np.testing.assert_array_equal(value(pair, name, genes=genes, undefined="zero"), 0.0)
    np.testing.assert_array_equal(value(pair, "effect_undefined", genes=genes), 1.0)
    assert panel(pair, "norm_mse", genes=genes) == pytest.approx(1.0, rel=1e-13)
    assert (value(pair, "pn_mse", genes=genes) < 1).all()
    np.testing.assert_allclose(value(pair, "norm_error", relative=True, genes=genes), 1.0, rtol=1e-14)
    np.testing.assert_array_equal(value(pair, "direction_opposite", genes=genes), 0.0)
    np.testing.assert_array_equal(value(pair, "direction_one_zero", genes=genes), 1.0)
    np.testing.assert_array_equal(value(pair, "gene_dispersion_ratio"), 0.0)


def test_lists_of_all_genes_are_all_genes() -> None:
    pair, _ = drawn(2, 6, 25, 20)
    for name in ("squared_error", "absolute_error", "effect_pearson", "r2", "wmse", "direction_correct", "pn_mse"):
        want = value(pair, name, genes="all")
        for genes in ("top_effect:25", "t_test:99", "top_expressed:25", "effect_rank:25", "top_variable:25"):
            np.testing.assert_array_equal(value(pair, name, genes=genes), want, f"{name} {genes}")
    np.testing.assert_allclose(
        value(pair, "squared_error", reduce="sum"), 25 * value(pair, "squared_error"), rtol=1e-14
    )
    np.testing.assert_allclose(value(pair, "squared_error"), get("expr_mse").evaluate(pair), rtol=1e-13)
    np.testing.assert_allclose(value(pair, "absolute_error"), get("expr_mae").evaluate(pair), rtol=1e-13)
    np.testing.assert_allclose(value(pair, "effect_pearson"), get("delta_pearson").evaluate(pair), rtol=1e-11)


def test_a_shared_reference_cancels_in_errors() -> None:
    pair, _ = drawn(3, 6, 25, 20)
    for reference in ("control", "perturbed_mean", "condition_mean", "perturbed_mean_cells"):
        for reduce in ("mean", "root", "root_sum"):
            np.testing.assert_array_equal(
                value(pair, "squared_error", reference=reference, reduce=reduce),
                value(pair, "squared_error", reduce=reduce),
            )


def test_one_gene_with_all_the_weight() -> None:
    """All genes alike but one: the weighted error is its squared error, and one gene weighs."""
    rng = np.random.default_rng(4)
    mean = np.ones((3, 12))
    mean[[0, 1, 2], [5, 7, 2]] = 3.0
    pair, _ = drawn(4, 3, 12, 10)
    even = {"variance": np.ones((3, 12)), "control_variance": np.ones(12), "control": np.ones(12)}
    pair = replace(
        pair,
        real=replace(pair.real, mean=mean, **even),
        pred=replace(pair.pred, mean=mean + rng.normal(size=mean.shape)),
    )
    error = (pair.pred.mean - mean) ** 2
    np.testing.assert_allclose(value(pair, "wmse", weights="t_control"), error[[0, 1, 2], [5, 7, 2]], rtol=1e-13)
    np.testing.assert_allclose(value(pair, "effective_genes", weights="t_control"), 1.0, rtol=1e-13)


def test_weights_know_no_unit_and_no_sign() -> None:
    scores = np.random.default_rng(5).normal(size=50)
    for factor in (4.0, -0.5):
        np.testing.assert_allclose(stretched(factor * scores, "nan"), stretched(scores, "nan"), rtol=1e-13, atol=1e-15)
    zero, equal = np.zeros(3), np.array([2.0, -2.0, 2.0])
    assert stretched(zero, "by_score").tolist() == [0, 0, 0]
    assert stretched(equal, "by_score").tolist() == [1, 1, 1]
    assert stretched(zero, "uniform").tolist() == [1, 1, 1]
    assert np.isnan(stretched(zero, "nan")).all()


def test_an_independent_draw_costs_nothing_after_correction() -> None:
    """Its plain error is the noise of both draws; the corrected one is zero on average."""
    pair, _ = drawn(6, 300, 60, 12)
    plain, corrected = value(pair, "squared_error"), value(pair, "squared_error_corrected")
    assert plain.mean() == pytest.approx(2 / 12, rel=0.02)
    spread = corrected.std(ddof=1) / np.sqrt(300)
    assert abs(corrected.mean()) < 4 * spread
    assert 4 * spread < 0.02 * plain.mean() * 4
    capped = panel(pair, "expr_mse_unbiased_capped_norm")
    assert abs(capped) < 0.02
    # corrected for the observed noise alone, the prediction pays its own
    assert value(pair, "squared_error_corrected", correct="real").mean() == pytest.approx(1 / 12, rel=0.04)


def test_a_draw_of_the_control_scores_one() -> None:
    """Control cells in place of every perturbation: as far as no effect, and without credit for their noise."""
    pair, control = drawn(7, 300, 60, 200)
    tiled = replace(pair, pred=replace(pair.pred, mean=np.tile(control, (300, 1))))
    assert panel(tiled, "expr_mse_unbiased_capped_norm") == pytest.approx(1.0, abs=0.02)
    assert panel(tiled, "norm_mse") == pytest.approx(1.0, abs=0.02)
    assert correction_share(tiled) == pytest.approx(0.0, abs=1e-12)  # one profile for all forfeits the correction


def test_collapse_to_the_mean_costs_the_signal_and_noise_costs_the_noise() -> None:
    rng = np.random.default_rng(8)
    n, g = 40, 300
    middle, u = rng.normal(size=g), rng.normal(size=(n, g))
    u -= u.mean(0)
    noise = rng.normal(size=(n, g))
    pair, _ = drawn(8, n, g, 5)
    real = replace(pair.real, mean=middle + u)
    collapsed = replace(pair, real=real, pred=replace(real, mean=np.tile(middle, (n, 1))))
    np.testing.assert_allclose(value(collapsed, "squared_error"), (u * u).mean(1), rtol=1e-11)
    noisy = replace(pair, real=real, pred=replace(real, mean=middle + u + noise))
    np.testing.assert_allclose(value(noisy, "squared_error"), (noise * noise).mean(1), rtol=1e-11)
    np.testing.assert_allclose(value(collapsed, "effect_pair_cosine", side="pred"), 1.0, rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_threads_change_no_bit(method: str) -> None:
    rng = np.random.default_rng(9)
    sides = [Sides(*rng.normal(size=(2, 400 - k)), np.zeros(400 - k), np.zeros(400 - k)) for k in range(90)]
    one = row_correlations(sides, method, n_threads=1).values
    for threads in (2, 3, 7):
        np.testing.assert_array_equal(row_correlations(sides, method, n_threads=threads).values, one)


@pytest.mark.parametrize("name", ["squared_error", "effect_pearson", "effect_spearman", "wmse", "r2", "r_gene"])
def test_layout_of_the_profiles_changes_no_bit(name: str) -> None:
    pair, _ = drawn(10, 7, 33, 9)

    def laid_out(side: Profiles, how: str) -> Profiles:
        def table(x: np.ndarray) -> np.ndarray:
            if how == "fortran":
                return np.asfortranarray(x)
            wide = np.zeros((x.shape[0], 2 * x.shape[1]))
            wide[:, ::2] = x
            return wide[:, ::2]

        return replace(side, mean=table(side.mean), variance=table(side.variance))

    want = value(pair, name)
    for how in ("fortran", "strided"):
        other = replace(pair, real=laid_out(pair.real, how), pred=laid_out(pair.pred, how))
        np.testing.assert_array_equal(value(other, name), want, how)


def test_the_shared_effect_scores_its_share_of_the_length() -> None:
    """d_p = s + u_p, centred, s ⟂ u_p: predicting s scores |s| / √(|s|² + |u_p|²), and nothing against the mean."""
    rng = np.random.default_rng(11)
    n, g = 9, 50
    pair, _ = drawn(11, n, g, 5)
    s = rng.normal(size=g)
    s -= s.mean()
    u = rng.normal(size=(n, g)) * np.linspace(0.2, 3, n)[:, None]
    u -= u.mean(1, keepdims=True)
    u -= np.outer(u @ s / (s @ s), s)
    real = replace(pair.real, mean=pair.real.control + s + u)
    shared = replace(pair, real=real, pred=replace(real, mean=np.tile(real.control + s, (n, 1))))
    share = np.sqrt(s @ s) / np.sqrt(s @ s + (u * u).sum(1))
    for name in ("effect_pearson", "effect_cosine"):
        np.testing.assert_allclose(value(shared, name), share, rtol=1e-11)
    mean = replace(shared, pred=replace(real, mean=np.tile(real.mean.mean(0), (n, 1))))
    how = {"reference": "perturbed_mean", "leave_one_out": False}
    for name in ("effect_pearson", "effect_spearman", "effect_cosine"):
        assert np.isnan(value(mean, name, **how)).all()
    np.testing.assert_array_equal(value(mean, "effect_undefined", **how), 1.0)


def test_equal_weights_and_the_order_of_the_arguments() -> None:
    pair, _ = drawn(12, 6, 30, 20)
    flat = {"weights": "uniform"}
    np.testing.assert_allclose(value(pair, "wmse", **flat), value(pair, "squared_error"), rtol=1e-13)
    np.testing.assert_allclose(value(pair, "r2_weighted", **flat), value(pair, "r2", reference="control"), rtol=1e-12)
    np.testing.assert_allclose(value(pair, "effective_genes", **flat), 30, rtol=1e-13)
    loud = replace(pair, pred=replace(pair.pred, mean=2 * pair.real.mean))
    # the residual is the truth itself, and a prediction twice as large has four times the spread
    mean = loud.real.mean
    share = (mean**2).sum(1) / ((mean - mean.mean(1, keepdims=True)) ** 2).sum(1)
    np.testing.assert_allclose(value(loud, "r2"), 1 - share, rtol=1e-11)
    np.testing.assert_allclose(value(loud, "r2", arguments="swapped"), 1 - share / 4, rtol=1e-11)


def test_the_reference_is_the_control_where_they_are_equal() -> None:
    """The perturbed-reference form is the control form where the perturbed mean is the control."""
    pair, _ = drawn(13, 6, 30, 20)
    centred = pair.real.mean - pair.real.mean.mean(0) + pair.real.control
    pair = replace(pair, real=replace(pair.real, mean=centred))
    how = {"reference": "perturbed_mean", "leave_one_out": False}
    for name in ("effect_pearson", "effect_cosine", "r2_weighted"):
        settings = how if name != "r2_weighted" else {**how, "weights": "uniform"}
        plain = {} if name != "r2_weighted" else {"weights": "uniform"}
        np.testing.assert_allclose(value(pair, name, **settings), value(pair, name, **plain), rtol=1e-9)
