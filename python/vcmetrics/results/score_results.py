"""What :func:`vcmetrics.score` returns for several presets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vcmetrics.results.score_result import ScoreResult
from vcmetrics.results.verdict import Standing, Verdict

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ScoreResults(Mapping[str, ScoreResult]):
    """Preset → :class:`ScoreResult`, in the order asked for, and where the presets disagree.

    ``verdicts`` says metric by metric whether the prediction is better than the mean of all perturbations; ``left_out``
    why presets of ``"all"`` were not scored.
    """

    results: Mapping[str, ScoreResult]
    judged: tuple[Verdict, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, preset: str) -> ScoreResult:
        """Result of one preset."""
        return self.results[preset]

    def __iter__(self) -> Iterator[str]:
        """Names of the presets."""
        return iter(self.results)

    def __len__(self) -> int:
        """Number of presets."""
        return len(self.results)

    @property
    def standings(self) -> dict[str, Standing]:
        """Preset → how many of its metrics put the prediction above, below or level with the mean baseline."""
        out = {}
        for preset in self.results:
            found = [v.verdict for v in self.judged if v.preset == preset]
            out[preset] = Standing(preset, found.count("above"), found.count("below"), found.count("equal"))
        return out

    @property
    def disagree(self) -> bool:
        """Whether the prediction is above the mean baseline by some rules and below it by others."""
        found = {standing.verdict for standing in self.standings.values()}
        return {"above", "below"} <= found

    @property
    def verdicts(self) -> pd.DataFrame:
        """One row a preset and metric: preset, metric, better, value, baseline, verdict, reason."""
        import pandas as pd

        return pd.DataFrame(self.verdict_rows(), columns=list(COLUMNS))

    @property
    def table(self) -> pd.DataFrame:
        """All aggregates side by side: one row a preset and metric, columns value, better, n_used, n_undefined."""
        import pandas as pd

        from vcmetrics.results.files import counts

        rows = []
        for preset, result in self.results.items():
            for metric, value in result.aggregate_values.items():
                rows.append((preset, metric, value, str(result.directions[metric]), *counts(result, metric)))
        names = ["preset", "metric", "value", "better", "n_used", "n_undefined"]
        return pd.DataFrame(rows, columns=names).set_index(["preset", "metric"])

    def verdict_rows(self) -> list[tuple[str, str, str, float, float | None, str, str]]:
        """Rows of ``verdicts``."""
        return [(v.preset, v.metric, v.better, v.value, v.baseline, v.verdict, v.reason) for v in self.judged]

    def write(self, outdir: str | os.PathLike[str], *, write_de: bool = False) -> None:
        """Write a folder a preset (see :meth:`ScoreResult.write`) and ``verdicts.csv``: all appear, or none."""
        from vcmetrics.results.files import write_scores

        write_scores(self, outdir, write_de=write_de)


COLUMNS = ("preset", "metric", "better", "value", "baseline", "verdict", "reason")
