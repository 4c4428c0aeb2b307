"""Distances of many resamples of two groups at once.

A resample is a column of whole weights, one a cell: how often the cell was drawn (bootstrap), or 1 and 0 (permutation).
Profile and moment distances become products of weights and cells; distances over pairs of cells become products of
weights and tiles of distances, so that every distance is computed once for all resamples. Others are computed from
the drawn cells.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.distances.conventions import Choice
from vcmetrics.distances.draws import blocks
from vcmetrics.metrics.distance.energy import CELL_METRICS, cell_metric_name
from vcmetrics.metrics.distance.mmd import bandwidths
from vcmetrics.sources.cell_groups import CellGroups

Values = NDArray[np.float64]
Array = NDArray[Any]
_COLUMNS = 256  # resamples that one product takes
_DRAWN = 1 << 23  # numbers of drawn cells held at a time


class Resampled:
    """Two groups of cells whose distance is wanted for many resamples.

    Parameters
    ----------
    choice
        The distance and its parameters.
    cells
        Groups; ``a`` and ``b`` are the numbers of the two (they may be the same).
    """

    def __init__(self, choice: Choice, cells: CellGroups, a: int, b: int) -> None:
        self._choice = choice
        self._spec, self._how = choice.spec, dict(choice.parameters)
        self._cells, self._a, self._b = cells, a, b
        self._gammas: list[float | None] = [None]
        self._term = ""
        name = self._spec.name
        if name == "mmd" and isinstance(self._how["gamma"], str):  # the median of the cells, not of each resample
            self._how["gamma"] = bandwidths(cells, self._how["gamma"], self._how["kernel"])
        if name in ("edistance", "mean_pairwise"):
            self._how["cell_metric"] = metric = cell_metric_name(self._how["cell_metric"])
            if metric in CELL_METRICS and metric != "sqeuclidean" and not self._how.get("floor"):
                self._term = metric
        elif name == "mmd" and self._how["kernel"] not in ("linear", "poly") and not self._how["truncate"]:
            self._term = self._how["kernel"]
            if self._term == "rbf":
                self._gammas = list(bandwidths(cells, self._how["gamma"], "rbf"))
        if self._term:  # products pass by the formula, which refuses wrong parameters
            two = CellGroups(("x", "y"), np.array([0, 1], np.int32), np.zeros((2, 1)))
            self._spec.formula(two, np.array([[0, 1]], np.int32), **self._how)

    @property
    def _by_moments(self) -> bool:
        """Whether means (and squares) of the resamples are all that the formula reads."""
        name, how = self._spec.name, self._how
        if self._spec.kind == "profile":
            return bool(how.get("aggregate") == "mean")
        if name in ("edistance", "mean_pairwise"):
            return bool(how["cell_metric"] == "sqeuclidean")
        # sym_kldiv needs the exact 0 of a resample that repeats one cell, which no difference of sums gives
        return name == "t_test" or (name == "mmd" and how["kernel"] == "linear" and not how["truncate"])

    def drawn(self, wx: Values, wy: Values) -> Values:
        """Distances of independent draws.

        Parameters
        ----------
        wx, wy
            (n_a, n_resamples) and (n_b, n_resamples): how often each cell was drawn, cells in the order of the data.

        Returns
        -------
        (n_resamples,).
        """
        if self._by_moments:
            pieces = [
                self._from_moments([(self._members(self._a), wx[:, part]), (self._members(self._b), wy[:, part])])
                for part in columns(*wx.shape[::-1])
            ]
            return np.concatenate(pieces)
        if not self._term:
            return self._from_cells(self._members(self._a), wx, self._members(self._b), wy)
        from vcmetrics import _core

        x, y = self._block(self._members(self._a)), self._block(self._members(self._b))
        n, m = wx.sum(0), wy.sum(0)
        threads = self._cells.n_threads
        values = []
        for gamma in self._gammas:
            inside = [
                np.concatenate(
                    [
                        _core.weighted_pair_sums(
                            z, None, np.ascontiguousarray(w[:, part]), None, self._term, gamma, threads
                        )
                        for part in columns(*w.shape[::-1])
                    ]
                )
                for z, w in ((x, wx), (y, wy))
            ]
            cross = np.concatenate(
                [
                    _core.weighted_pair_sums(
                        x,
                        y,
                        np.ascontiguousarray(wx[:, part]),
                        np.ascontiguousarray(wy[:, part]),
                        self._term,
                        gamma,
                        threads,
                    )
                    for part in columns(*wx.shape[::-1])
                ]
            )
            values.append(self._finish(inside[0], inside[1], cross, n, m))
        return self._combined(values)

    def permuted(self, masks: NDArray[np.bool_]) -> Values:
        """Distances of relabellings of both groups' cells.

        Parameters
        ----------
        masks
            (n_a + n_b, n_resamples): whether a cell, of both groups in the order of the data, is labelled ``a``. Each
            column has n_a such cells.

        Returns
        -------
        (n_resamples,).
        """
        pool = np.sort(np.concatenate([self._members(self._a), self._members(self._b)]))
        if self._by_moments:
            return np.concatenate(
                [
                    self._from_moments(
                        [(pool, masks[:, part].astype(np.float64)), (pool, (~masks[:, part]).astype(np.float64))]
                    )
                    for part in columns(*masks.shape[::-1])
                ]
            )
        if not self._term:
            return self._from_cells(pool, masks, pool, ~masks)
        from vcmetrics import _core

        z = self._block(pool)
        n = masks.sum(0).astype(np.float64)
        m = len(z) - n
        threads = self._cells.n_threads
        # the smaller group's cells are looked at, the rest follows from sums over rows
        small = masks if n[0] <= m[0] else ~masks
        values = []
        for gamma in self._gammas:
            rows = _core.pair_row_sums(z, None, self._term, gamma, threads)
            inside = self._inside(z, small, gamma)
            across = products(rows[None, :], small)[0] - inside
            rest = float(rows.sum()) - 2 * across - inside
            first, second = (inside, rest) if small is masks else (rest, inside)
            values.append(self._finish(first, second, across, n, m))
        return self._combined(values)

    def _inside(self, z: Values, masks: NDArray[np.bool_], gamma: float | None) -> Values:
        """Sums over pairs of cells that a column of ``masks`` marks: by weights, or cell by cell where few are."""
        from vcmetrics import _core

        n, count, d, threads = len(z), masks.shape[1], z.shape[1], self._cells.n_threads
        chosen = int(masks[:, 0].sum())
        if chosen**2 * 3 * d * count > n**2 * (3 * d + 2 * count):
            return np.concatenate(
                [
                    _core.weighted_pair_sums(
                        z, None, np.ascontiguousarray(masks[:, part], np.float64), None, self._term, gamma, threads
                    )
                    for part in columns(count, n)
                ]
            )
        out = np.empty(count)
        step = max(1, _DRAWN // max(1, chosen * d))
        for start in range(0, count, step):
            part = masks[:, start : start + step]
            rows = np.nonzero(part.T)[1]
            codes = np.repeat(np.arange(part.shape[1], dtype=np.int32), part.sum(0))
            own = np.repeat(np.arange(part.shape[1], dtype=np.int32)[:, None], 2, axis=1)
            gammas = None if gamma is None else [gamma]
            means = _core.pair_means(z[rows], codes, part.shape[1], own, self._term, gammas, "v", threads)
            out[start : start + step] = np.asarray(means).reshape(-1) * float(chosen) ** 2
        return out

    def _finish(self, inside_x: Values, inside_y: Values, cross: Values, n: Values, m: Values) -> Values:
        """Means from sums, and the statistic."""
        a = cross / (n * m)
        if self._spec.name == "mean_pairwise":
            return a
        # a cell's pair with itself: distance 0, similarity 1
        own = 0.0 if self._spec.name == "edistance" else 1.0
        with np.errstate(invalid="ignore", divide="ignore"):
            if self._how["estimator"] == "u":
                wx, wy = (inside_x - own * n) / (n * (n - 1)), (inside_y - own * m) / (m * (m - 1))
                alone = 0.0 if self._how["one_cell"] == "zero" else np.nan
                wx, wy = np.where(n == 1, alone, wx), np.where(m == 1, alone, wy)
            else:
                wx, wy = inside_x / n**2, inside_y / m**2
        energy = (a - wx) + (a - wy)
        if self._spec.name == "mmd":
            return -energy
        return energy / 2 if self._how["halved"] else energy

    def _combined(self, values: list[Values]) -> Values:
        if self._spec.name != "mmd":
            return values[0]
        out = np.sum(values, axis=0)
        out = out / len(values) if self._how["combine"] == "mean" else out
        return np.asarray(np.sqrt(np.maximum(out, 0.0)) if self._how["root"] else out, np.float64)

    def _members(self, group: int) -> NDArray[np.int64]:
        return self._cells.members(group)

    def _block(self, rows: NDArray[np.int64]) -> Array:
        return np.ascontiguousarray(self._cells.cells(rows))

    def _from_moments(self, sides: list[tuple[NDArray[np.int64], Array]]) -> Values:
        means, squares, sizes = [], [], []
        deep = self._spec.kind != "profile"
        for rows, weights in sides:
            mean, square = self._moments(rows, weights, deep)
            means.append(mean)
            squares.append(square)
            sizes.append(np.rint(weights.sum(0)).astype(np.int64))
        count = len(means[0])
        table = CellGroups.of_moments(
            np.concatenate(means),
            np.concatenate(sizes),
            np.concatenate(squares) if deep else None,
            n_threads=self._cells.n_threads,
        )
        pairs = np.stack([np.arange(count), count + np.arange(count)], axis=1).astype(np.int32)
        return self._spec.formula(table, pairs, **self._how)

    def _moments(self, rows: NDArray[np.int64], weights: Array, deep: bool) -> tuple[Values, Values]:
        """(n_resamples, n_features) weighted means, and Σ w (x - mean)² where ``deep``."""
        cells = self._cells
        n = weights.sum(0)[:, None]
        if cells.values is None:
            from scipy import sparse

            assert cells.rows is not None
            part = cells.rows.take(rows)
            values = np.asarray(part.data.read(0, part.nnz), np.float64)
            indices = np.asarray(part.indices.read(0, part.nnz)).astype(np.int64, copy=False)
            matrix = sparse.csr_matrix((values, indices, part.indptr), shape=(part.n_rows, part.n_cols))
            mean = (matrix.T @ weights).T / n
            squares = (matrix.multiply(matrix).T @ weights).T - n * mean**2 if deep else mean
            return mean, np.maximum(squares, 0.0) if deep else mean
        mean = np.empty((weights.shape[1], cells.n_features))
        squares = np.empty(mean.shape) if deep else mean
        step = max(1, (1 << 24) // max(1, rows.size))
        for start in range(0, cells.n_features, step):
            features = slice(start, start + step)
            turned = np.ascontiguousarray(cells.values[rows, features].T, np.float64)
            if not deep:  # plain sums: features whose drawn values are alike tie, and zeros stay 0
                mean[:, features] = products(turned, weights).T / n
                continue
            centre = turned.mean(1, keepdims=True)
            turned -= centre
            away = products(turned, weights).T / n
            mean[:, features] = away + centre.T
            squares[:, features] = np.maximum(products(turned**2, weights).T - n * away**2, 0.0)
        return mean, squares

    def _from_cells(self, rows_x: NDArray[np.int64], wx: Array, rows_y: NDArray[np.int64], wy: Array) -> Values:
        """The formula on the drawn cells themselves, some resamples at a time."""
        cells, count = self._cells, wx.shape[1]
        drawn = int(wx[:, 0].sum() + wy[:, 0].sum())
        step = max(1, _DRAWN // max(1, drawn * cells.n_features))
        out = np.empty(count)
        for start in range(0, count, step):
            stop = min(start + step, count)
            rows, codes = [], []
            for k in range(start, stop):
                for side, (of, weights) in enumerate(((rows_x, wx), (rows_y, wy))):
                    times = weights[:, k].astype(np.int64)
                    rows.append(np.repeat(of, times))
                    codes.append(np.full(int(times.sum()), 2 * (k - start) + side, np.int32))
            labels = [cells.labels[g] for _ in range(start, stop) for g in (self._a, self._b)]
            part = cells.resample(np.concatenate(rows), np.concatenate(codes)).regrouped(labels, np.concatenate(codes))
            pairs = np.arange(2 * (stop - start), dtype=np.int32).reshape(-1, 2)
            out[start:stop] = self._spec.formula(part, pairs, **self._how)
        return out


def columns(count: int, n_cells: int) -> list[slice]:
    """Pieces of the resamples that one product takes, fewer where the weights of so many cells exceed the budget."""
    step = blocks(min(count, _COLUMNS), n_cells)[0].stop
    return [slice(k, min(k + step, count)) for k in range(0, count, step)]


def products(table: Array, weights: Array) -> Values:
    """(n_rows, n_resamples) sums over cells of table (n_rows, n_cells) times weights (n_cells, n_resamples).

    Each column has the same order of additions wherever it stands, so equal resamples give equal numbers.
    """
    from vcmetrics import _core

    turned = np.ascontiguousarray(weights.T, np.float64)
    return np.asarray(_core.pairwise_sums(np.ascontiguousarray(table, np.float64), turned, "product", None, 1))
