"""The pair scope: own against other candidate, both seen without the genes that either targets.

For query i (own candidate i) and candidate j, the distance of (x_i, y_j) meets that of (x_i, y_i), both without the
targets of i and of j. One table of sums over all genes serves all duels: what the left-out genes contribute is
subtracted, O(n²) for each target of a label, in float64. Where both distances of a duel differ by no more than the
rounding of that, both are summed anew over the genes that are left, so that equals are equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.retrieval.pairs import PairDistances, angles

Array = NDArray[Any]
Table = NDArray[np.float64]
Term = Callable[[Array, Array], Array]

METRICS = ("cityblock", "euclidean", "sqeuclidean", "cosine", "pearson")
# a sum that keeps less than this of what it was subtracted from is summed again without the left-out genes
_CANCELLED = 1e-6
# sides of a duel that are nearer to each other than this are summed again, so that rounding breaks no tie
_NEAR = 1e-9
_TOGETHER = 1 << 22  # values of the pairs that are summed again at a time


def _absolute(x: Array, y: Array) -> Array:
    return np.asarray(np.abs(x - y))


def _squared(x: Array, y: Array) -> Array:
    return np.asarray((x - y) ** 2)


def _product(x: Array, y: Array) -> Array:
    return np.asarray(x * y)


def _first(x: Array, y: Array) -> Array:
    return np.asarray(x + 0.0 * y)


def _second(x: Array, y: Array) -> Array:
    return np.asarray(y + 0.0 * x)


def _first_squared(x: Array, y: Array) -> Array:
    return _first(x, y) ** 2


def _second_squared(x: Array, y: Array) -> Array:
    return _second(x, y) ** 2


class Duels:
    """Distances of both sides of all duels, a block of queries at a time.

    Parameters
    ----------
    x, y
        Queries (n, n_genes) and candidates (n_candidates, n_genes).
    own
        (n,) row of ``y`` that is query i's own.
    targets_x, targets_y
        (n, widest) and (n_candidates, widest): own genes of queries and candidates, ascending, -1 beyond the last.
    metric
        One of :data:`METRICS`.
    """

    def __init__(
        self,
        x: Array,
        y: Array,
        own: NDArray[np.int64],
        targets_x: NDArray[np.int64],
        targets_y: NDArray[np.int64],
        metric: str,
        n_threads: int,
    ) -> None:
        if metric not in METRICS:
            msg = (
                f"exclude_targets='pair' cannot be had with metric={metric!r}, which is no sum over genes; choose from "
                f"{', '.join(METRICS)}, or exclude_targets='panel'"
            )
            raise ValueError(msg)
        self.metric = metric
        self.given = x, y
        # rows without a direction once their own targets are gone: all zero, or for Pearson all equal
        self.blank = np.array([_blank(row, own_genes, metric) for row, own_genes in zip(x, targets_x, strict=True)])
        if metric == "pearson":
            x, y = _shifted(x, targets_x), _shifted(y, targets_y)
        self.base = PairDistances(x, y, "cosine" if metric == "pearson" else metric, n_threads)
        self.x, self.y, self.own = self.base.x, self.base.y, own
        self.targets_x, self.targets_y = targets_x, targets_y
        self._shared = _labels_by_gene(targets_x, targets_y)
        if metric in ("cosine", "pearson"):
            self.sum_x, self.sum_y = (table.sum(1, dtype=np.float64) for table in (self.x, self.y))

    def block(self, first: int, last: int) -> tuple[Table, Table]:
        """Distances to every candidate and, beside them, to the own one: (last - first, n_candidates) each.

        Euclidean distances are squared.
        """
        full = self.base.sums(first, last)
        own = self.own[first:last]
        rows = np.arange(last - first)
        at_own = full[rows, own][:, None]
        if self.metric in ("cityblock", "euclidean", "sqeuclidean"):
            term = _absolute if self.metric == "cityblock" else _squared
            scale = np.maximum(full, at_own)
            sides = self._difference(full, first, term, False), self._difference(at_own, first, term, True)
        else:
            scale = np.ones((1, 1))
            sides = self._angle(full, first, False), self._angle(at_own, first, True)
        gap = np.abs(sides[0] - sides[1])
        near = (gap > 0) & (gap <= _NEAR * scale)
        near[rows, own] = False
        self._decide(sides, np.argwhere(near), first)
        return sides

    def _decide(self, sides: tuple[Table, Table], pairs: NDArray[np.int64], first: int) -> None:
        """Both distances of some duels from the genes that are left."""
        step = max(1, _TOGETHER // max(1, self.x.shape[1]))
        for start in range(0, len(pairs), step):
            rows, columns = pairs[start : start + step].T
            kept = self._kept(rows + first, columns)
            x = self._rest(self.given[0][rows + first], kept)
            for out, candidates in zip(sides, (columns, self.own[rows + first]), strict=True):
                y = self._rest(self.given[1][candidates], kept)
                if self.metric == "cityblock":
                    out[rows, columns] = np.einsum("ij->i", np.abs(x - y))
                elif self.metric in ("cosine", "pearson"):
                    xy, xx, yy = (np.einsum("ij,ij->i", a, b) for a, b in ((x, y), (x, x), (y, y)))
                    out[rows, columns] = angles(xy[:, None], xx, yy[:, None])[:, 0]
                else:
                    out[rows, columns] = np.einsum("ij,ij->i", x - y, x - y)

    def _kept(self, queries: NDArray[np.int64], candidates: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Genes that neither side of each pair targets."""
        kept = np.ones((len(queries), self.x.shape[1]), np.bool_)
        for targets in (*self.targets_x[queries].T, *self.targets_y[candidates].T):
            there = np.flatnonzero(targets >= 0)
            kept[there, targets[there]] = False
        return kept

    def _rest(self, rows: Array, kept: NDArray[np.bool_]) -> Table:
        """Rows with zeros at what is left out; for Pearson less the mean of what is left."""
        rest = np.where(kept, rows, 0.0)
        if self.metric == "pearson":
            rest -= rest.sum(1, keepdims=True) / np.maximum(kept.sum(1, keepdims=True), 1)
            rest[~kept] = 0.0
        return rest

    def _difference(self, full: Table, first: int, term: Term, itself: bool) -> Table:
        out, again = self._left(full, first, first + len(full), term, itself)
        self._sum_again(out, again, first, term, itself)
        return out

    def _angle(self, products: Table, first: int, itself: bool) -> Table:
        last = first + len(products)
        own = self.own[first:last]
        squares = self.base.squares_y[own][:, None] if itself else self.base.squares_y[None, :]
        xx, lost_x = self._left(self.base.squares_x[first:last][:, None], first, last, _first_squared, itself)
        yy, lost_y = self._left(squares, first, last, _second_squared, itself)
        xy = products - self._excluded(first, last, _product, itself)
        again = np.unique(np.concatenate([lost_x, lost_y]), axis=0)
        for out, term in ((xx, _first_squared), (yy, _second_squared), (xy, _product)):
            self._sum_again(out, again, first, term, itself)
        if self.metric == "pearson":
            n = self.x.shape[1] - self._excluded(first, last, _one, itself)
            sx = self.sum_x[first:last][:, None] - self._excluded(first, last, _first, itself)
            sy = (self.sum_y[own][:, None] if itself else self.sum_y[None, :]) - self._excluded(
                first, last, _second, itself
            )
            with np.errstate(invalid="ignore", divide="ignore"):
                xy -= sx * sy / n
                xx, yy = (np.maximum(s - t * t / n, 0.0) for s, t in ((xx, sx), (yy, sy)))
        xx[self.blank[first:last]] = 0.0
        return angles(xy, xx, yy)

    def _values(self, first: int, last: int, itself: bool) -> Any:
        """Values at the targets of queries and of candidates, one column of targets at a time."""
        x, y, own = self.x[first:last], self.y, self.own[first:last]
        rows = np.arange(last - first)
        for targets in self.targets_x[first:last].T:
            there = (targets >= 0)[:, None]
            of_y = y[own, targets][:, None] if itself else y[:, targets].T
            yield there, x[rows, targets][:, None], of_y, True
        for targets in self.targets_y.T:
            there = (targets >= 0)[None, :]
            of_y = y[own][:, targets] if itself else y[np.arange(len(y)), targets][None, :]
            yield there, x[:, targets], of_y, False

    def _excluded(self, first: int, last: int, term: Term, itself: bool) -> Table:
        """Sum of ``term`` over the targets of i and of j, each gene once."""
        shape = (last - first, len(self.y))
        parts = {True: np.zeros(shape), False: np.zeros(shape)}
        for there, x, y, of_query in self._values(first, last, itself):
            values = term(x, y)
            parts[of_query] += np.where(there, values, 0.0)
        both = parts[True]
        both += parts[False]
        for gene, (queries, candidates) in self._shared.items():
            rows = queries[(queries >= first) & (queries < last)]
            if not rows.size:
                continue
            x = self.x[rows, gene][:, None]
            y = self.y[self.own[rows], gene][:, None] if itself else self.y[candidates, gene][None, :]
            both[np.ix_(rows - first, candidates)] -= np.broadcast_to(term(x, y), (rows.size, candidates.size))
        return both

    def _left(self, full: Table, first: int, last: int, term: Term, itself: bool) -> tuple[Table, NDArray[np.int64]]:
        """Sums without the excluded, and the pairs of which nearly nothing is left."""
        out = np.maximum(full - self._excluded(first, last, term, itself), 0.0)
        lost = (out < _CANCELLED * full) & (full > 0) & ~self.blank[first:last][:, None]
        return out, np.argwhere(lost)

    def _sum_again(self, out: Table, pairs: NDArray[np.int64], first: int, term: Term, itself: bool) -> None:
        """Sum some pairs over the genes that are left, one by one."""
        step = max(1, _TOGETHER // max(1, self.x.shape[1]))
        for start in range(0, len(pairs), step):
            rows, columns = pairs[start : start + step].T
            x = self.x[first + rows].astype(np.float64)
            y = self.y[self.own[first + rows] if itself else columns].astype(np.float64)
            values = np.where(self._kept(first + rows, columns), term(x, y), 0.0)
            out[rows, columns] = np.einsum("ij->i", values)


def _one(x: Array, y: Array) -> Array:
    return np.ones(np.broadcast_shapes(np.shape(x), np.shape(y)))


def _blank(row: Array, targets: NDArray[np.int64], metric: str) -> bool:
    rest = np.delete(row, targets[targets >= 0])
    return not rest.size or bool((rest == (rest[0] if metric == "pearson" else 0)).all())


def _shifted(rows: Array, targets: NDArray[np.int64]) -> Table:
    """Rows less the mean of what their own targets leave: what correlates is then small beside no mean."""
    out = rows.astype(np.float64)
    for row, own in zip(out, targets, strict=True):
        rest = np.delete(row, own[own >= 0])
        if rest.size:
            row -= rest.mean()
    return out


def _labels_by_gene(
    targets_x: NDArray[np.int64], targets_y: NDArray[np.int64]
) -> dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Queries and candidates of every gene that both have: the genes that a duel would count twice."""
    of_x: dict[int, list[int]] = {}
    of_y: dict[int, list[int]] = {}
    for table, found in ((targets_x, of_x), (targets_y, of_y)):
        for i, k in np.argwhere(table >= 0).tolist():
            found.setdefault(int(table[i, k]), []).append(i)
    return {g: (np.array(of_x[g], np.int64), np.array(of_y[g], np.int64)) for g in of_x if g in of_y}
