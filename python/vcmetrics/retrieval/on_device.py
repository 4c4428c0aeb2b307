"""Distances and match ranks of tables on a GPU, or sent there in batches of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from vcmetrics.backend.batches import in_batches
from vcmetrics.backend.gpu import Engine, device_array, device_table
from vcmetrics.retrieval.pairs import PairDistances
from vcmetrics.retrieval.ranks import own_columns

Array = Any  # of NumPy or CuPy


def cdist_on(engine: Engine, x: Any, y: Any, metric: str, out: Array | None, *, from_host: bool) -> Array:
    """:func:`vcmetrics.arrays.cdist` by an engine.

    Tables from the host come back to it: only a batch of rows of the result is held on the device.
    """
    rows_x = device_table(x, "x", engine, what="cdist")
    rows_y = rows_x if y is x else device_table(y, "y", engine, what="cdist")
    if rows_x.shape[1] != rows_y.shape[1]:
        msg = f"x has {rows_x.shape[1]} features, y has {rows_y.shape[1]}"
        raise ValueError(msg)
    shape = (len(rows_x), len(rows_y))
    xp = np if from_host else engine.xp
    if out is None:
        out = xp.empty(shape)
    elif not isinstance(out, xp.ndarray) or out.dtype != np.float64 or out.shape != shape or not out.flags.c_contiguous:
        msg = f"out must be a C-contiguous float64 array of shape {shape}, where the tables lie"
        raise ValueError(msg)
    pairs = PairDistances(rows_x, rows_y, metric, 1, engine=engine)
    if not from_host:
        return pairs.block(0, shape[0], out)

    def batch(first: int, last: int) -> None:
        out[first:last] = engine.to_host(pairs.block(first, last))

    # a block and the lengths that angles make of it
    fits = engine.free() // (2 * 2 * 8 * max(1, shape[1]))
    in_batches(shape[0], max(1, fits), batch, what="cdist", out_of_memory=engine.out_of_memory, release=engine.release)
    return out


def match_rank_on(engine: Engine, d: Any, own: Any, ties: str, *, from_host: bool) -> Array:
    """:func:`vcmetrics.arrays.match_rank` by an engine; ``ties`` is a canonical rule."""
    table = np.asarray(d) if from_host else device_array(d, engine)
    columns = own_columns(
        table, own if own is None or isinstance(own, np.ndarray | list | tuple) else engine.to_host(own)
    )
    n, width = table.shape
    if not from_host:
        return ranks_of_counts(engine.kernels.match_counts(rows_of_floats(table, engine), columns), ties)
    out = np.empty(n)

    def batch(first: int, last: int) -> None:
        rows = rows_of_floats(engine.xp.asarray(table[first:last]), engine)
        out[first:last] = engine.to_host(ranks_of_counts(engine.kernels.match_counts(rows, columns[first:last]), ties))

    fits = engine.free() // (4 * 8 * max(1, width))
    in_batches(n, max(1, fits), batch, what="match_rank", out_of_memory=engine.out_of_memory, release=engine.release)
    return out


def rows_of_floats(table: Array, engine: Engine) -> Array:
    """A table whose rows the kernels can read: float32 or float64, contiguous; other numbers become float64."""
    floats = table if table.dtype in (np.float32, np.float64) else table.astype(np.float64)
    apart = floats.strides[0] // floats.itemsize if floats.size else 0
    fine = floats.shape[1] <= 1 or (floats.strides[1] == floats.itemsize and apart >= floats.shape[1])
    return floats if fine and apart >= floats.shape[1] else engine.xp.ascontiguousarray(floats)


def ranks_of_counts(counts: Array, ties: str) -> Array:
    """Ranks from 0 from the counts of :meth:`~vcmetrics.backend.compiled.CompiledKernels.match_counts`."""
    nearer, equal, before = counts
    if ties == "mid":
        share = equal / 2
    elif ties == "first":
        share = before
    elif ties == "last":
        share = equal - before
    else:
        share = equal if ties == "pessimistic" else 0
    return (nearer + share).astype(np.float64)
