"""Meaning of labels, places among components, and programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair

Values = NDArray[np.float64]


def cell_type_agreement(pair: Pair, *, classes: Mapping[str, str] | None = None, classifier: Any = None) -> Values:
    """Labels of each profile alone, compared."""
    if classifier is None:
        from sklearn.linear_model import LogisticRegression

        assert classes is not None
        assert pair.train is not None
        known = [(row, classes[x]) for x, row in zip(pair.train.labels, pair.train.mean, strict=True) if x in classes]
        classifier = LogisticRegression(max_iter=1000).fit([row for row, _ in known], [name for _, name in known])
    pred, real = pair.profiles()
    out = []
    for x, y in zip(pred.mean, real.mean, strict=True):
        out.append(float(classifier.predict(x[None])[0] == classifier.predict(y[None])[0]))
    return np.array(out)


def distance_in_pca(pair: Pair, *, n_components: int = 20, fit: str = "train") -> Values:
    """Eigenvectors of the covariance of the genes, scores, squared differences."""
    pred, real = pair.profiles()
    if fit == "train":
        assert pair.train is not None
        rows = pair.train.mean
    else:
        rows = real.mean
    centred = rows - rows.mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    order = np.argsort(values)[::-1]
    k = min(n_components, max(len(rows) - 1, 1), int((values > 1e-10 * max(values.max(), 1e-300)).sum()))
    axes = vectors[:, order[:k]]
    return np.array([sum(float((x - y) @ v) ** 2 for v in axes.T) for x, y in zip(pred.mean, real.mean, strict=True)])


def program_distance(pair: Pair, *, embedding: str | None = None) -> Values:
    """The formula, term by term; columns pre_adipo, adipo, lipo, other."""
    pred, real = pair.profiles(embedding)
    out = []
    for x, y in zip(pred.mean.tolist(), real.mean.tolist(), strict=True):
        parts = abs(x[0] - y[0]) + abs(x[1] - y[1]) + abs(x[3] - y[3])
        out.append(0.75 * parts + 0.25 * abs(x[2] / (x[1] + 1e-20) - y[2] / (y[1] + 1e-20)))
    return np.array(out)
