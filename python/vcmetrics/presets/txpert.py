"""TxPert: effects against controls of the same batch, and retrieval by correlation."""

from __future__ import annotations

from vcmetrics.presets.literature import (
    ORACLE,
    TARGET_KEPT,
    ZERO,
    lengths,
    mean_of_logs,
    member,
    paper,
)
from vcmetrics.presets.page import Page

_MATCHED = {"reference": "batch_control", "undefined": "zero"}

PRESET = paper(
    name="txpert",
    title="TxPert: batch-matched effects and retrieval",
    source="TxPert (162df96)",
    version="1",
    members=(
        member("effect_pearson", "pearson_delta", **_MATCHED),
        *lengths("effect_pearson", "pearson_delta_top{}", "t_test:{}", (20, 100), **_MATCHED),
        member("normed_retrieval", "normed_retrieval"),
        member("fast_retrieval", "fast_retrieval"),
        member("squared_error", "mse_profile"),
        member("r2", "r2", arguments="swapped"),
    ),
    page=Page(
        space=mean_of_logs("4,000"),
        control="The observed control cells of the same batch, weighted by the perturbation's cells in each batch.",
        reference="The batch-matched control.",
        genes="All genes; the 20 and 100 of the largest |t| against the control.",
        ties=ZERO + " Retrieval: ties stand in the order of the labels, ranks count from 1 and are divided by n.",
        aggregation="One value a perturbation and cell type (contexts are scored apart), then means.",
    ),
    quirks=(
        "Needs batch_col, with control cells in every batch; what all cells of a batch share then cancels.",
        "A perfect retrieval is (n - 1)/n, never 1, and chance (n - 1)/2n.",
        "fast_retrieval ranks among 100 drawn candidates; the draw is this package's (seed 0), not the source's.",
        "r2 takes the prediction for the truth, as the source does; its other metrics do not.",
        "The source's mse compares each predicted cell with the observed cell that it was made for; here profiles are "
        "compared (mse_profile), which lacks the variance within the observed group.",
        "Doses are not told apart: name them in the labels.",
        ORACLE,
        TARGET_KEPT,
    ),
    target_sum=4e3,
    inputs=("batch_col",),
)
