"""Where a value lies between a baseline and its best: raw aggregates become scores."""

from __future__ import annotations

import csv
import math
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError, VcmetricsWarning
from vcmetrics.presets.policy import ScalePolicy

Values = NDArray[np.float64]

_CAP = 6.0  # the worst that an error's penalty can reach
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Scores:
    """Scores of several metrics on one scale.

    ``scores`` is in the scale's own order, NaN where a score is undefined; ``reasons`` says why. ``overall`` is the
    plain mean, None where a score is undefined. ``left_out`` are metrics that this scale cannot judge.
    """

    column: str
    scores: Mapping[str, float]
    overall: float | None
    reasons: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FixedScale:
    """Constant reference points: ``base`` scores 0, the policy's anchor scores 1."""

    base: float
    policy: ScalePolicy


def _fixed(direction: str, base: float, low: float) -> FixedScale:
    if direction == "lower":
        return FixedScale(base, ScalePolicy("lower", anchor=0.0, low=low, high=1.0))
    return FixedScale(base, ScalePolicy("higher", anchor=1.0, low=low, high=1.0))


FIXED_SCALES: Mapping[str, Mapping[str, FixedScale]] = MappingProxyType(
    {
        "low-random_high-1_v10": MappingProxyType(
            {
                "expr_mse_unbiased_capped_norm": _fixed("lower", 1.0, -6.0),
                "de_wilcoxon_lfc_nmae": _fixed("lower", 1.0, -1.0),
                "pds_cosine": _fixed("higher", 0.5, -1.0),
                "de_wilcoxon_direction_fidelity_yield_raw": _fixed("higher", 0.5, -1.0),
                "de_wilcoxon_direction_reach_raw": _fixed("higher", 0.0, 0.0),
                "de_wilcoxon_sig_jaccard": _fixed("higher", 0.0, 0.0),
            }
        )
    }
)


def span(base: float, policy: ScalePolicy) -> float:
    """Distance from the baseline to the anchor, positive where the scale is usable."""
    if policy.anchor is None:
        return abs(base) if policy.absolute else base
    return policy.anchor - base if policy.direction == "higher" else base - policy.anchor


def degenerate(base: float | None, policy: ScalePolicy) -> str | None:
    """Why nothing can be measured from this baseline; None where it can."""
    if base is None or not math.isfinite(base):
        return f"the baseline is {base if base is None else format(base, 'g')}"
    distance = span(base, policy)
    if not math.isfinite(distance) or distance <= 0.0:
        best = "" if policy.anchor is None else f", which is not on the worse side of {policy.anchor:.6g}"
        return f"the baseline is {base:.6g}{best}"
    if policy.missing is not None and policy.anchor is not None and policy.anchor <= policy.missing:
        return f"1 would lie at {policy.anchor:.6g}, where a missing value lies"
    if policy.low is None and policy.missing is not None and not math.isfinite(_raw(policy.missing, base, policy)):
        return f"the baseline {base:.6g} lies too close to {policy.anchor:.6g}"
    return None


def _raw(value: float, base: float, policy: ScalePolicy) -> float:
    """Score before clamping. The two anchored forms are written as their sources evaluate them."""
    if policy.anchor is None:
        gap = value - base if policy.direction == "higher" else base - value
        return gap / span(base, policy)
    if policy.direction == "higher":
        return (value - base) / (policy.anchor - base)
    ratio = (value - policy.anchor) / (base - policy.anchor)
    if ratio <= 1.0 or not policy.boxcox:
        return 1.0 - ratio
    return max(-_CAP, -(ratio * ratio - 1.0) / 2.0)


def score_one(value: float | None, base: float, policy: ScalePolicy) -> float:
    """Score of one metric.

    Parameters
    ----------
    value
        Aggregate of the prediction; None and non-finite values count as the worst: the low clamp, or where that is
        open, what ``policy.missing`` scores.
    base
        Aggregate of the baseline, not degenerate.
    policy
        Direction, anchor, penalty, clamps.

    Returns
    -------
    0 at the baseline, 1 at the anchor, higher is better, unit 1, within the policy's clamps.

    Examples
    --------
    >>> score_one(0.75, 0.5, ScalePolicy("higher", anchor=1.0, low=0.0))
    0.5
    >>> score_one(2.0, 1.0, ScalePolicy("lower", anchor=0.0, boxcox=True, low=-6.0))
    -1.5
    """
    score = math.nan
    if value is not None and math.isfinite(value):
        score = _raw(value, base, policy)
    if not math.isfinite(score):
        if policy.low is not None:
            return policy.low
        score = _raw(0.0 if policy.missing is None else policy.missing, base, policy)
    # the bound is returned on equality, so no -0.0 survives
    if policy.low is not None and score <= policy.low:
        return policy.low
    return policy.high if policy.high is not None and score >= policy.high else score


def score_many(values: Values, base: float, policy: ScalePolicy) -> Values:
    """:func:`score_one` of every value of an array.

    Examples
    --------
    >>> score_many(np.array([0.5, 0.75, np.nan]), 0.5, ScalePolicy("higher", anchor=1.0, low=0.0)).tolist()
    [0.0, 0.5, 0.0]
    """
    values = np.asarray(values, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        if policy.anchor is None:
            gap = values - base if policy.direction == "higher" else base - values
            raw = gap / span(base, policy)
        elif policy.direction == "higher":
            raw = (values - base) / (policy.anchor - base)
        else:
            ratio = (values - policy.anchor) / (base - policy.anchor)
            raw = 1.0 - ratio
            if policy.boxcox:
                raw = np.where(ratio > 1.0, np.maximum(-_CAP, -(ratio * ratio - 1.0) / 2.0), raw)
    lost = ~np.isfinite(values) | ~np.isfinite(raw)
    if policy.low is not None:
        worst = policy.low
    else:
        worst = _raw(0.0 if policy.missing is None else policy.missing, base, policy)
    return np.clip(np.where(lost, worst, raw), policy.low, policy.high)


def from_baseline(
    values: Mapping[str, float | None],
    baseline: Mapping[str, float | None],
    policies: Mapping[str, ScalePolicy],
    *,
    gated: Collection[str] = (),
    undefined: Mapping[str, str] = _NONE,
    strict: bool = True,
) -> Scores:
    """Scores against a baseline, with each metric's ideal value as 1.

    Parameters
    ----------
    values, baseline
        Aggregates by metric (registry names). Metrics without a policy are skipped.
    policies
        How each metric is scaled.
    gated
        Metrics whose undefined aggregate says that the reference admits no perturbation: they are left out where
        both sides say so, and on one side only that is an error.
    undefined
        Metrics whose value is undefined for a reason to be told: the score is NaN and there is no overall.
    strict
        A baseline that cannot be divided by is an error for decisive metrics; False: NaN with the reason.

    Returns
    -------
    Errors alphabetically first, then the others.

    Raises
    ------
    DataError
        If a metric's baseline is missing or degenerate, or nothing is left to score.
    """
    return _collect("from_baseline", values, baseline, policies, gated, undefined, strict)


def from_replicate(
    values: Mapping[str, float | None],
    baseline: Mapping[str, float | None],
    replicate: Mapping[str, float | None],
    policies: Mapping[str, ScalePolicy],
    *,
    gated: Collection[str] = (),
    undefined: Mapping[str, str] = _NONE,
    strict: bool = True,
) -> Scores:
    """Scores between a baseline (0) and a split-half replicate of the reference (1): the competition's score.

    Parameters are those of :func:`from_baseline`; ``replicate`` holds the anchors. Metrics that the anchors do not
    name are not scored.

    Examples
    --------
    >>> policy = {"pds_cosine": ScalePolicy("higher", anchor=1.0, missing=0.0)}
    >>> from_replicate({"pds_cosine": 0.8}, {"pds_cosine": 0.5}, {"pds_cosine": 0.9}, policy).overall
    0.7500000000000001
    """
    moved: dict[str, ScalePolicy] = {}
    unusable = dict(undefined)
    for name, anchor in replicate.items():
        policy = policies.get(name)
        if policy is None:
            continue
        usable = anchor is not None and math.isfinite(anchor)
        if not usable and name not in undefined and name not in gated:
            reason = f"the replicate is {anchor}"
            if strict and policy.decisive:
                msg = f"metric {name!r} has no usable replicate scale: {reason}; rebuild the anchors"
                raise DataError(msg)
            unusable[name] = reason
        moved[name] = replace(policy, anchor=anchor if usable else policy.anchor, absolute=False)
    missing = sorted(name for name in moved if name not in values)
    if missing:
        msg = f"the replicate anchors name {', '.join(missing)}, which the results lack; score the anchors' own profile"
        raise DataError(msg)
    return _collect("from_replicate", values, baseline, moved, gated, unusable, strict)


def on_fixed_scale(values: Mapping[str, float | None], name: str, *, undefined: Mapping[str, str] = _NONE) -> Scores:
    """Scores between constant reference points, in the scale's own order.

    Raises
    ------
    DataError
        If there is no such scale or the values lack one of its metrics.
    """
    scale = FIXED_SCALES.get(name)
    if scale is None:
        msg = f"there is no fixed scale {name!r}; choose from {', '.join(FIXED_SCALES)}"
        raise DataError(msg)
    missing = [metric for metric in scale if metric not in values]
    if missing:
        msg = f"scale {name!r} needs {', '.join(missing)}, which the results lack; score profile vcc2026"
        raise DataError(msg)
    scores = {
        metric: math.nan if metric in undefined else score_one(values[metric], entry.base, entry.policy)
        for metric, entry in scale.items()
    }
    return Scores(name, scores, _mean(scores), {m: undefined[m] for m in scale if m in undefined})


def from_reference(value: float | None, reference: float) -> float | None:
    """lfc_nmae on the scale whose 1 is a replicate's own value: (1 - value) / (1 - reference).

    A ``reference`` of 1 or more carries no signal; 1 - value is returned then. None for an undefined value.
    """
    if not math.isfinite(reference) or reference < 0.0:
        msg = f"the lfc_nmae reference is {reference}; it is a mean of non-negative ratios"
        raise DataError(msg)
    if value is None or not math.isfinite(value):
        return None
    return 1.0 - value if reference >= 1.0 else (1.0 - value) / (1.0 - reference)


def cell_eval_scores(
    values: Mapping[str, float | None], baseline: Mapping[str, float | None], policies: Mapping[str, ScalePolicy]
) -> Scores:
    """Scores as cell-eval computes them: floored at 0, undefined ones count as 0.

    Errors first, then the others, each in the order of ``values``.

    Raises
    ------
    DataError
        If the two sides hold different metrics, or a baseline is at its optimum (cell-eval divides by zero there).
    """
    if set(values) != set(baseline):
        odd = sorted(set(values) ^ set(baseline))
        msg = f"results and baseline hold different metrics ({', '.join(odd[:5])}); score both with one profile"
        raise DataError(msg)
    scores: dict[str, float] = {}
    for direction in ("lower", "higher"):
        for name, value in values.items():
            policy = policies.get(name)
            if policy is None or policy.direction != direction:
                continue
            base = baseline[name]
            if base is not None and base == policy.anchor:
                msg = f"the baseline of {name!r} is at its optimum {base:g}; nothing can be measured from there"
                raise DataError(msg)
            score = math.nan if value is None or base is None else _raw(value, base, policy)
            scores[name] = score if score > 0.0 else 0.0
    return Scores("from_baseline", scores, _mean(scores))


def read_aggregate(path: str | Path, statistic: str = "mean") -> dict[str, float | None]:
    """One row of an ``agg_results.csv``: aggregates by the names in the file; None where the cell is empty.

    Raises
    ------
    DataError
        If the file cannot be read or has no such row.
    """
    try:
        with open(path, newline="", encoding="utf-8") as handle:
            table = list(csv.reader(handle))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read {path}: {error}"
        raise DataError(msg) from None
    if not table or table[0][:1] != ["statistic"]:
        msg = f"{path} is not an aggregate table: its first column is not 'statistic'"
        raise DataError(msg)
    rows = [row for row in table[1:] if row and row[0] == statistic]
    if len(rows) != 1 or len(rows[0]) != len(table[0]):
        msg = f"{path} must have exactly one row {statistic!r} as wide as its header; it has {len(rows)}"
        raise DataError(msg)
    try:
        return {name: float(text) if text else None for name, text in zip(table[0][1:], rows[0][1:], strict=True)}
    except ValueError as error:
        msg = f"{path}, row {statistic!r}: {error}"
        raise DataError(msg) from None


def _collect(
    column: str,
    values: Mapping[str, float | None],
    baseline: Mapping[str, float | None],
    policies: Mapping[str, ScalePolicy],
    gated: Collection[str],
    undefined: Mapping[str, str],
    strict: bool,
) -> Scores:
    scores: dict[str, float] = {}
    reasons: dict[str, str] = {}
    left_out: dict[str, str] = {}
    names = [name for name in values if name in policies]
    for name in sorted(names, key=lambda n: (policies[n].direction != "lower", n)):
        policy, base = policies[name], baseline.get(name)
        if name in gated and name not in undefined:
            empty = [x is None or not math.isfinite(x) for x in (values[name], base)]
            if all(empty):
                left_out[name] = "the reference admits no perturbation"
                continue
            if any(empty):
                side = "results" if empty[0] else "baseline"
                msg = (
                    f"metric {name!r} is undefined in the {side} alone: they belong to different references or settings"
                )
                raise DataError(msg)
        if name in undefined:
            scores[name], reasons[name] = math.nan, undefined[name]
            continue
        problem = degenerate(base, policy)
        if problem is None:
            assert base is not None
            scores[name] = score_one(values[name], base, policy)
        elif not strict:
            scores[name], reasons[name] = math.nan, problem
        elif policy.decisive:
            msg = f"metric {name!r} cannot be scored: {problem}; rebuild the baseline"
            raise DataError(msg)
        else:
            left_out[name] = problem
    if left_out:
        what = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        warnings.warn(f"left out of the overall score: {what}", VcmetricsWarning, stacklevel=3)
    if not scores:
        msg = "nothing is left to score: " + ("no metric is scored" if not left_out else "see the metrics left out")
        raise DataError(msg)
    return Scores(column, scores, _mean(scores), reasons, left_out)


def _mean(scores: Mapping[str, float]) -> float | None:
    total = math.fsum(scores.values())
    return None if math.isnan(total) else total / len(scores)
