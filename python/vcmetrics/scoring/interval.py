"""Bootstrap over perturbations: intervals of aggregates and scores, and of differences between predictions.

Perturbations are drawn with replacement, with everything that was computed of each: its values, or its numerator and
denominator, stay together. What was made of the panel as a whole before (the candidates of a match rank, the cap of
the corrected error, the ends of a scale) stays as it was. Equal numbers of perturbations, resamples and seed
give equal draws, so results of two predictions are paired. Intervals are percentiles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.aggregate import Parts
from vcmetrics.metrics.gene_bootstrap import resampled_correlations
from vcmetrics.metrics.resample import check_level, percentile_interval, resample_counts, resampled_sums
from vcmetrics.sources.genes import some

if TYPE_CHECKING:
    import pandas as pd

    from vcmetrics.results.score_result import ContextResult, ScoreResult

Floats = NDArray[np.float64]
Ends = tuple[float, float]

WHOLE = "the value belongs to the panel as a whole; perturbations of it cannot be drawn anew"


@dataclass(frozen=True)
class Resampling:
    """How intervals are made: confidence level, number of resamples, and what they are drawn from."""

    ci: float
    n_resamples: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class Intervals:
    """Lower and upper ends by metric, of the aggregates and of the scaled scores; ``overall`` of their mean."""

    resampling: Resampling
    aggregate: Mapping[str, Ends]
    scaled: Mapping[str, Ends] = field(default_factory=dict)
    overall: Ends | None = None


def replicates(parts: Mapping[str, Parts], counts: Floats) -> dict[str, Floats]:
    """Every aggregate in every resample.

    Parameters
    ----------
    parts
        What each is made of.
    counts
        How often each perturbation is drawn, (n_resamples, n_perturbations).

    Returns
    -------
    Metric → (n_resamples,), NaN where undefined in a resample; all NaN for what cannot be drawn anew.

    Notes
    -----
    Sums of all metrics come from one product, O(n_resamples · n_perturbations · n_metrics).

    Examples
    --------
    >>> made = replicates({"m": Parts("mean", (np.array([1.0, np.nan, 5.0]),))}, np.array([[1.0, 1, 1], [2, 1, 0]]))
    >>> made["m"].tolist()
    [3.0, 1.0]
    """
    columns: list[Floats] = []
    finish: list[tuple[str, Parts, int]] = []
    out: dict[str, Floats] = {}
    for name, part in parts.items():
        if part.kind in ("pearson", "spearman"):
            out[name] = resampled_correlation(part, counts)
        elif part.kind == "whole":
            out[name] = np.full(len(counts), np.nan)
        else:
            finish.append((name, part, len(columns)))
            columns += summands(part)
            out[name] = np.empty(0)  # keeps the order of the metrics
    if columns:
        sums = resampled_sums(counts, np.stack(columns, 1))
        for name, part, at in finish:
            out[name] = aggregate_of(part, *(sums[:, at + k] for k in range(4)))
    return out


def summands(part: Parts) -> list[Floats]:
    """Four columns whose sums make an aggregate: above, below, infinities with their sign, undefined values.

    Where both infinities occur, each of them makes a mean undefined.
    """
    first = part.columns[0]
    hidden = np.asarray(np.ma.getmaskarray(first))
    above = np.asarray(np.ma.getdata(first), np.float64)
    if part.kind == "ratio_of_sums":
        second = part.columns[1]
        below = np.asarray(np.ma.getdata(second), np.float64)
        usable = ~(hidden | np.ma.getmaskarray(second)) & np.isfinite(above) & np.isfinite(below)
        zero = np.zeros(above.size)
        return [np.where(usable, above, 0.0), np.where(usable, below, 0.0), zero, zero]
    finite = ~hidden & np.isfinite(above)
    infinite = np.where(~hidden & np.isinf(above), np.sign(above), 0.0)
    undefined = ~hidden & np.isnan(above) if part.kind == "propagated_mean" else np.zeros(above.size, bool)
    if infinite.min(initial=0.0) < 0.0 < infinite.max(initial=0.0):
        undefined |= infinite != 0
    return [
        np.where(finite, above, 0.0),
        (finite | (infinite != 0)).astype(np.float64),
        infinite,
        undefined.astype(np.float64),
    ]


def aggregate_of(part: Parts, above: Floats, below: Floats, infinite: Floats, undefined: Floats) -> Floats:
    """Aggregates from the sums of :func:`summands`."""
    value = np.full(above.shape, np.nan)
    np.divide(above, below, out=value, where=below > 0)
    value[infinite > 0] = np.inf
    value[infinite < 0] = -np.inf
    return np.where(undefined > 0, np.nan, value)


def resampled_correlation(part: Parts, counts: Floats) -> Floats:
    """Correlation over the drawn perturbations that have both values."""
    from vcmetrics import _core

    x, y = (np.ma.filled(np.ma.asarray(c, np.float64), np.nan) for c in part.columns)
    used = np.isfinite(x) & np.isfinite(y)
    if used.sum() < 2:
        return np.full(len(counts), np.nan)
    drawn = np.ascontiguousarray(counts[:, used])
    x, y = np.ascontiguousarray(x[used, None]), np.ascontiguousarray(y[used, None])
    if part.kind == "spearman":
        return np.asarray(_core.resampled_rank_correlations(x, y, drawn, 1)[:, 0])
    return np.asarray(resampled_correlations(drawn, x, y, None, 1)["total"][:, 0])


def context_replicates(contexts: Sequence[ContextResult], how: Resampling) -> list[dict[str, Floats]]:
    """Replicates of every context; each draws among its own perturbations."""
    return [
        replicates(c.parts, resample_counts(len(c.perturbations), how.n_resamples, how.seed, stream=k))
        for k, c in enumerate(contexts)
    ]


def mean_over_contexts(made: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    """Equal-weight means over contexts; NaN where a context has none."""
    names = list(dict.fromkeys(m for one in made for m in one))
    absent = np.full(next(iter(made[0].values())).shape if made[0] else (0,), np.nan)
    return {m: np.mean([one.get(m, absent) for one in made], axis=0) for m in names}


def ends_of(found: Mapping[str, Floats], values: Mapping[str, float], ci: float) -> dict[str, Ends]:
    """Interval of each; NaN where the value itself is undefined."""
    if not found:
        return {}
    low, high = percentile_interval(np.stack(list(found.values()), 1), ci)
    return {
        name: (math.nan, math.nan) if math.isnan(values.get(name, math.nan)) else (float(low[k]), float(high[k]))
        for k, name in enumerate(found)
    }


def intervals(
    contexts: Sequence[ContextResult],
    how: Resampling,
    values: Mapping[str, float],
    *,
    scalers: Sequence[Any] = (),
    scaled: Mapping[str, float] | None = None,
) -> Intervals:
    """Intervals of all aggregates and, where there is a scale, of all scores.

    Parameters
    ----------
    contexts
        Scored contexts.
    how
        Level, number and seed.
    values, scaled
        Aggregates and scores over contexts.
    scalers
        One a context: metric → a function from aggregates to scores, whose ends stay fixed.
    """
    made = context_replicates(contexts, how)
    aggregate = ends_of(mean_over_contexts(made), values, how.ci)
    if not scalers:
        return Intervals(how, aggregate)
    scores = [
        # what cannot be drawn anew is no bad score
        {name: one[name] if np.isnan(one[name]).all() else to_score(one[name]) for name, to_score in scaler.items()}
        for one, scaler in zip(made, scalers, strict=True)
    ]
    ends = ends_of(mean_over_contexts(scores), scaled or {}, how.ci)
    means = [np.mean(list(one.values()), axis=0) for one in scores if one]
    overall = None
    if means:
        both = {"overall": np.mean(means, axis=0)}
        overall = ends_of(both, {"overall": float(np.mean([c.overall for c in contexts]))}, how.ci)["overall"]
    return Intervals(how, aggregate, ends, overall)


def check_resampling(ci: float | None, n_resamples: int, seed: int) -> Resampling | None:
    """What was asked for; None without ``ci``."""
    if ci is None:
        return None
    if n_resamples < 1:
        msg = f"n_resamples is {n_resamples}; pass a positive number"
        raise ValueError(msg)
    return Resampling(check_level(ci), int(n_resamples), int(seed))


def compare_scores(
    a: ScoreResult, b: ScoreResult, *, ci: float = 0.95, n_resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Does one prediction score better than another? Paired differences of all aggregates, with intervals.

    Parameters
    ----------
    a, b
        Results of :func:`score` for two predictions of the same reference, by the same rules.
    ci, n_resamples, seed
        Confidence level; bootstrap over perturbations, the same draws for both.

    Returns
    -------
    DataFrame, index metric: ``a``, ``b``, ``difference`` (a - b), ``lower`` and ``upper`` ends of its interval, and
    ``better``: ``"a"`` or ``"b"`` where the interval leaves 0 out and the metric has a direction, else empty. NaN
    where an aggregate is undefined or cannot be drawn anew.

    Raises
    ------
    DataError
        If the two were scored over different contexts, perturbations or metrics.

    Notes
    -----
    See :mod:`vcmetrics.scoring.interval` for what stays fixed. Cost O(n_resamples · perturbations · metrics).

    Examples
    --------
    >>> from vcmetrics import datasets, score
    >>> demo = datasets.demo()
    >>> how = {"metrics": ["delta_pearson"], "pert_col": demo.pert_col, "control": demo.control}
    >>> perfect = score(demo.path, demo.path, **how)
    >>> compare_scores(perfect, perfect)[["difference", "lower", "upper"]].values.tolist()
    [[0.0, 0.0, 0.0]]
    """
    import pandas as pd

    how = check_resampling(ci, n_resamples, seed)
    assert how is not None
    if [c.context for c in a.contexts] != [c.context for c in b.contexts]:
        names = [[str(c.context) for c in r.contexts] for r in (a, b)]
        msg = f"the results are of different contexts ({some(names[0])} and {some(names[1])}); score the same data"
        raise DataError(msg)
    first, second = a.aggregate_values, b.aggregate_values
    if set(first) != set(second):
        odd = sorted(set(first) ^ set(second))
        msg = f"the results hold different metrics ({some(odd)}); score both with one preset and profile"
        raise DataError(msg)
    gaps = []
    for k, (one, two) in enumerate(zip(a.contexts, b.contexts, strict=True)):
        if set(one.perturbations) != set(two.perturbations):
            odd = sorted(set(one.perturbations) ^ set(two.perturbations))
            msg = f"the results are of different perturbations ({some(odd)}); score the same data"
            raise DataError(msg)
        place = {label: r for r, label in enumerate(two.perturbations)}
        rows = np.array([place[label] for label in one.perturbations], np.int64)
        counts = resample_counts(rows.size, how.n_resamples, how.seed, stream=k)
        x, y = replicates(one.parts, counts), replicates({m: p.take(rows) for m, p in two.parts.items()}, counts)
        gaps.append({m: x[m] - y[m] for m in x})
    difference = {m: first[m] - second[m] for m in first}
    ends = ends_of(mean_over_contexts(gaps), difference, how.ci)
    rows_out = []
    for m in first:
        low, high = ends[m]
        ahead = "a" if low > 0 else "b" if high < 0 else ""
        if a.directions.get(m) == "lower":
            ahead = {"a": "b", "b": "a"}.get(ahead, "")
        rows_out.append((first[m], second[m], difference[m], low, high, ahead if _directed(a, m) else ""))
    out = pd.DataFrame(
        rows_out,
        columns=["a", "b", "difference", "lower", "upper", "better"],
        index=pd.Index(list(first), name="metric"),
    )
    out.attrs |= {"ci": how.ci, "n_resamples": how.n_resamples, "seed": how.seed}
    return out


def _directed(result: ScoreResult, metric: str) -> bool:
    return result.directions.get(metric) in ("higher", "lower")
