"""The final table, for people."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from vcmetrics.results.files import counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.console import Console

    from vcmetrics.results.score_result import ScoreResult
    from vcmetrics.results.score_results import ScoreResults


WIDE = 104  # columns that the whole table takes
PREFIX = "de_wilcoxon_"  # left out of the names where the terminal is narrower


def shown(value: float | None) -> str:
    """Four significant digits; a dash where there is nothing."""
    if value is None:
        return "–"
    if math.isnan(value):
        return "undefined"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.4f}" if abs(value) < 100 else f"{value:.1f}"
    return f"{value:.3e}"


def shown_interval(ends: tuple[float, float] | None) -> str:
    """Both ends; a dash where there are none."""
    if ends is None or any(math.isnan(e) for e in ends):
        return "–"
    return " … ".join(f"{e:.3f}" if 1e-3 <= abs(e) < 1e3 or e == 0 else f"{e:.1e}" for e in ends)


def seconds(value: float) -> str:
    """A duration, to the digit that matters."""
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def timing_line(result: ScoreResult) -> str:
    """Seconds by stage and in all."""
    stages = {name: s for name, s in result.timings.items() if name != "total" and s >= 0.005}
    total = result.timings.get("total", sum(result.timings.values()))
    parts = ", ".join(f"{name} {seconds(s)}" for name, s in stages.items())
    return f"{seconds(total)}" + (f" ({parts})" if parts else "")


def table_console() -> Console:
    """Console for tables on stdout; in a pipe or file, wide enough that nothing is cut."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=WIDE + 16, no_color=True)


def print_score(result: ScoreResult, console: Console) -> None:
    """Print metric, value, baseline, replicate, scaled, how many perturbations count and how many do not.

    Intervals take the place of baseline and replicate, and on a narrow terminal that of the numbers of perturbations,
    of which the undefined ones are then told below the table.
    """
    from rich.table import Table

    scaled, baseline, replicate = result.scaled_values, result.baseline_values, result.replicate_values
    found = result.intervals
    level = "" if found is None else f"{100 * found.resampling.ci:g} % interval"
    on_scale = bool(baseline or scaled)
    narrow = console.width < WIDE
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0) if narrow else (0, 2, 0, 0))
    table.add_column("metric", no_wrap=True)
    table.add_column("", width=1)
    table.add_column("value", justify="right", no_wrap=found is not None)
    if found is not None:
        table.add_column(level, justify="right", no_wrap=True)
    if on_scale:
        for name in ("baseline", "replicate", "scaled") if found is None else ("scaled", level):
            table.add_column(name, justify="right", no_wrap=found is not None)
    numbers = not (narrow and on_scale and found is not None)
    if numbers:
        table.add_column("n used", justify="right")
        table.add_column("undef", justify="right")
    partly = []
    for metric, value in result.aggregate_values.items():
        used, undefined = counts(result, metric)
        arrow = {"higher": "↑", "lower": "↓"}.get(str(result.directions.get(metric, "")), "")
        row = [metric.removeprefix(PREFIX) if narrow else metric, arrow, shown(value)]
        if found is not None:
            row.append(shown_interval(found.aggregate.get(metric)))
        if on_scale and found is None:
            row += [shown(values.get(metric)) for values in (baseline, replicate, scaled)]
        elif on_scale and found is not None:
            row += [shown(scaled.get(metric)), shown_interval(found.scaled.get(metric))]
        if numbers:
            row += ["–" if used is None else str(used), "–" if undefined is None else str(undefined)]
        elif undefined:
            partly.append(f"{row[0]} {undefined}")
        table.add_row(*row)
    console.print(table)
    if partly:
        console.print(f"undefined perturbations: {', '.join(partly)}", style="yellow", markup=False, highlight=False)
    for metric, reason in result.reasons.items():
        console.print(f"{metric}: {reason}", style="yellow", markup=False, highlight=False)
    for note in result.notes:
        console.print(note, style="yellow", markup=False, highlight=False)
    lost = [label for c in result.contexts for label in c.unresolved]
    if lost and result.settings.get("exclude") != "none":
        named = ", ".join(lost[:3]) + (", …" if len(lost) > 3 else "")
        console.print(
            f"{len(lost)} of {sum(len(c.perturbations) for c in result.contexts)} perturbations are not measured genes "
            f"({named}): no target gene is left out for them; name it with --target-map",
            style="yellow",
            markup=False,
            highlight=False,
        )
    if scaled:
        overall = "undefined" if math.isnan(result.overall) else f"{result.overall:.4f}"
        ends = "" if found is None or found.overall is None else f" [{shown_interval(found.overall)}]"
        console.print(
            f"overall {overall}{ends}   (0 = baseline, 1 = replicate)", style="bold", markup=False, highlight=False
        )
    n = sum(len(c.perturbations) for c in result.contexts)
    where = f" in {len(result.contexts)} contexts" if len(result.contexts) > 1 else ""
    console.print(
        f"{n} perturbations{where}, preset {result.preset}, {timing_line(result)}", style="dim", highlight=False
    )


def reason_lines(result: ScoreResult) -> list[str]:
    """Why aggregates are undefined, metrics of one reason together."""
    by_reason: dict[str, list[str]] = {}
    for metric, why in result.reasons.items():
        by_reason.setdefault(why, []).append(metric)
    return [f"{', '.join(metrics)}: {why}" for why, metrics in by_reason.items()]


_SIGNS = {"above": "green", "below": "red", "equal": "yellow", "split": "yellow", "none": "dim"}


def print_scores(results: ScoreResults, console: Console) -> None:
    """Print every preset's metrics beside the mean baseline, and where the presets disagree."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("preset", "metric"):
        table.add_column(name, no_wrap=True)
    table.add_column("", width=1)
    for name in ("value", "mean baseline"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    verdicts = {(v.preset, v.metric): v for v in results.judged}
    for preset, result in results.items():
        head = preset
        for metric, value in result.aggregate_values.items():
            found = verdicts.get((preset, metric))
            word = "" if found is None else found.verdict
            arrow = {"higher": "↑", "lower": "↓"}.get(str(result.directions.get(metric, "")), "")
            base = shown(None if found is None else found.baseline)
            style = _SIGNS.get(word, "")
            told = f"[{style}]{word}[/]" if style and word != "none" else "–"
            table.add_row(head, metric.removeprefix(PREFIX), arrow, shown(value), base, told)
            head = ""
    console.print(table)

    def say(text: str, style: str) -> None:
        console.print(text, style=style, markup=False, highlight=False)

    notes = {name: (*result.notes, *reason_lines(result)) for name, result in results.items()}
    for note, presets in by_text(notes).items():
        who = "every preset" if len(presets) == len(results) > 1 else ", ".join(presets)
        say(f"{who}: {note}", "yellow")
    for why, presets in by_text({name: (why,) for name, why in results.left_out.items()}).items():
        say(f"{', '.join(presets)} {'are' if len(presets) > 1 else 'is'} left out: {why}", "dim")
    for line in disagreement_lines(results):
        say(line, "bold")
    n = {sum(len(c.perturbations) for c in result.contexts) for result in results.values()}
    total = seconds(sum(results.timings.values()))
    say(f"{max(n, default=0)} perturbations, {len(results)} presets, {total}", "dim")


def by_text(texts: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Text -> the presets that say it, so that none is read many times."""
    found: dict[str, list[str]] = {}
    for preset, said in texts.items():
        for text in said:
            found.setdefault(text, []).append(preset)
    return found


def disagreement_lines(results: ScoreResults) -> list[str]:
    """What most metrics of each preset say of the prediction and the mean baseline, presets of one opinion together."""
    out = []
    standings = results.standings
    texts = {
        "above": "above the mean baseline",
        "below": "below the mean baseline",
        "split": "above by as many metrics as below",
        "equal": "level with the mean baseline",
        "none": "no verdict",
    }
    for word, text in texts.items():
        named = [
            f"{name} ({s.above} of {s.above + s.below + s.equal})" if word != "none" else name
            for name, s in standings.items()
            if s.verdict == word
        ]
        if named:
            out.append(f"{text}: {', '.join(named)}")
    if results.disagree:
        out.append(
            "the presets disagree: the same prediction is above the mean baseline by some and below it by others"
        )
    return out
