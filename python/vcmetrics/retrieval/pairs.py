"""Distances of all pairs of rows of two tables, a block of rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DeviceError

if TYPE_CHECKING:
    from vcmetrics.backend.gpu import Engine

Array = NDArray[Any]
Table = NDArray[np.float64]

# canonical name -> other spellings (SciPy's, pertpy's, the scorers')
METRICS: dict[str, tuple[str, ...]] = {
    "cityblock": ("l1", "manhattan"),
    "euclidean": ("l2",),
    "sqeuclidean": ("l2_squared", "squared_l2"),
    "cosine": ("cosine_distance",),
    "pearson": ("correlation", "pearson_distance"),
    "spearman": ("spearman_distance",),
}
_NAMES = {alias: name for name, aliases in METRICS.items() for alias in (name, *aliases)}
SUMS = ("cityblock", "euclidean", "sqeuclidean", "cosine")  # made of sums over columns, which may leave some out
ANGLES = ("cosine", "pearson", "spearman")  # unchanged by a positive factor
_EXACT_RANKS = 1 << 22  # columns whose centred ranks are exact in float32


def metric_name(metric: str) -> str:
    """The canonical name of a distance: one of :data:`METRICS`, or another profile distance of the registry.

    Raises
    ------
    ValueError
        If there is no such distance; the message lists those there are.

    Examples
    --------
    >>> metric_name("l1"), metric_name("correlation")
    ('cityblock', 'pearson')
    """
    if metric in _NAMES:
        return _NAMES[metric]
    from vcmetrics.metrics.distance import registry

    others = {alias: spec.name for spec in registry.rows() for alias in (spec.name, *spec.aliases)}
    if metric not in others or registry.get(metric).kind != "profile":
        names = [*METRICS, *(spec.name for spec in registry.rows() if spec.kind == "profile")]
        msg = f"metric {metric!r} is not a distance of profiles; choose from {', '.join(dict.fromkeys(names))}"
        raise ValueError(msg)
    return others[metric]


def centred(rows: Array, xp: Any = np) -> Table:
    """Rows less their means, float64; exactly zero where a row is constant."""
    out: Table = xp.subtract(rows, rows.mean(1, keepdims=True, dtype=np.float64), dtype=np.float64)
    if rows.shape[1]:
        out[rows.max(1) == rows.min(1)] = 0.0
    return out


def centred_ranks(rows: Array) -> Array:
    """Average ranks of every row less their mean; NaN in a row that holds one. Exact, float32 where that suffices."""
    from scipy.stats import rankdata

    n, width = rows.shape
    out = np.empty(rows.shape, np.float32 if width < _EXACT_RANKS else np.float64)
    for i in range(n):
        if np.isnan(rows[i]).any():
            out[i] = np.nan
        else:
            out[i] = rankdata(rows[i]) - (width + 1) / 2
    return out


def centred_ranks_on(rows: Array, xp: Any) -> Array:
    """The same by another array library, row by row."""
    n, width = rows.shape
    out = xp.empty(rows.shape, dtype=np.float32 if width < _EXACT_RANKS else np.float64)
    for i in range(n):
        ordered = xp.sort(rows[i])
        before, until = (xp.searchsorted(ordered, rows[i], side=side) for side in ("left", "right"))
        # NaN sorts last: a row holds one where its last value is none
        out[i] = xp.where(xp.isnan(ordered[-1:]), np.nan, (before + until + 1) / 2 - (width + 1) / 2)
    ranks: Array = out
    return ranks


class HostKernels:
    """The kernels of the CPU, by the names that they have on a device."""

    xp = np

    def __init__(self, n_threads: int, without: NDArray[np.int64] | None) -> None:
        self._n_threads, self._without = n_threads, without

    def pair_sums(self, x: Array, y: Array, term: str, out: Table | None = None) -> Table:
        """Sums of all pairs of rows, without the columns left out."""
        from vcmetrics import _core

        if out is None:
            out = np.empty((len(x), len(y)))
        _core.panel_sums(x, y, term, out, self._n_threads, self._without)
        return out

    def row_squares(self, x: Array) -> Table:
        """Sum of squares of every row, without the columns left out."""
        from vcmetrics import _core

        return np.asarray(_core.row_squares(x, self._n_threads, self._without))


class SentKernels:
    """The kernels of a GPU for tables on the host: both are sent there, sums come back.

    The candidates stay there from block to block. Columns left out are zeros on both sides, which add nothing.
    """

    xp = np

    def __init__(self, engine: Engine, without: NDArray[np.int64] | None) -> None:
        self._engine, self._without = engine, without
        self._kept: tuple[Array, Array] | None = None

    def _there(self, table: Array) -> Array:
        if self._without is not None:
            table = table.copy()
            table[:, self._without] = 0
        there: Array = self._engine.xp.asarray(np.ascontiguousarray(table))
        return there

    def pair_sums(self, x: Array, y: Array, term: str, out: Table | None = None) -> Table:
        """Sums of all pairs of rows, on the host."""
        if self._kept is None or self._kept[0] is not y:
            self._kept = (y, self._there(y))
        second = self._kept[1]
        first = second if x is y else self._there(x)
        found = self._engine.to_host(self._engine.kernels.pair_sums(first, second, term))
        if out is None:
            return np.asarray(found)
        out[...] = found
        return out

    def row_squares(self, x: Array) -> Table:
        """Sum of squares of every row, on the host."""
        return np.array(self._engine.to_host(self._engine.kernels.row_squares(self._there(x))))


class PairDistances:
    """Distances of the rows of ``x`` to all rows of ``y``.

    Parameters
    ----------
    x, y
        (n_x, n_features) and (n_y, n_features), float32 or float64, C-contiguous.
    metric
        A canonical name of :data:`METRICS`.
    n_threads
        Threads of the kernel; the values do not depend on it.
    without
        Columns that are left out, ascending; for :data:`SUMS`.
    engine
        Of the GPU that both tables lie on, and that the results stay on; None: the CPU.
    sent
        Engine of a GPU that sums are sent to while tables and results stay on the host: with the bits of the CPU.

    Notes
    -----
    Every pair is summed in float64 in one order: equal rows have equal distances, and a row has distance 0 to itself
    under every metric. ``pearson`` keeps centred float64 copies of the tables, ``spearman`` copies of their ranks.
    """

    def __init__(
        self,
        x: Array,
        y: Array,
        metric: str,
        n_threads: int,
        without: NDArray[np.int64] | None = None,
        engine: Engine | None = None,
        sent: Engine | None = None,
    ) -> None:
        assert without is None or (metric in SUMS and engine is None)
        xp = np if engine is None else engine.xp
        self._kernels: Any = HostKernels(n_threads, without) if engine is None else engine.kernels
        if sent is not None:
            self._kernels = SentKernels(sent, without)
        if metric not in METRICS:
            if engine is not None or sent is not None:
                msg = f"metric {metric!r} has no CUDA kernels (there are {', '.join(METRICS)}); pass device='cpu'"
                raise DeviceError(msg)
            self.metric, self.shape = metric, (x.shape[0], y.shape[0])
            self._registered = _registered(x, y, metric, n_threads)
            return
        if x.dtype != y.dtype:
            x, y = (xp.ascontiguousarray(table, dtype=np.float64) for table in (x, y))
        self.metric = metric
        self.shape = (x.shape[0], y.shape[0])
        same = x is y
        if metric in ("pearson", "spearman"):
            ranked = metric == "spearman"
            x = (centred_ranks(x) if engine is None else centred_ranks_on(x, xp)) if ranked else centred(x, xp)
            if same:
                y = x
            else:
                y = (centred_ranks(y) if engine is None else centred_ranks_on(y, xp)) if ranked else centred(y, xp)
        self.x, self.y = x, y
        if metric in ANGLES:
            self.x, self.squares_x = tamed(x, self._kernels.row_squares, xp)
            self.y, self.squares_y = (self.x, self.squares_x) if same else tamed(y, self._kernels.row_squares, xp)
            if self.x.dtype != self.y.dtype:
                self.x, self.y = self.x.astype(np.float64), self.y.astype(np.float64)

    def sums(self, first: int, last: int, out: Table | None = None) -> Table:
        """What the kernel sums for rows ``first`` … ``last - 1``: differences, squares or products."""
        term = {"cityblock": "cityblock", "euclidean": "sqeuclidean", "sqeuclidean": "sqeuclidean"}
        # a table against itself is passed whole, so that the kernel can mirror it
        x = self.x if (first, last) == (0, self.shape[0]) else self.x[first:last]
        sums: Table = self._kernels.pair_sums(x, self.y, term.get(self.metric, "product"), out)
        return sums

    def block(self, first: int, last: int, out: Table | None = None, *, rooted: bool = True) -> Table:
        """Distances of rows ``first`` … ``last - 1`` to all of ``y``, (last - first, n_y).

        ``rooted=False`` leaves Euclidean distances squared, which ranks alike and keeps ties apart from rounding.
        """
        if self.metric not in METRICS:
            found = self._registered(first, last)
            if out is None:
                return found
            out[...] = found
            return out
        out = self.sums(first, last, out)
        if self.metric == "euclidean" and rooted:
            self._kernels.xp.sqrt(out, out=out)
        if self.metric in ANGLES:
            angles(out, self.squares_x[first:last], self.squares_y, self._kernels.xp)
        return out


def _registered(x: Array, y: Array, metric: str, n_threads: int) -> Callable[[int, int], Table]:
    """Blocks of a distance of the registry, every profile a group of one cell."""
    from vcmetrics.metrics.distance.registry import get
    from vcmetrics.sources.cell_groups import CellGroups

    n, width = len(x), len(y)
    labels = tuple(map(str, range(n + width)))
    rows = np.concatenate([x, y]).astype(np.float64)
    cells = CellGroups(labels, np.arange(n + width, dtype=np.int32), rows, n_threads=n_threads)
    spec = get(metric)

    def block(first: int, last: int) -> Table:
        of_x, of_y = np.meshgrid(np.arange(first, last), n + np.arange(width), indexing="ij")
        pairs = np.stack([of_x.ravel(), of_y.ravel()], axis=1).astype(np.int32)
        return np.asarray(spec.evaluate(cells, pairs), np.float64).reshape(last - first, width)

    return block


def tamed(rows: Array, row_squares: Callable[[Array], Table], xp: Any = np) -> tuple[Array, Table]:
    """Rows and their squared lengths; rows whose squares leave the range of float64 are scaled by a power of two.

    Angles do not see the factor, and a power of two changes no digit. On a GPU the call waits for the device, to learn
    whether there are such rows.
    """
    squares = row_squares(rows)
    wild = xp.flatnonzero((squares < 1e-150) | (squares > 1e150))
    if not wild.size or not rows.shape[1]:
        return rows, squares
    largest = xp.abs(rows[wild]).max(1).astype(np.float64)
    fine = (largest > 0) & (largest < np.inf)
    wild, largest = wild[fine], largest[fine]
    if not wild.size:
        return rows, squares
    out = rows.astype(np.float64)
    out[wild] = xp.ldexp(out[wild], -xp.frexp(largest)[1][:, None])
    return out, row_squares(out)


def angles(products: Table, squares_x: Table, squares_y: Table, xp: Any = np) -> Table:
    """1 - cosine from products and squared lengths, in place: in [0, 2], 1 where a length is 0, NaN for NaN.

    ``squares_x`` is one a row or one a pair, ``squares_y`` one a column or one a pair.
    """
    lengths = (squares_x[:, None] if squares_x.ndim == 1 else squares_x) * squares_y
    zero = lengths == 0
    with np.errstate(invalid="ignore", divide="ignore"):
        # the root of the product is exact where both are equal, so a row's distance to itself is 0
        xp.divide(products, xp.sqrt(lengths, out=lengths), out=products)
        xp.subtract(1.0, products, out=products)
    products[zero] = 1.0
    clipped: Table = xp.clip(products, 0.0, 2.0, out=products)
    return clipped
