"""One prediction against one reference: pass, profiles, tables, formulas."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError, UnsuitedError
from vcmetrics.metrics import registry
from vcmetrics.metrics.aggregate import Parts, aggregate, parts_of
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import MetricSpec
from vcmetrics.presets.preset import Member
from vcmetrics.scoring.beside import summarize_beside
from vcmetrics.scoring.evaluate import (
    Needs,
    Recipes,
    SideInput,
    build_pair,
    merged,
    own_genes,
    recipes_of,
    summarize_pair,
)
from vcmetrics.scoring.settings import Settings
from vcmetrics.scoring.spaces import PairSpace, transformed
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


def metric_values(
    pair: Pair, settings: Settings, *, single: bool
) -> tuple[dict[str, Any], dict[str, Array], dict[str, str]]:
    """Values per perturbation by registry name, components of ratios included; and what panel values are made of.

    Third, by name in the results, why metrics find nothing to score in these data: their values are undefined.
    ``single``: both sides are stored in single precision, so a preset that rounds profiles derives from rounded ones.
    """
    common = settings.preset.settings()
    round_profiles = settings.preset.round_profiles and single
    embedded: dict[str, Pair] = {}
    out: dict[str, Any] = {}
    panels: dict[str, Array] = {}
    unsuited: dict[str, str] = {}
    names = keys_of(settings.members)
    for member in settings.members:
        spec, name = registry.get(member.metric), names[member.output]
        parameters = {**common, **member.params}
        if "de" not in spec.needs:
            parameters["single_precision"] = round_profiles
        seen = pair
        key = parameters.get("embedding")
        if key is not None and "embedding" not in spec.defaults:
            pred, real = pair.profiles(key)
            seen = embedded.setdefault(key, replace(pair, pred=pred, real=real))
        if "space" in parameters:
            seen = transformed(seen, parameters["space"])
        for part in parts_behind(spec):
            key = part_key(name, spec, part)
            if key not in out or part is spec:
                try:
                    out[key] = np.ma.asarray(part.evaluate(seen, parameters))
                except UnsuitedError as error:
                    if settings.named:
                        raise
                    out[key] = np.ma.asarray(np.full(pair.n, np.nan))
                    unsuited[member.output] = str(error)
        if spec.panel_values is not None:
            panels[name] = spec.panel_values(seen, **spec.parameters(parameters))
    return out, panels, unsuited


def keys_of(members: Sequence[Member]) -> dict[str, str]:
    """Name of each member's values by its name in the results.

    It is the metric's where the metric is listed once; further members of it, which differ in their parameters, go by
    their names in the results.
    """
    first: dict[str, str] = {}
    for member in members:
        first.setdefault(member.metric, member.output)
    return {m.output: m.metric if first[m.metric] == m.output else m.output for m in members}


def parts_behind(spec: MetricSpec) -> list[MetricSpec]:
    """What is evaluated perturbation by perturbation for a metric: itself, or both parts of a ratio of sums."""
    if spec.aggregate == "mean":
        return [spec]
    return [registry.get(x) for x in (spec.numerator, spec.denominator) if x]


def part_key(name: str, spec: MetricSpec, part: MetricSpec) -> str:
    """Name of the values of a part; those of a further member of a metric are its own."""
    if part is spec:
        return name
    return part.name if name == spec.name else f"{name}:{part.name}"


def values_behind(values: Mapping[str, Any], name: str, spec: MetricSpec) -> dict[str, Any]:
    """The values of one member and of its parts, under their names in the registry."""
    parts = [spec, *parts_behind(spec)]
    return {p.name: values[part_key(name, spec, p)] for p in parts if part_key(name, spec, p) in values}


def aggregates(values: Mapping[str, Any], settings: Settings) -> tuple[dict[str, float], dict[str, str]]:
    """One value a metric under its name in the results, and the reason where it is undefined."""
    out: dict[str, float] = {}
    reasons: dict[str, str] = {}
    names = keys_of(settings.members)
    for member in settings.members:
        behind = values_behind(values, names[member.output], registry.get(member.metric))
        out[member.output], reason = aggregate(behind, member.metric, nan=settings.preset.nan_rule)
        if reason is not None:
            reasons[member.output] = reason
    return out, reasons


def aggregate_parts(values: Mapping[str, Any], panels: Mapping[str, Array], settings: Settings) -> dict[str, Parts]:
    """What every aggregate is made of, under its name in the results."""
    nan = settings.preset.nan_rule
    out = {}
    for output, name in keys_of(settings.members).items():
        metric = next(m.metric for m in settings.members if m.output == output)
        behind = values_behind(values, name, registry.get(metric))
        out[output] = parts_of(behind, metric, nan=nan, panel=panels.get(name))
    return out


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


@dataclass(frozen=True)
class Gathered:
    """What one pass over both sides gave; ``single``: both sides are stored in single precision."""

    pair: Pair
    real: GroupSummary
    pred: GroupSummary
    single: bool


@dataclass(frozen=True)
class Request:
    """One rule set's wish: both sides as its rules take them, and what its metrics read."""

    real: SideInput | GroupSummary
    pred: SideInput
    settings: Settings
    needs: Needs
    de: tuple[DETable | None, DETable | None] = (None, None)
    embeddings: Mapping[str, Any] = field(default_factory=dict)
    cells: Callable[[], Any] | None = None

    @property
    def bulk(self) -> bool:
        """Whether profiles are logs of sums."""
        kind = self.real.facts["kind"] if isinstance(self.real, GroupSummary) else self.real.kind
        return self.settings.preset.comparator == "bulk_lognorm" and kind == self.pred.kind == "counts"

    @property
    def like(self) -> SideInput:
        """What the recipes need to know of the observed side."""
        return real_as_input(self.real, self.pred) if isinstance(self.real, GroupSummary) else self.real

    def recipes(self) -> tuple[Recipes, Recipes]:
        """What to gather of reality and of the prediction."""
        preset, like = self.settings.preset, self.like
        if preset.control_source == "real" and like.kind != self.pred.kind and self.needs.de:
            msg = (
                f"{self.pred.name} holds {self.pred.kind} and {like.name} {like.kind}; both sides must hold the same "
                "kind of values"
            )
            raise DataError(msg)
        needs = replace(self.needs, de=self.needs.de and (self.de[0] is None or self.de[1] is None))
        how: dict[str, Any] = {"bulk": self.bulk, "arithmetic": self.settings.arithmetic}
        return recipes_of(like, preset, needs, **how), recipes_of(self.pred, preset, needs, **how)


def gather_pairs(requests: Sequence[Request], genes: Array, *, clock: Clock | None = None) -> list[Gathered]:
    """Pass over the cells, profiles and tables for several rule sets: everything before the formulas.

    All requests are over the same cells. Rule sets that take the same control share one pass, in which whatever is
    common to them (the rank sums above all) is computed once, and those of one space one pair.
    """
    clock = clock or Clock()
    recipes = [r.recipes() for r in requests]
    shares: dict[Hashable, list[int]] = {}
    targets: dict[Hashable, float] = {}  # a pass takes the jackknife at one depth
    for k, (request, (of_real, _)) in enumerate(zip(requests, recipes, strict=True)):
        key: Hashable = (id(side_of(request.real)), id(side_of(request.pred)), request.settings.preset.control_source)
        for recipe in of_real.all():
            if (
                "jackknife" in recipe.fields
                and targets.setdefault(key, recipe.jackknife_target) != recipe.jackknife_target
            ):
                key = (key, recipe.jackknife_target)
        shares.setdefault(key, []).append(k)
    out: dict[int, Gathered] = {}
    for members in shares.values():
        for k, got in zip(members, _gather_share([requests[k] for k in members], genes, clock), strict=True):
            out[k] = got
    return [out[k] for k in range(len(requests))]


def side_of(one: SideInput | GroupSummary) -> object:
    """What tells whether two inputs are the same cells in the same groups."""
    return one if isinstance(one, GroupSummary) else one.side


def _gather_share(requests: Sequence[Request], genes: Array, clock: Clock) -> list[Gathered]:
    """:func:`gather_pairs` of rule sets that share one pass."""
    first = requests[0]
    recipes = [r.recipes() for r in requests]
    of_real, of_pred = (merged(r for both in recipes for r in both[k].all()) for k in (0, 1))
    if isinstance(first.real, GroupSummary):
        check_tables(first.real, of_real)
    run = first.settings
    summaries = summarize_pair(
        first.real,
        first.pred,
        genes,
        (of_real, of_pred),
        shared_control=run.preset.control_source == "real",
        n_threads=run.n_threads,
        progress=run.progress,
    )
    if run.progress is not None:
        run.progress.next()
    profiled = [both[0].profile for both in recipes if both[0].profile is not None]
    beside = summarize_beside(first.real, first.pred, genes, profiled, n_threads=run.n_threads)
    clock.lap("pass over the cells")
    pairs: dict[Hashable, Pair] = {}
    tested: dict[Hashable, DETable] = {}
    out = []
    for request, both in zip(requests, recipes, strict=True):
        settings, single = request.settings, (request.like.single, request.pred.single)
        pair = build_pair(
            *summaries,
            both,
            settings.preset,
            request.needs,
            space=PairSpace(settings.preset, request.bulk, single, settings.arithmetic),
            beside=beside,
            target_map=settings.target_map,
            de=request.de,
            n_threads=settings.n_threads,
            read_own=settings.needs_own_genes(de=False),
            pairs=pairs,
            tested=tested,
        )
        if request.cells is not None or request.embeddings:  # a changed pair shares nothing with the others
            pair = replace(pair, cells=request.cells, embeddings=dict(request.embeddings))
        if request.needs.de:
            pair = with_de_rules(pair, settings)
        out.append(Gathered(pair, *summaries, single=all(single)))
    clock.lap("differential expression")
    return out


def gather_pair(
    real: SideInput | GroupSummary,
    pred: SideInput,
    genes: Array,
    settings: Settings,
    needs: Needs,
    *,
    de: tuple[DETable | None, DETable | None] = (None, None),
    embeddings: Mapping[str, Any] | None = None,
    cells: Callable[[], Any] | None = None,
    clock: Clock | None = None,
) -> Gathered:
    """Pass over the cells, profiles and tables of one rule set: everything before the formulas."""
    request = Request(real, pred, settings, needs, de, embeddings or {}, cells)
    return gather_pairs([request], genes, clock=clock)[0]


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
    got = gather_pair(
        real, pred, genes, settings, settings.needs, de=de, embeddings=embeddings, cells=cells, clock=clock
    )
    return scored_of(got, settings, clock)


def scored_of(got: Gathered, settings: Settings, clock: Clock) -> Scored:
    """The values of the metrics of what was gathered."""
    by_metric, panels, unsuited = metric_values(got.pair, settings, single=got.single)
    panel, reasons = aggregates(by_metric, settings)
    reasons |= unsuited
    values = {output: by_metric[name] for output, name in keys_of(settings.members).items() if name in by_metric}
    clock.lap("metrics")
    parts = aggregate_parts(by_metric, panels, settings)
    return Scored(got.pair, values, panel, reasons, parts, got.real, got.pred)


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
    read = preset.naming == "v2" and settings.needs_own_genes(de=True)
    own = own_genes(pair.perturbations, real.genes, preset, settings.target_map, read=read)
    return replace(pair, de_real=real, de_pred=pred, own_de=own)


def real_as_input(real: GroupSummary, pred: SideInput) -> SideInput:
    """What the recipes need to know of a reference that is at hand as a summary only."""
    facts = real.facts
    return replace(pred, name=real.name, kind=facts["kind"], single=facts["single"], target_sum=facts["target_sum"])
