"""The generic baseline of a data set, from the data themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.presets.preset import get_preset
from vcmetrics.scoring.baseline import BaselinePrediction, generic_baseline
from vcmetrics.scoring.reading import default_column
from vcmetrics.sources import open_cells
from vcmetrics.summary.plan import group_cells, resolve_targets
from vcmetrics.summary.summarize import checked_side, groups_of


def mean_response_of(
    data: Any,
    *,
    pert_col: str | None = None,
    control: str | None = None,
    layer: str | None = None,
    target_map: Mapping[str, str | None] | None = None,
    emit: str = "dispersed",
    seed: int = 0,
    n_threads: int | None = None,
) -> tuple[BaselinePrediction, str]:
    """Cells of a model that predicts the mean response for every perturbation.

    Parameters
    ----------
    data
        AnnData, or the path of an ``.h5ad`` or ``.zarr``; raw counts, n_obs × n_vars.
    pert_col, control
        Column of labels and label of the control cells; those of preset vcc2026 where None.
    layer
        Read this layer in place of ``X``.
    target_map
        label → own target gene, which its contribution to the mean leaves out.
    emit, seed
        See :func:`vcmetrics.scoring.baseline.generic_baseline`.
    n_threads
        Threads of the read.

    Returns
    -------
    The prediction and the column of labels that was read.

    Raises
    ------
    DataError
        If the column or the control is missing, or the values are not counts.
    """
    preset = get_preset("vcc2026")
    with open_cells(data, layer=layer) as cells:
        column = default_column(cells, preset) if pert_col is None else pert_col
        label = preset.control if control is None else control
        groups = group_cells(cells.column(column), label)
        if groups.control_code < 0:
            msg = f"{cells.name}: no cell is labelled {label!r} in column {column!r}; pass control= (--control)"
            raise DataError(msg)
        if len(groups.labels) < 2:
            msg = f"{cells.name}: every cell is labelled {label!r}; there is no response to average"
            raise DataError(msg)
        side = checked_side(cells, groups_of(cells, column, label), resolve_threads(n_threads), counts=True)
        perturbations = [name for name in groups.labels if name != label]
        where = {str(gene): k for k, gene in enumerate(cells.genes)}
        targets = resolve_targets(perturbations, cells.genes, target_map)
        gene_of = dict(zip(perturbations, targets, strict=True))
        genes = [gene_of.get(name) for name in groups.labels]
        own = np.array([-1 if gene is None else where[gene] for gene in genes], np.int64)
        made = generic_baseline(side.rows, groups.labels, groups.codes, label, cells.genes, own, emit=emit, seed=seed)
        return made, column
