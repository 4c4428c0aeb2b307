"""One row a metric: what it is called, what it needs, how it is read, where it comes from.

A row names one formula ``f(pair, **parameters)`` that returns ``(n_perturbations,)`` float64. NaN says
*undefined*; a masked entry says *no row*: that perturbation is left out of the long table. Presets never
carry formulas: they choose values for the parameters below.

==================  =======================================================================================
``alpha``           significance level of the DE members (0.05); strict ``<``
``sort_by``         order of the ranked gene lists: ``abs_log2_fold_change`` | ``log2_fold_change`` |
                    ``p_value`` | ``p_adj``
``auc_floor``       what a predicted ``p_adj`` of 0 counts as: ``min_nonzero`` | ``clip`` | ``replace_zero`` |
                    ``preserve``
``single_precision``  round to float32 first: the columns of DE tables (cell-eval always), profiles and their
                      effects (cell-eval with data of that precision)
``exclude``         target genes left out of match ranks and gene lists: ``panel`` | ``row`` | ``none``
``ties``            ``midrank`` | ``position`` (``first``) | ``last`` | ``optimistic`` | ``pessimistic``
``denominator``     of match ranks: ``n-1`` | ``n``
``embedding``       score this embedding instead of the genes (match ranks)
``genes``           genes that a metric sees, see :mod:`vcmetrics.metrics.gene_choice`
``reference``       what effects are taken against, with ``leave_one_out``; see
                    :func:`vcmetrics.metrics.referenced_effects.referenced_effects`
``weights``         of genes, with ``flat``; see :mod:`vcmetrics.metrics.gene_weights`
``undefined``       what an undefined value becomes: ``nan`` | ``zero``
``gated``           judge only perturbations whose *reference* can be judged, and charge an undefined
                    prediction there the worst value (see :class:`Gate`)
==================  =======================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.row_table import RowTable

Values = NDArray[np.float64]
Formula = Callable[..., Values]
Need = Literal["profiles", "correction", "variance", "batches", "train", "de", "cells"]

# modules that register metrics, imported when the registry is first read
_FAMILIES = (
    "expression",
    "discrimination",
    "de_overlap",
    "de_effect",
    "de_curves",
    "de_direction",
    "cells",
    "clustering",
    "coexpression",
    "profile_error",
    "weighted_error",
    "norm_error",
    "match_ranks",
    "target_ranking",
    "gene_panels",
    "phenotypes",
    "phenocopy",
    "virtual_screen",
    "effect_detection",
    "cell_labels",
    "interactions",
    "cell_distances",
    "delta_correlation",
    "r2",
    "direction",
    "variation",
    "effect_lists",
    "signed_p",
    "per_gene",
    "cell_range",
)


@dataclass(frozen=True)
class Parity:
    """How far a fast path may lie from the reference: ``|fast - slow| <= atol + rtol * |slow|``."""

    rtol: float
    atol: float


@dataclass(frozen=True)
class Gate:
    """Which perturbations can be judged at all, decided by the reference alone.

    Outside ``inside`` a value becomes NaN. Inside, a missing or non-finite value becomes ``worst``, and so
    does every value whose prediction ``flat`` calls constant. A ``worst`` of None says that an undefined value
    cannot occur there; it raises.
    """

    inside: Callable[[Pair, Mapping[str, Any]], NDArray[np.bool_]]
    worst: float | None
    text: str
    flat: Callable[[Pair, Mapping[str, Any]], NDArray[np.bool_]] | None = None

    def apply(self, values: Values, pair: Pair, parameters: Mapping[str, Any], name: str) -> Values:
        """Return ``values`` with the gate and its fills applied."""
        inside = self.inside(pair, parameters)
        out = np.full(pair.n, np.nan)
        given = np.where(np.ma.getmaskarray(values), np.nan, np.ma.getdata(values))
        out[inside] = given[inside]
        bad = inside & ~np.isfinite(out)
        if self.flat is not None:
            bad |= inside & self.flat(pair, parameters)
        if bad.any():
            if self.worst is None:
                who = ", ".join(pair.perturbations[i] for i in np.flatnonzero(bad)[:5])
                msg = f"{name} is undefined for {who}, where the reference can be judged; check the DE tables"
                raise DataError(msg)
            out[bad] = self.worst
        return out


@dataclass(frozen=True)
class MetricSpec:
    """A row of the registry.

    ``definition`` is the formula on one line for people; ``chance`` the value of an uninformed prediction, None
    where there is no such number. ``aggregate`` is ``mean`` or ``ratio_of_sums`` of ``numerator`` and
    ``denominator``. A value that is one number for the whole panel (the same in every row) says with ``panel`` what
    becomes of it when perturbations are drawn anew: it is the ``pearson`` or ``spearman`` correlation of the columns
    that ``panel_values`` returns, (n_perturbations, 2) with NaN for those that stay out, or cannot be had without the
    data (``whole``). ``defaults`` are the parameters that the formula takes; ``required`` names those that have no
    default and must be given. ``extra`` is the optional dependency of this package that the formula imports; None where
    it needs no other. ``pitfalls`` are sentences that a reader of the number should know.
    """

    name: str
    family: str
    needs: frozenset[Need]
    better: Literal["higher", "lower", "none"]
    best: float | None
    chance: float | None
    bounds: tuple[float, float]
    definition: str
    formula: Formula
    reference: Formula
    source: str
    parity: Parity
    aliases: tuple[str, ...] = ()
    unit: str = "1"
    aggregate: Literal["mean", "ratio_of_sums"] = "mean"
    numerator: str | None = None
    denominator: str | None = None
    panel: Literal["pearson", "spearman", "whole"] | None = None
    panel_values: Formula | None = None
    defaults: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    gate: Gate | None = None
    invariants: tuple[str, ...] = ("gene_order", "perturbation_order")
    extra: str | None = None
    required: tuple[str, ...] = ()
    pitfalls: tuple[str, ...] = ()

    def parameters(self, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The formula's parameters: ``settings`` where they name one, else the defaults."""
        settings = settings or {}
        return {key: settings.get(key, value) for key, value in self.defaults.items()}

    def evaluate(self, pair: Pair, settings: Mapping[str, Any] | None = None, *, slow: bool = False) -> Values:
        """Values of all perturbations under ``settings``.

        Parameters
        ----------
        pair
            Prediction and reality; what ``needs`` lists must be there.
        settings
            Parameters by name, those of other metrics included (they are ignored); ``gated`` applies the gate.
        slow
            Take the reference in place of the formula.

        Returns
        -------
        (n_perturbations,) float64, NaN where undefined, masked where there is no row.
        """
        chosen = self.parameters(settings)
        values = (self.reference if slow else self.formula)(pair, **chosen)
        if settings and settings.get("gated") and self.gate is not None:
            values = self.gate.apply(values, pair, chosen, self.name)
        return values


_TABLE: RowTable[MetricSpec] = RowTable(
    "metric", "vcmetrics.metrics", _FAMILIES, lambda spec: spec.family, "list_metrics() or `vcmetrics metrics`"
)
register = _TABLE.register
rows = _TABLE.rows


def list_metrics() -> list[str]:
    """Names of all metrics, in the order of registration.

    Examples
    --------
    >>> "pds_cosine" in list_metrics()
    True
    """
    return [spec.name for spec in rows()]


def get(name: str) -> MetricSpec:
    """Row of a metric by its name or an alias.

    Examples
    --------
    >>> get("discrimination_score_cosine").name
    'pds_cosine'
    """
    return _TABLE.get(name)
