"""Differential expression from a finished summary: means and rank sums in, p, q and fold changes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.summary.de_table import DETable
from vcmetrics.summary.group_summary import GroupSummary, Recipe
from vcmetrics.summary.means import natural_means

Array = NDArray[Any]


@dataclass(frozen=True)
class RankTest:
    """How group means and rank sums become a table.

    ``mean`` is ``"arithmetic"`` or ``"geometric"``; ``logged``: the gathered values are logs. ``clip`` replaces the
    fold change where a mean is 0 (linear value, 20 gives ±log2 20). ``gate`` keeps genes whose mean per million is
    above it: ``gate_on`` the ``"control"`` alone, in ``"either"`` group (then rows differ by target), or ``"none"``.
    """

    mean: str = "arithmetic"
    logged: bool = False
    epsilon: float = 1e-9
    clip: float | None = None
    fdr_scope: str = "per_pert"
    gate: float | None = None
    gate_on: str = "control"
    continuity: bool = True
    zero_over_zero: float = np.nan
    linear_table: str = "linear"
    means_in_single: bool = False


def log2_fold_change(target: Array, control: Array, test: RankTest) -> NDArray[np.float64]:
    """log2 of the ratio of means, by the rules of ``test``; shapes broadcast."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if test.clip is None:
            out = np.log2((target + test.epsilon) / (control + test.epsilon))
        else:
            out = np.log2(target / control)
            top = np.log2(test.clip)
            out = np.where((control == 0) & (target > 0), top, out)
            out = np.where((target == 0) & (control > 0), -top, out)
            out = np.where((target == 0) & (control == 0), 0.0, out)
    if not np.isnan(test.zero_over_zero):
        out = np.where(np.isnan(out), test.zero_over_zero, out)
    return np.asarray(out)


def benjamini_hochberg(
    p: Array, scope: str, present: Array | None = None, n_threads: int | None = None
) -> NDArray[np.float64]:
    """Adjusted p-values, each row a family (``"per_pert"``) or all rows one (``"global"``).

    NaN stays NaN and is not counted, nor is what ``present`` leaves out.

    Examples
    --------
    >>> benjamini_hochberg(np.array([[0.01, 0.04, 0.03]]), "per_pert").round(3)
    array([[0.03, 0.04, 0.04]])
    """
    from vcmetrics import _core

    masked = p if present is None else np.where(present, p, np.nan)
    masked = np.ascontiguousarray(masked)
    shaped = masked.reshape(1, -1) if scope == "global" else masked
    return np.asarray(_core.bh(shaped, resolve_threads(n_threads))).reshape(p.shape)


def de_table(
    side: GroupSummary,
    reference: GroupSummary,
    targets: Sequence[str],
    recipe: Recipe,
    test: RankTest,
    *,
    n_threads: int | None = None,
) -> DETable:
    """Test every group of ``targets`` in ``side`` against the control of ``reference``.

    The rank sums of ``side`` must have been taken against that control. Cost O(targets × genes).
    """
    from vcmetrics import _core

    rows, c = side.rows_of(targets), reference.control_code

    def means(summary: GroupSummary, of: Array, *, geometric: bool, genes: Array | None = None) -> Array:
        how = (test.logged, geometric, test.linear_table)
        return natural_means(summary, recipe, of, genes, *how)

    geometric, control = test.mean == "geometric", np.array([c])
    kept = np.ones(side.genes.size, bool)
    present = None
    if test.gate is not None and test.gate >= 0 and test.gate_on != "none":
        a_control = means(reference, control, geometric=False)[0]
        if test.gate_on == "control":
            kept = a_control * (1e6 / recipe.scale) > test.gate
        else:
            a_target = means(side, rows, geometric=False)
            present = (per_million(a_target) > test.gate) | (per_million(a_control[None]) > test.gate)
    # tables of many targets are large: take what is kept in one copy, before any arithmetic
    columns = np.flatnonzero(kept)
    chosen = np.ix_(rows, columns)
    u2, tie = side.table(recipe, "u2")[chosen], side.table(recipe, "tie")[chosen]
    if (u2 < 0).any():
        msg = f"{side.name}: genes above the gate were not ranked; summarise it again with a lower gate="
        raise DataError(msg)
    m, n = side.n[rows], int(reference.n[c])
    p = np.asarray(_core.two_sided_p(u2, tie, m, n, test.continuity, resolve_threads(n_threads)))
    m_target = means(side, rows, geometric=geometric, genes=columns)
    m_control = means(reference, control, geometric=geometric, genes=columns)[0]
    if test.means_in_single:
        m_target, m_control = (x.astype(np.float32).astype(np.float64) for x in (m_target, m_control))
    if present is not None:
        present = present[:, kept]
        p = np.where(present, p, np.nan)
    return DETable(
        targets=tuple(targets),
        genes=side.genes[kept],
        lfc=log2_fold_change(m_target, m_control, test),
        p_value=p,
        p_adj=benjamini_hochberg(p, test.fdr_scope, present, n_threads),
        present=present,
        target_mean=m_target,
        ref_mean=m_control,
        statistic=u2 / 2.0,
        target_membership=m,
        ref_membership=np.full(len(rows), n, np.int64),
        epsilon=test.epsilon,
    )


def per_million(means: Array) -> NDArray[np.float64]:
    """Each row of means as a share of its total, times a million; 0 where the total is 0."""
    total = means.sum(-1, keepdims=True)
    return np.asarray(np.divide(means, total, out=np.zeros_like(means), where=total != 0) * 1e6)
