"""Choices that cell-eval spells as enumerations."""

from __future__ import annotations

import enum


class DESortBy(enum.Enum):
    """Order of the ranked lists of significant genes."""

    LOG2_FOLD_CHANGE = "log2_fold_change"
    ABS_LOG2_FOLD_CHANGE = "abs_log2_fold_change"
    PVALUE = "p_value"
    FDR = "fdr"


class MetricType(enum.Enum):
    """What a metric is computed from."""

    DE = "de"
    ANNDATA_PAIR = "anndata_pair"


class MetricBestValue(enum.Enum):
    """The value that scores 1 against a baseline; ``NONE`` is not scored."""

    ZERO = "zero"
    ONE = "one"
    NONE = "none"
