"""One comparison as the result holds it."""

from __future__ import annotations

from vcmetrics.metrics.pair import Pair
from vcmetrics.results.score_result import ContextResult
from vcmetrics.scoring.compare import Scored
from vcmetrics.scoring.jobs import Job
from vcmetrics.scoring.notes import notes_of
from vcmetrics.scoring.settings import Settings
from vcmetrics.summary.plan import target_of


def context_result(job: Job, scored: Scored, settings: Settings) -> ContextResult:
    """Values, aggregates and notes of one context."""
    return ContextResult(
        context=job.context,
        perturbations=scored.pair.perturbations,
        values=scored.values,
        aggregate=scored.aggregate,
        reasons=scored.reasons,
        parts=scored.parts,
        unresolved=unresolved(scored.pair, settings),
        de_real=scored.pair.de_real,
        de_pred=scored.pair.de_pred,
        notes=tuple(notes_of(scored.pair, settings)),
    )


def unresolved(pair: Pair, settings: Settings) -> tuple[str, ...]:
    """Perturbations whose target gene is neither measured nor declared absent."""
    return tuple(
        label
        for label, own in zip(pair.perturbations, pair.own.tolist(), strict=True)
        if own < 0 and target_of(label, settings.target_map) is not None
    )
