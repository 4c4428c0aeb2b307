"""``score_agg_metrics``: aggregates against those of a baseline."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics.compat.cell_eval.enums import MetricBestValue
from vcmetrics.compat.cell_eval.metrics import metrics_registry
from vcmetrics.compat.frames import frame, read_columns, write_csv
from vcmetrics.presets.policy import ScalePolicy
from vcmetrics.scoring.scale import cell_eval_scores

POLICIES = {
    MetricBestValue.ZERO: ScalePolicy("lower", anchor=0.0, low=0.0),
    MetricBestValue.ONE: ScalePolicy("higher", anchor=1.0, low=0.0),
}


def score_agg_metrics(
    results_user: Any,
    results_base: Any,
    output: str | os.PathLike[str] | None = None,
    comparison_statistic: str = "mean",
) -> Any:
    """Scores of a prediction on the scale from a baseline (0) to each metric's best value (1), floored at 0.

    Parameters
    ----------
    results_user, results_base
        Aggregates: the second frame of :meth:`MetricsEvaluator.compute`, or the path of its ``agg_results.csv``.
    output
        Write the table here.
    comparison_statistic
        Row of the aggregates that is compared.

    Returns
    -------
    Frame with the columns metric, from_baseline: errors first, then the others, then ``avg_score``.

    Raises
    ------
    DataError
        If the two tables have different columns or no such row, or a baseline is at its optimum, from where nothing
        can be measured (cell-eval divides by zero there).
    """
    user, base = read_columns(results_user), read_columns(results_base)
    if list(user) != list(base):
        odd = sorted(set(user) ^ set(base)) or ["their order differs"]
        msg = f"the two tables do not have the same columns ({', '.join(odd[:5])}); score both with one profile"
        raise DataError(msg)
    if "statistic" not in user:
        msg = "there is no column 'statistic'; pass the aggregates (agg_results.csv)"
        raise DataError(msg)
    values, baseline = (_row(table, comparison_statistic) for table in (user, base))
    policies = {}
    for name in values:
        info = metrics_registry.metrics.get(name)
        if info is not None and info.best_value in POLICIES:
            policies[name] = POLICIES[info.best_value]
    scores = cell_eval_scores(values, baseline, policies)
    overall = scores.overall if scores.overall is not None else math.nan
    made = {
        "metric": [*scores.scores, "avg_score"],
        "from_baseline": np.ma.array([*scores.scores.values(), overall], dtype=np.float64),
    }
    if output is not None:
        write_csv(made, output)
    return frame(made)


def _row(table: dict[str, Any], statistic: str) -> dict[str, float | None]:
    found = [k for k, name in enumerate(table["statistic"]) if name == statistic]
    if not found:
        msg = f"there is no row {statistic!r} (rows: {', '.join(map(str, table['statistic']))})"
        raise DataError(msg)
    out: dict[str, float | None] = {}
    for name, values in table.items():
        if name != "statistic":
            value = values[found[0]]
            out[name] = None if value is np.ma.masked else float(value)
    return out
