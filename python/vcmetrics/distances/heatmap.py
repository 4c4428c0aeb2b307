"""A matrix of distances as a picture, rows and columns in the order of a clustering."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".png", ".pdf", ".svg")
_NAMED = 120  # groups beyond which no label could be read


def require_matplotlib() -> None:
    """Say how to get it where it is missing.

    Raises
    ------
    DataError
        Names the extra.
    """
    if find_spec("matplotlib") is None:
        msg = "a heat map needs matplotlib, which is not installed; run: pip install 'vcmetrics[plot]'"
        raise DataError(msg)


def cluster_order(matrix: pd.DataFrame) -> NDArray[np.int64]:
    """Rows of a square matrix in the order of the leaves of average linkage, optimally turned.

    Undefined distances count as the largest; an asymmetric matrix counts by the mean of both ways.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    values = matrix.to_numpy(np.float64)
    if len(values) < 3:
        return np.arange(len(values))
    finite = values[np.isfinite(values)]
    full = np.where(np.isfinite(values), values, finite.max() if finite.size else 0.0)
    full = (full + full.T) / 2
    full -= min(float(full.min()), 0.0)  # unbiased estimates may be negative
    np.fill_diagonal(full, 0.0)
    tree = linkage(squareform(full, checks=False), method="average", optimal_ordering=len(full) <= 1000)
    return np.asarray(leaves_list(tree), np.int64)


def plot_heatmap(matrix: pd.DataFrame, path: Path, *, title: str, suffix: str = ".png") -> None:
    """Draw a matrix of distances between the same groups.

    Parameters
    ----------
    matrix
        n_groups × n_groups distances; NaN is drawn grey.
    path
        File to write.
    title
        Above the picture and beside the colour scale: what the distance is.
    suffix
        Format of the file.
    """
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    order = cluster_order(matrix)
    values = matrix.to_numpy(np.float64)[np.ix_(order, order)]
    labels = [str(matrix.index[k]) for k in order]
    n = len(labels)
    named = n <= _NAMED
    side = min(max(3.5, 0.22 * n), 16.0) if named else 10.0
    longest = max(map(len, labels)) if named else 0
    margin = 0.5 + 0.075 * longest
    figure = Figure(figsize=(side + margin + 1.2, side + margin + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colours = colormaps["viridis"].with_extremes(bad="0.8")
    # the diagonal is 0 by definition and would take half of the scale
    off = values[~np.eye(n, dtype=bool)]
    off = off[np.isfinite(off)]
    low, high = (float(off.min()), float(off.max())) if off.size else (0.0, 1.0)
    image = axes.imshow(
        np.ma.masked_invalid(values), cmap=colours, vmin=low, vmax=high, interpolation="nearest", aspect="equal"
    )
    axes.set_title(title)
    if named:
        size = 8 if n <= 60 else 6
        axes.set_xticks(range(n), labels, rotation=90, fontsize=size)
        axes.set_yticks(range(n), labels, fontsize=size)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel(f"{n} groups, clustered")
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, shrink=0.8, label="distance")
    figure.savefig(path, format=suffix[1:], dpi=150)
