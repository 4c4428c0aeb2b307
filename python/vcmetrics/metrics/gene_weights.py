"""Weights of genes from t scores of the observed cells: what tells a perturbation from the others counts most."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.gene_choice import gene_choice
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.t_statistics import t_statistics

Table = NDArray[np.float64]
Weights = Literal["t_rest", "t_control", "uniform"]
Flat = Literal["by_score", "uniform", "nan"]

WEIGHTS = ("t_rest", "t_control", "uniform")
FLAT = ("by_score", "uniform", "nan")


def gene_weights(
    pair: Pair,
    weights: Weights = "t_rest",
    flat: Flat = "by_score",
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> list[Table]:
    """Weights of every perturbation's genes, in [0, 1].

    ``((|s| - min |s|) / (max |s| - min |s|))²`` over the perturbation's genes, s its t scores.

    Parameters
    ----------
    pair
        Observed profiles with variances and numbers of cells; not for ``uniform``.
    weights
        ``t_rest``: t of the perturbation's cells against those of all other perturbations, the others' variance divided
        by the perturbation's number of cells (scanpy's ``t-test_overestim_var``, reference rest). ``t_control``: the
        same against the control cells. ``uniform``: 1.
    flat
        Where all scores of a perturbation are equal: ``by_score``: 0 where they are 0, else 1 (Diversity by Design);
        ``uniform``: 1; ``nan`` (what the Shift study computes).
    genes, exclude, alpha
        See :mod:`vcmetrics.metrics.gene_choice`.

    Returns
    -------
    One array a perturbation, in the order of its genes.

    Notes
    -----
    An infinite score (two constants that differ) has weight 0, as NaN has in the sources; so have all beside it.
    The weights use the truth: score a replicate with weights of cells that are not in it, or it is flattered.

    Examples
    --------
    >>> from vcmetrics.metrics.pair import Profiles
    >>> side = Profiles(np.array([[1.0, 2.0]]), np.zeros(2))
    >>> gene_weights(Pair(("A",), np.array(["g", "h"]), np.array([-1]), real=side, pred=side), "uniform")[0].tolist()
    [1.0, 1.0]
    """
    if weights not in WEIGHTS:
        msg = f"weights={weights!r} is not known; choose from {', '.join(WEIGHTS)}"
        raise ValueError(msg)
    if flat not in FLAT:
        msg = f"flat={flat!r} is not known; choose from {', '.join(FLAT)}"
        raise ValueError(msg)

    def make() -> list[Table]:
        choice = gene_choice(pair, genes, exclude, alpha)
        if weights == "uniform":
            return [np.ones(choice.size(p)) for p in range(pair.n)]
        t = t_statistics(pair, "rest" if weights == "t_rest" else "control", overestimated=True)
        return [stretched(t[p][choice.of(p)], flat) for p in range(pair.n)]

    key = ("gene_weights", weights, flat, genes if isinstance(genes, str) else tuple(genes), exclude, alpha)
    return pair.shared(key, make)


def stretched(scores: Table, flat: Flat) -> Table:
    """Squares of |scores| brought to [0, 1].

    Examples
    --------
    >>> stretched(np.array([1.0, -3.0, 2.0]), "nan").tolist()
    [0.0, 1.0, 0.25]
    """
    size = np.abs(scores)
    if not size.size:
        return size
    low, high = size.min(), size.max()
    if high == low:
        if flat == "nan":
            return np.full(size.size, np.nan)
        return np.full(size.size, 0.0 if flat == "by_score" and high == 0 else 1.0)
    with np.errstate(invalid="ignore"):
        size -= low
        size /= high - low
        size *= size
    size[np.isnan(size)] = 0.0
    return np.asarray(size)
