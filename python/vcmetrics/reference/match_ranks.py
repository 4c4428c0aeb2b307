"""Meaning of match ranks: effects by hand, one rank after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.retrieval import ranks

Values = NDArray[np.float64]


def _matched(control: Values, cells: NDArray[np.int64]) -> list[Values]:
    """Each row's control: that of its batches by its cells."""
    out = []
    for row in cells:
        base = np.zeros(control.shape[1])
        for b in range(row.size):
            if row[b] > 0:
                base = base + row[b] / row.sum() * control[b]
        out.append(base)
    return out


def _effects(pair: Pair, reference: str) -> tuple[list[Values], list[Values], Values]:
    """Predicted and observed rows, and what training rows are taken against."""
    pred, real = pair.profiles()
    if reference == "control":
        base = real.control if pair.train is None or pair.train.control is None else pair.train.control
        return [row - pred.control for row in pred.mean], [row - real.control for row in real.mean], base
    if reference == "none":
        return list(pred.mean), list(real.mean), np.zeros(real.mean.shape[1])
    if reference == "batch_control":
        assert pair.batches is not None
        control = pair.batches.control
        both = zip(pair.batches.pred_cells, pair.batches.real_cells, strict=True)
        cells = np.array([mine if mine.any() else true for mine, true in both])
        x = [row - m for row, m in zip(pred.mean, _matched(control, cells), strict=True)]
        y = [row - m for row, m in zip(real.mean, _matched(control, pair.batches.real_cells), strict=True)]
        return x, y, np.full(control.shape[1], np.nan)
    assert reference == "perturbed_mean"
    seen = real.mean if pair.train is None else pair.train.mean
    base = np.array([sum(column) / len(column) for column in seen.T.tolist()])
    return [row - base for row in pred.mean], [row - base for row in real.mean], base


def match_rank(
    pair: Pair,
    *,
    metric: str = "cosine",
    reference: str = "control",
    scope: str = "panel",
    candidates: str = "scored",
    direction: str = "pred_to_real",
    tie_rule: str = "mid",
    divide_by: str = "n-1",
    norm_match: str = "none",
    residual: bool = False,
    sample: int | None = None,
    output: str = "score",
) -> Values:
    """1 - rank / divisor, candidates in the order of their labels."""
    x, y, base = _effects(pair, reference)
    labels, own_genes = list(pair.perturbations), [[int(g)] if g >= 0 else [] for g in pair.own]
    if candidates == "all" and pair.train is not None:
        names = [str(g) for g in pair.genes]
        for label, row in zip(pair.train.labels, pair.train.mean, strict=True):
            if label not in pair.perturbations:
                labels.append(label)
                y.append(row - base)
                own_genes.append([names.index(label)] if label in names else [])
    n = len(x)
    order = sorted(range(len(labels)), key=lambda k: labels[k])
    truths, of_truths = np.array([y[k] for k in order]), [own_genes[k] for k in order]
    rows = np.array(x)
    own = [order.index(k) for k in range(n)]
    if residual:
        rows, truths = rows - rows.mean(0), truths - truths.mean(0)
    if scope == "panel":
        kept = [g for g in range(rows.shape[1]) if g not in {g for genes in of_truths for g in genes}]
        rows, truths = rows[:, kept], truths[:, kept]
        of_truths = [[] for _ in of_truths]
        own_genes = [[] for _ in own_genes]
    lost = np.zeros(n, bool)
    if norm_match != "none":
        size = [np.sqrt((row**2).sum()) for row in rows]
        true = [np.sqrt((truths[k] ** 2).sum()) for k in own]
        lost = np.array(size) == 0
        if norm_match == "self":
            rows = np.array([row * t / s if s else row for row, s, t in zip(rows, size, true, strict=True)])
        elif norm_match == "panel":
            rows = rows * (np.median(true) / np.median(size) if np.median(size) else 1.0)
        else:
            assert norm_match == "unit"
            metric = "cosine"
    if direction == "real_to_pred":
        query = sorted(range(n), key=lambda k: labels[k])
        faced = rows[query]
        rows, truths = truths[own], faced
        own, of_truths = [query.index(k) for k in range(n)], [own_genes[k] for k in query]
    width = len(truths)
    chosen = set(range(width))
    if sample is not None and sample < width:
        chosen = set(np.random.default_rng(0).choice(width, sample, replace=False).tolist())
    out = []
    for i in range(n):
        columns = [j for j in range(width) if j in chosen or j == own[i]]
        if lost[i] and metric != "cosine":
            rank = (len(columns) - 1) / 2
        else:
            rank = ranks(
                rows[i : i + 1], truths[columns], [columns.index(own[i])], [own_genes[i]],
                [of_truths[j] for j in columns], metric=metric, scope="none" if scope == "panel" else scope,
                ties=tie_rule,
            )[0]  # fmt: skip
        start, less = {"n-1": (0, 1), "n": (0, 0), "n, from 1": (1, 0)}[divide_by]
        share = (rank + start) / max(len(columns) - less, 1)
        out.append(share if output == "rank" else 1 - share)
    return np.array(out, np.float64)
