"""Agreement of the real and predicted sets of significant genes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.de_view import DEView, SortBy, at_least, view, view_of
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import Gate, MetricSpec, Parity, Values, register
from vcmetrics.reference import de_overlap as reference

PREFIX = "de_wilcoxon_"
CALLS = MappingProxyType({"alpha": 0.05, "single_precision": False})
SOURCE = "cell-eval 0.8.2, DE metrics; cell-eval2 0.20.0, de_wilcoxon metrics"
SOURCE_V2 = "cell-eval2 0.20.0, de_wilcoxon metrics"
EXACT = Parity(rtol=1e-12, atol=1e-14)


def overlap(
    pair: Pair,
    *,
    top: int | None = None,
    of: Literal["real", "pred"] = "real",
    sort_by: SortBy = "abs_log2_fold_change",
    alpha: float = 0.05,
    single_precision: bool = False,
) -> Values:
    """Share of genes that the top of the two ranked lists of significant genes have in common.

    Parameters
    ----------
    pair
        DE tables of both sides.
    top
        Length of the lists; None: as long as the list of ``of``.
    of
        Whose list bounds the length and divides: ``real`` (overlap) or ``pred`` (precision). **Both** lists are cut.
    sort_by
        Column that ranks the significant genes; ties in table order.
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), ``|top-k R ∩ top-k Q| / k`` in [0, 1]; 1 is best; 0 where k = 0.

    Notes
    -----
    cell-eval2 leaves the order of equal fold changes to an unstable sort once a list has more than 20 genes (as with
    its clipped fold changes), so there its value depends on the version of polars; table order is kept here always.

    Examples
    --------
    R = (a, b, c), Q = (b, d, a, c): k = 3, two of (b, d, a) are real: 2/3.
    """
    de = view(pair, alpha, single_precision)
    length = de.n_real if of == "real" else de.n_pred
    k = length if top is None else np.minimum(length, top)
    depths, _ = de.shared_depths(sort_by)
    common = [np.searchsorted(depth, size) for depth, size in zip(depths, k, strict=True)]
    return np.array(common, np.float64) / np.maximum(k, 1)


def n_significant(
    pair: Pair, *, of: Literal["real", "pred"] = "real", alpha: float = 0.05, single_precision: bool = False
) -> Values:
    """Number of significant genes.

    Parameters
    ----------
    pair
        DE tables of both sides.
    of
        Which side to count.
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), >= 0; a diagnostic without direction.

    Examples
    --------
    Adjusted p-values 0.01, 0.05 and 0.2 give 1: the level itself is not significant.
    """
    de = view(pair, alpha, single_precision)
    return np.asarray(de.n_real if of == "real" else de.n_pred, np.float64)


def sig_recall(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """Share of the real significant genes that the prediction calls significant.

    Parameters
    ----------
    pair
        DE tables of both sides.
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), ``|R ∩ Q| / |R|`` in [0, 1]; 1 is best; no row where R is empty.

    Examples
    --------
    R = {a, b, c, d}, Q = {a, e}: 1/4.
    """
    de = view(pair, alpha, single_precision)
    return np.ma.array(de.n_both / np.maximum(de.n_real, 1), mask=de.n_real == 0)


def sig_jaccard(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """Jaccard index of the real and predicted significant genes, own target gene left out.

    Parameters
    ----------
    pair
        DE tables of both sides.
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), ``|R ∩ Q| / |R ∪ Q|`` in [0, 1]; 1 is best, also where both are empty.

    Examples
    --------
    R = {a, b}, Q = {b, c}: 1/3.
    """
    de = view(pair, alpha, single_precision)
    common = (de.R_other & de.Q_other).sum(axis=1)
    union = de.R_other.sum(axis=1) + de.Q_other.sum(axis=1) - common
    return np.where(union == 0, 1.0, common / np.maximum(union, 1))


def _correlation(tp: Values, a: Values, b: Values, g: Values) -> Values:
    """Matthews correlation of sets of a and b among g with tp in common; -1 where either is empty or all."""
    product = a * b * (g - a) * (g - b)
    out = np.full(tp.shape, -1.0)
    np.divide(tp * g - a * b, np.sqrt(product), out=out, where=product > 0)
    return out


def _counts(de: DEView) -> tuple[Values, Values, Values, Values]:
    tp, a, b, g = (np.asarray(x, np.float64) for x in (de.n_both, de.n_real, de.n_pred, de.universe))
    return tp, a, b, g


def sig_mcc(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """Matthews correlation of the real and predicted significant genes.

    Parameters
    ----------
    pair
        DE tables of both sides; the universe is every gene that either lists for the perturbation.
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), in [-1, 1]; 1 is best, 0 is chance; -1 where a set is empty or all.

    Examples
    --------
    4 genes, R = {a, b}, Q = {a, c}: (1·4 - 2·2) / √(2·2·2·2) = 0.
    """
    return _correlation(*_counts(view(pair, alpha, single_precision)))


def overlap_adjusted(
    pair: Pair,
    *,
    sort_by: SortBy = "abs_log2_fold_change",
    alpha: float = 0.05,
    single_precision: bool = False,
) -> Values:
    """Matthews correlation of the real significant genes and as many of the predicted ones, the largest.

    Parameters
    ----------
    pair
        DE tables of both sides; the universe is every gene that either lists for the perturbation.
    sort_by
        Column that ranks the predicted significant genes; ties in table order.
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), in [-1, 1]; 1 is best, 0 is chance; -1 where a set is empty or all.

    Examples
    --------
    4 genes, R = {a, b}, Q = (a, b, c) by size: the top two are R itself: 1.
    """
    de = view(pair, alpha, single_precision)
    _, a, b, g = _counts(de)
    _, depths = de.shared_depths(sort_by)
    tp = np.array([np.searchsorted(depth, size) for depth, size in zip(depths, de.n_real, strict=True)], np.float64)
    return _correlation(tp, a, np.minimum(a, b), g)


def _excess(tp: Values, a: Values, b: Values, g: Values) -> Values:
    """Tp / a - (b - tp) / (g - a): hits among a less false alarms among the others; -1 where a is empty or all."""
    usable = (a > 0) & (a < g)
    out = np.full(tp.shape, -1.0)
    out[usable] = (tp / np.where(usable, a, 1) - (b - tp) / np.where(usable, g - a, 1))[usable]
    return out


def sig_recall_adjusted(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """Informedness: recall of the real significant genes less the false-alarm rate among the others.

    Parameters
    ----------
    pair
        DE tables of both sides; the universe is every gene that either lists for the perturbation.
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), in [-1, 1]; 1 is best, 0 is chance; -1 where R is empty or all.

    Examples
    --------
    4 genes, R = {a, b}, Q = {a}: 1/2 - 0/2 = 0.5.
    """
    tp, a, b, g = _counts(view(pair, alpha, single_precision))
    return _excess(tp, a, b, g)


def precision_adjusted(pair: Pair, *, alpha: float = 0.05, single_precision: bool = False) -> Values:
    """Markedness: precision of the predicted significant genes less the miss rate among the others.

    Parameters
    ----------
    pair
        DE tables of both sides; the universe is every gene that either lists for the perturbation.
    alpha, single_precision
        See :mod:`vcmetrics.metrics.registry`.

    Returns
    -------
    (n_perturbations,), in [-1, 1]; 1 is best, 0 is chance; -1 where Q is empty or all.

    Examples
    --------
    4 genes, R = {a, b}, Q = {a}: 1/1 - 1/3 = 2/3.
    """
    tp, a, b, g = _counts(view(pair, alpha, single_precision))
    return _excess(tp, b, a, g)


def enough_real(pair: Pair, parameters: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Perturbations with at least ten real significant genes."""
    return at_least(view_of(pair, parameters).n_real)


def enough_of_both(pair: Pair, parameters: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Perturbations with at least ten real significant genes and one that is not."""
    de = view_of(pair, parameters)
    return np.asarray(at_least(de.n_real) & (de.real.present.sum(axis=1) > de.n_real))


def enough_labelled(pair: Pair, parameters: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Perturbations with at least ten real significant genes and one whose adjusted p-value says that it is not."""
    de = view_of(pair, parameters)
    return np.asarray(at_least(de.n_real) & (de.real.known_p_adj.sum(axis=1) > de.n_real))


ENOUGH_REAL = Gate(enough_real, None, "at least 10 real significant genes")
ENOUGH_OF_BOTH = Gate(enough_of_both, None, "at least 10 real significant genes, and one that is not")
ENOUGH_LABELLED = Gate(enough_labelled, None, "at least 10 real significant genes, and one labelled otherwise")


POWER = "The number of predicted cells sets the power of the predicted side's test; give both sides as many."
_SIZES = "Depends on how many genes are significant; where most are, chance overlap is high."


def _ranked(name: str, alias: str, top: int | None, of: str) -> None:
    k = {"real": "|R|", "pred": "|Q|"}[of]
    register(
        MetricSpec(
            name=PREFIX + name,
            aliases=(alias, name),
            family="de_overlap",
            needs=frozenset({"de"}),
            better="higher",
            best=1.0,
            chance=None,
            bounds=(0.0, 1.0),
            definition=f"|top-k R ∩ top-k Q| / k, k = {k if top is None else f'min({top}, {k})'}",
            formula=overlap,
            reference=reference.overlap,
            defaults=MappingProxyType({"top": top, "of": of, "sort_by": "abs_log2_fold_change", **CALLS}),
            invariants=("perturbation_order",),
            parity=EXACT,
            source=SOURCE,
            pitfalls=(POWER, _SIZES, "The own target gene is inside both lists."),
        )
    )


for _of, _name in (("real", "overlap"), ("pred", "precision")):
    _ranked(_name, f"{_name}_at_N", None, _of)
    for _top in (50, 100, 200, 500):
        _ranked(f"{_name}_top{_top}", f"{_name}_at_{_top}", _top, _of)
for _of in ("real", "pred"):
    register(
        MetricSpec(
            name=f"{PREFIX}nsig_counts_{_of}",
            aliases=(f"de_nsig_counts_{_of}", f"nsig_counts_{_of}"),
            family="de_overlap",
            needs=frozenset({"de"}),
            better="none",
            best=None,
            chance=None,
            bounds=(0.0, np.inf),
            unit="genes",
            definition="|R|" if _of == "real" else "|Q|",
            formula=n_significant,
            reference=reference.n_significant,
            defaults=MappingProxyType({"of": _of, **CALLS}),
            parity=EXACT,
            source=SOURCE,
            pitfalls=("A count, no score: it grows with the number of cells.",),
        )
    )
_ROWS: tuple[tuple[str, tuple[str, ...], Any, str, float, float | None, Gate | None, Mapping[str, Any]], ...] = (
    ("sig_recall", ("de_sig_genes_recall",), sig_recall, "|R ∩ Q| / |R|", 0.0, None, ENOUGH_REAL, {}),
    ("sig_jaccard", (), sig_jaccard, "|R ∩ Q| / |R ∪ Q| without the own gene", 0.0, None, None, {}),
    ("sig_mcc", (), sig_mcc, "Matthews correlation of R and Q", -1.0, 0.0, ENOUGH_OF_BOTH, {}),
    (
        "overlap_adjusted",
        (),
        overlap_adjusted,
        "Matthews correlation of R and top-|R| Q",
        -1.0,
        0.0,
        ENOUGH_OF_BOTH,
        {"sort_by": "abs_log2_fold_change"},
    ),
    (
        "sig_recall_adjusted",
        (),
        sig_recall_adjusted,
        "|R ∩ Q| / |R| - |Q \\ R| / (g - |R|)",
        -1.0,
        0.0,
        ENOUGH_OF_BOTH,
        {},
    ),
    ("precision_adjusted", (), precision_adjusted, "|R ∩ Q| / |Q| - |R \\ Q| / (g - |Q|)", -1.0, 0.0, None, {}),
)
_PITFALLS = {
    "sig_recall": ("Precision does not enter: calling every gene scores 1.",),
    "sig_jaccard": ("Two empty sets score 1, so a perturbation without any effect is easy.",),
    "sig_mcc": ("Undefined where a side calls every gene or none; the gate charges what the reference could judge.",),
    "overlap_adjusted": ("Only as many predicted genes as are truly significant count.",),
    "sig_recall_adjusted": ("Informedness: correct for chance, blind to how many calls are wrong among few genes.",),
    "precision_adjusted": ("Markedness: a few certain calls score high.",),
}
for _name, _aliases, _formula, _definition, _low, _chance, _gate, _extra in _ROWS:
    register(
        MetricSpec(
            name=PREFIX + _name,
            aliases=(*_aliases, _name),
            family="de_overlap",
            needs=frozenset({"de"}),
            better="higher",
            best=1.0,
            chance=_chance,
            bounds=(_low, 1.0),
            definition=_definition,
            formula=_formula,
            reference=getattr(reference, _name),
            defaults=MappingProxyType({**_extra, **CALLS}),
            gate=_gate,
            parity=EXACT,
            source=SOURCE if _aliases else SOURCE_V2,
            pitfalls=(*_PITFALLS[_name], POWER),
        )
    )
