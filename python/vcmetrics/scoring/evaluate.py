"""From the cells of two sides to the values of the metrics: recipes, pass, profiles, tables, formulas."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.pair import Pair
from vcmetrics.presets.preset import Preset
from vcmetrics.scoring.spaces import PairSpace, profile_recipe
from vcmetrics.summary.de_table import DETable
from vcmetrics.summary.differential_expression import RankTest, de_table
from vcmetrics.summary.group_summary import GroupSummary, Progress, Recipe, Side, gather_together, group_totals
from vcmetrics.summary.plan import resolve_targets

if TYPE_CHECKING:
    from vcmetrics.scoring.beside import Beside

Array = NDArray[Any]


@dataclass(frozen=True)
class BatchCodes:
    """Batch of every cell: ``labels[codes[i]]``; both sides number their batches alike."""

    labels: tuple[str, ...]
    codes: NDArray[np.int64]


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
    batches: BatchCodes | None = None
    train: SideInput | None = None  # of the observed side: the data that predictions were fitted on


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
    variance: bool = False
    batches: bool = False


@dataclass(frozen=True)
class Recipes:
    """The passes of one side: for profiles and for differential expression (one and the same where possible)."""

    profile: Recipe | None
    de: Recipe | None
    test: RankTest | None

    def all(self) -> list[Recipe]:
        """The different recipes; two of one key and scale are one."""
        return merged(r for r in (self.profile, self.de) if r is not None)


def merged(recipes: Iterable[Recipe]) -> list[Recipe]:
    """Recipes of different names; those of one name become one."""
    found: dict[str, Recipe] = {}
    for r in recipes:
        old = found.get(r.name)
        found[r.name] = r if old is None else merge_recipes(old, r)
    return list(found.values())


def merge_recipes(a: Recipe, b: Recipe) -> Recipe:
    """One recipe with the fields of both; a gate only where all that rank have the same."""
    ranked = a if "rank" in a.fields else b
    corrected = a if "jackknife" in a.fields else b
    both = "rank" in a.fields and "rank" in b.fields
    gate = None if both and a.gate != b.gate else ranked.gate
    return replace(ranked, fields=a.fields | b.fields, gate=gate, jackknife_target=corrected.jackknife_target)


def recipes_of(one: SideInput | Values, preset: Preset, needs: Needs, *, bulk: bool, arithmetic: str) -> Recipes:
    """What to gather of one side under ``preset``."""
    profile = profile_recipe(one, preset, needs, bulk=bulk) if needs.profiles else None
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
        fields = {"rank"} | ({"log1p"} if geometric else {"linear"}) | ({"linear"} if gate is not None else set())
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
    recipes: tuple[Sequence[Recipe], Sequence[Recipe]],
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
    names = {r.name: r for r in recipes[1]}
    real_names = {} if cached else {r.name: r for r in recipes[0]}

    def keep(which: int, found: dict[str, dict[str, Array]]) -> None:
        for name, out in found.items():
            counts[which] = out.pop("n", counts[which])
            tables[which].setdefault(name, {}).update(out)

    both = [merge_recipes(r, names[name]) for name, r in real_names.items() if name in names]
    if both and isinstance(real, SideInput):
        control = real.side if shared_control else None
        a, b = gather_together([(real.side, None), (pred.side, control)], both, **how)
        keep(0, a)
        keep(1, b)
    alone = [r for name, r in real_names.items() if name not in names]
    if alone and isinstance(real, SideInput):
        keep(0, gather_together([(real.side, None)], alone, **how)[0])
    alone = [r for name, r in names.items() if name not in real_names]
    if alone:
        ranked = shared_control and any("rank" in r.fields for r in alone)
        if ranked and real_control is None:
            msg = f"{real.name}: the saved summary holds no control cells; make it again with vcmetrics.summarize"
            raise DataError(msg)
        keep(1, gather_together([(pred.side, real_control if ranked else None)], alone, **how)[0])
    pred_n = counts[1] if counts[1] is not None else pred.side.groups.sizes
    pred_summary = summary_of(pred, genes, tables[1], pred_n)
    if isinstance(real, GroupSummary):
        return real, pred_summary
    real_n = counts[0] if counts[0] is not None else real.side.groups.sizes
    return summary_of(real, genes, tables[0], real_n), pred_summary


def build_pair(
    real: GroupSummary,
    pred: GroupSummary,
    recipes: tuple[Recipes, Recipes],
    preset: Preset,
    needs: Needs,
    *,
    space: PairSpace,
    beside: Beside,
    target_map: Mapping[str, str | None] | None,
    de: tuple[DETable | None, DETable | None],
    n_threads: int | None,
    read_own: bool = True,
    pairs: dict[Hashable, Pair] | None = None,
    tested: dict[Hashable, DETable] | None = None,
) -> Pair:
    """Everything the formulas see; ``read_own``: a metric of profiles leaves own target genes out.

    ``pairs`` and ``tested`` hold what was built for other rules: rules of one space see one pair, so that they share
    what their metrics derive from it, and equal tests are run once.
    """
    perturbations = tuple(x for x in real.labels if x != real.control)
    targets = own_genes(perturbations, real.genes, preset, target_map, read=needs.profiles and read_own)
    key = space.key(recipes) if needs.profiles else None
    pair = None if pairs is None else pairs.get(key)
    if pair is None:
        at = {str(g): k for k, g in enumerate(real.genes)}
        depth = None if isinstance(preset.target_sum, str) else float(preset.target_sum)
        pair = Pair(
            perturbations=perturbations,
            genes=real.genes,
            own=np.array([-1 if t is None else at[t] for t in targets], np.int64),
            target_sum=preset.bulk_target_sum if space.bulk else depth,
            bulk=space.bulk,
        )
        if needs.profiles:
            sides = space.profiles((real, pred), recipes, perturbations)
            recipe = recipes[0].profile
            assert recipe is not None
            pair = replace(
                pair,
                real=sides[0],
                pred=sides[1],
                train=beside.training(space, recipe),
                batches=beside.batches(space, recipe, perturbations),
            )
        if pairs is not None:
            pairs[key] = pair
    if not needs.de:
        return pair
    tables: list[DETable | None] = list(de)
    for k, s in enumerate((real, pred)):
        if tables[k] is None:
            recipe, test = recipes[k].de, recipes[k].test
            assert recipe is not None
            assert test is not None
            reference = real if preset.control_source == "real" else s
            what = (k, recipe.name, test)
            table = None if tested is None else tested.get(what)
            if table is None:
                table = de_table(s, reference, perturbations, recipe, test, n_threads=n_threads)
            if tested is not None:
                tested[what] = table
            tables[k] = table
    return replace(pair, de_real=tables[0], de_pred=tables[1])


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
