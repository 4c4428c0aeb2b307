"""Tables of distances as files: .csv, .parquet, .npz."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".parquet", ".npz")


def write_table(table: pd.DataFrame | pd.Series, path: Path | TextIO, suffix: str) -> None:
    """Write a table of distances or of tests.

    ``.csv`` and ``.parquet`` hold the labels of the rows in their first columns. ``.npz`` holds ``values`` (the columns
    of numbers, float64), ``columns`` (their names), one array of labels for each level of the rows (``rows`` for the
    groups), and ``settings`` (JSON).
    """
    frame = table.to_frame() if table.ndim == 1 else table
    names = [str(name) if name is not None else f"level_{k}" for k, name in enumerate(frame.index.names)]
    if names[-1].startswith("level_"):
        names[-1] = "group"
    if suffix == ".npz":
        arrays: dict[str, Any] = {
            "values": frame.to_numpy(np.float64),
            "columns": np.array([str(column) for column in frame.columns]),
            "settings": np.array(json.dumps(frame.attrs, default=str)),
        }
        for level, name in enumerate(names):
            key = "rows" if level == len(names) - 1 else name
            arrays[key] = frame.index.get_level_values(level).to_numpy(dtype=str)
        assert isinstance(path, Path)
        with path.open("wb") as file:
            np.savez_compressed(file, **arrays)
        return
    plain = frame.copy()
    plain.columns = [str(column) for column in frame.columns]
    plain.columns.name = None
    # a group may be called like the column of labels
    plain.index.names = [name if name not in plain.columns else f"{name}_label" for name in names]
    plain = plain.reset_index()
    plain.attrs = {}
    if suffix == ".parquet":
        plain.to_parquet(path, index=False)
    else:
        plain.to_csv(path, index=False, na_rep="NaN")
