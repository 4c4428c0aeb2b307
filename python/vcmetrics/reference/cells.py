"""Meaning of the metrics that look at single cells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair

if TYPE_CHECKING:
    from vcmetrics.metrics.cells import CellSide

Values = NDArray[np.float64]


def mean_distances(cells: Values, codes: NDArray[np.int32], pairs: NDArray[np.int32]) -> Values:
    """Mean Euclidean distance over all ordered pairs of cells of two groups; NaN where a group is empty.

    A cell paired with itself counts (distance 0), as in the V-statistic.
    """
    out = np.full(len(pairs), math.nan)
    for k, (a, b) in enumerate(pairs):
        x, y = cells[codes == a], cells[codes == b]
        if len(x) and len(y):
            out[k] = math.fsum(math.dist(p, q) for p in x for q in y) / (len(x) * len(y))
    return out


def _dense(side: CellSide, embedding: str | None) -> Values:
    """Cells × features in float64: an embedding, or expression as float32 arithmetic gives it."""
    if embedding is not None and side.obsm is not None:
        return np.asarray(side.obsm(embedding), np.float64)
    out = np.zeros((side.rows.n_rows, side.rows.n_cols))
    for i in range(side.rows.n_rows):
        start, stop = int(side.rows.indptr[i]), int(side.rows.indptr[i + 1])
        columns, values = side.rows.indices.read(start, stop), side.rows.data.read(start, stop)
        if side.kind == "counts":
            unit = np.float32(side.totals[i]) / np.float32(side.target_sum)
            scaled = values.astype(np.float32) / (unit if unit != 0 else np.float32(1))
            values = (np.log1p(scaled.astype(np.float64)) / side.log_unit).astype(np.float32)
        out[i, columns] = values
    return out


def pearson_edistance(pair: Pair, *, embedding: str | None = None) -> Values:
    """Pearson, over perturbations, of 2 E|x - c| - E|x - x'| - E|c - c'| on both sides."""
    assert pair.cells is not None
    cells = pair.cells()
    energies = []
    for side in (cells.pred, cells.real):
        dense = _dense(side, embedding)
        codes, control = side.groups.codes, side.groups.control_code
        found = []
        for label in pair.perturbations:
            p = side.groups.labels.index(label)
            pairs = np.array([(p, control), (p, p), (control, control)], np.int32)
            cross, within, between = mean_distances(dense, codes, pairs)
            found.append(2 * cross - within - between)
        energies.append(found)
    return np.full(pair.n, _pearson(*energies))


def _pearson(x: list[float], y: list[float]) -> float:
    if len(x) < 2 or len(set(x)) == 1 or len(set(y)) == 1:
        return math.nan
    mx, my = math.fsum(x) / len(x), math.fsum(y) / len(y)
    xy = math.fsum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
    xx, yy = math.fsum((a - mx) ** 2 for a in x), math.fsum((b - my) ** 2 for b in y)
    return xy / math.sqrt(xx * yy)
