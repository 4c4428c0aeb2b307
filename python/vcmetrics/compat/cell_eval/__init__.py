"""cell-eval 0.8.2's interface: ``from vcmetrics.compat.cell_eval import MetricsEvaluator``.

Names, signatures, defaults, attributes, files and columns are cell-eval's; the numbers are those of the preset
``cell-eval``. Frames are polars where it is installed, else pandas. What differs: the AnnData given are never changed
(cell-eval normalises counts in place), tied match ranks keep label order, and a baseline at its optimum is an error in
place of a division by zero.
"""

from __future__ import annotations

from vcmetrics.compat.cell_eval.baseline import build_base_mean_adata
from vcmetrics.compat.cell_eval.differential import DEComparison, DEResults, initialize_de_comparison
from vcmetrics.compat.cell_eval.enums import DESortBy, MetricBestValue, MetricType
from vcmetrics.compat.cell_eval.evaluator import MetricsEvaluator
from vcmetrics.compat.cell_eval.metrics import metrics_registry
from vcmetrics.compat.cell_eval.pair import BulkArrays, CellArrays, PerturbationAnndataPair
from vcmetrics.compat.cell_eval.pipeline import KNOWN_PROFILES, MetricPipeline
from vcmetrics.compat.cell_eval.score import score_agg_metrics

__all__ = [
    "KNOWN_PROFILES",
    "BulkArrays",
    "CellArrays",
    "DEComparison",
    "DEResults",
    "DESortBy",
    "MetricBestValue",
    "MetricPipeline",
    "MetricType",
    "MetricsEvaluator",
    "PerturbationAnndataPair",
    "build_base_mean_adata",
    "initialize_de_comparison",
    "metrics_registry",
    "score_agg_metrics",
]
