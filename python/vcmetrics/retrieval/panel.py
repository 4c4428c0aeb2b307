"""Queries and candidates of one context: effects of both sides, aligned, with their own genes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.retrieval.targets import TargetMap, Targets, target_sets
from vcmetrics.sources.genes import some
from vcmetrics.summary.effect_reference import effect_reference
from vcmetrics.summary.side_profiles import SideProfiles

Array = NDArray[Any]


@dataclass(frozen=True)
class Panel:
    """Effects of one context.

    ``names`` are the candidates' labels, sorted; ``real`` is (n_candidates, n_genes). ``pred`` is (n_scored, n_genes):
    the predictions of the candidates ``scored``. ``training`` marks candidates and other observed rows in
    ``training_rows`` (n_training, n_genes), which no query may be.
    """

    context: str | None
    names: tuple[str, ...]
    real: Array
    pred: Array
    scored: NDArray[np.int64]
    targets: Targets
    training_names: tuple[str, ...]
    training_rows: Array
    left_out: tuple[str, ...]

    @property
    def n_candidates(self) -> int:
        """Number of observed perturbations that a prediction is compared with."""
        return len(self.names)

    @property
    def queries(self) -> tuple[str, ...]:
        """Labels of the predictions."""
        return tuple(self.names[k] for k in self.scored.tolist())


def build_panel(
    pred: SideProfiles,
    real: SideProfiles,
    *,
    context: str | None,
    control: str | None,
    reference: str,
    leave_one_out: bool,
    control_source: str,
    candidates: str | Sequence[str],
    train: Sequence[str] | None,
    unmatched: str,
    target_map: TargetMap | None,
    separator: str,
    targets_required: bool,
) -> Panel:
    """Match the labels of both sides and subtract the reference; see :func:`vcmetrics.discrimination`.

    Raises
    ------
    DataError
        If labels have no partner, nothing is left to score, or the reference cannot be had.
    """
    where = f" in context {context!r}" if context is not None else ""
    at = {label: k for k, label in enumerate(real.labels)}
    lone = [label for label in pred.labels if label not in at]
    if lone and unmatched == "error":
        msg = (
            f"{len(lone)} of {len(pred.labels)} perturbations of {pred.name}{where} are not in {real.name}: "
            f"{some(lone)}; remove them, or pass unmatched='drop' to leave them out"
        )
        raise DataError(msg)
    trained = set(map(str, train)) if train is not None else set()
    queries = [label for label in pred.labels if label in at and label not in trained]
    names = _candidates(candidates, queries, real, trained, where)
    queries = [label for label in queries if label in set(names)]
    if not queries:
        msg = (
            f"no perturbation{where} is left to score: {pred.name} has {some(pred.labels) or 'none'}, "
            f"{real.name} has {some(real.labels) or 'none'}; check pert_col= and control="
        )
        raise DataError(msg)

    subtracted = _reference(real, reference, leave_one_out, sorted(trained), where)
    rows = np.array([at[name] for name in names], np.int64)
    scored_rows = np.array([at[name] for name in queries], np.int64)
    training = sorted(trained & set(at))
    training_at = np.array([at[name] for name in training], np.int64)
    predicted_at = np.array([pred.labels.index(name) for name in queries], np.int64)
    if reference == "none":
        truth, predicted, seen = _rows(real.rows, rows), _rows(pred.rows, predicted_at), real.rows[training_at]
    else:
        own = subtracted
        if control_source == "own":
            if reference != "control":
                msg = (
                    f"control_source='own' takes the prediction's control off it, and reference={reference!r} is no "
                    "control: pass control_source='real', or reference='control'"
                )
                raise ValueError(msg)
            if pred.control is None:
                msg = (
                    f"{pred.name}{where}: no cell is labelled {control!r}, and control_source='own' reads its controls"
                )
                raise DataError(msg)
            own = pred.control
        truth = _less(real.rows, rows, subtracted, rows)
        predicted = _less(pred.rows, predicted_at, own, scored_rows)
        seen = _less(real.rows, training_at, subtracted, training_at)
    for side, table, labels in ((real.name, truth, names), (pred.name, predicted, queries)):
        bad = [labels[i] for i in np.flatnonzero(~np.isfinite(table).all(1)).tolist()]
        if bad:
            msg = (
                f"{side}{where}: the effects of {some(bad)} against reference={reference!r} are not finite; too few "
                "other perturbations are left for a mean, or profiles hold NaN"
            )
            raise DataError(msg)
    place = {name: k for k, name in enumerate(names)}
    return Panel(
        context=context,
        names=tuple(names),
        real=truth,
        pred=predicted,
        scored=np.array([place[name] for name in queries], np.int64),
        targets=target_sets(
            names, real.genes, target_map, control=control, separator=separator, required=targets_required
        ),
        training_names=tuple(training),
        training_rows=seen,
        left_out=tuple(lone),
    )


def _candidates(
    candidates: str | Sequence[str], queries: list[str], real: SideProfiles, trained: set[str], where: str
) -> list[str]:
    if isinstance(candidates, str):
        if candidates == "real":
            return list(real.labels)
        if candidates == "scored":
            return queries
        if candidates == "untrained":
            return [label for label in real.labels if label not in trained]
        msg = f"candidates {candidates!r} is not known; pass 'real', 'scored', 'untrained', or labels"
        raise ValueError(msg)
    wanted = sorted(set(map(str, candidates)))
    unknown = sorted(set(wanted) - set(real.labels))
    if unknown:
        msg = f"candidates names perturbations that {real.name}{where} does not have: {some(unknown)}"
        raise DataError(msg)
    return wanted


def _reference(real: SideProfiles, reference: str, leave_one_out: bool, trained: Sequence[str], where: str) -> Array:
    """One profile, or one a label of the real side."""
    if reference in ("control", "condition_mean") and real.control is None:
        msg = (
            f"{real.name}{where}: no control to take effects against with reference={reference!r}; pass control= with "
            "the label of the control, or reference='none'"
        )
        raise DataError(msg)
    train = np.isin(np.array(real.labels, dtype=str), np.array(list(trained), dtype=str)) if trained else None
    if reference in ("perturbed_mean_cells", "guide_count_mean") and real.n_cells is None:
        msg = f"reference={reference!r} weighs by cells, and profiles that are given as arrays have none"
        raise ValueError(msg)
    if reference == "batch_control" and real.batch_cells is None:
        msg = "reference='batch_control' matches controls by batch; pass batch_col= with AnnData or paths"
        raise ValueError(msg)
    return effect_reference(
        reference,
        real.rows,
        real.control,
        n_cells=real.n_cells,
        labels=real.labels,
        train=train,
        leave_one_out=leave_one_out,
        batch_control=real.batch_control,
        batch_cells=real.batch_cells,
    )


def _rows(table: Array, chosen: NDArray[np.int64]) -> Array:
    """Some rows; the table itself where those are all of them."""
    whole = chosen.size == len(table) and bool(np.all(chosen == np.arange(chosen.size)))
    return table if whole else np.ascontiguousarray(table[chosen])


def _less(table: Array, chosen: NDArray[np.int64], reference: Array, rows: NDArray[np.int64]) -> Array:
    out: Array = table[chosen].astype(np.float64)
    out -= reference if reference.ndim == 1 else reference[rows]
    return out
