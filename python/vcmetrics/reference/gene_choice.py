"""Genes of one perturbation after the other: sorted lists of plain numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.t_statistics import t_statistics


def gene_choice(pair: Pair, genes: Any = "all", exclude: str = "none", alpha: float = 0.05) -> list[list[int]]:
    """Ascending gene numbers of every perturbation."""
    lists = [_without(pair, p, exclude) for p in range(pair.n)]
    if not isinstance(genes, str):
        wanted = set(map(str, genes))
        return [[g for g in one if str(pair.genes[g]) in wanted] for one in lists]
    name = genes
    for kept in ("non_zero", "non_dropout"):
        if name.endswith(f":{kept}"):
            name = name[: -len(kept) - 1]
            lists = [[g for g in one if _stays(pair, p, g, kept)] for p, one in enumerate(lists)]
    union = name.startswith("union_")
    name, _, count = name.removeprefix("union_").partition(":")
    k = int(count) if count else None
    lists = [sorted(_list(pair, p, one, name, k, alpha)) for p, one in enumerate(lists)]
    if union:
        every = {g for one in lists for g in one}
        lists = [[g for g in _without(pair, p, exclude) if g in every] for p in range(pair.n)]
    return lists


def rows_of(pair: Pair, *choice: Any) -> list[NDArray[np.int64]]:
    """The same as index arrays."""
    return [np.array(one, np.int64) for one in gene_choice(pair, *choice)]


def _own(pair: Pair, p: int) -> set[int]:
    if pair.own[p] >= 0:
        return {int(pair.own[p])}
    parts = pair.perturbations[p].split("+")
    return {g for g, name in enumerate(pair.genes) if len(parts) > 1 and str(name) in parts}


def _without(pair: Pair, p: int, exclude: str) -> list[int]:
    gone: set[int] = set()
    if exclude != "none":
        gone = gone.union(*(_own(pair, q) for q in (range(pair.n) if exclude == "panel" else [p])))
    return [g for g in range(pair.profiles()[1].mean.shape[1]) if g not in gone]


def _stays(pair: Pair, p: int, g: int, kept: str) -> bool:
    real = pair.profiles()[1]
    return bool(real.mean[p, g] != 0 or (kept == "non_dropout" and real.control[g] == 0))


def _list(pair: Pair, p: int, genes: list[int], name: str, k: int | None, alpha: float) -> list[int]:
    if name == "all":
        return genes
    real = pair.profiles()[1]
    if name == "top_expressed":
        return sorted(genes, key=lambda g: (-float(real.control[g]), g))[:k]
    if name == "top_variable":
        spread = np.std([real.control, *real.mean], axis=0)
        return sorted(genes, key=lambda g: (-float(spread[g]), g))[:k]
    if name in ("top_effect", "effect_rank"):
        size = {g: abs(float(real.mean[p, g]) - float(real.control[g])) for g in genes}
        if name == "top_effect":
            return sorted(genes, key=lambda g: (-size[g], g))[:k]
        assert k is not None
        rank = {
            g: sum(size[h] > size[g] for h in genes) + (sum(size[h] == size[g] for h in genes) + 1) / 2 for g in genes
        }
        return [g for g in genes if rank[g] <= k]
    if name.startswith("t_test"):
        t, _ = pair.shared(
            ("reference t", name), lambda: t_statistics(pair, overestimated=name.endswith("overestimated"))
        )
        return sorted(genes, key=lambda g: (-abs(float(t[p, g])), g))[:k]
    assert name == "de"
    assert pair.de_real is not None
    table = pair.de_real
    row, place = table.targets.index(pair.perturbations[p]), {str(g): c for c, g in enumerate(table.genes)}
    found = []
    for g in genes:
        column = place.get(str(pair.genes[g]), -1)
        if column >= 0 and table.p_adj[row, column] < alpha:
            size_of = abs(float(table.lfc[row, column]))
            found.append((float(table.p_adj[row, column]), -(0.0 if np.isnan(size_of) else size_of), g))
    return [g for _, _, g in sorted(found)[:k]]
