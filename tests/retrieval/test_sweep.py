"""The curve over scales: every point is the score of the scaled prediction, the ends are their closed forms."""

from __future__ import annotations

import numpy as np
import pytest

import vcmetrics as vcm

RNG = np.random.default_rng(0)
LABELS = [f"G{k:02d}" for k in range(25)]
GENES = [f"G{k:02d}" for k in range(80)]
REAL = RNG.normal(size=(25, 80)) * RNG.uniform(0.3, 3, (25, 1))
PRED = 0.2 * REAL[:20] + 0.5 * RNG.normal(size=(20, 80))
PRED[:, 70:] = 0  # genes that the prediction leaves alone
PRED[5] = 0  # and a perturbation of which it says nothing
HOW = {"labels": LABELS[:20], "real_labels": LABELS, "genes": GENES, "reference": "none", "control": None}


@pytest.mark.parametrize("scope", ["none", "panel"])
@pytest.mark.parametrize("metric", ["cityblock", "euclidean", "sqeuclidean", "cosine"])
def test_points_and_limits(metric: str, scope: str) -> None:
    how = HOW | {"metric": metric, "exclude_targets": scope}
    scales = np.array([0.01, 0.5, 1, 3, 200])
    curve = vcm.discrimination_sweep(PRED, REAL, scales=scales[::-1], **how)
    assert curve.index.tolist() == [0, *scales, np.inf]
    for scale in scales:
        facts = vcm.discrimination(scale * PRED, REAL, **how)
        assert curve["score"][scale] == pytest.approx(facts["score"].mean(), abs=1e-12)
        assert curve["score_std"][scale] == pytest.approx(facts["score"].std(), abs=1e-12)
        assert curve["top1"][scale] == pytest.approx(facts["top1"].mean(), abs=1e-12)
    ends = [vcm.discrimination(a * PRED, REAL, **how)["score"].mean() for a in (1e-9, 1e9)]
    assert [curve["score"].iloc[0], curve["score"].iloc[-1]] == pytest.approx(ends, abs=1e-12)
    if metric == "cosine":
        assert curve["score"].nunique() == 1
    for n_threads in (1, 3):
        assert vcm.discrimination_sweep(PRED, REAL, scales=scales, n_threads=n_threads, **how).equals(curve)


def test_marks() -> None:
    how = HOW | {"metric": "l2", "exclude_targets": "none"}
    curve = vcm.discrimination_sweep(PRED, REAL, **how)
    assert len(curve) == 63
    inner = curve["score"].to_numpy()[1:-1]
    marks = curve.attrs
    assert marks["best_score"] == inner.max()
    assert curve["score"][marks["best_scale"]] == inner.max()
    assert marks["area"] == pytest.approx((inner[1:] + inner[:-1]).mean() / 2)
    assert marks["zero"] == curve["score"].iloc[0]
    assert marks["infinite"] == curve["score"].iloc[-1]
    assert marks["unscaled"] == vcm.discrimination(PRED, REAL, **how)["score"].mean()
    assert marks["best_score"] > marks["zero"]
    # the limit at 0 knows nothing of the prediction
    other = vcm.discrimination_sweep(PRED[::-1].copy(), REAL, scales=[1.0], **how)
    assert other.attrs["zero"] == marks["zero"]
    every = vcm.discrimination_sweep(REAL, REAL, scales=[1.0], **(how | {"labels": LABELS}))
    assert every.attrs["zero"] == pytest.approx(0.5)
    assert every.attrs["unscaled"] == 1


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    pred = np.random.default_rng(1).normal(size=(100, 30))
    how = {"labels": [f"{k:03d}" for k in range(100)], "reference": "none", "control": None, "exclude_targets": "none"}
    for metric in ("l1", "l2"):
        want = vcm.discrimination_sweep(pred, pred + 1, metric=metric, scales=[0.5, 2], **how)
        with monkeypatch.context() as patch:
            patch.setattr("vcmetrics.retrieval.sweep._BLOCK", 1)
            assert vcm.discrimination_sweep(pred, pred + 1, metric=metric, scales=[0.5, 2], **how).equals(want)


def test_refused() -> None:
    for change, words in (
        ({"scales": [0.0, 1.0]}, "scales must be positive and finite"),
        ({"scales": []}, "scales must be positive and finite"),
        ({"exclude_targets": "pair"}, "exclude_targets='pair' cannot be swept; pass 'panel' or 'none'"),
        ({"metric": "kendall"}, "metric 'kendall' cannot be swept"),
        ({"denominator": "x"}, "denominator 'x' is not one of"),
        ({"convention": "perturbench"}, "does not follow direction='real_to_pred'; conventions without it: cell-eval"),
        ({"convention": "txpert-fast"}, "does not follow sample=100"),
        ({"convention": "perturbench-transposed"}, "does not follow output='rank'"),
    ):
        with pytest.raises(ValueError, match=words):
            vcm.discrimination_sweep(PRED, REAL, **(HOW | change))
