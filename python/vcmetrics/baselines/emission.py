"""From a profile to cells that a scorer takes: control cells, drawn and rescaled to it, or the profile on every row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.baselines.formulas import Floats
from vcmetrics.baselines.inputs import Reading, Side
from vcmetrics.sources.rows import Rows
from vcmetrics.summary.single_precision import log_normalised

if TYPE_CHECKING:
    from anndata import AnnData

EMISSIONS = ("cells", "dispersed", "tile", "profiles")
Place = tuple[str, str]  # context, label


def sparse(rows: Rows) -> Any:
    """The rows as SciPy's CSR, values as stored."""
    from scipy.sparse import csr_matrix

    indices = rows.indices.read(0, rows.nnz).astype(np.int32)
    return csr_matrix((rows.data.read(0, rows.nnz), indices, rows.indptr), shape=(rows.n_rows, rows.n_cols))


def linear(profile: Floats, total: float, how: Reading) -> Floats:
    """A profile as mean counts of a cell: of ``total`` counts where the space has no depth of its own."""
    if how.space == "log_of_sums":
        return np.asarray(np.expm1(np.maximum(profile, 0.0)) * (total / how.target_sum))
    return np.maximum(profile, 0.0)


def rescaled(pool: Any, counts: Floats, n: int, rng: np.random.Generator, *, sampled: bool = False) -> Any:
    """``n`` control cells, drawn with replacement and scaled gene by gene to a mean of ``counts``.

    The spread is that of real cells. Either the mean of the drawn cells becomes the profile's, so that a baseline is
    judged by its profile, or (``sampled``) that of all control cells would, and the drawn cells' is a sample of it.
    Products are rounded to whole counts; a gene that no such cell expresses is dealt out to cells at random.
    """
    from scipy.sparse import csc_matrix

    cells = pool[rng.integers(0, pool.shape[0], size=n)].astype(np.float64).tocsc()
    drawn = np.asarray((pool if sampled else cells).mean(axis=0, dtype=np.float64)).ravel()
    silent = drawn <= 0.0
    scale = np.where(silent, 0.0, counts / np.where(silent, 1.0, drawn))
    start = rng.random(counts.size)
    cells.data = rounded(cells.data * np.repeat(scale, np.diff(cells.indptr)), cells.indptr, start)
    awake = np.flatnonzero(silent & (counts > 0.0))
    if awake.size:
        genes = np.repeat(awake, np.floor(n * counts[awake] + start[awake]).astype(np.int64))
        places = (rng.integers(0, n, genes.size), genes)
        cells = cells + csc_matrix((np.ones(genes.size), places), shape=cells.shape)
    cells = cells.tocsr()
    cells.eliminate_zeros()
    cells.sort_indices()
    return cells.astype(np.float32)


def rounded(values: Floats, starts: NDArray[Any], first: Floats) -> Floats:
    """Each value rounded up or down, so that the sum of a gene's values keeps to less than 1.

    ``values`` lie gene by gene, those of gene g from ``starts[g]``; ``first`` in [0, 1) is where each gene's rounding
    begins. Drawn uniformly, every value keeps its expectation.

    Examples
    --------
    >>> rounded(np.array([0.5, 0.5, 0.5, 1.25]), np.array([0, 3, 4]), np.array([0.2, 0.9])).tolist()
    [0.0, 1.0, 0.0, 2.0]
    """
    sums = np.concatenate([[0.0], np.cumsum(values)])
    gene = np.repeat(np.arange(first.size), np.diff(starts))
    base = first[gene] - sums[starts[gene]]
    return np.asarray(np.floor(sums[1:] + base) - np.floor(sums[:-1] + base))


def emitted(
    side: Side, profiles: Mapping[Place, Floats], how: Reading, emit: str, n_cells: int | None, seed: int
) -> tuple[AnnData, str]:
    """Cells of a prediction, and how they were made.

    Parameters
    ----------
    side
        The test data: number of cells, and the control cells, which are copied.
    profiles
        Profile of every (context, label), in the space of ``how``.
    how
        Space and columns.
    emit
        A name of :data:`EMISSIONS`.
    n_cells
        Cells a perturbation; None: as many as the test data have.
    seed
        Of the draws.

    Raises
    ------
    ValueError
        If ``emit`` is not known.
    """
    from scipy.sparse import csr_matrix, vstack

    if emit not in EMISSIONS:
        msg = f"emit {emit!r} is not known; choose from {', '.join(EMISSIONS)}"
        raise ValueError(msg)
    if emit == "profiles":
        return profile_table(side, profiles, how), "profiles"
    counted = side.whole and how.space != "mean_of_logs"
    drawn = emit in ("cells", "dispersed") and counted
    rng = np.random.default_rng(seed)
    blocks: list[Any] = []
    origins: list[NDArray[np.int64]] = []
    for context in sorted({c for c, _ in profiles}):
        control = side.members(context, how.control)
        pool = sparse(side.rows.take(control))
        if how.space == "mean_of_logs":
            pool = sparse(log_normalised(side.rows.take(control), side.totals[control], how.target_sum))
        total = float(side.totals[control].mean())
        for place in sorted(p for p in profiles if p[0] == context):
            own = side.members(*place)
            n = own.size if n_cells is None else n_cells
            if drawn:
                blocks.append(rescaled(pool, linear(profiles[place], total, how), n, rng, sampled=emit == "dispersed"))
            else:
                value = np.maximum(profiles[place], 0.0) if side.positive else profiles[place]
                if counted:  # a row of mean counts
                    value = linear(value, total, how)
                one = csr_matrix(value.astype(np.float32)[None])
                blocks.append(one[np.zeros(n, np.int64)])
            origins.append(np.resize(own, n))
        blocks.append(pool.astype(np.float32))
        origins.append(control)
    made = as_anndata(vstack(blocks, format="csr"), np.concatenate(origins), side, how)
    return made, emit if drawn else "tile"


def profile_table(side: Side, profiles: Mapping[Place, Floats], how: Reading) -> AnnData:
    """One row a perturbation and one for the control, in the space of ``how``."""
    contexts = sorted({c for c, _ in profiles})
    table = {**{(c, how.control): side.source.controls[c] for c in contexts}, **profiles}
    places = sorted(table, key=lambda p: (p[0], p[1] != how.control, p[1]))
    first = np.array([side.members(*p)[0] for p in places])
    made = as_anndata(np.array([table[p] for p in places]), first, side, replace(how, batch_col=None))
    made.obs["n_cells"] = [side.members(*p).size for p in places]
    made.obs_names = [label if how.context_col is None else f"{context}/{label}" for context, label in places]
    return made


def as_anndata(values: Any, origin: NDArray[np.int64], side: Side, how: Reading) -> AnnData:
    """Values with labels (and contexts and batches) in ``obs``: those of the test cells ``origin``, row by row."""
    import pandas as pd
    from anndata import AnnData

    named = {side.pert_col: side.labels, how.context_col: side.contexts, how.batch_col: side.batches}
    columns = {
        name: pd.Categorical(labels[origin].tolist())
        for name, labels in named.items()
        if name is not None and labels is not None
    }
    obs = pd.DataFrame(columns, index=[f"c{k}" for k in range(origin.size)])
    made = AnnData(values, obs=obs, var=pd.DataFrame(index=pd.Index(side.source.genes.astype(str), dtype=object)))
    if how.layer is not None:  # where a scorer looks that reads this layer of both sides
        made.layers[how.layer] = made.X
    return made


def copied(side: Side, chosen: NDArray[np.int64], how: Reading) -> AnnData:
    """Some cells of the test data, as they are."""
    if chosen.size == 0:
        msg = f"{side.name}: no cell is left to copy"
        raise DataError(msg)
    return as_anndata(sparse(side.rows.take(chosen)), chosen, side, how)
