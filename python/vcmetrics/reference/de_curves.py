"""Meaning of the areas: thresholds one after the other."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.de_rows import Case, cases

Values = NDArray[np.float64]


def _cell(value: float | None) -> float:
    return 1.0 if value is None or math.isnan(value) else value


def _labelled(pair: Pair, floor: str, alpha: float, single: bool) -> list[list[tuple[bool, float]]]:
    """(real significant, score) of each gene of each perturbation."""
    every: list[Case] = cases(pair, alpha, single)
    kept = [[row for row in case.real.values() if row.q is not None] for case in every]
    p = [
        [_cell(case.pred[row.gene].q) if row.gene in case.pred else 1.0 for row in rows]
        for case, rows in zip(every, kept, strict=True)
    ]
    positive = [v for values in p for v in values if v > 0]
    kind = np.float32 if single else np.float64

    def lifted(v: float) -> float:
        if floor == "min_nonzero":
            v = (min(positive) if positive else 1e-10) if v == 0 else v
        elif floor == "clip":
            v = min(max(v, float(kind(1e-10))), 1.0)
        elif floor == "replace_zero":
            v = float(np.float32(v)) or float(np.float32(1e-10))
            return float(-np.log10(np.float64(v)))
        else:
            v = max(v, float(np.finfo(kind).smallest_subnormal))
        return float(-np.log10(kind(v)))

    return [
        [(row.significant(case.alpha), lifted(v)) for row, v in zip(rows, values, strict=True)]
        for case, rows, values in zip(every, kept, p, strict=True)
    ]


def roc_auc(
    pair: Pair, *, auc_floor: str = "min_nonzero", alpha: float = 0.05, single_precision: bool = False
) -> Values:
    """Share of (significant, other) pairs ordered rightly, ties by half."""
    out = []
    for genes in _labelled(pair, auc_floor, alpha, single_precision):
        yes = [s for label, s in genes if label]
        no = [s for label, s in genes if not label]
        if not yes or not no:
            out.append(math.nan)
            continue
        wins = sum((a > b) + 0.5 * (a == b) for a in yes for b in no)
        out.append(wins / (len(yes) * len(no)))
    return np.array(out, np.float64)


def pr_auc(
    pair: Pair, *, auc_floor: str = "min_nonzero", alpha: float = 0.05, single_precision: bool = False
) -> Values:
    """Sum over falling thresholds of the recall gained times the precision there."""
    out = []
    for genes in _labelled(pair, auc_floor, alpha, single_precision):
        total = sum(label for label, _ in genes)
        if total in (0, len(genes)):
            out.append(math.nan)
            continue
        area, before = 0.0, 0.0
        for threshold in sorted({s for _, s in genes}, reverse=True):
            called = [label for label, s in genes if s >= threshold]
            recall = sum(called) / total
            area += (recall - before) * sum(called) / len(called)
            before = recall
        out.append(min(1.0, max(0.0, area)))
    return np.array(out, np.float64)
