"""CPA: R² of means and of variances."""

from __future__ import annotations

from vcmetrics.presets.literature import (
    ORACLE,
    PER_PERTURBATION,
    SKIPPED,
    mean_of_logs,
    member,
    paper,
)
from vcmetrics.presets.page import Page

_DE = "t_test:50"

PRESET = paper(
    name="cpa",
    title="CPA and chemCPA: R² of means and variances, all genes and the top 50",
    source="CPA (fbd7c02), chemCPA",
    version="1",
    members=(
        member("r2", "R2_mean"),
        member("r2", "R2_mean_DE", genes=_DE),
        member("r2_variance", "R2_var"),
        member("r2_variance", "R2_var_DE", genes=_DE),
    ),
    page=Page(
        space=mean_of_logs(),
        control="The observed control cells choose the genes; nothing is subtracted.",
        reference="None: profiles themselves, and the variances over cells.",
        genes="All genes, and the 50 of the largest |t| of the perturbation's cells against the control.",
        ties="A truth without variance between genes has no R². " + SKIPPED,
        aggregation=PER_PERTURBATION,
    ),
    quirks=(
        "R² with the truth first: the order of the arguments matters.",
        "R² of profiles is near 1 for a prediction of no change, since genes differ more than perturbations do.",
        "The source predicts a variance for every cell and takes their mean; here it is that of the predicted cells.",
        "chemCPA skips perturbations of 5 cells and fewer: metrics={'r2': {'min_cells': 6}}.",
        ORACLE,
    ),
)
