"""Per-gene co-moments over single cells that both sides hold, read in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.co_moments import CoMoments
from vcmetrics.sources import open_cells
from vcmetrics.sources.genes import align_genes, some
from vcmetrics.sources.rows import Rows
from vcmetrics.summary.profile_rows import cell_labels

Array = NDArray[Any]

CELLS = 512  # of each side that are held dense at a time


@dataclass(frozen=True)
class CellRows:
    """Which cells are compared, and as what; fields as in :func:`vcmetrics.gene_correlation`."""

    pert_col: str | None
    control: str | None
    within: Any
    space: str | None
    target_sum: float
    weights: Any
    layer: str | None
    n_min: int


def cell_table(pred: Any, real: Any, rows: CellRows, n_threads: int) -> tuple[dict[str, Array], list[str]]:
    """Columns of the table, ``gene`` among them, and the names of the correlations."""
    from vcmetrics.metrics.gene_correlation import moment_columns, part_columns
    from vcmetrics.metrics.study_parts import split

    genes, parts = cell_co_moments(pred, real, rows, n_threads)
    whole = parts[0]
    for other in parts[1:]:
        whole = whole.merge(other)
    table: dict[str, Array] = {"gene": genes, **moment_columns(whole)}
    names = ["pearson"]
    if rows.within is not None:
        table |= part_columns(split(parts, whole, [(p.pearson(), p.n) for p in parts], rows.n_min))
        names += ["within", "between"]
    return table, names


def cell_co_moments(pred: Any, real: Any, rows: CellRows, n_threads: int) -> tuple[Array, list[CoMoments]]:
    """Genes, and the co-moments of every study (one where cells are not split), studies sorted by name.

    Cells are added in the order of ``real``, ``CELLS`` at a time.

    Raises
    ------
    DataError
        If the cells or genes of the two sides differ, or names come twice.
    """
    if rows.space not in ("mean", "mean_of_logs"):
        msg = (
            f"space={rows.space!r} does not say what cells are compared as; pass space='mean' (values as they are) or "
            "'mean_of_logs' (log1p of counts scaled to target_sum)"
        )
        raise ValueError(msg)
    logged = rows.space == "mean_of_logs"
    with (
        open_cells(real, layer=rows.layer, name="real") as theirs,
        open_cells(pred, layer=rows.layer, name="pred") as mine,
    ):
        order = align_genes(mine.genes, theirs.genes, pred_name=mine.name, real_name=theirs.name)
        place = matched_names(mine.obs_names(), theirs.obs_names(), (mine.name, theirs.name))
        by_control = rows.pert_col if rows.control is not None else None
        (labels, studies), used = cell_labels(theirs, by_control, rows.within)
        if by_control is not None:
            control = np.array([x == rows.control for x in labels], bool)
            used &= ~control
            if not control.any():
                msg = (
                    f"{theirs.name}: no cell is labelled {rows.control!r} (labels: {some(sorted(set(labels)))}); pass "
                    "control= with the label of the control, or control=None where there is none"
                )
                raise DataError(msg)
        weights = cell_weights(rows.weights, theirs.obs_names())
        sides = []
        for cells in (mine, theirs):
            facts = cells.scan(n_threads)
            broken = logged and cells is theirs and facts["n_fractional"]
            if facts["n_nonfinite"] or broken or (logged and facts["n_negative"]):
                what = "NaN or infinite" if facts["n_nonfinite"] else "negative, so they are no counts"
                if broken:
                    what = "no whole numbers, so they are no counts"
                msg = f"{cells.name}: some values are {what}; replace or remove them"
                raise DataError(msg)
            sides.append((cells.rows(), np.asarray(facts["totals"])))
        names = sorted({s for s, use in zip(studies, used.tolist(), strict=True) if use})
        if not names:
            msg = f"{theirs.name}: every cell is labelled {rows.control!r}, so there is nothing to compare"
            raise DataError(msg)
        parts = []
        study_of = np.array(studies, object)
        for name in names:
            chosen = np.flatnonzero(used & (study_of == name))
            moments = CoMoments(theirs.n_vars)
            for start in range(0, chosen.size, CELLS):
                block = chosen[start : start + CELLS]
                y = dense(*sides[1], block, rows.target_sum if logged else None)
                x = dense(*sides[0], place[block], rows.target_sum if logged else None)
                x = x if order is None else np.ascontiguousarray(x[:, order])
                moments.add(x, y, weights=None if weights is None else weights[block], n_threads=n_threads)
            parts.append(moments)
        return theirs.genes, parts


def matched_names(mine: list[str], theirs: list[str], names: tuple[str, str]) -> NDArray[np.int64]:
    """For each cell of the second list its place in the first."""
    for cells, name in zip((mine, theirs), names, strict=True):
        if len(set(cells)) != len(cells):
            twice = sorted(
                c for c, k in zip(*np.unique(np.array(cells, str), return_counts=True), strict=True) if k > 1
            )
            msg = f"{name}: names of cells come more than once: {some(twice)}; make obs_names unique"
            raise DataError(msg)
    at = {cell: k for k, cell in enumerate(mine)}
    absent = [cell for cell in theirs if cell not in at]
    if absent or len(mine) != len(theirs):
        extra = sorted(set(mine) - set(theirs))
        parts = [f"only in {names[0]}: {some(extra)}"] if extra else []
        parts += [f"only in {names[1]}: {some(absent)}"] if absent else []
        msg = f"the two sides hold different cells by obs_names; {'; '.join(parts)}; over='cells' pairs them by name"
        raise DataError(msg)
    return np.array([at[cell] for cell in theirs], np.int64)


def cell_weights(weights: Any, names: list[str]) -> NDArray[np.float64] | None:
    """One weight a cell, from a mapping by name."""
    if weights is None:
        return None
    try:
        return np.array([float(weights[name]) for name in names])
    except (KeyError, TypeError, IndexError, ValueError) as error:
        msg = f"weights= must map every cell to a number ({type(error).__name__}: {error})"
        raise ValueError(msg) from None


def dense(rows: Rows, totals: Array, chosen: NDArray[np.int64], target_sum: float | None) -> Array:
    """Some cells as a table, (n, n_genes): values as they are, or log1p of them scaled to ``target_sum``."""
    lengths = rows.indptr[chosen + 1] - rows.indptr[chosen]
    if chosen.size and chosen[-1] - chosen[0] == chosen.size - 1 and (np.diff(chosen) == 1).all():
        start, stop = int(rows.indptr[chosen[0]]), int(rows.indptr[chosen[-1] + 1])
        columns, values = rows.indices.read(start, stop), rows.data.read(start, stop)
    else:
        part = rows.take(chosen)
        columns, values = part.indices.read(0, part.nnz), part.data.read(0, part.nnz)
    single = (
        target_sum is None and values.dtype.itemsize < 8 and (values.dtype.kind == "f" or values.dtype.itemsize < 4)
    )
    out = np.zeros((chosen.size, rows.n_cols), np.float32 if single else np.float64)
    row = np.repeat(np.arange(chosen.size), lengths)
    if target_sum is not None:
        # a cell without counts stays 0
        scale = np.divide(target_sum, totals[chosen], out=np.zeros(chosen.size), where=totals[chosen] > 0)
        values = np.log1p(values.astype(np.float64) * scale[row])
    out[row, columns] = values
    return out
