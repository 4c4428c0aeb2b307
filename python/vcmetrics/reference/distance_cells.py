"""Meaning of the distances that look at pairs of cells. x is (n, D), y is (m, D), float64."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.float64]


def pair_table(x: Cells, y: Cells, term: str, gamma: float | None = None) -> Cells:
    """(n, m) values of one function of two cells.

    Bray-Curtis, Tanimoto and Ruzicka are kernels (similarities); for values >= 0 they are 2 Σmin/(Σx + Σy),
    x·y/(|x|² + |y|² - x·y) and Σmin/Σmax. Two zero cells have 1.
    """
    if term.startswith("scipy "):
        return scipy_table(x, y, term.removeprefix("scipy "))
    out = np.empty((len(x), len(y)))
    for i, p in enumerate(x):
        difference = p - y
        squared = (difference**2).sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            if term == "euclidean":
                out[i] = np.sqrt(squared)
            elif term == "sqeuclidean":
                out[i] = squared
            elif term == "cityblock":
                out[i] = np.abs(difference).sum(1)
            elif term == "cosine":
                norms = np.sqrt((p**2).sum()) * np.sqrt((y**2).sum(1))
                out[i] = np.where(norms > 0, 1 - (y @ p) / norms, 1.0)
            elif term == "rbf":
                assert gamma is not None
                out[i] = np.exp(-gamma * squared)
            elif term == "braycurtis":
                total = np.abs(p).sum() + np.abs(y).sum(1)
                out[i] = np.where(total == 0, 1.0, 1 - np.abs(difference).sum(1) / total)
            elif term == "tanimoto":
                product = y @ p
                total = (p**2).sum() + (y**2).sum(1) - product
                out[i] = np.where(total == 0, 1.0, product / total)
            elif term == "ruzicka":
                total, apart = np.abs(p).sum() + np.abs(y).sum(1), np.abs(difference).sum(1)
                out[i] = np.where(total == 0, 1.0, (total - apart) / (total + apart))
            else:
                raise ValueError(term)
    return out


def scipy_table(x: Cells, y: Cells, metric: str) -> Cells:
    """(n, m) distances that have no kernel, as SciPy defines them."""
    p, q = x[:, None, :], y[None, :, :]
    away = np.abs(p - q)
    with np.errstate(invalid="ignore", divide="ignore"):
        if metric == "braycurtis":
            return np.asarray(away.sum(2) / np.abs(p + q).sum(2))
        if metric == "canberra":
            total = np.abs(p) + np.abs(q)
            return np.asarray(np.divide(away, total, out=np.zeros_like(away), where=total > 0).sum(2))
        if metric == "chebyshev":
            return np.asarray(away.max(2))
        if metric == "correlation":
            return pair_table(x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True), "cosine")
        if metric == "hamming":
            return np.asarray((p != q).mean(2))
    raise ValueError(metric)


def term_of(cell_metric: str) -> str:
    """The name in :func:`pair_table` of a distance between two cells."""
    scipy = cell_metric in ("braycurtis", "canberra", "chebyshev", "correlation", "hamming")
    return f"scipy {cell_metric}" if scipy else cell_metric


def pair_mean(x: Cells, y: Cells, term: str, gamma: float | None = None, *, own: bool = False) -> float:
    """Mean over all pairs; ``own``: x and y are the same cells, and a cell's pair with itself is left out."""
    if not len(x) or not len(y):
        return math.nan
    table = pair_table(x, y, term, gamma)
    if not own:
        return float(table.mean())
    n = len(x)
    return float((table.sum() - np.trace(table)) / (n * (n - 1))) if n > 1 else math.nan


def within(x: Cells, term: str, estimator: str, one_cell: str, gamma: float | None = None) -> float:
    """Mean inside a group; ``one_cell`` says what one cell has without a pair: ``"nan"`` or ``"zero"``."""
    if len(x) == 1 and estimator == "u":
        return 0.0 if one_cell == "zero" else math.nan
    return pair_mean(x, x, term, gamma, own=estimator == "u")


def edistance(
    x: Cells,
    y: Cells,
    *,
    estimator: str = "v",
    cell_metric: str = "euclidean",
    one_cell: str = "nan",
    floor: float = 0.0,
    halved: bool = False,
) -> float:
    """2 mean d(x, y) - mean d(x, x') - mean d(y, y'); ``floor``: d = sqrt(max(d², floor)); ``halved``: half of it."""
    if floor:
        tables = [np.sqrt(np.maximum(pair_table(a, b, "sqeuclidean"), floor)) for a, b in ((x, y), (x, x), (y, y))]
        energy = 2 * tables[0].mean() - tables[1].mean() - tables[2].mean()
    else:
        d = term_of(cell_metric)
        energy = 2 * pair_mean(x, y, d) - within(x, d, estimator, one_cell) - within(y, d, estimator, one_cell)
    return float(energy / 2 if halved else energy)


def mean_pairwise(
    x: Cells, y: Cells, *, estimator: str = "v", cell_metric: str = "euclidean", one_cell: str = "nan"
) -> float:
    """Mean d(x, y); the two groups are different ones."""
    return pair_mean(x, y, term_of(cell_metric))


def mmd(
    x: Cells,
    y: Cells,
    *,
    kernel: str = "linear",
    gamma: float | Sequence[float] | str = 1.0,
    degree: int = 2,
    coef0: float = 0.0,
    estimator: str = "v",
    one_cell: str = "nan",
    combine: str = "mean",
    truncate: bool = False,
    root: bool = False,
) -> float:
    """Mean k(x, x') + mean k(y, y') - 2 mean k(x, y), averaged or summed over the bandwidths."""
    if truncate:
        x, y = x[: len(y)], y[: len(x)]
    gammas: list[Any] = list(gamma) if isinstance(gamma, Sequence | np.ndarray) else [gamma]
    values = []
    for g in gammas if kernel == "rbf" else gammas[:1]:
        if kernel in ("linear", "poly"):
            power, slope, offset = (1, 1.0, 0.0) if kernel == "linear" else (degree, g, coef0)

            def own(c: Cells, power: int = power, slope: float = slope, offset: float = offset) -> float:
                table = (slope * (c @ c.T) + offset) ** power
                if estimator == "v":
                    return float(table.mean())
                if len(c) == 1:
                    return 0.0 if one_cell == "zero" else math.nan
                return float((table.sum() - np.trace(table)) / (len(c) * (len(c) - 1)))

            cross = float(((slope * (x @ y.T) + offset) ** power).mean())
            values.append(own(x) + own(y) - 2 * cross)
        else:
            values.append(
                within(x, kernel, estimator, one_cell, g)
                + within(y, kernel, estimator, one_cell, g)
                - 2 * pair_mean(x, y, kernel, g)
            )
    total = sum(values) / (len(values) if combine == "mean" else 1)
    return math.sqrt(max(total, 0.0)) if root else float(total)
