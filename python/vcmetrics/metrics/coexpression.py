"""Whether genes vary together across the cells of a perturbation as they do in reality."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.cells import CellPair, CellSide, cells_of, pearson
from vcmetrics.metrics.pair import Pair, no_rows
from vcmetrics.metrics.registry import MetricSpec, Parity, Values, register
from vcmetrics.reference import coexpression as reference
from vcmetrics.sources.rows import Rows

MAX_CELLS = 500  # a side, drawn where there are more
MIN_CELLS = 50
TOP_GENES = 100  # that respond most
MIN_GENES = 20
MIN_EXPRESSING = 10  # observed cells that express a responding gene
DEPTH = 1e4
FLAT_GENE = 1e-6  # standard deviations at or below it are rounding of a constant
FLAT_TRIANGLE = 1e-10
SIGNIFICANCE = 0.05
_BLOCK = 1024  # genes of one strip of the correlation matrix

Block = NDArray[np.float32]


def drawn(side: CellSide, label: str, name: str, n: int) -> NDArray[np.int64]:
    """``n`` cells of a group, ascending: all, or a draw that depends on label and side alone."""
    from hashlib import sha256

    rows = side.cells_of(label)
    if rows.size <= n:
        return rows
    seed = sha256(f"0:{label}|{name}".encode()).digest()[:8]
    chosen = np.random.default_rng(int.from_bytes(seed, "big")).choice(rows.size, n, replace=False)
    return np.sort(rows[chosen])


def entries(rows: Rows, cells: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Stored entries of some cells: position in ``cells``, gene, value."""
    n = rows.indptr[cells + 1] - rows.indptr[cells]
    columns, values = np.empty(int(n.sum()), np.int64), np.empty(int(n.sum()))
    at = 0
    for start, stop in zip(rows.indptr[cells].tolist(), rows.indptr[cells + 1].tolist(), strict=True):
        end = at + stop - start
        columns[at:end] = rows.indices.read(start, stop)
        values[at:end] = rows.data.read(start, stop)
        at = end
    return np.repeat(np.arange(cells.size), n), columns, values


def expression_block(side: CellSide, cells: NDArray[np.int64], genes: NDArray[np.int64] | None = None) -> Block:
    """log1p(1e4 y / l) of some cells and genes, (n_cells, n_genes) float32, in single precision throughout."""
    place, columns, values = entries(side.rows, cells)
    out = np.zeros((cells.size, side.rows.n_cols), np.float32)
    out[place, columns] = values
    if genes is not None:
        out = out[:, genes]
    totals = side.totals[cells]
    out /= np.where(totals > 0, totals, 1.0).astype(np.float32)[:, None]
    out *= np.float32(DEPTH)
    return np.log1p(out, out=out)


def group_mean(side: CellSide, cells: NDArray[np.int64]) -> tuple[Values, NDArray[np.int64]]:
    """Mean of 1e4 y / l over some cells, and how many of them express each gene: (n_genes,) each."""
    place, columns, values = entries(side.rows, cells)
    totals = side.totals[cells]
    values *= (DEPTH / np.where(totals > 0, totals, 1.0))[place]
    n_genes = side.rows.n_cols
    total = np.bincount(columns, weights=values, minlength=n_genes)
    return total / max(cells.size, 1), np.bincount(columns[values != 0], minlength=n_genes)


def sampled(cells: CellPair, label: str) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Equally many observed and predicted cells of a perturbation; None where there are too few."""
    n = min(cells.real.cells_of(label).size, cells.pred.cells_of(label).size, MAX_CELLS)
    if n < MIN_CELLS:
        return None
    return drawn(cells.real, label, "real", n), drawn(cells.pred, label, "pred", n)


def responding(change: Values, expressing: NDArray[np.int64], seen: NDArray[np.bool_], own: int) -> NDArray[np.int64]:
    """The genes that move most in reality, ascending.

    ``change`` is the log2 fold change, ``expressing`` the number of observed cells of the perturbation with the gene,
    ``seen`` whether perturbation or control has it at all, ``own`` the target gene to leave out (-1: none). Equal
    changes keep gene order.
    """
    usable = seen & (expressing >= MIN_EXPRESSING)
    if own >= 0:
        usable[own] = False
    candidates = np.flatnonzero(usable)
    order = np.argsort(-np.abs(change[candidates]), kind="stable")
    return np.sort(candidates[order[:TOP_GENES]])


def correlation(block: NDArray[Any]) -> Values:
    """Pearson correlation of all columns, float64; no column may be constant."""
    centred = block.astype(np.float64)
    centred -= centred.mean(axis=0)
    centred /= np.sqrt((centred * centred).sum(axis=0))
    return np.asarray(np.clip(centred.T @ centred, -1.0, 1.0))


def _responding_matrices(pair: Pair) -> dict[int, tuple[Values, Values]]:
    """Correlation matrices of the responding genes (observed, predicted) of every perturbation that has them."""
    cells = counts_of(pair)
    observed = cells.real
    control = observed.cells_of(observed.groups.control)
    control_mean, in_control = group_mean(observed, control)
    out = {}
    for k, label in enumerate(pair.perturbations):
        rows = sampled(cells, label)
        if rows is None:
            continue
        mean, expressing = group_mean(observed, observed.cells_of(label))
        change = np.log2((mean + 1.0) / (control_mean + 1.0))
        genes = responding(change, expressing, (expressing > 0) | (in_control > 0), int(pair.own[k]))
        if genes.size < MIN_GENES:
            continue
        real, pred = (expression_block(side, r, genes) for side, r in zip((cells.real, cells.pred), rows, strict=True))
        varying = (real.std(axis=0, dtype=np.float64) > FLAT_GENE) & (pred.std(axis=0, dtype=np.float64) > FLAT_GENE)
        if int(varying.sum()) >= MIN_GENES:
            out[k] = (correlation(real[:, varying]), correlation(pred[:, varying]))
    return out


def responding_matrices(pair: Pair) -> dict[int, tuple[Values, Values]]:
    """The same, computed once for both metrics that read it."""
    return pair.shared("responding_matrices", lambda: _responding_matrices(pair))


def counts_of(pair: Pair) -> CellPair:
    """The cells of a pair of counts; other values are refused, for library sizes cannot be had back."""
    cells = cells_of(pair)
    for side in (cells.real, cells.pred):
        if side.kind != "counts":
            msg = f"{side.name}: holds {side.kind} values; the cell_cov metrics are defined on counts"
            raise DataError(msg)
    return cells


def cell_cov_corr(pair: Pair) -> Values:
    """Pearson correlation of the gene-gene correlations among the genes that respond.

    Parameters
    ----------
    pair
        The cells of both sides, counts.

    Returns
    -------
    (n_perturbations,), in [-1, 1]; 1 is best, 0 is unrelated structure. No row with fewer than 50 cells on a side or
    20 responding genes; NaN where all correlations of a side are equal.

    Examples
    --------
    Correlations (0.1, 0.2, 0.3) predicted and (0.2, 0.4, 0.6) observed among three genes: 1.
    """
    values = no_rows(pair.n)
    for k, (real, pred) in responding_matrices(pair).items():
        upper = np.triu_indices(real.shape[0], 1)
        a, b = real[upper], pred[upper]
        flat = a.size < 2 or a.std() <= FLAT_TRIANGLE or b.std() <= FLAT_TRIANGLE
        values[k] = np.nan if flat else pearson(a, b)
    return values


def cell_cov_eig_ratio(pair: Pair) -> Values:
    """Largest eigenvalue of the responding genes' correlation matrix, predicted over observed.

    Parameters
    ----------
    pair
        The cells of both sides, counts.

    Returns
    -------
    (n_perturbations,), > 0; 1 says that the main programme is as strong as in reality, not that it is the same one;
    below 1 the predicted genes are too independent. No row where ``cell_cov_corr`` has none.

    Examples
    --------
    Two genes with correlation 0 predicted and 0.5 observed: 1 / 1.5.
    """
    values = no_rows(pair.n)
    for k, (real, pred) in responding_matrices(pair).items():
        values[k] = np.linalg.eigvalsh(pred)[-1] / np.linalg.eigvalsh(real)[-1]
    return values


def critical_correlation(n: int) -> float:
    """Smallest |r| of ``n`` cells that is significant at 5 %, two-sided."""
    from scipy.special import stdtrit

    df = max(n - 2, 1)
    t = float(stdtrit(df, 1 - SIGNIFICANCE / 2))
    return t / float(np.sqrt(df + t * t))


def standardised(block: Block) -> Block:
    """Columns to mean 0 and standard deviation 1, rounded to float32; constant columns become NaN."""
    centred = block.astype(np.float64)
    centred -= centred.mean(axis=0)
    deviation = np.sqrt((centred * centred).mean(axis=0))
    deviation[deviation <= FLAT_GENE] = np.nan
    centred /= deviation
    return centred.astype(np.float32)


def significant_pairs(real: Block, pred: Block) -> tuple[Values, Values]:
    """Correlations (observed, predicted) of all gene pairs that are significant on both sides.

    Strip by strip of the upper triangle; genes that are constant on a side belong to no pair.
    """
    n, limit = real.shape[0], critical_correlation(real.shape[0])
    a, b = standardised(real), standardised(pred)
    varying = np.flatnonzero(np.isfinite(a[0]) & np.isfinite(b[0]))
    a, b = np.ascontiguousarray(a[:, varying]), np.ascontiguousarray(b[:, varying])
    kept: tuple[list[Block], list[Block]] = ([], [])
    for start in range(0, varying.size, _BLOCK):
        stop = min(start + _BLOCK, varying.size)
        x, y = ((m[:, start:stop].T @ m[:, start:]) / np.float32(n) for m in (a, b))
        keep = (np.abs(x) >= limit) & (np.abs(y) >= limit)
        keep[:, : stop - start] &= np.triu(np.ones((stop - start,) * 2, np.bool_), 1)
        kept[0].append(x[keep])
        kept[1].append(y[keep])
    if not kept[0]:
        return np.zeros(0), np.zeros(0)
    return np.concatenate(kept[0]).astype(np.float64), np.concatenate(kept[1]).astype(np.float64)


def concordance(a: Values, b: Values) -> float:
    """Lin's concordance correlation with population moments; NaN below three pairs."""
    if a.size < 3:
        return float("nan")
    da, db = a - a.mean(), b - b.mean()
    gap = a.mean() - b.mean()
    return float(2 * (da * db).mean() / ((da * da).mean() + (db * db).mean() + gap * gap + 1e-12))


def cell_cov_ccc(pair: Pair) -> Values:
    """Concordance of the gene-gene correlations that are significant on both sides, over all genes.

    Parameters
    ----------
    pair
        The cells of both sides, counts.

    Returns
    -------
    (n_perturbations,), in [-1, 1]; 1 is best. No row with fewer than 50 cells on a side; NaN where fewer than three
    gene pairs are significant on both.

    Notes
    -----
    Cost n_cells × n_genes² a perturbation and side, one strip of 1,024 genes at a time. Products in single precision.

    Examples
    --------
    Correlations (0.6, 0.7, 0.8) on both sides: 1, less the 1e-12 that keeps the quotient finite.
    """
    cells = counts_of(pair)
    values = no_rows(pair.n)
    for k, label in enumerate(pair.perturbations):
        rows = sampled(cells, label)
        if rows is not None:
            real, pred = (expression_block(side, r) for side, r in zip((cells.real, cells.pred), rows, strict=True))
            values[k] = concordance(*significant_pairs(real, pred))
    return values


_SOURCE = "cell-eval2 0.20.0, profile `cell`"

register(
    MetricSpec(
        name="cell_cov_corr",
        family="coexpression",
        needs=frozenset({"cells"}),
        better="none",
        best=1.0,
        chance=0.0,
        bounds=(-1.0, 1.0),
        definition="Pearson of the gene-gene correlations of the 100 genes that respond most",
        formula=cell_cov_corr,
        reference=reference.cell_cov_corr,
        source=_SOURCE,
        parity=Parity(rtol=1e-9, atol=1e-9),  # float32 expression, its correlations in another order
        invariants=("perturbation_order",),
        pitfalls=(
            "Defined on counts with 50 cells a side only; other perturbations have no row.",
            "Depth and sparsity alone create correlations between genes.",
        ),
    )
)
register(
    MetricSpec(
        name="cell_cov_eig_ratio",
        family="coexpression",
        needs=frozenset({"cells"}),
        better="none",
        best=1.0,
        chance=None,
        bounds=(0.0, float("inf")),
        definition="largest eigenvalue of the responding genes' correlation matrix, predicted / observed",
        formula=cell_cov_eig_ratio,
        reference=reference.cell_cov_eig_ratio,
        source=_SOURCE,
        parity=Parity(rtol=1e-9, atol=1e-9),
        invariants=("perturbation_order",),
        pitfalls=(
            "1 says that the strength of the leading axis agrees, not its direction.",
            "Depth variation inflates the leading eigenvalue.",
        ),
    )
)
register(
    MetricSpec(
        name="cell_cov_ccc",
        family="coexpression",
        needs=frozenset({"cells"}),
        better="none",
        best=1.0,
        chance=0.0,
        bounds=(-1.0, 1.0),
        definition="Lin's concordance of the gene-gene correlations significant on both sides, all genes",
        formula=cell_cov_ccc,
        reference=reference.cell_cov_ccc,
        source=_SOURCE,
        parity=Parity(rtol=0.0, atol=1e-5),  # correlations are float32 products
        invariants=("gene_order", "perturbation_order"),
        pitfalls=("Only pairs significant on both sides count: their number changes with the prediction.",),
    )
)
