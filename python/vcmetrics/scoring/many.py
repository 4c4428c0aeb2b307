"""One prediction by the rules of several presets, over one reading of the files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from vcmetrics._errors import DataError
from vcmetrics.metrics import registry
from vcmetrics.presets.preset import Preset, get_preset, list_presets
from vcmetrics.results.score_result import ContextResult, ScoreResult
from vcmetrics.results.score_results import ScoreResults
from vcmetrics.results.verdict import Verdict
from vcmetrics.scoring.compare import Clock, Request, Scored, gather_pairs, scored_of
from vcmetrics.scoring.context_result import context_result
from vcmetrics.scoring.inputs import autodetect
from vcmetrics.scoring.jobs import Job, context_column, data_jobs
from vcmetrics.scoring.reading import Reading
from vcmetrics.scoring.settings import Settings, resolve_settings
from vcmetrics.scoring.steps import Progress, Steps
from vcmetrics.scoring.verdicts import baseline_values, verdicts_of
from vcmetrics.sources import open_cells
from vcmetrics.sources.genes import some
from vcmetrics.summary.group_summary import Recipe

ALL = "all"


@dataclass(frozen=True)
class Wanted:
    """One preset of a run: its rules, the column and the control that it reads, and its jobs, one a context."""

    settings: Settings
    control: str
    jobs: Sequence[Job]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the preset."""
        return self.settings.preset.name

    def requests(self) -> list[Request]:
        """What each context gathers."""
        s = self.settings
        return [
            Request(j.real, j.pred, s, s.needs, embeddings=j.embeddings, cells=j.cells if s.needs_cells else None)
            for j in self.jobs
        ]


def chosen_presets(preset: str | Iterable[str | Preset]) -> tuple[list[Preset], bool]:
    """The presets of a list, each once; and whether it was ``"all"``, which leaves out those that cannot be scored."""
    if preset == ALL or list(preset) == [ALL]:
        return [get_preset(name) for name in list_presets()], True
    found: dict[str, Preset] = {}
    for name in [preset] if isinstance(preset, str) else preset:
        one = get_preset(name)
        if found.setdefault(one.name, one) is not one:
            msg = f"preset {one.name!r} is asked for twice; give changed rules another name"
            raise ValueError(msg)
    if not found:
        msg = "no preset is named; pass a list of names, or 'all'"
        raise ValueError(msg)
    return list(found.values()), False


def score_presets(
    pred: Any,
    real: Any,
    *,
    preset: str | Iterable[str | Preset] = ALL,
    pert_col: str | None = None,
    control: str | None = None,
    context_col: str | None = None,
    batch_col: str | None = None,
    train: Any = None,
    layer: str | None = None,
    embed_key: str | None = None,
    target_map: Mapping[str, str | None] | None = None,
    cells: bool = False,
    arithmetic: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> ScoreResults:
    """Score a prediction by several presets: what :func:`vcmetrics.score` does for a list of them, or ``"all"``."""
    presets, everything = chosen_presets(preset)
    given = {"batch_col": batch_col, "train": train, "embed_key": embed_key}
    clock = Clock()
    steps = None if progress is None else Steps(progress)
    left_out: dict[str, str] = {}
    with ExitStack() as stack:
        pred_cells = stack.enter_context(open_cells(pred, layer=layer, name="pred"))
        real_cells = stack.enter_context(open_cells(real, layer=layer, name="real"))
        train_cells = None if train is None else stack.enter_context(open_cells(train, layer=layer, name="train"))
        context_col = context_column(pred_cells, real_cells, context_col)
        reading = Reading()

        def real_totals() -> Any:
            return real_cells.scan(n_threads)["totals"]

        def control_label(one: Preset) -> str:
            # a label that is no control by these rules, and is one by the others', is no perturbation
            by_context = reading.groups(real_cells, pert_col, one.control, context_col, one)
            there = {label for groups in by_context.values() for label in groups.labels}
            usual = [p.control for p in (one, *presets)]
            return next((label for label in usual if label in there), one.control)

        def prepare(one: Preset) -> Wanted:
            check_inputs(one, given)
            settings = resolve_settings(
                one,
                None,
                None,
                overrides=overrides,
                target_map=target_map,
                embed_key=embed_key,
                arithmetic="f64" if arithmetic is None else arithmetic,
                n_threads=n_threads,
                progress=None,
            )
            settings, apart = without_training(settings, train)
            if not cells:
                settings, more = without_cells(settings)
                apart = (*apart, *more)
            label = control_label(one) if control is None else control
            how: dict[str, Any] = {"batch_col": batch_col, "train": train_cells, "reading": reading}
            if everything and one.input_type == "values" and autodetect(real_totals()) == "counts":
                msg = "its values are scored as they are, and these are counts; name it (preset=, --preset)"
                raise DataError(msg)
            jobs = data_jobs(real_cells, pred_cells, pert_col, label, context_col, settings, None, **how)
            wanted = Wanted(replace(settings, progress=steps), label, jobs, apart)
            for request in wanted.requests():
                request.recipes()  # kinds of values that do not go together are found here
            return wanted

        wanted: list[Wanted] = []
        for one in presets:
            try:
                ready = prepare(one)
                if everything:
                    check_rank_test(ready, wanted)
            except DataError as error:
                if not everything:
                    raise
                left_out[one.name] = str(error)
            else:
                wanted.append(ready)
        if not wanted:
            by_reason: dict[str, list[str]] = {}
            for name, why in left_out.items():
                by_reason.setdefault(why, []).append(name)
            reasons = "; ".join(f"{', '.join(names)}: {why}" for why, names in by_reason.items())
            msg = f"no preset can score these data ({reasons})"
            raise DataError(msg)
        clock.lap("opening and labels")
        n_contexts = len(wanted[0].jobs)
        if steps is not None:
            steps.expect(n_contexts)
        results, judged, failed = score_contexts(wanted, n_contexts, clock, steps, keep_going=everything)
    left_out |= failed
    return ScoreResults(results, judged, left_out, dict(clock.timings))


def score_contexts(
    wanted: Sequence[Wanted], n_contexts: int, clock: Clock, steps: Steps | None, *, keep_going: bool
) -> tuple[dict[str, ScoreResult], tuple[Verdict, ...], dict[str, str]]:
    """Every context of every preset, the verdicts over all contexts, and why presets failed.

    ``keep_going``: a preset whose metrics find that the data do not suit them is left out; else that is an error.
    """
    failed: dict[str, str] = {}
    contexts: dict[str, list[ContextResult]] = {w.name: [] for w in wanted}
    baselines: dict[str, list[dict[str, float]]] = {w.name: [] for w in wanted}
    for k in range(n_contexts):
        gathered = gather_pairs([w.requests()[k] for w in wanted], wanted[0].jobs[k].genes, clock=clock)
        for w, got in zip(wanted, gathered, strict=True):
            try:
                scored: Scored = scored_of(got, w.settings, clock)
                base = baseline_values(got, w.settings)
            except DataError as error:
                if not keep_going:
                    raise
                failed.setdefault(w.name, str(error))
                continue
            one = context_result(w.jobs[k], scored, w.settings)
            contexts[w.name].append(replace(one, notes=(*w.notes, *one.notes)))
            baselines[w.name].append(base)
            clock.lap("mean baseline")
        if steps is not None:
            steps.reach(k + 1)
    results: dict[str, ScoreResult] = {}
    judged: list[Verdict] = []
    for w in (w for w in wanted if w.name not in failed):
        result = ScoreResult(
            contexts=tuple(contexts[w.name]),
            preset=w.name,
            profile=w.settings.profile,
            directions={m.output: registry.get(m.metric).better for m in w.settings.members},
            settings={**w.settings.describe(), "control": w.control, "n_threads": w.settings.n_threads},
            timings=dict(clock.timings),
        )
        results[w.name] = result
        mean = {m: sum(b[m] for b in baselines[w.name]) / n_contexts for m in baselines[w.name][0]}
        judged += verdicts_of(w.name, w.settings, result.aggregate_values, mean)
    return results, tuple(judged), failed


def check_inputs(preset: Preset, given: Mapping[str, Any]) -> None:
    """Refuse a preset whose rules need an input that is not there."""
    absent = [name for name in preset.inputs if given.get(name) is None]
    if absent:
        options = " and ".join(f"{name}= (--{name.replace('_', '-')})" for name in absent)
        msg = f"preset {preset.name!r} needs {options}"
        raise DataError(msg)


def without_training(settings: Settings, train: Any) -> tuple[Settings, tuple[str, ...]]:
    """The rules without metrics that compare with training data, where none are given; and a note of it."""
    apart = [m for m in settings.members if train is None and "train" in registry.get(m.metric).needs]
    if not apart:
        return settings, ()
    note = f"{some([m.output for m in apart], 3)}: left out, for want of training data (train=, --train)"
    return replace(settings, members=tuple(m for m in settings.members if m not in apart)), (note,)


def without_cells(settings: Settings) -> tuple[Settings, tuple[str, ...]]:
    """The rules without metrics that compare cells with cells, whose cost is of another order; and a note of it."""
    kept = tuple(m for m in settings.members if "cells" not in registry.get(m.metric).needs)
    apart = [m.output for m in settings.members if m not in kept]
    if not apart:
        return settings, ()
    if not kept:
        msg = (
            f"every metric of preset {settings.preset.name!r} compares cells with cells; name the preset alone, or "
            "pass cells=True (--cells)"
        )
        raise DataError(msg)
    note = (
        f"{some(apart, 3)}: left out beside other presets, since cells are compared with cells; name the preset alone, "
        "or pass cells=True (--cells)"
    )
    return replace(settings, members=kept), (note,)


def rank_recipes(wanted: Wanted) -> set[tuple[str, str]]:
    """Rank tests that a preset runs: what is ranked, and against whose control."""
    source = wanted.settings.preset.control_source
    both: list[Recipe] = [r for request in wanted.requests() for side in request.recipes() for r in side.all()]
    # the ratio of a count and its cell's total ranks alike at every depth
    return {(r.key if r.key == "ratio" else r.name, source) for r in both if "rank" in r.fields}


def check_rank_test(ready: Wanted, before: Sequence[Wanted]) -> None:
    """Among ``"all"``, leave out a preset that would rank all cells a second time."""
    mine, others = rank_recipes(ready), {test for w in before for test in rank_recipes(w)}
    if others and not mine <= others:
        msg = (
            "its rank test is another one than that of the presets before it, and would sort all cells again; "
            "name it (preset=, --preset)"
        )
        raise DataError(msg)
