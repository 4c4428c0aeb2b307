"""The kernels for bare arrays: no AnnData, no pandas, no files.

Inputs are NumPy arrays, anything with DLPack (PyTorch, JAX) or with ``__array__``; they are never modified. What lies
in the memory of a GPU (CuPy, DLPack tensors) is computed there, without a copy, and the result is a CuPy array; this
needs CuPy (extra ``cuda``). Nothing moves between host and GPU unless ``device="cuda"`` asks for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.backend.gpu import engine_for
from vcmetrics.backend.host import host_table
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.metrics.co_moments import CoMoments
from vcmetrics.metrics.column_correlation import column_correlation
from vcmetrics.retrieval.pairs import PairDistances, metric_name
from vcmetrics.retrieval.ranks import match_rank
from vcmetrics.retrieval.target_rank import TargetRank, target_rank

__all__ = ["CoMoments", "TargetRank", "cdist", "column_correlation", "match_rank", "target_rank"]


def cdist(
    x: Any,
    y: Any,
    metric: str,
    *,
    device: str = "auto",
    n_threads: int | None = None,
    out: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Distances of all rows of ``x`` to all rows of ``y``.

    Parameters
    ----------
    x, y
        (n_x, n_features) and (n_y, n_features). float32 and float64 are read where they lie if their rows are
        contiguous; anything else is copied. Pass one object twice for a symmetric table at half the cost.
    metric
        ``cityblock`` (``l1``, ``manhattan``), ``euclidean`` (``l2``), ``sqeuclidean``, ``cosine``, ``pearson``
        (SciPy's ``correlation``), ``spearman``, or another profile distance of :func:`vcmetrics.list_distances`.
    device
        ``"auto"`` follows the data: what lies on a GPU is computed there. ``"cuda"`` sends host data to the GPU and
        brings the result back; ``"cpu"`` stays on the host.
    n_threads
        On the CPU (None: all that this process may use). Results do not depend on them.
    out
        (n_x, n_y) float64, C-contiguous, where the result will lie, to be overwritten.

    Returns
    -------
    (n_x, n_y) float64; ``out`` where it was given. A CuPy array where the tables lie on a GPU.

    Raises
    ------
    DeviceError
        If a GPU is needed and cannot be used (the message says why), or the tables lie in different places.
    ValueError, TypeError
        If the metric is unknown or shapes or types do not fit.

    Notes
    -----
    Everything is summed in float64, of float32 tables too, and in one order for every pair: equal rows have equal
    distances, a row has distance 0 to itself, and the bits depend on neither threads nor the CPU. Differences are
    formed before they are squared, so near duplicates keep their digits. ``cosine``, ``pearson`` and ``spearman`` are
    1 - cosine in [0, 2], and 1 where a row is zero (or constant), where SciPy has NaN. NaN in a row makes its
    distances NaN. Cost O(n_x · n_y · n_features); about 27 G differences or 50 G products a second and core with
    AVX-512. On a GPU the additions are done in the same order: ``cityblock``, ``sqeuclidean``, ``euclidean`` and
    ``cosine`` have the bits of the CPU.

    Examples
    --------
    >>> cdist([[0.0, 1.0], [2.0, 2.0]], [[1.0, 1.0]], "cityblock")
    array([[1.],
           [2.]])
    """
    name = metric_name(metric)
    with engine_for({"x": x, "y": y}, device, what="cdist") as (engine, from_host):
        if engine is not None:
            from vcmetrics.retrieval.on_device import cdist_on

            table: NDArray[np.float64] = cdist_on(engine, x, y, name, out, from_host=from_host)
            return table
    rows_x = host_table(x, "x", what="cdist")
    rows_y = rows_x if y is x else host_table(y, "y", what="cdist")
    if rows_x.shape[1] != rows_y.shape[1]:
        msg = f"x has {rows_x.shape[1]} features, y has {rows_y.shape[1]}"
        raise ValueError(msg)
    shape = (rows_x.shape[0], rows_y.shape[0])
    if out is None:
        out = np.empty(shape)
    elif not isinstance(out, np.ndarray) or out.dtype != np.float64 or out.shape != shape or not out.flags.c_contiguous:
        msg = f"out must be a C-contiguous float64 array of shape {shape}"
        raise ValueError(msg)
    return PairDistances(rows_x, rows_y, name, resolve_threads(n_threads)).block(0, shape[0], out)
