"""Sums of cells that are read, checked and added up block by block: one read of the file, nothing kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.sources.cells import Cells
from vcmetrics.sources.checked_blocks import Facts
from vcmetrics.summary.cell_pass import add_cells, empty_sums
from vcmetrics.summary.checkpoint import Checkpoint
from vcmetrics.summary.group_summary import Progress, Recipe
from vcmetrics.summary.plan import Groups

Array = NDArray[Any]


def require_good(name: str, facts: dict[str, Any], *, counts: bool) -> None:
    """Refuse values that no pass takes.

    Raises
    ------
    DataError
        If any is not finite, or negative where counts are wanted.
    """
    if facts["n_nonfinite"]:
        first = facts["first_nonfinite"]
        at = "" if first is None else f" (first: {first[2]} in cell {first[0]}, gene {first[1]})"
        msg = f"{name}: X holds {facts['n_nonfinite']} values that are NaN or infinite{at}; replace or remove them"
        raise DataError(msg)
    if counts and facts["n_negative"]:
        first = facts["first_negative"]
        at = "" if first is None else f" (first: {first[2]} in cell {first[0]}, gene {first[1]})"
        msg = f"{name}: counts must not be negative, but {facts['n_negative']} values are{at}; pass raw counts"
        raise DataError(msg)


def streamed_sums(
    cells: Cells,
    groups: Groups,
    recipe: Recipe,
    *,
    n_threads: int,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[dict[str, Array], NDArray[np.float64]]:
    """Tables of sums (and ``n``), and the total of every cell.

    The bits depend neither on the blocks nor on where an earlier run was interrupted: each entry is added up in the
    order of the cells.
    """
    counts = recipe.key == "ratio"
    tables = empty_sums(recipe.fields, len(groups.labels), cells.n_vars)
    totals = np.zeros(cells.n_obs)
    facts, begin = Facts(), 0
    if checkpoint is not None and checkpoint.arrays:
        tables = {name: checkpoint.arrays[name] for name in tables}
        totals = checkpoint.arrays["totals"]
        begin = int(checkpoint.head["cells"])
    for block in cells.blocks(n_threads, start=begin):
        last = block.first + block.rows.n_rows
        facts.add(block.first, block.found)
        totals[block.first : last] = block.found["totals"]
        so_far = facts.counted()
        # after a bad value the rest is read to count them all
        if not so_far["n_nonfinite"] and not (counts and so_far["n_negative"]):
            here = np.ascontiguousarray(totals[block.first : last])
            codes = np.ascontiguousarray(groups.codes[block.first : last])
            add_cells(tables, block.rows, here, codes, recipe, block.first, n_threads)
            if checkpoint is not None and checkpoint.due() and last < cells.n_obs:
                checkpoint.write({**tables, "totals": totals}, {"cells": last})
        if progress is not None:
            progress(last, cells.n_obs)
    if begin < cells.n_obs:
        require_good(cells.name, facts.counted(), counts=counts)
    return tables, totals
