"""From the cells of two sides to the values of the metrics: recipes, pass, profiles, tables, formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.pair import Pair, Profiles
from vcmetrics.presets.preset import Preset
from vcmetrics.summary.de_table import DETable
from vcmetrics.summary.differential_expression import RankTest, de_table
from vcmetrics.summary.group_summary import GroupSummary, Progress, Recipe, Side, gather, group_totals
from vcmetrics.summary.means import bulk_lognorm, mean_variance, per_cell
from vcmetrics.summary.plan import resolve_targets

Array = NDArray[Any]


@dataclass(frozen=True)
class SideInput:
    """One side, ready for the pass: its cells, what the values are, and the target sum of its normalisation."""

    name: str
    side: Side
    kind: str  # "counts", "lognorm" or "discrete" (values as they are)
    single: bool  # stored as float32 or narrower: peers compute it in single precision
    target_sum: float  # of the per-cell normalisation
    dtype: np.dtype[Any]  # as stored
    order: tuple[str, ...] = ()  # labels as the column's categories list them; empty: sorted


@dataclass(frozen=True)
class Values:
    """What recipes need to know of one side; fields as in :class:`SideInput`."""

    kind: str
    single: bool
    target_sum: float


@dataclass(frozen=True)
class Needs:
    """What the requested metrics need of the summaries."""

    profiles: bool
    correction: bool
    de: bool


@dataclass(frozen=True)
class Recipes:
    """The passes of one side: for profiles and for differential expression (one and the same where possible)."""

    profile: Recipe | None
    de: Recipe | None
    test: RankTest | None

    def all(self) -> list[Recipe]:
        """The different recipes; two of one key and scale are one."""
        found: dict[str, Recipe] = {}
        for r in (self.profile, self.de):
            if r is not None:
                old = found.get(r.name)
                found[r.name] = r if old is None else merge_recipes(old, r)
        return list(found.values())


def merge_recipes(a: Recipe, b: Recipe) -> Recipe:
    """One recipe with the fields of both; a gate only where the ranked one has it."""
    ranked = a if "rank" in a.fields else b
    corrected = a if "jackknife" in a.fields else b
    return replace(ranked, fields=a.fields | b.fields, jackknife_target=corrected.jackknife_target)


def recipes_of(one: SideInput | Values, preset: Preset, needs: Needs, *, bulk: bool, arithmetic: str) -> Recipes:
    """What to gather of one side under ``preset``."""
    profile = None
    if needs.profiles:
        fields = {"sum"} | ({"jackknife" if bulk else "square"} if needs.correction else set())
        if bulk:
            profile = Recipe("ratio", one.target_sum, frozenset(fields), jackknife_target=preset.bulk_target_sum)
        elif one.kind != "counts":
            profile = Recipe("raw", 1.0, frozenset(fields))
        elif one.single:
            profile = Recipe("lognorm32", one.target_sum, frozenset(fields))
        else:
            profile = Recipe("ratio", one.target_sum, frozenset({"log1p"}))
    if not needs.de:
        return Recipes(profile, None, None)
    rules = preset.de
    geometric = rules.mean == "geometric"
    gate = rules.cpm_gate if rules.gate_on != "none" else None
    test = RankTest(
        mean=rules.mean,
        epsilon=rules.epsilon,
        clip=rules.clip,
        fdr_scope=rules.fdr_scope,
        gate=gate,
        gate_on=rules.gate_on,
        continuity=rules.continuity,
        zero_over_zero=0.0 if rules.nan_lfc == "zero" else np.nan,
        means_in_single=preset.round_profiles and one.single,
    )
    if one.kind == "counts" and rules.key == "lognorm32" and one.single:
        # DE on the log-normalised values themselves
        linear = {"expm1"} if not geometric or gate is not None else set()
        de = Recipe("lognorm32", one.target_sum, frozenset({"rank", "sum"} | linear))
        test = replace(test, logged=True, linear_table="expm1")
    elif one.kind == "counts" and arithmetic == "gpu32":
        fields = {"rank", "sum"} | ({"log1p"} if geometric else set())
        de = Recipe("cpm32", one.target_sum, frozenset(fields))
        test = replace(test, linear_table="sum")
    elif one.kind == "counts":
        fields = {"rank", "linear"} | ({"log1p"} if geometric else set())
        # the kernel's own gate works on the linear scale; other target sums are gated afterwards
        early = gate if rules.gate_on == "control" and one.target_sum == 1e6 else None
        de = Recipe("ratio", one.target_sum, frozenset(fields), gate=early)
    elif one.kind == "lognorm":
        table = "expm1_32" if one.single else "expm1"
        gated = gate is not None and rules.gate_on == "either"
        linear = {table} if not geometric or gated else set()
        de = Recipe("raw", 1.0, frozenset({"rank", "sum"} | linear))
        test = replace(test, logged=True, linear_table=table)
        if rules.gate_on == "control":  # the control gate is defined on counts; log-normalised input skips it
            test = replace(test, gate=None, gate_on="none")
    else:
        fields = {"rank", "sum"} | ({"log1p"} if geometric else set())
        de = Recipe("raw", 1.0, frozenset(fields))
        test = replace(test, linear_table="sum")
    return Recipes(profile, de, test)


def summary_of(one: SideInput, genes: Array, tables: Mapping[str, Mapping[str, Array]], n: Array) -> GroupSummary:
    """Put gathered tables into a summary."""
    groups = one.side.groups
    return GroupSummary(
        name=one.name,
        genes=genes,
        labels=groups.labels,
        control=groups.control,
        n=n,
        totals=group_totals(one.side),
        tables=tables,
    )


def summarize_pair(
    real: SideInput | GroupSummary,
    pred: SideInput,
    genes: Array,
    recipes: tuple[Recipes | None, Recipes],
    *,
    shared_control: bool,
    n_threads: int | None,
    progress: Progress | None,
) -> tuple[GroupSummary, GroupSummary]:
    """Gather both sides, in one pass where their recipes agree.

    ``real`` may be a finished summary; then only the prediction's cells are read (and the control that it holds).
    """
    tables: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    counts: list[Array | None] = [None, None]
    how: dict[str, Any] = {"n_threads": n_threads, "progress": progress}
    cached = isinstance(real, GroupSummary)
    real_control = real.control_side if isinstance(real, GroupSummary) else real.side
    if shared_control:  # nothing reads the prediction's own control, so the pass leaves it alone
        pred = replace(pred, side=replace(pred.side, groups=pred.side.groups.without_control()))
    names = {r.name: r for r in recipes[1].all()}
    real_names = {} if cached or recipes[0] is None else {r.name: r for r in recipes[0].all()}

    def keep(which: int, recipe: Recipe, out: dict[str, Array]) -> None:
        counts[which] = out.pop("n")
        tables[which].setdefault(recipe.name, {}).update(out)

    for name in dict.fromkeys([*real_names, *names]):
        r_real, r_pred = real_names.get(name), names.get(name)
        if r_real is not None and r_pred is not None and isinstance(real, SideInput):
            recipe = merge_recipes(r_real, r_pred)
            control = real.side if shared_control else None
            a, b = gather([(real.side, None), (pred.side, control)], recipe, **how)
            keep(0, recipe, a)
            keep(1, recipe, b)
        elif r_real is not None and isinstance(real, SideInput):
            keep(0, r_real, gather([(real.side, None)], r_real, **how)[0])
        elif r_pred is not None:
            control = real_control if shared_control and "rank" in r_pred.fields else None
            if shared_control and "rank" in r_pred.fields and real_control is None:
                msg = f"{real.name}: the saved summary holds no control cells; make it again with vcmetrics.summarize"
                raise DataError(msg)
            keep(1, r_pred, gather([(pred.side, control)], r_pred, **how)[0])
    pred_n = counts[1] if counts[1] is not None else group_sizes(pred)
    pred_summary = summary_of(pred, genes, tables[1], pred_n)
    if isinstance(real, GroupSummary):
        return real, pred_summary
    real_n = counts[0] if counts[0] is not None else group_sizes(real)
    return summary_of(real, genes, tables[0], real_n), pred_summary


def group_sizes(one: SideInput) -> NDArray[np.int64]:
    """Number of cells per group."""
    codes = one.side.groups.codes
    return np.bincount(codes[codes >= 0], minlength=len(one.side.groups.labels)).astype(np.int64)


def profile_table(
    summary: GroupSummary, recipe: Recipe, preset: Preset, *, bulk: bool, single: bool, arithmetic: str
) -> Array:
    """Groups × genes profiles in the space of the recipe."""
    if bulk:
        out = bulk_lognorm(summary, recipe, preset.bulk_target_sum)
        return out.astype(np.float32).astype(np.float64) if arithmetic == "gpu32" else out
    table = "log1p" if "log1p" in recipe.fields and "sum" not in recipe.fields else "sum"
    out = per_cell(summary.table(recipe, table), summary.n)
    return out.astype(np.float32).astype(np.float64) if single and preset.round_profiles else out


def corrections(summary: GroupSummary, recipe: Recipe, *, bulk: bool) -> Array:
    """Sampling variance of every group's profile."""
    return np.asarray(summary.table(recipe, "jackknife")) if bulk else mean_variance(summary, recipe)


def build_pair(
    real: GroupSummary,
    pred: GroupSummary,
    recipes: tuple[Recipes, Recipes],
    preset: Preset,
    needs: Needs,
    *,
    bulk: bool,
    single: tuple[bool, bool],
    arithmetic: str,
    target_map: Mapping[str, str | None] | None,
    de: tuple[DETable | None, DETable | None],
    n_threads: int | None,
    read_own: bool = True,
) -> Pair:
    """Everything the formulas see; ``read_own``: a metric of profiles leaves own target genes out."""
    perturbations = tuple(x for x in real.labels if x != real.control)
    shared = preset.control_source == "real"
    sides: list[Profiles | None] = [None, None]
    targets = own_genes(perturbations, real.genes, preset, target_map, read=needs.profiles and read_own)
    at = {str(g): k for k, g in enumerate(real.genes)}
    own = np.array([-1 if t is None else at[t] for t in targets], np.int64)
    if needs.profiles:
        made = []
        for k, s in enumerate((real, pred)):
            recipe = recipes[k].profile
            assert recipe is not None
            table = profile_table(s, recipe, preset, bulk=bulk, single=single[k], arithmetic=arithmetic)
            c = corrections(s, recipe, bulk=bulk) if needs.correction else None
            made.append((s, table, c))
        for k, (s, table, c) in enumerate(made):
            source, source_table, _ = made[0] if shared else made[k]
            rows, own_control = s.rows_of(perturbations), s.control_code
            sides[k] = Profiles(
                mean=table[rows],
                control=source_table[source.control_code],
                correction=None if c is None else c[rows],
                control_correction=None if c is None or own_control < 0 else float(c[own_control]),
            )
    tables: list[DETable | None] = list(de)
    if needs.de:
        for k, s in enumerate((real, pred)):
            if tables[k] is None:
                recipe, test = recipes[k].de, recipes[k].test
                assert recipe is not None
                assert test is not None
                reference = real if shared else s
                tables[k] = de_table(s, reference, perturbations, recipe, test, n_threads=n_threads)
    depth = None if isinstance(preset.target_sum, str) else float(preset.target_sum)
    return Pair(
        perturbations=perturbations,
        genes=real.genes,
        own=own,
        real=sides[0],
        pred=sides[1],
        de_real=tables[0],
        de_pred=tables[1],
        target_sum=preset.bulk_target_sum if bulk else depth,
        bulk=bulk,
    )


def own_genes(
    perturbations: Sequence[str],
    genes: Array,
    preset: Preset,
    target_map: Mapping[str, str | None] | None,
    *,
    read: bool,
) -> tuple[str | None, ...]:
    """Own target gene per perturbation among ``genes``.

    Raises where the metrics ``read`` them, the preset wants one resolved and none is.
    """
    try:
        return resolve_targets(perturbations, genes, target_map)
    except DataError:
        if read and preset.needs_targets and preset.exclude != "none":
            raise
        return (None,) * len(perturbations)
