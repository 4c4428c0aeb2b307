"""What :func:`vcmetrics.score` returns."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from vcmetrics.metrics.aggregate import Parts
from vcmetrics.summary.de_table import DETable

if TYPE_CHECKING:
    import pandas as pd

    from vcmetrics.scoring.interval import Intervals

    MaskedFloats = np.ma.MaskedArray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class ContextResult:
    """Scores of one context (cell line, donor, …); ``context`` is None where the data were not split.

    ``values[metric]`` holds one value a perturbation; NaN = undefined, masked = the rule set emits no row.
    ``aggregate`` is over perturbations, ``parts`` what each is made of; ``reasons`` says why an aggregate or a scaled
    value is NaN. ``unresolved`` are perturbations whose target gene is neither measured nor declared absent: they are
    scored with it left in.
    """

    context: str | None
    perturbations: tuple[str, ...]
    values: Mapping[str, MaskedFloats]
    aggregate: Mapping[str, float]
    reasons: Mapping[str, str] = field(default_factory=dict)
    baseline: Mapping[str, float] = field(default_factory=dict)
    replicate: Mapping[str, float] = field(default_factory=dict)
    scaled: Mapping[str, float] = field(default_factory=dict)
    overall: float = float("nan")
    parts: Mapping[str, Parts] = field(default_factory=dict)
    unresolved: tuple[str, ...] = ()
    de_real: DETable | None = None
    de_pred: DETable | None = None
    notes: tuple[str, ...] = ()

    def n_used(self, metric: str) -> int:
        """Number of perturbations with a defined value."""
        v = self.values.get(metric)
        return 0 if v is None else int(np.isfinite(v.filled(np.nan)).sum())

    def n_undefined(self, metric: str) -> int:
        """Number of perturbations whose value is undefined or left out."""
        v = self.values.get(metric)
        return 0 if v is None else len(self.perturbations) - self.n_used(metric)


def mean_over(contexts: tuple[ContextResult, ...], what: str) -> dict[str, float]:
    """Mean of one mapping over contexts, with equal weight; NaN in any context makes it NaN."""
    names = list(dict.fromkeys(m for c in contexts for m in getattr(c, what)))
    return {m: float(np.mean([getattr(c, what).get(m, np.nan) for c in contexts])) for m in names}


@dataclass(frozen=True)
class ScoreResult:
    """Scores of a prediction, raw and scaled, with everything needed to reproduce them.

    ``aggregate_values``, ``scaled_values``, ``baseline_values`` and ``replicate_values`` are plain dictionaries
    metric → value (equal-weight mean over contexts); ``aggregate`` and ``scaled`` are the same as pandas Series.
    ``intervals`` is None unless :func:`vcmetrics.score` was asked for them with ``ci``.
    """

    contexts: tuple[ContextResult, ...]
    preset: str
    profile: str
    directions: Mapping[str, str]
    settings: Mapping[str, Any]
    timings: Mapping[str, float]
    intervals: Intervals | None = None

    @property
    def aggregate_values(self) -> dict[str, float]:
        """Metric → value over perturbations, averaged over contexts."""
        return mean_over(self.contexts, "aggregate")

    @property
    def scaled_values(self) -> dict[str, float]:
        """Metric → scaled score; empty without a scale."""
        return mean_over(self.contexts, "scaled")

    @property
    def baseline_values(self) -> dict[str, float]:
        """Metric → value of the baseline; empty without a scale."""
        return mean_over(self.contexts, "baseline")

    @property
    def replicate_values(self) -> dict[str, float]:
        """Metric → value of the replicate; empty without a scale."""
        return mean_over(self.contexts, "replicate")

    @property
    def overall(self) -> float:
        """The overall scaled score: mean of the contexts' overalls; NaN without a scale."""
        return float(np.mean([c.overall for c in self.contexts]))

    @property
    def reasons(self) -> dict[str, str]:
        """Metric → why its aggregate or scaled value is undefined."""
        return {m: r for c in self.contexts for m, r in c.reasons.items()}

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of how references were made: a truth that is in its own reference, and the like."""
        return tuple(dict.fromkeys(note for c in self.contexts for note in c.notes))

    @property
    def de_real(self) -> pd.DataFrame | None:
        """Differential expression of the reference, long; None where no metric needed it."""
        return self._de("de_real")

    @property
    def de_pred(self) -> pd.DataFrame | None:
        """Differential expression of the prediction, long; None where no metric needed it."""
        return self._de("de_pred")

    def _de(self, which: str) -> pd.DataFrame | None:
        import pandas as pd

        frames = []
        for c in self.contexts:
            table = getattr(c, which)
            if table is not None:
                frame = table.to_frame()
                if c.context is not None:
                    frame.insert(0, "context", c.context)
                frames.append(frame)
        return pd.concat(frames, ignore_index=True) if frames else None

    @property
    def per_perturbation(self) -> pd.DataFrame:
        """One row a perturbation (index [context,] perturbation), one column a metric; NaN where undefined."""
        import pandas as pd

        frames = []
        for c in self.contexts:
            frame = pd.DataFrame(
                {m: v.filled(np.nan) for m, v in c.values.items()}, index=pd.Index(c.perturbations, name="perturbation")
            )
            frames.append(frame)
        if self.contexts[0].context is None:
            return frames[0]
        return pd.concat(frames, keys=[c.context for c in self.contexts], names=["context", "perturbation"])

    @property
    def aggregate(self) -> pd.Series[float]:
        """Series metric → value over perturbations."""
        import pandas as pd

        return pd.Series(self.aggregate_values, name="value", dtype=np.float64)

    @property
    def scaled(self) -> pd.Series[float]:
        """Series metric → scaled score; empty without a scale."""
        import pandas as pd

        return pd.Series(self.scaled_values, name="scaled", dtype=np.float64)

    @property
    def interval_table(self) -> pd.DataFrame:
        """One row a metric: value, lower, upper and, with a scale, scaled, scaled_lower, scaled_upper.

        Raises
        ------
        ValueError
            If no intervals were asked for.
        """
        import pandas as pd

        if self.intervals is None:
            msg = "no intervals were made; call score(..., ci=0.95)"
            raise ValueError(msg)
        found = self.intervals
        names = list(self.aggregate_values)
        columns: dict[str, Any] = {"value": self.aggregate_values}
        for k, end in enumerate(("lower", "upper")):
            columns[end] = {m: e[k] for m, e in found.aggregate.items()}
        if found.scaled:
            columns["scaled"] = self.scaled_values
            for k, end in enumerate(("scaled_lower", "scaled_upper")):
                columns[end] = {m: e[k] for m, e in found.scaled.items()}
        table = {name: [c.get(m, np.nan) for m in names] for name, c in columns.items()}
        return pd.DataFrame(table, index=pd.Index(names, name="metric"))

    def write(self, outdir: str | os.PathLike[str], *, write_de: bool = False) -> None:
        """Write ``results.csv``, ``agg_results.csv``, ``scores.csv`` and ``run.json`` (and DE tables) to ``outdir``.

        All files appear together or none.
        """
        from vcmetrics.results.files import write_score

        write_score(self, outdir, write_de=write_de)
