"""Group means from gathered tables, in the space that was asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.summary.group_summary import GroupSummary, Recipe

Array = NDArray[Any]


def per_cell(table: Array, n: Array) -> NDArray[np.float64]:
    """Sums divided by the number of cells, row by row; NaN for an empty group."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(table / n[:, None].astype(np.float64))


def bulk_lognorm(summary: GroupSummary, recipe: Recipe, target: float) -> NDArray[np.float64]:
    """log(1 + target · share of the group's counts); 0 for a group without counts."""
    total = summary.totals[:, None]
    factor = np.divide(target, total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(np.log1p(summary.table(recipe, "sum") * factor))


def logged(summary: GroupSummary, recipe: Recipe) -> bool:
    """Whether the pass itself took the logs of counts, in double precision."""
    return "log1p" in summary.tables[recipe.name] and recipe.key == "ratio"


def cell_mean(summary: GroupSummary, recipe: Recipe) -> NDArray[np.float64]:
    """Mean over the cells of each group, of logs or of values as they are; NaN for an empty group."""
    return per_cell(summary.table(recipe, "log1p" if logged(summary, recipe) else "sum"), summary.n)


def cell_variance(summary: GroupSummary, recipe: Recipe) -> NDArray[np.float64]:
    """Variance over the cells of each group, gene by gene, divided by n - 1; NaN for fewer than two cells."""
    squares = summary.table(recipe, "log1p_square" if logged(summary, recipe) else "square")
    n = summary.n[:, None].astype(np.float64)
    mean = cell_mean(summary, recipe)
    with np.errstate(invalid="ignore", divide="ignore"):
        # the difference of two nearly equal sums can fall below 0 by their rounding
        out = np.maximum(squares - n * mean * mean, 0.0) / (n - 1)
    return np.asarray(np.where(n > 1, out, np.nan))


def mean_variance(summary: GroupSummary, recipe: Recipe) -> NDArray[np.float64]:
    """tr(Σ)/n of each group: the variance of its mean profile, summed over genes; 0 for one cell."""
    n = summary.n.astype(np.float64)
    squares = summary.table(recipe, "log1p_square" if logged(summary, recipe) else "square").sum(1)
    mean = cell_mean(summary, recipe)
    with np.errstate(invalid="ignore", divide="ignore"):
        out = (squares - n * (mean**2).sum(1)) / ((n - 1) * n)
    return np.asarray(np.where(n > 1, out, 0.0))


def natural_means(
    summary: GroupSummary,
    recipe: Recipe,
    groups: Array,
    genes: Array | None,
    logged: bool,
    geometric: bool,
    table: str,
) -> Array:
    """Mean expression of some groups (and genes) on the natural (un-logged) scale.

    ``table`` names the table of linear values: ``linear`` (counts), ``sum`` (values as they are),
    ``expm1`` or ``expm1_32`` (log-normalised values).
    """
    name = ("sum" if logged else "log1p") if geometric else table
    stored = summary.table(recipe, name)
    out = stored[groups] if genes is None else stored[np.ix_(groups, genes)]
    with np.errstate(invalid="ignore", divide="ignore"):
        out /= summary.n[groups, None]
    return np.expm1(out, out=out) if geometric else out
