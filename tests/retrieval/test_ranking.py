"""Ranks under every scope, metric and direction equal brute force, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest

import vcmetrics as vcm
from vcmetrics.reference import retrieval as reference
from vcmetrics.retrieval.pairs import METRICS
from vcmetrics.retrieval.panel import Panel
from vcmetrics.retrieval.ranking import make_task, rank_all
from vcmetrics.retrieval.ranks import TIES
from vcmetrics.retrieval.targets import Targets


def make_panel(pred: np.ndarray, real: np.ndarray, targets: list[list[int]], scored: list[int] | None = None) -> Panel:
    table = np.full((len(targets), max([1, *map(len, targets)])), -1)
    for row, genes in zip(table, targets, strict=True):
        row[: len(genes)] = genes
    return Panel(
        context=None,
        names=tuple(f"p{k:03d}" for k in range(len(real))),
        real=real,
        pred=pred,
        scored=np.arange(len(real)) if scored is None else np.array(scored),
        targets=Targets(table, (), ()),
        training_names=(),
        training_rows=real[:0],
        left_out=(),
    )


def random_panel(seed: int, n: int = 12, genes: int = 40, *, ties: bool = True) -> Panel:
    rng = np.random.default_rng(seed)
    real = rng.integers(-8, 9, (n, genes)) / 8.0 if ties else rng.normal(size=(n, genes))
    scored = sorted(rng.choice(n, n - 3, replace=False).tolist())
    pred = real[scored] + (rng.integers(-8, 9, (n - 3, genes)) / 8.0 if ties else rng.normal(size=(n - 3, genes)))
    if ties:
        real[1], pred[2] = real[0], pred[3]  # duplicates
    # none, one, several targets, two labels with one gene, overlapping sets
    targets = [[], [0], [1], [1], [2, 3], [3, 4], [2, 3], *[[k] for k in range(7, n)]]
    return make_panel(pred, real, targets, scored)


def lists(table: np.ndarray) -> list[list[int]]:
    return [[int(g) for g in row if g >= 0] for row in table]


@pytest.mark.parametrize("direction", ["pred_to_real", "real_to_pred"])
@pytest.mark.parametrize("scope", ["none", "row", "panel", "pair"])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("ties", [True, False])
def test_brute_force(metric: str, scope: str, direction: str, ties: bool) -> None:
    if scope == "pair" and metric == "spearman":
        with pytest.raises(ValueError, match="exclude_targets='pair' cannot be had with metric='spearman'"):
            rank_all(make_task(random_panel(0), metric=metric, scope=scope), "mid")
        return
    for seed in range(6):
        panel = random_panel(seed, genes=14, ties=ties)
        task = make_task(panel, metric=metric, scope=scope, direction=direction)
        x, y, own = panel.pred, panel.real, panel.scored
        targets_x, targets_y = panel.targets.table[panel.scored], panel.targets.table
        if direction == "real_to_pred":
            x, y, own, targets_y = panel.real[panel.scored], panel.pred, np.arange(len(panel.pred)), targets_x
            if scope == "panel":  # the panel is that of the observed candidates
                left = np.setdiff1d(np.arange(x.shape[1]), panel.targets.union)
                x, y, targets_x, targets_y = x[:, left], y[:, left], targets_x * 0 - 1, targets_y * 0 - 1
        want = reference.ranks(x, y, own, lists(targets_x), lists(targets_y), metric=metric, scope=scope, ties="mid")
        got = rank_all(task, "mid")
        if ties and metric in ("cosine", "pearson", "spearman") and scope in ("row", "pair"):
            # equal angles of different vectors are equal only up to rounding
            assert np.abs(got.rank - want).max() <= 1
        else:
            np.testing.assert_array_equal(got.rank, want)


@pytest.mark.parametrize("rule", TIES)
@pytest.mark.parametrize("scope", ["none", "row", "pair"])
def test_tie_rules(rule: str, scope: str) -> None:
    panel = random_panel(5)
    want = reference.ranks(
        panel.pred,
        panel.real,
        panel.scored,
        lists(panel.targets.table[panel.scored]),
        lists(panel.targets.table),
        metric="cityblock",
        scope=scope,
        ties=rule,
    )
    np.testing.assert_array_equal(rank_all(make_task(panel, metric="cityblock", scope=scope), rule).rank, want)


@pytest.mark.parametrize("scope", ["none", "row", "panel", "pair"])
@pytest.mark.parametrize("metric", ["cityblock", "euclidean", "cosine"])
def test_blocks_do_not_show(metric: str, scope: str, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = random_panel(1, n=160, genes=50, ties=False)
    panel = make_panel(panel.pred, panel.real, [[k % 45] for k in range(160)], panel.scored.tolist())
    want = rank_all(make_task(panel, metric=metric, scope=scope), "mid")
    monkeypatch.setattr("vcmetrics.retrieval.ranking._BLOCK", 1)
    monkeypatch.setattr("vcmetrics.retrieval.ranking._DUELS", 1)
    for n_threads in (1, 3):
        got = rank_all(make_task(panel, metric=metric, scope=scope, n_threads=n_threads), "mid")
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("metric", ["cityblock", "euclidean", "sqeuclidean", "cosine", "pearson"])
def test_dominant_targets_do_not_drown_the_duels(metric: str) -> None:
    # without the targets the profiles are a billionth of what they were
    rng = np.random.default_rng(3)
    real = rng.normal(size=(9, 30))
    pred = real + 0.5 * rng.normal(size=real.shape)
    targets = [[k] for k in range(9)]
    for k in range(9):
        real[k, k], pred[k, k] = -1e9, -1.1e9
    panel = make_panel(pred, real, targets)
    got = rank_all(make_task(panel, metric=metric, scope="pair"), "mid")
    want = reference.ranks(pred, real, range(9), targets, targets, metric=metric, scope="pair")
    np.testing.assert_array_equal(got.rank, want)


def test_margin_and_nearest() -> None:
    panel = make_panel(np.array([[0.0, 0], [3, 4]]), np.array([[1.0, 0], [3, 0], [0, 5]]), [[], [], []], [0, 2])
    got = rank_all(make_task(panel, metric="euclidean", scope="none"), "mid")
    np.testing.assert_array_equal(got.rank, [0, 0])
    np.testing.assert_array_equal(got.nearest, [1, 1])
    np.testing.assert_allclose(got.own, [1, np.sqrt(10)])
    np.testing.assert_allclose(got.margin, [2, 4 - np.sqrt(10)])
    for metric in ("cityblock", "sqeuclidean", "cosine"):
        table = np.empty((2, 3))
        found = rank_all(make_task(panel, metric=metric, scope="none"), "mid", table)
        np.testing.assert_array_equal(found.own, table[[0, 1], [0, 2]])
        np.testing.assert_allclose(found.margin, table[[0, 1], found.nearest] - found.own)
    alone = make_panel(np.ones((1, 2)), np.ones((1, 2)), [[]])
    found = rank_all(make_task(alone, metric="cosine", scope="none"), "mid")
    assert found.nearest[0] == -1
    assert np.isnan(found.margin[0])
    assert found.rank[0] == 0


def test_the_nearest_of_euclidean_duels_is_that_of_the_smallest_margin() -> None:
    rng = np.random.default_rng(3)
    pred, real = rng.normal(size=(15, 15)), rng.normal(size=(15, 15))
    names = [f"G{k:02d}" for k in range(15)]
    table = vcm.discrimination(
        pred, real, labels=names, genes=names, control=None, reference="none", metric="l2", exclude_targets="pair"
    )
    for i in range(15):
        leads = np.full(15, np.inf)
        for j in set(range(15)) - {i}:
            kept = [g for g in range(15) if g not in (i, j)]
            leads[j] = np.linalg.norm((pred[i] - real[j])[kept]) - np.linalg.norm((pred[i] - real[i])[kept])
        assert table["nearest"].iloc[i] == names[leads.argmin()]
        np.testing.assert_allclose(table["margin"].iloc[i], leads.min(), rtol=1e-12)
