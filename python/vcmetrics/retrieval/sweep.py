"""How the score of a prediction moves with its scale alone: a curve, its two limits, best scale and area."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.backend.device import resolve_device
from vcmetrics.backend.memory import budgeted
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.retrieval.conventions import check_denominator, refuse, settle
from vcmetrics.retrieval.discrimination import CONTROL, matching_of, score_of
from vcmetrics.retrieval.inputs import Inputs, read_panels
from vcmetrics.retrieval.pairs import ANGLES, PairDistances, metric_name
from vcmetrics.retrieval.panel import Panel
from vcmetrics.retrieval.ranking import Task, make_task
from vcmetrics.retrieval.ranks import ranks_of, tie_rule
from vcmetrics.retrieval.targets import TargetMap
from vcmetrics.summary.group_summary import Progress

if TYPE_CHECKING:
    import pandas as pd

Table = NDArray[np.float64]
METRICS = ("cityblock", "euclidean", "sqeuclidean", "cosine", "pearson", "spearman")
ZERO, INFINITE = 0.0, np.inf  # the limits' rows in the result
_BLOCK = 1 << 21


@budgeted
def discrimination_sweep(
    pred: Any,
    real: Any,
    *,
    pert_col: str | None = None,
    control: str | None = CONTROL,
    scales: Sequence[float] | None = None,
    metric: str = "euclidean",
    space: str | None = None,
    exclude_targets: str | None = None,
    ties: str | None = None,
    denominator: str | None = None,
    residual: bool | None = None,
    target_map: TargetMap | None = None,
    reference: str | None = None,
    control_source: str | None = None,
    candidates: str | Sequence[str] | None = None,
    train: Sequence[str] | None = None,
    unmatched: str = "error",
    convention: str | None = None,
    context_col: str | None = None,
    batch_col: str | None = None,
    layer: str | None = None,
    obsm: str | None = None,
    target_sum: float = 5e4,
    separator: str = "+",
    labels: Sequence[Any] | None = None,
    real_labels: Sequence[Any] | None = None,
    genes: Sequence[Any] | None = None,
    device: str = "auto",
    n_threads: int | None = None,
    memory_budget: int | float | str | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Score of a prediction whose effects are multiplied by every scale of a grid.

    Parameters
    ----------
    pred, real, pert_col, control, space, ties, denominator, residual, target_map, reference, control_source
        As in :func:`vcmetrics.discrimination`.
    candidates, train, unmatched, convention, context_col, batch_col, layer, obsm, target_sum, separator
        As in :func:`vcmetrics.discrimination`.
    labels, real_labels, genes, device, n_threads, memory_budget, progress
        As in :func:`vcmetrics.discrimination`.
    scales
        Positive factors; None: 61 from 1/1000 to 1000, evenly spaced in the logarithm.
    metric
        ``euclidean`` (default; ``sqeuclidean`` ranks alike), ``cityblock``, or an angle, whose curve is flat.
    exclude_targets
        ``"panel"`` (default) or ``"none"``.

    Returns
    -------
    DataFrame
        Index ``scale``, ascending, with the limits as scale 0 and inf: ``score`` (mean over perturbations),
        ``score_std``, ``top1``; with ``context_col`` the index is context, scale. ``attrs``: ``best_scale``,
        ``best_score`` (over the finite grid; of equals the one nearest to 1), ``area`` (mean score over the grid in the
        logarithm of the scale, by trapezoids), ``zero``, ``infinite``, ``unscaled`` (score at scale 1), ``settings``;
        by context where there are several.

    Raises
    ------
    ValueError
        For a scale that is not positive and finite, or a scope or metric that cannot be swept.
    DataError
        As :func:`vcmetrics.discrimination`.

    Notes
    -----
    With prediction x and truths t, L2 at scale a orders candidates by ``|t|² - 2a x·t``: one product of the tables
    serves all scales. As a → 0 the order is that of ``|t|``, whatever the prediction; as a → ∞ that of ``-x·t`` (of
    ``|t|`` where x is zero). L1 takes a pass a scale; its limits order by ``Σ|t|`` and by ``-Σ sign(x) t + Σ_{x=0}
    |t|``. Differences of candidates below 1e-15 of their squared norms are lost in L2.

    References
    ----------
    Liu et al., arXiv 2511.16954, on the scale dependence of the discrimination score.

    Examples
    --------
    >>> import numpy as np
    >>> real = np.array([[1.0, 0.0], [0.0, 2.0], [4.0, 3.0]])
    >>> curve = discrimination_sweep(real, real, labels=["A", "B", "C"], control=None, reference="none",
    ...     exclude_targets="none", scales=[0.1, 1.0, 10.0])
    >>> curve["score"].round(2).tolist(), curve.attrs["best_scale"]
    ([0.5, 0.5, 1.0, 0.67, 0.67], 1.0)
    """
    import pandas as pd

    resolve_device(device, what="discrimination_sweep")
    settings = settle(
        convention,
        {
            "space": space,
            "exclude_targets": exclude_targets,
            "ties": ties,
            "denominator": denominator,
            "residual": residual,
            "reference": reference,
            "control_source": control_source,
            "candidates": candidates,
        },
    )
    settings |= {"metric": metric_name(metric), "ties": tie_rule(settings["ties"]), "convention": convention}
    refuse(settings, ("direction", "sample", "output"), "discrimination_sweep")
    if settings["metric"] not in METRICS:
        msg = f"metric {metric!r} cannot be swept; choose from {', '.join(METRICS)}"
        raise ValueError(msg)
    if settings["exclude_targets"] not in ("panel", "none"):
        msg = f"exclude_targets={settings['exclude_targets']!r} cannot be swept; pass 'panel' or 'none'"
        raise ValueError(msg)
    check_denominator(settings["denominator"])
    grid = np.sort(np.asarray(np.logspace(-3, 3, 61) if scales is None else scales, np.float64).reshape(-1))
    if not grid.size or not (np.isfinite(grid).all() and (grid > 0).all()):
        msg = f"scales must be positive and finite, at least one; got {grid.tolist()[:5]}"
        raise ValueError(msg)
    threads = resolve_threads(n_threads)
    panels = read_panels(
        pred,
        real,
        Inputs(
            pert_col, control, context_col, batch_col, layer, obsm, settings["space"], target_sum,
            labels, real_labels, genes, threads, progress,
        ),
        matching_of(settings, False, train, unmatched, target_map, separator, obsm),
    )  # fmt: skip
    curves = {panel.context: curve_of(panel, grid, settings, threads) for panel in panels}
    shown = {
        key: value if value is None or isinstance(value, bool | int | float | str) else list(value)
        for key, value in settings.items()
    }
    if context_col is None:
        out = curves[None]
        out.attrs = {**marks(out), "settings": shown}
        return out
    out = pd.concat(list(curves.values()), keys=list(curves), names=[context_col, "scale"])
    out.attrs = {"by_context": {str(c): marks(curve) for c, curve in curves.items()}, "settings": shown}
    return out


def marks(curve: pd.DataFrame) -> dict[str, float]:
    """Limits, best scale and area of one curve."""
    score = curve["score"].to_numpy()
    scale = curve.index.to_numpy(np.float64)
    inner, at = score[1:-1], np.log(scale[1:-1])
    equals = np.flatnonzero(inner == inner.max())
    best = int(equals[np.abs(at[equals]).argmin()])  # of a flat top, the place nearest to no scaling
    width = at[-1] - at[0]
    area = float(np.sum((inner[1:] + inner[:-1]) / 2 * np.diff(at)) / width) if width > 0 else float(inner.mean())
    unscaled = score[scale == 1.0]
    return {
        "best_scale": float(scale[1:-1][best]),
        "best_score": float(inner[best]),
        "area": area,
        "zero": float(score[0]),
        "infinite": float(score[-1]),
        "unscaled": float(unscaled[0]) if unscaled.size else float("nan"),
    }


def curve_of(panel: Panel, grid: Table, settings: dict[str, Any], n_threads: int) -> pd.DataFrame:
    """Mean scores at 0, at every scale, and at infinity."""
    import pandas as pd

    task = make_task(
        panel,
        metric=settings["metric"],
        scope=settings["exclude_targets"],
        residual=settings["residual"],
        n_threads=n_threads,
    )
    points = np.concatenate([[ZERO], grid, [INFINITE]])
    ranks = np.empty((points.size, len(task.x)))
    for first, last, keys in _keys(task):
        own = task.own[first:last]
        for k, point in enumerate(points.tolist()):
            ranks[k, first:last] = ranks_of(keys(point), own, settings["ties"])
    width = np.full(len(task.x), len(task.y))
    scores = np.stack([score_of(row, width, settings["denominator"], settings["output"]) for row in ranks])
    return pd.DataFrame(
        {
            "score": scores.mean(1),
            "score_std": scores.std(1, ddof=1) if len(task.x) > 1 else np.full(points.size, np.nan),
            "top1": (ranks <= 0).mean(1),
        },
        index=pd.Index(points, name="scale"),
    )


def _keys(task: Task) -> Iterator[tuple[int, int, Callable[[float], Table]]]:
    """For every block of queries, what its candidates are ordered by at a scale."""
    step = max(48, _BLOCK // max(len(task.y), 1))
    make = _angle if task.metric in ANGLES else _cityblock if task.metric == "cityblock" else _euclidean
    keys = make(task)
    for first in range(0, len(task.x), step):
        last = min(first + step, len(task.x))
        yield first, last, keys(first, last)


def _angle(task: Task) -> Callable[[int, int], Callable[[float], Table]]:
    pairs = PairDistances(task.x, task.y, task.metric, task.n_threads, task.without)

    def keys(first: int, last: int) -> Callable[[float], Table]:
        table = pairs.block(first, last)
        return lambda scale: table

    return keys


def _euclidean(task: Task) -> Callable[[int, int], Callable[[float], Table]]:
    from vcmetrics import _core

    x, y = _one_type(task)
    squares = np.asarray(_core.row_squares(y, task.n_threads, task.without))
    still = np.asarray(_core.row_squares(x, task.n_threads, task.without)) == 0

    def keys(first: int, last: int) -> Callable[[float], Table]:
        products = np.empty((last - first, len(y)))
        _core.panel_sums(x[first:last], y, "product", products, task.n_threads, task.without)

        def at(scale: float) -> Table:
            if scale == ZERO:
                return np.broadcast_to(squares, products.shape)
            if scale < INFINITE:
                return squares - (2 * scale) * products
            # a prediction of no effect stays at its place, whatever the scale
            return np.where(still[first:last, None], squares, -products)

        return at

    return keys


def _cityblock(task: Task) -> Callable[[int, int], Callable[[float], Table]]:
    from vcmetrics import _core

    x, y = _one_type(task)
    size = np.empty((1, len(y)))
    _core.panel_sums(np.zeros((1, x.shape[1]), x.dtype), y, "cityblock", size, task.n_threads, task.without)

    def sums(rows: NDArray[Any], table: NDArray[Any], term: str) -> Table:
        out = np.empty((len(rows), len(table)))
        _core.panel_sums(np.ascontiguousarray(rows), table, term, out, task.n_threads, task.without)
        return out

    def keys(first: int, last: int) -> Callable[[float], Table]:
        rows = x[first:last]

        def at(scale: float) -> Table:
            if scale == ZERO:
                return np.broadcast_to(size, (last - first, len(y)))
            if scale < INFINITE:
                return sums((scale * rows).astype(y.dtype), y, "cityblock")
            out = -sums(np.sign(rows), y, "product")
            absent = (rows == 0).astype(y.dtype)
            if absent.any():
                out += sums(absent, np.abs(y), "product")
            return out

        return at

    return keys


def _one_type(task: Task) -> tuple[NDArray[Any], NDArray[Any]]:
    if task.x.dtype == task.y.dtype:
        return task.x, task.y
    return task.x.astype(np.float64), task.y.astype(np.float64)
