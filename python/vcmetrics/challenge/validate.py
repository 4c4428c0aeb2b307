"""The upload contract of the 2026 challenge, checked in one pass, everything told at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.challenge.checks import Annotations, check_annotations, check_genes
from vcmetrics.challenge.contract import Contract, Problem
from vcmetrics.challenge.panel import Panel, read_panel
from vcmetrics.challenge.values import ValueCheck
from vcmetrics.sources.blocks import row_blocks
from vcmetrics.sources.cells import open_store
from vcmetrics.sources.matrix import Matrix
from vcmetrics.sources.stored import Store

PathLike = str | os.PathLike[str]
Progress = Callable[[int, int], None]


@dataclass
class Inspection:
    """A submission whose labels and genes have been checked; its values have not been read."""

    panel: Panel
    annotations: Annotations
    order: NDArray[np.int64] | None
    matrix: Matrix | None
    problems: list[Problem]
    notes: list[str]


def inspect(store: Store, panel: Panel, contract: Contract) -> Inspection:
    """Check all that needs no value."""
    problems: list[Problem] = []
    notes: list[str] = []
    if store.n_obs == 0:
        problems.append(Problem("no_cells", "there are no cells; pass the prediction that you meant to submit"))
    if contract.n_genes is not None and len(panel.genes) != contract.n_genes:
        notes.append(f"the gene list has {len(panel.genes)} genes, not {contract.n_genes}; it is taken as it is")
    if panel.perturbations is None:
        notes.append("labels were not compared with the official list of perturbations")
    annotations = check_annotations(store, panel, contract)
    found, order = check_genes(store.genes(), panel)
    matrix = None
    try:
        matrix = store.matrix(None)
    except DataError as error:
        text = str(error).removeprefix(f"{store.name}: ")
        problems.append(Problem("structure", f"the matrix cannot be used: {text}"))
    if order is not None:
        notes.append("the genes are in another order than the list; packing puts them in order")
    return Inspection(panel, annotations, order, matrix, problems + annotations.problems + found, notes)


def read_values(
    store: Store, seen: Inspection, contract: Contract, n_threads: int, progress: Progress | None = None
) -> list[Problem]:
    """Check all values, in one pass."""
    if seen.matrix is None:
        return []
    check = ValueCheck(store.n_obs, store.genes(), contract, n_threads)
    try:
        for block in row_blocks(seen.matrix, n_threads):
            check.add(block)
            store.release()
            if progress is not None:
                progress(block.first + block.rows.n_rows, store.n_obs)
    except DataError as error:
        return [Problem("structure", f"the matrix cannot be read: {error}")]
    return check.problems(seen.annotations.labels)


def validate(
    data: Any,
    *,
    genes: PathLike | Iterable[str],
    perturbations: PathLike | Iterable[str] | None = None,
    contexts: Sequence[str] | None = None,
    contract: Contract | None = None,
    n_threads: int | None = None,
    progress: Progress | None = None,
    note: Callable[[str], object] | None = None,
) -> list[Problem]:
    """Check a prediction against the upload contract of the 2026 challenge.

    Parameters
    ----------
    data
        Path of an ``.h5ad``, ``.zarr`` or packed ``.vcc``, or an AnnData; cells × genes of raw counts, without control
        cells.
    genes, perturbations, contexts
        What the organisers hand out, see :func:`read_panel`. Without ``perturbations`` labels are not checked; without
        ``contexts`` they come from the ``manifest.json`` beside the lists.
    contract
        Other limits or column names.
    n_threads
        Threads; None for all that this process may use.
    progress
        Called as ``progress(cells done, cells)``.
    note
        Called with what is no problem but worth knowing, such as a gene list of another length than the official one.

    Returns
    -------
    All problems, none if the submission can be packed: each with a count, the first examples and the way out.

    Raises
    ------
    DataError
        If ``data`` or one of the lists cannot be read at all.

    Notes
    -----
    Cost: one read of the file. Memory: some 200 MB beside the labels, whatever the size of the file.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> made = anndata.AnnData(np.array([[1.0, 2.5]], np.float32))
    >>> made.var_names, made.obs["target_gene"] = ["A1BG", "TP53"], "TP53"
    >>> contract = Contract(cells_per_pert=1, n_genes=2)
    >>> for problem in validate(made, genes=["A1BG", "TP53"], perturbations=["TP53"], contexts=[], contract=contract):
    ...     print(problem.code, problem.count)
    fractional 1
    """
    contract = contract or Contract()
    threads = resolve_threads(n_threads)
    panel = read_panel(
        genes,
        perturbations,
        contexts=contexts,
        cells_per_pert=contract.cells_per_pert,
    )
    store = open_store(data)
    try:
        seen = inspect(store, panel, contract)
        if note is not None:
            for text in seen.notes:
                note(text)
        return seen.problems + read_values(store, seen, contract, threads, progress)
    finally:
        store.close()
