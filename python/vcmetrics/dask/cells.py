"""Cells whose labels are here and whose values the workers of a cluster read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from dask.base import tokenize
from distributed import Client
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.dask.cluster import n_threads, results, task
from vcmetrics.dask.passes import gather_pairs
from vcmetrics.dask.pieces import PIECE_FACTS, Piece, cut_piece, pieces_of, rows_taken, scan_piece
from vcmetrics.sources.cells import Cells, open_store
from vcmetrics.sources.checked_blocks import Facts
from vcmetrics.sources.matrix import Matrix
from vcmetrics.sources.rows import ArrayElsewhere, Rows, RowsElsewhere

PIECES_A_THREAD = 4  # enough to even out what some cost more than others


def open_remote(data: Any, client: Client, *, layer: str | None = None, name: str | None = None) -> Cells:
    """Open files, or AnnData that Dask holds, for work on a cluster.

    Parameters
    ----------
    data
        As :func:`vcmetrics.sources.open_cells` takes, but for AnnData in memory. Files are opened by the workers too,
        under the same path.
    client
        Of the cluster.
    layer, name
        As there.

    Raises
    ------
    DataError
        As there.
    TypeError
        For AnnData in memory.
    """
    store = open_store(data, name)
    try:
        return RemoteCells(store, layer, client)
    except BaseException:
        store.close()
        raise


class RemoteCells(Cells):
    """:class:`Cells` that are scanned, and passed over, on a cluster."""

    def __init__(self, store: Any, layer: str | None, client: Client) -> None:
        self._name(store, layer)
        self._client = client
        self._pieces, self._matrices = pieces_of(store, layer, PIECES_A_THREAD * n_threads(client))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type of the matrix as stored; the common one of several."""
        return np.result_type(*(matrix.dtype for matrix in self._matrices))

    @property
    def layout(self) -> str:
        """How the matrix is stored."""
        kinds = {
            matrix.layout if isinstance(matrix, Matrix) else "dense" if isinstance(matrix._meta, np.ndarray) else "csr"
            for matrix in self._matrices
        }
        return kinds.pop() if len(kinds) == 1 else "csr"

    def streams(self) -> bool:
        """Never from here: the workers read."""
        return False

    def dense(self, n_threads: int | None = None) -> NDArray[Any]:
        """Refuse: the matrix is not brought here."""
        msg = (
            f"{self.name}: is read by a cluster; this needs all cells in one process, as the functions of vcmetrics do"
        )
        raise DataError(msg)

    def _load(self, n_threads: int) -> tuple[Rows, dict[str, Any]]:
        scanned = results(
            self._client, [task(scan_piece, piece.source, piece.order, piece.name) for piece in self._pieces]
        )
        pieces = [
            replace(piece, in_place=found["in_place"]) for piece, found in zip(self._pieces, scanned, strict=True)
        ]
        joined = Facts()
        for piece, one in zip(pieces, scanned, strict=True):
            joined.add(piece.first, {key: value for key, value in one.items() if key not in PIECE_FACTS})
        found = joined.all()
        indptr = np.concatenate([[0], np.cumsum(np.concatenate([one["lengths"] for one in scanned]))])
        columns, values = (ArrayElsewhere(np.result_type(*(one["dtypes"][k] for one in scanned))) for k in (0, 1))
        facts = (int(found["n_fractional"]), max(abs(float(found["min"])), abs(float(found["max"]))))
        rows = RemoteRows(
            self.n_obs, self.n_vars, indptr.astype(np.int64), columns, values, self._client, tuple(pieces), *facts
        )
        return rows, found

    def with_gene_order(self, order: NDArray[np.int64] | None) -> Cells:
        """As :meth:`Cells.with_gene_order`; the workers put the genes in order."""
        other = super().with_gene_order(order)
        if other is not self:
            assert isinstance(other, RemoteCells)
            assert order is not None
            order = np.ascontiguousarray(order, np.int64)
            other._pieces = [
                replace(piece, order=order if piece.order is None else piece.order[order]) for piece in self._pieces
            ]
        return other

    def fingerprint(self) -> str:
        """As :meth:`Cells.fingerprint`; a collection of Dask is known by the name of its graph."""
        if self._fingerprint is None:
            identity = self._store.identity()
            if identity is None:
                identity = tokenize(*(matrix for matrix in self._matrices if not isinstance(matrix, Matrix)))
                nnz = -1
            else:
                nnz = sum(matrix.nnz for matrix in self._matrices)
            digest = hashlib.sha256(f"{self.n_obs}|{self.n_vars}|{nnz}|{self.dtype.str}|{self.layer}".encode())
            digest.update("\n".join(self.genes.tolist()).encode())
            digest.update(identity.encode())
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def __repr__(self) -> str:
        return f"<Cells {self.name}: {self.n_obs} × {self.n_vars}, {self.layout} {self.dtype}, on {self._client!r}>"


@dataclass(frozen=True)
class RemoteRows(RowsElsewhere):
    """Rows that the workers of a cluster read.

    Attributes
    ----------
    pieces
        Where they are, in order.
    n_fractional, largest
        Number of values that are not whole, and the largest value in size.
    """

    client: Client
    pieces: tuple[Piece, ...]
    n_fractional: int
    largest: float

    def cut(self, sets: Sequence[NDArray[np.int64]]) -> list[list[Any]]:
        """For each set of rows (ascending) what :func:`rows_taken` takes; pieces to be copied are read once for all."""
        out: list[list[Any]] = [[] for _ in sets]
        for piece in self.pieces:
            local = []
            for k, chosen in enumerate(sets):
                begin, end = np.searchsorted(chosen, [piece.first, piece.first + piece.n_rows])
                if begin < end:
                    local.append((k, chosen[begin:end] - piece.first))
            if piece.in_place:
                for k, numbers in local:
                    out[k].append((piece.source, numbers))
            elif local:
                copies = task(cut_piece, piece.source, piece.order, piece.name, [numbers for _, numbers in local])
                for j, (k, _) in enumerate(local):
                    out[k].append(copies[j])
        return out

    def take(self, chosen: NDArray[np.int64]) -> Rows:
        """The rows ``chosen``, in that order, brought here."""
        ascending = np.unique(chosen)
        (rows,) = results(self.client, [task(brought, self.cut([ascending])[0], self.n_cols)])
        here: Rows = rows
        return here.take(np.searchsorted(ascending, chosen).astype(np.int64))

    def gather(self, pairs: Sequence[Any], recipe: Any, progress: Any) -> list[dict[str, NDArray[Any]]]:
        """The pass, on the cluster."""
        return gather_pairs(self.client, pairs, recipe, progress)


def brought(parts: Sequence[Any], n_cols: int) -> Rows:
    """A compact copy of rows of several pieces."""
    from vcmetrics.sources.compact import canonical

    return canonical(rows_taken(parts, n_cols), 1)
