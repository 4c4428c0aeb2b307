"""The pass over the cells on a cluster, with the bits that one process gives.

A group's tables depend on its own cells, in their order, and on the control alone. So a task gets whole groups,
gathered from wherever their cells are, and the control; what comes back is put in its place. Where all sums are exact
(of counts) the order does not matter: then cells are added up where they are, and partial tables up a tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from distributed import Client
from numpy.typing import NDArray

from vcmetrics.dask.cluster import Progress, broadcast, compute, constant, n_threads, task
from vcmetrics.dask.pieces import piece_cells, rows_taken
from vcmetrics.sources.compact import canonical, rows_in_place
from vcmetrics.sources.rows import RowsElsewhere
from vcmetrics.summary.group_summary import Recipe, Side, gather
from vcmetrics.summary.plan import Groups

Array = NDArray[Any]
Tables = dict[str, Array]
EXACT = frozenset({"sum", "square", "nonzero"})  # sums of whole numbers: exact below 2^53 in any order
BATCHES_A_THREAD = 4  # at most
CONTROL_SHARE = 4  # each batch sorts the control anew, so it holds so many times its values where threads allow it
BATCH_CELLS = 1 << 17


def gather_pairs(
    client: Client, pairs: Sequence[tuple[Side, Side | None]], recipe: Recipe, progress: Progress | None
) -> list[Tables]:
    """What :func:`vcmetrics.summary.group_summary.gather` gives, for sides of which some are read by the cluster."""
    out = []
    for k, (side, control) in enumerate(pairs):

        def share(done: int, total: int, k: int = k) -> None:
            if progress is not None:
                progress(k * total + done, len(pairs) * total)

        if not isinstance(side.rows, RowsElsewhere):
            here = control.control_cells() if control is not None else None
            out += gather([(side, here)], recipe)
        elif _adds_up(side, recipe):
            out.append(_by_rows(client, side, recipe, share))
        else:
            out.append(_by_groups(client, side, control, recipe, share))
    return out


def _adds_up(side: Side, recipe: Recipe) -> bool:
    """Whether partial sums of pieces are exact, and no larger than the pieces."""
    rows: Any = side.rows
    if not recipe.fields <= EXACT or recipe.key not in ("ratio", "raw") or rows.n_fractional:
        return False
    most = rows.largest ** (2 if "square" in recipe.fields else 1)
    if not most * rows.nnz < 2.0**53:
        return False
    pieces = [side.groups.codes[piece.first : piece.first + piece.n_rows] for piece in rows.pieces]
    n_partial = sum(np.unique(codes[codes >= 0]).size for codes in pieces)
    return bool(n_partial * rows.n_cols * len(recipe.fields) <= rows.nnz)


def _by_rows(client: Client, side: Side, recipe: Recipe, progress: Progress) -> Tables:
    rows: Any = side.rows
    leaves, weights = [], []
    for piece in rows.pieces:
        cells = slice(piece.first, piece.first + piece.n_rows)
        groups = np.unique(side.groups.codes[cells])
        groups = groups[groups >= 0]
        codes = np.where(side.groups.codes[cells] < 0, -1, np.searchsorted(groups, side.groups.codes[cells]))
        part = (piece.source, piece.order, piece.name, piece.in_place, side.totals[cells], codes.astype(np.int32))
        leaves.append(task(partial_sums, *part, groups, recipe))
        weights.append(int(rows.indptr[piece.first + piece.n_rows] - rows.indptr[piece.first]))
    level = leaves
    while len(level) > 1:  # neighbours first: the same tree for every number of workers
        pairs = [tuple(level[k : k + 2]) for k in range(0, len(level), 2)]
        level = [task(added, *pair) if len(pair) == 2 else pair[0] for pair in pairs]
    out: Tables = {}

    def take(k: int, result: Any) -> None:
        if k == 0:
            groups, tables = result
            _put(out, tables, groups, len(side.groups.labels))

    # leaves are waited for to tell how far the work is; their tables stay where they are
    root = level[0]
    waited = [task(done_with, leaf) for leaf in leaves]
    compute(client, [root, *waited], take, weights=[0, *weights], progress=progress)
    return out


def done_with(partial: tuple[Array, Tables]) -> None:
    """Nothing, once a partial table is there."""


def partial_sums(
    source: Any,
    order: Any,
    name: str,
    in_place: bool,
    totals: NDArray[np.float64],
    codes: NDArray[np.int32],
    groups: NDArray[np.int64],
    recipe: Recipe,
) -> tuple[Array, Tables]:
    """Numbers of the groups of a piece, and their tables."""
    rows = rows_in_place(source.matrix()) if in_place else piece_cells(source, order, name).rows(1)
    assert rows is not None
    side = Side(rows, totals, Groups(tuple(map(str, groups)), codes, ""))
    (tables,) = gather([(side, None)], recipe, n_threads=1)
    return groups, tables


def added(a: tuple[Array, Tables], b: tuple[Array, Tables]) -> tuple[Array, Tables]:
    """Two partial results together."""
    groups = np.union1d(a[0], b[0])
    out: Tables = {}
    for own, tables in (a, b):
        at = np.searchsorted(groups, own)
        for name, table in tables.items():
            if name not in out:
                out[name] = np.zeros((groups.size, *table.shape[1:]), table.dtype)
            out[name][at] += table
    return groups, out


def _put(out: Tables, tables: Tables, groups: Array, n_groups: int) -> None:
    for name, table in tables.items():
        if name not in out:
            out[name] = np.zeros((n_groups, *table.shape[1:]), table.dtype)
        out[name][groups] = table


def _by_groups(client: Client, side: Side, control: Side | None, recipe: Recipe, progress: Progress) -> Tables:
    rows: Any = side.rows
    groups = side.groups
    against = side if control is None else control
    ranked = "rank" in recipe.fields and against.groups.control_code >= 0
    threads = n_threads(client)
    n_wanted = BATCHES_A_THREAD * threads
    if ranked:
        n_wanted = max(threads, min(n_wanted, rows.nnz // max(1, CONTROL_SHARE * _control_values(against))))
    batches, weights = _batches(side, n_wanted, leave_out=ranked and control is None)
    batch_of = np.full(len(groups.labels) + 1, -1, np.int64)
    for k, members in enumerate(batches):
        batch_of[members] = k
    of_cells = batch_of[groups.codes]  # code -1 is the last entry
    by_batch = np.argsort(of_cells, kind="stable")
    borders = np.searchsorted(of_cells[by_batch], np.arange(len(batches) + 1))
    sets = [by_batch[a:b] for a, b in pairwise(borders)]
    own = np.flatnonzero(groups.codes == groups.control_code) if ranked and control is None else None
    parts = rows.cut(sets if own is None else [*sets, own])
    reference = None
    tasks = []
    if ranked:
        if own is not None:
            reference = task(control_side, parts[-1], side.totals[own], groups.control, rows.n_cols)
        elif isinstance(against.rows, RowsElsewhere):
            reference = _remote_control(against)
        else:
            reference = constant(_control_alone(against))
        reference = broadcast(client, reference)
    for members, chosen, places in zip(batches, sets, parts, strict=False):
        codes = np.searchsorted(members, groups.codes[chosen]).astype(np.int32)
        labels = tuple(groups.labels[k] for k in members)
        tasks.append(
            task(
                group_tables,
                places,
                side.totals[chosen],
                Groups(labels, codes, groups.control),
                reference,
                recipe,
                rows.n_cols,
            )
        )
    placed = list(batches)
    if own is not None:
        tasks.append(task(control_tables, reference, recipe))
        placed.append(np.array([groups.control_code]))
        weights.append(int(own.size))
    out: Tables = {}
    compute(
        client,
        tasks,
        lambda k, tables: _put(out, tables, placed[k], len(groups.labels)),
        weights=weights,
        progress=progress,
    )
    return out


def _control_values(side: Side) -> int:
    """Stored values of the control cells."""
    return int(np.diff(side.rows.indptr)[side.groups.codes == side.groups.control_code].sum())


def _batches(side: Side, n_wanted: int, *, leave_out: bool) -> tuple[list[NDArray[np.int64]], list[int]]:
    """Numbers of groups (ascending) in batches of about equal work, groups that come together first; and the work."""
    codes, rows = side.groups.codes, side.rows
    present, first = np.unique(codes, return_index=True)
    order = present[np.argsort(first, kind="stable")]
    absent = np.setdiff1d(np.arange(len(side.groups.labels)), present)
    order = np.concatenate([order[order >= 0], absent])
    if leave_out:
        order = order[order != side.groups.control_code]
    used = codes >= 0
    n_groups = len(side.groups.labels)
    values = np.bincount(codes[used], weights=np.diff(rows.indptr)[used], minlength=n_groups)
    cells = np.bincount(codes[used], minlength=n_groups)
    work = values + cells + rows.n_cols  # a group without cells has tables too
    n_batches = max(1, min(order.size, max(n_wanted, -(-int(cells[order].sum()) // BATCH_CELLS))))
    cumulative = np.cumsum(work[order])
    number = np.minimum((cumulative - work[order] / 2) * n_batches // max(1.0, cumulative[-1:].sum()), n_batches - 1)
    batches = [np.sort(order[number == k]) for k in range(n_batches)]
    batches = [batch for batch in batches if batch.size]
    return batches, [int(work[batch].sum()) for batch in batches]


def control_side(parts: Sequence[Any], totals: NDArray[np.float64], label: str, n_cols: int) -> Side:
    """The control cells, as a compact side of their own."""
    rows = canonical(rows_taken(parts, n_cols), 1)
    return Side(rows, totals, Groups((label,), np.zeros(rows.n_rows, np.int32), label))


def _remote_control(side: Side) -> Any:
    rows: Any = side.rows
    own = np.flatnonzero(side.groups.codes == side.groups.control_code)
    return task(control_side, rows.cut([own])[0], side.totals[own], side.groups.control, rows.n_cols)


def _control_alone(side: Side) -> Side:
    return side if len(side.groups.labels) == 1 else side.control_cells()


def group_tables(
    parts: Sequence[Any],
    totals: NDArray[np.float64],
    groups: Groups,
    control: Side | None,
    recipe: Recipe,
    n_cols: int,
) -> Tables:
    """Tables of whole groups."""
    side = Side(rows_taken(parts, n_cols), totals, groups)
    (tables,) = gather([(side, control)], recipe, n_threads=1)
    return tables


def control_tables(control: Side, recipe: Recipe) -> Tables:
    """The control's own row."""
    (tables,) = gather([(control, None)], recipe, n_threads=1)
    return tables
