"""Per-gene correlation over perturbations, as one number a panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.gene_bootstrap import summarize_genes
from vcmetrics.metrics.gene_correlation import METHODS, by_study, columns, include
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import MetricSpec, Parity, Values, register
from vcmetrics.reference import gene_panels as reference

SUMMARIES = ("median", "mean", "fisher_mean")


def gene_columns(
    pair: Pair, method: str, min_expression: float | None, min_variance: float | None
) -> dict[str, NDArray[np.float64]]:
    """Columns of the per-gene table of this pair."""
    if method not in METHODS:
        msg = f"method {method!r} is not known; choose from {', '.join(METHODS)}"
        raise ValueError(msg)

    def make() -> dict[str, NDArray[np.float64]]:
        pred, real = pair.profiles()
        table = columns(
            np.ascontiguousarray(pred.mean), np.ascontiguousarray(real.mean), None, method, None, None
        )  # fmt: skip
        include(table, min_expression, min_variance)
        return table

    return pair.shared(("gene columns", method, min_expression, min_variance), make)


def summary(values: Values, over: str) -> float:
    """Median, mean or mean of Fisher's z over the genes that have a value."""
    if over not in SUMMARIES:
        msg = f"summary {over!r} is not known; choose from {', '.join(SUMMARIES)}"
        raise ValueError(msg)
    return summarize_genes(values, None, None)[over]["value"]


def r_gene(
    pair: Pair,
    *,
    method: str = "pearson",
    summary: str = "median",
    min_expression: float | None = None,
    min_variance: float | None = None,
) -> Values:
    """Correlation of prediction and reality over perturbations, gene by gene, summarised over the genes.

    Parameters
    ----------
    pair
        Profiles of both sides.
    method
        ``pearson`` or ``spearman`` (average ranks).
    summary
        Over the genes: ``median``, ``mean``, or ``fisher_mean`` (mean of Fisher's z, brought back).
    min_expression, min_variance
        Leave genes out whose mean observed profile, or observed variance (n - 1) over perturbations, is below.

    Returns
    -------
    (n_perturbations,), the same value in each, in [-1, 1]; 1 is best, 0 is chance. Genes that either side predicts
    constant are undefined and stay out of the summary; NaN where no gene is left.

    Notes
    -----
    The share of genes left out is that of :func:`vcmetrics.gene_correlation`. Cost O(n · n_genes).

    Examples
    --------
    Two genes with correlations 0.5 and 1 over the perturbations: 0.75.
    """
    table = gene_columns(pair, method, min_expression, min_variance)
    return np.full(pair.n, _summary(table[method][table["included"]], summary))


def r_gene_within(
    pair: Pair,
    *,
    studies: Mapping[str, str] | None = None,
    part: str = "within",
    method: str = "pearson",
    summary: str = "median",
    n_min: int = 4,
    min_expression: float | None = None,
    min_variance: float | None = None,
) -> Values:
    """The same inside studies (batches, cell types): what knowing the study alone explains is taken off.

    Parameters
    ----------
    pair
        Profiles of both sides.
    studies
        Perturbation → study; None: all are of one, which gives :func:`r_gene`.
    part
        ``within``: study means are taken off both sides, then one correlation; ``within_averaged``: one correlation a
        study of at least ``n_min`` perturbations, averaged as Fisher's z with weights n - 3; ``between``: of the
        studies' means.
    n_min
        See ``part``; at least 4.
    method, summary, min_expression, min_variance
        As for :func:`r_gene`.

    Returns
    -------
    (n_perturbations,), the same value in each, in [-1, 1]; 1 is best, 0 is chance; NaN where no gene varies inside the
    studies on both sides.

    Examples
    --------
    A prediction that knows each study's mean profile and no more: NaN, while :func:`r_gene` is above 0.
    """
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
    return np.full(pair.n, _summary(values[included], summary))


_summary: Callable[[Values, str], float] = summary
_COMMON = {"method": "pearson", "summary": "median"}
_FILTERS = {"min_expression": None, "min_variance": None}
_CONSTANT = "Genes predicted constant have no value and leave the summary: look at their share before comparing models."
_SOURCE = "GEM-1, within-gene correlation; its filter and transform are not published, so both are parameters"
register(
    MetricSpec(
        name="r_gene",
        family="gene_panels",
        needs=frozenset({"profiles"}),
        better="higher",
        best=1.0,
        chance=0.0,
        bounds=(-1.0, 1.0),
        definition="median over genes of the Pearson correlation over perturbations",
        formula=r_gene,
        reference=reference.r_gene,
        defaults=MappingProxyType({**_COMMON, **_FILTERS}),
        invariants=("gene_order", "perturbation_order", "scale_degree_0", "common_shift"),
        panel="whole",
        parity=Parity(rtol=1e-9, atol=1e-11),
        source=_SOURCE,
        pitfalls=(
            _CONSTANT,
            "A prediction that knows only each study's mean scores high where studies differ: see r_gene_within.",
        ),
    )
)
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
