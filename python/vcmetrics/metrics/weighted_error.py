"""Errors and R² weighted by how much each gene tells a perturbation from the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from vcmetrics.metrics.gene_choice import gene_choice
from vcmetrics.metrics.gene_weights import Flat, Weights, gene_weights
from vcmetrics.metrics.literature import CHOICE, literature_row
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.referenced_effects import referenced_effects
from vcmetrics.metrics.registry import Values
from vcmetrics.reference import weighted_error as slow


def weighted_error(
    pair: Pair,
    *,
    weights: Weights = "t_rest",
    flat: Flat = "by_score",
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Squared profile error weighted by how much each gene tells the perturbation from the others (WMSE).

    ``Σ_g w_g (b̂ - b)² / Σ_g w_g``, w from squared, stretched t scores.

    Parameters
    ----------
    pair
        Profiles of both sides; of the observed one with variances and numbers of cells.
    weights, flat
        See :mod:`vcmetrics.metrics.gene_weights`.
    genes, exclude, alpha
        See :mod:`vcmetrics.metrics.gene_choice`; scores are stretched over the chosen genes.

    Returns
    -------
    (n_perturbations,), >= 0 in the profiles' unit squared; 0 is best. NaN where all weights are 0 or undefined.

    Notes
    -----
    Weights come from the truth; a replicate must be scored with those of other cells. A handful of genes carry nearly
    all weight (see ``effective_genes``), the target gene first: compare with ``exclude="own"``.

    References
    ----------
    Diversity by Design (Needles in the Haystack), Shift.

    Examples
    --------
    Squared errors (1, 4) with weights (1, 0.25): 2 / 1.25 = 1.6.
    """
    choice = gene_choice(pair, genes, exclude, alpha)
    each = gene_weights(pair, weights, flat, genes, exclude, alpha)
    effects = referenced_effects(pair, "none")
    out = np.full(pair.n, np.nan)
    for p, w in enumerate(each):
        total = w.sum()
        if total > 0:
            error = effects.error(p)[choice.of(p)]
            out[p] = (w * error * error).sum() / total
    return out


def effective_genes(
    pair: Pair,
    *,
    weights: Weights = "t_rest",
    flat: Flat = "by_score",
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Number of equally weighted genes that would weigh as much: ``(Σ w)² / Σ w²``.

    Parameters
    ----------
    pair
        Observed profiles with variances and numbers of cells.
    weights, flat, genes, exclude, alpha
        As for :func:`weighted_error`.

    Returns
    -------
    (n_perturbations,), from 1 to the number of genes; a diagnostic of the weights. NaN where all are 0.

    Examples
    --------
    Weights (1, 0.25): 1.5625 / 1.0625 = 1.47.
    """
    out = np.full(pair.n, np.nan)
    for p, w in enumerate(gene_weights(pair, weights, flat, genes, exclude, alpha)):
        below = (w * w).sum()
        if below > 0:
            out[p] = w.sum() ** 2 / below
    return out


_WEIGHED = {"weights": "t_rest", "flat": "by_score", **CHOICE}
literature_row(
    "wmse",
    "weighted_error",
    weighted_error,
    slow.weighted_error,
    "Σ_g w (b̂ - b)² / Σ_g w, w from squared t scores",
    "Diversity by Design (Needles in the Haystack, ICML 2026); Shift",
    _WEIGHED,
    "common_shift",
    "scale_degree_2",
    needs=("profiles", "variance"),
    unit="log1p²",
    pitfalls=(
        "The weights come from the truth: take them from another half of the cells when a replicate is scored.",
        "A handful of genes carries nearly all weight: see effective_genes.",
    ),
)
literature_row(
    "effective_genes",
    "weighted_error",
    effective_genes,
    slow.effective_genes,
    "(Σ_g w)² / Σ_g w² of wmse's weights",
    "Kish's effective number, of the weights of Diversity by Design",
    _WEIGHED,
    "common_shift",
    "scale_degree_0",
    needs=("profiles", "variance"),
    better="none",
    best=None,
    bounds=(1.0, np.inf),
    unit="genes",
    pitfalls=("Says how many genes wmse looks at, nothing of the prediction.",),
)
