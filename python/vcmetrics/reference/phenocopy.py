"""Meaning of phenocopies and neighbours: covariance matrix, eigenvectors, whitening matrix, sets."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.roc import average_precision, partial_roc_area, roc_area

Values = NDArray[np.float64]


def _rows(pair: Pair) -> tuple[list[str], Values, Values]:
    pred, real = pair.profiles()
    assert pair.train is not None
    control = real.control if pair.train.control is None else pair.train.control
    extra = sorted((label, k) for k, label in enumerate(pair.train.labels) if label not in pair.perturbations)
    seen = [pair.train.mean[k] - control for _, k in extra]
    labels = [*pair.perturbations, *(label for label, _ in extra)]
    return labels, np.array([*(real.mean - real.control), *seen]), np.array([*(pred.mean - pred.control), *seen])


def _cosines(rows: Values, n_components: int, shrinkage: float) -> Values:
    """Project on eigenvectors of the genes' covariance, whiten by the shrunk covariance of the scores."""
    n, g = rows.shape
    k = max(1, min(n_components, n - 1, g))
    centred = rows - rows.mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred / max(n - 1, 1))
    scores = centred @ vectors[:, np.argsort(values)[::-1][:k]]
    covariance = scores.T @ scores / max(n - 1, 1)
    mixed = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / k * np.eye(k)
    own, turn = np.linalg.eigh(mixed)
    white = scores @ (turn @ np.diag(1 / np.sqrt(own)) @ turn.T)
    out = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            below = math.sqrt(float(white[i] @ white[i])) * math.sqrt(float(white[j] @ white[j]))
            out[i, j] = float(white[i] @ white[j]) / below if below else 0.0
    return out


def _first(values: Values, rows: Iterable[int], labels: list[str], k: int) -> list[int]:
    """The ``k`` rows of largest value, of equals the first by name."""
    return sorted(rows, key=lambda p: (-float(values[p]), labels[p]))[:k]


def phenocopy_auroc(
    pair: Pair, *, mads: float = 3.0, pooled: bool = False, n_components: int = 100, shrinkage: float = 0.5
) -> Values:
    """Query after query."""
    labels, real, pred = _rows(pair)
    true, guess = _cosines(real, n_components, shrinkage), _cosines(pred, n_components, shrinkage)
    everything = [c for q in range(pair.n, len(labels)) for c in true[q].tolist()]
    areas = []
    for q in range(pair.n, len(labels)):
        values = everything if pooled else true[q].tolist()
        middle = float(np.median(values))
        cut = middle + mads * float(np.median([abs(v - middle) for v in values]))
        areas.append(roc_area([bool(true[q, p] > cut) for p in range(pair.n)], guess[q, : pair.n].tolist()))
    defined = [x for x in areas if not math.isnan(x)]
    return np.full(pair.n, sum(defined) / len(defined) if defined else math.nan)


def phenocopy_recall(pair: Pair, *, top_k: int = 10, n_components: int = 100, shrinkage: float = 0.5) -> Values:
    """Overlap of two sorted lists."""
    labels, real, pred = _rows(pair)
    true, guess = _cosines(real, n_components, shrinkage), _cosines(pred, n_components, shrinkage)
    k = min(top_k, pair.n)
    shares = []
    for q in range(pair.n, len(labels)):
        lists = [_first(side[q], range(pair.n), labels, k) for side in (true, guess)]
        shares.append(len(set(lists[0]) & set(lists[1])) / k)
    return np.full(pair.n, sum(shares) / len(shares))


def _neighbours(
    pair: Pair, top_k: int, n_components: int, shrinkage: float
) -> list[tuple[list[bool], list[float]] | None]:
    labels, real, pred = _rows(pair)
    true, guess = _cosines(real, n_components, shrinkage), _cosines(pred, n_components, shrinkage)
    size = len(labels)
    k = min(top_k, size - 2)
    out: list[tuple[list[bool], list[float]] | None] = []
    for i in range(pair.n):
        if k < 1:
            out.append(None)
            continue
        others = [j for j in range(size) if j != i]
        sets = [set(_first(side[i], others, labels, k)) for side in (true, guess)]
        out.append(([j in sets[0] for j in others], [float(j in sets[1]) for j in others]))
    return out


def knn_recall(pair: Pair, *, top_k: int = 10, n_components: int = 100, shrinkage: float = 0.5) -> Values:
    """Named true neighbours over all true ones."""
    out = []
    for found in _neighbours(pair, top_k, n_components, shrinkage):
        out.append(math.nan if found is None else sum(s for t, s in zip(*found, strict=True) if t) / sum(found[0]))
    return np.array(out)


def knn_average_precision(pair: Pair, *, top_k: int = 10, n_components: int = 100, shrinkage: float = 0.5) -> Values:
    """Average precision of the one-hot rows."""
    found = _neighbours(pair, top_k, n_components, shrinkage)
    return np.array([math.nan if f is None else average_precision(*f) for f in found])


def knn_auroc(pair: Pair, *, top_k: int = 10, n_components: int = 100, shrinkage: float = 0.5) -> Values:
    """Area under the ROC curve of the one-hot rows."""
    found = _neighbours(pair, top_k, n_components, shrinkage)
    return np.array([math.nan if f is None else roc_area(*f) for f in found])


def knn_partial_auroc(pair: Pair, *, top_k: int = 10, n_components: int = 100, shrinkage: float = 0.5) -> Values:
    """The same up to a false positive rate of 0.05."""
    found = _neighbours(pair, top_k, n_components, shrinkage)
    return np.array([math.nan if f is None else partial_roc_area(*f, 0.05) for f in found])
