"""Blocks of rows, checked and in canonical form: what a pass over more cells than memory holds works on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics import _core
from vcmetrics._errors import DataError
from vcmetrics.backend.memory import current_budget
from vcmetrics.sources.ahead import ahead
from vcmetrics.sources.blocks import row_blocks
from vcmetrics.sources.compact import canonical, rows_in_place
from vcmetrics.sources.matrix import Matrix
from vcmetrics.sources.rows import Rows
from vcmetrics.sources.spill import release

_ADDED = ("n_negative", "n_nonfinite", "n_fractional", "n_explicit_zeros")
_LARGEST = ("max", "max_fraction", "max_signed_fraction")
_EITHER = ("column_out_of_range", "indptr_bad", "unsorted", "duplicates")
_FIRST = ("first_negative", "first_nonfinite", "first_fractional")


@dataclass(frozen=True)
class CheckedBlock:
    """Consecutive cells from number ``first`` on, columns ascending; ``found`` is what ``scan_rows`` says of them."""

    first: int
    rows: Rows
    found: dict[str, Any]


def checked_blocks(
    matrix: Matrix,
    name: str,
    n_threads: int,
    gene_map: NDArray[np.int64] | None = None,
    n_cols: int | None = None,
    *,
    start: int = 0,
    compact: bool = False,
) -> Iterator[CheckedBlock]:
    """Every cell from ``start`` on, in order, read one block ahead.

    Parameters
    ----------
    matrix, name, n_threads
        What to read; its name in messages.
    gene_map, n_cols
        As :func:`~vcmetrics.sources.compact.canonical` has them.
    start
        Begin with this cell.
    compact
        Bring rows that lie bare into compact form too.

    Raises
    ------
    DataError
        If column numbers lie outside the matrix, or the stored arrays cannot be read.
    """
    width = matrix.n_cols if n_cols is None else n_cols
    bare = rows_in_place(matrix)
    made = matrix.layout != "csr"  # rows that were turned over are canonical
    held, most = 0, current_budget().part
    for block in ahead(row_blocks(matrix, n_threads, start)):
        try:
            rows = block.rows
            stored = None
            if bare is not None:
                stored = _scanned(rows, name, n_threads)
            flagged = stored is not None and (stored["unsorted"] or stored["duplicates"])
            if compact or flagged or gene_map is not None or (bare is None and not made):
                rows = canonical(rows, n_threads, gene_map, width)
                found = _scanned(rows, name, n_threads)
                if stored is not None:
                    found |= {key: stored[key] for key in ("unsorted", "duplicates", "n_explicit_zeros")}
            else:
                found = stored or _scanned(rows, name, n_threads)
        except DataError:
            raise
        except ValueError as error:  # a kernel refused what it was given
            msg = f"{name}: {error}"
            raise DataError(msg) from error
        yield CheckedBlock(block.first, rows, found)
        if bare is not None:
            held += block.rows.nnz * (bare.data.dtype.itemsize + bare.indices.dtype.itemsize)
            if held > most:
                release(bare)
                held = 0
    if bare is not None and held < bare.nnz:
        release(bare)


def _scanned(rows: Rows, name: str, n_threads: int) -> dict[str, Any]:
    found = dict(_core.scan_rows(rows.args(), n_threads))
    if found["column_out_of_range"] or found["indptr_bad"]:
        msg = f"{name}: column numbers lie outside the {rows.n_cols} genes; the data are damaged"
        raise DataError(msg)
    return found


class Facts:
    """What ``scan_rows`` says of all cells, put together block by block."""

    def __init__(self) -> None:
        self._found: dict[str, Any] | None = None
        self._totals: list[NDArray[np.float64]] = []
        self._lengths: list[NDArray[np.int64]] = []

    def add(self, first: int, found: dict[str, Any]) -> None:
        """Take in a block that begins at cell ``first``; blocks come in order."""
        self._totals.append(np.asarray(found["totals"]))
        self._lengths.append(np.asarray(found["row_nnz"]))
        here = {k: v for k, v in found.items() if k not in ("totals", "row_nnz")}
        for key in _FIRST:
            if here[key] is not None:
                row, column, value = here[key]
                here[key] = (row + first, column, value)
        if here["max_row_total_row"] >= 0:
            here["max_row_total_row"] += first
        if self._found is None:
            self._found = here
            return
        so_far = self._found
        so_far["min"] = min(so_far["min"], here["min"])
        for key in _LARGEST:
            so_far[key] = max(so_far[key], here[key])
        for key in _ADDED:
            so_far[key] += here[key]
        for key in _EITHER:
            so_far[key] = so_far[key] or here[key]
        for key in _FIRST:
            so_far[key] = here[key] if so_far[key] is None else so_far[key]
        if here["max_row_total"] > so_far["max_row_total"]:
            for key in ("max_row_total", "max_row_total_row"):
                so_far[key] = here[key]

    def counted(self) -> dict[str, Any]:
        """The facts without the arrays."""
        assert self._found is not None
        return self._found

    def all(self) -> dict[str, Any]:
        """The dict of ``scan_rows``."""
        assert self._found is not None
        arrays = {"totals": np.concatenate(self._totals), "row_nnz": np.concatenate(self._lengths)}
        return arrays | self._found
