"""Prophet: rank correlation and R² of phenotypes."""

from __future__ import annotations

from vcmetrics.presets.literature import (
    SKIPPED,
    member,
    paper,
)
from vcmetrics.presets.page import Page

PRESET = paper(
    name="prophet",
    title="Prophet: Spearman and R² over perturbations, phenotype by phenotype",
    source="Prophet (435da60)",
    version="1",
    members=(
        member("r_gene", "spearman_per_phenotype", method="spearman", statistic="mean"),
        member("effect_spearman", "spearman_per_perturbation", reference="none"),
        member("r2", "r2_per_perturbation"),
    ),
    page=Page(
        space="Phenotype values as they are, perturbations × phenotypes.",
        control="None is read.",
        reference="None.",
        genes="All phenotypes (the columns).",
        ties="Average ranks. " + SKIPPED,
        aggregation="Mean over phenotypes of a correlation across perturbations, or mean over perturbations.",
    ),
    quirks=(
        "The paper pools all test points, or averages over phenotypes; pooled values are not made here, since "
        "phenotypes of "
        "different scale would decide them.",
        "Rows that share a label are averaged.",
    ),
    input_type="values",
    needs_control=False,
)
