"""From one value a perturbation to one value a panel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Nan = Literal["skip", "propagate"]
Kind = Literal["mean", "propagated_mean", "ratio_of_sums", "pearson", "spearman", "whole"]


@dataclass(frozen=True)
class Parts:
    """What an aggregate is made of, one entry a perturbation: its values, or numerators and denominators.

    ``columns`` are (n_perturbations,) each, masked where there is no row, NaN where undefined. ``pearson`` and
    ``spearman`` correlate two of them; of ``whole`` nothing can be made without the data.
    """

    kind: Kind
    columns: tuple[Values, ...] = ()

    def take(self, rows: NDArray[np.int64]) -> Parts:
        """The same for some perturbations, in that order."""
        return Parts(self.kind, tuple(column[rows] for column in self.columns))


def rows_of(values: Values) -> Values:
    """The values that have a row (unmasked), NaN among them."""
    return np.asarray(np.ma.compressed(values), np.float64)


def mean(values: Values, *, nan: Nan = "skip") -> float:
    """Mean over the rows.

    Parameters
    ----------
    values
        (n_perturbations,), masked where there is no row.
    nan
        ``skip`` leaves undefined values out, ``propagate`` lets one of them make the mean undefined.

    Returns
    -------
    The mean; NaN where nothing is left.

    Examples
    --------
    >>> mean(np.array([1.0, np.nan, 3.0])), mean(np.array([1.0, np.nan, 3.0]), nan="propagate")
    (2.0, nan)
    """
    kept = rows_of(values)
    if nan == "skip":
        kept = kept[~np.isnan(kept)]
    # exact sum: the mean does not depend on the order of the perturbations
    return math.fsum(kept) / kept.size if kept.size and np.isfinite(kept).all() else _plain_mean(kept)


def _plain_mean(kept: Values) -> float:
    with np.errstate(invalid="ignore"):
        return float(kept.mean()) if kept.size else math.nan


def ratio_of_sums(numerator: Values, denominator: Values) -> tuple[float, str | None]:
    """Sum of the numerators over the sum of the denominators, perturbations finite on both.

    Returns
    -------
    The ratio and None; or NaN and the reason why there is none.

    Examples
    --------
    >>> ratio_of_sums(np.array([1.0, 2.0]), np.array([4.0, 2.0]))
    (0.5, None)
    """
    masked = np.ma.getmaskarray(numerator) | np.ma.getmaskarray(denominator)
    top, bottom = np.ma.getdata(numerator), np.ma.getdata(denominator)
    usable = ~masked & np.isfinite(top) & np.isfinite(bottom)
    if not usable.any():
        return math.nan, "no perturbation has both a numerator and a denominator"
    below = math.fsum(bottom[usable])
    if below <= 0:
        return math.nan, f"the summed denominator is {below:.3g}, not positive: too few cells or no effects to measure"
    return math.fsum(top[usable]) / below, None


def statistics(values: Values) -> dict[str, float]:
    """Count, null_count, mean, std (n - 1), min, max and median, undefined values left out.

    ``count`` is the number of rows, undefined ones included; perturbations without a row are nowhere counted.
    """
    rows = rows_of(values)
    kept = rows[~np.isnan(rows)]
    many = kept.size > 0
    return {
        "count": float(rows.size),
        "null_count": 0.0,
        "mean": mean(values),
        "std": _std(kept),
        "min": float(kept.min()) if many else math.nan,
        "max": float(kept.max()) if many else math.nan,
        "median": float(np.median(kept)) if many else math.nan,
    }


def describe(values: Values) -> dict[str, float]:
    """Count, null_count, mean, std, min, quartiles and max as ``polars.DataFrame.describe`` prints them.

    Perturbations without a row are nulls. An undefined value makes mean and std undefined, counts as the largest in the
    quartiles (nearest value, halves up), and is ignored by min and max.
    """
    rows = rows_of(values)
    defined = rows[~np.isnan(rows)]
    ascending = np.sort(rows)
    out = {
        "count": float(rows.size),
        "null_count": float(len(values) - rows.size),
        "mean": mean(values, nan="propagate"),
        "std": math.nan if defined.size < rows.size else _std(rows),
        "min": float(defined.min()) if defined.size else math.nan,
    }
    for share in (0.25, 0.5, 0.75):
        place = math.floor(share * (rows.size - 1) + 0.5)
        out[f"{share:.0%}"] = float(ascending[place]) if rows.size else math.nan
    out["max"] = float(defined.max()) if defined.size else math.nan
    return out


def _std(kept: Values) -> float:
    with np.errstate(invalid="ignore"):
        return float(kept.std(ddof=1)) if kept.size > 1 else math.nan


def aggregate(values: Mapping[str, Values], name: str, *, nan: Nan = "skip") -> tuple[float, str | None]:
    """Panel value of metric ``name`` by its registry row, and why there is none.

    Parameters
    ----------
    values
        Metric name to (n_perturbations,), components of a ratio included.
    name
        A metric of the registry.
    nan
        How a mean treats undefined values.

    Returns
    -------
    The value and None, or NaN and the reason.
    """
    from vcmetrics.metrics.registry import get

    spec = get(name)
    if spec.aggregate == "ratio_of_sums":
        assert spec.numerator is not None
        assert spec.denominator is not None
        return ratio_of_sums(values[spec.numerator], values[spec.denominator])
    value = mean(values[name], nan=nan)
    return value, "no perturbation has a defined value" if math.isnan(value) else None


def parts_of(
    values: Mapping[str, Values], name: str, *, nan: Nan = "skip", panel: NDArray[np.float64] | None = None
) -> Parts:
    """What :func:`aggregate` makes the panel value of; ``panel`` is what ``panel_values`` of the row gives."""
    from vcmetrics.metrics.registry import get

    spec = get(name)
    if spec.aggregate == "ratio_of_sums":
        assert spec.numerator is not None
        assert spec.denominator is not None
        return Parts("ratio_of_sums", (values[spec.numerator], values[spec.denominator]))
    if spec.panel is not None:
        return Parts("whole") if panel is None else Parts(spec.panel, (panel[:, 0], panel[:, 1]))
    return Parts("mean" if nan == "skip" else "propagated_mean", (values[name],))
