"""Does a metric tell replicates, and related perturbations, from the others?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.calibration.sides import Floats
from vcmetrics.metrics.roc import roc_area
from vcmetrics.retrieval.ranks import ranks_of

if TYPE_CHECKING:
    import pandas as pd


def metric_audit(
    first: Any,
    second: Any = None,
    *,
    metric: str | Callable[[Any, Any], float] = "cosine",
    classes: Sequence[Any] | None = None,
    n_threads: int | None = None,
) -> pd.Series[float]:
    """Judge a distance by what it does to true profiles, without any model.

    Parameters
    ----------
    first, second
        Profiles (or effects) of the same perturbations in two replicates, (n, n_genes) each, rows in one order or
        DataFrames with labels. With ``second=None``, ``first`` is a table of distances (n, n): replicate one of row i
        to replicate two of row j.
    metric
        A distance of :func:`vcmetrics.arrays.cdist`, or a function of two profiles; smaller is more alike.
    classes
        Complex or pathway of every perturbation, None where it has none.
    n_threads
        Threads.

    Returns
    -------
    Series: ``replicate_auroc``, how probably a perturbation's replicate is nearer than another perturbation;
    ``class_auroc``, the same for two perturbations of one class against two of different classes (NaN without
    classes); ``replicate_rank``, the mean score of the replicate's rank among all (1 best, 0.5 chance); ``n``,
    ``n_class_pairs``. Ties count half.

    Raises
    ------
    DataError
        If the tables do not fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(size=(20, 30))
    >>> metric_audit(truth, truth + 0.1 * rng.normal(size=(20, 30)))[["replicate_auroc", "replicate_rank"]].tolist()
    [1.0, 1.0]
    """
    import pandas as pd

    table = np.asarray(first, np.float64) if second is None else distances(first, second, metric, n_threads)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or table.shape[0] < 2:
        msg = f"the distances have shape {table.shape}; two replicates of the same two or more perturbations are needed"
        raise DataError(msg)
    n = len(table)
    own = np.eye(n, dtype=bool)
    found = {"replicate_auroc": nearer(table[own], table[~own]), "class_auroc": np.nan}
    pairs = 0
    if classes is not None:
        names = np.array([None if c is None or c != c else str(c) for c in classes], object)
        if names.size != n:
            msg = f"classes has {names.size} entries for {n} perturbations; pass one each, None where there is none"
            raise DataError(msg)
        known = names != None  # noqa: E711
        both = known[:, None] & known[None] & ~own
        alike = both & (names[:, None] == names[None])
        pairs = int(alike.sum())
        found["class_auroc"] = nearer(table[alike], table[both & ~alike])
    rank = ranks_of(table, np.arange(n), "mid")
    found["replicate_rank"] = float((1.0 - rank / (n - 1)).mean())
    return pd.Series({**found, "n": float(n), "n_class_pairs": float(pairs)})


def distances(
    first: Any, second: Any, metric: str | Callable[[Any, Any], float], n_threads: int | None
) -> NDArray[np.float64]:
    """(n, n) distances of the rows of two tables."""
    if hasattr(first, "index") and hasattr(second, "index"):
        if set(first.index) != set(second.index) or set(first.columns) != set(second.columns):
            msg = "the replicates differ in perturbations or genes; give both the same"
            raise DataError(msg)
        second = second.loc[first.index, first.columns]
    x, y = (np.asarray(t, np.float64) for t in (first, second))
    if x.shape != y.shape:
        msg = f"the replicates have shapes {x.shape} and {y.shape}; give both the same perturbations and genes"
        raise DataError(msg)
    if callable(metric):
        return np.array([[float(metric(a, b)) for b in y] for a in x])
    from vcmetrics.arrays import cdist

    return cdist(x, y, metric, n_threads=n_threads)


def nearer(some: Floats, others: Floats) -> float:
    """Probability that one of ``some`` is smaller than one of ``others``, ties half; NaN where either is empty."""
    return roc_area(np.arange(some.size + others.size) < some.size, -np.concatenate([some, others]))
