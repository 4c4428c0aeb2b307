"""Per-gene correlation inside studies, as one number a panel."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics.metrics.gene_correlation import METHODS, by_study
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.per_gene import everywhere, gene_columns
from vcmetrics.metrics.registry import MetricSpec, Parity, Values, register
from vcmetrics.reference import gene_panels as reference


def r_gene_within(
    pair: Pair,
    *,
    studies: Mapping[str, str] | None = None,
    part: str = "within",
    method: str = "pearson",
    statistic: str = "median",
    n_min: int = 4,
    min_expression: float | None = None,
    min_variance: float | None = None,
) -> Values:
    """Correlation of each gene over the perturbations inside studies, summed up over the genes.

    Studies may be batches, donors or cell types: what knowing the study alone explains is taken off.

    Parameters
    ----------
    pair
        Profiles of both sides.
    studies
        Perturbation → study; None: all are of one, which gives ``r_gene``.
    part
        ``within``: study means are taken off both sides, then one correlation; ``within_averaged``: one correlation a
        study of at least ``n_min`` perturbations, averaged as Fisher's z with weights n - 3; ``between``: of the
        studies' means.
    n_min
        See ``part``; at least 4.
    method, statistic, min_expression, min_variance
        As for ``r_gene``.

    Returns
    -------
    (n_perturbations,), the same value in each, in [-1, 1]; 1 is best, 0 is chance; NaN where no gene varies inside the
    studies on both sides.

    Examples
    --------
    A prediction that knows each study's mean profile and no more: NaN, while ``r_gene`` is above 0.
    """
    if method not in METHODS:
        msg = f"method {method!r} is not known; choose from {', '.join(METHODS)}"
        raise ValueError(msg)
    if part not in ("within", "within_averaged", "between"):
        msg = f"part {part!r} is not known; pass 'within', 'within_averaged' or 'between'"
        raise ValueError(msg)
    missing = [] if studies is None else [p for p in pair.perturbations if p not in studies]
    if missing:
        msg = f"studies= says nothing of {len(missing)} perturbations (first: {missing[0]!r}); map every one to a study"
        raise DataError(msg)
    labels = np.array(["" if studies is None else str(studies[p]) for p in pair.perturbations])
    codes = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    pred, real = pair.profiles()
    included = gene_columns(pair, method, min_expression, min_variance)["included"]
    x, y = (np.ascontiguousarray(side.mean) for side in (pred, real))
    values = by_study(x, y, codes, method, n_min, None, None)[part]
    return everywhere(pair, values[included], statistic)


_COMMON = {"method": "pearson", "statistic": "median"}
_FILTERS = {"min_expression": None, "min_variance": None}
_CONSTANT = "Genes predicted constant inside the studies have no value and leave the summary."
_SOURCE = "GEM-1, within-gene correlation; its filter and transform are not published, so both are parameters"
register(
    MetricSpec(
        name="r_gene_within",
        family="gene_panels",
        needs=frozenset({"profiles"}),
        better="higher",
        best=1.0,
        chance=0.0,
        bounds=(-1.0, 1.0),
        definition="median over genes of the Pearson correlation over perturbations after study means are taken off",
        formula=r_gene_within,
        reference=reference.r_gene_within,
        defaults=MappingProxyType({"studies": None, "part": "within", **_COMMON, "n_min": 4, **_FILTERS}),
        invariants=("gene_order", "perturbation_order", "scale_degree_0", "common_shift"),
        panel="whole",
        parity=Parity(rtol=1e-9, atol=1e-11),
        source=_SOURCE,
        pitfalls=(_CONSTANT, "Without studies= all perturbations are of one study, and the value is that of r_gene."),
    )
)
