"""One prediction against one reference: pass, profiles, tables, formulas."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics import registry
from vcmetrics.metrics.aggregate import Parts, aggregate, parts_of
from vcmetrics.metrics.pair import Pair
from vcmetrics.scoring.evaluate import SideInput, build_pair, own_genes, recipes_of, summarize_pair
from vcmetrics.scoring.settings import Settings
from vcmetrics.summary.de_reading import apply_reading_rules, check_targets
from vcmetrics.summary.de_table import DETable
from vcmetrics.summary.group_summary import GroupSummary, Recipe

Array = NDArray[Any]


class Clock:
    """Seconds spent per stage."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Book the time since the last lap under ``stage``."""
        now = time.perf_counter()
        self.timings[stage] = self.timings.get(stage, 0.0) + now - self._last
        self._last = now


def metric_values(pair: Pair, settings: Settings, *, single: bool) -> tuple[dict[str, Any], dict[str, Array]]:
    """Values per perturbation by registry name, components of ratios included; and what panel values are made of.

    ``single``: both sides are stored in single precision, so a preset that rounds profiles derives from rounded ones.
    """
    common = settings.preset.settings()
    round_profiles = settings.preset.round_profiles and single
    embedded: dict[str, Pair] = {}
    out: dict[str, Any] = {}
    panels: dict[str, Array] = {}
    for member in settings.members:
        spec = registry.get(member.metric)
        parameters = {**common, **member.params}
        if "de" not in spec.needs:
            parameters["single_precision"] = round_profiles
        seen = pair
        key = parameters.get("embedding")
        if key is not None and "embedding" not in spec.defaults:
            pred, real = pair.profiles(key)
            seen = embedded.setdefault(key, replace(pair, pred=pred, real=real))
        parts = (
            [spec] if spec.aggregate == "mean" else [registry.get(x) for x in (spec.numerator, spec.denominator) if x]
        )
        for part in parts:
            if part.name not in out or part is spec:
                out[part.name] = np.ma.asarray(part.evaluate(seen, parameters))
        if spec.panel_values is not None:
            panels[spec.name] = spec.panel_values(seen, **spec.parameters(parameters))
    return out, panels


def aggregates(values: Mapping[str, Any], settings: Settings) -> tuple[dict[str, float], dict[str, str]]:
    """One value a metric under its name in the results, and the reason where it is undefined."""
    out: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for member in settings.members:
        out[member.output], reason = aggregate(values, member.metric, nan=settings.preset.nan_rule)
        if reason is not None:
            reasons[member.output] = reason
    return out, reasons


def aggregate_parts(values: Mapping[str, Any], panels: Mapping[str, Array], settings: Settings) -> dict[str, Parts]:
    """What every aggregate is made of, under its name in the results."""
    nan = settings.preset.nan_rule
    return {m.output: parts_of(values, m.metric, nan=nan, panel=panels.get(m.metric)) for m in settings.members}


@dataclass(frozen=True)
class Scored:
    """One comparison: the pair that the formulas saw and what they gave."""

    pair: Pair
    values: Mapping[str, Any]
    aggregate: Mapping[str, float]
    reasons: Mapping[str, str]
    parts: Mapping[str, Parts]
    real: GroupSummary
    pred: GroupSummary


def compare(
    real: SideInput | GroupSummary,
    pred: SideInput,
    genes: Array,
    settings: Settings,
    *,
    de: tuple[DETable | None, DETable | None] = (None, None),
    embeddings: Mapping[str, Any] | None = None,
    cells: Callable[[], Any] | None = None,
    clock: Clock | None = None,
) -> Scored:
    """Score one prediction against one reference: pass, profiles, tables, formulas."""
    clock = clock or Clock()
    preset, needs = settings.preset, settings.needs
    real_kind = real.facts["kind"] if isinstance(real, GroupSummary) else real.kind
    bulk = preset.comparator == "bulk_lognorm" and real_kind == pred.kind == "counts"
    shared = preset.control_source == "real"
    if shared and real_kind != pred.kind and needs.de:
        msg = f"{pred.name} holds {pred.kind} and {real.name} {real_kind}; both sides must hold the same kind of values"
        raise DataError(msg)
    to_gather = replace(needs, de=needs.de and (de[0] is None or de[1] is None))
    like = real_as_input(real, pred) if isinstance(real, GroupSummary) else real
    how: dict[str, Any] = {"bulk": bulk, "arithmetic": settings.arithmetic}
    recipes = (recipes_of(like, preset, to_gather, **how), recipes_of(pred, preset, to_gather, **how))
    if isinstance(real, GroupSummary):
        check_tables(real, recipes[0].all())
    summaries = summarize_pair(
        real, pred, genes, recipes, shared_control=shared, n_threads=settings.n_threads, progress=settings.progress
    )
    if settings.progress is not None:
        settings.progress.next()
    clock.lap("pass over the cells")
    pair = build_pair(
        *summaries,
        recipes,
        preset,
        needs,
        bulk=bulk,
        single=(like.single, pred.single),
        arithmetic=settings.arithmetic,
        target_map=settings.target_map,
        de=de,
        n_threads=settings.n_threads,
    )
    pair = replace(pair, cells=cells, embeddings=dict(embeddings or {}))
    if needs.de:
        pair = with_de_rules(pair, settings)
    clock.lap("differential expression")
    by_metric, panels = metric_values(pair, settings, single=like.single and pred.single)
    panel, reasons = aggregates(by_metric, settings)
    values = {m.output: by_metric[m.metric] for m in settings.members if m.metric in by_metric}
    clock.lap("metrics")
    return Scored(pair, values, panel, reasons, aggregate_parts(by_metric, panels, settings), *summaries)


def check_tables(real: GroupSummary, recipes: Sequence[Recipe]) -> None:
    """Refuse a summary that lacks what the metrics read."""
    for recipe in recipes:
        if not real.has(recipe):
            msg = (
                f"{real.name}: the summary lacks tables that these metrics read ({', '.join(sorted(recipe.fields))} of "
                f"{recipe.name}); make it with vcmetrics.summarize(fields=..., target_sum=...), or use cache="
            )
            raise DataError(msg)


def with_de_rules(pair: Pair, settings: Settings) -> Pair:
    """The DE tables as the preset reads them, and the own genes among the tested ones."""
    assert pair.de_real is not None
    assert pair.de_pred is not None
    preset = settings.preset
    check_targets(pair.de_real, pair.de_pred, pair.perturbations, None)
    nan_lfc = "keep" if preset.de.nan_lfc == "zero" else preset.de.nan_lfc
    real, pred = (
        apply_reading_rules(t, nan_lfc=nan_lfc, min_abs_log2fc=preset.de.min_abs_log2fc)
        for t in (pair.de_real, pair.de_pred)
    )
    # the DE metrics of version 1 leave no gene out
    own = own_genes(pair.perturbations, real.genes, preset, settings.target_map, read=preset.naming == "v2")
    return replace(pair, de_real=real, de_pred=pred, own_de=own)


def real_as_input(real: GroupSummary, pred: SideInput) -> SideInput:
    """What the recipes need to know of a reference that is at hand as a summary only."""
    facts = real.facts
    return replace(pred, name=real.name, kind=facts["kind"], single=facts["single"], target_sum=facts["target_sum"])
