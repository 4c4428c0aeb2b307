"""Kolmogorov-Smirnov statistics between groups, feature by feature."""

from __future__ import annotations

import numpy as np

from vcmetrics.metrics.distance.registry import DistanceSpec, Pairs, Values, register
from vcmetrics.metrics.registry import Parity
from vcmetrics.reference import distance_ranks as reference
from vcmetrics.sources.cell_groups import CellGroups


def ks_test(cells: CellGroups, pairs: Pairs) -> Values:
    """Mean over features of the two-sample Kolmogorov-Smirnov statistic: sup |F - G|.

    Columns are sorted once a group; a pair costs n + m steps a feature. In [0, 1].
    """
    return column_means(cells, pairs, "ks")


def column_means(cells: CellGroups, pairs: Pairs, statistic: str) -> Values:
    """Means over features of a statistic of two sorted columns: ``ks``, ``w1`` or ``w2sq``."""
    from vcmetrics import _core

    pairs = np.ascontiguousarray(pairs, np.int32)
    return np.asarray(
        _core.sorted_column_means(cells.dense, cells.codes, cells.n_groups, pairs, statistic, cells.n_threads),
        np.float64,
    )


register(
    DistanceSpec(
        name="ks_test",
        aliases=("ks",),
        kind="cells",
        symmetric=True,
        definition="mean_f sup |F_x - F_y|",
        formula=ks_test,
        reference=reference.ks_test,
        invariants=("feature_order", "nonnegative", "scale:0"),
        parity=Parity(rtol=0.0, atol=1e-13),
        source="SciPy, stats.ks_2samp; pertpy 1.0.3, Distance('ks_test')",
    )
)
