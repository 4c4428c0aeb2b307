"""Long tables of metrics and what is made of them: aggregates, wide aggregates, cohorts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics.compat.cell_eval2.rules import canonical
from vcmetrics.compat.frames import frame, read_columns
from vcmetrics.metrics import registry
from vcmetrics.metrics.aggregate import mean, ratio_of_sums, statistics
from vcmetrics.results.files import STATISTICS
from vcmetrics.results.score_result import ContextResult

Values = dict[str, dict[str, float | None]]  # metric → perturbation → value, None: null


def long_table(context: ContextResult) -> dict[str, Any]:
    """Columns perturbation, metric, value of one run; values that the rules leave out have no row."""
    labels: list[str] = []
    metrics: list[str] = []
    numbers: list[float] = []
    for metric, values in context.values.items():
        for label, value in zip(context.perturbations, values, strict=True):
            if value is not np.ma.masked:
                labels.append(label)
                metrics.append(metric)
                numbers.append(float(value))
    return {"perturbation": labels, "metric": metrics, "value": np.ma.array(numbers, dtype=np.float64)}


def by_metric(df: Any) -> Values:
    """The long table as nested mappings.

    Raises
    ------
    DataError
        If a column is missing, or a ratio of sums is listed as if it had a value per perturbation.
    """
    columns = read_columns(df)
    missing = [name for name in ("perturbation", "metric", "value") if name not in columns]
    if missing:
        msg = f"the table has no column {', '.join(missing)}; pass what compute_metrics returned"
        raise DataError(msg)
    out: Values = {}
    for label, metric, value in zip(columns["perturbation"], columns["metric"], columns["value"], strict=True):
        out.setdefault(str(metric), {})[str(label)] = None if value is np.ma.masked or value is None else float(value)
    derived = sorted(name for name in out if is_ratio(name))
    if derived:
        msg = f"{', '.join(derived)} is a ratio of sums and has no value per perturbation; leave its rows out"
        raise DataError(msg)
    return out


def is_ratio(name: str) -> bool:
    """Whether a metric is a ratio of sums."""
    try:
        return registry.get(name).aggregate == "ratio_of_sums"
    except ValueError:
        return False


def array(rows: dict[str, float | None]) -> Any:
    """Values as a masked array, masked where null."""
    values = list(rows.values())
    return np.ma.array(
        [math.nan if v is None else v for v in values], mask=[v is None for v in values], dtype=np.float64
    )


def ratio(values: Values, name: str, *, required: bool) -> float | None:
    """A ratio of sums; None where its components are not there.

    Raises
    ------
    DataError
        If it was asked for and cannot be formed, or its denominator is not positive.
    """
    spec = registry.get(name)
    assert spec.numerator is not None
    assert spec.denominator is not None
    parts = [values.get(part) for part in (spec.numerator, spec.denominator)]
    top, bottom = parts
    if top is None or bottom is None:
        if required:
            msg = f"{name} needs {spec.numerator} and {spec.denominator}, which the table lacks"
            raise DataError(msg)
        return None
    if set(top) != set(bottom):
        odd = sorted(set(top) ^ set(bottom))
        msg = f"{name}: its two components list different perturbations ({', '.join(odd[:5])})"
        raise DataError(msg)
    value, reason = ratio_of_sums(array(top), array({label: bottom[label] for label in top}))
    if reason is not None:
        msg = f"{name} is undefined: {reason}"
        raise DataError(msg)
    return value


def ratios_of(values: Values, metrics: Sequence[str] | None) -> list[str]:
    """Ratios to report: those selected, or without a selection those whose components are there."""
    if metrics is not None:
        return [name for name in dict.fromkeys(map(canonical, metrics)) if is_ratio(name)]
    every = [spec for spec in registry.rows() if spec.aggregate == "ratio_of_sums"]
    return [spec.name for spec in every if spec.numerator in values and spec.denominator in values]


def aggregate_metrics(df: Any, *, metrics: Sequence[str] | None = None) -> Any:
    """One value a metric over the perturbations, undefined ones skipped.

    Parameters
    ----------
    df
        Long table: perturbation, metric, value.
    metrics
        The metrics that were selected; a ratio of sums is reported where it is among them (None: where it can be).

    Returns
    -------
    Frame with the columns metric, mean, agg, sorted by metric.
    """
    values = by_metric(df)
    rows = {name: (mean(array(rows)), "mean") for name, rows in values.items()}
    for name in ratios_of(values, metrics):
        value = ratio(values, name, required=metrics is not None)
        if value is not None:
            rows[name] = (value, "ratio_of_sums")
    names = sorted(rows)
    return frame(
        {
            "metric": names,
            "mean": np.ma.array([rows[n][0] for n in names], dtype=np.float64),
            "agg": [rows[n][1] for n in names],
        }
    )


def wide_names(values: Values, metrics: Sequence[str] | None, what: str) -> list[str]:
    """Metrics of a wide aggregate, sorted: those seen, those expected, and the ratios.

    Raises
    ------
    DataError
        If there is none.
    """
    names = sorted({*values, *(metrics or []), *ratios_of(values, metrics)})
    if not names:
        msg = f"{what}: the table is empty and metrics= names nothing; there is nothing to aggregate"
        raise DataError(msg)
    return names


def wide_table(values: Values, metrics: Sequence[str] | None) -> dict[str, Any]:
    """Statistic × metric; expected metrics without a row are NaN."""
    out: dict[str, Any] = {"statistic": list(STATISTICS)}
    for name in wide_names(values, metrics, "aggregate_metrics_wide"):
        row = dict.fromkeys(STATISTICS, math.nan)
        if is_ratio(name):
            value = ratio(values, canonical(name), required=metrics is not None)
            row["mean"] = math.nan if value is None else value
        else:
            given = array(values.get(name, {}))
            row = statistics(given)
            row["count"], row["null_count"] = float(given.size), float(np.ma.getmaskarray(given).sum())
        out[name] = np.ma.array([row[key] for key in STATISTICS])
    return out


def aggregate_metrics_wide(df: Any, *, metrics: Sequence[str] | None = None) -> Any:
    """Count, null_count, mean, std, min, max and median of every metric, undefined values skipped.

    Parameters and order of the columns as in :func:`aggregate_metrics`; a ratio of sums has only its mean. This is what
    :func:`score_metrics` reads.
    """
    return frame(wide_table(by_metric(df), metrics))


def cohorts(values: Values, metrics: Sequence[str] | None) -> dict[str, Any]:
    """How many perturbations each aggregate is taken over."""
    names = wide_names(values, metrics, "metric_cohorts")
    columns: dict[str, list[Any]] = {k: [] for k in ("metric", "agg", "n_used", "n_rows", "n_nan", "n_null", "derived")}
    for name in names:
        given = array({} if is_ratio(name) else values.get(name, {}))
        rows = np.ma.compressed(given)
        n_nan = int(np.isnan(rows).sum())
        row = (name, "ratio_of_sums" if is_ratio(name) else "mean", rows.size - n_nan, given.size, n_nan)
        for key, value in zip(columns, (*row, given.size - rows.size, str(is_ratio(name)).lower()), strict=True):
            columns[key].append(value)
    return columns
