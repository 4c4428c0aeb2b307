"""The pass over the cells within a memory budget: whole, by batches of perturbations, or by ranges of genes.

The result of every cut has the same bits. A group's tables depend on its own cells and the control alone, so groups
may come in batches; a gene's on its own values alone, so genes may come in ranges; and sums alone are added up in the
order of the cells, so cells may come in blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics import _core
from vcmetrics.backend.memory import available_memory, current_budget
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.sources.blocks import rows_in_blocks
from vcmetrics.sources.compact import BLOCK_VALUES, canonical
from vcmetrics.sources.rows import Rows
from vcmetrics.sources.spill import SpilledRows, is_mapped, release
from vcmetrics.summary.checkpoint import Checkpoint
from vcmetrics.summary.group_summary import Progress, Recipe, Side
from vcmetrics.summary.plan import Groups

Array = NDArray[Any]
Pair = tuple[Side, Side | None]
ValueOf = Callable[[Rows, NDArray[np.float64]], Rows]

SUMS = {
    "sum": np.float64,
    "linear": np.float64,
    "log1p": np.float64,
    "log1p_square": np.float64,
    "expm1": np.float64,
    "square": np.float64,
    "nonzero": np.int64,
}
# seconds a byte or value costs on a common machine; only their ratios choose
READ, READ_APART, WRITE, RANK = 1e-9, 6e-9, 2e-9, 1e-8
KEPT_BATCHES = 16  # of a pass whose state is kept
MOST_RANGES = 64  # two open files each
JACKKNIFE_GENES = 32  # ranges of genes begin at multiples: kJackknifeGenes of csrc/cells/gather.hpp


def empty_sums(fields: frozenset[str], n_groups: int, n_cols: int) -> dict[str, Array]:
    """Tables of zeros for :func:`add_cells`."""
    tables: dict[str, Array] = {"n": np.zeros(n_groups, np.int64)}
    for name, dtype in SUMS.items():
        if name in fields:
            tables[name] = np.zeros((n_groups, n_cols), dtype)
    return tables


def add_cells(
    tables: dict[str, Array],
    rows: Rows,
    totals: NDArray[np.float64],
    codes: NDArray[np.int32],
    recipe: Recipe,
    first: int,
    n_threads: int,
) -> None:
    """Add cells, the ``first`` of all and those behind it, to the tables of their groups, in the order of the rows."""
    _core.add_rows(rows.args(), totals, codes, recipe.key, recipe.scale, tables, first, n_threads)


def summed(
    side: Side,
    recipe: Recipe,
    *,
    n_threads: int | None,
    progress: Progress | None = None,
    value_of: ValueOf | None = None,
    checkpoint: Checkpoint | None = None,
) -> dict[str, Array]:
    """Sums alone, block of rows by block of rows; ``value_of`` makes other values of a block first."""
    plain = recipe if value_of is None else replace(recipe, key="raw")
    threads, rows, codes = resolve_threads(n_threads), side.rows, side.groups.codes
    tables = empty_sums(recipe.fields, len(side.groups.labels), rows.n_cols)
    held, begin = 0, 0
    if checkpoint is not None and checkpoint.arrays:
        tables, begin = {name: checkpoint.arrays[name] for name in tables}, int(checkpoint.head["cells"])
    for block in rows_in_blocks(rows, current_budget().block_values(4 * BLOCK_VALUES), begin):
        last = block.first + block.rows.n_rows
        totals = np.ascontiguousarray(side.totals[block.first : last])
        made = block.rows if value_of is None else value_of(block.rows, totals)
        add_cells(tables, made, totals, np.ascontiguousarray(codes[block.first : last]), plain, block.first, threads)
        held += _stored_bytes(block.rows)
        if held > current_budget().part and is_mapped(rows):
            release(rows)
            held = 0
        if checkpoint is not None and checkpoint.due() and last < rows.n_rows:
            checkpoint.write(tables, {"cells": last})
        if progress is not None:
            progress(int(rows.indptr[last]), rows.nnz)
    return tables


def _stored_bytes(rows: Rows, used: int | None = None) -> int:
    return (rows.nnz if used is None else used) * (rows.data.dtype.itemsize + rows.indices.dtype.itemsize)


def _values_of_groups(side: Side) -> NDArray[np.int64]:
    """Stored values of each group."""
    codes, lengths = side.groups.codes, np.diff(side.rows.indptr)
    used = codes >= 0
    return np.bincount(codes[used], weights=lengths[used], minlength=len(side.groups.labels)).astype(np.int64)


@dataclass(frozen=True)
class Cut:
    """How a pass is made: ``kind`` is ``whole``, ``groups`` or ``genes``, in ``n_parts`` parts; ``words`` tell why."""

    kind: str
    n_parts: int
    words: str
    batches: tuple[tuple[NDArray[np.int64], ...], ...] = ()  # a batch: the groups of each pair's side


def plan_cut(pairs: Sequence[Pair], recipe: Recipe, *, kind: str | None = None, kept: bool = False) -> Cut:
    """Choose by cost, from labels, sizes and places alone.

    ``kind`` asks for one, whatever it costs: an earlier run has begun with it. Where the state will be ``kept``, even
    what fits into memory is cut.
    """
    budget = current_budget()
    sides = _distinct([side for side, _ in pairs])
    per_value = 4 if recipe.key not in ("ratio", "raw") else 0  # values that are made before the pass
    values = sum(int(_values_of_groups(side).sum()) for side in sides)
    size = sum(_bytes_a_value(side, per_value) * int(_values_of_groups(side).sum()) for side in sides)
    part = budget.part
    if size <= part and not kept:
        return Cut("whole", 1, "in one piece")
    if kept and kind is None:
        size = max(size, 8 * values)
        part = max(1, min(part, size // KEPT_BATCHES))
    batches = _batches(pairs, part, per_value if size > budget.part else 8)
    controls = _distinct([s if c is None else c for s, c in pairs]) if "rank" in recipe.fields else []
    in_control = sum(int(_values_of_groups(c)[c.groups.control_code]) for c in controls if c.groups.control_code >= 0)
    sequential = all(_together(side, batches, k) for k, (side, _) in enumerate(pairs))
    apart = not sequential and size > available_memory()
    by_groups = size * (READ_APART if apart else READ) + (len(batches) - 1) * in_control * RANK
    n_ranges = len(gene_ranges(sides[0].rows.n_cols, -(-size // part))) - 1
    # written and read again at some 4 bytes a value, each block cut once for every range
    by_genes = size * READ + values * (4 * (READ + WRITE) + n_ranges * RANK / 4)
    sizes = f"{size / 2**30:.2f} GiB of cells, {budget.bytes / 2**30:.2f} GiB of memory"
    order = "sorted by perturbation" if sequential else "in any order"
    largest = max(int(_values_of_groups(s).max(initial=0)) * _bytes_a_value(s, per_value) for s in sides)
    oversized = 16 * in_control > 3 * budget.part or largest > 2 * budget.part
    if kind == "groups" or (kind is None and (per_value or (not oversized and by_groups <= by_genes))):
        return Cut("groups", len(batches), f"{len(batches)} batches of perturbations ({sizes}, {order})", batches)
    return Cut("genes", n_ranges, f"{n_ranges} ranges of genes, spilled ({sizes}, {order})")


def _bytes_a_value(side: Side, per_value: int) -> int:
    stored = side.rows.data.dtype.itemsize + side.rows.indices.dtype.itemsize
    return (stored if is_mapped(side.rows) else 0) + per_value


def _distinct(sides: Sequence[Side]) -> list[Side]:
    out: list[Side] = []
    for side in sides:
        if not any(side is known for known in out):
            out.append(side)
    return out


def _batches(pairs: Sequence[Pair], part: int, per_value: int) -> tuple[tuple[NDArray[np.int64], ...], ...]:
    """Groups of the sides in the order in which the first side stores them, cut where a batch is full.

    The control of a pair that is ranked against itself comes along as a group of its own.
    """
    names: dict[str, int] = {}
    weights: dict[str, int] = {}
    for side, _ in pairs:
        first = np.full(len(side.groups.labels), side.rows.n_rows, np.int64)
        used = np.flatnonzero(side.groups.codes >= 0)
        np.minimum.at(first, side.groups.codes[used], used)
        costs = _values_of_groups(side) * _bytes_a_value(side, per_value)
        for group, label in enumerate(side.groups.labels):
            names.setdefault(label, int(first[group]))
            weights[label] = weights.get(label, 0) + int(costs[group])
    cut: list[list[str]] = [[]]
    held = 0
    for label in sorted(names, key=lambda x: (names[x], x)):
        if held and held + weights[label] > part:
            cut.append([])
            held = 0
        cut[-1].append(label)
        held += weights[label]
    out = []
    for labels in cut:
        groups = []
        for side, _ in pairs:
            at = {label: k for k, label in enumerate(side.groups.labels)}
            groups.append(np.array(sorted(at[x] for x in labels if x in at), np.int64))
        out.append(tuple(groups))
    return tuple(out)


def _together(side: Side, batches: Sequence[tuple[NDArray[np.int64], ...]], pair: int) -> bool:
    """Whether the cells of each batch lie in few runs, so that batches are read front to back."""
    of_group = np.full(len(side.groups.labels) + 1, -1, np.int64)
    for k, batch in enumerate(batches):
        of_group[batch[pair]] = k
    where = of_group[side.groups.codes]
    where = where[where >= 0]
    return int(np.count_nonzero(np.diff(where))) < 64 * len(batches)


def by_groups(
    pairs: Sequence[Pair],
    recipe: Recipe,
    cut: Cut,
    run: Callable[..., list[dict[str, Array]]],
    *,
    n_threads: int | None,
    progress: Progress | None,
    checkpoint: Checkpoint | None = None,
) -> list[dict[str, Array]]:
    """Batches of groups one after the other, each against the kept control.

    ``run(pairs, recipe, n_threads=, progress=)`` makes one batch.
    """
    ranked = "rank" in recipe.fields
    kept: dict[int, Side] = {}
    for side, control in pairs:
        source = side if control is None else control
        if ranked and source.groups.control_code >= 0 and id(source) not in kept:
            kept[id(source)] = _kept_control(source)
    out = [_tables_of(side, recipe) for side, _ in pairs]
    done = [np.zeros(len(side.groups.labels), np.bool_) for side, _ in pairs]
    if checkpoint is not None and checkpoint.arrays:
        out = _unpacked(checkpoint, out)
        done = [checkpoint.arrays[f"{i}/done"] for i in range(len(pairs))]
    for k, batch in enumerate(cut.batches):
        wanted: list[tuple[Pair, int, NDArray[np.int64], bool]] = []
        for i, ((side, control), groups) in enumerate(zip(pairs, batch, strict=True)):
            groups = groups[~done[i][groups]]
            against = kept.get(id(side if control is None else control))
            if control is None and side.groups.control_code in groups and against is not None:
                # a control has no rank sums against itself
                own = np.array([side.groups.control_code], np.int64)
                wanted.append(((_part(side, own), None), i, own, False))
                groups = groups[groups != side.groups.control_code]
            if groups.size:
                wanted.append(((_part(side, groups), against), i, groups, True))
        for with_ranks in (True, False):
            some = [w for w in wanted if w[3] == with_ranks]
            if not some:
                continue
            plain = recipe if with_ranks else replace(recipe, fields=recipe.fields - {"rank"})
            found = run([w[0] for w in some], plain, n_threads=n_threads, progress=_share(progress, k, cut.n_parts))
            for (_, i, groups, _), tables in zip(some, found, strict=True):
                for name, table in tables.items():
                    out[i][name][groups] = table
                done[i][groups] = True
        for side, _ in pairs:
            release(side.rows)
        if checkpoint is not None and checkpoint.due():
            state = {f"{i}/done": mask for i, mask in enumerate(done)}
            checkpoint.write(_packed(out) | state, {"kind": "groups"})
    return out


def _packed(out: Sequence[dict[str, Array]]) -> dict[str, Array]:
    return {f"{i}/{name}": table for i, tables in enumerate(out) for name, table in tables.items()}


def _unpacked(checkpoint: Checkpoint, like: Sequence[dict[str, Array]]) -> list[dict[str, Array]]:
    return [{name: checkpoint.arrays[f"{i}/{name}"] for name in tables} for i, tables in enumerate(like)]


def _kept_control(side: Side) -> Side:
    """The control cells in memory; or where they lie, if they would take more than a quarter of a part."""
    code = side.groups.control_code
    if is_mapped(side.rows) and int(_values_of_groups(side)[code]) * 4 <= current_budget().part // 4:
        return side.control_cells()
    return _part(side, np.array([code], np.int64))


def _part(side: Side, groups: NDArray[np.int64]) -> Side:
    """The same cells with these groups alone; nothing is copied."""
    moved = np.full(len(side.groups.labels) + 1, -1, np.int32)
    moved[groups] = np.arange(groups.size)
    labels = tuple(side.groups.labels[g] for g in groups.tolist())
    return replace(side, groups=Groups(labels, moved[side.groups.codes], side.groups.control))


def _tables_of(side: Side, recipe: Recipe) -> dict[str, Array]:
    n_groups, n_cols = len(side.groups.labels), side.rows.n_cols
    tables = empty_sums(recipe.fields, n_groups, n_cols)
    if "log1p_square" in recipe.fields:
        tables["log1p_square"] = np.zeros((n_groups, n_cols))
    if "rank" in recipe.fields:
        tables["u2"] = np.full((n_groups, n_cols), -1, np.int64)
        tables["tie"] = np.full((n_groups, n_cols), -1.0)
    if "jackknife" in recipe.fields:
        tables["jackknife"] = np.zeros(n_groups)
    return tables


def _share(progress: Progress | None, k: int, n: int) -> Progress | None:
    """Progress of part ``k`` of ``n`` equal ones."""
    if progress is None:
        return None
    return lambda done, total: progress(k * total + done, n * total)


def gene_ranges(n_cols: int, n_ranges: int, begin: int = 0) -> list[int]:
    """Borders of about equal ranges of the genes from ``begin`` on, which is a border."""
    step = -(-n_cols // (min(max(1, n_ranges), MOST_RANGES) * JACKKNIFE_GENES)) * JACKKNIFE_GENES
    return [*range(begin, n_cols, step), n_cols]


def by_genes(
    pairs: Sequence[Pair],
    recipe: Recipe,
    cut: Cut,
    run: Callable[..., list[dict[str, Array]]],
    *,
    n_threads: int | None,
    progress: Progress | None,
    checkpoint: Checkpoint | None = None,
) -> list[dict[str, Array]]:
    """Every value is written once to the disk, by range of genes; then range by range, all cells together."""
    threads = resolve_threads(n_threads)
    sides = _distinct([s for pair in pairs for s in pair if s is not None])
    begin = 0
    asked = replace(recipe, fields=recipe.fields | {"jackknife_parts"}) if "jackknife" in recipe.fields else recipe
    out: list[dict[str, Array]] = [_tables_of(side, recipe) for side, _ in pairs]
    parts: list[list[Array]] = [[] for _ in pairs]
    if checkpoint is not None and checkpoint.arrays:
        out = _unpacked(checkpoint, out)
        parts = [[checkpoint.arrays[f"{i}/parts"]] for i in range(len(pairs))]
        begin = int(checkpoint.head["gene"])
    borders = gene_ranges(sides[0].rows.n_cols, cut.n_parts, begin)
    spilled: dict[int, list[SpilledRows]] = {}  # two sides may be other groups of the same rows
    try:
        for side in sides:
            if id(side.rows) in spilled:
                continue
            files = spilled[id(side.rows)] = []
            for first, last in pairwise(borders):
                files.append(SpilledRows(last - first))
            _split(side.rows, borders, files, threads)
        for k, (first, last) in enumerate(pairwise(borders)):
            ranges = {at: files[k].rows() for at, files in spilled.items()}
            made = {id(side): replace(side, rows=ranges[id(side.rows)]) for side in sides}
            found = run(
                [(made[id(s)], None if c is None else made[id(c)]) for s, c in pairs],
                asked,
                n_threads=n_threads,
                progress=_share(progress, k, cut.n_parts),
            )
            for i, tables in enumerate(found):
                parts[i].append(tables.pop("jackknife_parts", np.zeros((0, tables["n"].size))))
                for name, table in tables.items():
                    if table.ndim == 2:
                        out[i][name][:, first:last] = table
                    elif name == "n":
                        out[i][name][:] = table
            if checkpoint is not None and checkpoint.due() and last < borders[-1]:
                state = {f"{i}/parts": np.concatenate(pieces) for i, pieces in enumerate(parts)}
                checkpoint.write(_packed(out) | state, {"kind": "genes", "gene": last})
    finally:
        for files in spilled.values():
            for file in files:
                file.close()
    if "jackknife" in recipe.fields:
        for tables, pieces in zip(out, parts, strict=True):
            tables["jackknife"] = _jackknife(np.concatenate(pieces), tables["n"])
    return out


def _jackknife(parts: Array, n: NDArray[np.int64]) -> NDArray[np.float64]:
    """Parts added up in their order, as the compiled pass does it."""
    total = np.zeros(n.size)
    for part in parts:
        total += part
    scale = np.divide(n - 1.0, n, out=np.zeros(n.size), where=n > 0)
    return np.where(n < 2, 0.0, np.maximum(0.0, scale * total))


def _split(rows: Rows, borders: Sequence[int], files: Sequence[SpilledRows], n_threads: int) -> None:
    """Write each range of genes of every row to its file."""
    budget = current_budget()
    held = 0
    for block in rows_in_blocks(rows, budget.block_values(BLOCK_VALUES)):
        for first, last, file in zip(borders[:-1], borders[1:], files, strict=True):
            gene_map = np.full(rows.n_cols, -1, np.int64)
            gene_map[first:last] = np.arange(last - first)
            file.append(canonical(block.rows, n_threads, gene_map, last - first))
        held += _stored_bytes(block.rows)
        if held > budget.part:
            release(rows)
            held = 0
    release(rows)
