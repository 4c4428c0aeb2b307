"""The test data and the training data of a baseline, read into profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.baselines.formulas import Asked, Floats, Source, parts_of
from vcmetrics.presets.preset import get_preset
from vcmetrics.scoring.reading import default_column
from vcmetrics.sources import Rows, align_genes, open_cells
from vcmetrics.sources.cells import Cells
from vcmetrics.sources.genes import some
from vcmetrics.sources.stored import as_path
from vcmetrics.summary.profile_rows import ProfileRows, read_profiles

SPACES = ("log_of_sums", "mean_of_logs", "mean")


@dataclass(frozen=True)
class Reading:
    """How both sides are read; arguments as in :func:`vcmetrics.baselines.make`."""

    pert_col: str | None
    control: str
    context_col: str | None
    layer: str | None
    space: str
    target_sum: float
    separator: str
    n_threads: int
    batch_col: str | None = None  # carried over to the prediction; training data need none


@dataclass(frozen=True)
class Side:
    """One side: its profiles, and the cells that they were made of.

    ``labels`` and ``contexts`` name every cell ("" without contexts), None where a cell has no label; ``cells`` are the
    row numbers of every (context, label); ``totals`` are sums of the stored values. ``positive`` says that none of
    these is negative, ``whole`` that they are counts.
    """

    name: str
    pert_col: str
    source: Source
    rows: Rows
    labels: NDArray[np.object_]
    contexts: NDArray[np.object_]
    batches: NDArray[np.object_] | None
    cells: Mapping[tuple[str, str], NDArray[np.int64]]
    totals: Floats
    positive: bool
    whole: bool

    def members(self, context: str, label: str) -> NDArray[np.int64]:
        """Row numbers of the cells of one label in one context."""
        return self.cells.get((context, label), np.zeros(0, np.int64))

    def asked(self, row: int) -> Asked:
        """What is known beforehand of the perturbation of a row."""
        s = self.source
        return Asked(s.labels[row], s.keys[row], int(s.n_cells[row]), float(s.depth[row]))


def pert_column(cells: Cells, pert_col: str | None) -> str:
    """The column of labels; the usual names where None."""
    return default_column(cells, get_preset("vcc2026")) if pert_col is None else pert_col


def read_side(data: Any, name: str, how: Reading) -> Side:
    """Read one side.

    Raises
    ------
    DataError
        If a column or the control is missing in a context, or the values do not suit the space.
    """
    if how.space not in SPACES:
        msg = f"space {how.space!r} is not known; choose from {', '.join(SPACES)}"
        raise ValueError(msg)
    with open_cells(data, layer=how.layer, name=name) as cells:
        column = pert_column(cells, how.pert_col)
        facts = cells.scan(how.n_threads)
        rows = cells.rows(how.n_threads)
        labels = cells.column(column)
        contexts = np.full(labels.size, "", object) if how.context_col is None else cells.column(how.context_col)
        batches = None if how.batch_col is None else cells.column(how.batch_col)
        profiles = read_profiles(
            cells,
            name=name,
            pert_col=column,
            control=how.control,
            within=how.context_col,
            space=how.space,
            target_sum=how.target_sum,
            layer=how.layer,
            observed=True,
            n_threads=how.n_threads,
        )
        title = cells.name
    totals = np.asarray(facts["totals"], np.float64)
    positive = not facts["n_negative"]
    members = rows_by_place(contexts, labels)
    source = source_of(profiles, members, totals, how)
    whole = positive and not facts["n_fractional"]
    return Side(title, column, source, rows, labels, contexts, batches, members, totals, positive, whole)


def rows_by_place(contexts: NDArray[Any], labels: NDArray[Any]) -> dict[tuple[str, str], NDArray[np.int64]]:
    """Row numbers, ascending, of every pair of context and label; cells that lack one are in none."""
    numbers: dict[Any, int] = {}
    pairs = zip(contexts.tolist(), labels.tolist(), strict=True)
    codes = np.array([numbers.setdefault(pair, len(numbers)) for pair in pairs], np.int64)
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(codes, minlength=len(numbers)))[:-1])
    return {pair: rows for pair, rows in zip(numbers, parts, strict=True) if None not in pair}


def source_of(
    profiles: ProfileRows, members: Mapping[tuple[str, str], NDArray[np.int64]], totals: Floats, how: Reading
) -> Source:
    """Profiles with the depth of their cells; every context must have its control."""
    strata = profiles.strata or ("",) * len(profiles.labels)
    controls = {"": profiles.control} if how.context_col is None else dict(profiles.strata_control or {})
    without = sorted(set(strata) - set(controls))
    if without:
        msg = (
            f"{profiles.name}: contexts without a cell labelled {how.control!r}: {some(without)}; a baseline starts "
            "from the control of its own context"
        )
        raise DataError(msg)
    depth = np.array([np.median(totals[members[place]]) for place in zip(strata, profiles.labels, strict=True)])
    assert profiles.n_cells is not None
    return Source(
        labels=profiles.labels,
        keys=tuple(parts_of(label, how.separator, how.control) for label in profiles.labels),
        contexts=tuple(strata),
        mean=np.asarray(profiles.table, np.float64),
        n_cells=profiles.n_cells,
        depth=depth,
        controls={c: np.asarray(p, np.float64) for c, p in controls.items() if p is not None},
        genes=profiles.genes,
    )


def read_both(real: Any, train: Any, how: Reading) -> tuple[Side, Side | None]:
    """The test side, and the training side over its genes (None where there is none).

    Raises
    ------
    DataError
        If the genes of the two differ.
    ValueError
        If both are the same object.
    """
    paths = as_path(train), as_path(real)
    if train is not None and (train is real or (paths[0] is not None and paths[0] == paths[1])):
        msg = "train is the test data themselves; leave it out, and every perturbation is left out of its own baseline"
        raise ValueError(msg)
    side = read_side(real, "real", how)
    if train is None:
        return side, None
    other = read_side(train, "train", replace(how, batch_col=None))
    order = align_genes(other.source.genes, side.source.genes, pred_name=other.name, real_name=side.name)
    if order is not None:
        s = other.source
        moved = replace(
            s, mean=s.mean[:, order], controls={c: p[order] for c, p in s.controls.items()}, genes=side.source.genes
        )
        other = replace(other, source=moved)
    return side, other


def reading(**options: Any) -> Reading:
    """Settle the number of threads."""
    return Reading(**{**options, "n_threads": resolve_threads(options["n_threads"])})
