"""Where a score lies between knowing nothing and repeating the experiment: ``vcm.calibration``."""

from vcmetrics.calibration.audit import metric_audit
from vcmetrics.calibration.depth import noise_at_full_depth, spearman_brown
from vcmetrics.calibration.dynamic_range import dynamic_range, dynamic_range_fraction, saturation
from vcmetrics.calibration.ratio import calibrate

__all__ = [
    "calibrate",
    "dynamic_range",
    "dynamic_range_fraction",
    "metric_audit",
    "noise_at_full_depth",
    "saturation",
    "spearman_brown",
]
