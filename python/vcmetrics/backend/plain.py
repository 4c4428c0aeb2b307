"""What the CUDA kernels compute, in plain array operations: for CuPy arrays where ``_cuda`` cannot be used, and the
oracle of the kernels. Slow; written for CuPy, and runs with NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = Any  # of NumPy or CuPy


class PlainKernels:
    """The methods of :class:`~vcmetrics.backend.compiled.CompiledKernels`, with the same arguments and results.

    Parameters
    ----------
    xp
        The array library: ``cupy`` or ``numpy``.
    """

    is_compiled = False

    def __init__(self, xp: Any) -> None:
        self.xp = xp

    def pair_sums(self, x: Array, y: Array, term: str, out: Array | None = None) -> Array:
        """Row by row."""
        if out is None:
            out = self.xp.empty((len(x), len(y)))
        wide = y.astype(np.float64)
        for i in range(len(x)):
            row = x[i].astype(np.float64)
            if term == "product":
                out[i] = (row * wide).sum(1)
            else:
                away = row - wide
                out[i] = self.xp.abs(away).sum(1) if term == "cityblock" else (away * away).sum(1)
        return out

    def row_squares(self, x: Array) -> Array:
        """Σ x² of every row."""
        wide = x.astype(np.float64)
        with np.errstate(over="ignore"):  # the caller looks for infinite lengths
            return (wide * wide).sum(1)

    def match_counts(self, distance: Array, own: Array) -> Array:
        """Comparisons with the own candidate, counted."""
        xp = self.xp
        n, width = distance.shape
        own = xp.asarray(own, dtype=np.int64)
        table = distance.astype(np.float64)
        against = table[xp.arange(n), own][:, None]
        unknown, lost = xp.isnan(table), xp.isnan(against)
        column = xp.arange(width)[None, :]
        others = column != own[:, None]
        nearer = xp.where(lost, ~unknown, table < against) & others
        equal = xp.where(lost, unknown, table == against) & others
        before = equal & (column < own[:, None])
        return xp.stack([nearer.sum(1), equal.sum(1), before.sum(1)]).astype(np.int64)

    def co_moments(self, x: Array, y: Array, weights: Array | None = None) -> Array:
        """Two passes over the rows that count in each column."""
        xp = self.xp
        x, y = x.astype(np.float64), y.astype(np.float64)
        state = xp.zeros((9, x.shape[1]))
        if not len(x):
            return state
        w = xp.ones(len(x)) if weights is None else xp.asarray(weights, dtype=np.float64)
        used = xp.isfinite(x) & xp.isfinite(y) & (w > 0)[:, None]
        weight = xp.where(used, w[:, None], 0.0)
        x, y = xp.where(used, x, 0.0), xp.where(used, y, 0.0)
        first = used.argmax(0)
        columns = xp.arange(x.shape[1])
        state[0], state[1] = used.sum(0), weight.sum(0)
        state[2], state[3] = x[first, columns], y[first, columns]
        total = xp.where(state[1] > 0, state[1], 1.0)
        dx, dy = x - state[2], y - state[3]
        state[4], state[5] = (weight * dx).sum(0) / total, (weight * dy).sum(0) / total
        dx, dy = dx - state[4], dy - state[5]
        state[6], state[7] = (weight * dx * dx).sum(0), (weight * dy * dy).sum(0)
        state[8] = (weight * dx * dy).sum(0)
        return state

    def group_pair_sums(
        self, cells: Array, sizes: Any, pairs: Any, term: str, gammas: Sequence[float] | None = None
    ) -> Array:
        """Pair of groups by pair."""
        xp = self.xp
        starts = np.concatenate([[0], np.cumsum(np.asarray(sizes, np.int64))])
        out = xp.zeros((1 if gammas is None else len(gammas), len(pairs)))
        for k, (a, b) in enumerate(np.asarray(pairs).reshape(-1, 2).tolist()):
            x, y = cells[starts[a] : starts[a + 1]], cells[starts[b] : starts[b + 1]]
            sums = self.pair_sums(x, y, "cityblock" if term == "cityblock" else "sqeuclidean")
            if gammas is None:
                out[0, k] = (xp.sqrt(sums) if term == "euclidean" else sums).sum()
            else:
                for g, gamma in enumerate(gammas):
                    out[g, k] = xp.exp(-gamma * sums).sum()
        return out

    def group_sums(
        self,
        cells: Array | tuple[Array, Array, Array],
        n_genes: int,
        order: Any,
        sizes: Any,
        *,
        scale: Array | None = None,
        normalise: str = "raw",
    ) -> Array:
        """Group by group, each made dense."""
        xp = self.xp
        out = xp.zeros((2, len(sizes), n_genes))
        listed = order.get() if hasattr(order, "get") else np.asarray(order)  # CuPy's copy to the host
        rows_of = np.split(listed, np.cumsum(np.asarray(sizes))[:-1])
        for group, rows in enumerate(rows_of):
            for row in rows.tolist():
                if isinstance(cells, tuple):
                    data, indices, indptr = cells
                    begin, end = int(indptr[row]), int(indptr[row + 1])
                    values = xp.zeros(n_genes)
                    values[indices[begin:end]] = data[begin:end]
                else:
                    values = cells[row].astype(np.float64)
                if normalise != "raw":
                    values = values * scale[row]  # type: ignore[index]
                if normalise == "log1p":
                    values = xp.log1p(values)
                out[0, group] += values
                out[1, group] += values * values
        return out

    def rank_sums(
        self, control: Array, control_starts: Array, keys: Array, starts: Array, sizes: Any, n_control: int
    ) -> tuple[Array, Array]:
        """Gene by gene and group by group."""
        xp = self.xp
        n_genes, n_groups = len(control_starts) - 1, len(sizes)
        u2, tie = xp.zeros((n_groups, n_genes), dtype=np.int64), xp.zeros((n_groups, n_genes))
        for gene in range(n_genes):
            other = control[int(control_starts[gene]) : int(control_starts[gene + 1])]
            other = xp.sort(xp.concatenate([other, xp.zeros(n_control - len(other))]))
            for group in range(n_groups):
                at = gene * n_groups + group
                mine = keys[int(starts[at]) : int(starts[at + 1])]
                mine = xp.concatenate([mine, xp.zeros(int(sizes[group]) - len(mine))])
                left, right = (xp.searchsorted(other, mine, side=side) for side in ("left", "right"))
                u2[group, gene] = (left + right).sum()
                _, counts = xp.unique(xp.concatenate([mine, other]), return_counts=True)
                tie[group, gene] = (counts.astype(np.int64) ** 3 - counts).sum()
        return u2, tie

    def row_totals(self, data: Array, indptr: Array) -> Array:
        """Differences of the running sum are not used: they would round."""
        xp = self.xp
        out = xp.zeros(len(indptr) - 1)
        for row in range(len(out)):
            out[row] = data[int(indptr[row]) : int(indptr[row + 1])].sum(dtype=np.float64)
        return out
