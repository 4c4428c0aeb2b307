"""Errors and correlations of signed significance: the sign of the fold change times -log10 p, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from vcmetrics.backend.threads import resolve_threads
from vcmetrics.metrics.de_view import DEView, Side, view
from vcmetrics.metrics.delta_correlation import Undefined, filled
from vcmetrics.metrics.literature import literature_row
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import Values
from vcmetrics.metrics.row_correlation import METHODS, Method, Sides, row_correlations
from vcmetrics.reference import signed_p as slow

Column = Literal["p_value", "p_adj"]


def signed_p(side: Side, column: Column, clip: float | None) -> Values:
    """``sign(lfc) · -log10 p``, cut at ±``clip``; 0 for a fold change of 0, NaN where either is missing."""
    if column not in ("p_value", "p_adj"):
        msg = f"column={column!r} is not known; choose from p_value, p_adj"
        raise ValueError(msg)
    p = np.asarray(side.p_value if column == "p_value" else side.p_adj, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = -np.log10(p)
        if clip is not None:
            size = np.minimum(size, clip)
        direction = np.sign(np.asarray(side.lfc, np.float64))
        out = np.where(direction == 0, 0.0, direction * size)
    out[~(side.known_lfc & side.present & ~np.isnan(p))] = np.nan
    return np.asarray(out)


def both(pair: Pair, column: Column, clip: float | None) -> tuple[Values, Values]:
    """Predicted and observed values; a gene that the prediction does not know counts as 0 there."""

    def make() -> tuple[Values, Values]:
        de: DEView = view(pair, 0.05, False)
        pred, real = (signed_p(side, column, clip) for side in (de.pred, de.real))
        return np.where(np.isnan(pred), 0.0, pred), real

    return pair.shared(("signed_p", column, clip), make)


def _rows(pair: Pair, column: Column, clip: float | None) -> Iterator[tuple[Values, Values]]:
    """Predicted and observed values of each perturbation at the genes whose observed value is known."""
    pred, real = both(pair, column, clip)
    for p in range(pair.n):
        known = ~np.isnan(real[p])
        yield pred[p][known], real[p][known]


def mrrmse(pair: Pair, *, column: Column = "p_value", clip: float | None = 4.0) -> Values:
    """Root mean squared difference, over genes, of predicted and observed signed significance.

    Parameters
    ----------
    pair
        DE tables of both sides.
    column
        ``p_value`` or ``p_adj``.
    clip
        Largest -log10 p (4: p below 1e-4 counts as 1e-4); None: none, and p = 0 is infinite.

    Returns
    -------
    (n_perturbations,), >= 0; 0 is best; its mean over the rows is the mean rowwise RMSE. NaN where the reality knows
    no gene, or a value is infinite.

    Notes
    -----
    The mean of roots is not the root of the mean. Genes without an observed value are left out, those that only the
    prediction lacks count as 0. For tables that hold such scores in place of expression, take ``squared_error`` with
    ``reduce="root"``.

    References
    ----------
    Open Problems, perturbation prediction (NeurIPS 2023); ScAPE.

    Examples
    --------
    Observed (2, -1), predicted (1, -1): √(1 / 2) = 0.71.
    """
    out = np.full(pair.n, np.nan)
    for p, (x, y) in enumerate(_rows(pair, column, clip)):
        if y.size and np.isfinite(x).all() and np.isfinite(y).all():
            out[p] = np.sqrt(((y - x) * (y - x)).sum() / y.size)
    return out


def mrmae(pair: Pair, *, column: Column = "p_value", clip: float | None = 4.0) -> Values:
    """Mean absolute difference, over genes, of predicted and observed signed significance.

    Parameters
    ----------
    pair
        DE tables of both sides.
    column, clip
        As for :func:`mrrmse`.

    Returns
    -------
    (n_perturbations,), >= 0; 0 is best; its mean over the rows is the mean rowwise MAE. NaN as for :func:`mrrmse`.

    References
    ----------
    Open Problems, perturbation prediction.

    Examples
    --------
    Observed (2, -1), predicted (1, -1): 0.5.
    """
    out = np.full(pair.n, np.nan)
    for p, (x, y) in enumerate(_rows(pair, column, clip)):
        if y.size and np.isfinite(x).all() and np.isfinite(y).all():
            out[p] = np.abs(y - x).sum() / y.size
    return out


def signed_p_correlation(
    pair: Pair,
    *,
    method: Method,
    column: Column = "p_value",
    clip: float | None = 4.0,
    undefined: Undefined = "nan",
) -> Values:
    """Correlation, over genes, of predicted and observed signed significance.

    Parameters
    ----------
    pair
        DE tables of both sides.
    method
        ``pearson``, ``spearman`` (average ranks) or ``cosine``.
    column, clip
        As for :func:`mrrmse`.
    undefined
        ``nan``, or ``zero``.

    Returns
    -------
    (n_perturbations,), in [-1, 1]; 1 is best, 0 is chance. Undefined where a side is constant (cosine: zero).

    Notes
    -----
    The published text divides the Pearson correlation by variances; the code that made the numbers does not, nor is it
    done here.

    References
    ----------
    Open Problems, perturbation prediction (mean rowwise correlations).

    Examples
    --------
    Observed (2, -1, 0), predicted (4, -2, 0): 1.
    """

    def rows() -> Iterator[Sides]:
        for x, y in _rows(pair, column, clip):
            zero = np.zeros(y.size)
            yield Sides(x, y, zero, zero)

    return filled(row_correlations(rows(), method, n_threads=resolve_threads(None)).values, undefined)


_SOURCE = "Open Problems, perturbation prediction (NeurIPS 2023), mean rowwise metrics; ScAPE"
_HOW: dict[str, Any] = {"column": "p_value", "clip": 4.0}
literature_row(
    "mrrmse",
    "signed_p",
    mrrmse,
    slow.mrrmse,
    "√ mean_g (ŝ - s)², s = sign(lfc) · -log10 p",
    _SOURCE,
    _HOW,
    needs=("de",),
    pitfalls=(
        "The mean of roots over perturbations is not the root of the mean.",
        "-log10 p grows with the number of cells: strong perturbations decide.",
    ),
)
literature_row(
    "mrmae",
    "signed_p",
    mrmae,
    slow.mrmae,
    "mean_g |ŝ - s|, s = sign(lfc) · -log10 p",
    _SOURCE,
    _HOW,
    needs=("de",),
    pitfalls=("-log10 p grows with the number of cells: strong perturbations decide.",),
)
for _method in METHODS:
    literature_row(
        f"signed_p_{_method}",
        "signed_p",
        signed_p_correlation,
        slow.signed_p_correlation,
        f"{'cos' if _method == 'cosine' else _method.capitalize()}(ŝ, s) over genes, s = sign(lfc) · -log10 p",
        _SOURCE,
        {"method": _method, **_HOW, "undefined": "nan"},
        needs=("de",),
        better="higher",
        best=1.0,
        chance=0.0,
        bounds=(-1.0, 1.0),
        pitfalls=("Over all genes most values are near 0 on both sides: a few significant genes decide.",),
    )
