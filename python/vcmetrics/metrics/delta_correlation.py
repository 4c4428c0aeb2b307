"""Correlation of predicted and observed effects over chosen genes, under any reference, as rows of the registry."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from vcmetrics.metrics.gene_choice import gene_choice
from vcmetrics.metrics.literature import CHOICE, REFERENCED, hashable, literature_row
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.referenced_effects import Effects, referenced_effects
from vcmetrics.metrics.registry import Values
from vcmetrics.metrics.row_correlation import METHODS, Correlations, Method, Sides, row_correlations
from vcmetrics.reference import delta_correlation as slow

Undefined = Literal["nan", "zero"]


def correlations(
    pair: Pair,
    method: Method,
    *,
    reference: str = "control",
    leave_one_out: bool = True,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Correlations:
    """Correlations of all perturbations and why some are undefined, made once for the pair."""
    if method not in METHODS:
        msg = f"method={method!r} is not known; choose from {', '.join(METHODS)}"
        raise ValueError(msg)

    def make() -> Correlations:
        from vcmetrics.backend.threads import resolve_threads

        choice = gene_choice(pair, genes, exclude, alpha)
        effects = referenced_effects(pair, reference, leave_one_out=leave_one_out)

        def rows() -> Iterator[Sides]:
            for p in range(pair.n):
                at = choice.of(p)
                yield Sides(*(table[at] for table in _tables(effects, p)))

        return row_correlations(rows(), method, n_threads=resolve_threads(None))

    return pair.shared(("correlations", method, reference, leave_one_out, hashable(genes), exclude, alpha), make)


def _tables(effects: Effects, p: int) -> list[Values]:
    """Both profiles of a row, and both bases."""
    bases = [base if base.ndim == 1 else base[p] for base in (effects.pred_base, effects.real_base)]
    return [effects.pred_mean[p], effects.real_mean[p], *bases]


def filled(values: Values, undefined: Undefined) -> Values:
    """``values`` with NaN as it is, or as 0."""
    if undefined not in ("nan", "zero"):
        msg = f"undefined={undefined!r} is not known; choose from nan, zero"
        raise ValueError(msg)
    return np.where(np.isnan(values), 0.0, values) if undefined == "zero" else values


def effect_correlation_row(
    pair: Pair,
    *,
    method: Method,
    reference: str = "control",
    leave_one_out: bool = True,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
    undefined: Undefined = "nan",
) -> Values:
    """Correlation, over the chosen genes, of each perturbation's predicted and observed effect.

    Parameters
    ----------
    pair
        Profiles of both sides with what ``reference`` is made of.
    method
        ``pearson``; ``spearman`` (average ranks); ``cosine`` (not centred: adding a constant to an effect changes it).
    reference, leave_one_out
        What both effects are taken against, see :func:`vcmetrics.metrics.referenced_effects.referenced_effects`.
    genes, exclude, alpha
        See :mod:`vcmetrics.metrics.gene_choice`; lists rank by t or by the effect against the control, whatever the
        reference is.
    undefined
        What an undefined value becomes: ``nan``, or ``zero`` (GEARS and TxPert write 0, PRESAGE for zero norms).

    Returns
    -------
    (n_perturbations,), in [-1, 1]; 1 is best, 0 is chance. Undefined: an effect that is constant (cosine: zero) up to
    rounding, fewer than two genes (cosine: one), no other perturbation to average. ``effect_undefined`` counts them.

    Notes
    -----
    Any positive multiple of the predicted effect scores the same, its negative the opposite sign. Pitfall: where
    effects share a part s beside their own u, orthogonal to it, predicting s for every perturbation scores
    |s| / √(|s|² + |u|²) against the control: a biased control profile alone makes it high. Against a mean that knows as
    little of the perturbation, such a prediction is the reference itself and undefined. The rest is noisier, so its
    attainable maximum lies far below 1: compare with a replicate. Cost O(n_perturbations · n_genes), ranks × log.

    References
    ----------
    GEARS, PEREGGRN, TxPert (control, batch-matched control), Systema, Shift, Diversity by Design, Broad obesity
    challenge (perturbed means), PRESAGE (cosine), Open Problems and Prophet (Spearman).

    Examples
    --------
    Effects (1, 2, 3) and (2, 4, 6) give 1; (1, 2, 3) and (3, 2, 1) give -1, their cosine 10 / 14.
    """
    found = correlations(
        pair, method, reference=reference, leave_one_out=leave_one_out, genes=genes, exclude=exclude, alpha=alpha
    )
    return filled(found.values, undefined)


def effect_undefined(
    pair: Pair,
    *,
    method: Method = "pearson",
    reference: str = "control",
    leave_one_out: bool = True,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
) -> Values:
    """Whether the correlation of a perturbation's effects is undefined; its mean is the share that is.

    Parameters
    ----------
    pair
        Profiles of both sides with what ``reference`` is made of.
    method, reference, leave_one_out, genes, exclude, alpha
        As for the correlation that is counted.

    Returns
    -------
    (n_perturbations,), 1 where it is undefined, else 0; a diagnostic to be read beside every effect correlation.

    Examples
    --------
    Observed effect (1, 2, 3), predicted (2, 2, 2): 1 for Pearson, 0 for cosine.
    """
    found = correlations(
        pair, method, reference=reference, leave_one_out=leave_one_out, genes=genes, exclude=exclude, alpha=alpha
    )
    return np.isnan(found.values).astype(np.float64)


def squared_pearson(
    pair: Pair,
    *,
    reference: str = "none",
    leave_one_out: bool = True,
    genes: Any = "all",
    exclude: str = "none",
    alpha: float = 0.05,
    undefined: Undefined = "nan",
) -> Values:
    """Squared Pearson correlation over genes: what some studies report as R².

    Parameters
    ----------
    pair
        Profiles of both sides with what ``reference`` is made of.
    reference, leave_one_out, genes, exclude, alpha, undefined
        As for :func:`effect_correlation_row`; by default the raw profiles are correlated.

    Returns
    -------
    (n_perturbations,), in [0, 1]; 1 is best. NaN as for the correlation.

    Notes
    -----
    Never negative, and the same for a prediction of the opposite sign; between-gene differences of the raw profiles
    alone make it high. It is not :func:`vcmetrics.metrics.r2.r2`.

    References
    ----------
    PDGrapher ("R2 scgen").

    Examples
    --------
    Profiles (1, 2, 3) and (3, 2, 1): (-1)² = 1.
    """
    values = effect_correlation_row(
        pair,
        method="pearson",
        reference=reference,
        leave_one_out=leave_one_out,
        genes=genes,
        exclude=exclude,
        alpha=alpha,
        undefined=undefined,
    )
    return np.asarray(values * values)


_SOURCES = {
    "pearson": "GEARS, TxPert, Systema, Shift, Diversity by Design, Broad obesity challenge, PEREGGRN, PRESAGE",
    "spearman": "PEREGGRN, Open Problems, Prophet",
    "cosine": "PRESAGE, cossim and cossim_ntcmean",
}
for _method in METHODS:
    literature_row(
        f"effect_{_method}",
        "delta_correlation",
        effect_correlation_row,
        slow.effect_correlation_row,
        f"{'cos' if _method == 'cosine' else _method.capitalize()}(d̂, d) over chosen genes, against a chosen reference",
        _SOURCES[_method],
        {"method": _method, **REFERENCED, **CHOICE, "undefined": "nan"},
        "common_shift",
        "scale_degree_0",
        "prediction_scale",
        *(() if _method == "cosine" else ("prediction_offset",)),
        better="higher",
        best=1.0,
        chance=0.0,
        bounds=(-1.0, 1.0),
        pitfalls=(
            "Against the control, the effect that all perturbations share already correlates.",
            "A perturbed mean that holds the truth of the scored perturbation leaks it: see leave_one_out.",
            "Undefined for constant (cosine: zero) effects; how many there are says effect_undefined.",
        ),
    )
literature_row(
    "effect_undefined",
    "delta_correlation",
    effect_undefined,
    slow.effect_undefined,
    "1 where Pearson(d̂, d) (or Spearman, cosine) is undefined, else 0",
    "what Systema, GEARS and TxPert write as 0 or leave out, counted",
    {"method": "pearson", **REFERENCED, **CHOICE},
    "common_shift",
    "scale_degree_0",
    "prediction_scale",
    better="none",
    best=None,
    bounds=(0.0, 1.0),
    pitfalls=("Counts what other rows leave out: read it beside their means.",),
)
literature_row(
    "r2_pearson",
    "delta_correlation",
    squared_pearson,
    slow.squared_pearson,
    "Pearson(b̂, b)² over chosen genes",
    "PDGrapher, R2 scgen: linregress.rvalue² of the mean profile",
    MappingProxyType({**REFERENCED, "reference": "none", **CHOICE, "undefined": "nan"}),
    "scale_degree_0",
    better="higher",
    best=1.0,
    bounds=(0.0, 1.0),
    pitfalls=("Never negative, and the same for a prediction and its opposite; raw profiles reach 0.9 for no change.",),
)
