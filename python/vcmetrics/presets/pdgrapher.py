"""PDGrapher: which genes to target, and the response to it."""

from __future__ import annotations

from vcmetrics.presets.literature import (
    PER_PERTURBATION,
    SKIPPED,
    mean_of_logs,
    member,
    paper,
)
from vcmetrics.presets.page import Page

PRESET = paper(
    name="pdgrapher",
    title="PDGrapher: squared correlation of profiles; ranks of targets",
    source="PDGrapher (41285f9)",
    version="1",
    members=(
        member("r2_pearson", "r2_scgen"),
        member("r2", "r2"),
        member("squared_error", "mse"),
    ),
    more={
        "targets": (
            member("target_rank", "target_rank"),
            member("target_ndcg", "ndcg"),
            *(member("target_recall", f"recall_{k}", top_k=k) for k in (1, 10, 100, 1000)),
            member("target_hit", "partially_accurate"),
        )
    },
    page=Page(
        space="Profiles as given, else "
        + mean_of_logs()[0].lower()
        + mean_of_logs()[1:]
        + " Profile 'targets': the prediction "
        "is a score for each gene, larger for a likelier target.",
        control="None is read.",
        reference="None.",
        genes="All genes; targets are those that the labels name, or target_map.",
        ties="Genes of equal score stand in the order of the data. " + SKIPPED,
        aggregation=PER_PERTURBATION,
    ),
    quirks=(
        "What the source calls R² scgen is a squared correlation and never negative; r2 beside it is the real one.",
        "Profile 'targets' scores the inverse problem: 1 - rank/genes averaged over true targets, nDCG with that "
        "gain, recall "
        "at k, and any hit among as many genes as there are targets.",
        "The source's Jaccard divides by the whole ranking and only its being above 0 is used: partially_accurate.",
    ),
    needs_control=False,
)
