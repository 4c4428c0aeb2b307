"""Errors in units of the effect: what a prediction is worth beside predicting none."""

from __future__ import annotations

from typing import Any

import numpy as np

from vcmetrics.metrics.gene_choice import gene_choice
from vcmetrics.metrics.literature import CHOICE, REFERENCED, hashable, literature_row
from vcmetrics.metrics.pair import Pair, no_rows
from vcmetrics.metrics.profile_error import per_gene, squared_error
from vcmetrics.metrics.referenced_effects import referenced_effects
from vcmetrics.metrics.registry import Values
from vcmetrics.reference import norm_error as slow


def no_effect_error(pair: Pair, *, genes: Any = "all", exclude: str = "none", alpha: float = 0.05) -> Values:
    """Mean squared observed effect: what predicting the control costs.

    Parameters
    ----------
    pair
        Observed profiles and control.
    genes, exclude, alpha
        See :mod:`vcmetrics.metrics.gene_choice`.

    Returns
    -------
    (n_perturbations,), >= 0 in the profiles' unit squared; a diagnostic, the denominator of ``norm_mse``.

    Examples
    --------
    Profile (2, 4), control (1, 1): (1 + 9) / 2 = 5.
    """

    def make() -> Values:
        choice = gene_choice(pair, genes, exclude, alpha)
        effects = referenced_effects(pair)
        sums = np.empty(pair.n)
        for p in range(pair.n):
            effect = effects.real(p)[choice.of(p)]
            sums[p] = (effect * effect).sum()
        return per_gene(sums, np.array([choice.size(p) for p in range(pair.n)], np.int64))

    key = ("no_effect_error", hashable(genes), exclude, alpha)
    return pair.shared(key, make)


def effect_error(pair: Pair, *, genes: Any = "all", exclude: str = "none", alpha: float = 0.05) -> Values:
    """Mean squared difference of predicted and observed effect against the control, over the chosen genes.

    Parameters
    ----------
    pair
        Profiles of both sides with their controls.
    genes, exclude, alpha
        See :mod:`vcmetrics.metrics.gene_choice`.

    Returns
    -------
    (n_perturbations,), >= 0 in the profiles' unit squared; 0 is best; the numerator of ``norm_mse``.

    Examples
    --------
    Effects (2, 0) and (0, 0): (4 + 0) / 2 = 2.
    """
    return squared_error(pair, reference="control", genes=genes, exclude=exclude, alpha=alpha)


def norm_mse(pair: Pair, *, genes: Any = "all", exclude: str = "none", alpha: float = 0.05) -> Values:
    """Effect error of the whole panel over the error of predicting no effect; no value a perturbation.

    ``Σ_p MSE_p / Σ_p MSE_p(0)``: the sums of ``norm_mse_error`` and of ``norm_mse_effect``.

    Parameters
    ----------
    pair
        Profiles of both sides with their controls.
    genes, exclude, alpha
        See :mod:`vcmetrics.metrics.gene_choice`; they reach both sums. PRESAGE takes top lists of 5 to 2000 genes, or
        their union.

    Returns
    -------
    (n_perturbations,), all masked. The panel's value: >= 0; 0 is best, 1 is a prediction of the control; undefined
    where no perturbation has an effect.

    Notes
    -----
    Perturbations with large effects decide; ``pn_mse`` weighs all alike.

    References
    ----------
    PRESAGE.

    Examples
    --------
    Errors (2, 1), no-effect errors (4, 8): 3 / 12 = 0.25.
    """
    return no_rows(pair.n)


def pn_mse(
    pair: Pair, *, quantile: float = 0.1, genes: Any = "all", exclude: str = "none", alpha: float = 0.05
) -> Values:
    """Effect error over the error of predicting no effect, kept from exploding where there is next to none.

    ``MSE_p / (MSE_p(0) + Q)``: Q is a quantile over the panel of MSE_q(0), the cost of predicting the control.

    Parameters
    ----------
    pair
        Profiles of both sides with their controls; the whole panel, since Q is one number for it.
    quantile
        Level of Q, linear between neighbours.
    genes, exclude, alpha
        See :mod:`vcmetrics.metrics.gene_choice`; PRESAGE takes top lists of 5 to 2000 genes, or their union.

    Returns
    -------
    (n_perturbations,), >= 0; 0 is best, below 1 for predicting the control. NaN where no gene is left, or 0 / 0.

    References
    ----------
    PRESAGE.

    Examples
    --------
    Errors (2, 2), no-effect errors (4, 4): Q = 4, 2 / 8 = 0.25 each.
    """
    own = no_effect_error(pair, genes=genes, exclude=exclude, alpha=alpha)
    defined = own[~np.isnan(own)]
    floor = float(np.quantile(defined, quantile)) if defined.size else np.nan
    below = own + floor
    out = np.full(pair.n, np.nan)
    np.divide(effect_error(pair, genes=genes, exclude=exclude, alpha=alpha), below, out=out, where=below > 0)
    return out


def norm_error(
    pair: Pair,
    *,
    relative: bool = False,
    reference: str = "control",
    leave_one_out: bool = True,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Absolute difference of the lengths of predicted and observed effect: ``| |d| - |d̂| |``.

    Parameters
    ----------
    pair
        Profiles of both sides with what ``reference`` is made of.
    relative
        Divide by the observed length.
    reference, leave_one_out
        See :func:`vcmetrics.metrics.referenced_effects.referenced_effects`.
    genes, exclude, alpha
        See :mod:`vcmetrics.metrics.gene_choice`.

    Returns
    -------
    (n_perturbations,), >= 0 in the profiles' unit (relative: a share); 0 is best, predicting no effect gives |d|
    (relative: 1). NaN without genes or reference, and relative to an observed length of 0.

    Notes
    -----
    Blind to direction. PRESAGE's relative form tests the predicted length where it divides by the observed one, so
    that it fails for an observed 0; that is not reproduced.

    References
    ----------
    PRESAGE.

    Examples
    --------
    Effects (3, 4) observed and (0, 1) predicted: 5 - 1 = 4, relative 0.8.
    """
    choice = gene_choice(pair, genes, exclude, alpha)
    effects = referenced_effects(pair, reference, leave_one_out=leave_one_out)
    out = np.full(pair.n, np.nan)
    for p in range(pair.n):
        genes_of = choice.of(p)
        x, y = effects.pred(p)[genes_of], effects.real(p)[genes_of]
        if y.size:
            length = np.sqrt((y * y).sum())
            gap = np.abs(length - np.sqrt((x * x).sum()))
            out[p] = gap if not relative else (gap / length if length > 0 else np.nan)
    return out


literature_row(
    "norm_mse_error",
    "norm_error",
    effect_error,
    slow.effect_error,
    "mean_g (d̂ - d)²",
    "PRESAGE, numerator of its normalised error",
    CHOICE,
    "common_shift",
    "scale_degree_2",
    unit="log1p²",
    pitfalls=("A component of norm_mse; large effects dominate its mean.",),
)
literature_row(
    "norm_mse_effect",
    "norm_error",
    no_effect_error,
    slow.no_effect_error,
    "mean_g d²",
    "PRESAGE, denominator of its normalised error",
    CHOICE,
    "common_shift",
    "scale_degree_2",
    better="none",
    best=None,
    unit="log1p²",
    pitfalls=("A component of norm_mse: the error of predicting no effect, nothing of the prediction.",),
)
literature_row(
    "norm_mse",
    "norm_error",
    norm_mse,
    slow.norm_mse,
    "Σ_p norm_mse_error / Σ_p norm_mse_effect",
    "PRESAGE, its normalised error (1: predicts the control)",
    CHOICE,
    "common_shift",
    "scale_degree_0",
    chance=1.0,
    aggregate="ratio_of_sums",
    numerator="norm_mse_error",
    denominator="norm_mse_effect",
    pitfalls=(
        "A ratio of sums: the strongest perturbations decide it.",
        "1 is predicting the control, not the mean of all perturbations, which is often well below 1.",
    ),
)
literature_row(
    "pn_mse",
    "norm_error",
    pn_mse,
    slow.pn_mse,
    "mean_g (d̂ - d)² / (mean_g d² + its 10 % quantile over the panel)",
    "PRESAGE, its prior-normalised error",
    {"quantile": 0.1, **CHOICE},
    "common_shift",
    "scale_degree_0",
    pitfalls=("The quantile is taken over the scored panel, so a value depends on who is scored together.",),
)
literature_row(
    "norm_error",
    "norm_error",
    norm_error,
    slow.norm_error,
    "| |d| - |d̂| | (relative: by |d|)",
    "PRESAGE, error of the effect's norm",
    {"relative": False, **REFERENCED, **CHOICE},
    "common_shift",
    "scale_degree_1",
    unit="log1p",
    pitfalls=("The direction of the effect does not enter: an opposite prediction of equal size scores 0.",),
)
