"""Rank sums of every group against the control by a GPU: the control is sorted once, groups follow in batches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DeviceError
from vcmetrics.backend.batches import in_batches
from vcmetrics.backend.gpu import Engine
from vcmetrics.sources.rows import RowsElsewhere
from vcmetrics.summary.group_summary import Side

Array = Any  # of NumPy or CuPy
_BYTES = 96  # of device memory a stored value while it is sorted


def rank_sums_on(engine: Engine, side: Side, key: str) -> dict[str, NDArray[Any]]:
    """Tables ``u2`` and ``tie`` as :func:`~vcmetrics.summary.group_summary.gather` gives them, -1 for the control.

    ``key`` is ``"ratio"`` (a count over its cell's total) or ``"raw"``. The integers are those of the CPU.

    Raises
    ------
    DeviceError
        If the cells are not on this machine, or memory does not hold one group and the control.
    """
    if isinstance(side.rows, RowsElsewhere):
        msg = "cells that a cluster reads are ranked there; pass device='cpu'"
        raise DeviceError(msg)
    n_genes, groups = side.rows.n_cols, side.groups
    n_groups = len(groups.labels)
    sizes = np.bincount(groups.codes[groups.codes >= 0], minlength=n_groups)
    u2 = np.full((n_groups, n_genes), -1, np.int64)
    tie = np.full((n_groups, n_genes), -1.0)
    control = np.flatnonzero(groups.codes == groups.control_code)
    control_keys, control_starts = sorted_keys(engine, side, control, np.zeros(control.size, np.int64), 1, key)
    others = np.flatnonzero(np.arange(n_groups) != groups.control_code)

    def batch(first: int, last: int) -> None:
        chosen = others[first:last]
        place = np.full(n_groups, -1, np.int64)
        place[chosen] = np.arange(chosen.size)
        code = np.where(groups.codes < 0, -1, place[groups.codes])
        rows = np.flatnonzero(code >= 0)
        keys, starts = sorted_keys(engine, side, rows, code[rows], chosen.size, key)
        found = engine.kernels.rank_sums(control_keys, control_starts, keys, starts, sizes[chosen], control.size)
        u2[chosen], tie[chosen] = (engine.to_host(table) for table in found)

    stored = (
        max(1, len(side.rows.data))
        / max(1, side.rows.n_rows)
        * max(1.0, float(sizes[others].mean()) if others.size else 1.0)
    )
    fits = int(engine.free() / (2 * (_BYTES * stored + 32 * n_genes)))
    in_batches(
        others.size, max(1, fits), batch,
        what="differential_expression", out_of_memory=engine.out_of_memory, release=engine.release,
    )  # fmt: skip
    return {"u2": u2, "tie": tie}


def sorted_keys(
    engine: Engine, side: Side, rows: NDArray[np.int64], code: NDArray[np.int64], n_groups: int, key: str
) -> tuple[Array, Array]:
    """Keys of some cells that are not zero, ascending inside each gene and group, and where each begins.

    Two stable sorts: by key, then by gene and group.
    """
    xp = engine.xp
    taken = side.rows.take(rows)
    lengths = np.diff(taken.indptr)
    values = xp.asarray(np.ascontiguousarray(taken.data.read(0, len(taken.data)))).astype(np.float64)
    genes = xp.asarray(np.ascontiguousarray(taken.indices.read(0, len(taken.indices)))).astype(np.int64)
    if key == "ratio":
        values /= xp.asarray(np.repeat(side.totals[rows], lengths))
    segment = genes * n_groups + xp.asarray(np.repeat(code, lengths))
    kept = xp.flatnonzero(values != 0)
    values, segment = values[kept], segment[kept]
    by_key = xp.argsort(values, kind="stable")
    values, segment = values[by_key], segment[by_key]
    by_segment = xp.argsort(segment, kind="stable")
    starts = xp.searchsorted(segment[by_segment], xp.arange(side.rows.n_cols * n_groups + 1))
    return values[by_segment], starts.astype(np.int64)
