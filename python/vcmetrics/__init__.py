"""Metrics for virtual-cell models, compiled.

Names are loaded when they are first used, so that ``import vcmetrics`` costs milliseconds and pulls in
neither pandas nor anndata.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vcmetrics._errors import DataError, DeviceError, VcmetricsWarning
from vcmetrics._version import __version__

if TYPE_CHECKING:
    from vcmetrics import arrays, baselines, calibration, confounders, datasets
    from vcmetrics.backend.config import show_config
    from vcmetrics.calibration.ratio import calibrate
    from vcmetrics.distances.bootstrap import bootstrap_distance
    from vcmetrics.distances.compare import compare_distance
    from vcmetrics.distances.conventions import list_conventions
    from vcmetrics.distances.matrix import distance_matrix, distances_to
    from vcmetrics.distances.permutation import permutation_test
    from vcmetrics.metrics.distance.registry import list_distances
    from vcmetrics.metrics.effect_correlation import effect_correlation
    from vcmetrics.metrics.gene_correlation import gene_correlation
    from vcmetrics.metrics.registry import list_metrics
    from vcmetrics.presets.preset import list_presets
    from vcmetrics.results.score_result import ScoreResult
    from vcmetrics.retrieval.baselines import retrieval_baselines
    from vcmetrics.retrieval.discrimination import discrimination
    from vcmetrics.retrieval.sweep import discrimination_sweep
    from vcmetrics.scoring.interval import compare_scores
    from vcmetrics.scoring.profile_reference import Reference
    from vcmetrics.scoring.score import score
    from vcmetrics.summary.group_summary import GroupSummary
    from vcmetrics.summary.merging import merge_summaries
    from vcmetrics.summary.summarize import differential_expression, pseudobulk, summarize

# public name -> (module, whether the name is a member of it or the module itself)
_LAZY: dict[str, tuple[str, bool]] = {
    "GroupSummary": ("vcmetrics.summary.group_summary", True),
    "Reference": ("vcmetrics.scoring.profile_reference", True),
    "ScoreResult": ("vcmetrics.results.score_result", True),
    "arrays": ("vcmetrics.arrays", False),
    "baselines": ("vcmetrics.baselines", False),
    "bootstrap_distance": ("vcmetrics.distances.bootstrap", True),
    "calibrate": ("vcmetrics.calibration.ratio", True),
    "calibration": ("vcmetrics.calibration", False),
    "compare_distance": ("vcmetrics.distances.compare", True),
    "compare_scores": ("vcmetrics.scoring.interval", True),
    "confounders": ("vcmetrics.confounders", False),
    "datasets": ("vcmetrics.datasets", False),
    "differential_expression": ("vcmetrics.summary.summarize", True),
    "discrimination": ("vcmetrics.retrieval.discrimination", True),
    "discrimination_sweep": ("vcmetrics.retrieval.sweep", True),
    "distance_matrix": ("vcmetrics.distances.matrix", True),
    "distances_to": ("vcmetrics.distances.matrix", True),
    "effect_correlation": ("vcmetrics.metrics.effect_correlation", True),
    "gene_correlation": ("vcmetrics.metrics.gene_correlation", True),
    "list_conventions": ("vcmetrics.distances.conventions", True),
    "list_distances": ("vcmetrics.metrics.distance.registry", True),
    "list_metrics": ("vcmetrics.metrics.registry", True),
    "list_presets": ("vcmetrics.presets.preset", True),
    "merge_summaries": ("vcmetrics.summary.merging", True),
    "permutation_test": ("vcmetrics.distances.permutation", True),
    "pseudobulk": ("vcmetrics.summary.summarize", True),
    "retrieval_baselines": ("vcmetrics.retrieval.baselines", True),
    "score": ("vcmetrics.scoring.score", True),
    "show_config": ("vcmetrics.backend.config", True),
    "summarize": ("vcmetrics.summary.summarize", True),
}

__all__ = [
    "DataError",
    "DeviceError",
    "GroupSummary",
    "Reference",
    "ScoreResult",
    "VcmetricsWarning",
    "__version__",
    "arrays",
    "baselines",
    "bootstrap_distance",
    "calibrate",
    "calibration",
    "compare_distance",
    "compare_scores",
    "confounders",
    "datasets",
    "differential_expression",
    "discrimination",
    "discrimination_sweep",
    "distance_matrix",
    "distances_to",
    "effect_correlation",
    "gene_correlation",
    "list_conventions",
    "list_distances",
    "list_metrics",
    "list_presets",
    "merge_summaries",
    "permutation_test",
    "pseudobulk",
    "retrieval_baselines",
    "score",
    "show_config",
    "summarize",
]


if not TYPE_CHECKING:  # a checker that saw this would take every name for an object

    def __getattr__(name: str) -> object:
        if name not in _LAZY:
            msg = f"module 'vcmetrics' has no attribute {name!r}"
            raise AttributeError(msg)
        from importlib import import_module

        module, is_member = _LAZY[name]
        found = import_module(module)
        value = getattr(found, name) if is_member else found
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
