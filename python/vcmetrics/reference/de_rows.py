"""Two differential-expression tables as plain rows, for the references of the DE metrics."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vcmetrics.metrics.pair import Pair
from vcmetrics.summary.de_table import DETable


@dataclass(frozen=True)
class Row:
    """One gene of one perturbation; None is missing, which is not NaN."""

    gene: str
    lfc: float | None
    p: float | None
    q: float | None
    place: int

    def significant(self, alpha: float) -> bool:
        """p_adj below the level, strictly."""
        return self.q is not None and self.q < alpha


def sign(lfc: float | None) -> int:
    """Direction of a fold change; 0 where it has none."""
    return 0 if lfc is None or math.isnan(lfc) or lfc == 0 else 1 if lfc > 0 else -1


def rows(table: DETable, perturbation: str, single: bool) -> dict[str, Row]:
    """Gene name to row, in table order."""
    if perturbation not in table.targets:
        return {}
    i = table.targets.index(perturbation)
    found = []
    for j, gene in enumerate(table.genes):
        if table.present is not None and not table.present[i, j]:
            continue
        null = 0 if table.null is None else int(table.null[i, j])

        def cell(values: np.ndarray, bit: int, null: int = null, j: int = j) -> float | None:
            if null & bit:
                return None
            with np.errstate(over="ignore", under="ignore"):
                return float(np.float32(values[i, j])) if single else float(values[i, j])

        place = j if table.position is None else int(table.position[i, j])
        found.append(Row(str(gene), cell(table.lfc, 1), cell(table.p_value, 4), cell(table.p_adj, 2), place))
    return {row.gene: row for row in sorted(found, key=lambda row: row.place)}


@dataclass(frozen=True)
class Case:
    """Both tables of one perturbation, the level, and the own gene's name."""

    real: dict[str, Row]
    pred: dict[str, Row]
    alpha: float
    own: str | None

    def called(self, side: str, own: bool = True) -> list[Row]:
        """Significant rows of a side, in table order; ``own=False`` leaves the own gene out."""
        table = self.real if side == "real" else self.pred
        return [r for r in table.values() if r.significant(self.alpha) and (own or r.gene != self.own)]


def cases(pair: Pair, alpha: float, single_precision: bool) -> list[Case]:
    """One case a perturbation."""
    assert pair.de_real is not None
    assert pair.de_pred is not None
    level = float(np.float32(alpha)) if single_precision else alpha
    names = pair.own_de or tuple(str(pair.genes[g]) if g >= 0 else None for g in pair.own)
    return [
        Case(rows(pair.de_real, p, single_precision), rows(pair.de_pred, p, single_precision), level, own)
        for p, own in zip(pair.perturbations, names, strict=True)
    ]
