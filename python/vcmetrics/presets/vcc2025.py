"""The Virtual Cell Challenge 2025: mean error, discrimination and overlap of significant genes."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from vcmetrics.presets.cell_eval import PRESET as _CELL_EVAL

PRESET = replace(
    _CELL_EVAL,
    name="vcc2025",
    title="Virtual Cell Challenge 2025",
    source="cell-eval (profile vcc) with pdex 0.3.0; de='pdex-0.1.27' for the challenge's own DE rules",
    profiles=MappingProxyType({"vcc": _CELL_EVAL.profiles["vcc"]}),
    default_profile="vcc",
    de_variants=MappingProxyType(
        {
            "pdex": _CELL_EVAL.de,
            "pdex-0.1.27": replace(_CELL_EVAL.de, clip=20.0, fdr_scope="global", gate_on="none"),
        }
    ),
    quirks=(
        *(
            q
            for q in _CELL_EVAL.quirks
            if not any(word in q for word in ("auc", "clustering", "precision_at", "spearman"))
        ),
        "DES is overlap_at_N: the prediction's significant genes are cut to the number of observed ones by fold "
        "change, and the divisor stays the observed number; 0 where nothing is significant.",
        "MAE cannot fall below a score of 0, so giving it up costs nothing more.",
        "The challenge ran cell-eval 0.6.6 with pdex 0.1.27: Benjamini-Hochberg over all rows at once, fold changes "
        "set to 20 or 1/20 where one mean is 0. de='pdex-0.1.27' does that; its exact test for untied groups of at "
        "most 8 cells is not reproduced, the asymptotic one is taken.",
    ),
)
