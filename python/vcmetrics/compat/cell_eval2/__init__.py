"""cell-eval2 0.20.0's interface: ``from vcmetrics.compat.cell_eval2 import compute_metrics, EvalConfig``.

Names, signatures, defaults, files and columns are cell-eval2's; the numbers are those of the presets ``vcc2026``,
``cell-eval2``, ``cell-eval2-v1`` and ``cell-eval2-0.7.6`` on a CPU. Frames are polars where it is installed, else
pandas. What needs a GPU, DESeq2 or a cell archive raises one clear line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vcmetrics.compat.cell_eval2.baseline import BaselineResult, build_generic_baseline
from vcmetrics.compat.cell_eval2.bundle import build_real_bundle
from vcmetrics.compat.cell_eval2.config import DEParams, DiscriminationParams, EvalConfig, FilterParams
from vcmetrics.compat.cell_eval2.document import facts_checker, settings_to_config
from vcmetrics.compat.cell_eval2.identity import VERSION as __version__
from vcmetrics.compat.cell_eval2.reference import compute_ceiling, compute_lfc_nmae_reference
from vcmetrics.compat.cell_eval2.run import compute_metrics
from vcmetrics.compat.cell_eval2.score import expect_from_run_meta, score_metrics
from vcmetrics.compat.cell_eval2.tables import aggregate_metrics, aggregate_metrics_wide

__all__ = [
    "BaselineResult",
    "DEParams",
    "DiscriminationParams",
    "EvalConfig",
    "FilterParams",
    "__version__",
    "aggregate_metrics",
    "aggregate_metrics_wide",
    "build_generic_baseline",
    "build_real_bundle",
    "compute_ceiling",
    "compute_lfc_nmae_reference",
    "compute_metrics",
    "expect_from_run_meta",
    "facts_checker",
    "score_metrics",
    "settings_to_config",
]

_ELSEWHERE = {
    **dict.fromkeys(
        ("score_cellstream", "cell_archive_input_type", "fingerprint_ground_truth_cell_archive"),
        "cell archives are read by cell-eval2 only; score .h5ad or .zarr with compute_metrics",
    ),
    **dict.fromkeys(
        ("score_h5ad_manifest", "read_rowstore_plan", "score_rowstore", "MemBudget", "ScoreResult"),
        "files are streamed in any case; score them with compute_metrics",
    ),
    "precompute_cache": "its caches are not written here; EvalConfig(cache_real=...) keeps a summary of the reference",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name in _ELSEWHERE:
            msg = f"vcmetrics.compat.cell_eval2 has no {name}: {_ELSEWHERE[name]}"
            raise ImportError(msg)
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
