"""How much of the effects all perturbations share: where it is much, an uninformed prediction correlates well."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from vcmetrics.backend.threads import resolve_threads
from vcmetrics.metrics.gene_choice import gene_choice
from vcmetrics.metrics.literature import CHOICE, literature_row
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.referenced_effects import referenced_effects
from vcmetrics.metrics.registry import Values
from vcmetrics.metrics.row_correlation import Sides, row_correlations
from vcmetrics.reference import variation as slow

SideName = Literal["real", "pred"]


def effects_table(pair: Pair, side: str, reference: str, leave_one_out: bool) -> tuple[Values, Values]:
    """Profiles of one side and what is subtracted from them, (n_perturbations, n_genes) each."""
    if side not in ("real", "pred"):
        msg = f"side={side!r} is not known; choose from real, pred"
        raise ValueError(msg)
    effects = referenced_effects(pair, reference, leave_one_out=leave_one_out)
    mean, base = (effects.real_mean, effects.real_base) if side == "real" else (effects.pred_mean, effects.pred_base)
    return mean, np.broadcast_to(base, mean.shape)


def mean_effect_cosine(
    pair: Pair,
    *,
    side: SideName = "real",
    reference: str = "control",
    leave_one_out: bool = False,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Cosine of each perturbation's effect with the mean effect of all.

    Parameters
    ----------
    pair
        Profiles of the side with what ``reference`` is made of.
    side
        Effects of reality (``real``) or of the prediction (``pred``).
    reference, leave_one_out
        What effects are taken against; by default one reference for all rows, so that rows can be compared.
    genes, exclude, alpha
        See :mod:`vcmetrics.metrics.gene_choice`.

    Returns
    -------
    (n_perturbations,), in [-1, 1]; a diagnostic of the data. Near 1: effects point the same way, and correlations of
    effects against this reference are easy. NaN for a zero effect or a zero mean.

    Notes
    -----
    The mean includes the perturbation itself, so that independent effects of one size give about 1 / √n, not 0. Against
    the mean of these very perturbations it is zero and the value undefined. Its square is the share of |d|² along the
    mean effect.

    References
    ----------
    Systema (systematic variation).

    Examples
    --------
    Effects (1, 0) and (0, 1): mean (0.5, 0.5), cosine 0.71 for both.
    """
    mean, base = effects_table(pair, side, reference, leave_one_out)
    choice = gene_choice(pair, genes, exclude, alpha)
    total, level, zero = np.zeros(mean.shape[1]), np.zeros(mean.shape[1]), np.zeros(mean.shape[1])
    for p in range(pair.n):
        total += mean[p] - base[p]
        np.maximum(level, np.abs(mean[p]), out=level)
    total /= max(pair.n, 1)

    def rows() -> Any:
        for p in range(pair.n):
            at = choice.of(p)
            yield Sides(mean[p][at], total[at], base[p][at], zero[at])

    found = row_correlations(rows(), "cosine").values
    # a mean of effects that cancel is rounding of the profiles
    for p in range(pair.n):
        at = choice.of(p)
        if np.sqrt((total[at] ** 2).sum()) <= 1e-13 * np.sqrt((level[at] ** 2).sum()):
            found[p] = np.nan
    return found


def effect_pair_cosine(
    pair: Pair,
    *,
    side: SideName = "real",
    statistic: Literal["mean", "median"] = "mean",
    reference: str = "control",
    leave_one_out: bool = False,
    exclude: str = "none",
) -> Values:
    """Cosine of each perturbation's effect with those of the others, summed up over the others.

    Parameters
    ----------
    pair
        Profiles of the side with what ``reference`` is made of.
    side
        Effects of reality (``real``) or of the prediction (``pred``).
    statistic
        ``mean`` or ``median`` over the other perturbations.
    reference, leave_one_out
        As for :func:`mean_effect_cosine`.
    exclude
        ``none``, or ``panel``: leave all target genes out.

    Returns
    -------
    (n_perturbations,), in [-1, 1]; a diagnostic. NaN for a zero effect or a single perturbation; others' zero effects
    are passed over.

    Notes
    -----
    The mean over the panel is that of all pairs. Of predictions it tells collapse: 1 where all are alike. Cost
    O(n_perturbations² · n_genes).

    References
    ----------
    Systema.

    Examples
    --------
    Effects (1, 0), (0, 1), (1, 1): 0 and 0.71 for the first, mean 0.35.
    """
    from vcmetrics import _core

    if statistic not in ("mean", "median"):
        msg = f"statistic={statistic!r} is not known; choose from mean, median"
        raise ValueError(msg)
    if exclude not in ("none", "panel"):
        msg = f"exclude={exclude!r} leaves different genes to each of a pair; choose from none, panel"
        raise ValueError(msg)
    mean, base = effects_table(pair, side, reference, leave_one_out)
    at = gene_choice(pair, "all", exclude).of(0) if pair.n else slice(None)
    effect = np.ascontiguousarray((mean - base)[:, at])
    products = np.asarray(_core.pairwise_sums(effect, effect, "product", None, resolve_threads(None)))
    lengths = np.sqrt(np.diag(products))
    level = np.maximum(np.abs(mean[:, at]).max(1, initial=0.0), np.abs(base[:, at]).max(1, initial=0.0))
    lengths[~(lengths > 1e-13 * level * np.sqrt(max(effect.shape[1], 1)))] = np.nan
    cosines = np.clip(products / lengths[:, None] / lengths[None, :], -1.0, 1.0)
    np.fill_diagonal(cosines, np.nan)
    out = np.full(pair.n, np.nan)
    for p in range(pair.n):
        known = cosines[p][~np.isnan(cosines[p])]
        if known.size:
            out[p] = known.mean() if statistic == "mean" else np.median(known)
    return out


def effect_norm(
    pair: Pair,
    *,
    side: SideName = "real",
    reference: str = "control",
    leave_one_out: bool = True,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Euclidean length of each perturbation's effect.

    Parameters
    ----------
    pair
        Profiles of the side with what ``reference`` is made of.
    side
        Effects of reality (``real``) or of the prediction (``pred``).
    reference, leave_one_out
        See :func:`vcmetrics.metrics.referenced_effects.referenced_effects`.
    genes, exclude, alpha
        See :mod:`vcmetrics.metrics.gene_choice`.

    Returns
    -------
    (n_perturbations,), >= 0 in the profiles' unit; a diagnostic. Sampling noise biases it upwards. NaN without genes or
    reference.

    References
    ----------
    Systema.

    Examples
    --------
    Effect (3, 4): 5.
    """
    mean, base = effects_table(pair, side, reference, leave_one_out)
    choice = gene_choice(pair, genes, exclude, alpha)
    out = np.full(pair.n, np.nan)
    for p in range(pair.n):
        effect = mean[p][choice.of(p)] - base[p][choice.of(p)]
        if effect.size:
            out[p] = np.sqrt((effect * effect).sum())
    return out


_ABOUT: dict[str, Any] = {"better": "none", "best": None}
_ONE = {"side": "real", "reference": "control", "leave_one_out": False}
literature_row(
    "mean_effect_cosine",
    "variation",
    mean_effect_cosine,
    slow.mean_effect_cosine,
    "cos(d_p, mean_q d_q)",
    "Systema, systematic variation: effects against their mean",
    {**_ONE, **CHOICE},
    "common_shift",
    "scale_degree_0",
    bounds=(-1.0, 1.0),
    **_ABOUT,
    pitfalls=("Describes the data, not the prediction: high values mean that correlations with the control are easy.",),
)
literature_row(
    "effect_pair_cosine",
    "variation",
    effect_pair_cosine,
    slow.effect_pair_cosine,
    "mean (or median) over q ≠ p of cos(d_p, d_q)",
    "Systema, systematic variation: effects against each other",
    {"side": "real", "statistic": "mean", "reference": "control", "leave_one_out": False, "exclude": "none"},
    "common_shift",
    "scale_degree_0",
    bounds=(-1.0, 1.0),
    **_ABOUT,
    pitfalls=("Noise of the common control makes all effects alike: part of the cosine is no biology.",),
)
literature_row(
    "effect_norm",
    "variation",
    effect_norm,
    slow.effect_norm,
    "|d_p|",
    "Systema, systematic variation: sizes of effects",
    {**_ONE, "leave_one_out": True, **CHOICE},
    "common_shift",
    "scale_degree_1",
    unit="log1p",
    **_ABOUT,
    pitfalls=("Biased upwards by sampling noise, the more the fewer cells.",),
)
