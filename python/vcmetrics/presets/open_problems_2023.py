"""Open Problems, the NeurIPS 2023 Kaggle challenge: tables of signed -log10 p."""

from __future__ import annotations

from vcmetrics.presets.literature import (
    SKIPPED,
    member,
    paper,
)
from vcmetrics.presets.page import Page

PRESET = paper(
    name="open-problems-2023",
    title="Open Problems 2023: rowwise errors and correlations of signed -log10 p",
    source="task_perturbation_prediction (2fa4446); ScAPE",
    version="1",
    members=(
        member("squared_error", "mrrmse", reduce="root"),
        member("absolute_error", "mrmae"),
        member("effect_pearson", "mean_rowwise_pearson", reference="none"),
        member("effect_spearman", "mean_rowwise_spearman", reference="none"),
        member("effect_cosine", "mean_rowwise_cosine", reference="none"),
    ),
    page=Page(
        space="Signed -log10 p values as they are, one row a cell type and compound; the challenge's default layer is "
        "the "
        "clipped one.",
        control="None: a value is an effect already.",
        reference="None.",
        genes="All genes.",
        ties=SKIPPED,
        aggregation="Mean over rows; MRRMSE is a mean of roots, not the root of a mean.",
    ),
    quirks=(
        "Give tables, not cells: one row a cell type and compound, named by the column of perturbations.",
        "The published text divides its Pearson correlation by variances; the code correlates as usual, and so does "
        "this.",
        "Rows that share a label are averaged.",
    ),
    input_type="values",
    needs_control=False,
)
