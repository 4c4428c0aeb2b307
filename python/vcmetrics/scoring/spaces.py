"""The space that a rule set compares profiles in: what to gather for it, and the profiles themselves."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair, Profiles
from vcmetrics.presets.preset import Preset
from vcmetrics.summary.group_summary import GroupSummary, Recipe
from vcmetrics.summary.means import bulk_lognorm, cell_mean, cell_variance, mean_variance

if TYPE_CHECKING:
    from vcmetrics.scoring.evaluate import Needs, Recipes, SideInput

Array = NDArray[Any]


def profile_recipe(one: SideInput, preset: Preset, needs: Needs, *, bulk: bool) -> Recipe:
    """What to gather of one side for its profiles."""
    if bulk:
        fields = {"sum"} | ({"jackknife"} if needs.correction else set())
        return Recipe("ratio", one.target_sum, frozenset(fields), jackknife_target=preset.bulk_target_sum)
    spread = needs.correction or needs.variance
    fields = {"sum"} | ({"square"} if spread else set())
    if one.kind != "counts":
        return Recipe("raw", 1.0, frozenset(fields))
    if one.single and preset.comparator == "lognorm":
        return Recipe("lognorm32", one.target_sum, frozenset(fields))
    return Recipe("ratio", one.target_sum, frozenset({"log1p"} | ({"log1p_square"} if spread else set())))


def log_unit(preset: Preset) -> float:
    """What the natural logs of counts are divided by."""
    return float(np.log(2.0)) if preset.log_base == "2" else 1.0


def transformed(pair: Pair, space: str) -> Pair:
    """The pair in a space that its profiles can be carried to, for metrics with a parameter ``space``."""
    if space not in TRANSFORMS:
        msg = f"space {space!r} is not known; choose from {', '.join(TRANSFORMS)}"
        raise ValueError(msg)
    change = TRANSFORMS[space]

    def side(given: Profiles) -> Profiles:
        return Profiles(
            change(given.mean), change(given.control), n_cells=given.n_cells, control_n_cells=given.control_n_cells
        )

    def make() -> Pair:
        pred, real = pair.profiles()
        train = pair.train
        if train is not None:
            control = None if train.control is None else change(train.control)
            train = replace(train, mean=change(train.mean), control=control)
        return replace(pair, pred=side(pred), real=side(real), train=train, batches=None)

    return pair.shared(("space", space), make)


# effects in this space are PerturBench's log fold changes of log-normalised means
TRANSFORMS: dict[str, Callable[[Array], Array]] = {"log2_of_means": lambda mean: np.log2(mean + 0.1)}


@dataclass(frozen=True)
class PairSpace:
    """How the profiles of both sides are made of their summaries.

    ``bulk``: logs of sums, else means over cells. ``single``: which side (real, pred) is stored in single precision.
    """

    preset: Preset
    bulk: bool
    single: tuple[bool, bool]
    arithmetic: str

    def key(self, recipes: tuple[Recipes, Recipes]) -> Hashable:
        """Equal for rule sets that see equal profiles of the same summaries."""
        p = self.preset
        names = tuple(None if r.profile is None else r.profile.name for r in recipes)
        single = self.single if p.round_profiles else (False, False)
        depth = p.bulk_target_sum if self.bulk else None
        return (names, self.bulk, depth, single, self.arithmetic, p.control_source, p.log_base)

    @property
    def unit(self) -> float:
        """What natural logs are divided by."""
        return log_unit(self.preset)

    def table(self, summary: GroupSummary, recipe: Recipe, *, single: bool) -> Array:
        """Groups × genes profiles."""
        if self.bulk:
            out = bulk_lognorm(summary, recipe, self.preset.bulk_target_sum) / self.unit
            return out.astype(np.float32).astype(np.float64) if self.arithmetic == "gpu32" else out
        # values that are no counts are in their own unit already
        out = cell_mean(summary, recipe)
        if recipe.key != "raw":
            out /= self.unit
        return out.astype(np.float32).astype(np.float64) if single and self.preset.round_profiles else out

    def profiles(
        self,
        summaries: tuple[GroupSummary, GroupSummary],
        recipes: tuple[Recipes, Recipes],
        perturbations: Sequence[str],
    ) -> tuple[Profiles, Profiles]:
        """Profiles of reality and prediction, with all that was gathered of their spread."""
        made = []
        for summary, one, single in zip(summaries, recipes, self.single, strict=True):
            assert one.profile is not None
            spread = self.spread(summary, one.profile)
            made.append((summary, self.table(summary, one.profile, single=single), *spread))
        sides = []
        for k, (summary, table, trace, variance) in enumerate(made):
            source, controls, _, spreads = made[0] if self.preset.control_source == "real" else made[k]
            rows, own, code = summary.rows_of(perturbations), summary.control_code, source.control_code
            sides.append(
                Profiles(
                    mean=table[rows],
                    control=controls[code] if code >= 0 else np.zeros(table.shape[1]),
                    correction=None if trace is None else trace[rows],
                    control_correction=None if trace is None or own < 0 else float(trace[own]),
                    n_cells=summary.n[rows],
                    control_n_cells=int(source.n[code]) if code >= 0 else None,
                    variance=None if variance is None else variance[rows],
                    control_variance=None if spreads is None or code < 0 else spreads[code],
                )
            )
        return sides[0], sides[1]

    def spread(self, summary: GroupSummary, recipe: Recipe) -> tuple[Array | None, Array | None]:
        """Sampling variance of every profile, and variance of its cells gene by gene; None where not gathered."""
        gathered = summary.tables[recipe.name]
        if self.bulk:
            return (np.asarray(gathered["jackknife"]) if "jackknife" in gathered else None), None
        if not {"square", "log1p_square"} & set(gathered):
            return None, None
        unit = 1.0 if recipe.key == "raw" else self.unit**2
        return mean_variance(summary, recipe) / unit, cell_variance(summary, recipe) / unit
