"""Genetic interactions: do predictions of double perturbations leave the sum of the single ones where reality does?"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import UnsuitedError
from vcmetrics.metrics.empirical_null import EmpiricalNull, empirical_null
from vcmetrics.metrics.gene_choice import GeneChoice
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import MetricSpec, Parity, Values, register
from vcmetrics.reference import interactions as reference

SEPARATOR = "+"


class Deviations(NamedTuple):
    """Effects of doubles less the sum of the observed single effects, (n_doubles, n_genes) each."""

    doubles: tuple[str, ...]
    real: NDArray[np.float64]
    pred: NDArray[np.float64]


class Curve(NamedTuple):
    """Discoveries at falling thresholds of the predicted deviation: true positive rate and false discovery share."""

    threshold: Values
    tpr: Values
    fdp: Values


def single_effects(pair: Pair) -> dict[str, NDArray[np.float64]]:
    """Observed effects by label, the scored perturbations' before those of training."""
    _, real = pair.profiles()
    out = {}
    if pair.train is not None:
        control = real.control if pair.train.control is None else pair.train.control
        out = {label: row - control for label, row in zip(pair.train.labels, pair.train.mean, strict=True)}
    return out | dict(zip(pair.perturbations, real.effect, strict=True))


def deviations(pair: Pair, genes: Any = "top_expressed:1000") -> Deviations:
    """Deviations from additivity of every scored double ``A+B`` whose single perturbations are observed.

    Parameters
    ----------
    pair
        Profiles of both sides with their controls; single perturbations are scored ones or in ``train``.
    genes
        As :class:`~vcmetrics.metrics.gene_choice.GeneChoice` takes them.

    Raises
    ------
    UnsuitedError
        If no scored double has both singles.
    """
    pred, real = pair.profiles()
    singles = single_effects(pair)
    choice = GeneChoice(pair, genes)
    names, rows = [], []
    for k, label in enumerate(pair.perturbations):
        parts = [part.strip() for part in label.split(SEPARATOR)]
        if len(parts) == 2 and all(part in singles for part in parts):
            columns = np.asarray(choice.of(k))
            additive = (singles[parts[0]] + singles[parts[1]])[columns]
            names.append(label)
            rows.append((real.effect[k][columns] - additive, pred.effect[k][columns] - additive))
    if not rows:
        msg = (
            "no scored double 'A+B' has both single perturbations among the observed or training ones; score with "
            "them, or give the training data (--train)"
        )
        raise UnsuitedError(msg)
    return Deviations(tuple(names), *(np.concatenate([row[side] for row in rows]) for side in (0, 1)))


def interactions(pair: Pair, genes: Any, level: float) -> tuple[Deviations, EmpiricalNull]:
    """Deviations of all doubles and genes, and the null of the observed ones."""
    if not 0 < level < 1:
        msg = f"level is {level}; pass a false discovery rate between 0 and 1"
        raise ValueError(msg)

    def make() -> tuple[Deviations, EmpiricalNull]:
        found = deviations(pair, genes)
        return found, empirical_null(found.real, level)

    key = genes if isinstance(genes, str) else tuple(genes)
    return pair.shared(("interactions", key, level), make)


def interaction_curve(pair: Pair, *, genes: Any = "top_expressed:1000", level: float = 0.05) -> Curve | None:
    """Share of the true interactions found, and of false ones among what is called, at every threshold.

    A deviation of at least the threshold is called synergy, one of at most minus the threshold suppression; it is
    right where the observed deviation lies beyond the null's threshold on that side. None where nothing stands out.
    """
    found, null = interactions(pair, genes, level)
    true = np.where(found.real >= null.upper, 1, np.where(found.real <= null.lower, -1, 0))
    total = int(np.count_nonzero(true))
    if not total:
        return None
    size, side = np.abs(found.pred), np.sign(found.pred)
    order = np.argsort(-size, kind="stable")
    order = order[size[order] > 0]  # no deviation is no call
    if not order.size:
        return Curve(np.empty(0), np.empty(0), np.empty(0))
    ends = np.append(np.flatnonzero(np.diff(size[order])), order.size - 1)
    hits = np.cumsum((side == true)[order])[ends]
    return Curve(size[order][ends], hits / total, 1 - hits / (ends + 1))


def interaction_tpr(
    pair: Pair, *, genes: Any = "top_expressed:1000", level: float = 0.05, max_fdp: float = 0.2
) -> Values:
    """Share of the true genetic interactions that predictions find while at most ``max_fdp`` of their calls are false.

    e = effect of A+B less the observed effects of A and of B, gene by gene. An empirical null N(mean, sd²) of mass p0
    is fitted to all observed e (:func:`~vcmetrics.metrics.empirical_null.empirical_null`); beyond its thresholds at
    ``level`` on either side an interaction is true: synergy above, suppression below. A prediction calls what deviates
    by at least a threshold; the best threshold that the false discoveries allow counts.

    Parameters
    ----------
    pair
        Profiles of both sides with their controls, doubles labelled ``A+B``; singles among the scored perturbations or
        in ``train``.
    genes
        As :mod:`vcmetrics.metrics.gene_choice` lists them.
    level
        Local false discovery rate of the true interactions, on each side.
    max_fdp
        False discovery share that calls may have.

    Returns
    -------
    (n_perturbations,), the same value in each, in [0, 1]; 1 is best; 0 for the additive model, which calls nothing. NaN
    where no interaction is true.

    Examples
    --------
    Four true interactions; the three largest predicted deviations are two of them and one false: 2/4 for
    ``max_fdp=0.4``.
    """
    curve = interaction_curve(pair, genes=genes, level=level)
    if curve is None:
        return np.full(pair.n, np.nan)
    allowed = curve.tpr[curve.fdp <= max_fdp]
    return np.full(pair.n, float(allowed.max()) if allowed.size else 0.0)


def interaction_average_precision(pair: Pair, *, genes: Any = "top_expressed:1000", level: float = 0.05) -> Values:
    """Area under the curve of 1 - false discovery share over the true interactions found, at all thresholds.

    Parameters
    ----------
    pair, genes, level
        As for :func:`interaction_tpr`.

    Returns
    -------
    (n_perturbations,), the same value in each: Σ (rate gained) · (1 - share of false calls), in [0, 1]; 1 is best; 0
    for the additive model. NaN where no interaction is true.

    Examples
    --------
    Two true interactions, called first and third: 1/2 · 1 + 1/2 · 2/3 = 5/6.
    """
    curve = interaction_curve(pair, genes=genes, level=level)
    if curve is None:
        return np.full(pair.n, np.nan)
    gained = np.diff(np.concatenate([[0.0], curve.tpr]))
    return np.full(pair.n, float((gained * (1 - curve.fdp)).sum()))


_COMMON: dict[str, Any] = {"genes": "top_expressed:1000", "level": 0.05}
_PITFALLS = (
    "The null is fitted to the noise of the doubles as well: few cells make true interactions disappear.",
    "One threshold for all doubles: noisy doubles fill the list of interactions.",
    "Deviations of the prediction are taken from the observed singles, so a prediction that is off everywhere calls.",
)
for _name, _formula, _more, _definition in (
    ("interaction_tpr", interaction_tpr, {"max_fdp": 0.2},
     "largest share of e_pg beyond the null's thresholds that |ê_pg| >= t finds with at most max_fdp false calls"),
    ("interaction_average_precision", interaction_average_precision, {},
     "Σ_t (share of interactions gained) · (1 - share of false calls), |ê_pg| >= t"),
):  # fmt: skip
    register(
        MetricSpec(
            name=_name,
            family="interactions",
            needs=frozenset({"profiles", "train"}),
            better="higher",
            best=1.0,
            chance=None,
            bounds=(0.0, 1.0),
            definition=_definition,
            formula=_formula,
            reference=getattr(reference, _name),
            defaults=MappingProxyType({**_COMMON, **_more}),
            invariants=("gene_order", "perturbation_order", "scale_degree_0", "common_shift"),
            panel="whole",
            # thresholds are observed values; two fits of the null choose the same ones
            parity=Parity(rtol=1e-9, atol=1e-12),
            source="Ahlmann-Eltze et al. 2025 (092743c), deviations from additivity; null after Efron 2004 (locfdr)",
            pitfalls=_PITFALLS,
        )
    )
