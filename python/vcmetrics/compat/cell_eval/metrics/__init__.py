"""``cell_eval.metrics``: functions by cell-eval's names, and the registry."""

from __future__ import annotations

from vcmetrics.compat.cell_eval.enums import MetricBestValue, MetricType
from vcmetrics.compat.cell_eval.metrics.base import Metric, MetricInfo, MetricResult
from vcmetrics.compat.cell_eval.metrics.differential import (
    DEDirectionMatch,
    DENsigCounts,
    DESigGenesRecall,
    DESpearmanLFC,
    DESpearmanSignificant,
    compute_pr_auc,
    compute_roc_auc,
    de_overlap_metric,
)
from vcmetrics.compat.cell_eval.metrics.expression import (
    ClusteringAgreement,
    discrimination_score,
    edistance,
    mae,
    mae_delta,
    mse,
    mse_delta,
    pearson_delta,
)
from vcmetrics.compat.cell_eval.metrics.registry import MetricRegistry

__all__ = [
    "ClusteringAgreement",
    "DEDirectionMatch",
    "DENsigCounts",
    "DESigGenesRecall",
    "DESpearmanLFC",
    "DESpearmanSignificant",
    "Metric",
    "MetricInfo",
    "MetricResult",
    "compute_pr_auc",
    "compute_roc_auc",
    "de_overlap_metric",
    "discrimination_score",
    "mae",
    "mae_delta",
    "metrics_registry",
    "mse",
    "mse_delta",
    "pearson_delta",
]

metrics_registry = MetricRegistry()


def _fill() -> None:
    """The metrics of 0.8.2; the order within a type is that of the columns of the results."""
    pair, de = MetricType.ANNDATA_PAIR, MetricType.DE
    zero, one, none = MetricBestValue.ZERO, MetricBestValue.ONE, MetricBestValue.NONE
    add = metrics_registry.register
    add("pearson_delta", pair, "Pearson correlation of effects", pearson_delta, one)
    add("mse", pair, "mean squared error of profiles", mse, zero)
    add("mae", pair, "mean absolute error of profiles", mae, zero)
    add("mse_delta", pair, "mean squared error of effects", mse_delta, zero)
    add("mae_delta", pair, "mean absolute error of effects", mae_delta, zero)
    for distance in ("l1", "l2", "cosine"):
        text = f"match rank of the effect among all observed ones, {distance} distance"
        add(f"discrimination_score_{distance}", pair, text, discrimination_score, one, kwargs={"metric": distance})
    add("pearson_edistance", pair, "Pearson correlation of energy distances to the control", edistance, one)
    for kind in ("overlap", "precision"):
        for k in (None, 50, 100, 200, 500):
            text = f"{kind} of the ranked significant genes at {k or 'N'}"
            add(f"{kind}_at_{k or 'N'}", de, text, de_overlap_metric, one, kwargs={"k": k, "metric": kind})
    add("de_spearman_sig", de, "Spearman correlation of significant counts", DESpearmanSignificant, one, is_class=True)
    add("de_direction_match", de, "share of equal signs", DEDirectionMatch, one, is_class=True)
    add("de_spearman_lfc_sig", de, "Spearman correlation of fold changes", DESpearmanLFC, one, is_class=True)
    add("de_sig_genes_recall", de, "recall of significant genes", DESigGenesRecall, one, is_class=True)
    add("de_nsig_counts", de, "numbers of significant genes", DENsigCounts, none, is_class=True)
    add("pr_auc", de, "average precision of predicted q-values", compute_pr_auc, one)
    add("roc_auc", de, "ROC area of predicted q-values", compute_roc_auc, one)
    add("clustering_agreement", pair, "agreement of clusters of profiles", ClusteringAgreement, one, is_class=True)


_fill()
