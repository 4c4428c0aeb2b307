"""Cells: one side's data, opened once, read by every later room."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError, VcmetricsWarning
from vcmetrics.backend.memory import current_budget
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.sources.genes import some
from vcmetrics.sources.joined import looks_joined, matching, open_joined
from vcmetrics.sources.memory import MemoryAnnData, looks_like_anndata
from vcmetrics.sources.packed import PackedAnnData, looks_packed, open_packed
from vcmetrics.sources.rows import Rows
from vcmetrics.sources.spill import is_mapped
from vcmetrics.sources.stored import Store, StoredAnnData, as_path

if TYPE_CHECKING:
    from vcmetrics.sources.checked_blocks import CheckedBlock

# copies beyond this are told to the caller
LARGE_COPY = 64 << 20


def open_cells(data: object, *, layer: str | None = None, name: str | None = None) -> Cells:
    """Open what the user has.

    Parameters
    ----------
    data
        AnnData (in memory, backed, read lazily, held by Dask, or a view), path to an ``.h5ad`` file, a ``.zarr`` store
        or a packed submission (``.vcc``), or :class:`Cells`. Several of them are one data set: a list or tuple of paths
        and AnnData, a pattern such as ``"plates/*.h5ad"`` (sorted by name), or a mapping, whose keys become the column
        ``file`` of ``obs``. They need the same genes, in any order, and the columns that are read.
    layer
        Read this layer; None reads ``X``.
    name
        What messages call it; None takes the path, or ``adata``.

    Returns
    -------
    The cells. Nothing but labels, names and row pointers has been read yet.

    Raises
    ------
    DataError
        If the file cannot be opened or is no AnnData, or if it has no such matrix.
    TypeError
        If ``data`` is something else.
    """
    if isinstance(data, Cells):
        if layer is not None and layer != data.layer:
            msg = f"{data.name} was opened with layer={data.layer!r}, not {layer!r}; open it again"
            raise ValueError(msg)
        return data
    store = open_store(data, name)
    try:
        return Cells(store, layer)
    except BaseException:
        store.close()
        raise


def open_store(data: object, name: str | None = None) -> Store:
    """What holds the cells, opened; its matrix has not been looked at. Parameters and errors as :func:`open_cells`."""
    path = as_path(data)
    store: Store
    several = matching(path) if path is not None else None
    if several is not None or looks_joined(data):
        return open_joined(data if several is None else several, name, open_store)
    if path is not None:
        store = open_packed(path) if looks_packed(path) else StoredAnnData(path)
        if name is not None:
            store.name = f"{name} {store.name}"
        return store
    if looks_like_anndata(data):
        return MemoryAnnData(data, name or "adata")
    msg = f"expected AnnData, a path to an .h5ad file or .zarr store, or a list of these, got {type(data).__name__}"
    raise TypeError(msg)


def holds_cells(data: object) -> bool:
    """Whether :func:`open_cells` takes ``data``: opened cells, AnnData, a path, or several of the last two."""
    return isinstance(data, Cells) or as_path(data) is not None or looks_like_anndata(data) or looks_joined(data)


class Cells:
    """Cells × genes of one side, with their labels.

    Attributes
    ----------
    name
        For messages.
    n_obs, n_vars
        Numbers of cells and genes.
    genes
        Names of the genes, in column order.
    layer
        Which matrix; None is ``X``.
    """

    def __init__(self, store: Store, layer: str | None = None) -> None:
        self._name(store, layer)
        self._matrix = store.matrix(layer)

    def _name(self, store: Store, layer: str | None) -> None:
        """Everything but the matrix."""
        self._store = store
        self.layer = layer
        self.name = store.name
        self.n_obs, self.n_vars = store.n_obs, store.n_vars
        if self.n_obs == 0 or self.n_vars == 0:
            what = "cells" if self.n_obs == 0 else "genes"
            msg = f"{self.name}: has no {what} ({self.n_obs} × {self.n_vars})"
            raise DataError(msg)
        self.genes: NDArray[np.str_] = store.genes()
        self._order: NDArray[np.int64] | None = None
        self._rows: Rows | None = None
        self._found: dict[str, Any] | None = None
        self._fingerprint: str | None = None

    @property
    def packed(self) -> bool:
        """Whether they come from a packed submission."""
        return isinstance(self._store, PackedAnnData)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type of the matrix as stored."""
        return self._matrix.dtype

    @property
    def layout(self) -> str:
        """How the matrix is stored: ``csr``, ``csc`` or ``dense``."""
        return self._matrix.layout

    def obs_names(self) -> list[str]:
        """Names of the cells, in the order of the rows."""
        return self._store.obs_names()

    def columns(self) -> list[str]:
        """Names of the columns of ``obs``."""
        return self._store.columns()

    def column(self, name: str) -> NDArray[np.object_]:
        """Labels of one column of ``obs``: ``str`` objects, None where missing (NaN, NA).

        Raises
        ------
        DataError
            If there is no such column; the message lists those that are.
        """
        columns = self.columns()
        if name not in columns:
            msg = f"{self.name}: {name!r} is not a column of obs (columns: {some(columns) or 'none'}); name another"
            raise DataError(msg)
        return self._store.column(name)

    def group_order(self, name: str) -> list[str] | None:
        """Labels of one column of ``obs`` in the order in which data frames group them.

        That is the order of the categories, or of the numbers; None for plain text, which is sorted. Labels without a
        cell may be among them.
        """
        return self._store.group_order(name)

    def layers(self) -> list[str]:
        """Names of the layers."""
        return self._store.layers()

    def obsm_keys(self) -> list[str]:
        """Names of the embeddings."""
        return self._store.obsm_keys()

    def obsm(self, key: str, *, as_stored: bool = False) -> NDArray[Any]:
        """One embedding, cells × dimensions: float64, or float32 where it is stored so and ``as_stored``."""
        keys = self.obsm_keys()
        if key not in keys:
            msg = f"{self.name}: {key!r} is not in obsm (keys: {some(keys) or 'none'})"
            raise DataError(msg)
        return self._store.obsm(key, as_stored=as_stored)

    def dense(self, n_threads: int | None = None) -> NDArray[Any]:
        """The matrix as it is stored, where it is stored dense; a view where it lies in memory, genes in order.

        Raises
        ------
        ValueError
            If the matrix is sparse; take :meth:`rows`.
        """
        if self._matrix.layout != "dense":
            msg = f"{self.name}: is stored sparse ({self._matrix.layout}), not dense"
            raise ValueError(msg)
        values = self._matrix.data.read(0, self.n_obs, resolve_threads(n_threads))
        return values if self._order is None else values[:, self._order]

    def rows(self, n_threads: int | None = None) -> Rows:
        """Compressed rows: columns ascend strictly in each, duplicates are summed, explicit zeros may remain.

        Left where they lie for a CSR matrix in memory or bare in an ``.h5ad`` file; otherwise a compact copy
        (:mod:`vcmetrics.sources.compact` states the memory), on the disk where it would take more than half of the
        memory budget. The first call reads the whole matrix once, to check it.
        """
        self.scan(n_threads)
        assert self._rows is not None
        return self._rows

    def scan(self, n_threads: int | None = None) -> dict[str, Any]:
        """Check and count the values in one read; the answer is kept.

        Returns
        -------
        The dict of ``_core.scan_rows`` for what :meth:`rows` gives: ``totals`` (float64, one a cell), ``row_nnz``,
        ``min``, ``max``, ``n_negative``, ``n_nonfinite``, ``n_fractional``, ``max_fraction``, ``max_row_total``
        (-inf, row -1, where no row has a total that is a number), the first offenders as (row, column, value) or None,
        and ``unsorted``, ``duplicates``, ``n_explicit_zeros`` of the matrix as stored, where it is read in place.

        Raises
        ------
        DataError
            If column numbers lie outside the matrix, or the stored arrays cannot be read.
        """
        if self._found is None:
            self._rows, self._found = self._load(resolve_threads(n_threads))
        return self._found

    def streams(self) -> bool:
        """Whether :meth:`blocks` reads a file front to back, and nothing else has to read it whole."""
        from vcmetrics.sources.compact import compact_bytes

        if self._rows is not None or self._store.identity() is None:
            return False
        return self.layout != "csc" or compact_bytes(self._matrix) > current_budget().part

    def blocks(self, n_threads: int | None = None, *, start: int = 0) -> Iterator[CheckedBlock]:
        """Every cell from ``start`` on, in blocks of rows as :meth:`rows` would give them, checked; nothing is kept.

        One thread reads ahead. A block is as large as the memory budget allows, at most some ten million values.
        """
        from vcmetrics.sources.checked_blocks import checked_blocks

        return checked_blocks(self._matrix, self.name, resolve_threads(n_threads), *self._gene_map(), start=start)

    def _load(self, n_threads: int) -> tuple[Rows, dict[str, Any]]:
        from vcmetrics import _core
        from vcmetrics.sources.compact import canonical, compact_bytes, compact_rows, rows_in_place

        matrix = self._matrix
        part = current_budget().part
        rows, why = rows_in_place(matrix), ""
        large_copy = compact_bytes(matrix) > part
        if rows is not None and is_mapped(rows):
            if rows.nnz * (rows.data.dtype.itemsize + rows.indices.dtype.itemsize) > part:
                return self._load_large(rows, n_threads)
        elif rows is None and large_copy:
            return self._spilled(n_threads, matrix.why_copied() or f"stored as {matrix.dtype}")
        if rows is None:
            why = matrix.why_copied() or f"stored as {matrix.dtype}"
            try:
                rows = compact_rows(matrix, n_threads)
            except DataError:
                raise
            except ValueError as error:  # a kernel refused what it was given
                msg = f"{self.name}: {error}"
                raise DataError(msg) from error
        found = dict(_core.scan_rows(rows.args(), n_threads))
        if found["column_out_of_range"] or found["indptr_bad"]:
            msg = f"{self.name}: column numbers lie outside the {matrix.n_cols} genes; the data are damaged"
            raise DataError(msg)
        if found["unsorted"] or found["duplicates"] or self._order is not None:
            why = self._why_again(found, why)
            if large_copy:
                return self._spilled(n_threads, why)
            stored = {key: found[key] for key in ("unsorted", "duplicates", "n_explicit_zeros")}
            rows = canonical(rows, n_threads, *self._gene_map())
            found = dict(_core.scan_rows(rows.args(), n_threads)) | stored
        self._tell_copy(len(rows.data) * (rows.data.dtype.itemsize + rows.indices.dtype.itemsize), why)
        return rows, found

    def _why_again(self, found: Mapping[str, Any], why: str) -> str:
        if found["unsorted"] or found["duplicates"]:
            return "stored with unsorted or repeated column numbers"
        return why or "wanted in another gene order"

    def _tell_copy(self, size: int, why: str, where: str = "copied into memory") -> None:
        if why and size > LARGE_COPY:
            msg = (
                f"{self.name}: {size / 2**30:.2f} GiB were {where} because the matrix is {why}; "
                "an uncompressed CSR matrix with sorted columns and the genes in order is read in place"
            )
            warnings.warn(msg, VcmetricsWarning, stacklevel=6)

    def _load_large(self, rows: Rows, n_threads: int) -> tuple[Rows, dict[str, Any]]:
        """Check a file that is larger than the budget block by block, and leave it where it lies if it is good."""
        from vcmetrics.sources.checked_blocks import Facts

        if self._order is not None:
            return self._spilled(n_threads, "wanted in another gene order")
        facts = Facts()
        for block in self.blocks(n_threads):
            facts.add(block.first, block.found)
            if block.found["unsorted"] or block.found["duplicates"]:
                return self._spilled(n_threads, self._why_again(block.found, ""))
        return rows, facts.all()

    def _spilled(self, n_threads: int, why: str) -> tuple[Rows, dict[str, Any]]:
        """A compact copy on the disk, where it would not fit in the budget."""
        from vcmetrics.sources.checked_blocks import Facts, checked_blocks
        from vcmetrics.sources.spill import SpilledRows, spill_folder

        facts, spilled = Facts(), SpilledRows(self.n_vars)
        try:
            source = self._matrix, self.name, n_threads, *self._gene_map()
            for block in checked_blocks(*source, compact=True):
                facts.add(block.first, block.found)
                spilled.append(block.rows)
        except BaseException:
            spilled.close()
            raise
        where = f"written to {spill_folder()!r}"
        current_budget().note(f"{self.name}: {spilled.n_bytes / 2**30:.2f} GiB of compact cells {where} ({why})")
        self._tell_copy(spilled.n_bytes, why, f"{where}, more than half of the memory budget,")
        return spilled.rows(), facts.all()

    def _gene_map(self) -> tuple[NDArray[np.int64] | None, int | None]:
        if self._order is None:
            return None, None
        new = np.full(self._matrix.n_cols, -1, np.int64)
        new[self._order] = np.arange(self._order.size)
        return new, self._order.size

    def with_gene_order(self, order: NDArray[np.int64] | None) -> Cells:
        """Return the same cells with other columns, as :func:`~vcmetrics.sources.genes.align_genes` gives them.

        Parameters
        ----------
        order
            For each new column the present one; genes that are not named are left out. None returns ``self``.

        Returns
        -------
        Cells whose :meth:`rows` is a compact copy and whose :meth:`scan` (row totals too) counts the kept genes only.
        """
        if order is None:
            return self
        order = np.ascontiguousarray(order, np.int64)
        if np.unique(order).size != order.size or (order.size and (order.min() < 0 or order.max() >= self.n_vars)):
            msg = f"order must name columns 0 … {self.n_vars - 1}, each at most once"
            raise ValueError(msg)
        other = Cells.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.genes = self.genes[order]
        other.n_vars = int(order.size)
        other._order = order if self._order is None else self._order[order]
        other._rows = other._found = other._fingerprint = None
        return other

    def fingerprint(self) -> str:
        """Name the content of the matrix and its genes: equal for equal input, cheap to ask.

        A file is known by path, size, time of change and shape; an AnnData in memory by a digest of the numbers.
        Labels are not part of it for data in memory.
        """
        if self._fingerprint is None:
            digest = hashlib.sha256(
                f"{self.n_obs}|{self.n_vars}|{self._matrix.nnz}|{self.dtype.str}|{self.layer}".encode()
            )
            digest.update("\n".join(self.genes.tolist()).encode())
            identity = self._store.identity()
            if identity is not None:
                digest.update(identity.encode())
            else:
                from vcmetrics import _core

                rows = self.rows()
                threads = resolve_threads()
                for array in (rows.indptr.view(np.uint8), *rows.indices.buffers, *rows.data.buffers):
                    digest.update(_core.block_digests(array, threads))
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def close(self) -> None:
        """Close the file; rows that were handed out stay valid."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Cells {self.name}: {self.n_obs} × {self.n_vars}, {self._matrix.layout} {self.dtype}>"
