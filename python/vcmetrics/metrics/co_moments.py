"""Means, variances and covariances of the columns of two tables, gathered in one pass over the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DeviceError
from vcmetrics.backend.threads import resolve_threads

Array = NDArray[Any]
Floats = NDArray[np.float64]

# A standard deviation below this share of the mean is rounding: the column is constant.
FLAT = 1e-13
CHUNK = 4096  # rows that are copied together where a table has no contiguous rows; a multiple of the kernel's block
_COUNT, _WEIGHT, _FIRST_X, _FIRST_Y, _MEAN_X, _MEAN_Y, _XX, _YY, _XY = range(9)


def host_table(values: Any, name: str) -> Array:
    """A two-dimensional array of float32 or float64 in the host's memory; a view wherever that is possible.

    Raises
    ------
    DeviceError
        If the values lie on a GPU.
    TypeError, ValueError
        If they are no numbers, or no table.
    """
    if not isinstance(values, np.ndarray):
        place = getattr(values, "__dlpack_device__", None)
        if place is not None and int(place()[0]) not in (1, 3):  # host, and host memory pinned for a GPU
            msg = f"{name} lies on a GPU, and this function has no CUDA kernel yet; pass a copy on the host"
            raise DeviceError(msg)
        values = np.from_dlpack(values) if place is not None else np.asarray(values)
    if values.ndim != 2:
        msg = f"{name} has {values.ndim} dimensions; pass a table, rows × columns"
        raise ValueError(msg)
    if values.dtype.kind not in "fiub":
        msg = f"{name} holds {values.dtype}; pass numbers (float32 or float64 are taken as they are)"
        raise TypeError(msg)
    table: Array = values
    if table.dtype in (np.float32, np.float64) and table.dtype.isnative:
        return table
    return table.astype(np.float32 if table.dtype.itemsize <= 2 else np.float64)


def require_one_shape(x: Any, y: Any) -> None:
    """Refuse tables of two shapes."""
    if x.shape != y.shape:
        msg = f"x is {x.shape[0]} × {x.shape[1]}, y is {y.shape[0]} × {y.shape[1]}; pass tables of one shape"
        raise ValueError(msg)


def row_contiguous(table: Array) -> bool:
    """Whether the kernels can read the table where it lies."""
    width = table.itemsize
    contiguous = table.shape[1] <= 1 or table.strides[1] == width
    return contiguous and table.strides[0] % width == 0 and bool(table.flags.aligned)


def row_list(rows: Any, n: int, name: str) -> NDArray[np.int64]:
    """Row numbers, all where None."""
    if rows is None:
        return np.arange(n, dtype=np.int64)
    return np.ascontiguousarray(rows, np.int64)


class CoMoments:
    """Co-moments of two tables, column by column, over any number of rows in one pass.

    Parameters
    ----------
    n_columns
        Number of columns of both tables.

    Notes
    -----
    Rows are added by :meth:`add`, two accumulators are put together by :meth:`merge`; both continue from what is there,
    so the last digits depend on the order of the calls, and on nothing else (not on threads, instruction set,
    memory layout). Cutting one call into several gives the same bits where every part but the last is a multiple of
    32 rows. Deviations are taken from the mean of each block of 32 rows and blocks are put together pairwise, which
    is as accurate as two passes; constant columns have a variance of exactly 0. A pair of rows in which a
    value of a column is NaN or infinite is passed over in that column. Memory: nine numbers a column.

    References
    ----------
    Chan, Golub & LeVeque (1983), Am. Stat. 37:242.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
    >>> moments = CoMoments(2).add(x, 3 * x + 1)
    >>> moments.n.tolist(), moments.pearson().tolist()
    ([3, 3], [1.0, nan])
    """

    def __init__(self, n_columns: int) -> None:
        self._state = np.zeros((9, n_columns))

    @classmethod
    def of_state(cls, state: Any) -> CoMoments:
        """Co-moments that a kernel has gathered, (9, n_columns); a CuPy state stays on its device, with all results."""
        out = cls(0)
        out._state = state
        return out

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return int(self._state.shape[1])

    def add(
        self,
        x: Any,
        y: Any,
        *,
        rows_x: Any = None,
        rows_y: Any = None,
        weights: Any = None,
        n_threads: int | None = None,
    ) -> CoMoments:
        """Add pairs of rows.

        Parameters
        ----------
        x, y
            Tables, rows × n_columns.
        rows_x, rows_y
            Numbers of the rows that are paired, in this order; None: all.
        weights
            One a pair, not negative; pairs of weight 0 are passed over.
        n_threads
            Threads; None: all that this process may use.

        Returns
        -------
        ``self``.
        """
        from vcmetrics import _core

        tx, ty = host_table(x, "x"), host_table(y, "y")
        one, other = row_list(rows_x, len(tx), "rows_x"), row_list(rows_y, len(ty), "rows_y")
        threads = resolve_threads(n_threads)
        if one.size != other.size:
            msg = f"x has {one.size} rows, y has {other.size}; pass as many of both, in the same order"
            raise ValueError(msg)
        if tx.shape[1] != self.n_columns or ty.shape[1] != self.n_columns:
            msg = f"x has {tx.shape[1]} columns, y has {ty.shape[1]}; {self.n_columns} are expected"
            raise ValueError(msg)
        w = None
        if weights is not None:
            w = np.ascontiguousarray(weights, np.float64)
            if w.shape != one.shape or not np.isfinite(w).all() or (w < 0).any():
                msg = f"weights must be {one.size} finite numbers, none negative, one a row"
                raise ValueError(msg)
            kept = w > 0
            if not kept.all():
                one, other, w = one[kept], other[kept], w[kept]
        if row_contiguous(tx) and row_contiguous(ty):
            _core.add_co_moments(self._state, tx, one, ty, other, w, threads)
            return self
        for start in range(0, one.size, CHUNK):
            part = slice(start, start + CHUNK)
            a, b = np.ascontiguousarray(tx[one[part]]), np.ascontiguousarray(ty[other[part]])
            rows = np.arange(len(a), dtype=np.int64)
            _core.add_co_moments(self._state, a, rows, b, rows, None if w is None else w[part], threads)
        return self

    def merge(self, other: CoMoments) -> CoMoments:
        """Return the co-moments of the rows of both, as if those of ``other`` had been added after ours.

        Raises
        ------
        ValueError
            If the numbers of columns differ.
        """
        if other.n_columns != self.n_columns:
            msg = f"{self.n_columns} columns cannot be merged with {other.n_columns}"
            raise ValueError(msg)
        a, b = self._state, other._state
        out = CoMoments(self.n_columns)
        new = out._state
        weight = a[_WEIGHT] + b[_WEIGHT]
        share = np.divide(b[_WEIGHT], weight, out=np.zeros_like(weight), where=weight > 0)
        # both means count from their own first pair
        dx = (b[_FIRST_X] - a[_FIRST_X]) + (b[_MEAN_X] - a[_MEAN_X])
        dy = (b[_FIRST_Y] - a[_FIRST_Y]) + (b[_MEAN_Y] - a[_MEAN_Y])
        between = a[_WEIGHT] * share
        new[:] = a
        new[_COUNT] += b[_COUNT]
        new[_WEIGHT] = weight
        new[_MEAN_X] += dx * share
        new[_MEAN_Y] += dy * share
        for row, square in ((_XX, dx * dx), (_YY, dy * dy), (_XY, dx * dy)):
            new[row] += b[row] + square * between
        new[:, a[_COUNT] == 0] = b[:, a[_COUNT] == 0]
        new[:, b[_COUNT] == 0] = a[:, b[_COUNT] == 0]
        return out

    @property
    def n(self) -> NDArray[np.int64]:
        """Pairs used, (n_columns,)."""
        n: NDArray[np.int64] = self._state[_COUNT].astype(np.int64)
        return n

    @property
    def weight(self) -> Floats:
        """Their summed weight; ``n`` without weights."""
        weight: Floats = self._state[_WEIGHT].copy()
        return weight

    @property
    def mean_x(self) -> Floats:
        """Mean of x; NaN without a pair."""
        return self._defined(self._state[_FIRST_X] + self._state[_MEAN_X])

    @property
    def mean_y(self) -> Floats:
        """Mean of y; NaN without a pair."""
        return self._defined(self._state[_FIRST_Y] + self._state[_MEAN_Y])

    @property
    def variance_x(self) -> Floats:
        """Mean squared deviation of x (by the summed weight, not one less); NaN without a pair."""
        return self._per_weight(self._state[_XX])

    @property
    def variance_y(self) -> Floats:
        """Mean squared deviation of y; NaN without a pair."""
        return self._per_weight(self._state[_YY])

    @property
    def covariance(self) -> Floats:
        """Mean product of the deviations; NaN without a pair."""
        return self._per_weight(self._state[_XY])

    @property
    def constant_x(self) -> NDArray[np.bool_]:
        """Where x does not vary beyond rounding (standard deviation up to 1e-13 of the mean)."""
        return np.sqrt(self.variance_x) <= FLAT * np.abs(self.mean_x)

    @property
    def constant_y(self) -> NDArray[np.bool_]:
        """Where y does not vary beyond rounding."""
        return np.sqrt(self.variance_y) <= FLAT * np.abs(self.mean_y)

    def pearson(self) -> Floats:
        """Pearson correlation, in [-1, 1]; NaN for fewer than two pairs or a constant side."""
        s = self._state
        flat = self.constant_x | self.constant_y | (s[_COUNT] < 2)
        return correlation(s[_XX], s[_YY], s[_XY], flat)

    def concordance(self) -> Floats:
        """Lin's concordance correlation, in [-1, 1]; NaN for fewer than two pairs, or where both sides are constant.

        2 cov / (var x + var y + (mean x - mean y)²), all over n. A constant side has concordance 0.
        """
        vx, vy, cov = self.variance_x, self.variance_y, self.covariance
        s = self._state
        gap = (s[_FIRST_X] - s[_FIRST_Y]) + (s[_MEAN_X] - s[_MEAN_Y])
        below = vx + vy + gap**2
        both = self.constant_x & self.constant_y
        return quotient(2 * cov, below, ~both & (s[_COUNT] >= 2))

    def dispersion_ratio(self) -> Floats:
        """Standard deviation of x over that of y; 0 for a constant x, NaN for fewer than two pairs or a constant y."""
        fine = ~self.constant_y & (self._state[_COUNT] >= 2)
        out = np.sqrt(quotient(self._state[_XX], self._state[_YY], fine))
        out[fine & self.constant_x] = 0.0
        return out

    def _defined(self, values: Floats) -> Floats:
        return np.where(self._state[_COUNT] > 0, values, np.nan)

    def _per_weight(self, moment: Floats) -> Floats:
        return quotient(moment, self._state[_WEIGHT], self._state[_COUNT] > 0)


def quotient(above: Floats, below: Floats, where: NDArray[np.bool_]) -> Floats:
    """Quotients where they are asked for, NaN elsewhere."""
    # by functions that NumPy hands on to the library of the arrays
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return np.where(where, above / np.where(where, below, 1.0), np.nan)


def correlation(xx: Floats, yy: Floats, xy: Floats, undefined: NDArray[np.bool_]) -> Floats:
    """Return xy / √(xx·yy), not beyond ±1; NaN where ``undefined``."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.clip(quotient(xy, np.sqrt(xx * yy), ~undefined), -1.0, 1.0)
