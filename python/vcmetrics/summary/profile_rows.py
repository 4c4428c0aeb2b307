"""Profiles of two sides in one space, row by row the same perturbation (and stratum)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError, VcmetricsWarning
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.sources import open_cells
from vcmetrics.sources.cells import Cells
from vcmetrics.sources.genes import align_genes, check_unique, some
from vcmetrics.summary.group_summary import GroupSummary, Recipe, gather, group_totals
from vcmetrics.summary.means import bulk_lognorm, per_cell
from vcmetrics.summary.plan import group_cells
from vcmetrics.summary.summarize import checked_side, groups_of

Array = NDArray[Any]
Floats = NDArray[np.float64]

# space -> (key of the pass, its table)
SPACES = {
    "log_of_sums": ("ratio", "sum"),
    "mean_of_logs": ("ratio", "log1p"),
    "mean": ("raw", "sum"),
    "sum": ("raw", "sum"),
}
_BETWEEN = "\x1f"  # parts of a combined label


@dataclass(frozen=True)
class ProfileRows:
    """One side: a profile a row, the control apart.

    ``table`` is (n_rows, n_genes), float32 or float64, and may be the caller's. ``strata`` names the study, batch or
    cell type of each row where rows were split. ``control`` is the profile of all control cells, ``strata_control``
    that of each stratum's. With batches (of each stratum), ``batch_control`` is (n_batches, n_genes), NaN where there
    is none; ``batch_cells`` (n_rows, n_batches). A table of profiles has no ``n_cells``.
    """

    name: str
    genes: NDArray[np.str_]
    labels: tuple[str, ...]
    strata: tuple[str, ...] | None
    table: Array
    n_cells: NDArray[np.int64] | None
    control: Floats | None = None
    strata_control: dict[str, Floats] | None = None
    batch_control: Floats | None = None
    batch_cells: NDArray[np.int64] | None = None

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Stratum and label of every row."""
        return list(zip(self.strata or ("",) * len(self.labels), self.labels, strict=True))


def read_profiles(
    data: Any,
    *,
    name: str,
    pert_col: str | None,
    control: str | None,
    within: Any = None,
    batch_col: str | None = None,
    space: str = "log_of_sums",
    target_sum: float = 5e4,
    layer: str | None = None,
    labels: Sequence[str] | None = None,
    var_names: Sequence[str] | None = None,
    observed: bool = False,
    n_threads: int | None = None,
) -> ProfileRows:
    """Profiles of one side, from cells or from a table of profiles.

    Parameters
    ----------
    data
        AnnData or path (cells are averaged); or a table of profiles: a DataFrame (index labels, columns genes), or an
        array with ``labels`` and ``var_names``.
    name
        What messages call this side.
    pert_col, control
        Column of ``obs`` with the labels, and the control's; a table's control row has that label.
    within, batch_col
        Columns of ``obs``: rows are split by the first; controls are kept apart by the second. For a table
        ``within`` is one stratum a row.
    space, target_sum, layer
        See :func:`vcmetrics.pseudobulk`; a table is taken as it is.
    labels, var_names
        Of an array.
    observed
        This is the observed side: where a space takes counts, its values are whole numbers, and the control is there.
    n_threads
        Threads.

    Raises
    ------
    DataError
        If columns are missing, values do not suit the space, a row comes twice or nothing is left beside the control.
    """
    if isinstance(data, np.ndarray) or (hasattr(data, "to_numpy") and hasattr(data, "columns")):
        found = read_table(data, name, control, within, labels, var_names)
    else:
        if pert_col is None:
            msg = f"{name} holds cells; pass pert_col= with the column of obs that names their perturbations"
            raise ValueError(msg)
        if within is not None and not isinstance(within, str):
            msg = "within= is the name of a column of obs where cells are given"
            raise TypeError(msg)
        found = read_cells(
            data, name, pert_col, control, within, batch_col, space, target_sum, layer, observed, n_threads
        )
    if not found.labels:
        msg = f"{found.name}: every row is labelled {control!r}, so there is no perturbation; check the labels"
        raise DataError(msg)
    if observed and control is not None and found.control is None:
        msg = (
            f"{found.name}: nothing is labelled {control!r} (labels: {some(found.labels)}); pass control= with the "
            "label of the control, or control=None where there is none"
        )
        raise DataError(msg)
    return found


def read_table(
    data: Any,
    name: str,
    control: str | None,
    within: Any,
    labels: Sequence[str] | None,
    var_names: Sequence[str] | None,
) -> ProfileRows:
    """Profiles that were made elsewhere."""
    if isinstance(data, np.ndarray):
        if labels is None:
            msg = f"{name} is a bare array; pass labels= (one a row) or a DataFrame with labels as its index"
            raise ValueError(msg)
        table = floating(data)
    else:
        labels = [str(x) for x in data.index]
        var_names = [str(x) for x in data.columns]
        table = floating(data.to_numpy())
    if table.ndim != 2 or len(labels) != table.shape[0]:
        msg = f"{name}: {len(labels)} labels for a table of shape {table.shape}; pass one a row"
        raise DataError(msg)
    columns = np.array([str(g) for g in (range(table.shape[1]) if var_names is None else var_names)], dtype=str)
    if columns.size != table.shape[1]:
        msg = f"{name}: {columns.size} genes for {table.shape[1]} columns"
        raise DataError(msg)
    strata = None if within is None else tuple(str(s) for s in within)
    if strata is not None and len(strata) != len(labels):
        msg = f"within= has {len(strata)} entries for {len(labels)} rows of {name}; pass one a row"
        raise DataError(msg)
    is_control = np.array([str(x) == control for x in labels], bool)
    order = np.flatnonzero(~is_control).tolist()
    kept = tuple(str(labels[r]) for r in order)
    controls = table[is_control]
    by_stratum: dict[str, Floats] = {}
    if strata is not None:
        for r in np.flatnonzero(is_control).tolist():
            by_stratum[strata[r]] = table[r].astype(np.float64)
    rows = ProfileRows(
        name=name,
        genes=columns,
        labels=kept,
        strata=None if strata is None else tuple(strata[r] for r in order),
        table=rows_of(table, order),
        n_cells=None,
        control=controls.mean(0, dtype=np.float64) if len(controls) else None,
        strata_control=by_stratum,
    )
    if strata is None and len(controls) > 1:
        msg = f"{name}: {len(controls)} rows are labelled {control!r}; pass one control profile"
        raise DataError(msg)
    check_rows(rows)
    return rows


def floating(values: Any) -> Array:
    """The values as they are where they are float32 or float64, else as float64."""
    table = np.asarray(values)
    return table if table.dtype in (np.float32, np.float64) else table.astype(np.float64)


def rows_of(table: Array, rows: list[int]) -> Array:
    """Some rows of a table: a view where they follow each other."""
    if rows and rows == list(range(rows[0], rows[-1] + 1)):
        return table[rows[0] : rows[-1] + 1]
    return table[rows]


def check_reference(rows: ProfileRows, kind: str) -> None:
    """Refuse a reference that these rows cannot make.

    Raises
    ------
    DataError
        If it needs a control and there is none.
    ValueError
        If it weighs by cells, and a table of profiles was given.
    """
    if kind in ("control", "condition_mean") and rows.control is None:
        msg = f"{rows.name}: no control profile for reference={kind!r}; pass control= or another reference"
        raise DataError(msg)
    if kind in ("perturbed_mean_cells", "guide_count_mean") and rows.n_cells is None:
        msg = f"reference={kind!r} weighs by cells, and a table of profiles has none; pass AnnData or paths of cells"
        raise ValueError(msg)


def check_rows(rows: ProfileRows) -> None:
    """Refuse rows that come twice."""
    keys = rows.keys
    if len(set(keys)) != len(keys):
        twice = sorted({" / ".join(filter(None, k)) for k in keys if keys.count(k) > 1})
        msg = f"{rows.name}: rows come more than once: {some(twice)}; pass one profile a perturbation (and stratum)"
        raise DataError(msg)


def cell_labels(cells: Cells, *columns: str | None) -> tuple[list[list[str]], NDArray[np.bool_]]:
    """Labels of columns of obs ("" for a column None), and which cells have all of them; a warning counts the others.

    Raises
    ------
    DataError
        If no cell has all of them.
    """
    found = [[""] * cells.n_obs if name is None else cells.column(name).tolist() for name in columns]
    labelled = np.array([None not in labels for labels in zip(*found, strict=True)], bool)
    if labelled.all():
        return found, labelled
    names = ", ".join(repr(name) for name in columns if name is not None)
    if not labelled.any():
        msg = f"{cells.name}: no cell has a label in {names}"
        raise DataError(msg)
    msg = f"{cells.name}: {int((~labelled).sum())} of {cells.n_obs} cells have no label in {names} and are left out"
    warnings.warn(msg, VcmetricsWarning, stacklevel=6)  # the caller of the public function
    return [["" if x is None else x for x in labels] for labels in found], labelled


def read_cells(
    data: Any,
    name: str,
    pert_col: str,
    control: str | None,
    within: str | None,
    batch_col: str | None,
    space: str,
    target_sum: float,
    layer: str | None,
    observed: bool,
    n_threads: int | None,
) -> ProfileRows:
    """Profiles from cells: sums of the finest groups first, then whatever is put together of them."""
    if space not in SPACES:
        msg = f"space {space!r} is not known; choose from {', '.join(SPACES)}"
        raise ValueError(msg)
    key, field = SPACES[space]
    threads = resolve_threads(n_threads)
    recipe = Recipe(key, float(target_sum) if key == "ratio" else 1.0, frozenset({field}))
    with open_cells(data, layer=layer, name=name) as cells:
        side = checked_side(cells, groups_of(cells, pert_col, ""), threads, counts=key == "ratio")
        if observed and key == "ratio" and cells.scan(threads)["n_fractional"]:
            msg = (
                f"{cells.name}: space={space!r} takes counts, but not all values are whole numbers; pass raw counts "
                "(layer=), or space='mean' for values that are log-normalised already"
            )
            raise DataError(msg)
        parts_of, used = cell_labels(cells, within, pert_col, batch_col)
        finest = np.array([_BETWEEN.join(k) for k in zip(*parts_of, strict=True)], object)
        side = replace(side, groups=group_cells(finest, "", used))
        (sums,) = gather([(side, None)], recipe, n_threads=threads)
        parts = [k.split(_BETWEEN) for k in side.groups.labels]
        n, totals, title, genes = sums["n"], group_totals(side), cells.name, cells.genes

    def together(chosen: list[list[int]]) -> tuple[Floats, NDArray[np.int64]]:
        """Profiles of unions of the finest groups."""
        table = np.array([sums[field][rows].sum(0) for rows in chosen]).reshape(len(chosen), genes.size)
        counts = np.array([n[rows].sum() for rows in chosen], np.int64)
        whole = np.array([totals[rows].sum() for rows in chosen])
        if space == "sum":
            return table, counts
        if space != "log_of_sums":
            return per_cell(table, counts), counts
        made = GroupSummary(title, genes, ("",) * len(chosen), "", counts, whole, {recipe.name: {"sum": table}})
        return bulk_lognorm(made, recipe, target_sum), counts

    rows: dict[tuple[str, str], list[int]] = {}
    controls: dict[str, list[int]] = {}
    in_batch: dict[tuple[str, str], list[int]] = {}
    names = sorted({(stratum, batch) for stratum, _, batch in parts})
    for k, (stratum, label, batch) in enumerate(parts):
        if label == control:
            controls.setdefault(stratum, []).append(k)
            in_batch.setdefault((stratum, batch), []).append(k)
        else:
            rows.setdefault((stratum, label), []).append(k)
    keys = sorted(rows)
    table, cells_in = together([rows[k] for k in keys])
    everything = [k for chosen in controls.values() for k in chosen]
    batch_control = batch_cells = None
    if batch_col is not None:
        batch_control = np.full((len(names), genes.size), np.nan)
        for b, place in enumerate(names):
            if place in in_batch:
                batch_control[b] = together([in_batch[place]])[0][0]
        at = {place: b for b, place in enumerate(names)}
        batch_cells = np.zeros((len(keys), len(names)), np.int64)
        for r, row in enumerate(keys):
            for k in rows[row]:
                batch_cells[r, at[row[0], parts[k][2]]] += n[k]
    return ProfileRows(
        name=title,
        genes=genes,
        labels=tuple(label for _, label in keys),
        strata=None if within is None else tuple(stratum for stratum, _ in keys),
        table=table,
        n_cells=cells_in,
        control=together([everything])[0][0] if everything else None,
        strata_control={s: together([chosen])[0][0] for s, chosen in controls.items()} if within else None,
        batch_control=batch_control,
        batch_cells=batch_cells,
    )


def matched(pred: ProfileRows, real: ProfileRows) -> ProfileRows:
    """``pred`` with the rows and genes of ``real``, in its order.

    Raises
    ------
    DataError
        If genes or rows differ.
    """
    check_unique(real.genes, real.name)
    order = align_genes(pred.genes, real.genes, pred_name=pred.name, real_name=real.name)
    mine, theirs = pred.keys, real.keys
    odd = [sorted(" / ".join(filter(None, k)) for k in x) for x in (set(mine) - set(theirs), set(theirs) - set(mine))]
    if odd[0] or odd[1]:
        words = [f"only in {s.name}: {some(x)}" for s, x in zip((pred, real), odd, strict=True) if x]
        msg = f"the two sides hold different perturbations; {'; '.join(words)}; remove or add those rows"
        raise DataError(msg)
    at = {k: r for r, k in enumerate(mine)}
    rows = [at[k] for k in theirs]
    columns = slice(None) if order is None else order
    table = rows_of(pred.table, rows)
    return replace(
        pred,
        genes=real.genes,
        labels=real.labels,
        strata=real.strata,
        table=table if order is None else np.ascontiguousarray(table[:, order]),
        n_cells=None if pred.n_cells is None else pred.n_cells[rows],
        control=None if pred.control is None else pred.control[columns],
        batch_cells=None if pred.batch_cells is None else pred.batch_cells[rows],
    )
