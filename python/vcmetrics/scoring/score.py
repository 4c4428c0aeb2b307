"""Score a prediction against real data, end to end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, overload

from vcmetrics._errors import DataError
from vcmetrics.backend.device import resolve_device
from vcmetrics.backend.memory import budgeted, memory_record
from vcmetrics.metrics import registry
from vcmetrics.presets.preset import Preset
from vcmetrics.results.score_result import ContextResult, ScoreResult
from vcmetrics.results.score_results import ScoreResults
from vcmetrics.scoring.bundle import Bundle
from vcmetrics.scoring.compare import Clock, compare
from vcmetrics.scoring.context_result import context_result
from vcmetrics.scoring.interval import check_resampling, intervals
from vcmetrics.scoring.jobs import Job, context_column, data_jobs, save_reference, summary_job
from vcmetrics.scoring.many import ALL, check_inputs, score_presets, without_training
from vcmetrics.scoring.scaled import Baseline, Scorer, further_passes, resolve_baseline, resolve_scale, scaled, scorers
from vcmetrics.scoring.settings import Settings, resolve_settings
from vcmetrics.sources import open_cells
from vcmetrics.summary.de_reading import read_de_table
from vcmetrics.summary.de_table import DETable
from vcmetrics.summary.group_summary import GroupSummary

Progress = Callable[[int, int], None]


def run_job(
    job: Job,
    settings: Settings,
    de: tuple[DETable | None, DETable | None],
    scale: str | Bundle | None,
    baseline: Baseline | None,
    clock: Clock,
) -> tuple[ContextResult, dict[str, Scorer]]:
    """Score one context; and what takes its aggregates to scores, none without a scale."""
    scored = compare(
        job.real, job.pred, job.genes, settings, de=de, embeddings=job.embeddings, cells=job.cells, clock=clock
    )
    save_reference(job, scored)
    result = context_result(job, scored, settings)
    if scale is None:
        return result, {}
    made, scores = scaled(scale, job, scored, settings, baseline)
    clock.lap("baseline and replicate" if isinstance(scale, str) else "scale")
    shown = {m.metric: m.output for m in settings.members}
    result = replace(
        result,
        baseline=named(made.baseline, shown),
        replicate=named(made.replicate, shown),
        scaled=named(scores.scores, shown),
        overall=float("nan") if scores.overall is None else scores.overall,
        reasons={**scored.reasons, **{shown[m]: why for m, why in {**scores.left_out, **scores.reasons}.items()}},
    )
    return result, scorers(made, scores, settings)


def named(values: Mapping[str, float | None], shown: Mapping[str, str]) -> dict[str, float]:
    """Values under the names of the results."""
    return {shown[m]: float("nan") if v is None else float(v) for m, v in values.items() if m in shown}


def refuse_single(alone: Mapping[str, Any], real: Any) -> None:
    """Refuse what goes with one preset only."""
    given = [name for name, value in alone.items() if value is not None]
    if given or isinstance(real, GroupSummary):
        what = f"{', '.join(given)} go" if given else "a summary as real goes"
        msg = f"{what} with one preset only; score that preset alone"
        raise ValueError(msg)


@overload
def score(pred: Any, real: Any, *, preset: str | Preset = ..., **options: Any) -> ScoreResult: ...


@overload
def score(pred: Any, real: Any, *, preset: list[Any] | tuple[Any, ...], **options: Any) -> ScoreResults: ...


@budgeted  # type: ignore[misc]  # the options are spelt out here alone
def score(
    pred: Any,
    real: Any,
    *,
    preset: str | Preset | Iterable[str | Preset] = "vcc2026",
    profile: str | None = None,
    metrics: Iterable[str] | Mapping[str, Mapping[str, Any]] | None = None,
    pert_col: str | None = None,
    control: str | None = None,
    context_col: str | None = None,
    batch_col: str | None = None,
    train: Any = None,
    layer: str | None = None,
    embed_key: str | None = None,
    target_map: Mapping[str, str | None] | None = None,
    de_pred: Any = None,
    de_real: Any = None,
    scale: str | os.PathLike[str] | None = None,
    baseline: Mapping[str, float] | str | os.PathLike[str] | None = None,
    bundle: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    ci: float | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
    arithmetic: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    device: str = "auto",
    cells: bool = False,
    n_threads: int | None = None,
    memory_budget: int | float | str | None = None,
    progress: Progress | None = None,
) -> ScoreResult | ScoreResults:
    """Score a prediction against real data by the rules of a preset.

    Parameters
    ----------
    pred, real
        AnnData, or the path of an ``.h5ad`` or ``.zarr``; n_obs × n_vars each, over the same genes. Several are one
        data set, as in :func:`vcmetrics.summarize`. ``pred`` may be a packed submission (``.vcc``), ``real`` a
        :class:`GroupSummary` made by an earlier call (see ``cache``). Nothing of the caller's is modified.
    preset
        Rule set; see :func:`list_presets`. ``"vcc2026"`` takes raw counts and accepts a prediction without control
        cells. A list of rule sets, or ``"all"``: each is applied, over one reading of the files; rank tests run once.
        What a listed preset cannot be scored without is an error; ``"all"`` leaves such presets out and says why.
    profile
        List of metrics of the preset; its default where None.
    metrics
        Names of single metrics in place of a profile; or a mapping name → parameters that differ from the preset's.
    pert_col, control, context_col
        Columns of ``obs`` with the labels and (optionally) contexts, and the control's label; the preset's where None.
        Contexts are scored apart and averaged with equal weight. Those of a packed submission are in ``context``.
    batch_col
        Column of ``obs`` with batches, for rules that match controls by batch; a prediction without it is matched as
        the observed cells are.
    train
        Training data (AnnData or path) given apart from ``real``: perturbed means, where rules take effects against
        them, are made of it, so that no truth is in its own reference. Same kind of values, ``pert_col`` and
        ``control`` as ``real``; genes beyond those of ``real`` are left out. Without it the result's ``notes`` tell of
        the leak.
    layer
        Read this layer in place of ``X``.
    embed_key
        Entry of ``obsm`` that the L2 and cosine match ranks use, where the preset's scorer allows it.
    target_map
        label → own target gene, None for a label without one; ``{"*": None}`` for none at all.
    de_pred, de_real
        Differential expression tables made elsewhere (DataFrame or path; columns target, feature, log2_fold_change,
        p_value, fdr).
    scale
        None: raw values. ``"auto"``: between the generic baseline and the split-half replicates of ``real``.
        ``"baseline"``: from the baseline to the ideal value. A directory: an official bundle. Or the name of a fixed
        scale.
    baseline
        Aggregates of another baseline (a mapping, or its ``agg_results.csv``) in place of the computed one; without
        ``scale`` scores go from it to the ideal value.
    bundle
        Same as a path in ``scale``.
    cache
        Directory in which the summary of ``real`` is kept, so that the next prediction does not read it again.
    ci, n_resamples, seed
        Confidence level of intervals by a bootstrap over perturbations (``result.interval_table``); what stays fixed
        in it says :mod:`vcmetrics.scoring.interval`. None: no intervals.
    arithmetic
        ``"f64"``; or ``"gpu32"``: profiles and per-cell CPM in single precision, as scorers on a GPU have them. None:
        what the bundle declares, else ``"f64"``.
    overrides
        Settings of the preset to change, by dotted name (``{"de.alpha": 0.1}``).
    cells
        With several presets: compute metrics that compare cells with cells too, whose cost is of another order.
    device
        ``"auto"`` or ``"cpu"``.
    n_threads
        Threads; None for all that this process may use. Results do not depend on it.
    memory_budget
        Memory for cells: ``"4GiB"``, bytes, or a share of what is available; None for half of it. Results do not
        depend on it.
    progress
        Called as ``progress(done, total)`` during the passes over the cells; ``done`` never goes back.

    Returns
    -------
    ScoreResult
        Values per perturbation, aggregates and, with a scale, scaled scores and the overall. For several presets a
        :class:`ScoreResults`: preset → ScoreResult, with verdicts on the prediction beside the mean of all
        perturbations.

    Raises
    ------
    DataError
        If the data do not fit together or do not fit the preset; one line says what, where and the way out.
    DeviceError
        If ``device="cuda"``.

    Notes
    -----
    Cost: one read of the stored values of both sides and a sort of the control per gene; ``scale="auto"`` adds about
    six passes over the reference. Memory: the groups × genes tables and some megabytes a thread; uncompressed files
    are read in place.

    Examples
    --------
    >>> from vcmetrics import datasets
    >>> demo = datasets.demo()
    >>> result = score(demo.path, demo.path, pert_col=demo.pert_col, control=demo.control)
    >>> result.aggregate_values["de_wilcoxon_sig_jaccard"]
    1.0
    """
    resolve_device(device, what="score")
    if not isinstance(preset, (str, Preset)) or preset == ALL:
        alone = {"profile": profile, "metrics": metrics, "de_pred": de_pred, "de_real": de_real, "scale": scale}
        alone |= {"baseline": baseline, "bundle": bundle, "cache": cache, "ci": ci}
        refuse_single(alone, real)
        return score_presets(
            pred,
            real,
            preset=preset,
            pert_col=pert_col,
            control=control,
            context_col=context_col,
            batch_col=batch_col,
            train=train,
            layer=layer,
            embed_key=embed_key,
            target_map=target_map,
            cells=cells,
            arithmetic=arithmetic,
            overrides=overrides,
            n_threads=n_threads,
            progress=progress,
        )
    resampling = check_resampling(ci, n_resamples, seed)
    clock = Clock()
    given = resolve_baseline(baseline)
    wanted_scale = resolve_scale(bundle if bundle is not None else "baseline" if scale is None and given else scale)
    if arithmetic is None:
        arithmetic = wanted_scale.arithmetic if isinstance(wanted_scale, Bundle) else "f64"
    settings = resolve_settings(
        preset,
        profile,
        metrics,
        overrides=overrides,
        target_map=target_map,
        embed_key=embed_key,
        arithmetic=arithmetic,
        n_threads=n_threads,
        progress=progress,
    )
    left_out: tuple[str, ...] = ()
    if metrics is None:
        settings, left_out = without_training(settings, train)
    check_inputs(settings.preset, {"batch_col": batch_col, "train": train, "embed_key": embed_key})
    if wanted_scale is not None and not settings.preset.policies:
        msg = f"preset {settings.preset.name!r} has no scaled scores; leave scale= and baseline= out"
        raise DataError(msg)
    control = settings.preset.control if control is None else control
    with ExitStack() as stack:
        pred_cells = stack.enter_context(open_cells(pred, layer=layer, name="pred"))
        if isinstance(real, GroupSummary):
            beside = (context_col, batch_col, train)
            if any(x is not None for x in beside) or wanted_scale == "auto" or settings.needs_cells:
                msg = (
                    "a summary cannot be split by context_col or batch_col, joined with training data, scaled with "
                    "scale='auto' or give single cells; pass the data themselves as real"
                )
                raise DataError(msg)
            context_column(pred_cells, None, None)
            jobs = [summary_job(real, pred_cells, pert_col, settings)]
        else:
            real_cells = stack.enter_context(open_cells(real, layer=layer, name="real"))
            context_col = context_column(pred_cells, real_cells, context_col)
            train_cells = None if train is None else stack.enter_context(open_cells(train, layer=layer, name="train"))
            how: dict[str, Any] = {"batch_col": batch_col, "train": train_cells}
            jobs = data_jobs(real_cells, pred_cells, pert_col, control, context_col, settings, cache, **how)
        clock.lap("opening and labels")
        contexts: list[ContextResult] = []
        to_scores: list[dict[str, Scorer]] = []
        steps = 1 + further_passes(wanted_scale, given, settings)
        if settings.progress is not None:
            settings.progress.expect(steps * len(jobs))
        for job in jobs:
            names = [str(g) for g in job.genes]
            de = tuple(None if t is None else read_de_table(t, genes=names) for t in (de_real, de_pred))
            one, made = run_job(job, settings, (de[0], de[1]), wanted_scale, given, clock)
            contexts.append(replace(one, notes=(*left_out, *one.notes)))
            to_scores.append(made)
            if settings.progress is not None:
                settings.progress.reach(steps * len(contexts))
        result = ScoreResult(
            contexts=tuple(contexts),
            preset=settings.preset.name,
            profile=settings.profile,
            directions={m.output: registry.get(m.metric).better for m in settings.members},
            settings={
                **settings.describe(),
                "control": control,
                "n_threads": settings.n_threads,
                "memory": memory_record(),
            },
            timings=clock.timings,
        )
    if resampling is None:
        return result
    found = intervals(
        contexts,
        resampling,
        result.aggregate_values,
        scalers=[] if wanted_scale is None else to_scores,
        scaled=result.scaled_values,
    )
    clock.lap("intervals")
    settled = {**result.settings, "ci": resampling.ci, "n_resamples": resampling.n_resamples, "seed": resampling.seed}
    return replace(result, intervals=found, settings=settled)
