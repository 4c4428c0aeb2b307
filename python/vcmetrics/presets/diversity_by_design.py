"""Diversity by Design (Needles in the Haystack): errors weighted by what tells perturbations apart."""

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

PRESET = paper(
    name="diversity-by-design",
    title="Diversity by Design: weighted error and weighted R² of effects",
    source="diversity_by_design (24a20c5); Needles in the Haystack, ICML 2026",
    version="1",
    members=(
        member("squared_error", "mse"),
        member("wmse", "wmse"),
        member("effective_genes", "effective_genes"),
        member("effect_pearson", "pearson_delta_control"),
        member("effect_pearson", "pearson_delta_perturbed", reference="condition_mean", leave_one_out=False),
        member("r2_weighted", "r2_weighted_control"),
        member("r2_weighted", "r2_weighted_perturbed", reference="condition_mean", leave_one_out=False),
    ),
    page=Page(
        space=mean_of_logs(),
        control=OBSERVED,
        reference="The control, and the mean of all condition means, the control counted as one condition.",
        genes="All genes, each weighted by its squared, stretched t score (scanpy's overestimated variance) of the "
        "perturbation's cells against all other perturbed cells.",
        ties="Where all scores of a perturbation are equal, weights are 0 if the scores are 0, else 1. " + SKIPPED,
        aggregation=PER_PERTURBATION,
    ),
    quirks=(
        "Weights come from the observed cells: a replicate made of the same cells is flattered; weigh it by other "
        "cells.",
        "A handful of genes carries nearly all weight: effective_genes tells how many.",
        "The reference holds the scored perturbations' truth, as in the source; with train= it is made of training "
        "data.",
        "The mean itself has no correlation against the mean: undefined, where the source reports NaN by construction.",
        TARGET_KEPT,
    ),
)
