"""Correlation of two tables, column by column."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DeviceError
from vcmetrics.backend.gpu import engine_for
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.metrics.co_moments import (
    CoMoments,
    Floats,
    correlation,
    host_table,
    require_one_shape,
    row_contiguous,
    row_list,
)

METHODS = ("pearson", "spearman", "concordance")


def rank_correlation(
    x: Any, y: Any, *, rows_x: Any = None, rows_y: Any = None, n_threads: int | None = None
) -> tuple[Floats, NDArray[np.int64]]:
    """Spearman correlation of the columns and the numbers of pairs; average ranks, exact sums."""
    from vcmetrics import _core

    x, y = (t if row_contiguous(t) else np.ascontiguousarray(t) for t in (host_table(x, "x"), host_table(y, "y")))
    one, other = row_list(rows_x, len(x), "rows_x"), row_list(rows_y, len(y), "rows_y")
    n, xx, yy, xy = _core.rank_moments(x, one, y, other, resolve_threads(n_threads))
    return correlation(xx, yy, xy, (xx == 0) | (yy == 0)), n.astype(np.int64)


@overload
def column_correlation(
    x: Any,
    y: Any,
    *,
    method: str = ...,
    weights: Any = ...,
    nan: str = ...,
    return_n: Literal[False] = ...,
    device: str = ...,
    n_threads: int | None = ...,
) -> Floats: ...
@overload
def column_correlation(
    x: Any,
    y: Any,
    *,
    method: str = ...,
    weights: Any = ...,
    nan: str = ...,
    return_n: Literal[True],
    device: str = ...,
    n_threads: int | None = ...,
) -> tuple[Floats, NDArray[np.int64]]: ...


def column_correlation(
    x: Any,
    y: Any,
    *,
    method: str = "pearson",
    weights: Any = None,
    nan: str = "omit",
    return_n: bool = False,
    device: str = "auto",
    n_threads: int | None = None,
) -> Floats | tuple[Floats, NDArray[np.int64]]:
    """Correlation of every column of ``x`` with the same column of ``y``.

    Parameters
    ----------
    x, y
        Tables of the same shape, n_rows × n_columns: NumPy arrays of any layout, CuPy arrays, or anything that speaks
        DLPack. float32 and float64 are read where they lie (any distance between rows; rows that are not
        contiguous are copied in parts); other numbers are converted.
    method
        ``"pearson"``; ``"spearman"`` (average ranks); ``"concordance"`` (Lin: 1 only on the line y = x).
    weights
        One a row, not negative; not for ranks.
    nan
        ``"omit"``: a pair with a NaN or infinite value is passed over in its column. ``"propagate"``: it makes the
        column's correlation NaN.
    return_n
        Return the numbers of pairs used as well.
    device
        ``"auto"`` follows the data: what lies on a GPU is computed there. ``"cuda"`` sends host data to the GPU and
        brings the result back. Ranks have no CUDA kernel.
    n_threads
        On the CPU (None: all that this process may use). Results do not depend on them.

    Returns
    -------
    (n_columns,) float64 in [-1, 1], 1 is best. NaN where a column has fewer than two pairs or a side is constant
    (standard deviation up to 1e-13 of the mean; for ranks: all equal). With ``return_n`` also (n_columns,) int64.
    CuPy arrays where the tables lie on a GPU.

    Raises
    ------
    ValueError, TypeError
        If shapes, weights or names are not as above.
    DeviceError
        If a GPU is needed and cannot be used (the message says why), or the tables lie in different places.

    Notes
    -----
    Sums are float64, with the accuracy of two passes (see :class:`CoMoments`); those of ranks are exact. Pearson
    takes one read of both tables, Spearman a sort of each column. Memory: nine numbers a column, or a few
    columns a thread.

    References
    ----------
    Lin (1989), Biometrics 45:255, with moments over n.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0], [4.0, np.nan]])
    >>> y = np.array([[1.0, 2.0], [2.0, 3.0], [3.0, 4.0], [6.0, 5.0]])
    >>> column_correlation(x, y).round(4).tolist()
    [0.9562, nan]
    >>> column_correlation(x, y, method="spearman", return_n=True)
    (array([ 1., nan]), array([4, 3]))
    """
    if method not in METHODS:
        msg = f"method {method!r} is not known; choose from {', '.join(METHODS)}"
        raise ValueError(msg)
    if nan not in ("omit", "propagate"):
        msg = f"nan={nan!r} is not known; pass 'omit' or 'propagate'"
        raise ValueError(msg)
    if method == "spearman" and weights is not None:
        msg = "weights have no meaning for ranks; leave them out, or take method='pearson' of ranks of your own"
        raise ValueError(msg)
    with engine_for({"x": x, "y": y}, device, what="column_correlation") as (engine, from_host):
        if engine is not None:
            from vcmetrics.metrics.co_moments_on_device import co_moments_on

            if method == "spearman":
                msg = "column_correlation: method 'spearman' has no CUDA kernel; pass host arrays and device='cpu'"
                raise DeviceError(msg)
            state, n_rows = co_moments_on(engine, x, y, weights, from_host=from_host)
            return _of_moments(CoMoments.of_state(state), method, nan, n_rows, weights, return_n)
    x, y = host_table(x, "x"), host_table(y, "y")
    require_one_shape(x, y)
    if method == "spearman":
        r, n = rank_correlation(x, y, n_threads=n_threads)
        return _told(r, n, nan, len(x), None, return_n)
    moments = CoMoments(x.shape[1]).add(x, y, weights=weights, n_threads=n_threads)
    return _of_moments(moments, method, nan, len(x), weights, return_n)


def _of_moments(
    moments: CoMoments, method: str, nan: str, n_rows: int, weights: Any, return_n: bool
) -> Floats | tuple[Floats, NDArray[np.int64]]:
    r = moments.pearson() if method == "pearson" else moments.concordance()
    return _told(r, moments.n, nan, n_rows, weights, return_n)


def _told(
    r: Floats, n: NDArray[np.int64], nan: str, n_rows: int, weights: Any, return_n: bool
) -> Floats | tuple[Floats, NDArray[np.int64]]:
    """What was asked for, of any array library."""
    if nan == "propagate":
        given = (
            n_rows
            if weights is None
            else int((weights != 0).sum() if hasattr(weights, "sum") else np.count_nonzero(weights))
        )
        r[n < given] = np.nan
    return (r, n) if return_n else r
