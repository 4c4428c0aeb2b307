"""Agreement of real and predicted fold changes over genes called significant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.de_overlap import CALLS, EXACT, PREFIX, SOURCE, SOURCE_V2
from vcmetrics.metrics.de_view import DEView, Mask, at_least, view, view_of
from vcmetrics.metrics.pair import Pair, no_rows
from vcmetrics.metrics.registry import Gate, MetricSpec, Parity, Values, register
from vcmetrics.reference import de_effect as reference

Which = Literal["all", "pos", "neg"]
_MINIMUM = 10  # genes that the error of fold changes needs


def midranks(values: NDArray[Any]) -> Values:
    """Ranks from 1; equal values share the mean of theirs; NaN equals NaN and is above all numbers.

    Examples
    --------
    >>> midranks(np.array([3.0, 1.0, 3.0]))
    array([2.5, 1. , 2.5])
    """
    order = np.argsort(values)
    ascending = values[order]
    known = ascending == ascending
    first = np.concatenate([[True], (ascending[1:] != ascending[:-1]) & known[:-1]])
    begin = np.flatnonzero(first)
    end = np.append(begin[1:], values.size)
    out = np.empty(values.size)
    out[order] = ((begin + 1 + end) / 2)[np.cumsum(first) - 1]
    return out


def spearman(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Pearson correlation of the mid-ranks; NaN for one value or a constant."""
    if x.size < 2:
        return np.nan
    a, b = midranks(x), midranks(y)
    a -= (x.size + 1) / 2
    b -= (x.size + 1) / 2
    norm = np.sqrt((a * a).sum()) * np.sqrt((b * b).sum())
    return float(min(1.0, max(-1.0, (a * b).sum() / norm))) if norm > 0 else np.nan


def _same_sign(de: DEView) -> Mask:
    """Joined rows whose fold changes have equal sign, where 0 equals 0 and NaN equals NaN."""
    x, y = de.real.lfc, de.pred.lfc
    zeros = (x == 0) & (y == 0)
    unknown = np.isnan(x) & np.isnan(y) & de.real.known_lfc & de.pred.known_lfc
    return np.asarray(de.match | (de.joined & (zeros | unknown)))


def direction_match(
    pair: Pair, *, of: Literal["real", "pred"] = "real", alpha: float = 0.05, single_precision: bool = False
) -> Values:
    """Share of significant genes whose real and predicted fold changes point the same way.

    Parameters
    ----------
    pair
        DE tables of both sides.
    of
        Whose significant genes are asked: the ``real`` ones, or those that the model claims (``pred``).
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), in [0, 1]; 1 is best, 0.5 is chance; no row where no such gene is in both tables. Two zeros
    count as the same direction.

    Examples
    --------
    Real (1, -2, 3) and predicted (2, 1, 0.5), all significant: 2/3.
    """
    de = view(pair, alpha, single_precision)
    asked = (de.R if of == "real" else de.Q) & de.real.known_lfc & de.pred.known_lfc
    count = asked.sum(axis=1)
    return np.ma.array((asked & _same_sign(de)).sum(axis=1) / np.maximum(count, 1), mask=count == 0)


def _directional(de: DEView, which: Which) -> Mask:
    if which == "all":
        return de.R
    if which == "neg":
        return np.asarray(de.R & (de.real.lfc < 0))
    # NaN is above all numbers, here as in the ranks
    return np.asarray(de.R & ((de.real.lfc > 0) | (np.isnan(de.real.lfc) & de.real.known_lfc)))


def _predicted(de: DEView, i: int, columns: NDArray[np.int64]) -> NDArray[Any]:
    """Predicted fold changes; 0 where the table has none."""
    return np.asarray(np.where(de.pred.known_lfc[i, columns], de.pred.lfc[i, columns], 0))


def lfc_spearman(pair: Pair, *, which: Which = "all", alpha: float = 0.05, single_precision: bool = False) -> Values:
    """Spearman correlation of real and predicted fold changes over the real significant genes.

    Parameters
    ----------
    pair
        DE tables of both sides.
    which
        ``all`` real significant genes, those that rise (``pos``) or those that fall (``neg``).
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), in [-1, 1]; 1 is best, 0 is chance; NaN for one gene or a constant; no row where there is no
    such gene. A gene that the prediction lacks counts as fold change 0, one that the real table does not measure is
    left out; infinite ones are ranked as such, NaN above them.

    Examples
    --------
    Real (1, 2, 3), predicted (0.1, 0.3, 0.2): 0.5.
    """
    de = view(pair, alpha, single_precision)
    rows = _directional(de, which)
    out = no_rows(de.n)
    for i in range(de.n):
        columns = np.flatnonzero(rows[i])
        if columns.size:
            columns = columns[de.real.known_lfc[i, columns]]
            out[i] = spearman(de.real.lfc[i, columns], _predicted(de, i, columns))
    return out


def nsig_spearman(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """Spearman correlation, over perturbations, of the numbers of real and predicted significant genes.

    Parameters
    ----------
    pair
        DE tables of both sides.
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), one value in [-1, 1] on every row; 1 is best, 0 is chance. Perturbations without a real
    significant gene stay out; 1 where none is left, NaN for one or a constant.

    Examples
    --------
    Counts (5, 2, 9) and (4, 1, 3): ranks (2, 1, 3) and (3, 1, 2): 0.5.
    """
    de = view(pair, alpha, single_precision)
    active = de.n_real > 0
    value = spearman(de.n_real[active].astype(float), de.n_pred[active].astype(float)) if active.any() else 1.0
    return np.full(de.n, value)


def significant_counts(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """Numbers of real and predicted significant genes, (n_perturbations, 2); NaN without a real one."""
    de = view(pair, alpha, single_precision)
    counts = np.stack([de.n_real, de.n_pred], 1).astype(float)
    return np.where(de.n_real[:, None] > 0, counts, np.nan)


def lfc_nmae(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """Mean absolute error of the fold changes over the real significant genes, in units of their mean size.

    Parameters
    ----------
    pair
        DE tables of both sides.
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), ``mean|l̂ - l| / mean|l|`` >= 0; 0 is best, 1 is "no change" everywhere. The genes are those
    real significant with a finite fold change, own target left out; a prediction that is missing or not finite counts
    as 0. No row with fewer than ten such genes, or where their mean size is 0.

    Examples
    --------
    Ten genes of fold change 2, predicted 1: 0.5.
    """
    de = view(pair, alpha, single_precision)
    gate = de.R_other & np.isfinite(de.real.lfc)
    out = no_rows(de.n)
    for i in range(de.n):
        columns = np.flatnonzero(gate[i])
        if columns.size < _MINIMUM:
            continue
        real = de.real.lfc[i, columns].astype(np.float64)
        pred = de.pred.lfc[i, columns].astype(np.float64)
        pred = np.where(np.isfinite(pred), pred, 0.0)
        size = np.abs(real).mean()
        if size > 0:
            out[i] = np.abs(pred - real).mean() / size
    return out


def _enough_match(pair: Pair, parameters: Mapping[str, Any]) -> Mask:
    de = view_of(pair, parameters)
    rows = (de.R if parameters["of"] == "real" else de.real.present) & de.real.known_lfc
    return at_least(rows.sum(axis=1))


def _gated_rows(pair: Pair, parameters: Mapping[str, Any]) -> tuple[DEView, Mask]:
    de = view_of(pair, parameters)
    return de, np.asarray(_directional(de, parameters["which"]) & de.real.known_lfc)


def _flat_rows(table: NDArray[Any], rows: Mask) -> Mask:
    """Perturbations whose values over ``rows`` are all one and the same (or none)."""
    unknown = rows & np.isnan(table)
    numbers = rows & ~unknown
    low = np.where(numbers, table, np.inf).min(axis=1, initial=np.inf)
    high = np.where(numbers, table, -np.inf).max(axis=1, initial=-np.inf)
    return np.asarray(~(low < high) & ~(unknown.any(axis=1) & numbers.any(axis=1)))


def _enough_spread(pair: Pair, parameters: Mapping[str, Any]) -> Mask:
    de, rows = _gated_rows(pair, parameters)
    return np.asarray(at_least(rows.sum(axis=1)) & ~_flat_rows(de.real.lfc, rows))


def _flat_prediction(pair: Pair, parameters: Mapping[str, Any]) -> Mask:
    de, rows = _gated_rows(pair, parameters)
    return _flat_rows(np.where(de.pred.known_lfc, de.pred.lfc, 0), rows)


def _enough_targets(pair: Pair, parameters: Mapping[str, Any]) -> Mask:
    de = view_of(pair, parameters)
    counts = de.n_real[de.n_real > 0]
    return np.full(de.n, counts.size >= _MINIMUM and np.unique(counts).size > 1)


def _flat_counts(pair: Pair, parameters: Mapping[str, Any]) -> Mask:
    de = view_of(pair, parameters)
    return np.full(de.n, np.unique(de.n_pred[de.n_real > 0]).size <= 1)


_SPREAD = Gate(
    _enough_spread, -1.0, "at least 10 such genes whose real fold changes are not all equal", _flat_prediction
)
_ROWS: tuple[tuple[str, tuple[str, ...], Callable[..., Values], dict[str, Any], str, float, float, Gate, str], ...] = (
    (
        "direction_match",
        ("de_direction_match",),
        direction_match,
        {"of": "real"},
        "share of R with sign(l) = sign(l̂)",
        0.0,
        0.5,
        Gate(_enough_match, 0.0, "at least 10 real significant genes"),
        SOURCE,
    ),
    (
        "model_direction_match",
        ("de_model_direction_match",),
        direction_match,
        {"of": "pred"},
        "share of Q with sign(l) = sign(l̂)",
        0.0,
        0.5,
        Gate(_enough_match, 0.0, "at least 10 genes in the real table"),
        SOURCE_V2,
    ),
    (
        "lfc_spearman",
        ("de_spearman_lfc_sig",),
        lfc_spearman,
        {"which": "all"},
        "Spearman(l, l̂) over R",
        -1.0,
        0.0,
        _SPREAD,
        SOURCE,
    ),
    (
        "lfc_spearman_pos",
        ("de_spearman_pos_lfc_sig",),
        lfc_spearman,
        {"which": "pos"},
        "Spearman(l, l̂) over R with l > 0",
        -1.0,
        0.0,
        _SPREAD,
        SOURCE_V2,
    ),
    (
        "lfc_spearman_neg",
        ("de_spearman_neg_lfc_sig",),
        lfc_spearman,
        {"which": "neg"},
        "Spearman(l, l̂) over R with l < 0",
        -1.0,
        0.0,
        _SPREAD,
        SOURCE_V2,
    ),
    (
        "nsig_spearman",
        ("de_spearman_sig",),
        nsig_spearman,
        {},
        "Spearman(|R|, |Q|) over perturbations with |R| > 0",
        -1.0,
        0.0,
        Gate(_enough_targets, -1.0, "at least 10 perturbations with |R| > 0, not all equal", _flat_counts),
        SOURCE,
    ),
)
_PITFALLS = {
    "direction_match": "Genes that the prediction does not call count as well; chance is a half.",
    "model_direction_match": "Only the prediction's own calls count: calling little and safely scores high.",
    "lfc_spearman": "Up and down genes alone give a high value: see lfc_spearman_pos and lfc_spearman_neg.",
    "lfc_spearman_pos": "Few genes make a noisy rank correlation.",
    "lfc_spearman_neg": "Few genes make a noisy rank correlation.",
    "nsig_spearman": "Numbers of cells alone correlate the counts of both sides.",
}
for _name, _aliases, _formula, _extra, _definition, _low, _chance, _gate, _source in _ROWS:
    register(
        MetricSpec(
            name=PREFIX + _name,
            aliases=(*_aliases, _name),
            family="de_effect",
            needs=frozenset({"de"}),
            better="higher",
            best=1.0,
            chance=_chance,
            bounds=(_low, 1.0),
            definition=_definition,
            formula=_formula,
            reference=getattr(reference, _formula.__name__),
            defaults=MappingProxyType({**_extra, **CALLS}),
            gate=_gate,
            parity=Parity(rtol=1e-11, atol=1e-13),
            source=_source,
            panel="spearman" if _formula is nsig_spearman else None,
            panel_values=significant_counts if _formula is nsig_spearman else None,
            pitfalls=(_PITFALLS[_name],),
        )
    )
register(
    MetricSpec(
        name=f"{PREFIX}lfc_nmae",
        aliases=("lfc_nmae",),
        family="de_effect",
        needs=frozenset({"de"}),
        better="lower",
        best=0.0,
        chance=1.0,
        bounds=(0.0, np.inf),
        definition="mean_R |l̂ - l| / mean_R |l| without the own gene",
        pitfalls=(
            "1 is predicting no fold change; above it there is no bound.",
            "Significant genes are the truth's: calls beyond them cost nothing.",
            "Only perturbations with 10 significant genes are judged by the challenge.",
        ),
        formula=lfc_nmae,
        reference=reference.lfc_nmae,
        defaults=CALLS,
        parity=EXACT,
        source=SOURCE_V2,
    )
)
