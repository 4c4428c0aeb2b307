"""Meaning of target ranking: genes sorted, targets looked up."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair

Values = NDArray[np.float64]


def _ranks(pair: Pair, of: str) -> list[tuple[list[float], int]]:
    """Ranks of the targets of each perturbation, and the number of genes."""
    pred, _ = pair.profiles()
    genes = [str(g) for g in pair.genes]
    out = []
    for k, name in enumerate(pair.perturbations):
        parts = [part.strip() for part in name.split("+")] if name not in genes else [name]
        found = {int(pair.own[k])} if pair.own[k] >= 0 else set()
        named = {genes.index(part) for part in parts if part in genes}
        if len(named) > 1 and pair.own[k] < 0:
            found = named
        row = pred.mean[k]
        if of != "value":
            row = pred.mean[k] - pred.control
            row = np.abs(row) if of == "absolute_effect" else -row
        ranks = []
        for g in sorted(found):
            before = sum(v > row[g] for v in row)
            same = sum(v == row[g] for v in row) - 1
            ranks.append(before + same / 2)
        out.append((ranks, len(row)))
    return out


def target_rank_score(pair: Pair, *, of: str = "value") -> Values:
    """Mean of 1 - rank / n_genes."""
    found = _ranks(pair, of)
    return np.array([sum(1 - r / n for r in ranks) / len(ranks) if ranks else math.nan for ranks, n in found])


def target_ndcg(pair: Pair, *, of: str = "value") -> Values:
    """Discounted gain over that of ranks 0, 1, 2, …"""
    out = []
    for ranks, n in _ranks(pair, of):
        gain = sum((1 - r / n) / math.log2(r + 2) for r in ranks)
        best = sum((1 - r / n) / math.log2(r + 2) for r in range(len(ranks)))
        out.append(gain / best if ranks else math.nan)
    return np.array(out)


def target_hit(pair: Pair, *, of: str = "value") -> Values:
    """Any target before as many places as there are targets."""
    found = _ranks(pair, of)
    return np.array([float(any(r < len(ranks) for r in ranks)) if ranks else math.nan for ranks, _ in found])


def target_recall(pair: Pair, *, of: str = "value", top_k: int = 10) -> Values:
    """Share of targets before place ``top_k``."""
    found = _ranks(pair, of)
    return np.array([sum(r < top_k for r in ranks) / len(ranks) if ranks else math.nan for ranks, _ in found])
