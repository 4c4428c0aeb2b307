"""Summaries of several files to one: :func:`merge_summaries`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from typing import Any

from vcmetrics._errors import DataError
from vcmetrics.backend.memory import budgeted
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.sources import align_genes, open_cells
from vcmetrics.sources.genes import some
from vcmetrics.summary.group_summary import GroupSummary, Progress, Recipe


@budgeted
def merge_summaries(
    summaries: Iterable[GroupSummary | str | os.PathLike[str]],
    *,
    data: Any = None,
    pert_col: str | None = None,
    layer: str | None = None,
    n_threads: int | None = None,
    memory_budget: int | float | str | None = None,
    progress: Progress | None = None,
) -> GroupSummary:
    """One summary of data that were summarised in parts, such as file by file.

    Parameters
    ----------
    summaries
        What :func:`vcmetrics.summarize` gave for each part with the same settings, or the paths they were saved to. In
        the order in which the cells would stand in one data set.
    data
        The cells of all parts, as :func:`vcmetrics.summarize` takes them, to compute what cannot be added: rank sums
        and jackknife where the parts had other control cells, or share a perturbation. None leaves those out then.
    pert_col, layer
        Of ``data``; those of the parts where None.
    n_threads, memory_budget, progress
        As of :func:`vcmetrics.summarize`, for ``data``.

    Returns
    -------
    GroupSummary
        That of all cells. Sums of counts, numbers of cells, rank sums, tie terms and the jackknife have the bits of
        one pass; other sums (``linear``, ``log1p``, ``expm1``) of a perturbation that lies in one part too, and agree
        to 1e-13 where one lies in several.

    Raises
    ------
    DataError
        If there is no summary, if genes, control label, tables or settings differ, or if ``data`` holds other cells.

    Notes
    -----
    Without ``data`` nothing is read. Control cells that the parts keep are put together, so the result can be the
    reference of :func:`vcmetrics.score` once its rank sums are there.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd, vcmetrics as vcm
    >>> x = np.random.default_rng(0).poisson(2, (8, 3)).astype(float)
    >>> obs = pd.DataFrame({"p": list("ccxxccyx")}, index=list("abcdefgh"))
    >>> a = anndata.AnnData(x, obs=obs)
    >>> parts = [vcm.summarize(part, pert_col="p", control="c") for part in (a[:4], a[4:])]
    >>> merged = merge_summaries(parts, data=a)
    >>> merged.labels, merged.n.tolist()
    (('c', 'x', 'y'), [4, 3, 1])
    >>> whole = vcm.summarize(a, pert_col="p", control="c")
    >>> bool((merged.table("ratio@1e+06", "u2") == whole.table("ratio@1e+06", "u2")).all())
    True
    """
    parts = [one if isinstance(one, GroupSummary) else GroupSummary.load(one) for one in summaries]
    if not parts:
        msg = "no summaries to merge; pass what vcmetrics.summarize gave for each part"
        raise DataError(msg)
    merged = reduce(GroupSummary.merge, parts)
    if data is None:
        return merged
    lost = {
        key: frozenset(name for name in tables if name not in merged.tables[key])
        for key, tables in parts[0].tables.items()
    }
    recipes = [_recipe(key, names, merged) for key, names in lost.items() if names]
    column = merged.facts.get("pert_col") if pert_col is None else pert_col
    if column is None:
        msg = f"{merged.name}: the summaries do not say which column their labels are of; pass pert_col="
        raise DataError(msg)
    from vcmetrics.summary.summarize import checked_side, groups_of

    threads = resolve_threads(n_threads)
    layer = merged.facts.get("layer") if layer is None else layer
    with open_cells(data, layer=layer) as cells:
        order = align_genes(cells.genes, merged.genes, pred_name=cells.name, real_name=merged.name)
        cells = cells.with_gene_order(order)
        groups = groups_of(cells, column, merged.control)
        side = checked_side(cells, groups, threads, counts=merged.facts.get("kind") == "counts")
        _check_cells(merged, cells.name, dict(zip(side.groups.labels, side.groups.sizes.tolist(), strict=True)))
        for recipe in recipes:
            merged = merged.finish(side, recipe, n_threads=threads, progress=progress)
        ranked = any("rank" in recipe.fields for recipe in recipes)
        if merged.control_side is None and ranked and merged.control_code >= 0:
            merged = replace(merged, control_side=side.control_cells())
    return merged


def _recipe(key: str, lost: frozenset[str], merged: GroupSummary) -> Recipe:
    kind, _, scale = key.partition("@")
    fields = lost & {"jackknife"} | ({"rank"} if lost & {"u2", "tie"} else frozenset())
    gate, target = merged.facts.get("gate"), merged.facts.get("jackknife_target", 5e4)
    return Recipe(kind, float(scale), fields, gate, target)


def _check_cells(merged: GroupSummary, name: str, sizes: dict[str, int]) -> None:
    known = dict(zip(merged.labels, merged.n.tolist(), strict=True))
    odd = sorted(label for label in known.keys() | sizes.keys() if known.get(label, 0) != sizes.get(label, 0))
    if odd:
        label = odd[0]
        msg = (
            f"{name}: holds other cells than the summaries were made of: {sizes.get(label, 0)} are labelled {label!r}, "
            f"{known.get(label, 0)} in the summaries (labels that differ: {some(odd)}); pass the data of all parts"
        )
        raise DataError(msg)
