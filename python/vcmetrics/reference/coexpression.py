"""Meaning of the coexpression metrics: one perturbation at a time, NumPy's own correlations."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair, no_rows

if TYPE_CHECKING:
    from vcmetrics.metrics.cells import CellPair, CellSide

Values = NDArray[np.float64]


def _cells(pair: Pair) -> CellPair:
    assert pair.cells is not None
    cells: CellPair = pair.cells()
    return cells


def _counts(side: CellSide) -> Values:
    out = np.zeros((side.rows.n_rows, side.rows.n_cols))
    for i in range(side.rows.n_rows):
        start, stop = int(side.rows.indptr[i]), int(side.rows.indptr[i + 1])
        out[i, side.rows.indices.read(start, stop)] = side.rows.data.read(start, stop)
    return out


def _logged(counts: Values) -> NDArray[np.float32]:
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts.astype(np.float32) / np.where(totals > 0, totals, 1).astype(np.float32)
    return np.log1p(np.float32(1e4) * shares)


def _members(side: CellSide, label: str) -> NDArray[np.int64]:
    return np.flatnonzero(side.groups.codes == side.groups.labels.index(label))


def _sample(cells: CellPair, label: str) -> tuple[Values, Values] | None:
    """Counts of equally many observed and predicted cells, at most 500; None below 50."""
    found = {"real": _members(cells.real, label), "pred": _members(cells.pred, label)}
    n = min(500, *(rows.size for rows in found.values()))
    if n < 50:
        return None
    for name, rows in found.items():
        if rows.size > n:
            seed = int.from_bytes(hashlib.sha256(f"0:{label}|{name}".encode()).digest()[:8], "big")
            found[name] = np.sort(np.random.default_rng(seed).choice(rows, n, replace=False))
    return _counts(cells.real)[found["real"]], _counts(cells.pred)[found["pred"]]


def _share(counts: Values) -> Values:
    totals = counts.sum(axis=1, keepdims=True)
    return np.asarray((1e4 * counts / np.where(totals > 0, totals, 1)).mean(axis=0))


def _matrices(pair: Pair) -> dict[int, tuple[Values, Values]]:
    cells = _cells(pair)
    out: dict[int, tuple[Values, Values]] = {}
    real = _counts(cells.real)
    control = real[cells.real.groups.codes == cells.real.groups.control_code]
    for k, label in enumerate(pair.perturbations):
        sample = _sample(cells, label)
        if sample is None:
            continue
        group = real[_members(cells.real, label)]
        change = np.abs(np.log2((_share(group) + 1) / (_share(control) + 1)))
        usable = [
            g
            for g in range(real.shape[1])
            if g != pair.own[k] and (group[:, g] > 0).sum() >= 10 and (group[:, g].any() or control[:, g].any())
        ]
        genes = sorted(sorted(usable, key=lambda g: -change[g])[:100])
        blocks = [_logged(counts)[:, genes].astype(np.float64) for counts in sample]
        varying = (blocks[0].std(axis=0) > 1e-6) & (blocks[1].std(axis=0) > 1e-6)
        if len(genes) >= 20 and varying.sum() >= 20:
            first, second = (np.asarray(np.corrcoef(block[:, varying], rowvar=False)) for block in blocks)
            out[k] = (first, second)
    return out


def cell_cov_corr(pair: Pair) -> Values:
    """Pearson of the upper triangles of both correlation matrices of the responding genes."""
    values = no_rows(pair.n)
    for k, (real, pred) in _matrices(pair).items():
        upper = np.triu_indices(len(real), 1)
        flat = real[upper].std() <= 1e-10 or pred[upper].std() <= 1e-10
        values[k] = math.nan if flat else np.corrcoef(real[upper], pred[upper])[0, 1]
    return values


def cell_cov_eig_ratio(pair: Pair) -> Values:
    """Largest eigenvalue of the predicted correlation matrix over that of the observed one."""
    values = no_rows(pair.n)
    for k, (real, pred) in _matrices(pair).items():
        values[k] = np.linalg.eigvalsh(pred).max() / np.linalg.eigvalsh(real).max()
    return values


def cell_cov_ccc(pair: Pair) -> Values:
    """Lin's concordance over the gene pairs whose correlation is significant (5 %) on both sides."""
    from scipy.stats import t

    values = no_rows(pair.n)
    for k, label in enumerate(pair.perturbations):
        sample = _sample(_cells(pair), label)
        if sample is None:
            continue
        blocks = [_logged(counts).astype(np.float64) for counts in sample]
        n = len(blocks[0])
        quantile = float(t.ppf(0.975, n - 2))
        limit = quantile / math.sqrt(n - 2 + quantile**2)
        varying = (blocks[0].std(axis=0) > 1e-6) & (blocks[1].std(axis=0) > 1e-6)
        a, b = (np.atleast_2d(np.corrcoef(block[:, varying], rowvar=False)) for block in blocks)
        upper = np.triu_indices(len(a), 1)
        keep = (np.abs(a[upper]) >= limit) & (np.abs(b[upper]) >= limit)
        x, y = a[upper][keep], b[upper][keep]
        if len(x) < 3:
            values[k] = math.nan
            continue
        covariance = ((x - x.mean()) * (y - y.mean())).mean()
        values[k] = 2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2 + 1e-12)
    return values
