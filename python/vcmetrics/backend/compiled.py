"""The compiled CUDA kernels over arrays: allocates, checks what the bindings cannot, and passes addresses on.

The same class drives ``_cuda`` with CuPy arrays and its twin on the host with NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vcmetrics._errors import DeviceError

Array = Any  # of NumPy or CuPy
ROWS_OF_A_CHUNK = 1024  # rows that group sums add one after the other


def numpy_address(array: Array) -> int:
    """Where a NumPy array begins."""
    return int(array.ctypes.data)


def chunk_lists(sizes: Any) -> tuple[Any, Any]:
    """Cut groups of so many rows into chunks: (starts in the list of rows, first chunk of each group)."""
    sizes = np.asarray(sizes, np.int64)
    per_group = -(-sizes // ROWS_OF_A_CHUNK)
    group_chunks = np.concatenate([[0], np.cumsum(per_group)]).astype(np.int64)
    begin = np.concatenate([[0], np.cumsum(sizes)])
    place = np.arange(group_chunks[-1]) - np.repeat(group_chunks[:-1], per_group)
    starts = np.repeat(begin[:-1], per_group) + place * ROWS_OF_A_CHUNK
    return np.append(starts, begin[-1]).astype(np.int64), group_chunks


class CompiledKernels:
    """Kernels of one compiled module.

    Parameters
    ----------
    xp
        The array library: ``cupy``, or ``numpy`` for the twin.
    module
        ``vcmetrics._cuda`` or ``vcmetrics._cuda_twin``.
    address
        Where an array begins.
    stream
        The current stream's number. Work is left on it: nothing here waits for the device.

    Notes
    -----
    Tables are C-contiguous (rows may lie apart where the method says so), float32 or float64; results are float64, or
    int64 for counts. Results do not depend on the launch: there are no atomics.
    """

    is_compiled = True

    def __init__(self, xp: Any, module: Any, address: Callable[[Array], int], stream: Callable[[], int]) -> None:
        self.xp, self._module, self._address, self._stream = xp, module, address, stream

    def _upload(self, values: Any, dtype: Any) -> Array:
        return self.xp.ascontiguousarray(self.xp.asarray(values, dtype=dtype))

    def pair_sums(self, x: Array, y: Array, term: str, out: Array | None = None) -> Array:
        """Σ |x - y|, (x - y)² or x y (``cityblock``, ``sqeuclidean``, ``product``) of all pairs of rows.

        In the order of additions of the CPU, so with its bits. One table given twice is summed by half.
        """
        n_x, n_y = len(x), len(y)
        if out is None:
            out = self.xp.empty((n_x, n_y))
        at = self._address
        self._module.pair_sums(at(x), at(y), str(x.dtype), n_x, n_y, x.shape[1], term, at(out), self._stream())
        return out

    def row_squares(self, x: Array) -> Array:
        """Σ x² of every row, with the bits of its product with itself."""
        out = self.xp.empty(len(x))
        self._module.row_squares(self._address(x), str(x.dtype), *x.shape, self._address(out), self._stream())
        return out

    def match_counts(self, distance: Array, own: Array) -> Array:
        """(3, n) int64: candidates nearer than ``own[i]``, equally near, equally near in columns before it.

        Rows of ``distance`` may lie apart. NaN is farther than every number and equal to NaN.
        """
        n, width = distance.shape
        counts = self.xp.empty((3, n), dtype=np.int64)
        own = self._upload(own, np.int64)
        stride = distance.strides[0] // distance.itemsize if n > 1 else width
        at = self._address
        self._module.match_counts(
            at(distance), str(distance.dtype), n, width, stride, at(own), at(counts), self._stream()
        )
        return counts

    def co_moments(self, x: Array, y: Array, weights: Array | None = None) -> Array:
        """(9, n_columns) state of :class:`~vcmetrics.arrays.CoMoments` after all rows of both tables.

        Rows may lie apart. Pairs that are not finite or have weight 0 are passed over.
        """
        n, width = x.shape
        chunks = self.xp.empty((-(-n // self._module.CO_MOMENT_ROWS), 9, width))
        state = self.xp.empty((9, width))
        at = self._address
        weights = None if weights is None else self._upload(weights, np.float64)
        self._module.co_moments(
            at(x),
            at(y),
            str(x.dtype),
            *(table.strides[0] // table.itemsize if n > 1 else width for table in (x, y)),
            0 if weights is None else at(weights),
            n,
            width,
            at(chunks),
            at(state),
            self._stream(),
        )
        return state

    def group_pair_sums(
        self, cells: Array, sizes: Any, pairs: Any, term: str, gammas: Sequence[float] | None = None
    ) -> Array:
        """Σ term(x, y) over the ordered pairs of cells of two groups, (n_gammas or 1, n_pairs).

        Parameters
        ----------
        cells
            (n_cells, n_features), the groups one after the other.
        sizes, pairs
            On the host: cells of each group, and which two groups.
        term
            ``euclidean``, ``sqeuclidean``, ``cityblock``, or ``rbf`` (exp(-gamma d²) for each of ``gammas``).
        gammas
            Of ``rbf``.
        """
        sizes, pairs = np.asarray(sizes, np.int64), np.asarray(pairs, np.int32).reshape(-1, 2)
        tiles_of = -(-sizes // self._module.TILE_ROWS)
        tiles = tiles_of[pairs[:, 0]] * tiles_of[pairs[:, 1]]
        tasks = np.concatenate([[0], np.cumsum(tiles)]).astype(np.int64)
        n_tasks, n_gammas = int(tasks[-1]), 1 if gammas is None else len(gammas)
        starts = self._upload(np.concatenate([[0], np.cumsum(sizes)]), np.int64)
        wanted, first_task = self._upload(pairs, np.int32), self._upload(tasks, np.int64)
        factors = None if gammas is None else self._upload(gammas, np.float64)
        partial, sums = self.xp.empty((n_gammas, n_tasks)), self.xp.empty((n_gammas, len(pairs)))
        at = self._address
        self._module.group_pair_sums(
            at(cells),
            str(cells.dtype),
            cells.shape[1],
            at(starts),
            at(wanted),
            at(first_task),
            len(pairs),
            n_tasks,
            term,
            0 if factors is None else at(factors),
            0 if gammas is None else n_gammas,
            at(partial),
            at(sums),
            self._stream(),
        )
        return sums

    def group_sums(
        self,
        cells: Array | tuple[Array, Array, Array],
        n_genes: int,
        order: Any,
        sizes: Any,
        *,
        scale: Array | None = None,
        normalise: str = "raw",
    ) -> Array:
        """Sums and sums of squares by group and gene, (2, n_groups, n_genes).

        Parameters
        ----------
        cells
            Dense rows, which may lie apart, or compressed ones: (data, indices, indptr), columns strictly ascending.
        n_genes
            Number of columns.
        order, sizes
            Rows group by group, and on the host how many belong to each group.
        scale
            (n_rows,) factor of each row.
        normalise
            ``raw``: the values; ``linear``: times the row's scale; ``log1p``: log(1 + that).
        """
        chunk_starts, group_chunks = chunk_lists(sizes)
        n_chunks, n_groups = len(chunk_starts) - 1, len(group_chunks) - 1
        order = self._upload(order, np.int64)
        scale = None if scale is None else self._upload(scale, np.float64)
        starts, firsts = self._upload(chunk_starts, np.int64), self._upload(group_chunks, np.int64)
        chunks = self.xp.empty((n_chunks, 2, n_genes))
        sums = self.xp.empty((2, n_groups, n_genes))
        at = self._address
        lists = (at(order), at(starts), at(firsts), n_chunks, n_groups, n_genes)
        groups = (*lists, 0 if scale is None else at(scale), normalise, at(chunks), at(sums))
        if isinstance(cells, tuple):
            data, indices, indptr = cells
            indptr = self._upload(indptr, np.int64)
            self._module.csr_group_sums(
                at(data), at(indices), at(indptr), str(data.dtype), str(indices.dtype), groups, self._stream()
            )
        else:
            stride = cells.strides[0] // cells.itemsize
            self._module.dense_group_sums(at(cells), stride, str(cells.dtype), groups, self._stream())
        return sums

    def rank_sums(
        self, control: Array, control_starts: Array, keys: Array, starts: Array, sizes: Any, n_control: int
    ) -> tuple[Array, Array]:
        """2U (int64) and Σ(t³ - t) (float64) of groups over one control, (n_groups, n_genes) each.

        Parameters
        ----------
        control, control_starts
            The control's keys that are not zero, ascending inside a gene, and where each gene begins.
        keys, starts
            Those of all groups, ascending inside a gene and group, and where each begins, gene-major.
        sizes, n_control
            On the host: cells of each group and of the control.
        """
        sizes = np.asarray(sizes, np.int64)
        n_genes, n_groups = len(control_starts) - 1, len(sizes)
        largest = self._module.LARGEST_RANKED
        if int(sizes.max(initial=0)) + n_control > largest:
            msg = f"a group and the control have more than {largest} cells together; pass device='cpu'"
            raise DeviceError(msg)
        u2 = self.xp.empty((n_groups, n_genes), dtype=np.int64)
        tie = self.xp.empty((n_groups, n_genes))
        ties = self.xp.empty(n_genes, dtype=np.uint64)
        cells = self._upload(sizes, np.int64)
        at = self._address
        self._module.rank_sums(
            at(control), at(control_starts), at(keys), at(starts), at(cells), n_control, n_genes, n_groups,
            at(ties), at(u2), at(tie), self._stream(),
        )  # fmt: skip
        return u2, tie

    def row_totals(self, data: Array, indptr: Array) -> Array:
        """Sum of every compressed row."""
        totals = self.xp.empty(len(indptr) - 1)
        indptr = self._upload(indptr, np.int64)
        at = self._address
        self._module.row_totals(at(data), at(indptr), str(data.dtype), len(totals), at(totals), self._stream())
        return totals
