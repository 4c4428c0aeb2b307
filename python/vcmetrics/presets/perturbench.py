"""PerturBench: errors of means, cosine of log fold changes, and the rank of the own prediction."""

from __future__ import annotations

from vcmetrics.presets.literature import (
    OBSERVED,
    PER_PERTURBATION,
    TARGET_KEPT,
    mean_of_logs,
    member,
    paper,
)
from vcmetrics.presets.page import Page

_LOGFC = {"space": "log2_of_means"}

PRESET = paper(
    name="perturbench",
    title="PerturBench: RMSE of means, cosine of log fold changes, ranks",
    source="PerturBench (August 2024)",
    version="1",
    members=(
        member("squared_error", "rmse_average", reduce="root"),
        member("effect_cosine", "cosine_logfc", undefined="zero", **_LOGFC),
        member("rmse_rank", "rmse_rank_average"),
        member("cosine_rank", "cosine_rank_logfc", **_LOGFC),
    ),
    page=Page(
        space=mean_of_logs() + " Log fold changes: log2(mean + 0.1) of these means, minus that of the control.",
        control=OBSERVED,
        reference="None for errors; the control for log fold changes.",
        genes="All genes, target genes too.",
        ties="Equal distances share the middle rank, where the source shuffles. A cosine with a zero norm counts as 0.",
        aggregation=PER_PERTURBATION + " Ranks: 0 is best, about 0.5 chance; divided by n - 1 (the 2024 code: n).",
    ),
    quirks=(
        "Ranks ask which prediction is closest to a truth, the opposite of the discrimination score.",
        "Fold changes are of log-normalised means: the source does not return to counts.",
        TARGET_KEPT,
    ),
)
