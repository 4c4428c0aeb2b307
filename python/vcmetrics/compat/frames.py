"""Tables as the peers hand them out: polars where it is installed, else pandas."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.results.files import number
from vcmetrics.results.staging import staged_file

Columns = Mapping[str, Any]


def has_polars() -> bool:
    """Whether tables are polars frames here."""
    return find_spec("polars") is not None


def frame(columns: Columns) -> Any:
    """A frame of named columns; masked values are null (pandas knows only NaN for numbers)."""
    if has_polars():
        import polars as pl

        return pl.DataFrame([_series(pl, name, values) for name, values in columns.items()])
    import pandas as pd

    return pd.DataFrame({name: _filled(values) for name, values in columns.items()})


def _series(pl: Any, name: str, values: Any) -> Any:
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        mask = np.ma.getmaskarray(values)
        listed = [None if gone else value for value, gone in zip(values.data.tolist(), mask.tolist(), strict=True)]
        return pl.Series(name, listed, dtype=pl.Float64)
    plain = np.ma.getdata(values) if isinstance(values, np.ma.MaskedArray) else values
    if isinstance(plain, np.ndarray) and plain.dtype.kind in "OU":
        plain = [str(x) for x in plain]
    return pl.Series(name, plain)


def _filled(values: Any) -> Any:
    return values.filled(np.nan) if isinstance(values, np.ma.MaskedArray) else values


def columns_of(table: Any) -> dict[str, Any]:
    """Columns of a polars or pandas frame: text as lists, numbers as masked arrays (masked: null)."""
    out: dict[str, Any] = {}
    polars = hasattr(table, "get_column")
    for name in table.columns:
        values = table.get_column(name).to_list() if polars else table[name].tolist()
        if all(v is None or isinstance(v, (bool, int, float)) for v in values):
            gone = np.array([v is None for v in values], np.bool_)
            out[str(name)] = np.ma.array([np.nan if v is None else float(v) for v in values], mask=gone)
        else:
            out[str(name)] = [None if v is None else str(v) for v in values]
    return out


def read_columns(source: Any) -> dict[str, Any]:
    """Columns of a frame, or of the ``.csv`` file at a path: an empty cell is null, ``NaN`` a number."""
    if not isinstance(source, (str, os.PathLike)):
        if not hasattr(source, "columns"):
            msg = f"expected a polars or pandas frame or the path of a .csv file, got {type(source).__name__}"
            raise TypeError(msg)
        return columns_of(source)
    with open(source, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if row]
    if not rows:
        msg = f"{source} is empty; a table with a header line is needed"
        raise DataError(msg)
    header, body = rows[0], rows[1:]
    if any(len(row) != len(header) for row in body):
        msg = f"{source} has lines that are not as wide as its header ({len(header)} columns)"
        raise DataError(msg)
    return {name: _parsed([row[k] for row in body]) for k, name in enumerate(header)}


def _parsed(cells: Sequence[str]) -> Any:
    gone = np.array([cell == "" for cell in cells], np.bool_)
    try:
        return np.ma.array([np.nan if cell == "" else float(cell) for cell in cells], mask=gone)
    except ValueError:
        return [None if cell == "" else cell for cell in cells]


def write_csv(columns: Columns, path: str | os.PathLike[str]) -> None:
    """Write columns as csv, whole or not at all: null is an empty cell, an undefined number ``NaN``."""
    texts = [_texts(values) for values in columns.values()]
    with staged_file(path) as stage, stage.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*texts, strict=True))


def _texts(values: Any) -> list[str]:
    if isinstance(values, np.ma.MaskedArray):
        gone = np.ma.getmaskarray(values)
        return ["" if g else number(v) for v, g in zip(values.data.tolist(), gone.tolist(), strict=True)]
    return ["" if v is None else number(v) if isinstance(v, float) else str(v) for v in np.asarray(values).tolist()]


def de_frame(table: Any, *, single: bool) -> Any:
    """The table of a DETable as pdex gives it: means in the data's own precision, text columns as text."""
    wide: Any = table.to_frame(copy=False)
    columns: dict[str, Any] = {}
    for name in wide.columns:
        values = wide[name]
        if name in ("target", "feature"):
            columns[name] = _labels(values.cat.categories, np.asarray(values.cat.codes))
        elif single and name in ("target_mean", "ref_mean"):
            columns[name] = values.to_numpy().astype(np.float32)
        else:
            columns[name] = values.to_numpy()
    if has_polars():
        import polars as pl

        return pl.DataFrame(
            {k: pl.Series(k, v[0]).gather(v[1]) if isinstance(v, tuple) else v for k, v in columns.items()}
        )
    import pandas as pd

    return pd.DataFrame({k: v[0][v[1]] if isinstance(v, tuple) else v for k, v in columns.items()})


def _labels(categories: Any, codes: NDArray[Any]) -> tuple[NDArray[np.object_], NDArray[Any]]:
    """Names and the number of each row's name; categories without a row stay out of nothing."""
    return np.array([str(c) for c in categories], object), codes.astype(np.int64)


def write_frame(table: Any, path: str | os.PathLike[str]) -> None:
    """Write a long frame (millions of rows) as csv, whole or not at all."""
    with staged_file(path) as stage:
        if hasattr(table, "write_csv"):
            table.write_csv(stage)
        else:
            table.to_csv(stage, index=False, na_rep="NaN")
