"""Distances between groups over a cluster: blocks of the matrix, each of which a worker computes from the files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from distributed import Client

from vcmetrics._errors import DataError
from vcmetrics.dask.cluster import Progress, compute, n_threads, task
from vcmetrics.distances.conventions import choose
from vcmetrics.distances.matrix import distance_matrix, distances_to, frame, settings_of
from vcmetrics.sources.cells import open_cells
from vcmetrics.sources.joined import matching

if TYPE_CHECKING:
    import pandas as pd

BLOCKS_A_THREAD = 4


def blocked_matrix(
    data: Any,
    client: Client,
    *,
    pert_col: str,
    metric: str,
    progress: Progress | None,
    **options: Any,
) -> pd.DataFrame:
    """:func:`vcmetrics.distance_matrix`, block of rows by block of columns."""
    given = {key: value for key, value in options.items() if key not in _OURS}
    choice = choose(metric, options.get("convention"), given)
    if choice.spec.context or choice.parameters.get("gamma") == "median":
        msg = (
            f"metric {metric!r} with these parameters looks at all groups of the call, so no pair can be done apart; "
            "call vcmetrics.distance_matrix"
        )
        raise ValueError(msg)
    paths = _everywhere(data)
    layer = options.get("layer")
    with open_cells(paths, layer=layer) as cells:
        labels = _labels(cells, pert_col, options.get("groups"), options.pop("order", None) or choice.convention.order)
    options.pop("groups", None)
    diagonal = options.pop("diagonal", None)
    n_blocks = max(1, min(len(labels), round((2 * BLOCKS_A_THREAD * n_threads(client)) ** 0.5)))
    cuts = [part.tolist() for part in np.array_split(np.arange(len(labels)), n_blocks)]
    places = [(a, b) for k, a in enumerate(cuts) for b in (cuts[k:] if choice.spec.symmetric else cuts)]
    tasks = [
        task(
            _block,
            paths,
            [labels[i] for i in rows],
            [labels[j] for j in columns],
            {"pert_col": pert_col, "metric": metric, "diagonal": diagonal, "n_threads": 1, **options},
        )
        for rows, columns in places
    ]
    out = np.zeros((len(labels), len(labels)))

    def take(k: int, values: Any) -> None:
        rows, columns = places[k]
        out[np.ix_(rows, columns)] = values
        if choice.spec.symmetric:
            out[np.ix_(columns, rows)] = values.T

    compute(client, tasks, take, weights=[len(a) * len(b) for a, b in places], progress=progress)
    table = frame(out, labels, labels)
    table.index.name = table.columns.name = pert_col
    table.attrs = settings_of(choice)
    return table


# arguments of distance_matrix that are no parameters of a distance
_OURS = ("layer", "obsm", "genes", "groups", "convention", "diagonal", "order")


def _block(
    paths: Any, rows: Sequence[str], columns: Sequence[str], options: dict[str, Any]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    if list(rows) == list(columns):  # so that the two halves of a symmetric matrix are the same bits
        table = distance_matrix(paths, groups=rows, **options)
    else:
        table = distances_to(paths, list(columns), groups=rows, **options)
    values = table.to_numpy() if hasattr(table, "columns") else table.to_numpy()[:, None]
    return np.asarray(values, np.float64).reshape(len(rows), len(columns))


def _labels(cells: Any, pert_col: str, groups: Any, order: str) -> list[str]:
    from vcmetrics.distances.inputs import number_groups

    found, _ = number_groups(cells.column(pert_col), cells.group_order(pert_col), groups, order, cells.name, pert_col)
    return list(found)


def _everywhere(data: Any) -> Any:
    """Paths as every worker knows them."""
    if isinstance(data, dict):
        return {key: _everywhere(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_everywhere(one) for one in data]
    if not isinstance(data, str | os.PathLike):
        msg = f"distances over a cluster are of files, not of {type(data).__name__}; pass paths"
        raise TypeError(msg)
    path = Path(os.fspath(data)).expanduser()
    found = matching(path)
    if found is None and not path.exists():
        msg = f"{str(path)!r}: no such file; check the path"
        raise DataError(msg)
    return str(path.resolve()) if found is None else [str(one.resolve()) for one in found]
