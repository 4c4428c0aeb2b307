"""Labels, cells and batches of the files of a run, read once for all rule sets."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.presets.preset import Preset
from vcmetrics.scoring.evaluate import BatchCodes
from vcmetrics.sources.genes import align_genes, some
from vcmetrics.summary.group_summary import Side
from vcmetrics.summary.plan import Groups, group_cells

if TYPE_CHECKING:
    from vcmetrics.sources import Cells

Array = NDArray[Any]


def default_column(cells: Cells, preset: Preset) -> str:
    """The label column: the first of the preset's usual names that is there."""
    have = cells.columns()
    for name in preset.pert_cols:
        if name in have:
            return name
    msg = (
        f"{cells.name}: no column {' or '.join(repr(c) for c in preset.pert_cols)} in obs "
        f"(columns: {some(have, 12)}); pass pert_col= (command line: --pert-col)"
    )
    raise DataError(msg)


def read_groups(
    cells: Cells, pert_col: str | None, control: str, context_col: str | None, preset: Preset
) -> dict[str | None, Groups]:
    """Groups of every context; without ``context_col`` one context called None."""
    return Reading().groups(cells, pert_col, control, context_col, preset)


def aligned(cells: Cells, genes: Array, real_name: str, *, same_order: bool, subset: bool = False) -> Cells:
    """The cells with their genes in the order of the reference."""
    order = align_genes(
        cells.genes, genes, pred_name=cells.name, real_name=real_name, same_order=same_order, subset=subset
    )
    return cells.with_gene_order(order)


class Reading:
    """What rule sets have in common of the files that they score.

    Equal questions get the very same answer, so that rule sets which group the cells alike share one pass over them.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}
        self._alive: list[Any] = []  # keys hold identities, which must not be given away

    def _once(self, key: Hashable, make: Any, *alive: Any) -> Any:
        if key not in self._kept:
            self._alive += alive
            self._kept[key] = make()
        return self._kept[key]

    def groups(
        self, cells: Cells, pert_col: str | None, control: str, context_col: str | None, preset: Preset
    ) -> dict[str | None, Groups]:
        """Groups of every context; without ``context_col`` one context called None."""
        column = default_column(cells, preset) if pert_col is None else pert_col

        def make() -> dict[str | None, Groups]:
            labels = cells.column(column)
            if labels.shape[0] == 0:
                msg = f"{cells.name}: holds no cells; there is nothing to score"
                raise DataError(msg)
            if context_col is None:
                return {None: group_cells(labels, control)}
            contexts = np.array([str(x) for x in cells.column(context_col)], object)
            return {c: group_cells(labels, control, contexts == c) for c in sorted(set(contexts))}

        found: dict[str | None, Groups] = self._once(("groups", id(cells), column, control, context_col), make, cells)
        return found

    def side(self, cells: Cells, groups: Groups, n_threads: int) -> Side:
        """The cells in their groups, as a pass takes them."""

        def make() -> Side:
            return Side(cells.rows(n_threads), np.asarray(cells.scan(n_threads)["totals"]), groups)

        side: Side = self._once(("side", id(cells), id(groups)), make, cells, groups)
        return side

    def aligned(self, pred: Cells, genes: Array, real_name: str, preset: Preset) -> Cells:
        """The prediction with its genes in the order of the reference."""
        if preset.same_gene_order:  # the same genes, or an error
            return aligned(pred, genes, real_name, same_order=True)
        made: Cells = self._once(
            ("aligned", id(pred), real_name), lambda: aligned(pred, genes, real_name, same_order=False), pred
        )
        return made

    def training(self, train: Cells, genes: Array, real_name: str) -> Cells:
        """The training data over the reference's genes; it may have others beside."""
        made: Cells = self._once(
            ("training", id(train), real_name),
            lambda: aligned(train, genes, real_name, same_order=False, subset=True),
            train,
        )
        return made

    def batches(self, real: Cells, pred: Cells, batch_col: str) -> tuple[BatchCodes, BatchCodes | None]:
        """Batch of every cell of reality and of the prediction; None where that has no such column."""

        def make() -> tuple[BatchCodes, BatchCodes | None]:
            columns = [real.column(batch_col), pred.column(batch_col) if batch_col in pred.columns() else None]
            named = [None if c is None else [None if x is None else str(x) for x in c.tolist()] for c in columns]
            labels = sorted({x for names in named if names is not None for x in names if x is not None})
            number: dict[str | None, int] = {label: k for k, label in enumerate(labels)} | {None: -1}
            codes = [None if n is None else np.array([number[x] for x in n], np.int64) for n in named]
            assert codes[0] is not None
            other = None if codes[1] is None else BatchCodes(tuple(labels), codes[1])
            return BatchCodes(tuple(labels), codes[0]), other

        found: tuple[BatchCodes, BatchCodes | None] = self._once(
            ("batches", id(real), id(pred), batch_col), make, real, pred
        )
        return found
