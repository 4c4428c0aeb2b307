"""Hand-worked match ranks, and the places where a product of matrices would go wrong."""

from __future__ import annotations

import numpy as np
import pytest

from vcmetrics import _errors
from vcmetrics.metrics.discrimination import discrimination_score, match_distances, match_ranks
from vcmetrics.metrics.pair import Pair, Profiles


def pair_of(pred: list, real: list, own: list[int], **more: object) -> Pair:
    pred, real = np.array(pred, float), np.array(real, float)
    genes = np.array([f"g{k}" for k in range(pred.shape[1])])
    zero = np.zeros(pred.shape[1])
    return Pair(
        perturbations=tuple("ABCDEFGH"[: len(pred)]),
        genes=genes,
        own=np.array(own),
        real=Profiles(real, zero),
        pred=Profiles(pred, zero),
        **more,
    )


def test_one_nearer_candidate() -> None:
    # |A^ - A| = 3, |A^ - B| = 1, |A^ - C| = 8
    pair = pair_of([[4, 0], [3, 0], [9, 9]], [[1, 0], [3, 0], [6, 6]], [-1, -1, -1])
    np.testing.assert_array_equal(discrimination_score(pair, metric="l1"), [0.5, 1.0, 1.0])
    np.testing.assert_array_equal(discrimination_score(pair, metric="l1", denominator="n"), [1 - 1 / 3, 1.0, 1.0])


def test_zero_effect_ties_with_everything() -> None:
    pair = pair_of([[0, 0], [0, 1], [1, 0]], [[1, 1], [0, 2], [2, 0]], [-1, -1, -1])
    for ties, first in (("midrank", 0.5), ("position", 1.0), ("last", 0.0), ("optimistic", 1.0), ("pessimistic", 0.0)):
        assert discrimination_score(pair, metric="cosine", ties=ties)[0] == first
    pair = pair_of([[0, 1], [1, 0], [0, 0]], [[0, 2], [2, 0], [1, 1]], [-1, -1, -1])
    assert discrimination_score(pair, metric="cosine", ties="position")[2] == 0.0


def test_exclusion_scopes() -> None:
    # gene 0 is A's target, gene 1 is B's; the prediction of A copies B except at its own target
    real = [[-5, 0, 1, 0], [0, -5, 0, 1], [1, 1, 1, 1]]
    pred = [[-5, -5, 0, 1], [0, -5, 0, 1], [1, 1, 1, 1]]
    pair = pair_of(pred, real, [0, 1, -1])
    np.testing.assert_array_equal(discrimination_score(pair, metric="l1", exclude="none")[0], 0.5)
    # distances 7, 0 and 7: its own ties with the third
    np.testing.assert_array_equal(discrimination_score(pair, metric="l1", exclude="row")[0], 0.25)
    np.testing.assert_array_equal(discrimination_score(pair, metric="l1", exclude="panel")[0], 0.0)


def test_row_scope_drops_a_dominant_own_gene() -> None:
    # without gene 0 the candidates' norms are a millionth of what they were
    rng = np.random.default_rng(0)
    real = rng.normal(size=(4, 50))
    pred = real + 0.01 * rng.normal(size=real.shape)
    real[:, 0] = pred[:, 0] = 1e6
    pair = pair_of(pred, real, [0, 0, 0, -1])
    for metric in ("l1", "l2", "cosine"):
        np.testing.assert_array_equal(discrimination_score(pair, metric=metric, exclude="row"), np.ones(4))


def test_no_gene_left() -> None:
    with pytest.raises(_errors.DataError, match="every gene is a target"):
        discrimination_score(pair_of([[1, 2], [2, 1]], [[1, 2], [2, 1]], [0, 1]), metric="l1")


def test_embedding_excludes_nothing() -> None:
    pair = pair_of([[1, 2], [2, 1]], [[1, 2], [2, 1]], [0, 1])
    space = (Profiles(np.eye(2), np.zeros(2)), Profiles(np.eye(2), np.zeros(2)))
    pair = pair_of([[1, 2], [2, 1]], [[1, 2], [2, 1]], [0, 1], embeddings={"X": space})
    np.testing.assert_array_equal(discrimination_score(pair, metric="l2", embedding="X"), [1, 1])
    with pytest.raises(_errors.DataError, match="embedding 'Y' is not at hand"):
        discrimination_score(pair, metric="l2", embedding="Y")


@pytest.mark.parametrize("metric", ["l1", "l2", "cosine"])
def test_identical_candidates_tie_to_the_bit(metric: str) -> None:
    rng = np.random.default_rng(1)
    query = rng.normal(size=(37, 1999))
    reference = np.repeat(rng.normal(size=(1, 1999)), 37, axis=0)
    distance = match_distances(query, reference, metric)
    assert (distance == distance[:, :1]).all()
    np.testing.assert_array_equal(match_ranks(distance, "midrank"), np.full(37, 18.0))


def test_differences_below_the_rounding_of_a_product() -> None:
    # both candidates lie 1e9 away from the origin and 1e-6 apart: |a|² + |b|² - 2ab would be noise
    base = np.full(64, 1e9)
    near, far = base.copy(), base.copy()
    near[0] += 1e-6
    far[0] += 4e-6
    distance = match_distances(np.stack([base, base]), np.stack([far, near]), "l2")
    assert distance[0, 1] < distance[0, 0]
    assert distance[1, 1] < distance[1, 0]


def test_nan_is_farther_than_everything() -> None:
    nan = np.nan
    distance = np.array([[nan, 1.0, nan], [nan, 2.0, 1.0], [nan, nan, 5.0]])
    np.testing.assert_array_equal(match_ranks(distance, "midrank"), [1.5, 1.0, 0.0])


def test_single_perturbation_scores_one() -> None:
    pair = pair_of([[1, 2]], [[2, 1]], [-1])
    assert discrimination_score(pair, metric="cosine")[0] == 1.0


def test_unknown_choices() -> None:
    pair = pair_of([[1, 2]], [[2, 1]], [-1])
    for choice in ({"ties": "x"}, {"denominator": "x"}, {"exclude": "x"}):
        with pytest.raises(ValueError, match="'x' is not one of"):
            discrimination_score(pair, metric="l1", **choice)
