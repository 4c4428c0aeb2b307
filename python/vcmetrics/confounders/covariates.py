"""What could explain a score without any biology: cells, depth, magnitude, knock-down, the shared effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.backend.device import resolve_device
from vcmetrics.baselines.inputs import Side, read_side, reading
from vcmetrics.retrieval.targets import target_sets
from vcmetrics.sources.cell_groups import CellGroups
from vcmetrics.summary.single_precision import log_normalised

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

COVARIATES: Mapping[str, str] = {
    "n_cells": "number of cells",
    "depth": "median total of the cells",
    "depth_shift": "log of the median total less that of the control",
    "effect_norm": "|d|, d the mean effect against the control",
    "effect_norm_corrected": "|d|² less the sampling variance of both means, as a signed root",
    "knockdown": "mean effect on the own target genes",
    "systematic_cosine": "cosine of d and the mean effect of all perturbations",
    "depth_share": "share of |d|² along the direction in which control cells move with their depth",
}


def covariates(
    real: Any,
    *,
    pert_col: str | None = None,
    control: str = "non-targeting",
    context_col: str | None = None,
    layer: str | None = None,
    space: str = "mean_of_logs",
    target_sum: float = 1e4,
    target_map: Mapping[str, Any] | None = None,
    separator: str = "+",
    device: str = "auto",
    n_threads: int | None = None,
) -> pd.DataFrame:
    """Quantities of every perturbation that a score may follow for the wrong reason.

    Parameters
    ----------
    real
        Observed cells: AnnData or path, n_obs × n_vars.
    pert_col, control, context_col, layer, device, n_threads
        As in :func:`vcmetrics.baselines.make`.
    space, target_sum
        ``"mean_of_logs"`` of counts, or ``"mean"`` of log-normalised values as they are.
    target_map, separator
        label → own target gene (or several, or None); without it the label is the gene, or joins genes.

    Returns
    -------
    DataFrame, index ([context,] perturbation), columns :data:`COVARIATES`; NaN where undefined (no measured target, one
    cell, no effect).

    Raises
    ------
    DataError, ValueError
        As :func:`vcmetrics.baselines.make`.

    Notes
    -----
    ``effect_norm`` grows when cells are few, by noise alone; ``effect_norm_corrected`` does not, and is negative where
    the effect is smaller than its noise. Cost: two reads of the values.

    Examples
    --------
    >>> from vcmetrics import datasets
    >>> demo = datasets.demo()
    >>> table = covariates(demo.path, pert_col=demo.pert_col, control=demo.control)
    >>> int(table.loc["STAT1", "n_cells"]), round(float(table.loc["STAT1", "knockdown"]), 2)
    (325, -3.58)
    """
    import pandas as pd

    resolve_device(device, what="confounders")
    if space not in ("mean_of_logs", "mean"):
        msg = f"space {space!r} is not known; pass 'mean_of_logs' for counts or 'mean' for log-normalised values"
        raise ValueError(msg)
    how = reading(
        pert_col=pert_col,
        control=control,
        context_col=context_col,
        layer=layer,
        space=space,
        target_sum=float(target_sum),
        separator=separator,
        n_threads=n_threads,
    )
    side = read_side(real, "real", how)
    s = side.source
    values = side.rows if space == "mean" else log_normalised(side.rows, side.totals, how.target_sum)
    own = target_sets(s.labels, s.genes, target_map, control=control, separator=separator, required=False).table
    frames = []
    for context in sorted(set(s.contexts)):
        rows = [k for k, c in enumerate(s.contexts) if c == context]
        table = of_context(side, values, own[rows], context, rows, control, how.n_threads)
        frames.append(pd.DataFrame(table, index=pd.Index([s.labels[k] for k in rows], name="perturbation")))
    if context_col is None:
        return frames[0]
    return pd.concat(frames, keys=sorted(set(s.contexts)), names=[context_col, "perturbation"])


def of_context(
    side: Side, values: Any, own: NDArray[np.int64], context: str, rows: list[int], control: str, n_threads: int
) -> dict[str, Floats]:
    """All columns of one context."""
    s = side.source
    labels = (*(s.labels[k] for k in rows), control)
    at = {label: k for k, label in enumerate(labels)}
    here = (side.contexts == context).tolist()
    codes = np.array([at.get(x, -1) if y else -1 for x, y in zip(side.labels.tolist(), here, strict=True)], np.int32)
    cells = CellGroups(labels, codes, rows=values, n_threads=n_threads)
    effect = cells.means[:-1] - cells.means[-1]
    n = cells.sizes.astype(np.float64)
    noise = cells.variances().sum(axis=1) / n
    square = (effect**2).sum(axis=1) - noise[:-1] - noise[-1]
    mine = side.members(context, control)
    depth = np.median(side.totals[mine])
    direction = depth_direction(values.take(mine), side.totals[mine], cells.means[-1])
    return {
        "n_cells": n[:-1],
        "depth": s.depth[rows],
        "depth_shift": log_ratio(s.depth[rows], depth),
        "effect_norm": norms(effect),
        "effect_norm_corrected": np.sign(square) * np.sqrt(np.abs(square)),
        "knockdown": np.array([effect[k][genes[genes >= 0]].mean() if (genes >= 0).any() else np.nan
                               for k, genes in enumerate(own)]),
        "systematic_cosine": cosines(effect, effect.mean(axis=0)),
        "depth_share": cosines(effect, direction) ** 2,
    }  # fmt: skip


def norms(rows: Floats) -> Floats:
    """Euclidean norm of every row."""
    return np.asarray(np.sqrt((rows**2).sum(axis=1)))


def log_ratio(x: Floats, y: float) -> Floats:
    """Log of x / y, NaN where either is not positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.log(x / y)
    return np.where(np.isfinite(out), out, np.nan)


def cosines(rows: Floats, direction: Floats) -> Floats:
    """Cosine of every row with a direction; NaN where either is zero."""
    size = norms(rows) * np.sqrt((direction**2).sum())
    out = np.full(len(rows), np.nan)
    np.divide((rows * direction).sum(axis=1), size, out=out, where=size > 0)
    return out


def depth_direction(rows: Any, totals: Floats, mean: Floats) -> Floats:
    """Slope of every gene on the log total over control cells; zero where their totals do not differ."""
    positive = totals > 0
    logs = np.log(np.where(positive, totals, 1.0))
    centred = np.where(positive, logs - logs[positive].mean() if positive.any() else 0.0, 0.0)
    spread = float((centred**2).sum())
    if spread == 0.0:
        return np.zeros_like(mean)
    data = rows.data.read(0, rows.nnz).astype(np.float64)
    genes = rows.indices.read(0, rows.nnz).astype(np.int64)
    weight = np.repeat(centred, np.diff(rows.indptr))
    return np.asarray(np.bincount(genes, data * weight, mean.size) / spread)


def systematic_variation(effects: Any, *, reference: Any = None) -> pd.Series[float]:
    """How alike all effects are: where they are, a prediction of the shared effect scores well.

    Parameters
    ----------
    effects
        (n, n_genes) mean effects of the perturbations against the control, array or DataFrame.
    reference
        Another reference, as an effect against the control (n_genes,) (Systema's perturbed mean); None: the control.

    Returns
    -------
    Series: ``shared_share``, share of Σ|d|² that the mean effect explains; ``median_cosine`` of an effect and the mean
    effect; ``median_pairwise_cosine`` over pairs; ``median_norm``.

    References
    ----------
    Systema, systematic variation.

    Examples
    --------
    >>> systematic_variation(np.array([[1.0, 0.0], [1.0, 0.0]]))["shared_share"].item()
    1.0
    """
    import pandas as pd

    rows = np.asarray(effects, np.float64)
    if reference is not None:
        rows = rows - np.asarray(reference, np.float64)
    mean = rows.mean(axis=0)
    total = float((rows**2).sum())
    return pd.Series(
        {
            "shared_share": float(len(rows) * (mean**2).sum() / total) if total else np.nan,
            "median_cosine": median(cosines(rows, mean)),
            "median_pairwise_cosine": median(pairwise_cosines(rows)),
            "median_norm": median(norms(rows)),
        }
    )


def pairwise_cosines(rows: Floats) -> Floats:
    """Cosines of all pairs of rows that are not zero."""
    size = norms(rows)
    unit = rows[size > 0] / size[size > 0, None]
    return np.asarray((unit @ unit.T)[np.triu_indices(len(unit), 1)])


def median(values: Floats) -> float:
    """Median of the defined values; NaN where there is none."""
    kept = values[~np.isnan(values)]
    return float(np.median(kept)) if kept.size else float("nan")
