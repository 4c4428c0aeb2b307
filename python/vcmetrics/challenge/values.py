"""The rules of the contract that every value decides, in one pass over blocks of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics import _core
from vcmetrics.challenge.contract import Contract, Problem
from vcmetrics.sources.blocks import Block
from vcmetrics.sources.compact import canonical
from vcmetrics.sources.genes import some
from vcmetrics.sources.rows import ChunkedArray, Rows

SLACK = 1e-6  # a value farther from a whole number is a fraction


class ValueCheck:
    """Facts about all values of a submission, gathered block by block.

    Parameters
    ----------
    n_obs, genes
        Number of cells; names of the genes as stored, for messages.
    contract
        The limits, and the precision that values are judged in.
    n_threads
        Threads.
    counts
        Ask for whole, non-negative numbers and limit their totals.
    """

    def __init__(
        self,
        n_obs: int,
        genes: Sequence[str] | NDArray[Any],
        contract: Contract,
        n_threads: int,
        *,
        counts: bool = True,
    ) -> None:
        self.totals = np.zeros(n_obs)
        self.stored = 0
        self.stray: str | None = None  # column numbers outside the matrix
        self._genes = genes
        self._contract = contract
        self._n_threads = n_threads
        self._counts = counts
        self._number = {"nonfinite": 0, "negative": 0, "fractional": 0}
        self._first: dict[str, tuple[int, int, float]] = {}
        self.low, self.high, self.fraction = np.inf, -np.inf, 0.0

    def add(self, block: Block) -> Rows:
        """Take in a block; returns its rows with ascending columns and repeats summed."""
        rows = block.rows
        facts = _core.scan_rows(rows.args(), self._n_threads)
        if facts["column_out_of_range"]:
            self.stray = f"column numbers lie outside the {rows.n_cols} genes (from cell {block.first} on)"
        elif facts["duplicates"] or facts["unsorted"]:
            rows = canonical(rows, self._n_threads)
            facts = _core.scan_rows(rows.args(), self._n_threads)
        self.totals[block.first : block.first + rows.n_rows] = facts["totals"]
        self.stored += rows.nnz
        self.low, self.high = min(self.low, facts["min"]), max(self.high, facts["max"])
        self._take("nonfinite", facts, block.first)
        facts = self._as_written(rows, facts)
        self.fraction = max(self.fraction, facts["max_signed_fraction"])
        if self._counts:
            self._take("negative", facts, block.first)
            self._fractions(rows, facts, block.first)
        return rows

    def _as_written(self, rows: Rows, facts: dict[str, Any]) -> dict[str, Any]:
        """Facts about the values in single precision, where that may tell otherwise."""
        narrowed = self._contract.encoding == 32 and rows.data.dtype == np.float64
        if not narrowed or not (facts["n_negative"] or facts["max_fraction"] > 0):
            return facts
        with np.errstate(over="ignore"):
            data = ChunkedArray.of(rows.data.read(0, rows.nnz).astype(np.float32))
        written = Rows(rows.n_rows, rows.n_cols, rows.indptr, rows.indices, data)
        return dict(_core.scan_rows(written.args(), self._n_threads))

    def _take(self, what: str, facts: dict[str, Any], first: int) -> None:
        self._number[what] += int(facts[f"n_{what}"])
        hit = facts[f"first_{what}"]
        if hit is not None:
            self._first.setdefault(what, (first + hit[0], hit[1], hit[2]))

    def _fractions(self, rows: Rows, facts: dict[str, Any], first: int) -> None:
        """Fractions are measured from the whole number towards zero, so 2.9999999 is one."""
        if not facts["max_fraction"] > SLACK:
            return
        data = rows.data.read(0, rows.nnz)
        if self._contract.encoding == 32:
            with np.errstate(over="ignore"):
                data = data.astype(np.float32)
        with np.errstate(invalid="ignore"):
            odd = np.abs(data - np.trunc(data)) > SLACK
        n = int(np.count_nonzero(odd))
        if n == 0:
            return
        self._number["fractional"] += n
        if "fractional" not in self._first:
            k = int(np.argmax(odd))
            row = int(np.searchsorted(rows.indptr, k, "right")) - 1
            column = int(rows.indices.read(k, k + 1)[0])
            self._first["fractional"] = (first + row, column, float(data[k]))

    def _at(self, what: str) -> str:
        row, column, value = self._first[what]
        gene = f", gene {str(self._genes[column])!r}" if 0 <= column < len(self._genes) else ""
        return f"{value:.9g} in cell {row}{gene}"

    def problems(self, labels: NDArray[np.object_] | None) -> list[Problem]:
        """Everything that is wrong with the values."""
        out = []
        if self.stray is not None:
            text = f"the matrix is damaged: {self.stray}; build it with scipy.sparse.vstack or anndata.concat"
            out.append(Problem("structure", text))
        number = self._number
        if number["nonfinite"]:
            text = f"{number['nonfinite']} values are NaN or infinite (first: {self._at('nonfinite')}); predict numbers"
            out.append(Problem("nonfinite", text, number["nonfinite"]))
        if number["negative"]:
            text = f"{number['negative']} values are negative (first: {self._at('negative')}); counts are 0 or more"
            out.append(Problem("negative", text, number["negative"]))
        if number["fractional"]:
            text = (
                f"{number['fractional']} values are not whole numbers (first: {self._at('fractional')}); submit raw "
                "counts, not log-normalised ones; round what a model predicts"
            )
            out.append(Problem("fractional", text, number["fractional"]))
        out += self._sizes()
        if labels is not None:
            out += self._empty(labels)
        return out

    def _sizes(self) -> list[Problem]:
        contract, out = self._contract, []
        limit = contract.max_counts_per_cell
        if self._counts and limit is not None:
            over = np.flatnonzero(self.totals > limit)
            if over.size:
                text = (
                    f"{over.size} cells hold more than {limit:,.0f} counts (first: cell {over[0]} with "
                    f"{self.totals[over[0]]:,.10g}); scale them down"
                )
                out.append(Problem("counts_per_cell", text, over.size))
        if contract.max_stored is not None and self.stored > contract.max_stored:
            text = (
                f"{self.stored:,} values are stored, more than the {contract.max_stored:,} that scoring accepts; "
                "predict fewer expressed genes a cell, and leave zeros out"
            )
            out.append(Problem("too_dense", text, self.stored))
        return out

    def _empty(self, labels: NDArray[np.object_]) -> list[Problem]:
        unique, codes = np.unique(labels.astype(str), return_inverse=True)
        filled = np.bincount(codes.reshape(-1), weights=self.totals != 0, minlength=unique.size)
        empty = unique[filled == 0].tolist()
        if not empty:
            return []
        text = f"{len(empty)} perturbations are zero in every cell and gene: {some(empty)}; predict them"
        return [Problem("all_zero", text, len(empty))]
