"""Rows of a data set as workers read them: ranges of files, or blocks that Dask computes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.sources.arrays import MemoryArray
from vcmetrics.sources.cells import Cells, open_store
from vcmetrics.sources.compact import canonical, rows_in_place
from vcmetrics.sources.joined import JoinedArray, JoinedStore, row_range
from vcmetrics.sources.lazy import looks_lazy
from vcmetrics.sources.matrix import Matrix, dense_matrix, sparse_matrix
from vcmetrics.sources.memory import MemoryAnnData
from vcmetrics.sources.rows import ChunkedArray, Rows
from vcmetrics.sources.stored import Store, StoredAnnData

Order = NDArray[np.int64] | None
PIECE_VALUES = 1 << 25  # stored values of a piece at most: some 200 MB as they are stored
PIECE_CELLS = 1 << 14  # cells of a piece of blocks, whose values are not counted before
OPEN_FILES = 32  # that one thread of a worker keeps open


@dataclass(frozen=True)
class FileRows:
    """Rows ``first … last - 1`` of a matrix in a file; ``identity`` is that of the file when it was first opened."""

    path: str
    layer: str | None
    identity: str | None
    first: int
    last: int

    def matrix(self) -> Matrix:
        """Open the file, or take it from those that this thread keeps open."""
        return row_range(_opened(self.path, self.layer, self.identity), self.first, self.last)


@dataclass(frozen=True)
class Piece:
    """Consecutive cells.

    Attributes
    ----------
    first, n_rows
        Which of the data set.
    source
        :class:`FileRows`, or a list of blocks: of Dask's delayed ones here, of computed ones on a worker.
    order
        Column in the source of each gene; None where they are the same.
    name
        For messages.
    in_place
        Whether workers can use the rows where they lie, so that any number of them may take some.
    """

    first: int
    n_rows: int
    source: Any
    order: Order
    name: str
    in_place: bool = False


class MatrixStore:
    """A matrix alone, as a store: cells have no labels, genes are named by their numbers."""

    def __init__(self, matrix: Matrix, name: str) -> None:
        self.name = name
        self.n_obs, self.n_vars = matrix.n_rows, matrix.n_cols
        self._matrix = matrix

    def genes(self) -> NDArray[np.str_]:
        """Numbers of the genes."""
        return np.arange(self.n_vars).astype(str)

    def matrix(self, layer: str | None) -> Matrix:
        """The matrix."""
        return self._matrix

    def obs_names(self) -> list[str]:
        """Numbers of the cells."""
        return [str(k) for k in range(self.n_obs)]

    def columns(self) -> list[str]:
        """No columns."""
        return []

    def column(self, name: str) -> NDArray[np.object_]:
        """No column."""
        raise KeyError(name)

    def group_order(self, name: str) -> list[str] | None:
        """No column."""
        raise KeyError(name)

    def layers(self) -> list[str]:
        """No layers."""
        return []

    def obsm_keys(self) -> list[str]:
        """No embeddings."""
        return []

    def obsm(self, key: str, *, as_stored: bool = False) -> NDArray[Any]:
        """No embedding."""
        raise KeyError(key)

    def identity(self) -> str | None:
        """Return None: only the content names it."""
        return None

    def release(self) -> None:
        """Nothing is mapped here."""

    def close(self) -> None:
        """The file stays open for the next piece."""


# readers of compressed chunks keep what they read beyond a range, so no two threads share one
_kept = threading.local()


def _opened(path: str, layer: str | None, identity: str | None) -> Matrix:
    files: dict[Any, tuple[Store, Matrix]] | None = getattr(_kept, "files", None)
    if files is None:
        files = _kept.files = {}
    key = (path, layer, identity)
    if key not in files:
        while len(files) >= OPEN_FILES:
            files.pop(next(iter(files)))[0].close()
        store = open_store(path)
        if store.identity() != identity:
            store.close()
            msg = f"{store.name}: was changed, or is another file on the worker; all workers must see the same files"
            raise DataError(msg)
        files[key] = (store, store.matrix(layer))
    return files[key][1]


def matrix_of(source: Any) -> Matrix:
    """The rows of a piece, as a worker has them."""
    if isinstance(source, FileRows):
        return source.matrix()
    matrices = [_block_matrix(block) for block in source]
    if len(matrices) == 1:
        return matrices[0]
    if matrices[0].layout == "dense":
        return dense_matrix(JoinedArray([matrix.data for matrix in matrices]))
    indptr = [np.zeros(1, np.int64)]
    for matrix in matrices:
        assert matrix.indptr is not None
        indptr.append(matrix.indptr[1:] + indptr[-1][-1])
    columns = JoinedArray([matrix.indices for matrix in matrices if matrix.indices is not None])
    shape = (sum(matrix.n_rows for matrix in matrices), matrices[0].n_cols)
    return sparse_matrix("csr", shape, JoinedArray([m.data for m in matrices]), columns, np.concatenate(indptr))


def _block_matrix(block: Any) -> Matrix:
    if isinstance(block, np.ndarray):
        return dense_matrix(MemoryArray(block))
    from scipy import sparse

    rows = block if getattr(block, "format", "") == "csr" else sparse.csr_matrix(block)
    n = int(rows.indptr[-1])
    return sparse_matrix("csr", rows.shape, MemoryArray(rows.data[:n]), MemoryArray(rows.indices[:n]), rows.indptr)


def piece_cells(source: Any, order: Order, name: str) -> Cells:
    """The cells of a piece on a worker, genes in order."""
    return Cells(MatrixStore(matrix_of(source), name)).with_gene_order(order)


PIECE_FACTS = ("lengths", "dtypes", "in_place")


def scan_piece(source: Any, order: Order, name: str) -> dict[str, Any]:
    """Facts of :meth:`Cells.scan`, and :data:`PIECE_FACTS`: of the rows, their types, whether they are used there."""
    cells = piece_cells(source, order, name)
    facts = dict(cells.scan(1))
    rows = cells.rows(1)
    bare = order is None and isinstance(source, FileRows) and rows_in_place(source.matrix()) is not None
    facts["lengths"] = np.diff(rows.indptr)
    facts["dtypes"] = (rows.indices.dtype.str, rows.data.dtype.str)
    facts["in_place"] = bare and not facts["unsorted"] and not facts["duplicates"]
    return facts


def cut_piece(source: Any, order: Order, name: str, chosen: Sequence[NDArray[np.int64]]) -> list[Rows]:
    """Compact copies of several sets of a piece's rows."""
    rows = piece_cells(source, order, name).rows(1)
    return [canonical(rows.take(numbers), 1) for numbers in chosen]


def rows_taken(parts: Sequence[Any], n_cols: int) -> Rows:
    """Rows of several pieces, one behind the other: copies at hand, or (file, numbers) to take where they lie."""
    found = []
    for part in parts:
        if isinstance(part, Rows):
            found.append(part)
            continue
        source, numbers = part
        rows = rows_in_place(source.matrix())
        assert rows is not None
        found.append(rows.take(numbers))
    if not found:
        nothing = ChunkedArray.of(np.empty(0, np.uint16))
        return Rows(0, n_cols, np.zeros(1, np.int64), nothing, nothing)
    return Rows.joined(found)


def pieces_of(store: Store, layer: str | None, n_wanted: int) -> tuple[list[Piece], list[Matrix | Any]]:
    """Cut a store into pieces, and its matrices (or Dask arrays) as they are.

    Raises
    ------
    TypeError
        If a part is neither a file nor held by Dask.
    """
    parts = store.parts() if isinstance(store, JoinedStore) else [(store, None)]
    matrices = [_whole(part, layer) for part, _ in parts]
    known = sum(matrix.nnz for matrix in matrices if isinstance(matrix, Matrix))
    limit = max(1, min(PIECE_VALUES, known // n_wanted))
    pieces: list[Piece] = []
    at = 0
    for (part, order), matrix in zip(parts, matrices, strict=True):
        if not isinstance(matrix, Matrix):
            pieces += _blocks(matrix, at, order, part.name, max(1, min(PIECE_CELLS, store.n_obs // n_wanted)))
            at += part.n_obs
            continue
        assert isinstance(part, StoredAnnData)
        path, identity = str(Path(part.path).resolve()), part.identity()
        for first, last in _ranges(matrix, limit):
            pieces.append(
                Piece(at + first, last - first, FileRows(path, layer, identity, first, last), order, part.name)
            )
        at += part.n_obs
    return pieces, matrices


def _whole(part: Store, layer: str | None) -> Matrix | Any:
    if isinstance(part, StoredAnnData):
        return part.matrix(layer)
    values: Any = part.values(layer) if isinstance(part, MemoryAnnData) else None
    if looks_lazy(values):
        return values if len(values.chunks[1]) == 1 else values.rechunk({1: -1})
    msg = (
        f"{part.name}: a cluster reads files, or AnnData that Dask holds; save it and pass the path, or call the "
        "function of vcmetrics in place of vcmetrics.dask"
    )
    raise TypeError(msg)


def _ranges(matrix: Matrix, limit: int) -> list[tuple[int, int]]:
    n = matrix.n_rows
    if matrix.layout == "csc":  # every range of rows would read it whole
        return [(0, n)]
    if matrix.layout == "dense":
        grain = matrix.data.block
        height = max(grain, limit // max(1, matrix.n_cols) // grain * grain)
        borders = [*range(0, n, height), n]
    else:
        assert matrix.indptr is not None
        n_parts = max(1, round(matrix.nnz / limit))
        even = np.searchsorted(matrix.indptr, np.linspace(0, matrix.nnz, n_parts + 1)[1:-1])
        borders = sorted({0, *even.tolist(), n})
    return [(a, b) for a, b in pairwise(borders) if a < b]


def _blocks(values: Any, at: int, order: Order, name: str, limit: int) -> list[Piece]:
    pieces: list[Piece] = []
    held: list[Any] = []
    n = 0
    heights = values.chunks[0]
    for block, height in zip(values.to_delayed().reshape(-1), heights, strict=True):
        if held and n + height > limit:
            pieces.append(Piece(at, n, held, order, name))
            at, held, n = at + n, [], 0
        held.append(block)
        n += int(height)
    return [*pieces, Piece(at, n, held, order, name)] if held else pieces
