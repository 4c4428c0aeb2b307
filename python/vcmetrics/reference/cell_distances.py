"""Meaning of the distances between predicted and observed cells: the distance's own reference, cell by cell."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair

if TYPE_CHECKING:
    from vcmetrics.metrics.cells import CellSide
    from vcmetrics.metrics.distance.registry import DistanceSpec

Values = NDArray[np.float64]


def signature(defaults: Mapping[str, Any]) -> inspect.Signature:
    """``(pair, *, embedding=None, …)`` with the distance's parameters."""
    kind = inspect.Parameter.KEYWORD_ONLY
    own = [inspect.Parameter(name, kind, default=value) for name, value in {"embedding": None, **defaults}.items()]
    return inspect.Signature([inspect.Parameter("pair", inspect.Parameter.POSITIONAL_OR_KEYWORD), *own])


def table(side: CellSide, embedding: str | None) -> Values:
    """All cells of one side, dense: the embedding, or float32 of log1p(y / (l / target_sum)) / log_unit."""
    if embedding is not None:
        assert side.obsm is not None
        return np.asarray(side.obsm(embedding), np.float64)
    rows = side.rows
    out = np.zeros((rows.n_rows, rows.n_cols))
    for i in range(rows.n_rows):
        start, stop = int(rows.indptr[i]), int(rows.indptr[i + 1])
        values = np.asarray(rows.data.read(start, stop))
        if side.kind == "counts":
            unit = np.float32(side.totals[i]) / np.float32(side.target_sum)
            values = values.astype(np.float32) / (unit if unit else np.float32(1))
            values = (np.log1p(values.astype(np.float64)) / side.log_unit).astype(np.float32)
        out[i, rows.indices.read(start, stop)] = values
    return out


def reference_of(spec: DistanceSpec) -> Callable[..., Values]:
    """The reference of a row: its distance's, perturbation by perturbation."""

    def reference(pair: Pair, *, embedding: str | None = None, **parameters: Any) -> Values:
        cells = pair.cells() if pair.cells is not None else None
        assert cells is not None
        x, y = table(cells.real, embedding), table(cells.pred, embedding)
        if isinstance(parameters.get("gamma"), str):
            used = np.sort(np.concatenate([cells.real.cells_of(p) for p in pair.perturbations]))
            if used.size > 1000:
                used = used[np.linspace(0, used.size - 1, 1000).astype(int)]
            apart = [np.sqrt(((x[i] - x[j]) ** 2).sum()) for i in used for j in used if i < j]
            middle = float(np.median(apart)) if apart else 0.0
            parameters = {**parameters, "gamma": 1 / (2 * middle**2) if middle else 1.0}
        return np.array(
            [
                spec.reference(x[cells.real.cells_of(p)], y[cells.pred.cells_of(p)], **parameters)
                for p in pair.perturbations
            ]
        )

    reference.__doc__ = f"Reference of the distance {spec.name} between the cells of both sides."
    reference.__signature__ = signature(spec.defaults)  # type: ignore[attr-defined]
    return reference
