"""scLDM: distances between predicted and observed cells."""

from __future__ import annotations

from vcmetrics.presets.literature import (
    PER_PERTURBATION,
    SKIPPED,
    member,
    paper,
)
from vcmetrics.presets.page import Page

PRESET = paper(
    name="scldm",
    title="scLDM: Wasserstein distances and MMD between cells",
    source="scLDM (3be2f3a)",
    version="1",
    members=(
        member("cells_wasserstein_1", "wasserstein_1"),
        member("cells_wasserstein_2", "wasserstein_2"),
        member("cells_mmd", "mmd_rbf", kernel="rbf", gamma=1.0, estimator="v"),
    ),
    page=Page(
        space="Logs of each cell: log(1 + 10,000 × share of its counts), in single precision; values that are no "
        "counts are taken as they are.",
        control="None is read: predicted and observed cells are compared.",
        reference="None.",
        genes="All genes.",
        ties=SKIPPED,
        aggregation=PER_PERTURBATION,
    ),
    quirks=(
        "Exact transport of uniformly weighted cells, Euclidean cost (power 1) and the root of the squared cost "
        "(power 2); "
        "the entropic variant is metrics={'cells_wasserstein_2': {'regularization': 0.05}}.",
        "The source takes its RBF kernel (gamma 1) of raw counts; here it is of the same logs as the rest. At that "
        "bandwidth "
        "it saturates at 1/n + 1/m whatever the data.",
        "Its Bray-Curtis, Ruzicka and Tanimoto kernels are left out.",
        "Every metric compares cells with cells, so the preset is left out of 'all' unless asked for (cells=True, "
        "--cells).",
    ),
    needs_control=False,
)
