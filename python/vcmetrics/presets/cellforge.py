"""CellForge: errors, correlations and recall of significant genes."""

from __future__ import annotations

from vcmetrics.presets.literature import (
    OBSERVED,
    PER_PERTURBATION,
    SKIPPED,
    mean_of_logs,
    member,
    paper,
)
from vcmetrics.presets.page import Page
from vcmetrics.presets.preset import DERules

PRESET = paper(
    name="cellforge",
    title="CellForge: error, correlation, R² and recall of DE genes",
    source="CellForge (147f13b)",
    version="1",
    members=(
        member("squared_error", "mse"),
        member("effect_pearson", "pcc", reference="none"),
        member("r2", "r2"),
        member("de_wilcoxon_sig_recall", "deg_recall"),
    ),
    page=Page(
        space=mean_of_logs() + " Rank tests on the same values.",
        control=OBSERVED,
        reference="None for errors and correlations; the control for the rank test.",
        genes="All genes, none filtered. DE: Wilcoxon, Benjamini-Hochberg below 0.05 a perturbation, |log2 fold "
        "change| of at "
        "least 0.5.",
        ties="No observed significant gene: recall is undefined. " + SKIPPED,
        aggregation=PER_PERTURBATION,
    ),
    quirks=(
        "The number of predicted cells sets the power of the predicted side's test: give as many as observed.",
        "Fold changes are scanpy's, of expm1(mean log) with 1e-9 added; a gene counts above 0.5 strictly.",
        "Counts are ranked by their share of the cell, as their logs would be but for rounding.",
    ),
    de=DERules(mean="geometric", cpm_gate=None, gate_on="none", continuity=False, min_abs_log2fc=0.5),
)
