"""The files of a run: results.csv, agg_results.csv, scores.csv, run.json and the DE tables."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics.results.staging import staged_directory

if TYPE_CHECKING:
    from vcmetrics.results.score_result import ContextResult, ScoreResult
    from vcmetrics.results.score_results import ScoreResults

STATISTICS = ("count", "null_count", "mean", "std", "min", "max", "median")
WIDE_STATISTICS = ("count", "null_count", "mean", "std", "min", "25%", "50%", "75%", "max")


def number(value: float) -> str:
    """Shortest text that reads back as the same double; ``NaN``, ``inf`` and ``-inf`` for the rest."""
    value = float(value)
    return "NaN" if math.isnan(value) else repr(value)


def write_score(result: ScoreResult, outdir: str | os.PathLike[str], *, write_de: bool = False) -> None:
    """Write all files of ``result`` to ``outdir``: all appear together, or none."""
    if write_de:
        require_parquet()
    with staged_directory(outdir) as folder:
        write_into(result, folder, write_de=write_de)


def write_into(result: ScoreResult, folder: Path, *, write_de: bool = False) -> None:
    """Write all files of ``result`` into an existing folder."""
    split = result.contexts[0].context is not None
    lead = ["context"] if split else []
    wide = result.settings.get("layout") == "wide"
    if wide:
        names = list(dict.fromkeys(metric for context in result.contexts for metric in context.values))
        _table(folder / "results.csv", [*lead, "perturbation", *names], _wide_rows(result, names))
    else:
        _table(folder / "results.csv", [*lead, "perturbation", "metric", "value"], _long_rows(result))
    metrics = list(result.aggregate_values)
    _table(folder / "agg_results.csv", [*lead, "statistic", *metrics], _statistic_rows(result, metrics, wide))
    header = ["metric", "value", "scaled", "baseline", "replicate", "n_used", "n_undefined", "reason"]
    _table(folder / "scores.csv", [*header, *_interval_names(result)], _score_rows(result))
    (folder / "run.json").write_text(json.dumps(run_record(result), indent=2, ensure_ascii=False) + "\n", "utf-8")
    if write_de:
        for side, table in (("real", result.de_real), ("pred", result.de_pred)):
            if table is not None:
                table.to_parquet(folder / f"de_{side}.parquet", index=False)


def write_scores(results: ScoreResults, outdir: str | os.PathLike[str], *, write_de: bool = False) -> None:
    """Write a folder a preset and ``verdicts.csv`` to ``outdir``: all appear together, or none."""
    if write_de:
        require_parquet()
    with staged_directory(outdir) as folder:
        write_scores_into(results, folder, write_de=write_de)


def write_scores_into(results: ScoreResults, folder: Path, *, write_de: bool = False) -> None:
    """Write the files of several presets into an existing folder."""
    from vcmetrics.results.score_results import COLUMNS

    for preset, result in results.items():
        (folder / preset).mkdir()
        write_into(result, folder / preset, write_de=write_de)
    rows = (
        [preset, metric, better, number(value), "" if baseline is None else number(baseline), verdict, reason]
        for preset, metric, better, value, baseline, verdict, reason in results.verdict_rows()
    )
    _table(folder / "verdicts.csv", COLUMNS, rows)


def require_parquet() -> None:
    """Say how to get the parquet writer where it is missing."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        msg = "writing parquet needs pyarrow, which is not installed; run: pip install 'vcmetrics[parquet]'"
        raise DataError(msg) from None


def _table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _lead(context: ContextResult) -> list[str]:
    return [] if context.context is None else [context.context]


def _long_rows(result: ScoreResult) -> Iterator[list[str]]:
    """One row a value; values that the rule set leaves out have no row."""
    for context in result.contexts:
        for metric, values in context.values.items():
            hidden = np.ma.getmaskarray(values)
            data = np.ma.getdata(values)
            for k, perturbation in enumerate(context.perturbations):
                if not hidden[k]:
                    yield [*_lead(context), perturbation, metric, number(data[k])]


def _wide_rows(result: ScoreResult, metrics: Sequence[str]) -> Iterator[list[str]]:
    """One row a perturbation; values that the rule set leaves out are empty."""
    for context in result.contexts:
        for k, perturbation in enumerate(context.perturbations):
            cells = []
            for metric in metrics:
                values = context.values[metric]
                cells.append("" if np.ma.getmaskarray(values)[k] else number(np.ma.getdata(values)[k]))
            yield [*_lead(context), perturbation, *cells]


def statistics(context: ContextResult, metric: str, *, wide: bool = False) -> dict[str, float]:
    """Count, mean, spread and range over the perturbations; a ratio of sums has only its value."""
    out = dict.fromkeys((*STATISTICS, *WIDE_STATISTICS), math.nan)
    out["mean"] = context.aggregate.get(metric, math.nan)
    values = context.values.get(metric)
    if values is None:
        return out
    rows = np.ma.compressed(values)
    finite = rows[~np.isnan(rows)]
    # a value that is left out is no row in a long table and a null in a wide one
    out["count"], out["null_count"] = float(rows.size), float(values.size - rows.size) if wide else 0.0
    if finite.size:
        out["min"], out["max"], out["median"] = float(finite.min()), float(finite.max()), float(np.median(finite))
        for name, share in (("25%", 0.25), ("50%", 0.5), ("75%", 0.75)):
            out[name] = float(np.quantile(finite, share, method="nearest"))
    if finite.size > 1:
        with np.errstate(invalid="ignore"):
            out["std"] = float(finite.std(ddof=1))
    return out


def _statistic_rows(result: ScoreResult, metrics: Sequence[str], wide: bool) -> Iterator[list[str]]:
    for context in result.contexts:
        columns = [statistics(context, metric, wide=wide) for metric in metrics]
        for statistic in WIDE_STATISTICS if wide else STATISTICS:
            yield [*_lead(context), statistic, *(number(column[statistic]) for column in columns)]


def _interval_names(result: ScoreResult) -> list[str]:
    """Columns that intervals add, none where none were asked for."""
    if result.intervals is None:
        return []
    return ["lower", "upper"] + (["scaled_lower", "scaled_upper"] if result.intervals.scaled else [])


def _interval_cells(result: ScoreResult, metric: str) -> list[str]:
    """Ends of the intervals of one row."""
    found = result.intervals
    if found is None:
        return []
    ends = [found.aggregate.get(metric)]
    if found.scaled:
        ends.append(found.overall if metric == "overall" else found.scaled.get(metric))
    return [text for e in ends for text in (("", "") if e is None else map(number, e))]


def _score_rows(result: ScoreResult) -> Iterator[list[str]]:
    scaled, baseline, replicate = result.scaled_values, result.baseline_values, result.replicate_values
    reasons = result.reasons

    def cell(values: Mapping[str, float], metric: str) -> str:
        return number(values[metric]) if metric in values else ""

    for metric, value in result.aggregate_values.items():
        used, undefined = counts(result, metric)
        yield [
            metric,
            number(value),
            cell(scaled, metric),
            cell(baseline, metric),
            cell(replicate, metric),
            "" if used is None else str(used),
            "" if undefined is None else str(undefined),
            reasons.get(metric, ""),
            *_interval_cells(result, metric),
        ]
    if scaled:
        row = ["overall", "", number(result.overall), "", "", "", "", reasons.get("overall", "")]
        yield [*row, *_interval_cells(result, "overall")]


def counts(result: ScoreResult, metric: str) -> tuple[int | None, int | None]:
    """Perturbations that count and that are undefined, over all contexts; None for a ratio of sums."""
    having = [context for context in result.contexts if metric in context.values]
    if not having:
        return None, None
    return sum(c.n_used(metric) for c in having), sum(c.n_undefined(metric) for c in having)


def plain(value: Any) -> Any:
    """``value`` as JSON takes it: NaN and infinities become null, unknown objects their text."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in (sorted(value, key=str) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, (np.generic, np.ndarray)):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)


def score_record(result: ScoreResult) -> dict[str, Any]:
    """The scores for machines: every number of the final table."""
    scaled, baseline, replicate = result.scaled_values, result.baseline_values, result.replicate_values
    table: dict[str, Any] = {}
    for metric, value in result.aggregate_values.items():
        used, undefined = counts(result, metric)
        row: dict[str, Any] = {"value": value, "n_used": used, "n_undefined": undefined}
        for name, values in (("scaled", scaled), ("baseline", baseline), ("replicate", replicate)):
            if metric in values:
                row[name] = values[metric]
        if metric in result.reasons:
            row["reason"] = result.reasons[metric]
        if result.intervals is not None:
            row["interval"] = result.intervals.aggregate.get(metric)
            if metric in result.intervals.scaled:
                row["scaled_interval"] = result.intervals.scaled[metric]
        table[metric] = row
    record: dict[str, Any] = {
        "preset": result.preset,
        "profile": result.profile,
        "n_perturbations": sum(len(c.perturbations) for c in result.contexts),
        "contexts": [c.context for c in result.contexts if c.context is not None],
        "metrics": table,
        "overall": result.overall if scaled else None,
        "timings": result.timings,
    }
    if result.notes:
        record["notes"] = list(result.notes)
    if result.intervals is not None:
        record["ci"] = result.intervals.resampling.ci
        if scaled:
            record["overall_interval"] = result.intervals.overall
    return {name: plain(value) for name, value in record.items()}


def scores_record(results: ScoreResults) -> dict[str, Any]:
    """The scores of several presets for machines."""
    names = ("preset", "metric", "better", "value", "baseline", "verdict", "reason")
    return {
        "presets": {preset: score_record(result) for preset, result in results.items()},
        "verdicts": [{k: plain(v) for k, v in zip(names, row, strict=True)} for row in results.verdict_rows()],
        "standings": {name: s.verdict for name, s in results.standings.items()},
        "disagree": results.disagree,
        "left_out": dict(results.left_out),
        "timings": plain(results.timings),
    }


def run_record(result: ScoreResult) -> dict[str, Any]:
    """What reproduces the run: versions, settings, inputs, timings."""
    from vcmetrics.backend.config import config

    return {
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "installation": plain(config()),
        "preset": result.preset,
        "profile": result.profile,
        "settings": plain(result.settings),
        "reasons": plain(result.reasons),
        "notes": list(result.notes),
        "overall": plain(result.overall),
        "timings": plain(result.timings),
    }
