"""Is a prediction better than the mean of all perturbations, by each metric of a rule set?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vcmetrics.metrics import registry
from vcmetrics.metrics.pair import Pair, Profiles
from vcmetrics.results.verdict import Verdict
from vcmetrics.scoring.compare import Gathered, aggregates, metric_values
from vcmetrics.scoring.settings import Settings, needs_of

READ_OF_MEAN = {"profiles", "correction", "variance", "batches", "train"}  # what a mean profile can be judged by


def mean_baseline(pair: Pair) -> Pair:
    """The pair with its prediction replaced by the mean observed profile, one and the same for every perturbation.

    The mean is unweighted, over the training perturbations where the pair has them, else over the scored ones. Its
    cells are as many as predicted and all alike for the corrections (no sampling variance); their variance, where a
    metric reads it, is the mean of the observed ones.
    """

    def make() -> Pair:
        pred, real = pair.profiles()
        source = real.mean if pair.train is None else pair.train.mean
        flat = Profiles(
            mean=np.broadcast_to(source.mean(axis=0), real.mean.shape),
            control=real.control,
            correction=None if pred.correction is None else np.zeros(pair.n),
            control_correction=pred.control_correction,
            n_cells=pred.n_cells,
            control_n_cells=pred.control_n_cells,
            variance=None if real.variance is None else np.broadcast_to(real.variance.mean(axis=0), real.mean.shape),
            control_variance=real.control_variance,
        )
        return replace(pair, pred=flat, embeddings={}, cells=None)

    return pair.shared("mean_baseline", make)


def judged(settings: Settings) -> Settings:
    """The same rules with those metrics alone that have a direction and can be had of profiles."""
    chosen = []
    for member in settings.members:
        spec = registry.get(member.metric)
        needs = spec.needs | needs_of(member.params) - {"de"}  # genes are chosen by the observed DE table
        if spec.better != "none" and needs <= READ_OF_MEAN and member.params.get("embedding") is None:
            chosen.append(member)
    return replace(settings, members=tuple(chosen))


def baseline_values(got: Gathered, settings: Settings) -> dict[str, float]:
    """Aggregates of the mean baseline, by name in the results, of the metrics that can be judged."""
    chosen = judged(settings)
    if not chosen.members:
        return {}
    values, *_ = metric_values(mean_baseline(got.pair), chosen, single=got.single)
    return aggregates(values, chosen)[0]


def verdicts_of(preset: str, settings: Settings, values: dict[str, float], baseline: dict[str, float]) -> list[Verdict]:
    """A verdict a metric; metrics without a direction have none."""
    out = []
    for member in settings.members:
        spec = registry.get(member.metric)
        if spec.better == "none":
            continue
        reason, base = "", baseline.get(member.output)
        if base is None:
            reason = "needs cells, which a mean profile does not have; score this preset alone with scale='baseline'"
        elif np.isnan(base):
            reason = "undefined for the mean profile"
            if spec.chance is not None:
                base, reason = spec.chance, f"{reason}: chance ({spec.chance:g}) stands in"
        out.append(Verdict(preset, member.output, spec.better, values[member.output], base, reason))
    return out
