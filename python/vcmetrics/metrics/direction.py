"""Do genes move the way they were predicted to?"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from vcmetrics.metrics.delta_correlation import Undefined, filled
from vcmetrics.metrics.gene_choice import gene_choice
from vcmetrics.metrics.literature import CHOICE, REFERENCED, hashable, literature_row
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.referenced_effects import referenced_effects
from vcmetrics.metrics.registry import Values
from vcmetrics.reference import direction as slow

Outcome = Literal["correct", "opposite", "one_zero"]
_APART = {"correct": 0, "one_zero": 1, "opposite": 2}


def signs(effect: Values, decimals: int | None) -> Values:
    """-1, 0, 1; of rounded numbers where asked for."""
    return np.sign(effect if decimals is None else np.round(effect, decimals))


def direction_share(
    pair: Pair,
    *,
    outcome: Outcome,
    decimals: int | None = None,
    reference: str = "control",
    leave_one_out: bool = True,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Share of the chosen genes whose predicted and observed effects agree in sign, are opposite, or one of them zero.

    Parameters
    ----------
    pair
        Profiles of both sides with what ``reference`` is made of.
    outcome
        ``|sign d̂ - sign d|`` is 0 (``correct``, two zeros included), 2 (``opposite``) or 1 (``one_zero``).
    decimals
        Round effects to so many decimals first; None: as they are.
    reference, leave_one_out
        What both effects are taken against, see :func:`vcmetrics.metrics.referenced_effects.referenced_effects`.
    genes, exclude, alpha
        See :mod:`vcmetrics.metrics.gene_choice`; GEARS takes ``t_test:20``, PEREGGRN all genes.

    Returns
    -------
    (n_perturbations,), in [0, 1]; the three outcomes add up to 1. NaN where no gene is left or no reference exists.

    Notes
    -----
    Every gene counts alike, those that do not move as well: over all genes the sign of noise is scored. A prediction
    that leaves genes at the control is neither correct nor opposite there.

    References
    ----------
    GEARS (frac_correct_direction, frac_opposite_direction, frac_0/1_direction); PEREGGRN
    (proportion_correct_direction).

    Examples
    --------
    Effects (1, -1, 0, 2) observed and (2, 1, 0, 0) predicted: correct 2 / 4, opposite 1 / 4, one zero 1 / 4.
    """
    if outcome not in _APART:
        msg = f"outcome={outcome!r} is not known; choose from {', '.join(_APART)}"
        raise ValueError(msg)
    choice = gene_choice(pair, genes, exclude, alpha)
    effects = referenced_effects(pair, reference, leave_one_out=leave_one_out)

    def make() -> Values:
        out = np.full((pair.n, 3), np.nan)
        for p in range(pair.n):
            at = choice.of(p)
            apart = np.abs(signs(effects.pred(p)[at], decimals) - signs(effects.real(p)[at], decimals))
            if apart.size and not np.isnan(apart).any():
                out[p] = [np.count_nonzero(apart == k) / apart.size for k in range(3)]
        return out

    key = ("direction", decimals, reference, leave_one_out, hashable(genes), exclude, alpha)
    return np.array(pair.shared(key, make)[:, _APART[outcome]])


def direction_p_value(
    pair: Pair,
    *,
    decimals: int | None = 2,
    correction: bool = True,
    reference: str = "control",
    leave_one_out: bool = True,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Probability (p) of the chi-square test that predicted and observed signs are independent over the chosen genes.

    Parameters
    ----------
    pair
        Profiles of both sides with what ``reference`` is made of.
    decimals
        Round effects to so many decimals before their signs are taken; None: as they are.
    correction
        Yates' continuity correction where the table is 2 × 2.
    reference, leave_one_out, genes, exclude, alpha
        As for :func:`direction_share`.

    Returns
    -------
    (n_perturbations,), in [0, 1]; a diagnostic: small for dependence of any kind, agreement or opposition. 1 where one
    side has a single sign (a table without degrees of freedom); NaN where no gene is left or no reference exists.

    Notes
    -----
    The table has the signs that occur, at most 3 × 3. Genes are not independent, so the p-value is no error rate.

    References
    ----------
    PEREGGRN (pvalue_effect_direction).

    Examples
    --------
    Effects (1, 0, 1, 0) on both sides: a 2 × 2 table, chi-square with correction 1, p = 0.317.
    """
    choice = gene_choice(pair, genes, exclude, alpha)
    effects = referenced_effects(pair, reference, leave_one_out=leave_one_out)
    out = np.full(pair.n, np.nan)
    for p in range(pair.n):
        at = choice.of(p)
        x, y = (signs(side(p)[at], decimals) for side in (effects.pred, effects.real))
        if x.size and not np.isnan(x + y).any():
            counts = np.bincount((3 * (y + 1) + (x + 1)).astype(np.int64), minlength=9).reshape(3, 3)
            out[p] = independence(counts.astype(np.float64), correction)
    return out


def independence(counts: Values, correction: bool) -> float:
    """Probability (p) of the chi-square test of a table, empty rows and columns left out.

    Examples
    --------
    >>> round(independence(np.array([[2.0, 0.0], [0.0, 2.0]]), True), 4)
    0.3173
    """
    from scipy.special import chdtrc

    table = counts[counts.sum(1) > 0][:, counts.sum(0) > 0]
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    if freedom == 0:
        return 1.0
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    gap = np.abs(table - expected)
    if correction and freedom == 1:
        gap -= np.minimum(0.5, gap)
    return float(chdtrc(freedom, (gap * gap / expected).sum()))


def fold_change_contrast(
    pair: Pair,
    *,
    decimals: int | None = 2,
    reference: str = "control",
    leave_one_out: bool = True,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
    undefined: Undefined = "nan",
) -> Values:
    """Mean observed effect of the genes predicted up, less that of the genes predicted down.

    Parameters
    ----------
    pair
        Profiles of both sides with what ``reference`` is made of.
    decimals
        Round predicted effects to so many decimals before their signs are taken; None: as they are.
    reference, leave_one_out, genes, exclude, alpha
        As for :func:`direction_share`.
    undefined
        ``nan``, or ``zero``.

    Returns
    -------
    (n_perturbations,), in the profiles' unit; higher is better, 0 is chance. Where only one of the two directions is
    predicted, the genes predicted not to move stand in for the other; undefined where that leaves one set alone.

    Notes
    -----
    Unbounded: it grows with the observed effects, so compare within one perturbation.

    References
    ----------
    PEREGGRN (fc_targets_vs_non_targets).

    Examples
    --------
    Observed (1, 0, 1, 0), predicted (0, 1, 0, 1): mean of the second and fourth less that of the others, 0 - 1 = -1.
    """
    choice = gene_choice(pair, genes, exclude, alpha)
    effects = referenced_effects(pair, reference, leave_one_out=leave_one_out)
    out = np.full(pair.n, np.nan)
    for p in range(pair.n):
        at = choice.of(p)
        foretold, observed = signs(effects.pred(p)[at], decimals), effects.real(p)[at]
        up, down, still = (observed[foretold == s] for s in (1, -1, 0))
        if up.size and down.size:
            out[p] = up.mean() - down.mean()
        elif still.size and up.size:
            out[p] = up.mean() - still.mean()
        elif still.size and down.size:
            out[p] = still.mean() - down.mean()
    return filled(out, undefined)


_HOW = {**REFERENCED, **CHOICE}
_SHARES: tuple[tuple[Outcome, str, str, float | None], ...] = (
    ("correct", "share of genes with sign d̂ = sign d (0 = 0 included)", "higher", 1.0),
    ("opposite", "share of genes with opposite signs of d̂ and d", "lower", 0.0),
    ("one_zero", "share of genes of which one of d̂, d is 0", "none", None),
)
for _outcome, _definition, _better, _best in _SHARES:
    literature_row(
        f"direction_{_outcome}",
        "direction",
        direction_share,
        slow.direction_share,
        _definition,
        "GEARS, direction of the top genes; PEREGGRN, proportion_correct_direction",
        {"outcome": _outcome, "decimals": None, **_HOW},
        "common_shift",
        "scale_degree_0",
        "prediction_scale",
        better=_better,
        best=_best,
        bounds=(0.0, 1.0),
        pitfalls=(
            "The own target gene is inside unless it is excluded.",
            "Signs of genes without any effect are noise: over all genes chance is near a half.",
        ),
    )
literature_row(
    "direction_p_value",
    "direction",
    direction_p_value,
    slow.direction_p_value,
    "p of the chi-square test of sign d̂ against sign d, effects rounded to 2 decimals",
    "PEREGGRN, pvalue_effect_direction",
    {"decimals": 2, "correction": True, **_HOW},
    "common_shift",
    better="none",
    best=None,
    bounds=(0.0, 1.0),
    pitfalls=(
        "A p-value falls with the number of genes; it is no measure of agreement.",
        "Agreement and opposition give the same small p.",
    ),
)
literature_row(
    "fold_change_contrast",
    "direction",
    fold_change_contrast,
    slow.fold_change_contrast,
    "mean d of genes predicted up - mean d of genes predicted down",
    "PEREGGRN, fc_targets_vs_non_targets",
    {"decimals": 2, **_HOW, "undefined": "nan"},
    "common_shift",
    better="higher",
    best=None,
    chance=0.0,
    bounds=(-np.inf, np.inf),
    unit="log1p",
    pitfalls=(
        "In the unit of the effect: not comparable between data sets.",
        "Undefined where nothing is predicted up, or nothing down.",
    ),
)
