"""One side's profiles, read in one pass over its cells: a row a perturbation, its control, and its batches."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError, VcmetricsWarning
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.sources.cells import Cells
from vcmetrics.sources.genes import some
from vcmetrics.summary.group_summary import Progress, Recipe, Side, gather
from vcmetrics.summary.plan import Groups

Array = NDArray[Any]
SPACES = {
    "log_of_sums": "log(1 + target_sum · Σy / ΣΣy), of counts",
    "mean_of_logs": "mean of log1p(y · target_sum / total), of counts",
    "mean": "mean of the values as they are",
}


@dataclass(frozen=True)
class SideProfiles:
    """Profiles of one side in one context.

    ``labels`` are sorted, the control left out; ``rows`` is (n_labels, n_genes). ``control`` is (n_genes,), None where
    the side has none. ``genes`` is None for an embedding and for arrays without names. ``batch_cells`` counts each
    label's cells by batch, ``batch_control`` holds each batch's control profile (NaN where a batch has none); both are
    None where no batches were asked for.
    """

    name: str
    genes: NDArray[np.str_] | None
    labels: tuple[str, ...]
    rows: Array
    n_cells: NDArray[np.int64] | None = None
    control: NDArray[np.float64] | None = None
    batch_control: NDArray[np.float64] | None = None
    batch_cells: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Strata:
    """Cells by (context, label) and, where batches count, (context, control label, batch): one code a cell."""

    keys: tuple[tuple[str | None, str, str | None], ...]
    codes: NDArray[np.int32]
    batch_cells: dict[tuple[str | None, str], dict[str, int]]
    n_unlabelled: int


def strata_of(
    cells: Cells, pert_col: str, control: str | None, context_col: str | None, batch_col: str | None
) -> Strata:
    """Number the strata of ``cells``; cells without a label, context or batch are left out and counted."""
    labels = cells.column(pert_col).tolist()
    contexts = [None] * len(labels) if context_col is None else cells.column(context_col).tolist()
    batches = [None] * len(labels) if batch_col is None else cells.column(batch_col).tolist()
    numbers: dict[tuple[str | None, str, str | None], int] = {}
    by_batch: dict[tuple[str | None, str], dict[str, int]] = {}
    codes = np.full(len(labels), -1, np.int32)
    unlabelled = 0
    for i, (label, context, batch) in enumerate(zip(labels, contexts, batches, strict=True)):
        missing = label is None or (context is None and context_col is not None)
        if missing or (batch is None and batch_col is not None):
            unlabelled += 1
            continue
        # only controls need a profile a batch; other labels need to know how many cells they have there
        codes[i] = numbers.setdefault((context, label, batch if label == control else None), len(numbers))
        if batch is not None:
            counted = by_batch.setdefault((context, label), {})
            counted[batch] = counted.get(batch, 0) + 1
    return Strata(tuple(numbers), codes, by_batch, unlabelled)


def read_profiles(
    cells: Cells,
    *,
    pert_col: str,
    control: str | None,
    context_col: str | None = None,
    batch_col: str | None = None,
    obsm: str | None = None,
    space: str = "log_of_sums",
    target_sum: float = 5e4,
    whole_counts: bool = True,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> dict[str | None, SideProfiles]:
    """Profiles of every context, in one pass over the cells.

    Parameters
    ----------
    cells
        The side, its genes in the order wanted.
    pert_col, control, context_col, batch_col
        Columns of ``obs`` and the label of the control cells. Without ``context_col`` there is one context, None.
    obsm
        Average this embedding in place of the genes.
    space, target_sum
        A name of :data:`SPACES`, and the library size of the two log spaces.
    whole_counts
        Refuse fractional values where the space wants counts.
    n_threads, progress
        As in :func:`vcmetrics.summarize`.

    Returns
    -------
    context -> profiles, contexts sorted. Rows are float64.

    Raises
    ------
    DataError
        If a column is missing, values are not finite or not what the space wants, or no cell has a label.
    """
    threads = resolve_threads(n_threads)
    if space not in SPACES:
        msg = f"space {space!r} is not known; choose from {', '.join(SPACES)}, or pass obsm= for an embedding"
        raise ValueError(msg)
    strata = strata_of(cells, pert_col, control, context_col, batch_col)
    if not strata.keys:
        msg = f"{cells.name}: no cell has a label in {pert_col!r}"
        raise DataError(msg)
    if strata.n_unlabelled:
        msg = f"{cells.name}: {strata.n_unlabelled} of {cells.n_obs} cells have no label and are left out"
        warnings.warn(msg, VcmetricsWarning, stacklevel=7)  # the caller of the public function
    if obsm is not None:
        sums, n, totals = _embedding_sums(cells, obsm, strata), _sizes(strata), None
        space = "mean"
    else:
        sums, n, totals = _gene_sums(cells, strata, space, target_sum, whole_counts, threads, progress)
    genes = None if obsm is not None else cells.genes
    contexts = sorted({key[0] for key in strata.keys}, key=str)
    return {
        context: _collapse(cells.name, genes, strata, context, control, sums, n, totals, space, target_sum, batch_col)
        for context in contexts
    }


def _sizes(strata: Strata) -> NDArray[np.int64]:
    used = strata.codes[strata.codes >= 0]
    return np.bincount(used, minlength=len(strata.keys)).astype(np.int64)


def _embedding_sums(cells: Cells, obsm: str, strata: Strata) -> Array:
    values = cells.obsm(obsm)
    used = strata.codes >= 0
    bad = ~np.isfinite(values[used]).all(1)
    if bad.any():
        msg = f"{cells.name}: obsm {obsm!r} holds NaN or infinity in {int(bad.sum())} cells; replace or remove them"
        raise DataError(msg)
    sums = np.zeros((len(strata.keys), values.shape[1]))
    np.add.at(sums, strata.codes[used], values[used])
    return sums


def _gene_sums(
    cells: Cells,
    strata: Strata,
    space: str,
    target_sum: float,
    whole_counts: bool,
    n_threads: int,
    progress: Progress | None,
) -> tuple[Array, NDArray[np.int64], Array]:
    facts = cells.scan(n_threads)
    counts = space != "mean"
    if facts["n_nonfinite"]:
        msg = f"{cells.name}: X holds {facts['n_nonfinite']} values that are NaN or infinite; replace or remove them"
        raise DataError(msg)
    if counts and (facts["n_negative"] or (whole_counts and facts["n_fractional"])):
        what = f"{facts['n_negative']} are negative" if facts["n_negative"] else "not all are whole numbers"
        msg = (
            f"{cells.name}: space={space!r} takes counts, but of the values {what}; pass raw counts (layer=), or "
            "space='mean' for values that are log-normalised already"
        )
        raise DataError(msg)
    totals = np.asarray(facts["totals"], np.float64)
    names = tuple(str(k) for k in range(len(strata.keys)))
    side = Side(cells.rows(n_threads), totals, Groups(names, strata.codes, ""))
    field = "log1p" if space == "mean_of_logs" else "sum"
    recipe = (
        Recipe("ratio", float(target_sum), frozenset({field})) if counts else Recipe("raw", 1.0, frozenset({field}))
    )
    (tables,) = gather([(side, None)], recipe, n_threads=n_threads, progress=progress)
    used = strata.codes >= 0
    of_strata = np.bincount(strata.codes[used], weights=totals[used], minlength=len(strata.keys))
    return np.asarray(tables[field]), np.asarray(tables["n"], np.int64), of_strata


def profile_of(sums: Array, n: Array, totals: Array | None, space: str, target_sum: float) -> NDArray[np.float64]:
    """Profiles of groups from their sums, sizes and totals, row by row; NaN for a group without cells."""
    if space == "log_of_sums":
        assert totals is not None
        factor = np.divide(target_sum, totals, out=np.zeros_like(totals), where=totals > 0)
        return np.asarray(np.where(n[:, None] > 0, np.log1p(sums * factor[:, None]), np.nan))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums / n[:, None])


def _collapse(
    name: str,
    genes: NDArray[np.str_] | None,
    strata: Strata,
    context: str | None,
    control: str | None,
    sums: Array,
    n: NDArray[np.int64],
    totals: Array | None,
    space: str,
    target_sum: float,
    batch_col: str | None,
) -> SideProfiles:
    """Profiles of one context; a control of several batches is added up."""
    at = {key: k for k, key in enumerate(strata.keys)}
    labels = tuple(sorted({key[1] for key in strata.keys if key[0] == context and key[1] != control}))
    rows = np.array([at[context, label, None] for label in labels], np.int64)
    parts = [key for key in strata.keys if key[0] == context and key[1] == control]
    members = np.array([at[key] for key in parts], np.int64)

    def profile(chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        return profile_of(sums[chosen], n[chosen], None if totals is None else totals[chosen], space, target_sum)

    controls = None
    if members.size:
        total = None if totals is None else totals[members].sum(keepdims=True)
        controls = profile_of(
            sums[members].sum(0, keepdims=True), n[members].sum(keepdims=True), total, space, target_sum
        )[0]
    batch_control = batch_cells = None
    if batch_col is not None:
        batches = sorted({b for (c, _), found in strata.batch_cells.items() if c == context for b in found})
        batch_control = np.full((len(batches), sums.shape[1]), np.nan)
        for key, own in zip(parts, profile(members), strict=True):
            batch_control[batches.index(str(key[2]))] = own
        batch_cells = np.array(
            [[strata.batch_cells[context, label].get(b, 0) for b in batches] for label in labels], np.int64
        ).reshape(len(labels), len(batches))
    return SideProfiles(name, genes, labels, profile(rows), n[rows], controls, batch_control, batch_cells)


def array_profiles(
    rows: Array, labels: Sequence[Any], name: str, *, genes: Any = None, control: str | None = None
) -> SideProfiles:
    """Profiles that are given as they are, a row a label; the row of the control label is set apart.

    Raises
    ------
    DataError
        If labels or gene names do not fit the table or occur twice, or values are not finite.
    """
    texts = [str(label) for label in labels]
    if len(texts) != rows.shape[0]:
        msg = f"{name}: {len(texts)} labels for {rows.shape[0]} profiles"
        raise DataError(msg)
    twice = sorted({label for label in texts if texts.count(label) > 1}) if len(set(texts)) < len(texts) else []
    if twice:
        msg = f"{name}: labels occur more than once: {some(twice)}; give one profile a label"
        raise DataError(msg)
    bad = [texts[i] for i in np.flatnonzero(~np.isfinite(rows).all(1)).tolist()]
    if bad:
        msg = f"{name}: profiles hold NaN or infinity: {some(bad)}; replace or remove them"
        raise DataError(msg)
    names = None
    if genes is not None:
        names = np.array([str(gene) for gene in genes], dtype=str)
        if names.size != rows.shape[1]:
            msg = f"{name}: {names.size} gene names for {rows.shape[1]} columns"
            raise DataError(msg)
    order = [k for k in sorted(range(len(texts)), key=texts.__getitem__) if texts[k] != control]
    chosen = rows if order == list(range(len(texts))) else np.ascontiguousarray(rows[order])
    own = rows[texts.index(control)].astype(np.float64) if control is not None and control in texts else None
    return SideProfiles(name, names, tuple(texts[k] for k in order), chosen, control=own)
