"""Meaning of the retrieval of phenotypes: prototypes and pairs one after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.reference.roc import roc_area


def phenotype_auroc(
    pair: Pair, *, classes: Mapping[str, str] | None = None, leave_one_out: bool = True
) -> NDArray[np.float64]:
    """Mean over pairs of classes of the AUROC of the difference of two scores."""
    assert classes is not None
    pred, real = pair.profiles()
    of = [classes.get(p) for p in pair.perturbations]
    names = sorted({c for c in of if c is not None})

    def score(i: int, name: str) -> float:
        rows = [j for j in range(pair.n) if of[j] == name and not (leave_one_out and j == i)]
        if not rows:
            return math.nan
        total = 0.0
        for g in range(real.mean.shape[1]):
            prototype = math.fsum(real.mean[j, g] for j in rows) / len(rows)
            total += float(pred.mean[i, g] - prototype) ** 2
        return -float(total / real.mean.shape[1])

    areas = []
    for a in names:
        for b in names:
            if a < b:
                lead = [(of[i] == a, score(i, a) - score(i, b)) for i in range(pair.n) if of[i] in (a, b)]
                kept = [(yes, s) for yes, s in lead if not math.isnan(s)]
                areas.append(roc_area([yes for yes, _ in kept], [s for _, s in kept]))
    defined = [x for x in areas if not math.isnan(x)]
    return np.full(pair.n, math.fsum(defined) / len(defined) if defined else math.nan)
