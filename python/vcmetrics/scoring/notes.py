"""What a reader of a result must know about how its references were made."""

from __future__ import annotations

from collections.abc import Iterator

from vcmetrics.metrics.pair import Pair
from vcmetrics.scoring.settings import Settings
from vcmetrics.sources.genes import some

# means of observed perturbed profiles, which hold the truth unless training data are given apart
PERTURBED_MEANS = ("perturbed_mean", "perturbed_mean_cells", "condition_mean", "guide_count_mean")


def notes_of(pair: Pair, settings: Settings) -> Iterator[str]:
    """Sentences about one comparison."""
    against = [m.output for m in settings.members if m.params.get("reference") in PERTURBED_MEANS]
    if against and pair.train is None:
        yield (
            f"{some(against, 3)}: the perturbed mean is that of the scored perturbations, so their truth is in the "
            "reference; give training data (train=, --train) to keep it out"
        )
    if pair.train is not None:
        known = set(pair.train.labels)
        both = [p for p in pair.perturbations if p in known]
        if both:
            yield f"{len(both)} of {pair.n} scored perturbations are in the training data: {some(both, 3)}"
    if pair.batches is not None and pair.batches.pred_cells is pair.batches.real_cells:
        yield "the prediction names no batches: its controls are matched by those of the observed cells"
