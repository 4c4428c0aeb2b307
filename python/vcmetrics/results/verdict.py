"""Above or below the mean baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass

_SAME = 1e-12  # values that differ by less, relatively, are equal but for rounding


@dataclass(frozen=True)
class Verdict:
    """One metric of one rule set: the prediction's value, and that of the mean baseline (None where it has none)."""

    preset: str
    metric: str
    better: str
    value: float
    baseline: float | None
    reason: str = ""

    @property
    def verdict(self) -> str:
        """``above`` (better than the baseline), ``below``, ``equal``; ``none`` where either side has no value."""
        if self.baseline is None or math.isnan(self.baseline) or math.isnan(self.value):
            return "none"
        difference = self.value - self.baseline
        if abs(difference) <= _SAME * max(abs(self.value), abs(self.baseline)):
            return "equal"
        return "above" if (difference > 0) == (self.better == "higher") else "below"


@dataclass(frozen=True)
class Standing:
    """How a rule set as a whole sees the prediction: numbers of its metrics above, below and equal."""

    preset: str
    above: int
    below: int
    equal: int

    @property
    def verdict(self) -> str:
        """What most metrics with a verdict say; ``split`` where as many say the one as the other."""
        if not self.above + self.below + self.equal:
            return "none"
        if self.above == self.below:
            return "split" if self.above else "equal"
        return "above" if self.above > self.below else "below"
