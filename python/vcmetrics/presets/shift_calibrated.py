"""The Shift study (Perturbation Models Outperform Baselines): its metrics before calibration."""

from __future__ import annotations

from vcmetrics.presets.literature import (
    LEAK,
    OBSERVED,
    SKIPPED,
    TARGET_KEPT,
    mean_of_logs,
    member,
    paper,
)
from vcmetrics.presets.page import Page

PRESET = paper(
    name="shift-calibrated",
    title="Shift: errors, correlations and weighted R² in two references, and retrieval",
    source="Perturbation-Models-Outperform-Baselines (08db3c1)",
    version="1",
    members=(
        member("squared_error", "mse"),
        member("wmse", "wmse", flat="nan"),
        member("effect_pearson", "pearson_deltactrl"),
        member("effect_pearson", "pearson_deltapert", reference="perturbed_mean", leave_one_out=False),
        member("r2", "r2_deltactrl", reference="control"),
        member("r2", "r2_deltapert", reference="perturbed_mean", leave_one_out=False),
        member("r2_weighted", "weighted_r2_deltactrl", flat="nan", zero_weights="uniform"),
        member(
            "r2_weighted",
            "weighted_r2_deltapert",
            reference="perturbed_mean",
            leave_one_out=False,
            flat="nan",
            zero_weights="uniform",
        ),
        member("nir", "nir"),
    ),
    page=Page(
        space=mean_of_logs(),
        control=OBSERVED,
        reference="The control, and the mean over the (donor, condition) training means.",
        genes="All genes; weights from t scores of the ground-truth cells against all other perturbed cells, the "
        "control "
        "dropped.",
        ties="Retrieval (nir): a tie is lost. Equal scores leave no weight, and the weighted error is undefined; R² "
        "then "
        "falls back to equal weights. " + SKIPPED,
        aggregation="One value a perturbation; mean here, mean or median of the dynamic range fraction in the study.",
    ),
    quirks=(
        "Raw values: the study's dynamic range fraction places them between a negative control (the mean, or the "
        "control "
        "where effects are taken against the mean) and an interpolated duplicate of the cells.",
        "Its metrics restricted to significant genes are left out: the code reads the mask of genes in another order "
        "than "
        "the columns, so its published values depend on a hash seed.",
        "A metric with fewer than 10 defined perturbations is dropped by the study, and reported here with their "
        "number.",
        LEAK,
        TARGET_KEPT,
    ),
)
