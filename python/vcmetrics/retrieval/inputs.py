"""From what the user has to panels: cells or profiles of both sides, read once, aligned by gene and label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics.backend.host import host_table
from vcmetrics.retrieval.panel import Panel, build_panel
from vcmetrics.retrieval.targets import TargetMap
from vcmetrics.sources import open_cells
from vcmetrics.sources.cells import Cells, holds_cells
from vcmetrics.sources.genes import align_genes, some
from vcmetrics.summary.group_summary import Progress
from vcmetrics.summary.side_profiles import SideProfiles, array_profiles, read_profiles

Sides = dict[str | None, SideProfiles]


@dataclass(frozen=True)
class Inputs:
    """What the arguments of :func:`vcmetrics.discrimination` say of the data."""

    pert_col: str | None
    control: str | None
    context_col: str | None
    batch_col: str | None
    layer: str | None
    obsm: str | None
    space: str
    target_sum: float
    labels: Sequence[Any] | None
    real_labels: Sequence[Any] | None
    genes: Sequence[Any] | None
    n_threads: int
    progress: Progress | None


@dataclass(frozen=True)
class Matching:
    """What they say of the panel."""

    reference: str
    leave_one_out: bool
    control_source: str
    candidates: str | Sequence[str]
    train: Sequence[str] | None
    unmatched: str
    target_map: TargetMap | None
    separator: str
    targets_required: bool


def read_sides(pred: Any, real: Any, inputs: Inputs) -> tuple[Sides, Sides]:
    """Profiles of both sides by context, the prediction's genes in the order of the observed ones.

    Raises
    ------
    DataError
        If genes or dimensions differ, or as :func:`~vcmetrics.summary.side_profiles.read_profiles` does.
    TypeError
        If ``pert_col`` or labels are missing for what they belong to.
    """
    observed: Sides
    predicted: Sides
    if not holds_cells(real):
        labels = inputs.labels if inputs.real_labels is None else inputs.real_labels
        observed = {None: _from_array(real, "real", labels, inputs)}
    if not holds_cells(pred):
        predicted = {None: _from_array(pred, "pred", inputs.labels, inputs)}
    if holds_cells(real):
        with open_cells(real, layer=inputs.layer, name="real") as cells:
            observed = _from_cells(cells, inputs, predicted=False)
    genes = next(iter(observed.values())).genes
    if holds_cells(pred):
        with open_cells(pred, layer=inputs.layer, name="pred") as cells:
            if inputs.obsm is None and genes is not None:
                order = align_genes(cells.genes, genes, pred_name=cells.name, real_name="real", subset=True)
                cells = cells.with_gene_order(order)
            predicted = _from_cells(cells, inputs, predicted=True)
    elif genes is not None and (given := predicted[None].genes) is not None:
        order = align_genes(given, genes, pred_name="pred", real_name="real", subset=True)
        if order is not None:
            side = predicted[None]
            control = None if side.control is None else side.control[order]
            rows = np.ascontiguousarray(side.rows[:, order])
            predicted = {None: SideProfiles(side.name, genes, side.labels, rows, control=control)}
    widths = {side.rows.shape[1] for sides in (predicted, observed) for side in sides.values()}
    if len(widths) > 1:
        what = f"dimensions of obsm {inputs.obsm!r}" if inputs.obsm is not None else "columns"
        msg = f"pred and real differ in the number of {what}: {sorted(widths)}"
        raise DataError(msg)
    return predicted, observed


def _from_cells(cells: Cells, inputs: Inputs, *, predicted: bool) -> Sides:
    if inputs.pert_col is None:
        msg = "pass pert_col= with the column of obs that names each cell's perturbation"
        raise TypeError(msg)
    return read_profiles(
        cells,
        pert_col=inputs.pert_col,
        control=inputs.control,
        context_col=inputs.context_col,
        batch_col=None if predicted else inputs.batch_col,
        obsm=inputs.obsm,
        space=inputs.space,
        target_sum=inputs.target_sum,
        whole_counts=not predicted,
        n_threads=inputs.n_threads,
        progress=inputs.progress,
    )


def _from_array(data: Any, name: str, labels: Sequence[Any] | None, inputs: Inputs) -> SideProfiles:
    """A table of profiles; a data frame brings its own labels and genes, whatever is given for an array beside it."""
    if inputs.context_col is not None or inputs.batch_col is not None or inputs.obsm is not None:
        msg = f"context_col=, batch_col= and obsm= belong to cells, and {name} is a table of profiles"
        raise TypeError(msg)
    genes = inputs.genes
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        labels, genes, data = list(data.index), list(data.columns), data.to_numpy()
    rows = host_table(data, name, what="discrimination")
    if labels is None:
        msg = f"{name} is a table of profiles: pass labels= with one label a row (real_labels= where they differ)"
        raise TypeError(msg)
    return array_profiles(rows, labels, name, genes=genes, control=inputs.control)


def read_panels(pred: Any, real: Any, inputs: Inputs, matching: Matching) -> list[Panel]:
    """One panel a context."""
    if matching.unmatched not in ("error", "drop"):
        msg = f"unmatched {matching.unmatched!r} is not known; pass 'error' or 'drop'"
        raise ValueError(msg)
    if matching.control_source not in ("real", "own"):
        msg = f"control_source {matching.control_source!r} is not known; pass 'real' or 'own'"
        raise ValueError(msg)
    predicted, observed = read_sides(pred, real, inputs)
    sides = list(observed.values())
    if inputs.control is not None and all(side.n_cells is not None and side.control is None for side in sides):
        msg = (
            f"{sides[0].name}: no cell is labelled {inputs.control!r} (labels: {some(sides[0].labels)}); pass control= "
            "with the label of the control cells, or control=None where there are none"
        )
        raise DataError(msg)
    if isinstance(matching.train, str):
        msg = f"train is the text {matching.train!r}; pass a list of perturbations, such as [{matching.train!r}]"
        raise TypeError(msg)
    strange = sorted(set(map(str, matching.train or ())) - {label for side in sides for label in side.labels})
    if strange:
        msg = f"train names perturbations that {sides[0].name} does not have: {some(strange)}"
        raise DataError(msg)
    lone = sorted(set(predicted) - set(observed), key=str)
    if lone and matching.unmatched == "error":
        msg = f"pred has contexts that real does not have: {some(lone)}; remove them, or pass unmatched='drop'"
        raise DataError(msg)
    shared = [context for context in observed if context in predicted]
    if not shared:
        msg = f"pred and real share no context of {inputs.context_col!r}"
        raise DataError(msg)
    return [build_panel(predicted[c], observed[c], context=c, control=inputs.control, **vars(matching)) for c in shared]
