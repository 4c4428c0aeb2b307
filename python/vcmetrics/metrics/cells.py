"""What the metrics of single cells see, and the correlation of energy distances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import MetricSpec, Parity, Values, register
from vcmetrics.reference import cells as reference
from vcmetrics.sources.rows import ChunkedArray, Rows
from vcmetrics.summary.plan import Groups

_ENTRIES = 1 << 22  # stored values normalised at a time: 32 MiB of scratch a thread


@dataclass(frozen=True)
class CellSide:
    """The cells of one side.

    ``rows`` is canonical (columns ascend strictly), in the pair's gene order; ``totals`` (n_cells,) are the sums
    of the rows. ``kind`` says what the values are: ``counts`` are scaled to ``target_sum`` a cell and logged where a
    metric wants expression (in units of ``log_unit``, ln 2 for logs to base 2), ``lognorm`` and ``discrete`` values are
    taken as they are. ``obsm`` gives an embedding
    by its name, (n_cells, n_dimensions).
    """

    rows: Rows
    groups: Groups
    totals: NDArray[np.float64]
    kind: str = "counts"
    target_sum: float = 1e4
    name: str = "the data"
    obsm: Callable[[str], NDArray[Any]] | None = None
    log_unit: float = 1.0

    def expression(self, n_threads: int = 1) -> Rows:
        """Rows of log1p(y / (l / target_sum)) in float32, as scanpy computes it; ``rows`` itself unless counts."""
        if self.kind != "counts":
            return self.rows
        from concurrent.futures import ThreadPoolExecutor

        rows = self.rows
        unit = self.totals.astype(np.float32) / np.float32(self.target_sum)
        unit[unit == 0] = 1.0
        out = np.empty(rows.nnz, np.float32)
        n_blocks = max(1, -(-rows.nnz // _ENTRIES))
        cuts = np.searchsorted(rows.indptr, np.linspace(0, rows.nnz, n_blocks + 1).astype(np.int64)[1:-1])
        edges = np.unique([0, *cuts.tolist(), rows.n_rows])

        def fill(block: int) -> None:
            first, last = int(edges[block]), int(edges[block + 1])
            start, stop = int(rows.indptr[first]), int(rows.indptr[last])
            values = rows.data.read(start, stop).astype(np.float32)
            values /= np.repeat(unit[first:last], np.diff(rows.indptr[first : last + 1]))
            # the logarithm in double, rounded: single-precision ones differ between CPUs
            out[start:stop] = np.log1p(values, dtype=np.float64) / self.log_unit

        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(fill, range(edges.size - 1)))
        return replace(rows, data=ChunkedArray.of(out))

    def embedding(self, key: str) -> NDArray[Any]:
        """The embedding ``key``, C-contiguous, float32 or float64."""
        if self.obsm is None:
            msg = f"{self.name}: embedding {key!r} is not at hand; score from cells that hold it in obsm"
            raise DataError(msg)
        values = np.asarray(self.obsm(key))
        if values.dtype not in (np.float32, np.float64):
            values = values.astype(np.float64)
        return np.ascontiguousarray(values)

    def number(self, label: str) -> int:
        """Group number of ``label``; raises where this side has no such cells."""
        if label not in self.groups.labels:
            what = "control cells" if label == self.groups.control else "cells"
            msg = f"{self.name}: has no {what} labelled {label!r}, which this metric needs"
            raise DataError(msg)
        return self.groups.labels.index(label)

    def cells_of(self, label: str) -> NDArray[np.int64]:
        """Row numbers of one group's cells, ascending."""
        return np.flatnonzero(self.groups.codes == self.number(label))


@dataclass(frozen=True)
class CellPair:
    """The cells of both sides: what ``Pair.cells()`` returns.

    Build it from what the pass was given, once a comparison::

        CellPair(real=CellSide(rows, groups, totals, kind, target_sum, name, obsm=cells.obsm), pred=..., n_threads=2)
    """

    real: CellSide
    pred: CellSide
    n_threads: int | None = None

    @property
    def threads(self) -> int:
        """Threads for one call."""
        return resolve_threads(self.n_threads)


def cells_of(pair: Pair) -> CellPair:
    """The cells of a pair; raises where only summaries are at hand."""
    found = None if pair.cells is None else pair.cells()
    if not isinstance(found, CellPair):
        msg = "this metric looks at single cells; score from the cells of both sides, not from a kept summary"
        raise DataError(msg)
    return found


def mean_distances(
    side: CellSide, pairs: NDArray[np.int32], *, embedding: str | None = None, n_threads: int | None = None
) -> Values:
    """Mean Euclidean distance over all ordered pairs of cells of two groups, the zero diagonal included.

    Parameters
    ----------
    side
        The cells; counts are normalised and logged.
    pairs
        (n_pairs, 2) int32, group numbers of ``side.groups``.
    embedding
        Entry of ``obsm`` in place of the expression.
    n_threads
        None: all that this process may use. The result does not depend on it.

    Returns
    -------
    (n_pairs,), >= 0; NaN where a group is empty.

    Notes
    -----
    Sparse cells cost (stored values of one group) × (cells of the other), dense ones three operations a feature and
    pair. Distances below 1/64 of the cells' norms come from differences, so near duplicates keep their digits.
    """
    from vcmetrics import _core

    threads = resolve_threads(n_threads)
    codes = np.ascontiguousarray(side.groups.codes, np.int32)
    n_groups = len(side.groups.labels)
    pairs = np.ascontiguousarray(pairs, np.int32)
    if embedding is None:
        found = _core.mean_distances(side.expression(threads).args(), codes, n_groups, pairs, threads)
    else:
        found = _core.pair_means(side.embedding(embedding), codes, n_groups, pairs, "euclidean", n_threads=threads)
    return np.asarray(found, np.float64)


def energy_distances(
    side: CellSide, perturbations: Sequence[str], *, embedding: str | None = None, n_threads: int | None = None
) -> Values:
    """Energy distance of each perturbation to the side's own control: 2 E|x - c| - E|x - x'| - E|c - c'|.

    Means run over all ordered pairs, the zero diagonal included (V-statistic); distances are Euclidean, not squared.

    Parameters
    ----------
    side
        The cells, control included.
    perturbations
        Labels of ``side.groups``.
    embedding, n_threads
        As for :func:`mean_distances`.

    Returns
    -------
    (n_perturbations,), >= 0 up to rounding, in the unit of the values.
    """
    control = side.number(side.groups.control)
    groups = np.array([side.number(p) for p in perturbations], np.int32)
    n = groups.size
    pairs = np.full((2 * n + 1, 2), control, np.int32)
    pairs[:n, 0] = groups
    pairs[n : 2 * n] = groups[:, None]
    means = mean_distances(side, pairs, embedding=embedding, n_threads=n_threads)
    return np.asarray(2.0 * means[:n] - means[n : 2 * n] - means[2 * n])


def pearson_edistance(pair: Pair, *, embedding: str | None = None) -> Values:
    """Pearson correlation, over the perturbations, of predicted and observed energy distances to the control.

    Each side is measured against its own control cells. One number for all perturbations.

    Parameters
    ----------
    pair
        The cells of both sides.
    embedding
        Entry of ``obsm`` in place of the expression.

    Returns
    -------
    (n_perturbations,), the same value in each, in [-1, 1]; 1 is best. NaN with fewer than two perturbations or where
    one side's distances are all equal.

    Examples
    --------
    Energy distances (1, 2, 3) predicted and (2, 4, 6) observed: 1.
    """
    both = both_energy_distances(pair, embedding=embedding)
    return np.full(pair.n, pearson(both[:, 0], both[:, 1]))


def both_energy_distances(pair: Pair, *, embedding: str | None = None) -> Values:
    """Energy distances to the control, (n_perturbations, 2): predicted, observed."""

    def make() -> Values:
        cells = cells_of(pair)
        sides = (
            energy_distances(side, pair.perturbations, embedding=embedding, n_threads=cells.n_threads)
            for side in (cells.pred, cells.real)
        )
        return np.stack(list(sides), 1)

    return pair.shared(("energy distances", embedding), make)


def pearson(x: Values, y: Values) -> float:
    """Pearson correlation in two passes, in [-1, 1]; NaN for fewer than two values or a constant."""
    if x.size < 2 or bool((x == x[0]).all()) or bool((y == y[0]).all()):
        return float("nan")
    dx, dy = x - x.mean(), y - y.mean()
    dx /= np.sqrt(dx @ dx)
    dy /= np.sqrt(dy @ dy)
    return float(np.clip(dx @ dy, -1.0, 1.0))


register(
    MetricSpec(
        name="pearson_edistance",
        family="cells",
        needs=frozenset({"cells"}),
        better="higher",
        best=1.0,
        chance=0.0,
        bounds=(-1.0, 1.0),
        definition="Pearson over perturbations of predicted and observed energy distances to the control",
        formula=pearson_edistance,
        reference=reference.pearson_edistance,
        source="cell-eval 0.8.2, pearson_edistance; energy distance: Székely & Rizzo 2013, V-statistic",
        # sums of ~1e7 distances in another order, then a difference of nearly equal means
        parity=Parity(rtol=0.0, atol=1e-9),
        defaults={"embedding": None},
        invariants=("gene_order", "perturbation_order", "cell_order"),
        panel="pearson",
        panel_values=both_energy_distances,
        pitfalls=(
            "One number of the panel: the sizes of effects alone, whatever their direction.",
            "Each side is measured against its own control cells, which a submission can shape.",
            "Few strong perturbations decide it.",
        ),
    )
)
