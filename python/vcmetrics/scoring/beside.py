"""What metrics may read beside the two sides: controls by batch, and training data given apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.pair import Batches, Training
from vcmetrics.scoring.evaluate import SideInput, merged, summary_of
from vcmetrics.scoring.spaces import PairSpace
from vcmetrics.summary.group_summary import LOGS, GroupSummary, Recipe, gather_together
from vcmetrics.summary.plan import Groups

Array = NDArray[Any]


@dataclass(frozen=True)
class Beside:
    """Summaries beside a pair: the observed control cells by batch, and the training data by label."""

    real: SideInput | None
    pred: SideInput
    controls: GroupSummary | None
    train: GroupSummary | None

    def batches(self, space: PairSpace, recipe: Recipe, perturbations: Sequence[str]) -> Batches | None:
        """Control profile of every batch, and the cells of each perturbation in it; None without batches."""
        if self.controls is None or self.real is None:
            return None
        assert self.real.batches is not None
        table = space.table(self.controls, recipe, single=space.single[0])
        table[self.controls.n == 0] = np.nan
        real = cells_by_batch(self.real, perturbations)
        # a prediction that names no batches is matched by those of the observed cells
        pred = real if self.pred.batches is None else cells_by_batch(self.pred, perturbations)
        return Batches(self.controls.labels, table, real, pred)

    def training(self, space: PairSpace, recipe: Recipe) -> Training | None:
        """Profiles of the training data in the pair's space; None where none were given."""
        if self.train is None:
            return None
        s = self.train
        table = space.table(s, recipe, single=space.single[0])
        labels = tuple(x for x in s.labels if x != s.control)
        rows = s.rows_of(labels)
        control = table[s.control_code] if s.control_code >= 0 else None
        return Training(labels, table[rows], s.n[rows], control)


def summarize_beside(
    real: SideInput | GroupSummary, pred: SideInput, genes: Array, recipes: Sequence[Recipe], *, n_threads: int | None
) -> Beside:
    """Gather what lies beside a pair, in the spaces of ``recipes`` (those of the observed side's profiles)."""
    if not isinstance(real, SideInput):
        return Beside(None, pred, None, None)
    # sums and logs are all that a mean is made of
    plain = merged(replace(r, fields=r.fields & (LOGS - {"log1p_square"} | {"sum"}), gate=None) for r in recipes)
    controls = train = None
    if real.batches is not None and plain:
        controls = _summary(controls_by_batch(real), genes, plain, n_threads)
    if real.train is not None and plain:
        if real.train.kind != real.kind:
            msg = (
                f"{real.train.name} holds {real.train.kind} and {real.name} {real.kind}; training data must hold the "
                "same kind of values as the data that are scored"
            )
            raise DataError(msg)
        train = _summary(real.train, genes, plain, n_threads)
    return Beside(real, pred, controls, train)


def _summary(one: SideInput, genes: Array, recipes: Sequence[Recipe], n_threads: int | None) -> GroupSummary:
    (tables,) = gather_together([(one.side, None)], recipes, n_threads=n_threads)
    return summary_of(one, genes, tables, next(t["n"] for t in tables.values()))


def controls_by_batch(real: SideInput) -> SideInput:
    """The observed control cells, grouped by batch."""
    assert real.batches is not None
    side = real.side
    chosen = np.flatnonzero(side.groups.codes == side.groups.control_code)
    groups = Groups(real.batches.labels, real.batches.codes[chosen].astype(np.int32), "")
    return replace(real, side=replace(side, rows=side.rows.take(chosen), totals=side.totals[chosen], groups=groups))


def cells_by_batch(one: SideInput, perturbations: Sequence[str]) -> NDArray[np.int64]:
    """Cells of each perturbation in each batch, (n_perturbations, n_batches)."""
    assert one.batches is not None
    groups, n_batches = one.side.groups, len(one.batches.labels)
    used = (groups.codes >= 0) & (one.batches.codes >= 0)
    place = groups.codes[used].astype(np.int64) * n_batches + one.batches.codes[used]
    counts = np.bincount(place, minlength=len(groups.labels) * n_batches).reshape(len(groups.labels), n_batches)
    return np.asarray(counts[groups.select(perturbations)], np.int64)
