"""Meaning of the direction metrics: claims one after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.de_rows import Case, Row, cases, sign

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Tally:
    """Counts of one perturbation, own gene left out."""

    n_conf: int
    n_pred: int
    k: int
    q: float


def _judged(case: Case, gene: str) -> bool:
    return gene in case.real and gene in case.pred and sign(case.real[gene].lfc) != 0


def _right(case: Case, gene: str) -> bool:
    return _judged(case, gene) and sign(case.real[gene].lfc) == sign(case.pred[gene].lfc)


def _tally(case: Case) -> Tally:
    confirmed = case.called("real", own=False)
    claims = [row.gene for row in case.called("pred", own=False) if _judged(case, row.gene)]
    up, down = (sum(sign(row.lfc) == s for row in confirmed) for s in (1, -1))
    share = max(up, down) / (up + down) if up + down else math.nan
    return Tally(len(confirmed), len(claims), sum(_right(case, g) for g in claims), share)


def _depth(case: Case, pool: str, purity: float, own: bool) -> int:
    """Most judged genes, from the boldest claim on, of which the share ``purity`` is right."""

    def missing_last(value: float | None) -> tuple[bool, float]:
        gone = value is None or math.isnan(value)
        return gone, 0.0 if gone or value is None else value

    def boldness(row: Row) -> tuple[object, ...]:
        size = None if row.lfc is None else -abs(row.lfc)
        return (
            not row.significant(case.alpha),
            missing_last(row.q),
            missing_last(row.p),
            missing_last(size),
            row.gene,
        )

    genes = [g for g in case.real if g in case.pred and (own or g != case.own)]
    if pool == "real":
        genes = [g for g in genes if case.real[g].significant(case.alpha)]
    best = judged = right = 0
    for row in sorted((case.pred[g] for g in genes), key=boldness):
        judged += _judged(case, row.gene)
        right += _right(case, row.gene)
        if judged and right / judged >= purity:
            best = max(best, judged)
    return best


def direction_precision(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """Share of right claims, own gene kept."""
    out = []
    for case in cases(pair, alpha, single_precision):
        claims = [row.gene for row in case.called("pred") if _judged(case, row.gene)]
        out.append(sum(_right(case, g) for g in claims) / len(claims) if claims else math.nan)
    return np.array(out, np.float64)


def direction_sensitivity(
    pair: Pair, *, pool: str = "real", alpha: float = 0.05, single_precision: bool = False
) -> Values:
    """Depth at share 1 - alpha / 2 over |R|, own gene kept."""
    out = []
    for case in cases(pair, alpha, single_precision):
        n = len(case.called("real"))
        out.append(_depth(case, pool, 1 - alpha / 2, own=True) / n if n else math.nan)
    return np.array(out, np.float64)


def _fidelity(t: Tally) -> float:
    if t.n_conf == 0:
        return 1.0 if t.n_pred == 0 else 0.0
    if t.n_pred == 0:
        return math.nan
    return (t.k / t.n_pred - t.q) / max(1 - t.q, 0.05)


def direction_fidelity(
    pair: Pair, *, scale: str = "corrected", alpha: float = 0.05, single_precision: bool = False
) -> Values:
    """K / n_pred, or what it gains over the commoner sign."""
    out = []
    for case in cases(pair, alpha, single_precision):
        t = _tally(case)
        raw = t.k / t.n_pred if t.n_pred else math.nan
        out.append(raw if scale == "raw" else _fidelity(t))
    return np.array(out, np.float64)


def direction_coverage(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """n_pred / n_conf."""
    tallies = [_tally(case) for case in cases(pair, alpha, single_precision)]
    return np.array([t.n_pred / t.n_conf if t.n_conf else math.nan for t in tallies], np.float64)


def direction_yield(
    pair: Pair, *, scale: str = "corrected", alpha: float = 0.05, single_precision: bool = False
) -> Values:
    """K / n_conf, or its gain over the commoner sign."""
    out = []
    for case in cases(pair, alpha, single_precision):
        t = _tally(case)
        if t.n_conf == 0:
            out.append(math.nan)
        elif scale == "raw":
            out.append(t.k / t.n_conf)
        else:
            out.append((t.k - t.q * t.n_pred) / (t.n_conf * max(1 - t.q, 0.05)))
    return np.array(out, np.float64)


def direction_fidelity_yield(
    pair: Pair, *, scale: str = "corrected", alpha: float = 0.05, single_precision: bool = False
) -> Values:
    """K / max(n_pred, n_conf), or min(1, coverage) times fidelity."""
    out = []
    for case in cases(pair, alpha, single_precision):
        t = _tally(case)
        if scale == "raw":
            most = max(t.n_pred, t.n_conf)
            out.append(t.k / most if most else math.nan)
        elif t.n_conf == 0:
            out.append(_fidelity(t))
        elif math.isnan(t.q):
            out.append(math.nan)
        else:
            out.append(min(1.0, t.n_pred / t.n_conf) * _fidelity(t) if t.n_pred else 0.0)
    return np.array(out, np.float64)


def direction_reach(
    pair: Pair, *, scale: str = "corrected", pool: str = "real", alpha: float = 0.05, single_precision: bool = False
) -> Values:
    """Depth at share 0.9, or q + (1 - alpha) (1 - q), over n_conf."""
    out = []
    for case in cases(pair, alpha, single_precision):
        t = _tally(case)
        purity = 0.9 if scale == "raw" else t.q + (1 - alpha) * (1 - t.q)
        if t.n_conf == 0 or math.isnan(purity):
            out.append(math.nan)
        else:
            out.append(_depth(case, pool, purity, own=False) / t.n_conf)
    return np.array(out, np.float64)
