"""Norms of effects, and the factors that take the scale out of a distance that sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Table = NDArray[np.float64]
NORM_MATCHES = ("none", "self", "panel", "unit")


def norms(
    rows: Array,
    metric: str,
    without: NDArray[np.int64] | None = None,
    n_threads: int = 1,
    gone: NDArray[np.int64] | None = None,
) -> Table:
    """Length of every row in the metric's own norm: Σ|x| for ``cityblock``, else √Σx².

    ``without`` (n, widest) names columns that row i leaves out, -1 for none; ``gone`` those that all leave out.
    """
    from vcmetrics import _core

    if metric == "cityblock":
        out = np.empty((len(rows), 1))
        _core.panel_sums(rows, np.zeros((1, rows.shape[1]), rows.dtype), "cityblock", out, n_threads, gone)
        out = out[:, 0]
    else:
        out = np.sqrt(_core.row_squares(rows, n_threads, gone))
    if without is None:
        return np.asarray(out)
    for i in np.flatnonzero((without >= 0).any(1)).tolist():
        row = rows[i].astype(np.float64)
        row[without[i][without[i] >= 0]] = 0.0
        out[i] = np.abs(row).sum() if metric == "cityblock" else np.sqrt(row @ row)
    return np.asarray(out)


def scaled(rows: Array, factors: Table) -> Array:
    """Rows times factors, float64."""
    return np.asarray(rows * factors[:, None], np.float64)


def matched(
    pred: Array, own: Array, real: Array, norm_match: str, metric: str, lengths: tuple[Table, Table, Table]
) -> tuple[Array, Array]:
    """Prediction and reality with matched norms.

    Parameters
    ----------
    pred, own, real
        Predictions, the observed effects of the same labels, and all observed effects.
    norm_match
        ``none``; ``self``: every prediction takes the norm of its own truth; ``panel``: all take one factor, the
        quotient of the median norms; ``unit``: both sides take norm 1.
    metric
        Canonical name; angles do not see a scale, so nothing is done for them.
    lengths
        Norms of the three tables.

    Returns
    -------
    Both tables; a row of norm 0 stays 0.
    """
    if norm_match not in NORM_MATCHES:
        msg = f"norm_match {norm_match!r} is not known; choose from {', '.join(NORM_MATCHES)}"
        raise ValueError(msg)
    of_pred, of_own, of_real = lengths
    if norm_match == "none" or metric in ("cosine", "pearson", "spearman"):
        return pred, real
    if norm_match == "self":
        return scaled(pred, np.divide(of_own, of_pred, out=np.zeros_like(of_pred), where=of_pred > 0)), real
    if norm_match == "panel":
        median = float(np.median(of_pred))
        factor = float(np.median(of_own)) / median if median > 0 else 0.0
        return scaled(pred, np.full(len(pred), factor)), real
    return tuple(  # type: ignore[return-value]
        scaled(table, np.divide(1.0, length, out=np.zeros_like(length), where=length > 0))
        for table, length in ((pred, of_pred), (real, of_real))
    )
