"""Meaning of the fold-change agreements: one gene after the other."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair, no_rows
from vcmetrics.reference.de_rows import Row, cases, sign
from vcmetrics.reference.expression import pearson

Values = NDArray[np.float64]


def spearman(x: list[float], y: list[float]) -> float:
    """Pearson correlation of mid-ranks found by counting; NaN is one value above all numbers."""

    def ranks(given: list[float]) -> list[float]:
        values = [(math.isnan(v), 0.0 if math.isnan(v) else v) for v in given]
        return [sum(w < v for w in values) + (sum(w == v for w in values) + 1) / 2 for v in values]

    return pearson(ranks(x), ranks(y))


def direction_match(pair: Pair, *, of: str = "real", alpha: float = 0.05, single_precision: bool = False) -> Values:
    """Share of genes with equal sign; 0 equals 0, NaN equals NaN, missing ones stay out."""
    out = no_rows(pair.n)
    for i, case in enumerate(cases(pair, alpha, single_precision)):
        hits = []
        for row in case.called(of):
            x, y = case.real.get(row.gene), case.pred.get(row.gene)
            if x is None or y is None or x.lfc is None or y.lfc is None:
                continue
            if math.isnan(x.lfc) or math.isnan(y.lfc):
                hits.append(math.isnan(x.lfc) and math.isnan(y.lfc))
            else:
                hits.append(sign(x.lfc) == sign(y.lfc))
        if hits:
            out[i] = sum(hits) / len(hits)
    return out


def _lfc(row: Row | None) -> float:
    return 0.0 if row is None or row.lfc is None else row.lfc


def lfc_spearman(pair: Pair, *, which: str = "all", alpha: float = 0.05, single_precision: bool = False) -> Values:
    """Spearman correlation over the real significant genes; a lacking prediction counts as 0."""
    out = no_rows(pair.n)
    for i, case in enumerate(cases(pair, alpha, single_precision)):
        wanted = {"all": (-1, 0, 1), "pos": (1,), "neg": (-1,)}[which]
        unknown = which != "neg"
        rows = [
            row
            for row in case.called("real")
            if (unknown if row.lfc is not None and math.isnan(row.lfc) else sign(row.lfc) in wanted)
        ]
        if rows:
            both = [(row.lfc, _lfc(case.pred.get(row.gene))) for row in rows if row.lfc is not None]
            out[i] = spearman([x for x, _ in both], [y for _, y in both])
    return out


def nsig_spearman(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """Spearman correlation of the numbers of significant genes over perturbations with a real one."""
    counts = [(len(c.called("real")), len(c.called("pred"))) for c in cases(pair, alpha, single_precision)]
    active = [(float(a), float(b)) for a, b in counts if a > 0]
    value = spearman([a for a, _ in active], [b for _, b in active]) if active else 1.0
    return np.full(pair.n, value)


def lfc_nmae(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """Mean error of the fold change over the mean fold change, both absolute."""
    out = no_rows(pair.n)
    for i, case in enumerate(cases(pair, alpha, single_precision)):
        rows = [r for r in case.called("real", own=False) if r.lfc is not None and math.isfinite(r.lfc)]
        if len(rows) < 10:
            continue
        size = math.fsum(abs(_lfc(row)) for row in rows) / len(rows)
        if size == 0:
            continue
        errors = []
        for row in rows:
            guess = _lfc(case.pred.get(row.gene))
            errors.append(abs((guess if math.isfinite(guess) else 0.0) - _lfc(row)))
        out[i] = math.fsum(errors) / len(rows) / size
    return out
