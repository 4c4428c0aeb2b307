"""Systema: is a prediction specific, or does it follow what all perturbations share?"""

from __future__ import annotations

from vcmetrics.presets.literature import (
    LEAK,
    OBSERVED,
    ORACLE,
    PER_PERTURBATION,
    SKIPPED,
    TARGET_KEPT,
    mean_of_logs,
    member,
    paper,
)
from vcmetrics.presets.page import Page

PRESET = paper(
    name="systema",
    title="Systema: effects against the mean perturbation, and centroid accuracy",
    source="Systema (fe087c9)",
    version="1",
    members=(
        member("effect_pearson", "pearson_delta_control"),
        member("effect_pearson", "pearson_delta_control_top20", genes="t_test:20"),
        member("effect_pearson", "pearson_delta_perturbed", reference="perturbed_mean", leave_one_out=False),
        member(
            "effect_pearson",
            "pearson_delta_perturbed_top20",
            reference="perturbed_mean",
            leave_one_out=False,
            genes="t_test:20",
        ),
        member("squared_error", "rmse", reduce="root"),
        member("squared_error", "rmse_top20", reduce="root", genes="t_test:20"),
        member("centroid_accuracy", "centroid_accuracy"),
        member("jaccard_top", "jaccard_top20_control", genes="t_test:20", k=20),
        member(
            "jaccard_top",
            "jaccard_top20_perturbed",
            genes="t_test:20",
            k=20,
            reference="perturbed_mean",
            leave_one_out=False,
        ),
        member("mean_effect_cosine", "systematic_cosine"),
    ),
    page=Page(
        space=mean_of_logs(),
        control=OBSERVED,
        reference="The control, and the unweighted mean of the training perturbations' centroids, controls left out.",
        genes="All genes, and GEARS' 20 of the largest |t| against the control, also where effects are taken against "
        "the "
        "perturbed mean.",
        ties="Centroid accuracy: a tie is lost. " + SKIPPED,
        aggregation=PER_PERTURBATION
        + " Centroid accuracy: a share of n - 1 candidates, training centroids among them.",
    ),
    quirks=(
        "A prediction of the reference itself has no correlation against it: undefined, and counted.",
        "systematic_cosine is a diagnostic of the data: cosine of each observed effect and the mean one. Where it is "
        "high, "
        "correlations against the control are easy.",
        "RMSE of effects equals RMSE of profiles, whatever the reference: it cancels.",
        "Ties of centroids are losses, so one profile for all perturbations scores 0 where candidates are few and 0.5 "
        "only "
        "where every candidate is queried and none ties.",
        "Its routine for other references names an undefined list of genes; the rule that its README states is taken.",
        LEAK,
        ORACLE,
        TARGET_KEPT,
    ),
)
