"""Does a score follow a covariate? Rank correlations over perturbations, and scores without it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics.metrics.aggregate import Parts
from vcmetrics.metrics.resample import check_level, percentile_interval, resample_counts
from vcmetrics.results.score_result import ScoreResult
from vcmetrics.scoring.interval import replicates
from vcmetrics.sources.genes import some

if TYPE_CHECKING:
    import pandas as pd

FEW = 20  # perturbations whose orders are so few that they bound a p-value


def correlations(
    covariates: pd.DataFrame, scores: Any, *, ci: float = 0.95, n_resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Spearman correlation of every covariate with every score, over perturbations.

    Parameters
    ----------
    covariates
        Table of :func:`covariates`, or any perturbation × quantity.
    scores
        ScoreResult, DataFrame perturbation × metric, or Series, over the same perturbations.
    ci, n_resamples, seed
        Interval by a bootstrap over perturbations, the same draws for all pairs.

    Returns
    -------
    DataFrame, index (metric, covariate): ``spearman`` in [-1, 1], ``lower``, ``upper``, ``p_value`` (two-sided,
    Student's t approximation, never below the 2 / n! that the orders of n perturbations allow), ``n`` perturbations
    with both; NaN where one of them does not vary or n < 3.

    Raises
    ------
    DataError
        If the perturbations differ.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"n_cells": [10, 20, 30, 40]}, index=list("abcd"))
    >>> correlations(table, pd.Series([0.1, 0.2, 0.4, 0.3], index=list("abcd"))).round(2)["spearman"].tolist()
    [0.8]
    """
    import pandas as pd

    level = check_level(ci)
    known, judged = matched(covariates, scores)
    counts = resample_counts(len(known), n_resamples, seed)
    rows = {}
    for metric in judged.columns:
        for name in known.columns:
            pair = known[name].to_numpy(np.float64), judged[metric].to_numpy(np.float64)
            rows[metric, name] = _spearman(*pair, counts, level)
    out = pd.DataFrame.from_dict(rows, orient="index", columns=["spearman", "lower", "upper", "p_value", "n"])
    out.index = pd.MultiIndex.from_tuples(list(rows), names=["metric", "covariate"])
    return out


def _spearman(x: Any, y: Any, counts: Any, level: float) -> tuple[float, float, float, float, int]:
    from scipy.stats import spearmanr

    used = np.isfinite(x) & np.isfinite(y)
    n = int(used.sum())
    if n < 3 or np.ptp(x[used]) == 0 or np.ptp(y[used]) == 0:
        return np.nan, np.nan, np.nan, np.nan, n
    found = spearmanr(x[used], y[used])
    drawn = replicates({"s": Parts("spearman", (x, y))}, counts)["s"]
    low, high = percentile_interval(drawn[:, None], level)
    # the approximation says 0 for a perfect order, of three perturbations as of thirty
    p = max(float(found.pvalue), 2.0 / math.factorial(n)) if n < FEW else float(found.pvalue)
    return float(found.statistic), float(low[0]), float(high[0]), p, n


def matched(covariates: pd.DataFrame, scores: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables over the same perturbations, in the order of the first.

    Raises
    ------
    DataError
        If the perturbations differ.
    """
    table = scores.per_perturbation if isinstance(scores, ScoreResult) else scores
    if not hasattr(table, "columns"):
        table = table.to_frame("score")
    odd = set(covariates.index) ^ set(table.index)
    if odd:
        msg = f"covariates and scores are of different perturbations ({some(sorted(map(str, odd)))}); use the same data"
        raise DataError(msg)
    return covariates, table.loc[covariates.index]


def adjusted_scores(
    covariates: pd.DataFrame, scores: Any, names: Sequence[str] = ("n_cells",), *, log: bool = True
) -> pd.DataFrame:
    """Scores with their linear dependence on covariates taken out, perturbation by perturbation.

    Parameters
    ----------
    covariates, scores
        As in :func:`correlations`.
    names
        Covariates to regress out, together, with an intercept.
    log
        Take their logarithms first; those that have values ≤ 0 stay as they are.

    Returns
    -------
    DataFrame perturbation × metric: residual plus the metric's mean, NaN where a value is undefined;
    ``attrs["r2"]``: metric → share of the variance that the covariates explain.

    Notes
    -----
    The mean over perturbations does not change, by construction: what changes is which perturbations are good. Two
    models are compared on the adjusted scores by their spread and order.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"n_cells": [1.0, 10.0, 100.0]}, index=list("abc"))
    >>> made = adjusted_scores(table, pd.Series([1.0, 2.0, 3.0], index=list("abc")))
    >>> made["score"].round(6).tolist(), round(made.attrs["r2"]["score"], 6)
    ([2.0, 2.0, 2.0], 1.0)
    """
    import pandas as pd

    known, judged = matched(covariates, scores)
    unknown = [name for name in names if name not in known.columns]
    if unknown:
        msg = f"{unknown[0]!r} is not among the covariates ({some(list(known.columns), 12)})"
        raise ValueError(msg)
    x = known[list(names)].to_numpy(np.float64)
    if log:
        x = np.where((x > 0).all(axis=0), np.log(np.where(x > 0, x, 1.0)), x)
    out, shares = {}, {}
    for metric in judged.columns:
        y = judged[metric].to_numpy(np.float64)
        used = np.isfinite(y) & np.isfinite(x).all(axis=1)
        design = np.column_stack([np.ones(int(used.sum())), x[used] - x[used].mean(axis=0)])
        values, share = np.full(y.size, np.nan), np.nan
        if used.sum() > design.shape[1]:
            weights, *_ = np.linalg.lstsq(design, y[used], rcond=None)
            left = y[used] - design @ weights
            values[used] = left + y[used].mean()
            total = float(((y[used] - y[used].mean()) ** 2).sum())
            share = 1.0 - float((left**2).sum()) / total if total else np.nan
        out[metric], shares[metric] = values, share
    made = pd.DataFrame(out, index=known.index)
    made.attrs["r2"] = shares
    return made


def stratified_scores(
    covariates: pd.DataFrame, scores: Any, name: str = "effect_norm", *, n_strata: int = 10
) -> pd.DataFrame:
    """Scores stratum by stratum of a covariate: are only the strong effects predicted?

    Parameters
    ----------
    covariates, scores
        As in :func:`correlations`.
    name
        Covariate; perturbations without a value of it are left out.
    n_strata
        Strata of as equal numbers of perturbations as can be (10: deciles), in ascending order of the covariate; of
        equal values the first rows come first. At most one a perturbation.

    Returns
    -------
    DataFrame, index stratum (1 is lowest): ``lowest`` and ``highest`` value of the covariate, ``n`` perturbations, and
    for every metric the mean of its defined values, in the metric's unit; NaN where there is none.

    Raises
    ------
    DataError
        If the perturbations differ, or none has the covariate.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"effect_norm": [3.0, 1.0, 2.0, 4.0]}, index=list("abcd"))
    >>> stratified_scores(table, pd.Series([0.3, 0.1, 0.2, 0.5], index=list("abcd")), n_strata=2)["score"].tolist()
    [0.15000000000000002, 0.4]
    """
    import pandas as pd

    known, judged = matched(covariates, scores)
    if name not in known.columns:
        msg = f"{name!r} is not among the covariates ({some(list(known.columns), 12)})"
        raise ValueError(msg)
    if int(n_strata) != n_strata or n_strata < 1:
        msg = f"n_strata is {n_strata!r}; pass a positive whole number"
        raise ValueError(msg)
    x = known[name].to_numpy(np.float64)
    order = np.argsort(x, kind="stable")
    order = order[np.isfinite(x[order])]
    if not order.size:
        msg = f"no perturbation has a value of {name!r}; take another covariate"
        raise DataError(msg)
    rows = []
    for part in np.array_split(order, min(int(n_strata), order.size)):
        ends = {"lowest": float(x[part[0]]), "highest": float(x[part[-1]]), "n": int(part.size)}
        rows.append(ends | judged.iloc[part].mean().to_dict())
    return pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="stratum"))
