"""Areas under the curves of one ranking: scores of some items, and which of them are positive."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Labels = NDArray[np.bool_]


def steps(positive: Labels, score: Values) -> tuple[Values, Values] | None:
    """Positives and negatives called at each threshold, from none to all; None where one class is empty.

    Parameters
    ----------
    positive, score
        (n,) each; equal scores are called together.
    """
    n_pos = int(np.count_nonzero(positive))
    if n_pos in (0, positive.size) or np.isnan(score).any():
        return None
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), score.size - 1)
    hits = np.cumsum(positive[order])[ends].astype(np.float64)
    return np.concatenate([[0.0], hits]), np.concatenate([[0.0], ends + 1 - hits])


def roc_area(positive: Labels, score: Values) -> float:
    """Area under the ROC curve: the share of (positive, negative) pairs in the right order, ties by half.

    Examples
    --------
    >>> roc_area(np.array([True, False, True]), np.array([3.0, 2.0, 1.0]))
    0.5
    """
    found = steps(positive, score)
    if found is None:
        return float("nan")
    tp, fp = found
    return float(np.sum(np.diff(fp) * (tp[1:] + tp[:-1]) / 2) / (tp[-1] * fp[-1]))


def partial_roc_area(positive: Labels, score: Values, max_fpr: float) -> float:
    """The same up to a false positive rate, scaled so that chance is 0.5 and the best 1 (McClish 1989).

    Examples
    --------
    >>> partial_roc_area(np.array([True, False, True]), np.array([3.0, 2.0, 1.0]), 1.0)
    0.5
    """
    found = steps(positive, score)
    if found is None:
        return float("nan")
    tpr, fpr = found[0] / found[0][-1], found[1] / found[1][-1]
    stop = int(np.searchsorted(fpr, max_fpr, side="right"))
    at = np.interp(max_fpr, fpr[stop - 1 : stop + 1], tpr[stop - 1 : stop + 1])
    x, y = np.append(fpr[:stop], max_fpr), np.append(tpr[:stop], at)
    area = float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))
    low, high = max_fpr**2 / 2, max_fpr
    return 0.5 * (1 + (area - low) / (high - low))


def average_precision(positive: Labels, score: Values) -> float:
    """Sum over falling thresholds of the recall gained times the precision there.

    Examples
    --------
    >>> round(average_precision(np.array([True, False, True]), np.array([3.0, 2.0, 1.0])), 4)
    0.8333
    """
    found = steps(positive, score)
    if found is None:
        return float("nan")
    tp, fp = found
    return float(np.sum(np.diff(tp) / tp[-1] * (tp[1:] / (tp[1:] + fp[1:]))))
