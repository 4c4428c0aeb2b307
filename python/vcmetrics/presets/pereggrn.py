"""PEREGGRN: rank correlation, direction and errors of log fold changes."""

from __future__ import annotations

from vcmetrics.presets.literature import (
    OBSERVED,
    ORACLE,
    PER_PERTURBATION,
    lengths,
    mean_of_logs,
    member,
    paper,
)
from vcmetrics.presets.page import Page

PRESET = paper(
    name="pereggrn",
    title="PEREGGRN: Spearman, direction, summed errors, top genes",
    source="PEREGGRN (146e517), perturbation_benchmarking (2262b81)",
    version="1",
    members=(
        member("effect_spearman", "spearman"),
        member("squared_error", "mse", reduce="sum"),
        member("absolute_error", "mae"),
        *lengths("squared_error", "mse_top_{}", "effect_rank:{}", (20, 100, 200), reduce="sum"),
        *lengths("effect_pearson", "pearson_top_{}", "effect_rank:{}", (20, 100, 200), undefined="zero"),
        member("direction_correct", "proportion_correct_direction"),
        member("direction_p_value", "pvalue_effect_direction"),
        member("fold_change_contrast", "fc_targets_vs_non_targets"),
        *(member("overlap_top_n", f"overlap_top_{k}", k=k) for k in (20, 100, 200)),
        member("distance_in_pca", "distance_in_pca"),
    ),
    page=Page(
        space=mean_of_logs(),
        control=OBSERVED,
        reference="The control.",
        genes="All genes; top lists are the genes whose average rank of observed |effect| is at most n, which ties "
        "can make "
        "longer or shorter.",
        ties="Average ranks. Top correlations that fail count as 0, the others stay undefined.",
        aggregation=PER_PERTURBATION,
    ),
    quirks=(
        "mse and mse_top_n are sums of squares over genes, mae is a mean.",
        "The study reveals the observed level of the target to every model; overwrite it in the prediction to do so.",
        "Cell-type agreement needs the cell types of the training rows: metrics={'cell_type_agreement': {'classes': "
        "…}}.",
        "distance_in_pca needs training data, and is left out without them (train=).",
        ORACLE,
    ),
)
