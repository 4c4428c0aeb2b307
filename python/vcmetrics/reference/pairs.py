"""Meaning of the sums over pairs of cells."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def pair_term(x: Values, y: Values, term: str, gamma: float = 0.0) -> float:
    """One term of two cells, (n_features,) each.

    ``euclidean``, ``sqeuclidean``, ``cityblock`` and ``cosine`` are distances (a cosine with a cell of norm 0 is at
    distance 1). ``rbf`` is exp(-gamma |x - y|^2). ``braycurtis`` 1 - a/s and ``ruzicka`` (s - a)/(s + a), with
    a = sum |x - y| and s = sum |x| + sum |y|, and ``tanimoto`` (s - q)/(s + q), with q = |x - y|^2 and
    s = |x|^2 + |y|^2, are similarities; for values >= 0 they equal 2 sum min / sum (x + y), sum min / sum max and
    x.y / (|x|^2 + |y|^2 - x.y). Two cells without a count are alike: 1.
    """
    d = x - y
    absolute, square = math.fsum(np.abs(d)), math.fsum(d * d)
    if term == "euclidean":
        return math.sqrt(square)
    if term == "sqeuclidean":
        return square
    if term == "cityblock":
        return absolute
    if term == "rbf":
        return math.exp(-gamma * square)
    if term == "cosine":
        norms = math.sqrt(math.fsum(x * x)), math.sqrt(math.fsum(y * y))
        if 0.0 in norms:
            return 1.0
        return 0.5 * math.fsum((x / norms[0] - y / norms[1]) ** 2)
    if term == "tanimoto":
        total = math.fsum(x * x) + math.fsum(y * y)
        return (total - square) / (total + square) if total else 1.0
    total = math.fsum(np.abs(x)) + math.fsum(np.abs(y))
    if term == "braycurtis":
        return 1.0 - absolute / total if total else 1.0
    if term == "ruzicka":
        return (total - absolute) / (total + absolute) if total else 1.0
    raise ValueError(term)


def pair_terms(x: Values, y: Values, term: str, gamma: float = 0.0) -> Values:
    """The terms of all pairs, (n, m)."""
    return np.array([[pair_term(p, q, term, gamma) for q in y] for p in x]).reshape(len(x), len(y))


def pair_means(
    cells: Values,
    codes: NDArray[np.int32],
    pairs: NDArray[np.int32],
    term: str,
    gamma: float = 0.0,
    estimator: str = "v",
) -> Values:
    """Mean term over the pairs of cells of two groups, (n_pairs,).

    Inside a group ``estimator`` ``"v"`` averages over all n^2 ordered pairs, a cell with itself included, ``"u"`` over
    the n (n - 1) with i != j. NaN where a group is empty or, for ``"u"``, has one cell.
    """
    out = np.full(len(pairs), math.nan)
    for k, (a, b) in enumerate(pairs):
        terms = pair_terms(cells[codes == a], cells[codes == b], term, gamma)
        counted = np.ones(terms.shape, bool)
        if a == b and estimator == "u":
            np.fill_diagonal(counted, val=False)
        if counted.any():
            out[k] = math.fsum(terms[counted]) / int(counted.sum())
    return out


def weighted_pair_sums(
    x: Values, y: Values | None, wx: Values, wy: Values | None, term: str, gamma: float = 0.0
) -> Values:
    """sum_ij wx[i, b] wy[j, b] term(x_i, y_j) for every column b, (n_columns,).

    ``y`` None: the pairs of x with itself, a cell with itself included.
    """
    if y is None or wy is None:
        y, wy = x, wx
    terms = pair_terms(x, y, term, gamma)
    return np.array([math.fsum((np.outer(wx[:, b], wy[:, b]) * terms).ravel()) for b in range(wx.shape[1])], np.float64)
