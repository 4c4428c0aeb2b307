"""Co-moments of two tables on a GPU, or sent there in batches of columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from vcmetrics.backend.batches import in_batches
from vcmetrics.backend.gpu import Engine, device_array
from vcmetrics.metrics.co_moments import host_table, require_one_shape

Array = Any  # of NumPy or CuPy


def co_moments_on(engine: Engine, x: Any, y: Any, weights: Any, *, from_host: bool) -> tuple[Array, int]:
    """(9, n_columns) state of :class:`~vcmetrics.arrays.CoMoments`, on the host for tables from there; and the rows.

    Raises
    ------
    ValueError, TypeError
        If shapes, numbers or weights do not fit.
    """
    if from_host:
        one, other = host_table(x, "x"), host_table(y, "y")
        require_one_shape(one, other)
        checked = None if weights is None else checked_weights(np.asarray(weights, np.float64), len(one))
        state = np.empty((9, one.shape[1]))

        def batch(first: int, last: int) -> None:
            parts = [engine.xp.asarray(np.ascontiguousarray(table[:, first:last])) for table in (one, other)]
            state[:, first:last] = engine.to_host(engine.kernels.co_moments(*alike(*parts), checked))

        # both tables as float64 and the moments of the chunks
        fits = engine.free() // (2 * 8 * (2 * max(1, len(one)) + 9 * (len(one) // 256 + 2)))
        width = one.shape[1]
        in_batches(
            width, max(1, fits), batch,
            what="column_correlation", out_of_memory=engine.out_of_memory, release=engine.release,
        )  # fmt: skip
        return state, len(one)
    one, other = (rows_of_numbers(device_array(table, engine), name, engine) for table, name in ((x, "x"), (y, "y")))
    require_one_shape(one, other)
    if weights is not None:
        weights = checked_weights(device_array(weights, engine).astype(np.float64), len(one))
    return engine.kernels.co_moments(*alike(one, other), weights), len(one)


def rows_of_numbers(table: Array, name: str, engine: Engine) -> Array:
    """A table whose rows the kernels can read where they lie, or a copy that they can."""
    if table.ndim != 2:
        msg = f"{name} has {table.ndim} dimensions; pass a table, rows × columns"
        raise ValueError(msg)
    if table.dtype.kind not in "fiub":
        msg = f"{name} holds {table.dtype}; pass numbers (float32 or float64 are taken as they are)"
        raise TypeError(msg)
    if table.dtype not in (np.float32, np.float64):
        table = table.astype(np.float32 if table.dtype.itemsize <= 2 else np.float64)
    apart = table.strides[0] // table.itemsize if table.size else 0
    fine = (table.shape[1] <= 1 or table.strides[1] == table.itemsize) and apart >= table.shape[1]
    return table if fine else engine.xp.ascontiguousarray(table)


def alike(x: Array, y: Array) -> tuple[Array, Array]:
    """Both tables in one precision, the wider one."""
    return (x, y) if x.dtype == y.dtype else (x.astype(np.float64), y.astype(np.float64))


def checked_weights(weights: Array, n: int) -> Array:
    """Weights, one a row; on a GPU the check waits for the device."""
    if weights.shape != (n,) or not bool(((weights >= 0) & (weights < np.inf)).all()):
        msg = f"weights must be {n} finite numbers, none negative, one a row"
        raise ValueError(msg)
    return weights
