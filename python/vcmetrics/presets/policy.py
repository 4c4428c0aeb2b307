"""How one metric's value becomes a score between a baseline and its best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ScalePolicy:
    """Direction, anchor, penalty and clamps of one metric.

    Attributes
    ----------
    direction
        ``lower`` or ``higher`` values are better.
    anchor
        The value that scores 1; None where there is no such number: distances to the baseline are then counted in
        units of the baseline.
    boxcox
        Below the baseline, errors are charged -(ratio^p - 1)/p with p = ``exponent`` in place of the straight line.
    low, high
        Clamps; None: open. A missing value scores ``low``.
    missing
        The value that stands for a missing one where ``low`` is open.
    absolute
        Without an anchor, count in units of the baseline's magnitude, so that it may be negative.
    exponent, cap
        Power of the penalty, and the worst that it can reach.
    decisive
        A baseline that cannot be divided by is an error; else the metric is left out with a warning.
    """

    direction: Literal["lower", "higher"]
    anchor: float | None = None
    boxcox: bool = False
    low: float | None = None
    high: float | None = None
    missing: float | None = None
    absolute: bool = False
    exponent: float = 2.0
    cap: float = 6.0
    decisive: bool = False
