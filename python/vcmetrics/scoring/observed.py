"""The observed side of a reference: one set of tables a context, from cells or from a summary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vcmetrics._errors import DataError
from vcmetrics.scoring.compare import check_tables
from vcmetrics.scoring.evaluate import Needs, SideInput, Values, recipes_of, summary_of
from vcmetrics.scoring.jobs import make_input
from vcmetrics.scoring.reading import default_column, read_groups
from vcmetrics.scoring.settings import Settings
from vcmetrics.sources import open_cells
from vcmetrics.sources.genes import some
from vcmetrics.summary.group_summary import GroupSummary, Recipe, gather

NEEDS = Needs(profiles=True, correction=False, de=False)


@dataclass(frozen=True)
class Observed:
    """One context of a reference: its tables, and how they become profiles."""

    context: str | None
    summary: GroupSummary
    recipe: Recipe
    bulk: bool
    single: bool

    @property
    def control(self) -> str:
        """Label of the control."""
        return self.summary.control


def _recipe(values: SideInput | Values, settings: Settings) -> tuple[Recipe, bool]:
    preset = settings.preset
    bulk = preset.comparator == "bulk_lognorm" and values.kind == "counts"
    recipe = recipes_of(values, preset, NEEDS, bulk=bulk, arithmetic="f64").profile
    assert recipe is not None
    return recipe, bulk


def of_summary(real: GroupSummary, settings: Settings) -> Iterator[Observed]:
    """The one panel of a summary that is at hand."""
    if "kind" not in real.facts:
        msg = f"{real.name}: the summary does not say what its values are; make it again with vcmetrics.summarize"
        raise DataError(msg)
    if real.control_code < 0:
        msg = f"{real.name}: the summary holds no control {real.control!r}; make it of data with control cells"
        raise DataError(msg)
    values = Values(real.facts["kind"], real.facts["single"], real.facts["target_sum"])
    recipe, bulk = _recipe(values, settings)
    check_tables(real, [recipe])
    yield Observed(None, real, recipe, bulk, values.single)


def of_cells(
    real: Any,
    settings: Settings,
    control: str,
    pert_col: str | None,
    context_col: str | None,
    context: str | None,
    layer: str | None,
) -> Iterator[Observed]:
    """One panel a context of the cells."""
    preset = settings.preset
    with open_cells(real, layer=layer, name="real") as cells:
        by_context = read_groups(cells, pert_col, control, context_col, preset)
        if context is not None and context not in by_context:
            there = some(sorted(map(str, by_context)))
            msg = f"{cells.name}: no cell has the context {context!r} (contexts: {there})"
            raise DataError(msg)
        for name, groups in by_context.items():
            if context is not None and name != context:
                continue
            if groups.control_code < 0:
                column = default_column(cells, preset) if pert_col is None else pert_col
                where = "" if name is None else f" in context {name!r}"
                msg = f"{cells.name}: no cell is labelled {control!r} in {column!r}{where}; pass control="
                raise DataError(msg)
            one = make_input(cells, groups, settings, predicted=False, reference_median=None)
            recipe, bulk = _recipe(one, settings)
            tables = gather([(one.side, None)], recipe, n_threads=settings.n_threads)[0]
            n = tables.pop("n")
            summary = summary_of(one, cells.genes, {recipe.name: tables}, n)
            yield Observed(name, summary, recipe, bulk, one.single)
