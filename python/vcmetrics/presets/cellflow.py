"""CellFlow: R² of means and distances between predicted and observed cells."""

from __future__ import annotations

from vcmetrics.distances.conventions import get_convention
from vcmetrics.presets.literature import (
    PER_PERTURBATION,
    SKIPPED,
    mean_of_logs,
    member,
    paper,
)
from vcmetrics.presets.page import Page

_CONVENTION = get_convention("cellflow").parameters

PRESET = paper(
    name="cellflow",
    title="CellFlow: R², energy distance, Sinkhorn divergence, MMD",
    source="CellFlow (446ed60)",
    version="1",
    members=(
        member("r2", "r_squared"),
        member("cells_edistance", "e_distance", **_CONVENTION["edistance"]),
        member("cells_mmd", "mmd", **_CONVENTION["mmd"]),
        member("cells_sinkhorn_divergence", "sinkhorn_div_1", epsilon=1.0),
        member("cells_sinkhorn_divergence", "sinkhorn_div_10", epsilon=10.0),
        member("cells_sinkhorn_divergence", "sinkhorn_div_100", epsilon=100.0),
    ),
    page=Page(
        space="The values given, or " + mean_of_logs()[0].lower() + mean_of_logs()[1:] + " The source takes principal "
        "components or the latent space of a variational autoencoder, and decoded expression.",
        control="None is read: predicted and observed cells are compared.",
        reference="None.",
        genes="All features given.",
        ties=SKIPPED,
        aggregation=PER_PERTURBATION,
    ),
    quirks=(
        "The energy distance is of squared Euclidean distances over all n² pairs: twice the squared difference of the "
        "means, "
        "blind to variance and shape.",
        "MMD is the mean over six bandwidths, the diagonal in, so a replicate is not at 0.",
        "Pass principal components as the values (--set input_type=values) to score in their space; values of "
        "different "
        "spaces and numbers of cells are not comparable.",
        "Distances of cells are left out where several presets are scored, unless asked for (cells=True, --cells).",
    ),
    needs_control=False,
)
