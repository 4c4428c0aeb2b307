"""From what the user has to what the pass takes: labels, genes and values checked, one job a context."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache as made_once
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.pair import Profiles
from vcmetrics.presets.preset import Preset
from vcmetrics.scoring.compare import Scored
from vcmetrics.scoring.evaluate import BatchCodes, SideInput
from vcmetrics.scoring.inputs import Scan, effective_type
from vcmetrics.scoring.reading import Reading, aligned, default_column, read_groups
from vcmetrics.scoring.settings import Settings
from vcmetrics.scoring.spaces import log_unit
from vcmetrics.sources.genes import some
from vcmetrics.summary.group_summary import FORMAT, GroupSummary, digest
from vcmetrics.summary.plan import Groups, check_labels

if TYPE_CHECKING:
    from vcmetrics.metrics.cells import CellPair
    from vcmetrics.sources import Cells

Array = NDArray[Any]


PACKED_CONTEXT = "context"  # column of a packed submission


def context_column(pred: Cells, real: Cells | None, context_col: str | None) -> str | None:
    """The column of contexts: the one asked for, or that of a packed submission with several.

    ``real`` is None where the reference is a summary, which has no contexts.
    """
    if context_col is not None or not pred.packed or PACKED_CONTEXT not in pred.columns():
        return context_col
    if real is not None and PACKED_CONTEXT in real.columns():
        return PACKED_CONTEXT
    there = sorted({str(c) for c in pred.column(PACKED_CONTEXT)})
    if len(there) > 1:
        other = "the reference is a summary" if real is None else f"{real.name} has no column {PACKED_CONTEXT!r} in obs"
        msg = (
            f"{pred.name} covers several contexts ({some(there)}), but {other}; pass the data of all contexts as real, "
            f"with their names in the column {PACKED_CONTEXT!r}"
        )
        raise DataError(msg)
    return None


def make_input(
    cells: Cells,
    groups: Groups,
    settings: Settings,
    *,
    predicted: bool,
    reference_median: float | None,
    order: Sequence[str] = (),
    batches: BatchCodes | None = None,
    train: SideInput | None = None,
    reading: Reading | None = None,
) -> SideInput:
    """Check one side's values and settle its normalisation; ``order``, ``batches``, ``train`` as in SideInput."""
    preset = settings.preset
    facts = cells.scan(settings.n_threads)
    rows = cells.rows()
    sparse = rows.nnz < cells.n_obs * cells.n_vars
    scan = Scan(name=cells.name, facts=facts, dtype=cells.dtype, genes=cells.genes, has_zeros=sparse)
    side = (reading or Reading()).side(cells, groups, settings.n_threads)
    if preset.target_sum == "median_own":
        used = side.totals[groups.codes >= 0]
        target = median_total(used if cells.layout == "csr" else used[used > 0])
    elif preset.target_sum == "median_real_control":
        mine = side.totals[groups.codes == groups.control_code]
        target = median_total(mine[mine > 0]) if reference_median is None else reference_median
    else:
        target = float(preset.target_sum)
    return SideInput(
        name=cells.name,
        side=side,
        kind=effective_type(scan, preset, predicted=predicted),
        single=cells.dtype.itemsize <= 4 or cells.dtype.kind in "iub",
        target_sum=target,
        dtype=cells.dtype,
        order=tuple(order),
        batches=batches,
        train=train,
    )


def median_total(totals: Array) -> float:
    """Median of the cells' totals; 1 where there is none."""
    return float(np.median(totals)) if totals.size else 1.0


@dataclass(frozen=True)
class Job:
    """One context, checked and ready for the pass."""

    context: str | None
    real: SideInput | GroupSummary
    pred: SideInput
    genes: Array
    cells: Callable[[], Any] | None = None
    embeddings: Mapping[str, tuple[Profiles, Profiles]] = field(default_factory=dict)
    cache_file: Path | None = None
    load_real: Callable[[], SideInput] | None = None  # the reference's cells, where ``real`` is a kept summary


def summary_job(real: GroupSummary, pred: Cells, pert_col: str | None, settings: Settings) -> Job:
    """The prediction against a reference that is at hand as a summary."""
    pred = aligned(pred, real.genes, real.name, same_order=settings.preset.same_gene_order)
    (groups,) = read_groups(pred, pert_col, real.control, None, settings.preset).values()
    check_labels(
        groups,
        Groups(real.labels, np.zeros(0, np.int32), real.control),
        pred_needs_control=settings.preset.prediction_needs_control,
        names=(pred.name, real.name),
    )
    if "kind" not in real.facts:
        msg = f"{real.name}: the summary does not say what its values are; make it again with vcmetrics.summarize"
        raise DataError(msg)
    one = make_input(pred, groups, settings, predicted=True, reference_median=real.facts["target_sum"])
    return Job(None, real, one, real.genes)


def data_jobs(
    real: Cells,
    pred: Cells,
    pert_col: str | None,
    control: str,
    context_col: str | None,
    settings: Settings,
    cache: str | os.PathLike[str] | None,
    *,
    batch_col: str | None = None,
    train: Cells | None = None,
    reading: Reading | None = None,
) -> list[Job]:
    """One job a context; everything that can be wrong with labels, genes and values is found here.

    ``reading`` is shared by rule sets that score the same files.
    """
    preset = settings.preset
    reading = reading or Reading()
    pred = reading.aligned(pred, real.genes, real.name, preset)
    real_groups = reading.groups(real, pert_col, control, context_col, preset)
    pred_groups = reading.groups(pred, pert_col, control, context_col, preset)
    if set(real_groups) != set(pred_groups):
        a, b = (sorted(map(str, x)) for x in (real_groups, pred_groups))
        msg = f"the two sides hold different contexts: {real.name} has {some(a)}, {pred.name} has {some(b)}"
        raise DataError(msg)
    names = (pred.name, real.name)
    for context, groups in real_groups.items():
        suffix = "" if context is None else f", context {context!r}"
        where = (names[0] + suffix, names[1] + suffix)
        check_labels(
            pred_groups[context],
            groups,
            pred_needs_control=preset.prediction_needs_control,
            real_needs_control=preset.needs_control,
            names=where,
        )
    batches = (None, None) if batch_col is None else reading.batches(real, pred, batch_col)
    trained = None if train is None else reading.training(train, real.genes, real.name)
    order = real.group_order(default_column(real, preset) if pert_col is None else pert_col) or ()
    jobs = []
    for context, groups in real_groups.items():
        # a kept summary has no cells to tell apart by batch, nor what was made of training data
        kept = cache if batch_col is None and train is None else None
        file = cache_file(kept, real, groups, order, settings)
        known = GroupSummary.load(file) if file is not None and file.exists() else None
        load = partial(
            make_input,
            real,
            groups,
            settings,
            predicted=False,
            reference_median=None,
            order=order,
            batches=batches[0],
            reading=reading,
        )
        reference: SideInput | GroupSummary
        if known is None:
            reference = load()
            median = reference.target_sum
        else:
            reference, median = known, known.facts["target_sum"]
        if trained is not None and isinstance(reference, SideInput):
            taught = training_groups(trained, pert_col, control, context_col, context, preset, reading)
            how: dict[str, Any] = {"predicted": False, "reference_median": median, "reading": reading}
            reference = replace(reference, train=make_input(trained, taught, settings, **how))
        one = make_input(
            pred,
            pred_groups[context],
            settings,
            predicted=True,
            reference_median=median,
            batches=batches[1],
            reading=reading,
        )
        jobs.append(
            Job(
                context,
                reference,
                one,
                real.genes,
                # one object for all metrics, which keep what they derive from it
                cells=made_once(partial(cell_pair, real, pred, load, one, settings)),
                embeddings=embedded(real, pred, groups, pred_groups[context], settings),
                cache_file=file,
                load_real=load,
            )
        )
    return jobs


def training_groups(
    train: Cells,
    pert_col: str | None,
    control: str,
    context_col: str | None,
    context: str | None,
    preset: Preset,
    reading: Reading,
) -> Groups:
    """Groups of the training data in one context; without contexts, of all of it."""
    by_context = reading.groups(train, pert_col, control, context_col, preset)
    if context not in by_context:
        msg = (
            f"{train.name}: no training cell has the context {context!r} "
            f"(contexts: {some(sorted(map(str, by_context)))}); "
            "score without context_col=, or give training data of every context"
        )
        raise DataError(msg)
    groups = by_context[context]
    if not groups.perturbations:
        msg = f"{train.name}: every training cell is labelled {control!r}; there is no perturbation to average"
        raise DataError(msg)
    return groups


def cell_pair(
    real: Cells, pred: Cells, load_real: Callable[[], SideInput], one: SideInput, settings: Settings
) -> CellPair:
    """Single cells of both sides, for the metrics that read them."""
    from vcmetrics.metrics.cells import CellPair, CellSide

    def side(cells: Cells, given: SideInput) -> CellSide:
        s = given.side
        unit = log_unit(settings.preset)
        return CellSide(s.rows, s.groups, s.totals, given.kind, given.target_sum, given.name, cells.obsm, unit)

    return CellPair(side(real, load_real()), side(pred, one), settings.n_threads)


def embedded(
    real: Cells, pred: Cells, real_groups: Groups, pred_groups: Groups, settings: Settings
) -> dict[str, tuple[Profiles, Profiles]]:
    """Profiles of every embedding that a metric reads: (prediction, reality)."""
    keys = {m.params["embedding"] for m in settings.members if m.params.get("embedding") is not None}
    return {key: embedding_profiles(real, pred, real_groups, pred_groups, key, settings) for key in sorted(keys)}


def embedding_profiles(
    real: Cells, pred: Cells, real_groups: Groups, pred_groups: Groups, key: str, settings: Settings
) -> tuple[Profiles, Profiles]:
    """Group means of one embedding: (prediction, reality)."""
    out = []
    for cells, groups in ((pred, pred_groups), (real, real_groups)):
        x = np.asarray(cells.obsm(key))
        means = np.array([x[groups.codes == g].mean(0, dtype=np.float64) for g in range(len(groups.labels))])
        rows = groups.select(real_groups.perturbations)
        out.append(Profiles(means[rows], means[groups.control_code]))
    return out[0], out[1]


def cache_file(
    cache: str | os.PathLike[str] | None, real: Cells, groups: Groups, order: Sequence[str], settings: Settings
) -> Path | None:
    """Where the summary of the reference is kept: one file per data, labels and settings."""
    if cache is None or settings.needs_cells:
        return None
    Path(cache).mkdir(parents=True, exist_ok=True)
    labelled = (groups.labels, groups.control, groups.codes.tobytes(), tuple(order))
    key = digest(FORMAT, real.fingerprint(), *labelled, settings.describe())
    return Path(cache) / f"reference-{key}.npz"


def save_reference(job: Job, scored: Scored) -> None:
    """Keep the reference's summary for the next prediction."""
    if job.cache_file is None or not isinstance(job.real, SideInput):
        return
    one = job.real
    facts = {"kind": one.kind, "single": one.single, "target_sum": one.target_sum}
    control = one.side.control_cells()
    replace(scored.real, control_side=control, facts=facts, fingerprint=job.cache_file.stem).save(job.cache_file)
