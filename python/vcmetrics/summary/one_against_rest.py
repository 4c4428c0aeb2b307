"""Differential expression in the modes that are not "each perturbation against the control"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vcmetrics.summary.de_table import DETable
from vcmetrics.summary.differential_expression import RankTest, benjamini_hochberg, de_table, log2_fold_change
from vcmetrics.summary.group_summary import GroupSummary, Progress, Recipe, Side, gather
from vcmetrics.summary.plan import Groups

EVERYONE = ""  # label of the one group of all cells


def one_against_rest(
    cells: Any, side: Side, recipe: Recipe, test: RankTest, n_threads: int, progress: Progress | None
) -> DETable:
    """Every label against all other cells; each gene is ranked once."""
    from vcmetrics import _core

    (tables,) = gather([(side, None)], replace(recipe, fields=recipe.fields - {"rank"}), n_threads=n_threads)
    n = tables.pop("n")
    labels, total = side.groups.labels, int(n.sum())
    # Each gene is sorted once, all cells together, as a control of every label. A group against all cells is a group
    # against the rest and against itself, where 2U = m²; a group without cells leaves the ties of all cells alone.
    everyone = Groups((EVERYONE,), np.where(side.groups.codes < 0, -1, 0).astype(np.int32), EVERYONE)
    widened = replace(side, groups=replace(side.groups, labels=(*labels, EVERYONE), control=EVERYONE))
    against = replace(side, groups=everyone)
    ranked = replace(recipe, fields=frozenset({"rank"}))
    (ranks,) = gather([(widened, against)], ranked, n_threads=n_threads, progress=progress)
    u2 = np.ascontiguousarray(ranks["u2"][:-1] - (n * n)[:, None])
    tie = ranks["tie"][-1:]
    rest = total - n
    p = np.empty(u2.shape)
    for k in range(len(labels)):  # the rest differs from label to label
        p[k] = _core.two_sided_p(u2[k : k + 1], tie, n[k : k + 1], int(rest[k]), test.continuity, n_threads)[0]
    # means of the rest from the sums, in the space in which they were added
    logs = "sum" if test.logged else "log1p"
    table = tables[logs if test.mean == "geometric" else test.linear_table]
    mine = table / n[:, None]
    others = np.maximum(table.sum(0) - table, 0.0) / np.maximum(rest, 1)[:, None]
    if test.mean == "geometric":
        mine, others = np.expm1(mine), np.expm1(others)
    return DETable(
        targets=labels,
        genes=cells.genes,
        lfc=log2_fold_change(mine, others, test),
        p_value=p,
        p_adj=benjamini_hochberg(p, test.fdr_scope, None, n_threads),
        target_mean=mine,
        ref_mean=others,
        statistic=u2 / 2.0,
        target_membership=n,
        ref_membership=rest,
        epsilon=test.epsilon,
    )


def on_target(
    summary: GroupSummary,
    targets: Sequence[str],
    own: Sequence[str | None],
    recipe: Recipe,
    test: RankTest,
    n_threads: int,
) -> DETable:
    """Each perturbation's own target gene against the control; p-values are adjusted over these rows."""
    kept = [(t, g) for t, g in zip(targets, own, strict=True) if g is not None]
    full = de_table(summary, summary, [t for t, _ in kept], recipe, test, n_threads=n_threads)
    at = {str(g): k for k, g in enumerate(full.genes)}
    present = np.zeros(full.lfc.shape, bool)
    for row, (_, gene) in enumerate(kept):
        if gene in at:
            present[row, at[gene]] = True
    adjusted = benjamini_hochberg(full.p_value, "global", present, n_threads)
    return replace(full, p_adj=adjusted, present=present)
