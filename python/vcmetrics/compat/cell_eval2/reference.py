"""What the observed cells themselves reach: anchors, ceilings and the lfc_nmae reference."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics.compat.cell_eval2.config import EvalConfig, with_overrides
from vcmetrics.compat.cell_eval2.identity import anchor_record
from vcmetrics.compat.cell_eval2.rules import metric_names, output_names, settings_of
from vcmetrics.compat.cell_eval2.run import Side, fingerprint, open_side, plain_de
from vcmetrics.compat.cell_eval2.tables import long_table
from vcmetrics.compat.frames import frame
from vcmetrics.metrics.cells import CellPair, CellSide
from vcmetrics.results.score_result import ContextResult
from vcmetrics.scoring.build_bundle import SPLIT_COLUMNS, write_parquet
from vcmetrics.scoring.bundle import ANCHOR_COLUMNS
from vcmetrics.scoring.compare import Scored, compare
from vcmetrics.scoring.evaluate import SideInput
from vcmetrics.scoring.replicate import (
    BASE_SEED,
    CEILING_METRICS,
    FULL_GATED,
    N_SPLITS,
    Anchors,
    lfc_nmae_reference,
    spearman_brown,
    split_halves,
)
from vcmetrics.scoring.scaled import by_metric, computed_replicate, own_control, with_codes
from vcmetrics.scoring.settings import Settings
from vcmetrics.sources.genes import some
from vcmetrics.summary.de_reading import read_de_table

logger = logging.getLogger(__name__)


def halves_of(one: SideInput, seed: int) -> tuple[SideInput, SideInput]:
    """Both halves of every group."""
    groups = one.side.groups
    number = {label: k for k, label in enumerate(groups.labels)}
    order = [number[label] for label in one.order if label in number] or None
    half = split_halves(groups.codes, len(groups.labels), seed, order)
    a, b = (np.where(half == which, groups.codes, -1).astype(np.int32) for which in (0, 1))
    if not (a == groups.control_code).any():
        msg = f"the control {groups.control!r} has fewer than 2 cells; its halves cannot be compared"
        raise DataError(msg)
    return with_codes(one, a), with_codes(one, b)


def compare_halves(side: Side, halves: tuple[SideInput, SideInput], settings: Settings) -> Scored:
    """Half B as the prediction of half A, each against its own control."""

    def cells() -> CellPair:
        a, b = (
            CellSide(h.side.rows, h.side.groups, h.side.totals, h.kind, h.target_sum, h.name, side.cells.obsm)
            for h in halves
        )
        return CellPair(a, b, settings.n_threads)

    return compare(*halves, side.cells.genes, own_control(settings), cells=cells)


def of_itself(side: Side, settings: Settings) -> Scored:
    """The observed cells compared with themselves; only the real side of the answer is of use."""
    one = side.one
    return compare(one, replace(one, side=replace(one.side)), side.cells.genes, settings)


def context_of(scored: Scored) -> ContextResult:
    """Values of a comparison under their names in the results."""
    return ContextResult(None, scored.pair.perturbations, scored.values, scored.aggregate)


def compute_ceiling(real: Any, *, config: EvalConfig | None = None, seed: int = 0, **overrides: Any) -> tuple[Any, Any]:
    """One half of every group scored against the other half, carried to full depth.

    Parameters
    ----------
    real
        AnnData or path.
    config, overrides
        As in :func:`compute_metrics`.
    seed
        Of the halves.

    Returns
    -------
    Frame perturbation, metric, value of the metrics that measure agreement; frame metric, ceiling of all metrics, NaN
    for the others.
    """
    chosen = with_overrides(config, overrides)
    names = metric_names(chosen)
    measured = [name for name in names if name in CEILING_METRICS["cell-eval2"]]
    if not measured:
        empty = {"perturbation": [], "metric": [], "value": np.ma.array([], dtype=np.float64)}
        return frame(empty), frame(ceilings(names, output_names(chosen), {}))
    settings = settings_of(replace(chosen, metrics=measured))
    with_cells = open_side(real, chosen, settings, predicted=False)
    scored = compare_halves(with_cells, halves_of(with_cells.one, seed), settings)
    means = by_metric(scored.aggregate, settings)
    return frame(long_table(context_of(scored))), frame(ceilings(names, output_names(chosen), means))


def ceilings(names: Sequence[str], shown: Sequence[str], means: dict[str, float]) -> dict[str, Any]:
    """Columns metric and ceiling."""
    full = spearman_brown(means, names, "cell-eval2")
    return {"metric": list(shown), "ceiling": np.ma.array([full[name] for name in names], dtype=np.float64)}


def check_targets_there(targets: Sequence[str], labels: Sequence[str]) -> None:
    """Refuse a table of other targets than the data's, or of none; warn where it leaves some out."""
    strange = sorted(set(targets) - set(labels))
    if strange or not targets:
        what = f"names {some(strange)}, of which there are no cells in the real data" if strange else "is empty"
        msg = f"de_real {what}; pass the table of these cells"
        raise DataError(msg)
    missing = sorted(set(labels) - set(targets))
    if missing:
        logger.warning(
            "de_real has no row for %d of the %d perturbations (%s); they are not measured",
            *(len(missing), len(labels), some(missing)),
        )


def compute_lfc_nmae_reference(
    real: Any,
    *,
    config: EvalConfig | None = None,
    seed: int = 0,
    de_real: Any = None,
    min_gate_size: int = 10,
    **overrides: Any,
) -> tuple[Any, Any]:
    """How much the fold changes of two halves differ over the genes that all cells call significant.

    Parameters
    ----------
    real
        AnnData or path.
    config, overrides
        As in :func:`compute_metrics`.
    seed
        Of the halves.
    de_real
        DE table of all cells, made elsewhere.
    min_gate_size
        10, the rule's own; others are not known here.

    Returns
    -------
    Frame perturbation, nmae_ref_raw, nmae_ref_sqrt2, n_gate; and a frame of their mean.
    """
    if min_gate_size != 10:
        msg = "only min_gate_size=10, the rule's own, is known here"
        raise DataError(msg)
    chosen = replace(with_overrides(config, overrides), metrics=[FULL_GATED])
    settings = settings_of(chosen)
    side = open_side(real, chosen, settings, predicted=False)
    groups = side.one.side.groups
    thin = [label for label, n in zip(groups.labels, groups.sizes, strict=True) if n < 2]
    if thin:
        msg = f"{len(thin)} groups have fewer than 2 cells (first: {thin[0]!r}); leave them out of the reference"
        raise DataError(msg)
    unlabelled = sum(label is None for label in side.cells.column(chosen.pert_col).tolist())
    if unlabelled:
        msg = f"{unlabelled} cells have a null label in {chosen.pert_col!r}; leave them out of the reference"
        raise DataError(msg)
    given = None if de_real is None else read_de_table(plain_de(de_real))
    if given is not None:
        check_targets_there(given.targets, [label for label in groups.labels if label != chosen.control])
    whole = of_itself(side, settings)
    full = whole.pair.de_real if given is None else given
    got = compare_halves(side, halves_of(side.one, seed), settings)
    assert full is not None
    assert got.pair.de_real is not None
    assert got.pair.de_pred is not None
    own = dict(zip(whole.pair.perturbations, whole.pair.own_de, strict=True))
    found = lfc_nmae_reference(
        full,
        got.pair.de_real,
        got.pair.de_pred,
        [own.get(target) for target in full.targets],
        alpha=chosen.de.p_adj_threshold,
    )
    raw = np.array([value for value, _ in found.values()])
    root = math.sqrt(2.0)
    rows = {
        "perturbation": list(found),
        "nmae_ref_raw": np.ma.array(raw),
        "nmae_ref_sqrt2": np.ma.array(raw / root),
        "n_gate": [n for _, n in found.values()],
    }
    average = np.ma.array([raw.mean() if raw.size else np.nan], mask=[raw.size == 0])
    spread = np.ma.array([(raw / root).mean() if raw.size else np.nan], mask=[raw.size == 0])
    mean = {"statistic": ["mean"], "nmae_ref_raw": average, "nmae_ref_sqrt2": spread, "n_perturbations": [raw.size]}
    return frame(rows), frame(mean)


def compute_anchors(side: Side, config: EvalConfig, *, base_seed: int = BASE_SEED, n_splits: int = N_SPLITS) -> Anchors:
    """Replicate anchors of a reference, over several splits.

    Raises
    ------
    DataError
        For version 1, or if a metric is undefined in a split.
    """
    if config.version == "v1":
        msg = "version v1 guesses the type of every half and has no anchors; use version v2"
        raise DataError(msg)
    settings = settings_of(config)
    made = computed_replicate(
        side.one, side.cells.genes, of_itself(side, settings), settings, base_seed=base_seed, n_splits=n_splits
    )
    undefined = [row.metric for row in made.rows if not math.isfinite(row.replicate)]
    if undefined:
        msg = f"{', '.join(undefined)} is undefined in a split of the reference, so it has no anchor"
        raise DataError(msg)
    return made


def write_anchors(folder: str | os.PathLike[str], anchors: Anchors, meta: dict[str, Any]) -> None:
    """Write ``anchor_agg.parquet``, ``anchor_splits.parquet`` and ``anchor_meta.json``."""
    root = Path(folder)
    write_parquet(root / "anchor_agg.parquet", ANCHOR_COLUMNS, anchors.rows)
    write_parquet(root / "anchor_splits.parquet", SPLIT_COLUMNS, anchors.splits)
    text = json.dumps(meta, indent=2, sort_keys=True, allow_nan=False)
    (root / "anchor_meta.json").write_text(text, encoding="utf-8")


def anchor_meta(side: Side, config: EvalConfig, anchors: Anchors) -> dict[str, Any]:
    """The record that goes with anchors."""
    marks = (fingerprint(side.cells, config, strict=True), fingerprint(side.cells, config, strict=False))
    return anchor_record(config, side.one.kind, anchors, marks)
