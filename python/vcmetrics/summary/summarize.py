"""Public doors to the pass: :func:`summarize`, :func:`pseudobulk`, :func:`differential_expression`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vcmetrics._errors import DataError, DeviceError
from vcmetrics.backend.device import resolve_device
from vcmetrics.backend.gpu import engine_for
from vcmetrics.backend.memory import budgeted
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.sources import open_cells
from vcmetrics.sources.cells import Cells
from vcmetrics.sources.genes import some
from vcmetrics.summary.cell_pass import SUMS
from vcmetrics.summary.checkpoint import Checkpoint
from vcmetrics.summary.differential_expression import RankTest, de_table
from vcmetrics.summary.group_summary import (
    ADDITIVE,
    GroupSummary,
    Progress,
    Recipe,
    Side,
    digest,
    gather,
    group_totals,
    totals_of_groups,
)
from vcmetrics.summary.means import bulk_lognorm, per_cell
from vcmetrics.summary.plan import Groups, group_cells, resolve_targets
from vcmetrics.summary.streamed import require_good, streamed_sums

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

Data = "AnnData | str | os.PathLike[str]"
FIELDS = (*ADDITIVE, "rank", "jackknife")


@budgeted
def summarize(
    adata: Any,
    *,
    pert_col: str,
    control: str = "non-targeting",
    fields: Iterable[str] = ("sum", "linear", "rank", "jackknife"),
    input_type: str = "counts",
    target_sum: float = 1e6,
    gate: float | None = None,
    jackknife_target: float = 5e4,
    layer: str | None = None,
    keep_control: bool = True,
    device: str = "auto",
    n_threads: int | None = None,
    memory_budget: int | float | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> GroupSummary:
    """Gather groups × genes tables in one pass over the cells.

    Parameters
    ----------
    adata
        AnnData, or the path of an ``.h5ad`` or ``.zarr``; n_obs × n_vars. It is not modified. Several are one data set,
        their cells one behind the other: a list or tuple, a pattern (``"plates/*.h5ad"``), or a mapping whose keys
        become the column ``file`` of ``obs``. They hold the same genes, in any order.
    pert_col
        Column of ``obs`` with the perturbation labels.
    control
        Label of the control cells.
    fields
        Tables to gather: ``sum`` Σy, ``linear`` Σx with x = y/(total/target_sum), ``log1p`` Σlog1p(x),
        ``square`` Σy², ``expm1`` Σexpm1(y), ``nonzero``, ``rank`` (2U and the tie term against the control),
        ``jackknife``.
    input_type
        ``"counts"``: values are counts, x as above. ``"values"``: values are taken as they are (x = y).
    target_sum
        Depth of the linear scale of counts.
    gate
        Genes whose control mean of x is not above it get no rank sums (-1).
    jackknife_target
        Library size of the log profiles whose sampling variance ``jackknife`` is.
    layer
        Read this layer in place of ``X``.
    keep_control
        Keep a compact copy of the control cells, so that other data can be ranked against them.
    device, n_threads
        ``"auto"`` or ``"cpu"``; threads (None: all that this process may use). Results do not depend on them.
    memory_budget
        Memory for cells: ``"4GiB"``, bytes, or a share of what is available; None for half of it. Results do not
        depend on it.
    checkpoint
        File in which the state of the pass is kept every 20 seconds. If it is there, the pass goes on from it, after
        checking that data and arguments are the same; it is removed at the end. The result has the same bytes.
    progress
        Called as ``progress(done, total)`` during the pass.

    Returns
    -------
    GroupSummary
        Tables of shape (n_groups, n_genes), groups sorted by label, control included. It can be saved, loaded and
        merged.

    Raises
    ------
    DataError
        If the column or the control is missing, a value is not finite, or counts are negative.

    Notes
    -----
    Cost: one read of the stored values for sums; for ``rank`` two, plus a sort of the control per gene. Uncompressed
    values are read where they lie. Memory is that of the tables and some megabytes a thread, at most
    ``memory_budget`` of cells being held at a time: what is larger is taken in batches of perturbations, or spilled to
    the disk by ranges of genes, whichever costs less.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"p": ["c", "x", "x"]}, index=list("abc"))
    >>> a = anndata.AnnData(np.array([[1.0, 0], [0, 2], [3, 1]]), obs=obs)
    >>> s = summarize(a, pert_col="p", control="c", fields=["sum"])
    >>> s.labels, s.table("ratio@1e+06", "sum").tolist()
    (('c', 'x'), [[1.0, 0.0], [3.0, 3.0]])
    """
    resolve_device(device, what="summarize")
    wanted = frozenset(fields)
    unknown = wanted - set(FIELDS)
    if unknown:
        msg = f"fields {sorted(unknown)} are not known; choose from {', '.join(FIELDS)}"
        raise ValueError(msg)
    if input_type not in ("counts", "values"):
        msg = f"input_type {input_type!r} is not known; pass 'counts' or 'values'"
        raise ValueError(msg)
    threads = resolve_threads(n_threads)
    recipe = Recipe(
        "ratio" if input_type == "counts" else "raw",
        float(target_sum) if input_type == "counts" else 1.0,
        wanted,
        gate,
        jackknife_target,
    )
    with open_cells(adata, layer=layer) as cells:
        counts, needs_control = input_type == "counts", "rank" in wanted
        groups = groups_of(cells, pert_col, control)
        if needs_control and groups.control_code < 0:
            msg = f"{cells.name}: no cell is labelled {control!r} (labels: {some(groups.labels)}); pass control="
            raise DataError(msg)
        state = None
        if checkpoint is not None:
            labels = hashlib.sha256(groups.codes.tobytes()).hexdigest()
            state = Checkpoint(
                checkpoint,
                digest(
                    cells.fingerprint(),
                    groups.labels,
                    labels,
                    control,
                    repr(recipe.key),
                    recipe.scale,
                    sorted(wanted),
                    gate,
                    jackknife_target,
                ),
            )
        kept = None
        # a run that was begun without reading block by block has not kept the totals of the cells
        begun = state is not None and bool(state.arrays) and "totals" not in state.arrays
        if wanted <= set(SUMS) and cells.streams() and not begun:
            how: dict[str, Any] = {"n_threads": threads, "progress": progress, "checkpoint": state}
            tables, cell_totals = streamed_sums(cells, groups, recipe, **how)
            totals = totals_of_groups(cell_totals, groups)
        else:
            side = checked_side(cells, groups, threads, counts=counts)
            (tables,) = gather([(side, None)], recipe, n_threads=threads, progress=progress, checkpoint=state)
            totals = group_totals(side)
            kept = side.control_cells() if keep_control and needs_control else None
        n = tables.pop("n")
        if state is not None:
            state.finished()
        return GroupSummary(
            name=cells.name,
            genes=cells.genes,
            labels=groups.labels,
            control=control,
            n=n,
            totals=totals,
            tables={recipe.name: tables},
            control_side=kept,
            control_digest=digest(cells.fingerprint(), control) if needs_control else "",
            fingerprint=cells.fingerprint(),
            facts={
                "kind": "counts" if counts else "discrete",
                "single": cells.dtype.itemsize <= 4,
                "target_sum": recipe.scale,
                "pert_col": pert_col,
                "layer": layer,
                "gate": gate,
                "jackknife_target": jackknife_target,
            },
        )


def groups_of(cells: Cells, pert_col: str, control: str) -> Groups:
    """Groups of the cells by one column."""
    labels = cells.column(pert_col)
    if labels.shape[0] == 0:
        msg = f"{cells.name}: holds no cells"
        raise DataError(msg)
    return group_cells(labels, control)


def checked_side(cells: Cells, groups: Groups, n_threads: int, *, counts: bool) -> Side:
    """Cells with their groups, after the checks that every pass needs."""
    facts = cells.scan(n_threads)
    require_good(cells.name, facts, counts=counts)
    return Side(cells.rows(), np.asarray(facts["totals"]), groups)


@budgeted
def pseudobulk(
    adata: Any,
    *,
    pert_col: str,
    space: str = "log_of_sums",
    target_sum: float = 5e4,
    layer: str | None = None,
    device: str = "auto",
    n_threads: int | None = None,
    memory_budget: int | float | str | None = None,
) -> AnnData:
    """One profile a perturbation.

    Parameters
    ----------
    adata
        AnnData or path, or several; n_obs × n_vars; see :func:`summarize`.
    pert_col
        Column of ``obs`` with the labels.
    space
        ``"log_of_sums"``: log(1 + target_sum · Σy/ΣΣy), of counts. ``"mean_of_logs"``: mean of
        log1p(y·target_sum/total), of counts. ``"mean"``, ``"sum"``: of the values as they are.
    target_sum
        Library size of the two log spaces.
    layer
        Read this layer in place of ``X``.
    device, n_threads
        ``"auto"`` or ``"cpu"``; threads (None: all that this process may use). Results do not depend on them.
    memory_budget
        Memory for cells: ``"4GiB"``, bytes, or a share of what is available; None for half of it. Results do not
        depend on it.

    Returns
    -------
    AnnData
        n_groups × n_vars, float64, ``obs`` index = label, ``obs["n_cells"]``.

    Raises
    ------
    DataError
        If the column is missing or values are not finite; for counts also if one is negative.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"p": ["c", "x", "x"]}, index=list("abc"))
    >>> a = anndata.AnnData(np.array([[1.0, 0], [0, 2], [3, 1]]), obs=obs)
    >>> pseudobulk(a, pert_col="p", space="mean").X.tolist()
    [[1.0, 0.0], [1.5, 1.5]]
    """
    spaces = {"log_of_sums": "sum", "mean_of_logs": "log1p", "mean": "sum", "sum": "sum"}
    if space not in spaces:
        msg = f"space {space!r} is not known; choose from {', '.join(spaces)}"
        raise ValueError(msg)
    counts = space in ("log_of_sums", "mean_of_logs")
    summary = summarize(
        adata,
        pert_col=pert_col,
        control="",
        fields=(spaces[space],),
        input_type="counts" if counts else "values",
        target_sum=target_sum,
        layer=layer,
        keep_control=False,
        device=device,
        n_threads=n_threads,
    )
    import pandas as pd
    from anndata import AnnData

    (key,) = summary.tables
    if space == "log_of_sums":
        table = bulk_lognorm(summary, Recipe("ratio", target_sum, frozenset()), target_sum)
    elif space == "sum":
        table = summary.table(key, "sum")
    else:
        table = per_cell(summary.table(key, spaces[space]), summary.n)
    obs = pd.DataFrame({"n_cells": summary.n}, index=pd.Index(summary.labels, name=pert_col, dtype=object))
    return AnnData(table, obs=obs, var=pd.DataFrame(index=pd.Index(summary.genes, dtype=object)))


@budgeted
def differential_expression(
    adata: Any,
    *,
    pert_col: str,
    control: str = "non-targeting",
    mode: str = "reference",
    input_type: str = "counts",
    mean: str = "arithmetic",
    epsilon: float = 1e-9,
    clip_value: float | None = None,
    fdr_scope: str = "per_pert",
    cpm_gate: float | None = None,
    gate_on: str = "control",
    continuity: bool = True,
    target_sum: float = 1e6,
    target_map: Mapping[str, str | None] | None = None,
    layer: str | None = None,
    device: str = "auto",
    n_threads: int | None = None,
    memory_budget: int | float | str | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Two-sided rank-sum tests of every perturbation, gene by gene.

    Parameters
    ----------
    adata
        AnnData, or path of an ``.h5ad`` or ``.zarr``, or several; n_obs × n_vars; see :func:`summarize`.
    pert_col, control
        Column of labels, and the label that is the reference.
    mode
        ``"reference"``: each perturbation against the control. ``"all"``: each label against all other cells.
        ``"on_target"``: each perturbation's own target gene against the control, one row each.
    input_type
        ``"counts"`` (ranked by count/total), ``"lognorm"`` (log1p values, ranked as they are) or ``"values"``.
    mean
        ``"arithmetic"`` or ``"geometric"`` (expm1 of the mean log1p), on the natural scale.
    epsilon, clip_value
        log2((m + ε)/(m₀ + ε)); or with ``clip_value`` c: log2(m/m₀), ±log2 c where one mean is 0, 0 where both are.
    fdr_scope
        Benjamini–Hochberg ``"per_pert"`` or ``"global"``.
    cpm_gate, gate_on
        Test only genes with a mean above ``cpm_gate`` per million in the ``"control"``, or in ``"either"`` group.
    continuity
        Subtract ½ from the distance of U to mn/2.
    target_sum
        Depth of the linear scale of counts.
    target_map
        label → gene, or None for a label without one (``"on_target"``).
    layer
        Read this layer in place of ``X``.
    device
        ``"auto"`` and ``"cpu"``: the CPU. ``"cuda"`` (mode ``"reference"``) ranks on the GPU, in batches of groups that
        fit its memory; means are the CPU's. U and ties are the same integers, so statistic, p-values and fdr are equal.
    n_threads
        On the CPU (None: all that this process may use). Results do not depend on them.
    memory_budget
        Memory for cells: ``"4GiB"``, bytes, or a share of what is available; None for half of it. Results do not
        depend on it.
    progress
        Called as ``progress(done, total)`` during the pass.

    Returns
    -------
    DataFrame
        target, feature, target_mean, ref_mean, target_membership, ref_membership, log2_fold_change, percent_change,
        p_value, statistic (U of the target), fdr. Targets sorted, genes in the order of the data.

    Raises
    ------
    DataError
        If column or control is missing, values do not suit ``input_type``, or no target resolves (``"on_target"``).

    Notes
    -----
    p = min(1, erfc(z/√2)) with mid-ranks and tie-corrected variance; its relative accuracy holds down to 1e-300.
    Zeros are one tie block. Cost: one pass over the stored values and a sort of the control per gene.

    References
    ----------
    Mann & Whitney (1947), Ann. Math. Statist. 18:50; Benjamini & Hochberg (1995), J. R. Stat. Soc. B 57:289.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> x = np.random.default_rng(0).poisson(3, (40, 5)).astype(float)
    >>> obs = pd.DataFrame({"p": ["c"] * 20 + ["x"] * 20}, index=[str(i) for i in range(40)])
    >>> a = anndata.AnnData(x, obs=obs)
    >>> differential_expression(a, pert_col="p", control="c").shape
    (5, 11)
    """
    if device == "cuda" and mode != "reference":
        msg = f"differential_expression: mode {mode!r} has no CUDA kernels (there is 'reference'); pass device='cpu'"
        raise DeviceError(msg)
    with engine_for({}, device, what="differential_expression") as (engine, _):
        pass
    if mode not in ("reference", "all", "on_target"):
        msg = f"mode {mode!r} is not known; choose from 'reference', 'all', 'on_target'"
        raise ValueError(msg)
    if input_type not in ("counts", "lognorm", "values"):
        msg = f"input_type {input_type!r} is not known; choose from 'counts', 'lognorm', 'values'"
        raise ValueError(msg)
    threads = resolve_threads(n_threads)
    geometric = mean == "geometric"
    logged = input_type == "lognorm"
    linear = {"counts": "linear", "lognorm": "expm1", "values": "sum"}[input_type]
    tables = {"rank", linear} | ({"sum"} if logged else {"log1p"} if geometric else set())
    recipe = (
        Recipe("ratio", target_sum, frozenset(tables))
        if input_type == "counts"
        else Recipe("raw", 1.0, frozenset(tables))
    )
    test = RankTest(
        mean=mean,
        logged=logged,
        epsilon=epsilon,
        clip=clip_value,
        fdr_scope=fdr_scope,
        gate=cpm_gate,
        gate_on=gate_on if cpm_gate is not None else "none",
        continuity=continuity,
        zero_over_zero=0.0,
        linear_table=linear,
    )
    with open_cells(adata, layer=layer) as cells:
        groups = groups_of(cells, pert_col, control)
        side = checked_side(cells, groups, threads, counts=input_type == "counts")
        if mode == "all":
            from vcmetrics.summary.one_against_rest import one_against_rest

            return one_against_rest(cells, side, recipe, test, threads, progress).to_frame(copy=False)
        if side.groups.control_code < 0:
            msg = f"{cells.name}: no cell is labelled {control!r} (labels: {some(side.groups.labels)}); pass control="
            raise DataError(msg)
        if engine is None:
            (out,) = gather([(side, None)], recipe, n_threads=threads, progress=progress)
        else:
            from vcmetrics.summary.rank_sums_on_device import rank_sums_on

            means = replace(recipe, fields=recipe.fields - {"rank"})
            (out,) = gather([(side, None)], means, n_threads=threads, progress=progress)
            out |= rank_sums_on(engine, side, recipe.key)
        n = out.pop("n")
        summary = GroupSummary(
            cells.name, cells.genes, side.groups.labels, control, n, group_totals(side), {recipe.name: out}
        )
        targets = side.groups.perturbations
        if mode == "on_target":
            own = resolve_targets(targets, cells.genes, target_map)
            from vcmetrics.summary.one_against_rest import on_target

            return on_target(summary, targets, own, recipe, test, threads).to_frame(copy=False)
        return de_table(summary, summary, targets, recipe, test, n_threads=threads).to_frame(copy=False)
