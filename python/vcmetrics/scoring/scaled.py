"""Put values between a baseline and a replicate: fixed scales, official bundles, or both ends computed here."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics import registry
from vcmetrics.scoring.baseline import cell_eval_baseline, generic_baseline
from vcmetrics.scoring.bundle import Bundle, read_bundle
from vcmetrics.scoring.compare import Scored, compare
from vcmetrics.scoring.evaluate import SideInput
from vcmetrics.scoring.fingerprint import source_fingerprint
from vcmetrics.scoring.jobs import Job
from vcmetrics.scoring.replicate import N_SPLITS, Anchors, HalfScore, replicate_anchors
from vcmetrics.scoring.scale import (
    FIXED_SCALES,
    Scores,
    cell_eval_scores,
    from_baseline,
    from_replicate,
    on_fixed_scale,
    read_aggregate,
    score_many,
)
from vcmetrics.scoring.settings import Settings
from vcmetrics.sources.rows import Rows
from vcmetrics.summary.group_summary import GroupSummary, Side
from vcmetrics.summary.plan import group_cells
from vcmetrics.summary.single_precision import log_normalised

COMPUTED = ("auto", "baseline")
Baseline = Mapping[str, float | None]  # aggregates by registry name
Scorer = Callable[[NDArray[np.float64]], NDArray[np.float64]]  # aggregates to scores, one by one


@dataclass(frozen=True)
class Scale:
    """Both ends of a scale, by registry name; ``replicate`` is empty where the ideal value is the upper end."""

    name: str
    baseline: Mapping[str, float | None] = field(default_factory=dict)
    replicate: Mapping[str, float | None] = field(default_factory=dict)


def by_metric(values: Mapping[str, float], settings: Settings) -> dict[str, float]:
    """Values under registry names."""
    return {m.metric: values[m.output] for m in settings.members if m.output in values}


def with_codes(one: SideInput, codes: NDArray[np.int32]) -> SideInput:
    """The same cells in other groups of the same labels; labels that are left without a cell are no longer there."""
    labels = one.side.groups.labels
    left = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=len(labels)))
    number = np.full(len(labels) + 1, -1, np.int32)
    number[left] = np.arange(left.size)
    groups = replace(one.side.groups, labels=tuple(labels[k] for k in left), codes=number[codes])
    return replace(one, side=replace(one.side, groups=groups))


def own_control(settings: Settings) -> Settings:
    """The same rules, with each side compared with its own control."""
    return replace(settings, preset=settings.preset.replace({"control_source": "pred"}))


def computed_replicate(real: SideInput, genes: Any, scored: Scored, settings: Settings) -> Anchors:
    """Half of the reference scored against the other half, over five splits."""
    halves = own_control(settings)

    def score_halves(a: NDArray[np.int32], b: NDArray[np.int32]) -> HalfScore:
        got = compare(with_codes(real, a), with_codes(real, b), genes, halves)
        n = {
            m.metric: int(np.isfinite(got.values[m.output].filled(np.nan)).sum())
            for m in settings.members
            if m.output in got.values
        }
        return HalfScore(
            by_metric(got.aggregate, settings),
            {**dict.fromkeys(by_metric(got.aggregate, settings)), **n},
            got.pair.de_real,
            got.pair.de_pred,
        )

    groups = real.side.groups
    code = {label: k for k, label in enumerate(groups.labels)}
    return replicate_anchors(
        groups.codes,
        groups.labels,
        groups.control,
        score_halves,
        metrics=[m.metric for m in settings.members],
        full=scored.pair.de_real,
        own=scored.pair.own_de,
        alpha=settings.preset.de.alpha,
        order=[code[label] for label in real.order if label in code] or None,
        strict=False,
    )


def computed_baseline(real: SideInput, genes: Any, scored: Scored, settings: Settings) -> Scored:
    """The mean response of the reference, scored like a prediction."""
    groups = real.side.groups
    kind = real.kind
    if settings.preset.nan_rule == "propagate":  # cell-eval's own baseline is made of log-normalised values
        stored = real.side.rows
        rows = log_normalised(stored, real.side.totals, real.target_sum) if kind == "counts" else stored
        kind = "lognorm" if kind == "counts" else kind
        made = cell_eval_baseline(rows, groups.labels, groups.codes, groups.control, genes)
    else:
        at = {p: int(k) for p, k in zip(scored.pair.perturbations, scored.pair.own, strict=True)}
        own = np.array([at.get(label, -1) for label in groups.labels], np.int64)
        # drawn and scaled cells mean something for counts only
        emit = "dispersed" if kind == "counts" else "tile"
        made = generic_baseline(
            real.side.rows,
            groups.labels,
            groups.codes,
            groups.control,
            genes,
            own,
            emit=emit,
            means=stored_means(scored.real),
        )
    side = Side(made.rows, row_totals(made.rows, settings.n_threads), group_cells(made.labels, groups.control))
    one = replace(real, name="baseline", side=side, kind=kind)
    return compare(real, one, genes, settings)


def stored_means(summary: GroupSummary) -> NDArray[np.float64] | None:
    """Group means of the values as stored, where their sums were gathered already."""
    for key, tables in summary.tables.items():
        if "sum" in tables and key.startswith(("ratio@", "raw@")):
            return np.asarray(tables["sum"] / np.maximum(summary.n, 1)[:, None])
    return None


def row_totals(rows: Rows, n_threads: int) -> NDArray[np.float64]:
    """Sum of every cell's values."""
    from vcmetrics import _core

    return np.asarray(_core.scan_rows(rows.args(), n_threads)["totals"])


def computed_scale(
    name: str, real: SideInput, genes: Any, scored: Scored, settings: Settings, given: Baseline | None = None
) -> Scale:
    """Baseline (unless ``given``), and for ``"auto"`` also replicate, of the reference itself."""
    if given is None:
        baseline: Baseline = by_metric(computed_baseline(real, genes, scored, settings).aggregate, settings)
    else:
        baseline = given
    if name == "baseline" or settings.preset.control_source == "pred":
        return Scale(name, baseline)
    return Scale(name, baseline, computed_replicate(real, genes, scored, settings).replicate)


def further_passes(scale: str | Bundle | None, given: Baseline | None, settings: Settings) -> int:
    """How many comparisons a scale takes beside the prediction's own, where nothing is kept."""
    if scale not in COMPUTED:
        return 0
    baseline = 0 if given is not None else 1
    return baseline + (N_SPLITS if scale == "auto" and settings.preset.control_source != "pred" else 0)


def kept_or_computed(name: str, job: Job, scored: Scored, settings: Settings, given: Baseline | None) -> Scale:
    """The computed scale, from the cache where it is kept there; a ``given`` baseline is never kept."""
    if given is not None and name == "baseline":
        return Scale(name, given)
    file = None if job.cache_file is None or given is not None else job.cache_file.with_suffix(f".{name}.json")
    if file is not None and file.exists():
        kept = json.loads(file.read_text())
        return Scale(kept["name"], kept["baseline"], kept["replicate"])
    real = job.real
    if not isinstance(real, SideInput):
        assert job.load_real is not None
        real = job.load_real()
    made = computed_scale(name, real, job.genes, scored, settings, given)
    if file is not None:
        partial = file.with_name(f".{file.name}.{os.getpid()}.part")
        partial.write_text(json.dumps(asdict(made)))
        os.replace(partial, file)
    return made


def scores_on(scale: Scale | str, scored: Scored, settings: Settings) -> Scores:
    """Scores of the aggregates on a scale, by registry name."""
    values = by_metric(scored.aggregate, settings)
    names = {m.output: m.metric for m in settings.members}
    undefined = {
        names[m]: why for m, why in scored.reasons.items() if registry.get(names[m]).aggregate == "ratio_of_sums"
    }
    if isinstance(scale, str):
        return on_fixed_scale(values, scale, undefined=undefined)
    preset = settings.preset
    if preset.nan_rule == "propagate":
        return cell_eval_scores(values, scale.baseline, preset.policies)
    how: dict[str, Any] = {"undefined": undefined, "strict": False}
    if preset.gated:
        how["gated"] = [m for m in values if registry.get(m).gate is not None]
    if scale.replicate:
        return from_replicate(values, scale.baseline, scale.replicate, preset.policies, **how)
    return from_baseline(values, scale.baseline, preset.policies, **how)


def scorers(scale: Scale, scores: Scores, settings: Settings) -> dict[str, Scorer]:
    """What takes aggregates to scores, by name in the results, with the ends of the scale as they are."""
    shown = {m.metric: m.output for m in settings.members}
    preset = settings.preset
    made: dict[str, Scorer] = {}
    for metric, score in scores.scores.items():
        if metric not in shown or np.isnan(score):
            continue
        if scale.name in FIXED_SCALES:
            fixed = FIXED_SCALES[scale.name][metric]
            base, policy = fixed.base, fixed.policy
        else:
            given = scale.baseline[metric]
            assert given is not None
            base, policy = given, preset.policies[metric]
            if preset.nan_rule == "propagate":
                policy = replace(policy, low=0.0, high=None)  # floored, and undefined values count as 0
            elif scale.replicate:
                policy = replace(policy, anchor=scale.replicate[metric], absolute=False)
        made[shown[metric]] = partial(score_many, base=base, policy=policy)
    return made


def bundle_scale(bundle: Bundle, job: Job, scored: Scored, settings: Settings) -> Scale:
    """Both ends as an official bundle gives them, after checking that it belongs to this reference and these rules."""
    bundle.check_rules(settings.preset, list(by_metric(scored.aggregate, settings)), control=scored.real.control)
    real = job.real
    if isinstance(real, SideInput):  # a kept summary was made from cells that are not at hand to compare
        groups = real.side.groups
        mark = source_fingerprint(job.genes, groups.labels, groups.codes, real.dtype)
        bundle.check_reference(mark, strict=False)
    chosen = set(bundle.members)
    return Scale(bundle.name, bundle.baseline, {m: v for m, v in bundle.replicate.items() if m in chosen})


def scaled(
    scale: str | Bundle, job: Job, scored: Scored, settings: Settings, given: Baseline | None
) -> tuple[Scale, Scores]:
    """The ends of a scale and the scores on it."""
    if isinstance(scale, str) and scale in FIXED_SCALES:
        return Scale(scale), scores_on(scale, scored, settings)
    if isinstance(scale, str):
        made = kept_or_computed(scale, job, scored, settings, given)
    else:
        made = bundle_scale(scale, job, scored, settings)
    return made, scores_on(made, scored, settings)


def resolve_baseline(baseline: Mapping[str, float] | str | os.PathLike[str] | None) -> Baseline | None:
    """Aggregates of a baseline by registry name, from a mapping or an ``agg_results.csv``."""
    if baseline is None:
        return None
    values = baseline if isinstance(baseline, Mapping) else read_aggregate(Path(baseline))
    known = {}
    for name, value in values.items():
        try:
            known[registry.get(name).name] = value
        except ValueError as e:
            msg = f"the baseline names a metric that is not known: {e}"
            raise DataError(msg) from None
    return known


def resolve_scale(scale: str | os.PathLike[str] | None) -> str | Bundle | None:
    """Read the bundle where ``scale`` is a directory; refuse what is neither that, nor computed, nor fixed."""
    if scale is None or scale in COMPUTED or scale in FIXED_SCALES:
        return None if scale is None else os.fspath(scale)
    if not Path(scale).exists():
        msg = (
            f"scale {scale!r} is neither 'auto' nor 'baseline', nor a fixed scale ({', '.join(FIXED_SCALES)}), "
            "nor the directory of a bundle"
        )
        raise DataError(msg)
    return read_bundle(scale)
