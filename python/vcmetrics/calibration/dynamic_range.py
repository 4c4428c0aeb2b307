"""How much of its range a metric has between a replicate and a baseline, perturbation by perturbation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vcmetrics.calibration.sides import Floats, aligned, filled, side

if TYPE_CHECKING:
    import pandas as pd

EPSILON = 1e-6
MIN_VALID = 10  # perturbations below which the Shift study drops a metric


def dynamic_range_fraction(positive: Any, negative: Any, *, better: str, perfect: float | None = None) -> Floats:
    """Share of a metric's range that lies between a negative and a positive control, for every perturbation.

    ``(M_pos - M_neg) / ((perfect - M_neg) + 1e-6)`` where higher is better, ``(M_neg - M_pos) / (M_neg + 1e-6)`` where
    lower is, clipped to [-1, 1].

    Parameters
    ----------
    positive
        (n,) values of a prediction as good as the experiment (interpolated or technical duplicate).
    negative
        (n,) values of one that knows nothing (the mean; the control where a mean is degenerate).
    better
        ``"higher"`` or ``"lower"``.
    perfect
        Value of a perfect prediction: 1 where higher is better (None), 0 where lower is.

    Returns
    -------
    (n,) in [-1, 1]; about 0: the metric cannot tell a replicate from the baseline. NaN where a value is undefined.

    Raises
    ------
    ValueError
        If shapes differ or the arguments are not known.

    References
    ----------
    Shift Bioscience, "Perturbation models outperform baselines", calibration analysis.

    Examples
    --------
    >>> dynamic_range_fraction([0.9, 0.2], [0.5, 0.4], better="higher").round(4).tolist()
    [0.8, -0.3333]
    >>> dynamic_range_fraction([0.1], [0.4], better="lower").round(4).tolist()
    [0.75]
    """
    top, bottom = filled(positive), filled(negative)
    if top.shape != bottom.shape or top.ndim != 1:
        msg = f"positive has shape {top.shape}, negative {bottom.shape}; pass one value a perturbation"
        raise ValueError(msg)
    if better == "higher":
        made = (top - bottom) / (((1.0 if perfect is None else perfect) - bottom) + EPSILON)
    elif better == "lower":
        if perfect not in (None, 0.0):
            msg = f"perfect is {perfect}; where lower is better the fraction is defined for a best value of 0"
            raise ValueError(msg)
        made = (bottom - top) / (bottom + EPSILON)
    else:
        msg = f"better {better!r} is not known; pass 'higher' or 'lower'"
        raise ValueError(msg)
    return np.clip(made, -1.0, 1.0)


def dynamic_range(
    positive: Any, negative: Any, *, better: str | None = None, perfect: float | None = None, min_valid: int = MIN_VALID
) -> pd.DataFrame:
    """Summarise :func:`dynamic_range_fraction` metric by metric.

    Parameters
    ----------
    positive, negative
        Results of :func:`vcmetrics.score`, DataFrames perturbation × metric, Series, or arrays, as in
        :func:`calibrate`. Of results, the values per perturbation are taken; metrics without such values are left out.
    better, perfect
        As in :func:`dynamic_range_fraction`; of results the direction is known, and the best value from the registry.
    min_valid
        A metric with fewer defined perturbations has no summary.

    Returns
    -------
    DataFrame, index metric: ``mean`` and ``median`` over perturbations (NaN where dropped), ``n_valid``, ``n``,
    ``reason``.

    Examples
    --------
    >>> dynamic_range([0.9] * 10, [0.5] * 10, better="higher")[["median", "n_valid"]].round(3).values.tolist()
    [[0.8, 10.0]]
    """
    import pandas as pd

    top, bottom = aligned([side(positive, "positive"), side(negative, "negative")])
    rows = {}
    for metric in top.metrics:
        ways = better or top.better.get(metric)
        if ways == "none":
            continue
        if ways is None:
            msg = "better= is needed: pass 'higher' or 'lower'"
            raise ValueError(msg)
        pairs = [(top.columns(k, metric), bottom.columns(k, metric)) for k in range(len(top.parts))]
        if any(a is None or b is None for a, b in pairs):
            continue
        best = top.best.get(metric) if perfect is None else perfect
        if ways == "lower" and best not in (None, 0.0):
            continue
        found = np.concatenate([dynamic_range_fraction(a, b, better=ways, perfect=best) for a, b in pairs])
        valid = found[~np.isnan(found)]
        dropped = valid.size < min_valid
        reason = f"{valid.size} defined perturbations, fewer than {min_valid}" if dropped else ""
        middle = (np.nan, np.nan) if dropped else (float(valid.mean()), float(np.median(valid)))
        rows[metric] = (*middle, valid.size, found.size, reason)
    out = pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "median", "n_valid", "n", "reason"])
    out.index.name = "metric"
    return out


def saturation(baseline: Any, control: Any, duplicate: Any) -> Floats:
    """Share of the range from control to duplicate that a simple baseline reaches already.

    ``(M_baseline - M_control) / (M_duplicate - M_control)``, for every perturbation. Where it is near 1 (saturated) a
    model cannot show that it is better than the baseline; where it is near 0 it can.

    Parameters
    ----------
    baseline, control, duplicate
        (n,) values of one metric; of several baselines pass the best.

    Returns
    -------
    (n,), unit 1, unclipped; NaN where the duplicate is no better or worse than the control, or a value is undefined.

    Examples
    --------
    >>> saturation([0.5, 0.3, 0.1], [0.0, 0.1, 0.2], [1.0, 0.5, 0.2]).round(3).tolist()
    [0.5, 0.5, nan]
    """
    m, low, high = (filled(x) for x in (baseline, control, duplicate))
    span = high - low
    out = np.full(span.shape, np.nan)
    np.divide(m - low, span, out=out, where=span != 0)
    return out
