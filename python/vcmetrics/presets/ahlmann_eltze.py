"""Ahlmann-Eltze, Huber and Anders: deep models against linear baselines."""

from __future__ import annotations

from vcmetrics.presets.literature import (
    OBSERVED,
    PER_PERTURBATION,
    SKIPPED,
    TARGET_KEPT,
    mean_of_logs,
    member,
    paper,
)
from vcmetrics.presets.page import Page

_EXPRESSED = "top_expressed:1000"

PRESET = paper(
    name="ahlmann-eltze",
    title="Ahlmann-Eltze et al.: distance and correlation over the 1,000 most expressed genes",
    source="linear_perturbation_prediction-Paper (092743c)",
    version="1",
    members=(
        member("squared_error", "l2", reduce="root_sum", genes=_EXPRESSED),
        member("effect_pearson", "pearson_delta", genes=_EXPRESSED),
        member("interaction_tpr", "interaction_tpr", genes=_EXPRESSED),
    ),
    page=Page(
        space=mean_of_logs(),
        control=OBSERVED,
        reference="None for the distance, the control for the correlation.",
        genes="The 1,000 genes of the highest mean in the control, of equals the first: chosen without the truth.",
        ties=SKIPPED,
        aggregation=PER_PERTURBATION + " The paper also reports ratios to the mean baseline.",
    ),
    quirks=(
        "Genetic interactions (AB - (A + B - control)) need the single perturbations: give them as train=; else they "
        "are left "
        "out.",
        "The code names a Pearson correlation r2; it is called by its name here.",
        "The extended data choose genes by observed |effect| too, and warn that this needs the truth: "
        "metrics={'squared_error': {'genes': 'top_effect:1000', 'reduce': 'root_sum'}}.",
        TARGET_KEPT,
    ),
)
