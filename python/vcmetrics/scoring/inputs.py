"""What each side holds (counts or log-normalised values), checked against what a preset asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.presets.preset import Preset

LOG_CEILING = 15.0  # a log1p value at or above it is taken for a mistake (cell-eval)
SAMPLED = 500  # cells whose sums cell-eval2 looks at to guess the type
DECIMALS = 1e-3  # a fractional part above it marks log-normalised values (cell-eval)


@dataclass(frozen=True)
class Scan:
    """Facts about the stored values of one side, from one read."""

    name: str
    facts: Mapping[str, Any]
    dtype: np.dtype[Any]
    genes: Any
    has_zeros: bool

    @property
    def minimum(self) -> float:
        """Smallest value, implied zeros included."""
        low = float(self.facts["min"])
        return min(low, 0.0) if self.has_zeros or np.isnan(low) else low

    def at(self, which: str) -> str:
        """Where the first offender of a kind lies, for a message."""
        hit = self.facts.get(f"first_{which}")
        if hit is None:
            return ""
        row, col, value = hit
        gene = f", gene {str(self.genes[col])!r}" if 0 <= col < len(self.genes) else ""
        return f"{value:g} in cell {row}{gene}"


def check_finite(scan: Scan) -> None:
    """Refuse NaN and infinities."""
    if scan.facts["n_nonfinite"]:
        msg = (
            f"{scan.name}: X holds {scan.facts['n_nonfinite']} values that are NaN or infinite "
            f"(first: {scan.at('nonfinite')}); replace or remove them"
        )
        raise DataError(msg)


def check_counts(scan: Scan, *, fractional: bool, limit: float) -> None:
    """Counts: none negative, all whole numbers (unless ``fractional``), no cell above ``limit``."""
    facts = scan.facts
    if facts["n_negative"]:
        msg = (
            f"{scan.name}: counts must not be negative, but {facts['n_negative']} values are (first: "
            f"{scan.at('negative')}); pass raw counts, in X or with layer="
        )
        raise DataError(msg)
    if facts["n_fractional"] and not fractional:
        msg = (
            f"{scan.name}: counts are required but {facts['n_fractional']} values are not whole numbers (first: "
            f"{scan.at('fractional')}); the data look log-normalised: pass raw counts (layer=...), or a preset for "
            "log-normalised data such as 'cell-eval' or 'vcc2025'"
        )
        raise DataError(msg)
    if facts["max_row_total"] > limit:
        msg = (
            f"{scan.name}: a cell sums to {facts['max_row_total']:g} counts, above the limit of {limit:g}; "
            "raise max_counts_per_cell if that is right"
        )
        raise DataError(msg)


def check_totals(scan: Scan) -> None:
    """Counts may be odd where the rules do not check them, but a cell's share of its total needs one above 0."""
    if scan.minimum < 0 and (np.asarray(scan.facts["totals"]) <= 0).any():
        msg = (
            f"{scan.name}: {scan.facts['n_negative']} values are negative (first: {scan.at('negative')}), and cells "
            "sum to 0 or less; pass raw counts or log1p-normalised values"
        )
        raise DataError(msg)


def check_lognorm(scan: Scan, *, limit: float) -> None:
    """Log-normalised values: none negative, not all whole numbers, none above log1p of the largest total allowed."""
    facts = scan.facts
    if facts["n_negative"]:
        msg = (
            f"{scan.name}: log-normalised values must not be negative, but {facts['n_negative']} are (first: "
            f"{scan.at('negative')}); scaled or residual data cannot be scored, pass log1p-normalised values"
        )
        raise DataError(msg)
    if facts["n_fractional"] == 0 and facts["max"] > 0:
        msg = (
            f"{scan.name}: log-normalised values are required but every value is a whole number, as in raw counts; "
            "normalise and log1p them, or set input_type=counts"
        )
        raise DataError(msg)
    slack = 16 * float(np.finfo(np.float32 if scan.dtype.itemsize <= 4 else np.float64).eps)
    if facts["max"] > np.log1p(limit) * (1 + slack):
        msg = (
            f"{scan.name}: the largest value is {facts['max']:g}, above log1p({limit:g}): not log1p-normalised; "
            "pass log1p-normalised values, or set input_type=counts"
        )
        raise DataError(msg)


def guess(scan: Scan, *, discrete: bool) -> str:
    """cell-eval's guess: fractional parts above 1e-3 mark log1p data, else counts."""
    facts = scan.facts
    if facts["max_fraction"] <= DECIMALS:
        return "discrete" if discrete else "counts"
    if scan.minimum < 0:
        msg = (
            f"{scan.name}: the smallest value is negative (first: {scan.at('negative')}); pass log1p-normalised values"
        )
        raise DataError(msg)
    if facts["max"] >= LOG_CEILING and not discrete:
        msg = (
            f"{scan.name}: the largest value {facts['max']:g} exceeds log1p threshold {LOG_CEILING:g}; log1p the data, "
            "or set discrete=true (allow_discrete) to score them as they are"
        )
        raise DataError(msg)
    return "discrete" if discrete else "lognorm"


def autodetect(totals: NDArray[np.float64]) -> str:
    """cell-eval2's guess: logs where one of up to 500 row sums is not a whole number."""
    some = totals
    if totals.size > SAMPLED:
        some = totals[np.sort(np.random.default_rng(0).choice(totals.size, SAMPLED, replace=False))]
    return "lognorm" if (np.abs(some - np.round(some)) > 1e-6).any() else "counts"


def effective_type(scan: Scan, preset: Preset, *, predicted: bool) -> str:
    """``"counts"``, ``"lognorm"`` or ``"discrete"`` (values as they are), after the preset's checks."""
    check_finite(scan)
    kind: str = preset.input_type
    if kind == "values":
        return "discrete"
    if kind == "guess":
        guessed = guess(scan, discrete=preset.discrete)
        if guessed == "counts":
            check_totals(scan)
        return guessed
    if kind == "autodetect":
        kind = "counts" if preset.discrete else autodetect(np.asarray(scan.facts["totals"]))
    if preset.check_values:
        limit = np.inf if preset.max_counts_per_cell is None else preset.max_counts_per_cell
        if kind == "counts":
            check_counts(scan, fractional=preset.allow_fractional and predicted, limit=limit)
        else:
            check_lognorm(scan, limit=limit)
    elif kind == "counts" and not preset.discrete:
        check_totals(scan)
    return "discrete" if preset.discrete else kind
