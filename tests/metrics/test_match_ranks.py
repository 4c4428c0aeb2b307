"""Match ranks of the literature: the closed forms that tell the papers apart, and batches and training rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from vcmetrics._errors import DataError
from vcmetrics.metrics.match_ranks import match_rank
from vcmetrics.metrics.pair import Batches, Pair, Profiles, Training
from vcmetrics.metrics.registry import get


def panel(seed: int, n: int = 50, g: int = 200, *, targets: bool = True) -> Pair:
    """A pair of normal profiles; perturbation k targets gene k."""
    rng = np.random.default_rng(seed)
    control = rng.normal(size=g)
    real = control + rng.normal(size=(n, g))
    if targets:
        real[np.arange(n), np.arange(n)] -= 8.0
    return Pair(
        perturbations=tuple(f"p{k:03d}" for k in range(n)),
        genes=np.array([f"g{k:03d}" for k in range(g)]),
        own=np.arange(n) if targets else np.full(n, -1),
        real=Profiles(real, control),
        pred=Profiles(real + rng.normal(size=real.shape), control),
    )


def predicting(pair: Pair, mean: np.ndarray) -> Pair:
    return replace(pair, pred=replace(pair.pred, mean=np.broadcast_to(mean, pair.real.mean.shape)))


def with_batches(pair: Pair, seed: int = 0) -> Pair:
    rng = np.random.default_rng(seed)
    cells = rng.integers(1, 9, (2, pair.n, 3))
    control = pair.real.control + rng.normal(size=(3, pair.genes.size))
    return replace(pair, batches=Batches(("a", "b", "c"), control, cells[0], cells[1]))


@pytest.mark.parametrize("name", ["match_rank", "pds_pair", "centroid_accuracy", "nir", "pds_l2_unit"])
def test_reality_scores_one(name: str) -> None:
    pair = panel(0)
    np.testing.assert_array_equal(get(name).evaluate(predicting(pair, pair.real.mean)), 1.0)


def test_txpert_never_reaches_one() -> None:
    pair = with_batches(panel(1, n=20))
    same = replace(pair, batches=replace(pair.batches, pred_cells=pair.batches.real_cells))
    values = get("normed_retrieval").evaluate(predicting(same, pair.real.mean))
    np.testing.assert_allclose(values, 19 / 20, rtol=0, atol=1e-15)
    fast = get("fast_retrieval").evaluate(predicting(same, pair.real.mean), {"sample": 5})
    assert set(np.round(fast, 12)) <= {round(1 - 1 / 5, 12), round(1 - 1 / 6, 12)}


@pytest.mark.parametrize(("ties", "divisor", "want"), [("mid", "n-1", 0.5), ("first", "n", 51 / 100)])
def test_one_profile_for_all(ties: str, divisor: str, want: float) -> None:
    # every candidate is queried, so the ranks are 0, 1, … n - 1 in some order
    pair = panel(2)
    flat = predicting(pair, pair.real.mean[7] + 1.0)
    for metric in ("cosine", "euclidean", "cityblock", "pearson"):
        values = match_rank(flat, metric=metric, tie_rule=ties, divide_by=divisor)
        np.testing.assert_allclose(values.mean(), want, rtol=0, atol=1e-12)


def test_one_profile_for_all_by_the_papers() -> None:
    pair = with_batches(panel(3))
    flat = predicting(pair, pair.real.mean.mean(0) + 0.3)
    one_batch = replace(pair.batches, pred_cells=np.ones((pair.n, 3), np.int64))
    flat = replace(flat, batches=one_batch)
    np.testing.assert_allclose(get("normed_retrieval").evaluate(flat).mean(), 49 / 100, atol=1e-12)
    np.testing.assert_allclose(get("centroid_accuracy").evaluate(flat).mean(), 0.5, atol=1e-12)
    np.testing.assert_allclose(get("nir").evaluate(flat).mean(), 0.5, atol=1e-12)
    np.testing.assert_allclose(get("pds_pair").evaluate(flat).mean(), 0.5, atol=1e-12)
    # seen from a truth all predictions tie
    np.testing.assert_array_equal(get("cosine_rank").evaluate(flat), 0.5)
    np.testing.assert_array_equal(get("rmse_rank").evaluate(flat), 0.5)


def test_no_effect_is_half_of_everything_by_angle() -> None:
    pair = panel(4)
    none = predicting(pair, pair.real.control)
    for name in ("match_rank", "pds_pair", "pds_l2_selfnorm", "pds_l2_panelnorm", "pds_l2_unit"):
        np.testing.assert_array_equal(get(name).evaluate(none), 0.5)


def test_no_effect_by_length_is_lifted_by_the_row_scope() -> None:
    # only the own truth has lost its knock-down, so nothing lies nearer to zero than it does
    for metric in ("euclidean", "cityblock"):
        values = [
            match_rank(predicting(pair, pair.real.control), metric=metric, scope="row").mean()
            for pair in (panel(seed) for seed in range(5))
        ]
        assert np.mean(values) > 0.55
        panels = [
            match_rank(predicting(pair, pair.real.control), metric=metric, scope="panel").mean()
            for pair in (panel(seed) for seed in range(5))
        ]
        np.testing.assert_allclose(panels, 0.5, atol=1e-12)


@pytest.mark.parametrize("name", ["match_rank", "pds_pair", "pds_l2_unit"])
def test_sign_of_the_prediction_turns_the_ranks_round(name: str) -> None:
    pair = panel(20)
    turned = predicting(pair, 2 * pair.pred.control - pair.pred.mean)
    np.testing.assert_allclose(get(name).evaluate(turned), 1 - get(name).evaluate(pair), rtol=0, atol=1e-12)


def test_only_the_own_target() -> None:
    pair = panel(5)
    drop = np.zeros_like(pair.real.mean)
    drop[np.arange(pair.n), np.arange(pair.n)] = -1.0
    knows = predicting(pair, pair.real.control + drop)
    assert match_rank(knows, scope="none").mean() > 0.9
    for scope in ("panel", "pair"):
        np.testing.assert_array_equal(match_rank(knows, scope=scope), 0.5)
    np.testing.assert_array_equal(match_rank(knows, scope="row"), 0.5)


def test_spiking_other_targets() -> None:
    pair = panel(6)
    spike = np.zeros_like(pair.real.mean)
    spike[:, : pair.n] = 5.0
    spike[np.arange(pair.n), np.arange(pair.n)] = 0.0
    spiked = predicting(pair, pair.real.control + spike)
    assert match_rank(spiked, scope="row").mean() > 0.7
    np.testing.assert_array_equal(match_rank(spiked, scope="panel"), 0.5)
    assert abs(match_rank(spiked, scope="pair").mean() - 0.5) < 0.1


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "cityblock"])
def test_pair_scope_is_brute_force_of_duels(metric: str) -> None:
    pair = panel(7, n=12, g=30)
    spec = get("pds_pair")
    values = spec.evaluate(pair, {"metric": metric})
    np.testing.assert_allclose(values, spec.evaluate(pair, {"metric": metric}, slow=True), rtol=0, atol=1e-12)


def test_unit_norms_rank_as_the_cosine() -> None:
    pair = panel(8)
    unit = get("pds_l2_unit").evaluate(pair)
    np.testing.assert_array_equal(unit, match_rank(pair, metric="cosine"))


def test_limits_of_the_scale() -> None:
    # L2: towards 0 the truths' norms decide, towards infinity the products
    pair = panel(9, targets=False)
    t, x = pair.real.effect, np.random.default_rng(10).normal(size=pair.real.mean.shape)
    order = np.argsort(np.argsort((t**2).sum(1)))
    small = match_rank(predicting(pair, pair.real.control + 1e-9 * x), metric="euclidean", scope="none")
    np.testing.assert_allclose(small, 1 - order / (pair.n - 1), rtol=0, atol=1e-12)
    products = x @ t.T
    large = match_rank(predicting(pair, pair.real.control + 1e9 * x), metric="euclidean", scope="none")
    place = (products > np.diag(products)[:, None]).sum(1)
    np.testing.assert_allclose(large, 1 - place / (pair.n - 1), rtol=0, atol=1e-12)


def test_training_rows_are_candidates_where_asked(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair(3, 6, 24, rough=False)
    rng = np.random.default_rng(0)
    train = Training(("t1", "g3", "p2"), rng.integers(-8, 9, (3, 24)) / 8, np.array([3, 4, 5]), np.zeros(24))
    with_train = replace(pair, train=train)
    spec = get("centroid_accuracy")
    for reference in ("none", "control", "perturbed_mean"):
        how = {"reference": reference, "candidates": "all", "metric": "euclidean", "scope": "none"}
        got = spec.evaluate(with_train, how)
        np.testing.assert_allclose(got, spec.evaluate(with_train, how, slow=True), rtol=0, atol=1e-12)
    got = spec.evaluate(with_train)
    # eight candidates: p2 is known, the other two are new
    assert set(np.round(got * 7, 9)) <= set(range(8))
    alone = spec.evaluate(replace(pair, train=None))
    np.testing.assert_array_equal(spec.evaluate(with_train, {"candidates": "scored"}), alone)


def test_batches_are_matched(make_pair: Callable[..., Pair]) -> None:
    pair = with_batches(make_pair(4, 7, 20, rough=False))
    for name in ("normed_retrieval", "fast_retrieval"):
        for settings in ({}, {"sample": 3}):
            spec = get(name)
            np.testing.assert_allclose(
                spec.evaluate(pair, settings), spec.evaluate(pair, settings, slow=True), rtol=0, atol=1e-12
            )
    # a vector added to every cell of a batch, controls included, changes nothing
    shift = np.random.default_rng(1).integers(-8, 9, (3, 20)) / 8
    moved = replace(pair, batches=replace(pair.batches, control=pair.batches.control + shift))
    for name, cells in (("real", pair.batches.real_cells), ("pred", pair.batches.pred_cells)):
        side = getattr(pair, name)
        by = (cells / cells.sum(1, keepdims=True)) @ shift
        moved = replace(moved, **{name: replace(side, mean=side.mean + by)})
    np.testing.assert_array_equal(get("normed_retrieval").evaluate(moved), get("normed_retrieval").evaluate(pair))


def test_order_of_rows_does_not_move_ties_by_name() -> None:
    pair = panel(11, n=6)
    real = pair.real.mean.copy()
    real[3] = real[1]
    pair = predicting(replace(pair, real=replace(pair.real, mean=real)), real)
    values = match_rank(pair, tie_rule="first")
    rows = np.array([5, 3, 1, 0, 2, 4])
    turned = replace(
        pair,
        perturbations=tuple(pair.perturbations[k] for k in rows),
        own=pair.own[rows],
        real=replace(pair.real, mean=real[rows]),
        pred=replace(pair.pred, mean=real[rows]),
    )
    np.testing.assert_array_equal(match_rank(turned, tie_rule="first"), values[rows])
    assert values[3] < values[1]


def test_wrong_choices() -> None:
    pair = panel(12, n=4)
    with pytest.raises(ValueError, match="candidates 'x' is not known"):
        match_rank(pair, candidates="x")
    with pytest.raises(DataError, match="reference='batch_control' needs the control of every batch"):
        get("normed_retrieval").evaluate(pair)
    with pytest.raises(DataError, match="weighs by cells"):
        match_rank(pair, reference="perturbed_mean_cells")


@pytest.mark.parametrize("of", ["value", "effect", "absolute_effect"])
@pytest.mark.parametrize("name", ["target_rank", "target_ndcg", "target_hit", "target_recall"])
def test_target_ranks_equal_their_reference(name: str, of: str, make_pair: Callable[..., Pair]) -> None:
    pair = make_pair(5, 6, 24)
    pair = replace(
        pair, perturbations=("g1+g2", "g3", "p", "g4+x", "g5+g6+g7", "q"), own=np.array([-1, 2, 3, -1, -1, -1])
    )
    spec = get(name)
    for top_k in (1, 5):
        settings = {"of": of, "top_k": top_k}
        np.testing.assert_allclose(
            spec.evaluate(pair, settings), spec.evaluate(pair, settings, slow=True), rtol=1e-12, atol=1e-12
        )


def test_target_ranks_by_hand() -> None:
    scores = np.array([[0.1, 0.9, 0.5, 0.2], [0.4, 0.3, 0.2, 0.1]])
    side = Profiles(scores, np.zeros(4))
    pair = Pair(("c", "a+d"), np.array(["a", "b", "c", "d"]), np.array([2, -1]), real=side, pred=side)
    np.testing.assert_allclose(get("target_rank").evaluate(pair), [0.75, (1 + 0.25) / 2])
    np.testing.assert_allclose(get("target_ndcg").evaluate(pair)[0], 0.75 / np.log2(3))
    np.testing.assert_array_equal(get("target_hit").evaluate(pair), [0, 1])
    np.testing.assert_array_equal(get("target_recall").evaluate(pair, {"top_k": 2}), [1, 0.5])
    with pytest.raises(ValueError, match="of='x' is not known"):
        get("target_rank").evaluate(pair, {"of": "x"})


@pytest.mark.parametrize("method", ["pearson", "spearman"])
@pytest.mark.parametrize("statistic", ["median", "mean", "fisher_mean"])
def test_gene_panels_equal_their_reference(method: str, statistic: str) -> None:
    pair = panel(13, n=14, g=40)
    mean = pair.pred.mean.copy()
    mean[:, 3] = 1.0
    pair = predicting(pair, mean)
    studies = {p: "ab"[k % 2] if k < 12 else "c" for k, p in enumerate(pair.perturbations)}
    base = {"method": method, "statistic": statistic, "min_expression": -0.5, "min_variance": 0.4}
    for name, more in [
        *(("r_gene_within", {"studies": s, "part": p}) for s in (studies, None) for p in ("within", "within_averaged")),
        ("r_gene_within", {"studies": studies, "part": "between"}),
    ]:
        spec = get(name)
        got, want = (spec.evaluate(pair, {**base, **more}, slow=slow) for slow in (False, True))
        np.testing.assert_allclose(got, want, rtol=spec.parity.rtol, atol=spec.parity.atol, err_msg=str(more))
        assert not np.isnan(got).any()


def test_study_means_alone() -> None:
    rng = np.random.default_rng(14)
    pair = panel(14, n=12, g=50)
    studies = {p: "ab"[k % 2] for k, p in enumerate(pair.perturbations)}
    code = np.arange(12) % 2
    real = pair.real.mean + 3 * rng.normal(size=(2, 50))[code]
    means = np.array([real[code == s].mean(0) for s in (0, 1)])
    pair = predicting(replace(pair, real=replace(pair.real, mean=real)), means[code])
    assert get("r_gene").evaluate(pair)[0] > 0.5
    assert np.isnan(get("r_gene_within").evaluate(pair, {"studies": studies})).all()
    # a constant added to a study's predictions moves the first and not the second
    noisy = predicting(pair, real + rng.normal(size=real.shape))
    moved = predicting(pair, noisy.pred.mean + np.array([0.0, 5.0])[code][:, None])
    within = get("r_gene_within")
    np.testing.assert_allclose(
        within.evaluate(moved, {"studies": studies}), within.evaluate(noisy, {"studies": studies}), rtol=1e-12
    )
    assert abs(get("r_gene").evaluate(moved)[0] - get("r_gene").evaluate(noisy)[0]) > 1e-3
    # one study is no study
    np.testing.assert_allclose(within.evaluate(noisy), get("r_gene").evaluate(noisy), rtol=1e-12)
    with pytest.raises(DataError, match="studies= says nothing of 11 perturbations"):
        within.evaluate(noisy, {"studies": {"p000": "a"}})
    with pytest.raises(ValueError, match="part 'x' is not known"):
        within.evaluate(noisy, {"part": "x"})
