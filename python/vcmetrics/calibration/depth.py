"""What halves of the cells say about the whole."""

from __future__ import annotations

from typing import Any

import numpy as np

from vcmetrics.calibration.sides import Floats, filled


def spearman_brown(r: Any, *, factor: float = 2.0) -> Floats:
    """Agreement at ``factor`` times the depth, from the agreement of two halves: ``k r / (1 + (k - 1) r)``.

    Parameters
    ----------
    r
        Agreement of independent halves: a bounded reliability such as a correlation, not an error. Halves that share
        control cells agree by these alone; give each its own.
    factor
        How many times deeper; 2 for the whole from its halves.

    Returns
    -------
    Same shape, NaN where ``r`` is not positive or undefined.

    Examples
    --------
    >>> spearman_brown([0.6, -0.1]).round(6).tolist()
    [0.75, nan]
    """
    values = filled(r)
    out = np.full(values.shape, np.nan)
    np.divide(factor * values, 1.0 + (factor - 1.0) * values, out=out, where=values > 0)
    return out


def noise_at_full_depth(noise: Any, *, squared: bool = False) -> Floats:
    """Error between two replicates of full depth, from that between two halves of it.

    The standard deviation of a mean falls with the square root of the cells: an error in the units of the data (mae,
    rmse) is divided by √2, a squared one (mse) by 2. For independent halves of equal size.

    Examples
    --------
    >>> noise_at_full_depth([2.0], squared=True).tolist(), noise_at_full_depth([2.0]).round(4).tolist()
    ([1.0], [1.4142])
    """
    return np.asarray(filled(noise) / (2.0 if squared else np.sqrt(2.0)))
