"""Differential-expression tables that others made: read, checked, brought under a scorer's reading rules."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.summary.de_table import DETable
from vcmetrics.summary.differential_expression import benjamini_hochberg

# our column -> spellings, the first found is taken
_COLUMNS = {
    "target": ("target",),
    "feature": ("feature",),
    "lfc": ("log2_fold_change",),
    "p_value": ("p_value",),
    "p_adj": ("p_adj", "fdr"),
}
_OPTIONAL = ("p_value",)
_NULL_BITS = {"lfc": 1, "p_adj": 2, "p_value": 4}

Column = tuple[Sequence[Any] | NDArray[Any], NDArray[np.bool_] | None]


def read_de_table(source: Any, *, genes: Sequence[str] | None = None) -> DETable:
    """A dense table from a long one.

    Parameters
    ----------
    source
        A DETable (returned as it is), a mapping of arrays, a pandas or polars frame, or the path of a ``.csv`` or
        ``.parquet`` file, with columns ``target``, ``feature``, ``log2_fold_change``, ``p_adj`` (or ``fdr``) and
        mostly ``p_value``. An empty cell is *missing*; ``NaN`` is a number that is not defined.
    genes
        Order of the columns; by default that of first appearance.

    Returns
    -------
    DETable, targets ascending. Genes that a target does not list are absent there.

    Raises
    ------
    DataError
        If a column lacks, a cell is no number, or a (target, feature) comes twice.

    Examples
    --------
    >>> table = read_de_table({"target": ["A", "A"], "feature": ["x", "y"], "log2_fold_change": [1.0, 0.0],
    ...                        "p_value": [0.01, 0.5], "fdr": [0.02, 0.5]})
    >>> table.targets, table.lfc.shape
    (('A',), (1, 2))
    """
    if isinstance(source, DETable):
        return source
    return _dense(_columns(source), genes)


def _columns(source: Any) -> dict[str, Column]:
    if isinstance(source, (str, Path)):
        path = Path(source)
        if path.suffix == ".parquet":
            return _from_arrow(path)
        return _from_csv(path)
    if isinstance(source, Mapping):
        return _pick(list(source), lambda name: (source[name], None))
    if hasattr(source, "get_column"):  # polars
        return _pick(
            list(source.columns),
            lambda name: (source.get_column(name).to_list(), source.get_column(name).is_null().to_numpy()),
        )
    if hasattr(source, "columns") and hasattr(source, "__getitem__"):
        return _pick(list(source.columns), lambda name: (source[name].to_numpy(), None))
    msg = f"a DE table of type {type(source).__name__} cannot be read; pass a frame, a mapping, or a .csv/.parquet path"
    raise TypeError(msg)


def _pick(names: list[str], get: Any) -> dict[str, Column]:
    out = {}
    for ours, spellings in _COLUMNS.items():
        found = [s for s in spellings if s in names]
        if found:
            out[ours] = get(found[0])
        elif ours not in _OPTIONAL:
            wanted, given = " or ".join(map(repr, spellings)), ", ".join(map(str, names))
            msg = f"the DE table has no column {wanted} (columns: {given})"
            raise DataError(msg)
    return out


def _from_arrow(path: Path) -> dict[str, Column]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        msg = f"{path} needs pyarrow: pip install 'vcmetrics[parquet]', or pass a .csv file"
        raise DataError(msg) from error
    table = parquet.read_table(path)
    return _pick(
        table.column_names,
        lambda name: (table.column(name).to_pylist(), np.asarray(table.column(name).is_null().to_numpy())),
    )


def _from_csv(path: Path) -> dict[str, Column]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = csv.reader(file)
            names = next(lines, [])
            cells = list(zip(*lines, strict=False))
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{path}: cannot be read as a DE table ({error}); pass a .csv or .parquet file"
        raise DataError(msg) from error
    if not cells:
        cells = [()] * len(names)

    def get(name: str) -> Column:
        column = cells[names.index(name)]
        return column, np.array([cell == "" for cell in column], np.bool_)

    return _pick(names, get)


def _codes(labels: Iterable[Any], known: Iterable[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Distinct labels, ``known`` first, then by first appearance; and the number of each label."""
    number = {str(name): k for k, name in enumerate(known)}
    codes = np.array([number.setdefault(str(label), len(number)) for label in labels], np.int64)
    return list(number), codes


def _numbers(name: str, column: Column) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values, null = column
    if null is None:
        null = np.zeros(len(values), np.bool_)
    try:
        if isinstance(values, np.ndarray) and values.dtype != object:
            out = values.astype(np.float64)
        else:
            out = np.array([np.nan if gone else float(v) for v, gone in zip(values, null, strict=True)], np.float64)
    except (TypeError, ValueError) as error:
        msg = f"column {_COLUMNS[name][0]!r} of the DE table holds a cell that is no number ({error})"
        raise DataError(msg) from error
    return np.where(null, np.nan, out), null


def _dense(columns: dict[str, Column], genes: Sequence[str] | None) -> DETable:
    for name in ("target", "feature"):
        labels, empty = columns[name]
        if (empty is not None and empty.any()) or any(label is None for label in labels):
            msg = f"column {name!r} of the DE table has an empty cell"
            raise DataError(msg)
    names, row = _codes(columns["target"][0], ())
    order = sorted(range(len(names)), key=names.__getitem__)
    place = np.empty(len(names), np.int64)
    place[order] = np.arange(len(names))
    row = place[row]
    targets = tuple(names[k] for k in order)
    features, col = _codes(columns["feature"][0], () if genes is None else genes)
    shape = (len(targets), len(features))

    # rows of one target together, in the order in which the table lists them
    by_target = np.argsort(row, kind="stable")
    row, col = row[by_target], col[by_target]
    present = np.zeros(shape, np.bool_)
    present[row, col] = True
    if int(present.sum()) != row.size:
        flat = np.sort(row * shape[1] + col)
        first = int(flat[1:][flat[1:] == flat[:-1]][0])
        msg = f"the DE table lists ({targets[first // shape[1]]}, {features[first % shape[1]]}) more than once"
        raise DataError(msg)
    position = None
    if ((np.diff(col) < 0) & (np.diff(row) == 0)).any():
        position = np.zeros(shape, np.int64)
        position[row, col] = np.arange(row.size) - np.searchsorted(row, row)

    table: dict[str, NDArray[np.float64]] = {}
    null: NDArray[np.uint8] = np.zeros(shape, np.uint8)
    for name, bit in _NULL_BITS.items():
        table[name] = np.full(shape, np.nan)
        if name in columns:
            values, gone = _numbers(name, columns[name])
            table[name][row, col] = values[by_target]
            null[row, col] |= (gone[by_target] * bit).astype(np.uint8)
    return DETable(
        targets=targets,
        genes=np.array(features),
        lfc=table["lfc"],
        p_value=table["p_value"],
        p_adj=table["p_adj"],
        present=None if present.all() else present,
        null=null if null.any() else None,
        position=position,
    )


def apply_reading_rules(
    table: DETable, *, nan_lfc: Literal["mask", "keep"] = "mask", min_abs_log2fc: float = 0.0
) -> DETable:
    """The table as a scorer reads it.

    Parameters
    ----------
    table
        Left unchanged.
    nan_lfc
        ``mask``: a fold change that is NaN (not infinite, not missing) cannot be significant, its ``p_adj`` becomes 1.
    min_abs_log2fc
        A fold change below it in size (strictly) cannot be significant either.

    Returns
    -------
    DETable; the same one where no rule bites.
    """
    masked = np.zeros(table.lfc.shape, np.bool_)
    if nan_lfc == "mask":
        masked |= np.isnan(table.lfc) & (True if table.null is None else (table.null & 1) == 0)
    elif nan_lfc != "keep":
        msg = f"nan_lfc {nan_lfc!r} is not one of mask, keep"
        raise ValueError(msg)
    if min_abs_log2fc > 0:
        masked |= np.abs(table.lfc) < min_abs_log2fc
    if table.present is not None:
        masked &= table.present
    if not masked.any():
        return table
    # a value that was missing is 1 now
    null = None if table.null is None else np.where(masked, table.null & ~np.uint8(_NULL_BITS["p_adj"]), table.null)
    return replace(table, p_adj=np.where(masked, 1.0, table.p_adj), null=null)


def check_targets(real: DETable, pred: DETable, perturbations: Sequence[str] | None, control: str | None) -> None:
    """Raise unless both tables list the same targets, those of the data, and not the control."""
    sides = {"real": set(real.targets), "predicted": set(pred.targets)}
    if perturbations is not None:
        sides["data's"] = set(perturbations)
    (first, reference), *others = sides.items()
    for name, labels in others:
        if labels != reference:
            odd = sorted(labels ^ reference)
            some = ", ".join(odd[:5])
            msg = f"{len(odd)} targets are in only one of the {first} and {name} DE tables or labels: {some}"
            raise DataError(msg)
    if control is not None and control in reference:
        msg = f"the control {control!r} is listed as a target of the DE tables; leave its rows out"
        raise DataError(msg)


def adjust(table: DETable, scope: Literal["per_pert", "global"] = "per_pert") -> DETable:
    """The table with ``p_adj`` made anew from ``p_value``: per target, or over all rows at once."""
    if scope not in ("per_pert", "global"):
        msg = f"scope {scope!r} is not one of per_pert, global"
        raise ValueError(msg)
    return replace(table, p_adj=benjamini_hochberg(table.p_value, scope, table.present))
