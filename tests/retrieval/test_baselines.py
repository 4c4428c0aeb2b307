"""What stands beside a score, and the ranks of true targets."""

from __future__ import annotations

import numpy as np
import pytest

import vcmetrics as vcm
from vcmetrics.retrieval.baselines import BASELINES

LABELS = [f"G{k:02d}" for k in range(30)]
HOW = {"labels": LABELS, "reference": "none", "control": None, "genes": [f"G{k:02d}" for k in range(60)]}


def tables() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(30, 60)) * rng.uniform(0.5, 2, (30, 1))
    return real + rng.normal(size=real.shape), real


@pytest.mark.parametrize("scope", ["none", "row", "panel", "pair"])
@pytest.mark.parametrize("metric", ["l1", "l2", "cosine"])
def test_rows(metric: str, scope: str) -> None:
    pred, real = tables()
    how = HOW | {"metric": metric, "exclude_targets": scope}
    table = vcm.retrieval_baselines(pred, real, **how)
    assert set(table.index) == set(BASELINES)
    own = vcm.discrimination(pred, real, **how).attrs["aggregate"]
    for name in ("score", "rank", "reciprocal_rank", "top1", "top5", "top10"):
        assert table[name]["prediction"] == own[name]
    random = table.loc["random"]
    assert random["score"] == 0.5
    assert random["top5"] == 5 / 30
    assert random["reciprocal_rank"] == pytest.approx(np.mean(1 / np.arange(1, 31)))
    if scope != "row":
        assert table["score"]["mean response"] == pytest.approx(0.5, abs=1e-12)
    assert table["top1"]["nearest training perturbation"] == 0 or scope in ("row", "pair")
    assert table["score"]["prediction"] > table["score"]["nearest training perturbation"]


def test_magnitude_only() -> None:
    pred, real = tables()
    got = vcm.retrieval_baselines(pred, real, **HOW, metric="l2", exclude_targets="none").loc["magnitude only"]
    x, y = np.linalg.norm(pred, axis=1), np.linalg.norm(real, axis=1)
    away = np.abs(x[:, None] - y[None])
    rank = (away < np.diag(away)[:, None]).sum(1)
    assert got["score"] == pytest.approx(1 - rank.mean() / 29)
    assert got["score"] > 0.55  # norms differ, and the prediction knows them


def test_training_perturbations_are_the_sources() -> None:
    pred, real = tables()
    train = LABELS[:10]
    how = HOW | {"labels": LABELS[10:], "metric": "l2", "exclude_targets": "none"}
    table = vcm.retrieval_baselines(pred[10:], real, real_labels=LABELS, train=train, **how)
    assert table["n_candidates"].eq(20).all()
    away = np.linalg.norm(pred[10:, None] - real[None, :10], axis=2).argmin(1)
    copied = vcm.discrimination(real[away], real[10:], **how)
    assert table["score"]["nearest training perturbation"] == copied["score"].mean()


def test_refused() -> None:
    pred, real = tables()
    with pytest.raises(ValueError, match="does not follow direction='real_to_pred'"):
        vcm.retrieval_baselines(pred, real, **HOW, direction="real_to_pred")
    with pytest.raises(ValueError, match="does not follow sample=100; conventions without it: cell-eval, "):
        vcm.retrieval_baselines(pred, real, **HOW, convention="txpert-fast")
    with pytest.raises(TypeError, match="takes no argument 'metrc'"):
        vcm.retrieval_baselines(pred, real, **HOW, metrc="l1")


def test_target_rank() -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 5, (6, 40)).astype(float)
    targets = [[3], [1, 2], [], [0, 5, 9], [39], [7, 8]]
    scores[5, 7] = np.nan
    found = vcm.arrays.target_rank(scores, targets, top_k=[1, 10, 40])
    for i, own in enumerate(targets):
        if not own:
            assert np.isnan(found.score[i])
            continue
        row = np.where(np.isnan(scores[i]), -1, scores[i])
        rank = np.array([(row > row[g]).sum() + ((row == row[g]).sum() - 1) / 2 for g in own])
        assert found.score[i] == pytest.approx(np.mean(1 - rank / 40))
        np.testing.assert_allclose(found.recall[i], [np.mean(rank < k) for k in (1, 10, 40)])
        assert found.hit[i] == float((rank < len(own)).any())
    perfect = np.zeros((1, 100))
    perfect[0, [4, 7]] = [2, 1]
    best = vcm.arrays.target_rank(perfect, [[4, 7]])
    assert (best.ndcg[0], best.hit[0], best.score[0]) == (1, 1, 0.995)
    for bad, words in (([[0]], "targets lists 1 samples for 2 rows"), ([[0], [9]], "targets of sample 1 are")):
        with pytest.raises(ValueError, match=words):
            vcm.arrays.target_rank(np.zeros((2, 3)), bad)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    pred, real = tables()
    want = vcm.retrieval_baselines(pred, real, **HOW)
    monkeypatch.setattr("vcmetrics.retrieval.baselines._ROWS", 7)
    assert vcm.retrieval_baselines(pred, real, **HOW).equals(want)
