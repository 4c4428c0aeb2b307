"""Errors and correlations between groups × genes profiles."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.pair import Pair, Profiles, no_rows
from vcmetrics.metrics.registry import Gate, MetricSpec, Parity, Values, register
from vcmetrics.reference import expression as reference

Table = NDArray[np.float64]

_SINGLE = MappingProxyType({"single_precision": False})
_CELL_EVAL = "cell-eval 0.8.2, pseudobulk metrics; cell-eval2 0.20.0, expression metrics"
_UNBIASED = "cell-eval2 0.20.0, jackknife-corrected expression metrics"


def rounded(values: Table, single_precision: bool) -> Table:
    """``values``, each rounded to float32 where asked for."""
    return values.astype(np.float32).astype(np.float64) if single_precision else values


def means(pair: Pair, single_precision: bool) -> tuple[Table, Table]:
    """Profiles of prediction and reality."""
    pred, real = pair.profiles()
    return rounded(pred.mean, single_precision), rounded(real.mean, single_precision)


def effects(pair: Pair, single_precision: bool, embedding: str | None = None) -> tuple[Table, Table]:
    """Perturbation minus control of prediction and reality, each against its own ``control``."""

    def effect(side: Profiles) -> Table:
        control = rounded(side.control, single_precision)
        return rounded(rounded(side.mean, single_precision) - control, single_precision)

    def make() -> tuple[Table, Table]:
        pred, real = pair.profiles(embedding)
        return effect(pred), effect(real)

    return pair.shared(("effects", single_precision, embedding), make)


def expr_mae(pair: Pair, *, single_precision: bool = False) -> Values:
    """Mean absolute difference of the profiles over all genes.

    Parameters
    ----------
    pair
        Profiles of both sides, n_perturbations × n_genes.
    single_precision
        Round the profiles to float32 first.

    Returns
    -------
    (n_perturbations,), in the profiles' unit, >= 0; 0 is best.

    Examples
    --------
    Profiles (1, 2) and (2, 4): (|1-2| + |2-4|) / 2 = 1.5.
    """
    pred, real = means(pair, single_precision)
    return np.asarray(np.abs(pred - real).mean(axis=1))


def expr_mse(pair: Pair, *, single_precision: bool = False) -> Values:
    """Mean squared difference of the profiles over all genes.

    Parameters
    ----------
    pair
        Profiles of both sides, n_perturbations × n_genes.
    single_precision
        Round the profiles to float32 first.

    Returns
    -------
    (n_perturbations,), in the profiles' unit squared, >= 0; 0 is best.

    Examples
    --------
    Profiles (1, 2) and (2, 4): (1 + 4) / 2 = 2.5.
    """
    pred, real = means(pair, single_precision)
    difference = pred - real
    return np.asarray((difference * difference).mean(axis=1))


def delta_mae(pair: Pair, *, single_precision: bool = False) -> Values:
    """Mean absolute difference of the effects (perturbation minus control) over all genes.

    Parameters
    ----------
    pair
        Profiles of both sides with the controls that their effects are taken against.
    single_precision
        Round profiles and effects to float32 first.

    Returns
    -------
    (n_perturbations,), in the profiles' unit, >= 0; 0 is best. Equal to ``expr_mae`` under a shared control.

    Examples
    --------
    Effects (1, 0) and (0, -1): (1 + 1) / 2 = 1.
    """
    pred, real = effects(pair, single_precision)
    return np.asarray(np.abs(pred - real).mean(axis=1))


def delta_mse(pair: Pair, *, single_precision: bool = False) -> Values:
    """Mean squared difference of the effects (perturbation minus control) over all genes.

    Parameters
    ----------
    pair
        Profiles of both sides with the controls that their effects are taken against.
    single_precision
        Round profiles and effects to float32 first.

    Returns
    -------
    (n_perturbations,), in the profiles' unit squared, >= 0; 0 is best. Equal to ``expr_mse`` under a shared control.

    Examples
    --------
    Effects (2, 0) and (0, 0): (4 + 0) / 2 = 2.
    """
    pred, real = effects(pair, single_precision)
    difference = pred - real
    return np.asarray((difference * difference).mean(axis=1))


def delta_pearson(pair: Pair, *, single_precision: bool = False) -> Values:
    """Pearson correlation of the effects over all genes, own target gene included.

    Parameters
    ----------
    pair
        Profiles of both sides with the controls that their effects are taken against.
    single_precision
        Round profiles and effects to float32 first.

    Returns
    -------
    (n_perturbations,), in [-1, 1]; 1 is best, 0 is chance; NaN for a constant effect or fewer than two genes.

    Examples
    --------
    Effects (1, 2, 3) and (2, 4, 6) give 1; (1, 2, 3) and (3, 2, 1) give -1.
    """
    pred, real = effects(pair, single_precision)
    if pair.n == 0 or pred.shape[1] < 2:
        return np.full(pair.n, np.nan)
    with np.errstate(invalid="ignore"):
        x = pred - pred.mean(axis=1, keepdims=True)
        y = real - real.mean(axis=1, keepdims=True)
        norms = np.sqrt((x * x).sum(axis=1)) * np.sqrt((y * y).sum(axis=1))
        # a constant that is no binary fraction leaves rounding noise after centring, so ask the values themselves
        defined = _varies(pred) & _varies(real) & (norms > 0)
        products = (x * y).sum(axis=1)
    out = np.full(pair.n, np.nan)
    np.divide(products, norms, out=out, where=defined)
    return np.asarray(np.clip(out, -1.0, 1.0))


def _varies(rows: Table) -> NDArray[np.bool_]:
    """Rows of finite values that are not all equal (``inf - inf`` is NaN, which compares false)."""
    return np.asarray((rows.max(axis=1) - rows.min(axis=1)) > 0)


def _pearson_inside(pair: Pair, parameters: Mapping[str, Any]) -> NDArray[np.bool_]:
    _, real = effects(pair, parameters["single_precision"])
    if real.shape[1] < 2:
        return np.zeros(pair.n, np.bool_)
    return np.asarray(np.isfinite(real).all(axis=1) & _varies(real))


def _pearson_flat(pair: Pair, parameters: Mapping[str, Any]) -> NDArray[np.bool_]:
    pred, _ = effects(pair, parameters["single_precision"])
    return np.asarray(pred.max(axis=1) == pred.min(axis=1))


def corrections(pair: Pair) -> tuple[Values, Values]:
    """Sampling variance of the profiles of prediction and reality, summed over genes."""
    pred, real = pair.profiles()
    if pred.correction is None or real.correction is None:
        msg = "this metric needs the sampling variance of the profiles; score from cells, not from means alone"
        raise DataError(msg)
    return pred.correction, real.correction


def genes_scored(pair: Pair) -> Values:
    """Number of genes without a perturbation's own target, (n_perturbations,)."""
    count = len(pair.genes) - (pair.own >= 0).astype(np.float64)
    if (count == 0).any():
        msg = f"the only gene, {pair.genes[0]}, is a perturbation's own target; no gene is left to compare"
        raise DataError(msg)
    return count


def without_own(pair: Pair, table: Table) -> Table:
    """``table`` (changed in place) with each perturbation's own gene set to zero."""
    rows = np.flatnonzero(pair.own >= 0)
    table[rows, pair.own[rows]] = 0.0
    return table


def _squared_error(pair: Pair) -> Values:
    def make() -> Values:
        pred, real = means(pair, False)
        difference = without_own(pair, pred - real)
        return np.asarray((difference * difference).sum(axis=1))

    return pair.shared("squared_error", make)


def correction_share(pair: Pair) -> float:
    """The share ρ of the capped correction that the prediction's spread over the panel can account for.

    ``ρ = min(1, B / Σ_p min(Ĉ_p, C_p) / G_p)``, where B is the spread of the predicted profiles between
    perturbations, weighted by ``1 / G_p`` and summed over genes, each gene without the perturbations that target it.
    Returns 1 where there is nothing to share out.
    """

    def make() -> float:
        pred, _ = means(pair, False)
        weight = 1.0 / genes_scored(pair)
        claim = float((np.minimum(*corrections(pair)) * weight).sum())
        if claim <= 0:
            return 1.0
        spread = without_own(pair, pred - pred.mean(axis=0))
        targeting = pair.own[pair.own >= 0]
        count = np.full(pred.shape[1], pair.n, np.float64)
        total = np.full(pred.shape[1], weight.sum())
        np.subtract.at(count, targeting, 1.0)
        np.subtract.at(total, targeting, weight[pair.own >= 0])
        first = (spread * weight[:, None]).sum(axis=0)
        spread *= spread
        second = (spread * weight[:, None]).sum(axis=0)
        shared = count >= 2  # one row alone has no spread
        per_gene = second[shared] - first[shared] ** 2 / total[shared]
        return min(1.0, float(np.maximum(per_gene, 0.0).sum()) / claim)

    return pair.shared("correction_share", make)


def expr_mse_unbiased(pair: Pair) -> Values:
    """Squared profile error per gene, less the sampling variance of both sides.

    ``(|b̂ - b|² - Ĉ - C) / G``, own target gene left out of the norm and of G; the corrections keep it.

    Parameters
    ----------
    pair
        Profiles of both sides with their corrections.

    Returns
    -------
    (n_perturbations,), in the profiles' unit squared, of either sign; a diagnostic without direction.

    Examples
    --------
    Profiles (1, 2) and (2, 4) with corrections 0.5 and 1: (5 - 0.5 - 1) / 2 = 1.75.
    """
    pred, real = corrections(pair)
    return np.asarray((_squared_error(pair) - pred - real) / genes_scored(pair))


def expr_mse_unbiased_capped(pair: Pair) -> Values:
    """Squared profile error per gene, less a prediction's variance that is capped by the observed one.

    ``(|b̂ - b|² - ρ min(Ĉ, C) - C) / G``: noise cannot buy more credit than real cells would, nor more than the
    prediction's own spread over the panel (ρ, see :func:`correction_share`).

    Parameters
    ----------
    pair
        Profiles of both sides with their corrections; the whole panel, since ρ is one number for it.

    Returns
    -------
    (n_perturbations,), in the profiles' unit squared, of either sign; numerator of the normalised error.

    Examples
    --------
    Profiles (1, 2) and (2, 4), Ĉ = 0.5, C = 1, ρ = 1: (5 - 0.5 - 1) / 2 = 1.75.
    """
    pred, real = corrections(pair)
    capped = correction_share(pair) * np.minimum(pred, real)
    return np.asarray((_squared_error(pair) - capped - real) / genes_scored(pair))


def expr_distance_unbiased(pair: Pair) -> Values:
    """Squared distance of the observed profile from the observed control per gene, less both variances.

    ``(|b - c|² - C - C_control) / G``, own target gene left out of the norm and of G; only real data.

    Parameters
    ----------
    pair
        Observed profiles with correction and control correction.

    Returns
    -------
    (n_perturbations,), in the profiles' unit squared, of either sign; denominator of the normalised error.

    Examples
    --------
    Profile (2, 4), control (1, 1), corrections 1 and 1: (1 + 9 - 2) / 2 = 4.
    """
    _, real = pair.profiles()
    if real.correction is None or real.control_correction is None:
        msg = "this metric needs the sampling variance of the observed profiles and of their control"
        raise DataError(msg)
    difference = without_own(pair, real.mean - real.control)
    squared = (difference * difference).sum(axis=1)
    return np.asarray((squared - real.correction - real.control_correction) / genes_scored(pair))


def expr_real_mass_ratio(pair: Pair) -> Values:
    """Library size that the observed profile adds up to, over the one it was scaled to; 1 when intact.

    Parameters
    ----------
    pair
        Observed profiles and ``target_sum``.

    Returns
    -------
    (n_perturbations,), >= 0; a diagnostic: far from 1 the profiles do not stem from whole cells. NaN where the
    target sum is not known.

    Examples
    --------
    A profile (log1p(3), log1p(7)) scaled to 10 gives (3 + 7) / 10 = 1.
    """
    _, real = pair.profiles()
    if pair.target_sum is None:
        return np.full(pair.n, np.nan)
    return np.asarray(np.expm1(real.mean).sum(axis=1) / pair.target_sum)


def panel_only(pair: Pair) -> Values:
    """No value a perturbation: the metric exists for the whole panel only.

    Parameters
    ----------
    pair
        Prediction and reality.

    Returns
    -------
    (n_perturbations,), all masked.

    Examples
    --------
    Three perturbations give ``[--, --, --]``.
    """
    return no_rows(pair.n)


_EXACT = Parity(rtol=1e-12, atol=1e-14)
_FOUR = (
    ("expr_mae", "mae", expr_mae, "mean_g |b̂ - b|", "log1p"),
    ("expr_mse", "mse", expr_mse, "mean_g (b̂ - b)²", "log1p²"),
    ("delta_mae", "mae_delta", delta_mae, "mean_g |d̂ - d|", "log1p"),
    ("delta_mse", "mse_delta", delta_mse, "mean_g (d̂ - d)²", "log1p²"),
)
_NOISE = "Sampling noise of both sides is inside: values of different numbers of cells are not comparable."
_COLLAPSE = "Rewards collapse to the mean of all perturbations: weak signals are cheaper to leave out than to guess."
_ALIAS = "With one control on both sides the error of effects is that of the profiles: no second signal."
for _name, _alias, _formula, _definition, _unit in _FOUR:
    register(
        MetricSpec(
            name=_name,
            aliases=(_alias,),
            family="expression",
            needs=frozenset({"profiles"}),
            better="lower",
            best=0.0,
            chance=None,
            bounds=(0.0, np.inf),
            unit=_unit,
            definition=_definition,
            formula=_formula,
            reference=getattr(reference, _name),
            defaults=_SINGLE,
            invariants=("gene_order", "perturbation_order", "scale_homogeneous"),
            parity=_EXACT,
            source=_CELL_EVAL,
            pitfalls=(_COLLAPSE, _NOISE, *((_ALIAS,) if _name.startswith("delta_") else ())),
        )
    )
register(
    MetricSpec(
        name="delta_pearson",
        aliases=("pearson_delta",),
        family="expression",
        needs=frozenset({"profiles"}),
        better="higher",
        best=1.0,
        chance=0.0,
        bounds=(-1.0, 1.0),
        definition="Pearson(d̂, d) over genes",
        formula=delta_pearson,
        reference=reference.delta_pearson,
        defaults=_SINGLE,
        gate=Gate(_pearson_inside, -1.0, "the observed effect is finite and not constant", _pearson_flat),
        invariants=("gene_order", "perturbation_order", "scale_invariant"),
        parity=Parity(rtol=1e-11, atol=1e-13),
        source=_CELL_EVAL,
        pitfalls=(
            "Predicting the effect that all perturbations share already correlates: compare with the mean baseline.",
            "The own target gene is inside, and is often the largest effect.",
            "Undefined for a constant effect; presets charge a constant prediction -1.",
        ),
    )
)
_FIVE: tuple[tuple[str, Any, str, tuple[float, float], str], ...] = (
    ("expr_mse_unbiased", expr_mse_unbiased, "(|b̂ - b|² - Ĉ - C) / G", (-np.inf, np.inf), "log1p²"),
    (
        "expr_mse_unbiased_capped",
        expr_mse_unbiased_capped,
        "(|b̂ - b|² - ρ min(Ĉ, C) - C) / G",
        (-np.inf, np.inf),
        "log1p²",
    ),
    ("expr_distance_unbiased", expr_distance_unbiased, "(|b - c|² - C - C_control) / G", (-np.inf, np.inf), "log1p²"),
    ("expr_real_mass_ratio", expr_real_mass_ratio, "Σ_g expm1(b) / target_sum", (0.0, np.inf), "1"),
)
_COMPONENT = "A component of expr_mse_unbiased_capped_norm, or a fact about the data: no score on its own."
_FACTS = {
    "expr_mse_unbiased": ("May be negative: an unbiased estimate of a small number.",),
    "expr_mse_unbiased_capped": ("Predictions without spread over perturbations forfeit their correction (rho).",),
    "expr_distance_unbiased": ("Nothing of the prediction: how far the truth lies from the control.",),
    "expr_real_mass_ratio": ("1 in logs of sums; means of logs lose mass (Jensen), which no prediction mends.",),
}
for _name, _formula, _definition, _bounds, _unit in _FIVE:
    register(
        MetricSpec(
            name=_name,
            family="expression",
            needs=frozenset({"profiles"} if _name == "expr_real_mass_ratio" else {"profiles", "correction"}),
            better="none",
            best=None,
            chance=None,
            bounds=_bounds,
            unit=_unit,
            definition=_definition,
            formula=_formula,
            reference=getattr(reference, _name),
            # a difference of nearly equal numbers: the bound is on the scale of the profiles, not of the result
            parity=Parity(rtol=1e-10, atol=1e-12),
            source=_UNBIASED,
            pitfalls=(*_FACTS[_name], _COMPONENT),
        )
    )
register(
    MetricSpec(
        name="expr_mse_unbiased_capped_norm",
        family="expression",
        needs=frozenset({"profiles", "correction"}),
        better="lower",
        best=0.0,
        chance=1.0,
        bounds=(-np.inf, np.inf),
        definition="Σ_p expr_mse_unbiased_capped / Σ_p expr_distance_unbiased",
        formula=panel_only,
        reference=reference.panel_only,
        aggregate="ratio_of_sums",
        numerator="expr_mse_unbiased_capped",
        denominator="expr_distance_unbiased",
        parity=Parity(rtol=1e-10, atol=1e-12),
        source=_UNBIASED,
        pitfalls=(
            "1 is a draw of the control; the mean of all perturbations may be below it.",
            "Has no value for one perturbation: a ratio of sums over the panel.",
            "May be negative where the corrections exceed the error.",
        ),
    )
)
