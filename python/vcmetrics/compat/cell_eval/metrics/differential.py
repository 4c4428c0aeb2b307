"""Metrics of two DE tables, under cell-eval's names and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from vcmetrics.compat.cell_eval.enums import DESortBy

if TYPE_CHECKING:
    from vcmetrics.compat.cell_eval.differential import DEComparison


def de_overlap_metric(
    data: DEComparison,
    k: int | None,
    metric: Literal["precision", "overlap"] = "overlap",
    fdr_threshold: float = 0.05,
    sort_by: DESortBy = DESortBy.ABS_LOG2_FOLD_CHANGE,
) -> dict[str, float]:
    """Shared share of the ranked lists of significant genes, by perturbation."""
    return data.compute_overlap(k=k, metric=metric, fdr_threshold=fdr_threshold, sort_by=sort_by)


class _Thresholded:
    def __init__(self, fdr_threshold: float = 0.05) -> None:
        self.fdr_threshold = fdr_threshold


class DESpearmanSignificant(_Thresholded):
    """Spearman correlation over perturbations of the numbers of significant genes."""

    def __call__(self, data: DEComparison) -> float:
        """One number; 1 where no perturbation has a significant gene."""
        return data.measured.value("de_spearman_sig", alpha=self.fdr_threshold)


class DEDirectionMatch(_Thresholded):
    """Share of observed significant genes whose predicted change has the same sign."""

    def __call__(self, data: DEComparison) -> dict[str, float]:
        """By perturbation; absent without observed significant genes."""
        return data.measured.values("de_direction_match", alpha=self.fdr_threshold)


class DESpearmanLFC(_Thresholded):
    """Spearman correlation of fold changes over the observed significant genes."""

    def __call__(self, data: DEComparison) -> dict[str, float]:
        """By perturbation; absent without observed significant genes."""
        return data.measured.values("de_spearman_lfc_sig", alpha=self.fdr_threshold)


class DESigGenesRecall(_Thresholded):
    """Share of observed significant genes that the prediction calls significant."""

    def __call__(self, data: DEComparison) -> dict[str, float]:
        """By perturbation; absent without observed significant genes."""
        return data.measured.values("de_sig_genes_recall", alpha=self.fdr_threshold)


class DENsigCounts(_Thresholded):
    """Numbers of significant genes of both sides."""

    def __call__(self, data: DEComparison) -> dict[str, dict[str, int]]:
        """Perturbation → ``real`` and ``pred``."""
        real = data.measured.values("de_nsig_counts_real", alpha=self.fdr_threshold)
        pred = data.measured.values("de_nsig_counts_pred", alpha=self.fdr_threshold)
        return {p: {"real": int(real[p]), "pred": int(pred[p])} for p in real}


def compute_pr_auc(data: DEComparison) -> dict[str, float]:
    """Average precision of the predicted q-values against the observed calls, by perturbation."""
    return data.measured.values("pr_auc")


def compute_roc_auc(data: DEComparison) -> dict[str, float]:
    """Area under the ROC curve of the predicted q-values against the observed calls, by perturbation."""
    return data.measured.values("roc_auc")
