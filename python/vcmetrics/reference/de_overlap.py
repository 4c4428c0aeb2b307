"""Meaning of the set agreements: lists and sets of gene names."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair, no_rows
from vcmetrics.reference.de_rows import Case, Row, cases

Values = NDArray[np.float64]


def ranked(rows: list[Row], sort_by: str) -> list[str]:
    """Gene names, best first; ties in table order; NaN first where large is good, missing always last."""

    def key(row: Row) -> tuple[int, float]:
        value = {"p_value": row.p, "p_adj": row.q}.get(sort_by, row.lfc)
        descending = sort_by.endswith("log2_fold_change")
        if value is None:
            return 2, 0.0
        if math.isnan(value):
            return (-1 if descending else 1), 0.0
        if sort_by == "abs_log2_fold_change":
            value = abs(value)
        return 0, -value if descending else value

    return [row.gene for row in sorted(rows, key=key)]


def overlap(
    pair: Pair,
    *,
    top: int | None = None,
    of: str = "real",
    sort_by: str = "abs_log2_fold_change",
    alpha: float = 0.05,
    single_precision: bool = False,
) -> Values:
    """Size of the intersection of the two top-k lists, over k."""
    out = []
    for case in cases(pair, alpha, single_precision):
        real, pred = ranked(case.called("real"), sort_by), ranked(case.called("pred"), sort_by)
        k = len(real if of == "real" else pred)
        if top is not None:
            k = min(k, top)
        out.append(len(set(real[:k]) & set(pred[:k])) / k if k else 0.0)
    return np.array(out, np.float64)


def n_significant(pair: Pair, *, of: str = "real", alpha: float = 0.05, single_precision: bool = False) -> Values:
    """Number of significant rows."""
    return np.array([len(case.called(of)) for case in cases(pair, alpha, single_precision)], np.float64)


def _sets(case: Case, own: bool = True) -> tuple[set[str], set[str], int]:
    real = {row.gene for row in case.called("real", own)}
    pred = {row.gene for row in case.called("pred", own)}
    return real, pred, len(set(case.real) | set(case.pred))


def sig_recall(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """|R ∩ Q| / |R|."""
    out = no_rows(pair.n)
    for i, case in enumerate(cases(pair, alpha, single_precision)):
        real, pred, _ = _sets(case)
        if real:
            out[i] = len(real & pred) / len(real)
    return out


def sig_jaccard(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """|R ∩ Q| / |R ∪ Q| without the own gene."""
    out = []
    for case in cases(pair, alpha, single_precision):
        real, pred, _ = _sets(case, own=False)
        out.append(len(real & pred) / len(real | pred) if real | pred else 1.0)
    return np.array(out, np.float64)


def _mcc(real: set[str], pred: set[str], g: int) -> float:
    a, b, tp = len(real), len(pred), len(real & pred)
    if a in (0, g) or b in (0, g):
        return -1.0
    return (tp * g - a * b) / math.sqrt(a * b * (g - a) * (g - b))


def sig_mcc(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """Matthews correlation of R and Q."""
    return np.array([_mcc(*_sets(case)) for case in cases(pair, alpha, single_precision)], np.float64)


def overlap_adjusted(
    pair: Pair, *, sort_by: str = "abs_log2_fold_change", alpha: float = 0.05, single_precision: bool = False
) -> Values:
    """Matthews correlation of R and the |R| first of Q."""
    out = []
    for case in cases(pair, alpha, single_precision):
        real, _, g = _sets(case)
        out.append(_mcc(real, set(ranked(case.called("pred"), sort_by)[: len(real)]), g))
    return np.array(out, np.float64)


def sig_recall_adjusted(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """|R ∩ Q| / |R| - |Q without R| / |not R|."""
    out = []
    for case in cases(pair, alpha, single_precision):
        real, pred, g = _sets(case)
        a = len(real)
        out.append(len(real & pred) / a - len(pred - real) / (g - a) if 0 < a < g else -1.0)
    return np.array(out, np.float64)


def precision_adjusted(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """|R ∩ Q| / |Q| - |R without Q| / |not Q|."""
    out = []
    for case in cases(pair, alpha, single_precision):
        real, pred, g = _sets(case)
        b = len(pred)
        out.append(len(real & pred) / b - len(real - pred) / (g - b) if 0 < b < g else -1.0)
    return np.array(out, np.float64)
