"""Public door: does each prediction resemble its own perturbation more than the others?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DeviceError, VcmetricsWarning
from vcmetrics.backend.gpu import Engine, engine_for
from vcmetrics.backend.memory import budgeted
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.retrieval.conventions import DENOMINATORS, check_denominator, settle
from vcmetrics.retrieval.inputs import Inputs, Matching, read_panels
from vcmetrics.retrieval.pairs import metric_name
from vcmetrics.retrieval.panel import Panel
from vcmetrics.retrieval.ranking import make_task, rank_all
from vcmetrics.retrieval.ranks import Standing, tie_rule
from vcmetrics.retrieval.targets import TargetMap
from vcmetrics.sources.genes import some
from vcmetrics.summary.group_summary import Progress

if TYPE_CHECKING:
    import pandas as pd

Table = NDArray[np.float64]
CONTROL = "non-targeting"


@budgeted
def discrimination(
    pred: Any,
    real: Any,
    *,
    pert_col: str | None = None,
    control: str | None = CONTROL,
    space: str | None = None,
    metric: str | None = None,
    exclude_targets: str | None = None,
    ties: str | None = None,
    denominator: str | None = None,
    norm_match: str | None = None,
    residual: bool | None = None,
    direction: str | None = None,
    target_map: TargetMap | None = None,
    reference: str | None = None,
    leave_one_out: bool = False,
    control_source: str | None = None,
    candidates: str | Sequence[str] | None = None,
    train: Sequence[str] | None = None,
    unmatched: str = "error",
    convention: str | None = None,
    top_k: Sequence[int] = (1, 5, 10),
    context_col: str | None = None,
    batch_col: str | None = None,
    layer: str | None = None,
    obsm: str | None = None,
    target_sum: float = 5e4,
    separator: str = "+",
    labels: Sequence[Any] | None = None,
    real_labels: Sequence[Any] | None = None,
    genes: Sequence[Any] | None = None,
    return_distances: bool = False,
    device: str = "auto",
    n_threads: int | None = None,
    memory_budget: int | float | str | None = None,
    progress: Progress | None = None,
) -> Any:
    """Rank of each perturbation's own observed profile among all, seen from its prediction.

    Parameters
    ----------
    pred, real
        AnnData or path of an ``.h5ad`` or ``.zarr`` (n_obs × n_vars cells), or a list of them; or profiles: an array
        (n_perturbations × n_genes, float32 or float64, any library with DLPack in host memory) with ``labels``, or a
        data frame with labels as index and genes as columns. Genes are aligned by name, labels too. Neither is
        modified.
    pert_col, control
        Column of ``obs`` with the labels, and the control's label (of cells, or of a row of profiles).
    space
        How cells become profiles: ``"log_of_sums"`` (default; counts), ``"mean_of_logs"`` (counts), ``"mean"`` of the
        values as they are; ``obsm=`` averages an embedding. Given profiles are taken as they are.
    metric
        ``cosine`` (default), ``cityblock`` (``l1``), ``euclidean`` (``l2``), ``sqeuclidean``, ``pearson``,
        ``spearman``, or another profile distance of :func:`vcmetrics.list_distances`.
    exclude_targets
        Which target genes no distance sees: ``"panel"`` (default): those of all candidates; ``"row"``: the query's own;
        ``"pair"``: each duel against another candidate leaves out the targets of both; ``"none"``.
    ties
        Where equals stand: ``"mid"`` (default), ``"first"`` (= ``"position"``), ``"last"``, ``"optimistic"``,
        ``"pessimistic"``; see :func:`vcmetrics.arrays.match_rank`.
    denominator
        score = 1 - rank/(n - 1) for ``"n-1"`` (default), 1 - rank/n for ``"n"``, 1 - (rank + 1)/n for ``"n, from 1"``.
    norm_match
        Take the scale out of L1 and L2: ``"self"``: each prediction gets the norm of its own truth (uses the truth);
        ``"panel"``: one factor, so that the median norms agree; ``"unit"``: norm 1 on both sides (L2: ranks of cosine).
        ``"none"`` (default). A prediction of norm 0 then ties with everything. Angles see no scale.
    residual
        Subtract the mean over predictions from predictions and the mean over candidates from these.
    direction
        ``"pred_to_real"`` (default): the own truth among truths. ``"real_to_pred"``: the own prediction among
        predictions.
    target_map
        label → gene, several genes, or None. Without an entry a label is its gene, or, joined by ``separator``, its
        genes. ``{"*": None}``: no targets.
    reference
        What effects are taken against, on both sides: ``"control"`` (default), ``"batch_control"`` (controls of each
        perturbation's observed batches), ``"perturbed_mean"``, ``"perturbed_mean_cells"``, ``"condition_mean"``,
        ``"guide_count_mean"`` (means of the observed perturbations, those in ``train`` where given), ``"none"``.
    leave_one_out
        Leave each perturbation out of its own reference mean. Off here: see Notes.
    control_source
        ``"real"`` (default): the observed control on both sides; ``"own"``: each side's own, with
        ``reference="control"`` alone.
    candidates
        ``"real"`` (default): all observed perturbations; ``"scored"``: those with a prediction; ``"untrained"``: those
        not in ``train``; or labels.
    train
        Observed perturbations that were seen in training: they are not scored, and reference means take only them.
    unmatched
        ``"error"``, or ``"drop"`` to leave out predictions without an observed partner (they are counted).
    convention
        Another's rules, which explicit arguments overrule: ``cell-eval``, ``vcc2025``, ``vcc2026``, ``systema``,
        ``shift-nir``, ``txpert-normed``, ``txpert-fast``, ``perturbench``, ``perturbench-transposed``.
    top_k
        Report whether the own candidate is among the first k.
    context_col, batch_col
        Columns of ``obs``: score each context by itself; batches for ``"batch_control"``.
    layer, obsm, target_sum
        Read this layer or embedding; library size of the log spaces.
    separator
        What joins the genes of a combination.
    labels, real_labels, genes
        For arrays: a label a row (``real_labels`` where they differ), a gene a column. Data frames have their own.
    return_distances
        Return the table of distances, too.
    device
        ``"auto"`` and ``"cpu"``: the CPU. ``"cuda"`` sends profiles to the GPU, which sums over pairs of them with the
        CPU's bits; for ``exclude_targets`` ``"none"`` and ``"panel"``.
    n_threads, progress
        Threads (None: all allowed); results do not depend on them. ``progress(done, total)`` is called while cells are
        read.
    memory_budget
        Memory for cells: ``"4GiB"``, bytes, or a share of what is available; None for half of it. Results do not
        depend on it.

    Returns
    -------
    DataFrame
        One row a prediction, index ``perturbation`` (with ``context_col``: context, perturbation): ``rank`` from 0,
        ``score`` (1 best, 0.5 chance), ``top1`` and so on (rank < k), ``reciprocal_rank`` 1/(rank + 1), ``distance`` to
        the own candidate, ``nearest`` wrong candidate and its ``margin`` (its distance less the own one, positive when
        the own is nearest; in a pair scope the tightest duel), ``n_candidates``, ``n_targets`` measured. ``attrs``
        holds ``aggregate`` (means over rows, with ``n_scored``, ``n_candidates``, ``n_unresolved_targets``,
        ``n_dropped``, and of rows that are zero at all genes that the scope leaves ``n_zero_pred``, ``n_zero_real``),
        ``by_context``, ``unresolved_targets``, ``dropped`` and ``settings``. With ``return_distances`` a pair: this,
        and a data frame (dict of them by context) of distances.

    Raises
    ------
    DataError
        If labels, genes or the control do not match, nothing is left to score, no target resolves although some
        are to be excluded, or a profile is not finite.
    ValueError, TypeError
        For wrong arguments.

    Notes
    -----
    What each scope gives to predictions without biology (mean scores over eight simulated screens of 40 perturbations
    and 400 genes, L1 / L2 / cosine; 0.5 is fair):

    =============================  ====================  ====================  ====================  ====
    prediction                     none                  row                   panel                 pair
    =============================  ====================  ====================  ====================  ====
    one profile for all            0.50 / 0.50 / 0.50    0.63 / 0.73 / 0.44    0.50                  0.50
    no effect                      0.50 / 0.50 / 0.50    0.63 / 0.73 / 0.50    0.50                  0.50
    only the own target's drop     0.76 / 0.88 / 1.00    0.63 / 0.73 / 0.50    0.50                  0.50
    spikes at all other targets    0.51 / 0.78 / 0.85    0.64 / 0.88 / 0.84    0.50 / 0.50 / 0.49    0.50
    =============================  ====================  ====================  ====================  ====

    A reference must be the same for all queries: with ``leave_one_out`` the own truth is missing from each query's
    reference alone, which writes it into the query, and one profile for all perturbations scores near 1 under the
    angles. L1 and L2 depend on the scale of the prediction, see :func:`vcmetrics.discrimination_sweep`.

    Sums are float64. The n × n table is held a block of rows at a time. Cost: one pass over each file and O(n_scored ·
    n_candidates · n_genes); the pair scope adds O(n_scored · n_candidates) a target, the row scope runs at a fifth of
    the speed, or a pass over the candidates a query for several targets, Pearson and Spearman.

    References
    ----------
    Virtual Cell Challenge 2025 and 2026 (cell-eval 0.8.2, cell-eval2 0.20.0); Systema; Shift; TxPert; PerturBench.
    Scale: Liu et al., arXiv 2511.16954.

    Examples
    --------
    >>> import numpy as np
    >>> real = np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [6.0, 6.0]])
    >>> pred = np.array([[4.0, 0.0], [3.0, 0.0], [9.0, 9.0]])
    >>> table = discrimination(pred, real, labels=["A", "B", "C"], real_labels=["ctrl", "A", "B", "C"],
    ...     control="ctrl", metric="l1", exclude_targets="none")
    >>> table["score"].to_dict(), table["nearest"].to_dict()
    ({'A': 0.5, 'B': 1.0, 'C': 1.0}, {'A': 'B', 'B': 'A', 'C': 'B'})
    >>> round(table.attrs["aggregate"]["score"], 4)
    0.8333
    """
    with engine_for({"pred": pred, "real": real}, device, what="discrimination") as (engine, from_host):
        if not from_host:
            msg = "discrimination: profiles on a GPU are not taken; pass them on the host, with device='cuda'"
            raise DeviceError(msg)
    settings = settle(
        convention,
        {
            "space": space,
            "metric": metric,
            "exclude_targets": exclude_targets,
            "ties": ties,
            "denominator": denominator,
            "norm_match": norm_match,
            "residual": residual,
            "direction": direction,
            "reference": reference,
            "control_source": control_source,
            "candidates": candidates,
        },
    )
    settings |= {"convention": convention, "leave_one_out": leave_one_out, "obsm": obsm, "target_sum": target_sum}
    settings["metric"] = metric_name(settings["metric"])
    settings["ties"] = tie_rule(settings["ties"])
    check_denominator(settings["denominator"])
    ks = whole_ks(top_k)
    threads = resolve_threads(n_threads)
    panels = read_panels(
        pred,
        real,
        Inputs(
            pert_col, control, context_col, batch_col, layer, obsm, settings["space"], target_sum,
            labels, real_labels, genes, threads, progress,
        ),
        matching_of(settings, leave_one_out, train, unmatched, target_map, separator, obsm),
    )  # fmt: skip
    tables, distances, facts = [], {}, {}
    for panel in panels:
        table, found = score_panel(panel, settings, ks, threads, return_distances, engine)
        tables.append(table)
        facts[panel.context] = cohort(panel, settings, table)
        if return_distances:
            distances[panel.context] = found
    out = joined(tables, panels, facts, settings, context_col)
    if not return_distances:
        return out
    return out, distances[None] if context_col is None else distances


def matching_of(
    settings: dict[str, Any],
    leave_one_out: bool,
    train: Sequence[str] | None,
    unmatched: str,
    target_map: TargetMap | None,
    separator: str,
    obsm: str | None,
) -> Matching:
    """Arguments of the panel; an embedding has no genes to exclude."""
    scope = settings["exclude_targets"]
    if obsm is not None and scope != "none":
        msg = f"obsm={obsm!r} has dimensions, not genes: pass exclude_targets='none'"
        raise ValueError(msg)
    return Matching(
        reference=settings["reference"],
        leave_one_out=leave_one_out,
        control_source=settings["control_source"],
        candidates=settings["candidates"],
        train=train,
        unmatched=unmatched,
        target_map=target_map,
        separator=separator,
        targets_required=scope != "none",
    )


def whole_ks(top_k: Sequence[int]) -> tuple[int, ...]:
    """Positive whole numbers, ascending.

    Raises
    ------
    ValueError
        For anything else.
    """
    ks = np.asarray(top_k)
    if ks.ndim != 1 or ks.dtype.kind not in "iuf" or not ((ks >= 1) & (ks == np.floor(ks)) & (ks < np.inf)).all():
        msg = f"top_k is {top_k!r}; pass positive whole numbers, such as (1, 5)"
        raise ValueError(msg)
    return tuple(np.unique(ks.astype(np.int64)).tolist())


def score_panel(
    panel: Panel,
    settings: dict[str, Any],
    ks: tuple[int, ...],
    n_threads: int,
    keep: bool,
    engine: Engine | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Scores of one context, and its distances where they are to be kept."""
    import pandas as pd

    task = make_task(
        panel,
        metric=settings["metric"],
        scope=settings["exclude_targets"],
        direction=settings["direction"],
        norm_match=settings["norm_match"],
        residual=settings["residual"],
        n_threads=n_threads,
    )
    if engine is not None:
        if task.scope not in ("none", "panel"):
            msg = (
                f"exclude_targets={task.scope!r} has no CUDA kernels (there are 'none' and 'panel'); pass device='cpu'"
            )
            raise DeviceError(msg)
        task = replace(task, engine=engine)
    names = np.array(panel.names, dtype=object)
    facing = names if settings["direction"] == "pred_to_real" else names[panel.scored]
    counted, n_candidates = sampled_candidates(task.own, facing.size, settings["sample"])
    table = np.empty((len(task.x), facing.size)) if keep else None
    found = rank_all(task, settings["ties"], table, counted)
    frame = pd.DataFrame(
        columns_of(found, n_candidates, facing, settings, ks) | {"n_targets": panel.targets.sizes[panel.scored]},
        index=pd.Index(panel.queries, name="perturbation", dtype=object),
    )
    kept = None if table is None else pd.DataFrame(table, index=frame.index, columns=pd.Index(facing, name="candidate"))
    return frame, kept


def sampled_candidates(
    own: NDArray[np.int64], n: int, sample: int | None
) -> tuple[NDArray[np.bool_] | None, NDArray[Any]]:
    """Which of ``n`` candidates count, drawn with seed 0 (None: all), and how many each query has, its own included."""
    if sample is None or sample >= n:
        return None, np.full(own.size, n)
    counted = np.zeros(n, np.bool_)
    counted[np.random.default_rng(0).choice(n, sample, replace=False)] = True
    return counted, np.asarray(counted.sum() + ~counted[own])


def score_of(rank: Table, n_candidates: NDArray[Any], denominator: str, output: str) -> Table:
    """Scores (1 best) or normalised ranks (0 best) from ranks; one candidate alone is found."""
    offset, less = DENOMINATORS[denominator]
    share = (rank + offset) / np.maximum(n_candidates - less, 1)
    return np.asarray(share if output == "rank" else 1.0 - share)


def columns_of(
    found: Standing, n_candidates: NDArray[Any], facing: NDArray[Any], settings: dict[str, Any], ks: tuple[int, ...]
) -> dict[str, Any]:
    """Columns of the result."""
    nearest = np.array([None if k < 0 else facing[k] for k in found.nearest.tolist()], dtype=object)
    return {
        "rank": found.rank,
        "score": score_of(found.rank, n_candidates, settings["denominator"], settings["output"]),
        **{f"top{k}": found.rank <= k - 1 for k in ks},
        "reciprocal_rank": 1.0 / (found.rank + 1.0),
        "distance": found.own,
        "nearest": nearest,
        "margin": found.margin,
        "n_candidates": n_candidates.astype(np.int64),
    }


def cohort(panel: Panel, settings: dict[str, Any], table: pd.DataFrame) -> dict[str, Any]:
    """Means of one context, and how many of what they are over; warns of what a reader must know."""
    where = "" if panel.context is None else f"context {panel.context!r}: "
    unresolved = panel.targets.unresolved
    if unresolved and settings["exclude_targets"] != "none":
        msg = (
            f"{where}{len(unresolved)} of {panel.n_candidates} perturbations have no measured target gene, so none "
            f"is excluded for them: {some(unresolved)}; pass target_map="
        )
        warnings.warn(msg, VcmetricsWarning, stacklevel=3)
    if panel.n_candidates == 1:
        msg = f"{where}there is one candidate only, which every query finds: scores are 1 by definition"
        warnings.warn(msg, VcmetricsWarning, stacklevel=3)
    return {
        **means_of(table),
        "n_scored": len(table),
        "n_candidates": int(panel.n_candidates if settings["direction"] == "pred_to_real" else len(table)),
        "n_unresolved_targets": len(unresolved),
        "n_zero_pred": n_zero(panel.pred, panel.targets.table[panel.scored], panel, settings["exclude_targets"]),
        "n_zero_real": n_zero(panel.real, panel.targets.table, panel, settings["exclude_targets"]),
        "n_dropped": len(panel.left_out),
    }


def n_zero(rows: NDArray[Any], own: NDArray[np.int64], panel: Panel, scope: str) -> int:
    """Rows that are zero at every gene that the scope leaves them."""
    seen = rows != 0
    if scope == "panel":
        seen[:, panel.targets.union] = False
    elif scope != "none":
        for row, genes in zip(seen, own, strict=True):
            row[genes[genes >= 0]] = False
    return int((~seen.any(1)).sum())


def means_of(table: pd.DataFrame) -> dict[str, float]:
    """Means over perturbations, and the medians of score and rank."""
    names = [name for name in table.columns if name in ("score", "reciprocal_rank", "rank") or name.startswith("top")]
    return {name: float(table[name].mean()) for name in names} | {
        "score_median": float(table["score"].median()),
        "rank_median": float(table["rank"].median()),
    }


def joined(
    tables: list[pd.DataFrame],
    panels: list[Panel],
    facts: dict[str | None, dict[str, Any]],
    settings: dict[str, Any],
    context_col: str | None,
) -> pd.DataFrame:
    """One table of all contexts with what is known about it."""
    import pandas as pd

    if context_col is None:
        out = tables[0]
        out.attrs["aggregate"] = facts[None]
    else:
        out = pd.concat(tables, keys=[panel.context for panel in panels], names=[context_col, "perturbation"])
        counts = [key for key in next(iter(facts.values())) if key.startswith("n_")]
        together: dict[str, Any] = {key: sum(found[key] for found in facts.values()) for key in counts}
        out.attrs["aggregate"] = {**means_of(out), **together}
        out.attrs["by_context"] = {str(context): found for context, found in facts.items()}
    out.attrs["unresolved_targets"] = sorted({name for panel in panels for name in panel.targets.unresolved})
    out.attrs["dropped"] = sorted({name for panel in panels for name in panel.left_out})
    out.attrs["settings"] = {
        key: value if value is None or isinstance(value, bool | int | float | str) else list(value)
        for key, value in settings.items()
    }
    return out
