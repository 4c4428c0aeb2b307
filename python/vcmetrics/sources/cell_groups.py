"""Cells in labelled groups: what every distance between groups sees."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError, VcmetricsWarning
from vcmetrics.sources.cells import LARGE_COPY
from vcmetrics.sources.rows import Rows

if TYPE_CHECKING:
    from vcmetrics.backend.gpu import Engine

Array = NDArray[Any]
Floats = NDArray[np.float64]
_BLOCK = 1 << 21  # values converted at a time


@dataclass(frozen=True)
class CellGroups:
    """Cells × features with one group a cell.

    Attributes
    ----------
    labels
        Names of the groups, in the order of every result.
    codes
        (n_cells,) int32: group of each cell, -1 for a cell that is not used.
    values
        (n_cells, n_features) float32 or float64, C-contiguous rows; None where ``rows`` holds the cells.
    rows
        The same in compressed rows (columns ascend strictly); None where ``values`` does.
    name
        For messages.
    n_threads
        Threads that formulas may use; results do not depend on it.
    engine
        Of the GPU on which pairs of cells are summed; None: the CPU.
    """

    labels: tuple[str, ...]
    codes: NDArray[np.int32]
    values: Array | None = None
    rows: Rows | None = None
    name: str = "the data"
    n_threads: int = 1
    engine: Engine | None = None

    @classmethod
    def of_moments(
        cls, means: Floats, sizes: NDArray[np.int64], squares: Floats | None = None, *, n_threads: int = 1
    ) -> CellGroups:
        """Groups known by their moments alone, for formulas that read no more.

        Parameters
        ----------
        means, sizes, squares
            What the attributes of these names give.
        n_threads
            As of the class.
        """
        labels = tuple(map(str, range(len(means))))
        out = cls(labels, np.empty(0, np.int32), np.empty((0, means.shape[1])), n_threads=n_threads)
        # a cached property is an entry of this dictionary
        out.__dict__.update(means=means, sizes=sizes)
        if squares is not None:
            out.__dict__["squares"] = squares
        return out

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.labels)

    @property
    def n_features(self) -> int:
        """Number of features."""
        if self.values is not None:
            return int(self.values.shape[1])
        assert self.rows is not None
        return self.rows.n_cols

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        """Used cells by group, in the order of the data within each."""
        order = np.argsort(self.codes, kind="stable")
        return np.asarray(order[np.count_nonzero(self.codes < 0) :], np.int64)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """(n_groups,) numbers of cells."""
        return np.bincount(self.codes[self.codes >= 0], minlength=self.n_groups).astype(np.int64)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)

    def members(self, group: int) -> NDArray[np.int64]:
        """Row numbers of one group's cells, ascending."""
        return self._order[self._starts[group] : self._starts[group + 1]]

    def cells(self, chosen: NDArray[np.int64]) -> Array:
        """Dense copy of some cells, in the precision of the data."""
        if self.values is not None:
            return np.asarray(self.values[chosen])
        assert self.rows is not None
        self._warn_of_dense(chosen.size)
        return densified(self.rows.take(chosen))

    def block(self, group: int) -> Floats:
        """(n, n_features) float64, the cells of one group in the order of the data."""
        return self.cells(self.members(group)).astype(np.float64, copy=False)

    @cached_property
    def dense(self) -> Array:
        """All cells, dense; a warning tells of a large copy of sparse ones."""
        if self.values is not None:
            return self.values
        assert self.rows is not None
        self._warn_of_dense(self.rows.n_rows)
        return densified(self.rows)

    @cached_property
    def on_device(self) -> Any:
        """The used cells, dense, group by group, in the memory of the engine's device."""
        assert self.engine is not None
        return self.engine.xp.asarray(np.ascontiguousarray(self.dense[self._order]))

    def _warn_of_dense(self, n_cells: int) -> None:
        """Warn where so many sparse cells make a large copy."""
        assert self.rows is not None
        size = n_cells * self.rows.n_cols * dense_type(self.rows).itemsize
        if size > LARGE_COPY:
            msg = (
                f"{self.name}: {size / 2**30:.2f} GiB are made to hold the sparse cells dense, which this distance "
                "needs; an embedding (obsm=) or a subset of genes (genes=) is smaller"
            )
            warnings.warn(msg, VcmetricsWarning, stacklevel=3)

    @cached_property
    def _moments(self) -> tuple[Floats, Floats]:
        """Means and Σ (x - mean)², from one read."""
        from vcmetrics import _core

        if self.rows is None:
            _, mean, squares = _core.group_moments(self.values, self.codes, self.n_groups, self.n_threads)
        else:
            _, mean, squares = _core.group_moments_rows(self.rows.args(), self.codes, self.n_groups, self.n_threads)
        return mean, squares

    @cached_property
    def means(self) -> Floats:
        """(n_groups, n_features) group means, accumulated in float64; NaN for an empty group."""
        return self._moments[0]

    @cached_property
    def squares(self) -> Floats:
        """(n_groups, n_features) Σ (x - mean)² within each group, as accurate as two passes in float64."""
        return self._moments[1]

    def variances(self, ddof: int = 1) -> Floats:
        """(n_groups, n_features) Σ (x - mean)² / (n - ddof); NaN where that is 0/0."""
        with np.errstate(invalid="ignore", divide="ignore"):
            left = (self.sizes - ddof)[:, None].astype(np.float64)
            return np.where(left > 0, self.squares / left, np.nan)

    @cached_property
    def total_variances(self) -> Floats:
        """(n_groups,) Σ over features of Σ (x - mean)²."""
        return np.asarray(self.squares.sum(1))

    @cached_property
    def medians(self) -> Floats:
        """(n_groups, n_features) medians."""
        return self.aggregated(np.median)

    def aggregated(self, aggregate: Any) -> Floats:
        """(n_groups, n_features) ``aggregate(cells, axis=0)`` of every group."""
        out = np.full((self.n_groups, self.n_features), np.nan)
        for group in np.flatnonzero(self.sizes).tolist():
            out[group] = aggregate(self.block(group), axis=0)
        return out

    def regrouped(self, labels: Sequence[str], codes: NDArray[np.int32]) -> CellGroups:
        """The same cells in other groups; nothing is copied."""
        return replace(self, labels=tuple(labels), codes=codes)

    def resample(self, chosen: NDArray[np.int64], codes: NDArray[np.int32]) -> CellGroups:
        """Cells ``chosen`` (repeats allowed) with new group numbers."""
        if self.values is None:
            assert self.rows is not None
            return replace(self, rows=self.rows.take(chosen), codes=codes)
        return replace(self, values=self.values[chosen], codes=codes)


def dense_type(rows: Rows) -> np.dtype[Any]:
    """float32 where it holds the stored values exactly, else float64."""
    kind = rows.data.dtype
    exact = kind == np.float32 or (kind.kind in "iub" and kind.itemsize <= 2)
    return np.dtype(np.float32 if exact else np.float64)


def densified(rows: Rows) -> Array:
    """Compressed rows as a dense matrix of :func:`dense_type`."""
    out = np.zeros((rows.n_rows, rows.n_cols), dense_type(rows))
    step = max(1, _BLOCK // max(1, rows.n_cols))
    for first in range(0, rows.n_rows, step):
        last = min(first + step, rows.n_rows)
        begin, end = int(rows.indptr[first]), int(rows.indptr[last])
        row = np.repeat(np.arange(first, last), np.diff(rows.indptr[first : last + 1]))
        out[row, rows.indices.read(begin, end)] = rows.data.read(begin, end)
    return out


def plain_floats(values: Array, name: str) -> Array:
    """A dense matrix as float32 or float64 with contiguous rows; a copy only where it is neither.

    Whole numbers of at most 16 bits become float32, which holds them exactly; wider ones float64, so that no product
    overflows.
    """
    if values.ndim != 2:
        msg = f"{name}: has {values.ndim} dimensions; expected cells × features"
        raise DataError(msg)
    kind = values.dtype
    if kind.kind not in "biuf" or kind.itemsize > 8:
        msg = f"{name}: has values of type {kind}; expected real numbers of at most 64 bits"
        raise DataError(msg)
    small = kind.itemsize <= 2 or kind == np.float32
    out = values.astype(np.float32 if small else np.float64, copy=False)
    out = np.ascontiguousarray(out.astype(out.dtype.newbyteorder("="), copy=False))
    if out.nbytes > LARGE_COPY and not np.may_share_memory(out, values):
        msg = (
            f"{name}: {out.nbytes / 2**30:.2f} GiB were copied because the cells are not float32 or float64 with "
            "contiguous rows; numpy.ascontiguousarray beforehand saves it"
        )
        warnings.warn(msg, VcmetricsWarning, stacklevel=3)
    return out


def require_finite(values: Array, codes: NDArray[np.int32], name: str) -> None:
    """Refuse NaN and infinity in a used cell.

    Raises
    ------
    DataError
        Names the first cell, its feature and how many there are.
    """
    step = max(1, _BLOCK // max(1, values.shape[1]))
    count, first = 0, None
    for start in range(0, values.shape[0], step):
        good = np.isfinite(values[start : start + step])
        if good.all():
            continue
        bad = np.argwhere(~good & (codes[start : start + step] >= 0)[:, None])
        count += len(bad)
        if first is None and len(bad):
            first = (start + int(bad[0, 0]), int(bad[0, 1]))
    if first is not None:
        raise _not_finite(name, count, *first, values[first])


def require_finite_rows(rows: Rows, codes: NDArray[np.int32], name: str) -> None:
    """The same of compressed rows.

    Raises
    ------
    DataError
        As :func:`require_finite`.
    """
    if rows.data.dtype.kind != "f":
        return
    count, first = 0, -1
    for start in range(0, rows.nnz, _BLOCK):
        good = np.isfinite(rows.data.read(start, min(start + _BLOCK, rows.nnz)))
        if good.all():
            continue
        places = start + np.flatnonzero(~good)
        places = places[codes[np.searchsorted(rows.indptr, places, side="right") - 1] >= 0]
        count += places.size
        if first < 0 and places.size:
            first = int(places[0])
    if count:
        cell = int(np.searchsorted(rows.indptr, first, side="right")) - 1
        feature, value = rows.indices.read(first, first + 1)[0], rows.data.read(first, first + 1)[0]
        raise _not_finite(name, count, cell, int(feature), value)


def _not_finite(name: str, count: int, cell: int, feature: int, value: Any) -> DataError:
    found = "1 value is" if count == 1 else f"{count} values are"
    msg = f"{name}: {found} NaN or infinite (first: cell {cell}, feature {feature}, {value}); replace or remove them"
    return DataError(msg)
