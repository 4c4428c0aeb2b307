"""Standing of every query among its candidates, a block of rows at a time: the n × n table is never held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.retrieval.duels import Duels
from vcmetrics.retrieval.pairs import ANGLES, SUMS, PairDistances
from vcmetrics.retrieval.panel import Panel
from vcmetrics.retrieval.ranks import Standing, standing
from vcmetrics.retrieval.scales import matched, norms

if TYPE_CHECKING:
    from vcmetrics.backend.gpu import Engine

Array = NDArray[Any]
Table = NDArray[np.float64]
SCOPES = ("none", "row", "panel", "pair")
DIRECTIONS = ("pred_to_real", "real_to_pred")
_BLOCK = 1 << 22  # distances held at a time
_DUELS = 1 << 20
_FEWEST = 48  # rows of a block, so that the kernel's tiles stay full


@dataclass(frozen=True)
class Task:
    """Queries and candidates as a distance takes them: scope and scale settled."""

    x: Array
    y: Array
    own: NDArray[np.int64]
    targets_x: NDArray[np.int64]
    targets_y: NDArray[np.int64]
    metric: str
    scope: str
    undefined: NDArray[np.bool_]  # queries without a direction under a norm match: everything ties
    finish: Callable[[Table], Table]  # from what is ranked to the distance that is reported
    n_threads: int
    without: NDArray[np.int64] | None = None  # columns that no distance sees
    engine: Engine | None = None  # of the GPU that sums of pairs are sent to

    def blocks(self) -> Iterator[tuple[int, int, Table, Table | None]]:
        """(first, last, distances, what each is compared with where that is no single own distance)."""
        n, width = len(self.x), len(self.y)
        duels = self.scope == "pair"
        step = max(_FEWEST, (_DUELS if duels else _BLOCK) // max(width, 1))
        distances = self._distances()
        for first in range(0, n, step):
            last = min(first + step, n)
            block = distances(first, last)
            block, mine = block if isinstance(block, tuple) else (block, None)
            lost = np.flatnonzero(self.undefined[first:last])
            block[lost] = np.nan
            if mine is not None:
                mine[lost] = np.nan
            yield first, last, block, mine

    def _distances(self) -> Callable[[int, int], Any]:
        if self.scope == "pair":
            return Duels(self.x, self.y, self.own, self.targets_x, self.targets_y, self.metric, self.n_threads).block
        if self.scope == "row":
            return self._row_scope
        pairs = PairDistances(self.x, self.y, self.metric, self.n_threads, self.without, sent=self.engine)
        return lambda first, last: pairs.block(first, last, rooted=False)

    def _row_scope(self, first: int, last: int) -> Table:
        """Distances without each query's own genes: the kernel leaves one out, several are cut away."""
        from vcmetrics.metrics.discrimination import match_distances

        out = np.empty((last - first, len(self.y)))
        targets = self.targets_x[first:last]
        several = (targets >= 0).sum(1) > 1
        by_kernel = self.metric in SUMS
        if not by_kernel:
            several = (targets >= 0).any(1)
        simple = np.flatnonzero(~several)
        if simple.size and not by_kernel:
            rows = np.ascontiguousarray(self.x[first:last][simple])
            out[simple] = PairDistances(rows, self.y, self.metric, self.n_threads).block(0, simple.size)
        elif simple.size:
            kind = {"cityblock": "l1", "cosine": "cosine"}.get(self.metric, "l2")
            rows = self.x[first:last][simple].astype(np.float64)
            truth = self.y.astype(np.float64, copy=False)
            out[simple] = match_distances(rows, truth, kind, targets[simple].max(1), n_threads=self.n_threads)  # type: ignore[arg-type]
        for i in np.flatnonzero(several).tolist():
            genes = targets[i][targets[i] >= 0]
            row = np.ascontiguousarray(np.delete(self.x[first + i : first + i + 1], genes, axis=1))
            rest = np.ascontiguousarray(np.delete(self.y, genes, axis=1))
            out[i] = PairDistances(row, rest, self.metric, self.n_threads).block(0, 1, rooted=False)
        return out


def same(values: Table) -> Table:
    """The values themselves."""
    return values


def root(values: Table) -> Table:
    """Square roots."""
    return np.asarray(np.sqrt(values))


def chord(values: Table) -> Table:
    """Distance of unit vectors from 1 - cosine."""
    return np.asarray(np.sqrt(2 * values))


def chord_squared(values: Table) -> Table:
    """Squared distance of unit vectors from 1 - cosine."""
    return 2 * values


def make_task(
    panel: Panel,
    *,
    metric: str,
    scope: str,
    direction: str = "pred_to_real",
    norm_match: str = "none",
    residual: bool = False,
    n_threads: int = 1,
) -> Task:
    """Apply scope, residual and norm match to a panel.

    Raises
    ------
    DataError
        If the panel's targets are all the genes there are.
    ValueError
        For an unknown scope or direction, or a pair scope that the metric cannot have.
    """
    if scope not in SCOPES:
        msg = f"exclude_targets {scope!r} is not known; choose from {', '.join(SCOPES)}"
        raise ValueError(msg)
    if direction not in DIRECTIONS:
        msg = f"direction {direction!r} is not known; choose from {', '.join(DIRECTIONS)}"
        raise ValueError(msg)
    pred, real = panel.pred, panel.real
    genes = panel.targets.table
    without: NDArray[np.int64] | None = None
    if scope == "panel" and panel.targets.union.size:
        gone = panel.targets.union
        if gone.size == real.shape[1]:
            msg = "every gene is a target of the panel, none is left to compare; pass exclude_targets='pair' or 'none'"
            raise DataError(msg)
        if metric in SUMS and norm_match == "none":
            without = gone  # the kernel passes over them, so nothing is copied
        else:
            pred, real = (np.ascontiguousarray(np.delete(table, gone, axis=1)) for table in (pred, real))
    if residual:
        pred, real = (table - table.mean(0, dtype=np.float64) for table in (pred, real))
    undefined = np.zeros(len(pred), np.bool_)
    finish = root if metric == "euclidean" else same
    if norm_match != "none":
        unseen = genes if scope in ("row", "pair") else None
        own_unseen = None if unseen is None else unseen[panel.scored]
        lengths = (
            norms(pred, metric, own_unseen, n_threads),
            norms(real[panel.scored], metric, own_unseen, n_threads),
            norms(real, metric, unseen, n_threads),
        )
        if norm_match == "unit" and metric in ("euclidean", "sqeuclidean"):
            # |u - v|² = 2 - 2 cos; a zero truth has no direction and lies where an orthogonal one does
            metric, finish = "cosine", chord if metric == "euclidean" else chord_squared
        else:
            pred, real = matched(pred, real[panel.scored], real, norm_match, metric, lengths)
        if metric not in ANGLES and direction == "pred_to_real":
            undefined = lengths[0] == 0
    of_queries, rest = genes[panel.scored], (metric, scope, undefined, finish, n_threads, without)
    if direction == "real_to_pred":
        rows = np.ascontiguousarray(real[panel.scored])
        return Task(rows, pred, np.arange(len(pred)), of_queries, of_queries, *rest)
    return Task(pred, real, panel.scored, of_queries, genes, *rest)


def rank_all(
    task: Task, ties: str, distances: Table | None = None, counted: NDArray[np.bool_] | None = None
) -> Standing:
    """Standing of every query among the candidates that are ``counted`` (None: all).

    ``distances`` (n, n_candidates) receives the table where it is wanted.
    """
    parts: list[Standing] = []
    for first, last, block, mine in task.blocks():
        found = standing(block, task.own[first:last], ties, mine, counted)
        own = task.finish(found.own)
        if mine is not None and task.finish is not same:
            # ranks are those of the squares; which duel is the tightest is asked of the distances
            told = standing(task.finish(block), task.own[first:last], ties, task.finish(mine), counted)
            found, margin = found._replace(nearest=told.nearest), told.margin
        elif task.finish is not same:
            rows = np.arange(last - first)
            nearest = np.where(found.nearest >= 0, block[rows, found.nearest], np.nan)
            margin = task.finish(nearest) - own
        else:
            margin = found.margin
        parts.append(found._replace(own=own, margin=margin))
        if distances is not None:
            distances[first:last] = task.finish(block)
    return Standing(*(np.concatenate([part[k] for part in parts]) for k in range(4)))
