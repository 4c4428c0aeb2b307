"""Any metric between a null and a ceiling, with intervals, and a refusal where the two cannot be told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics.calibration.sides import Floats, Scores, aggregate_of_side, aligned, n_rows, side
from vcmetrics.metrics.resample import check_level, percentile_interval, resample_counts
from vcmetrics.scoring.interval import mean_over_contexts, replicates

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "value", "null", "ceiling", "calibrated", "lower", "upper", "over_null", "over_null_lower", "over_null_upper",
    "span", "span_lower", "span_upper", "usable", "reason",
)  # fmt: skip


def calibrate(
    scores: Any,
    null: Any,
    ceiling: Any,
    *,
    better: str | None = None,
    ci: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
    refuse: str = "flag",
) -> pd.DataFrame:
    """Put scores on the scale on which a null is 0 and a ceiling is 1: ``(u - null) / (ceiling - null)``.

    Parameters
    ----------
    scores, null, ceiling
        Scores of the model, of a prediction that knows nothing (a mean, a control), and of one that is as good as the
        experiment allows (a replicate), over the same perturbations: results of :func:`vcmetrics.score`; DataFrames
        perturbation × metric (``result.per_perturbation``) or Series, aligned by label; or arrays (n_perturbations,) in
        one order. NaN is undefined and left out of means.
    better
        ``"higher"`` or ``"lower"``: a ceiling on the wrong side of the null is then refused. None: what the results
        say, else not checked; the ratio itself needs no direction.
    ci, n_resamples, seed
        Level of percentile intervals by a bootstrap over perturbations. Model, null and ceiling share the draws.
    refuse
        What becomes of a metric whose ceiling and null cannot be told apart: ``"flag"`` leaves ``calibrated`` NaN and
        says why, ``"raise"`` is an error.

    Returns
    -------
    DataFrame, index metric: ``value``, ``null``, ``ceiling`` (aggregates); ``calibrated`` with ``lower`` and ``upper``;
    ``over_null`` (value - null) with its ends; ``span`` (ceiling - null) with its ends; ``usable`` and ``reason``. 0 is
    as good as the null, 1 as the ceiling; unclipped, unit 1.

    Raises
    ------
    DataError
        If the sides differ in perturbations or metrics; with ``refuse="raise"`` if a metric cannot be scaled.

    Notes
    -----
    Refused are metrics whose interval of ``span`` holds 0 (the metric does not tell a replicate from the null on these
    data, so a position between them means nothing), and those of which nothing can be resampled. Aggregates are the
    rule set's own (means, ratios of sums). Cost O(n_resamples · perturbations · metrics).

    Examples
    --------
    >>> table = calibrate([0.5, 0.6, 0.7], [0.0, 0.1, 0.2], [1.0, 1.1, 1.2])
    >>> table[["calibrated", "lower", "upper"]].round(6).values.tolist()
    [[0.5, 0.5, 0.5]]
    >>> calibrate([0.5, 0.6], [0.5, 0.7], [0.6, 0.5]).loc["score", "reason"]
    'ceiling and null cannot be told apart: ceiling - null lies in [-0.2, 0.1]'
    """
    import pandas as pd

    if refuse not in ("flag", "raise"):
        msg = f"refuse {refuse!r} is not known; pass 'flag' or 'raise'"
        raise ValueError(msg)
    if better not in (None, "higher", "lower"):
        msg = f"better {better!r} is not known; pass 'higher', 'lower' or None"
        raise ValueError(msg)
    ci = check_level(ci)
    sides = aligned([side(scores, "scores"), side(null, "null"), side(ceiling, "ceiling")])
    drawn = [made_of(one, n_resamples, seed) for one in sides]
    rows = {}
    for metric in sides[0].metrics:
        values = [aggregate_of_side(one, metric) for one in sides]
        ways = better or sides[0].better.get(metric)
        rows[metric] = row_of(values, [d[metric] for d in drawn], ways, ci, fewest(sides[0], metric))
        if refuse == "raise" and not rows[metric]["usable"]:
            msg = f"{metric} cannot be calibrated: {rows[metric]['reason']}; take other ends, or more perturbations"
            raise DataError(msg)
    out = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
    out.index.name = "metric"
    out.attrs |= {"ci": ci, "n_resamples": n_resamples, "seed": seed}
    return out


def made_of(one: Scores, n_resamples: int, seed: int) -> dict[str, Floats]:
    """Aggregates of one side in every resample; equal seeds draw alike for all sides."""
    found = []
    for k, parts in enumerate(one.parts):
        found.append(replicates(parts, resample_counts(n_rows(one, k), n_resamples, seed, stream=k)))
    return mean_over_contexts(found)


def fewest(one: Scores, metric: str) -> int:
    """Smallest number of perturbations, over contexts."""
    return min(n_rows(one, k) for k in range(len(one.parts)))


def row_of(values: list[float], drawn: list[Floats], better: str | None, ci: float, n: int) -> dict[str, Any]:
    """One row of the table."""
    u, low_end, high_end = values
    model, null, ceiling = drawn
    out: dict[str, Any] = {"value": u, "null": low_end, "ceiling": high_end, "calibrated": np.nan}
    out["over_null"], out["span"] = u - low_end, high_end - low_end
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (model - null) / (ceiling - null)
    ratio = np.where(np.isfinite(ratio), ratio, np.nan)
    ends = percentile_interval(np.stack([ratio, model - null, ceiling - null], 1), ci)
    for k, name in enumerate(("", "over_null_", "span_")):
        out[f"{name}lower"], out[f"{name}upper"] = float(ends[0][k]), float(ends[1][k])
    reason = why_not(out, better, n)
    out["usable"], out["reason"] = not reason, reason
    if reason:
        out["lower"] = out["upper"] = np.nan
    else:
        out["calibrated"] = out["over_null"] / out["span"]
    return out


def why_not(row: dict[str, Any], better: str | None, n: int) -> str:
    """Why a metric cannot be placed between its ends; empty where it can."""
    for name in ("value", "null", "ceiling"):
        if not np.isfinite(row[name]):
            return f"the {'score' if name == 'value' else name} is undefined"
    if n < 2:
        return f"{n} perturbation cannot be resampled, so whether ceiling and null differ is not known"
    low, high = row["span_lower"], row["span_upper"]
    if not (np.isfinite(low) and np.isfinite(high)):
        return "the metric belongs to the panel as a whole, so whether ceiling and null differ is not known"
    if low <= 0.0 <= high:
        return f"ceiling and null cannot be told apart: ceiling - null lies in [{low:.3g}, {high:.3g}]"
    if better is not None and better != "none" and (row["span"] > 0) != (better == "higher"):
        return f"the ceiling is worse than the null ({row['ceiling']:.3g} and {row['null']:.3g}, {better} is better)"
    return ""
