"""Meaning of the virtual screen: bins, draws and scores, gene by gene."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.gene_correlation import spearman
from vcmetrics.reference.roc import average_precision, roc_area

Values = NDArray[np.float64]


def _scores(
    rows: list[Values], names: list[str], genes: set[str], ctrl_size: int, n_bins: int, seed: int
) -> list[float]:
    average = {name: float(np.mean([row[k] for row in rows])) for k, name in enumerate(names)}
    per_bin = max(1, round(len(names) / (n_bins - 1)))
    bins = {name: (1 + sum(v < average[name] for v in average.values())) // per_bin for name in names}
    draw = np.random.RandomState(seed)
    others: set[str] = set()
    for cut in sorted({bins[name] for name in genes}):
        members = sorted(name for name in names if bins[name] == cut)
        if ctrl_size < len(members):
            members = [members[k] for k in draw.choice(len(members), ctrl_size, replace=False)]
        others |= set(members) - genes
    at = {name: k for k, name in enumerate(names)}
    mine, theirs = ([at[g] for g in sorted(part)] for part in (genes, others))
    return [float(np.mean(row[mine]) - np.mean(row[theirs])) for row in rows]


def _all(
    pair: Pair, gene_set: Sequence[str] | None, ctrl_size: int, n_bins: int, seed: int
) -> tuple[list[float], list[float], list[float]]:
    assert gene_set is not None
    assert pair.train is not None
    pred, real = pair.profiles()
    control = real.control if pair.train.control is None else pair.train.control
    seen = [
        row - control
        for label, row in zip(pair.train.labels, pair.train.mean, strict=True)
        if label not in pair.perturbations
    ]
    names = [str(g) for g in pair.genes]
    genes = set(gene_set) & set(names)
    how = (names, genes, ctrl_size, n_bins, seed)
    true = _scores([*(row - real.control for row in real.mean), *seen], *how)
    guess = _scores([*(row - pred.control for row in pred.mean), *seen], *how)
    return true[: pair.n], guess[: pair.n], true[pair.n :]


def _hits(true: list[float], train: list[float], mads: float, sign: float) -> list[bool]:
    middle = float(np.median(train))
    mad = float(np.median([abs(v - middle) for v in train]))
    return [sign * (v - middle) > mads * mad for v in true]


def virtual_screen_auroc(
    pair: Pair,
    *,
    gene_set: Sequence[str] | None = None,
    direction: str = "up",
    mads: float = 1.0,
    ctrl_size: int = 50,
    n_bins: int = 25,
    seed: int = 0,
) -> Values:
    """Pairs of a hit and another in the right order."""
    true, guess, train = _all(pair, gene_set, ctrl_size, n_bins, seed)
    sign = {"up": 1.0, "down": -1.0}[direction]
    return np.full(pair.n, roc_area(_hits(true, train, mads, sign), [sign * v for v in guess]))


def virtual_screen_average_precision(
    pair: Pair,
    *,
    gene_set: Sequence[str] | None = None,
    direction: str = "up",
    mads: float = 1.0,
    ctrl_size: int = 50,
    n_bins: int = 25,
    seed: int = 0,
) -> Values:
    """Precision at each hit."""
    true, guess, train = _all(pair, gene_set, ctrl_size, n_bins, seed)
    sign = {"up": 1.0, "down": -1.0}[direction]
    return np.full(pair.n, average_precision(_hits(true, train, mads, sign), [sign * v for v in guess]))


def virtual_screen_spearman(
    pair: Pair,
    *,
    gene_set: Sequence[str] | None = None,
    ctrl_size: int = 50,
    n_bins: int = 25,
    seed: int = 0,
) -> Values:
    """Correlation of average ranks."""
    true, guess, _ = _all(pair, gene_set, ctrl_size, n_bins, seed)
    return np.full(pair.n, spearman(np.array(true), np.array(guess)) if pair.n > 1 else math.nan)
