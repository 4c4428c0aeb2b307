"""Genes one by one over the perturbations, summed up: correlation within genes, and collapse of their spread."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vcmetrics.backend.threads import resolve_threads
from vcmetrics.metrics.gene_bootstrap import STATISTICS, summary_of
from vcmetrics.metrics.gene_correlation import columns, include
from vcmetrics.metrics.literature import literature_row
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import Values
from vcmetrics.reference import per_gene as slow

Method = Literal["pearson", "spearman", "concordance"]
Statistic = Literal["median", "mean", "fisher_mean"]


def gene_columns(
    pair: Pair, method: str, min_expression: float | None, min_variance: float | None
) -> dict[str, NDArray[Any]]:
    """What :func:`vcmetrics.gene_correlation` says of every gene, of the pair's profiles."""

    def make() -> dict[str, NDArray[Any]]:
        pred, real = pair.profiles()
        ranked = "spearman" if method == "spearman" else "pearson"
        table = columns(pred.mean, real.mean, None, ranked, None, resolve_threads(None))
        include(table, min_expression, min_variance)
        return table

    return pair.shared(("gene_columns", method == "spearman", min_expression, min_variance), make)


def everywhere(pair: Pair, values: Values, statistic: str) -> Values:
    """A statistic over genes, in every row."""
    if statistic not in STATISTICS:
        msg = f"statistic={statistic!r} is not known; choose from {', '.join(STATISTICS)}"
        raise ValueError(msg)
    if not values.size:
        return np.full(pair.n, np.nan)
    return np.full(pair.n, summary_of(values[None])[0, STATISTICS.index(statistic)])


def r_gene(
    pair: Pair,
    *,
    method: Method = "pearson",
    statistic: Statistic = "median",
    min_expression: float | None = None,
    min_variance: float | None = None,
) -> Values:
    """Correlation of each gene's predicted and observed values over the perturbations, summed up over the genes.

    Parameters
    ----------
    pair
        Profiles of both sides.
    method
        ``pearson``, ``spearman`` or ``concordance``.
    statistic
        ``median``, ``mean``, ``fisher_mean`` (mean of Fisher's z) or a quantile (``q05``, ``q25``, ``q75``, ``q95``).
    min_expression, min_variance
        Leave genes with a lower observed mean or variance over the perturbations out; None: no filter.

    Returns
    -------
    (n_perturbations,), the same number in each, in [-1, 1]; 1 is best, 0 is chance. Genes that are constant on a side
    are left out (see ``genes_predicted_constant``); NaN where none is left.

    Notes
    -----
    A predictor that knows only batches or studies scores high; :func:`vcmetrics.gene_correlation` takes it apart within
    and between them.

    References
    ----------
    GEM-1 (its gene filter could not be read; both filters are parameters here).

    Examples
    --------
    Gene a over three perturbations: (1, 2, 3) predicted, (2, 4, 6) observed: 1; gene b opposite: -1. Median 0.
    """
    if method not in ("pearson", "spearman", "concordance"):
        msg = f"method={method!r} is not known; choose from pearson, spearman, concordance"
        raise ValueError(msg)
    table = gene_columns(pair, method, min_expression, min_variance)
    return everywhere(pair, table[method][table["included"]], statistic)


def gene_dispersion_ratio(
    pair: Pair,
    *,
    statistic: Literal["median", "mean"] = "median",
    min_expression: float | None = None,
    min_variance: float | None = None,
) -> Values:
    """Standard deviation over the perturbations of each gene's predicted values over that of its observed ones.

    Parameters
    ----------
    pair
        Profiles of both sides.
    statistic
        Over the genes: ``median``, ``mean`` or a quantile (``q05``, ``q25``, ``q75``, ``q95``).
    min_expression, min_variance
        As for :func:`r_gene`.

    Returns
    -------
    (n_perturbations,), the same number in each, >= 0; 1 is right, 0 is collapse to one profile, above 1 too much
    spread. Genes that do not vary in reality are left out; NaN where none is left.

    Notes
    -----
    Sampling noise adds to both spreads, so that a noisy prediction of nothing looks alive. Invariant to a vector added
    to all profiles of a side; proportional to the size of the predicted effects.

    References
    ----------
    Ahlmann-Eltze et al. 2025, Extended Data.

    Examples
    --------
    Predicted (1, 2, 3), observed (2, 4, 6): 0.5.
    """
    table = gene_columns(pair, "pearson", min_expression, min_variance)
    return everywhere(pair, table["dispersion_ratio"][table["included"]], statistic)


def genes_predicted_constant(
    pair: Pair, *, min_expression: float | None = None, min_variance: float | None = None
) -> Values:
    """Share of the genes that vary in reality and are predicted to be the same under all perturbations.

    Parameters
    ----------
    pair
        Profiles of both sides.
    min_expression, min_variance
        As for :func:`r_gene`.

    Returns
    -------
    (n_perturbations,), the same number in each, in [0, 1]; 0 is best. NaN where no gene varies in reality.

    References
    ----------
    What correlations within genes leave out as undefined.

    Examples
    --------
    Two genes vary, one of them is predicted constant: 0.5.
    """
    table = gene_columns(pair, "pearson", min_expression, min_variance)
    varies = table["included"] & ~table["constant_real"] & (table["n"] >= 2)
    share = float(table["constant_pred"][varies].mean()) if varies.any() else np.nan
    return np.full(pair.n, share)


_FILTER = {"min_expression": None, "min_variance": None}
literature_row(
    "r_gene",
    "per_gene",
    r_gene,
    slow.r_gene,
    "median over genes of Pearson over perturbations of predicted and observed values",
    "GEM-1, within-gene correlation",
    {"method": "pearson", "statistic": "median", **_FILTER},
    "common_shift",
    "scale_degree_0",
    "prediction_scale",
    better="higher",
    best=1.0,
    chance=0.0,
    bounds=(-1.0, 1.0),
    panel="whole",
    pitfalls=(
        "Genes predicted constant have no value and leave the summary: see genes_predicted_constant.",
        "A prediction that knows only each study's mean scores high where studies differ: see r_gene_within.",
    ),
)
literature_row(
    "gene_dispersion_ratio",
    "per_gene",
    gene_dispersion_ratio,
    slow.gene_dispersion_ratio,
    "median over genes of sd_p(b̂) / sd_p(b)",
    "Ahlmann-Eltze et al. 2025, Extended Data: spread of predictions",
    {"statistic": "median", **_FILTER},
    "common_shift",
    "scale_degree_0",
    better="none",
    best=None,
    bounds=(0.0, np.inf),
    panel="whole",
    pitfalls=(
        "1 says that predictions vary as much as truths, not that they vary alike.",
        "Noise of few cells widens the observed spread.",
    ),
)
literature_row(
    "genes_predicted_constant",
    "per_gene",
    genes_predicted_constant,
    slow.genes_predicted_constant,
    "share of the genes that vary in reality whose prediction does not",
    "GEM-1 and Ahlmann-Eltze et al. 2025: what their per-gene statistics cannot say",
    _FILTER,
    "common_shift",
    "scale_degree_0",
    "prediction_scale",
    bounds=(0.0, 1.0),
    panel="whole",
    pitfalls=("Says what per-gene correlations leave out; nothing of the genes that vary.",),
)
