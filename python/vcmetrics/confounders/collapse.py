"""Are predictions more alike than what they predict?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vcmetrics.confounders.covariates import Floats, median, norms, pairwise_cosines
from vcmetrics.summary.profile_rows import matched, read_profiles

if TYPE_CHECKING:
    import pandas as pd


def collapse(
    pred: Any,
    real: Any,
    *,
    pert_col: str | None = None,
    control: str | None = "non-targeting",
    space: str = "log_of_sums",
    target_sum: float = 5e4,
    layer: str | None = None,
    n_threads: int | None = None,
) -> pd.DataFrame:
    """Spread of the predicted effects beside that of the observed ones.

    Parameters
    ----------
    pred, real
        AnnData or paths of cells, or DataFrames of profiles (with the control's row); the same perturbations and genes.
    pert_col, control, space, target_sum, layer, n_threads
        As in :func:`vcmetrics.effect_correlation`; with ``control=None`` tables are effects already. Both sides are
        taken against the observed control.

    Returns
    -------
    DataFrame, index measure, columns ``pred``, ``real``, ``ratio`` (pred / real):

        * ``mean_pairwise_cosine`` of effects: 1 where all predictions point the same way;
        * ``dispersion``: median over genes of the standard deviation over perturbations; ``ratio`` is the median of the
          genes' ratios (1 right, 0 collapsed), over genes that vary in the truth;
        * ``effective_rank``: exp of the entropy of the normalised singular values of the effects, 1 for one direction;
        * ``median_norm`` of the effects.

    Raises
    ------
    DataError
        If the sides do not fit together.

    References
    ----------
    Roy & Vetterli 2007 (effective rank); Ahlmann-Eltze, Huber & Anders (dispersion).

    Examples
    --------
    >>> import pandas as pd
    >>> real = pd.DataFrame(np.eye(3), index=list("abc"))
    >>> collapse(0 * real + 1.0, real, control=None).loc["effective_rank"].round(3).tolist()
    [1.0, 3.0, 0.333]
    """
    import pandas as pd

    how: dict[str, Any] = {
        "pert_col": pert_col, "control": control, "space": space, "target_sum": target_sum, "layer": layer,
        "n_threads": n_threads,
    }  # fmt: skip
    _, *effects = effects_of(pred, real, how)
    spread = [e.std(axis=0) for e in effects]
    varies = spread[1] > 0
    rows: dict[str, list[float]] = {
        "mean_pairwise_cosine": [mean(pairwise_cosines(e)) for e in effects],
        "dispersion": [median(s) for s in spread],
        "effective_rank": [effective_rank(e) for e in effects],
        "median_norm": [median(norms(e)) for e in effects],
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["pred", "real"])
    table["ratio"] = table["pred"] / table["real"]
    table.loc["dispersion", "ratio"] = median(spread[0][varies] / spread[1][varies])
    table.index.name = "measure"
    return table


def magnitudes(
    pred: Any,
    real: Any,
    *,
    pert_col: str | None = None,
    control: str | None = "non-targeting",
    space: str = "log_of_sums",
    target_sum: float = 5e4,
    layer: str | None = None,
    n_threads: int | None = None,
) -> pd.DataFrame:
    """Size of every predicted effect beside that of the observed one.

    Parameters
    ----------
    pred, real, pert_col, control, space, target_sum, layer, n_threads
        As in :func:`collapse`.

    Returns
    -------
    DataFrame, index perturbation: ``pred``, ``real`` (norms of the effects against the observed control),
    ``log_ratio`` (natural log of pred / real, NaN where either is 0). ``attrs``: ``spearman`` of the norms over
    perturbations, ``slope`` of log pred on log real (1: strong effects are predicted as strong; 0: all alike),
    ``median_log_ratio`` (below 0: shrunk).

    Examples
    --------
    >>> import pandas as pd
    >>> real = pd.DataFrame([[1.0, 0.0], [0.0, 4.0], [2.0, 0.0]], index=list("abc"))
    >>> table = magnitudes(0.5 * real, real, control=None)
    >>> round(table.attrs["slope"], 6), round(table.attrs["median_log_ratio"], 4)
    (1.0, -0.6931)
    """
    import pandas as pd
    from scipy.stats import spearmanr

    how: dict[str, Any] = {
        "pert_col": pert_col, "control": control, "space": space, "target_sum": target_sum, "layer": layer,
        "n_threads": n_threads,
    }  # fmt: skip
    labels, made, truth = effects_of(pred, real, how)
    size = norms(made), norms(truth)
    usable = (size[0] > 0) & (size[1] > 0)
    logs = [np.log(np.where(usable, s, 1.0)) for s in size]
    ratio = np.where(usable, logs[0] - logs[1], np.nan)
    table = pd.DataFrame({"pred": size[0], "real": size[1], "log_ratio": ratio}, index=labels)
    table.index.name = "perturbation"
    varies = usable.sum() > 2 and min(np.ptp(x[usable]) for x in logs) > 0
    table.attrs["spearman"] = float(spearmanr(*size).statistic) if varies else float("nan")
    table.attrs["slope"] = float(np.polyfit(logs[1][usable], logs[0][usable], 1)[0]) if varies else float("nan")
    table.attrs["median_log_ratio"] = median(ratio)
    return table


def effects_of(pred: Any, real: Any, how: dict[str, Any]) -> tuple[list[str], Floats, Floats]:
    """Labels, predicted and observed effects, both against the observed control."""
    truth = read_profiles(real, name="real", observed=True, **how)
    made = matched(read_profiles(pred, name="pred", **how), truth)
    base = 0.0 if truth.control is None else truth.control
    found = [np.asarray(side.table, np.float64) - base for side in (made, truth)]
    return list(truth.labels), found[0], found[1]


def mean(values: Floats) -> float:
    """Mean; NaN where there is nothing."""
    return float(values.mean()) if values.size else float("nan")


def effective_rank(rows: Floats) -> float:
    """Exponential of the entropy of the singular values' shares; NaN where all are zero.

    Examples
    --------
    >>> round(effective_rank(np.eye(4)), 6)
    4.0
    """
    size = np.linalg.svd(rows, compute_uv=False)
    total = size.sum()
    if total == 0:
        return float("nan")
    share = size[size > 0] / total
    return float(np.exp(-(share * np.log(share)).sum()))
