"""Values as scorers that work in float32 see them.

Their float32 ``log1p`` and ``expm1`` are NumPy's, which differ in the last bit from other correct ones (and from CPU to
CPU). To give the same numbers on the same machine these few recipes let NumPy make the values, in a float32 copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.sources.rows import ChunkedArray, Rows

BLOCK = 1 << 22  # stored values at a time


def blocks(indptr: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Cut the rows into runs of some millions of stored values."""
    first, n = 0, indptr.shape[0] - 1
    while first < n:
        last = int(np.searchsorted(indptr, indptr[first] + BLOCK, side="right")) - 1
        last = max(first + 1, last)
        yield first, last
        first = last


def mapped(rows: Rows, per_cell: NDArray[np.float32], value: Callable[[Any, Any], Any]) -> Rows:
    """Rows with ``value(y, its cell's per_cell)`` for every stored y, float32; column numbers stay where they lie."""
    data = np.empty(rows.nnz, np.float32)
    for first, last in blocks(rows.indptr):
        start, stop = int(rows.indptr[first]), int(rows.indptr[last])
        cells = np.repeat(per_cell[first:last], np.diff(rows.indptr[first : last + 1]))
        data[start:stop] = value(rows.data.read(start, stop).astype(np.float32), cells)
    return replace(rows, data=ChunkedArray.of(data))


def log_normalised(rows: Rows, totals: NDArray[np.float64], target: float) -> Rows:
    """log1p(y / (total / target)); empty cells stay 0."""
    depth = (totals.astype(np.float32) / np.float32(target)).astype(np.float32)
    depth[depth == 0] = 1.0
    return mapped(rows, depth, lambda y, size: np.log1p(y / size))


def exponentiated(rows: Rows) -> Rows:
    """expm1(y): log-normalised values back on the linear scale."""
    return mapped(rows, np.zeros(rows.n_rows, np.float32), lambda y, _: np.expm1(y))


def per_million(rows: Rows, totals: NDArray[np.float64], target: float) -> Rows:
    """Y · float32(target / total), as scorers on a GPU scale counts."""
    with np.errstate(divide="ignore"):
        factor = np.where(totals > 0, target / totals, 0.0).astype(np.float32)
    return mapped(rows, factor, lambda y, f: y * f)
