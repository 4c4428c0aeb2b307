"""The kernels for bare arrays: no AnnData, no pandas."""

from __future__ import annotations

from vcmetrics.metrics.co_moments import CoMoments
from vcmetrics.metrics.column_correlation import column_correlation

__all__ = ["CoMoments", "column_correlation"]
