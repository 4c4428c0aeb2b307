"""cell-eval2 0.20.0's rendering of cell-eval 0.7.6."""

from __future__ import annotations

from dataclasses import replace

from vcmetrics.presets.cell_eval2_v1 import PRESET as _V1

_DE = replace(_V1.de, epsilon=1e-9, clip=None, fdr_scope="per_pert", cpm_gate=5.0, auc_floor="clip")

PRESET = replace(
    _V1,
    name="cell-eval2-0.7.6",
    title="cell-eval 0.7.6, as cell-eval2 renders it",
    source="cell-eval2 (preset cell-eval-0.7.6) with pdex 0.3.0",
    de=_DE,
    de_variants={"pdex": _DE},
    target_sum=1e4,
    page=replace(
        _V1.page,
        space="Means of logs; counts are scaled to 10,000 per cell, both sides alike.",
        genes="All genes; the own gene is left out of match ranks alone. DE: control mean above 5 per million.",
    ),
    quirks=(
        *(q for q in _V1.quirks if "median total" not in q and "factor of 20" not in q and "float32" not in q),
        "Counts are scaled to 10,000 per cell, then logged.",
        "Fold changes are of geometric means with 1e-9 added; Benjamini-Hochberg runs per target over genes whose "
        "mean CPM in the control is strictly above 5 (counts only).",
        "Predicted p_adj is clipped to [1e-10, 1] in pr_auc and roc_auc.",
    ),
)
