"""Directions, lists and shared variation: numbers by hand, and the loops of the studies that they come from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2_contingency, rankdata

from vcmetrics.metrics.pair import Pair, Profiles
from vcmetrics.metrics.registry import get
from vcmetrics.summary.de_table import DETable


def simple(pred: list, real: list, control: list | None = None, own: list[int] | None = None) -> Pair:
    real_mean, pred_mean = np.array(real, float), np.array(pred, float)
    n, g = real_mean.shape
    base = np.zeros(g) if control is None else np.array(control, float)
    return Pair(
        tuple(f"p{k}" for k in range(n)),
        np.array([f"g{k}" for k in range(g)]),
        np.full(n, -1) if own is None else np.array(own),
        real=Profiles(real_mean, base),
        pred=Profiles(pred_mean, base),
    )


def value(pair: Pair, name: str, **settings: object) -> np.ndarray:
    return get(name).evaluate(pair, settings)


def smooth(pair: Pair) -> Pair:
    rng = np.random.default_rng(1)
    real, pred = (replace(side, mean=side.mean + rng.normal(size=side.mean.shape)) for side in (pair.real, pair.pred))
    return replace(pair, real=real, pred=pred)


def test_directions_by_hand() -> None:
    pair = simple([[2, 1, 0, 0]], [[1, -1, 0, 2]])
    assert value(pair, "direction_correct") == [0.5]
    assert value(pair, "direction_opposite") == [0.25]
    assert value(pair, "direction_one_zero") == [0.25]


def test_outcomes_add_up_to_one(literature_pair) -> None:
    pair = literature_pair(1, 6, 30)
    for genes in ("all", "t_test:7"):
        parts = [value(pair, f"direction_{x}", genes=genes) for x in ("correct", "opposite", "one_zero")]
        np.testing.assert_allclose(sum(parts), 1.0, rtol=1e-14)


def test_opposite_prediction_swaps_correct_and_opposite(literature_pair) -> None:
    pair = smooth(literature_pair(2, 6, 30))
    flipped = replace(pair, pred=replace(pair.pred, mean=2 * pair.pred.control - pair.pred.mean))
    np.testing.assert_array_equal(value(flipped, "direction_correct"), value(pair, "direction_opposite"))


@pytest.mark.parametrize("k", [5, 20])
def test_directions_of_gears(literature_pair, k: int) -> None:
    pair = literature_pair(3, 5, 60)
    control = pair.real.control
    from vcmetrics.metrics.t_statistics import t_statistics

    for p in range(5):
        listed = np.argsort(-np.abs(t_statistics(pair)[p]), kind="stable")[:k]
        apart = np.abs(
            np.sign(pair.pred.mean[p][listed] - control[listed]) - np.sign(pair.real.mean[p][listed] - control[listed])
        )
        for name, t in (("correct", 0), ("opposite", 2), ("one_zero", 1)):
            assert value(pair, f"direction_{name}", genes=f"t_test:{k}")[p] == np.mean(apart == t)


def test_direction_tests_of_pereggrn() -> None:
    """The numbers of its own tests."""
    assert value(simple([[1, 0, 1, 0]], [[1, 0, 1, 0]]), "direction_p_value")[0] == pytest.approx(
        0.3173105078, abs=1e-9
    )
    assert value(simple([[0, 1, 0, 1]], [[1, 0, 1, 0]]), "fold_change_contrast") == [-1.0]
    assert value(simple([[0, 1, 0, 1]], [[0.25, 0.75, 0.25, 0.75]]), "fold_change_contrast") == [0.5]
    ramp = np.arange(1.0, 101.0)[None]
    nothing = np.zeros((1, 100))
    for genes in ("effect_rank:100", "all"):
        got = value(simple(nothing, ramp), "squared_error", reduce="sum", genes=genes)
        assert got == [(ramp**2).sum()]


def test_direction_p_value_of_scipy(literature_pair) -> None:
    pair = literature_pair(4, 6, 50)
    for correction in (True, False):
        got = value(pair, "direction_p_value", correction=correction)
        for p in range(6):
            x, y = (np.sign(np.round(side.mean[p] - side.control, 2)) for side in (pair.pred, pair.real))
            counts = np.array([[((y == a) & (x == b)).sum() for b in np.unique(x)] for a in np.unique(y)])
            assert got[p] == pytest.approx(chi2_contingency(counts, correction=correction).pvalue, rel=1e-10)
    one_sign = simple([[1, 1, 1]], [[1, -1, 1]])
    assert value(one_sign, "direction_p_value") == [1.0]


def test_contrast_with_one_direction_alone() -> None:
    assert value(simple([[1, 0, 0]], [[3, 1, 2]]), "fold_change_contrast") == [3 - 1.5]
    assert value(simple([[-1, 0, 0]], [[3, 1, 2]]), "fold_change_contrast") == [1.5 - 3]
    assert np.isnan(value(simple([[1, 1, 1]], [[3, 1, 2]]), "fold_change_contrast")).all()
    assert value(simple([[1, 1, 1]], [[3, 1, 2]]), "fold_change_contrast", undefined="zero") == [0.0]


@pytest.mark.parametrize("k", [3, 10])
def test_lists_of_pereggrn(literature_pair, k: int) -> None:
    """Its loops over average ranks; tied effects lengthen and shorten lists."""
    pair = literature_pair(5, 6, 40)
    for p in range(6):
        d, dh = pair.real.effect[p], pair.pred.effect[p]
        within = rankdata(-np.abs(d)) <= k
        both = np.sum(within & (rankdata(-np.abs(dh)) <= k)) / k
        assert value(pair, "overlap_top_n", k=k)[p] == pytest.approx(both, rel=1e-14)
        error = np.linalg.norm(d[within] - dh[within]) ** 2
        got = value(pair, "squared_error", reduce="sum", genes=f"effect_rank:{k}")[p]
        assert got == pytest.approx(error, rel=1e-12) if within.any() else np.isnan(got)


def test_overlap_and_jaccard_by_hand() -> None:
    pair = simple([[3, 1, 2]], [[3, 2, 1]])
    assert value(pair, "overlap_top_n", k=2) == [0.5]
    assert value(pair, "jaccard_top", k=2, genes="top_effect:2") == [1 / 3]
    same = simple([[3, 1, 2]], [[3, 1, 2]])
    assert value(same, "overlap_top_n", k=2) == [1.0]
    assert value(same, "jaccard_top", k=2, genes="top_effect:2") == [1.0]
    targeted = simple([[3, 1, 2]], [[3, 2, 1]], own=[0])
    assert value(targeted, "overlap_top_n", k=1, rank_rule="first") == [1.0]
    assert value(targeted, "overlap_top_n", k=1, rank_rule="first", exclude="own") == [0.0]


def test_recall_of_de_genes() -> None:
    genes = np.array(["a", "b", "c", "d"])
    p = np.array([[0.01, 0.01, 0.01, 0.9]])
    real = DETable(("A",), genes, np.array([[1.0, -0.6, 0.5, 2.0]]), p, p)
    pred = DETable(("A",), genes, np.array([[1.0, -0.1, 0.9, 2.0]]), p, p)
    pair = Pair(("A",), genes, np.array([-1]), de_real=real, de_pred=pred)
    assert value(pair, "deg_recall") == [0.5]  # |0.5| is not above 0.5, so R = (a, b); of them Q has a
    assert value(pair, "deg_recall", min_abs_lfc=0.0) == [1.0]
    assert np.isnan(value(pair, "deg_recall", min_abs_lfc=5.0)).all()


def test_shared_variation_by_hand() -> None:
    pair = simple([[1, 1], [1, 1], [1, 1]], [[1, 0], [0, 1], [1, 1]])
    root = np.sqrt(0.5)
    np.testing.assert_allclose(value(pair, "mean_effect_cosine"), [root, root, 1.0])
    np.testing.assert_allclose(value(pair, "effect_pair_cosine"), [root / 2, root / 2, root])
    np.testing.assert_allclose(value(pair, "effect_pair_cosine", side="pred"), 1.0)  # collapse
    np.testing.assert_allclose(value(pair, "effect_norm"), [1, 1, np.sqrt(2)])
    about_mean = value(pair, "mean_effect_cosine", reference="perturbed_mean")
    assert np.isnan(about_mean).all()
    alone = simple([[1.0, 1.0]], [[1.0, 0.0]])
    assert np.isnan(value(alone, "effect_pair_cosine")).all()
    with pytest.raises(ValueError, match="leaves different genes to each of a pair"):
        value(pair, "effect_pair_cosine", exclude="row")
    with pytest.raises(ValueError, match="side='both' is not known"):
        value(pair, "effect_norm", side="both")


def test_shared_variation_against_loops(literature_pair) -> None:
    pair = smooth(literature_pair(6, 6, 30))
    d = pair.real.effect
    mean = d.mean(0)

    def cosine(x: np.ndarray, y: np.ndarray) -> float:
        return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))

    np.testing.assert_allclose(value(pair, "mean_effect_cosine"), [cosine(x, mean) for x in d], rtol=1e-12)
    for p in range(6):
        others = [cosine(d[p], d[q]) for q in range(6) if q != p]
        assert value(pair, "effect_pair_cosine")[p] == pytest.approx(np.mean(others), rel=1e-11)
        assert value(pair, "effect_pair_cosine", statistic="median")[p] == pytest.approx(np.median(others), rel=1e-11)
