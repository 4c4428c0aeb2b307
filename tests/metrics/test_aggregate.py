"""Panel values and statistics."""

from __future__ import annotations

import math

import numpy as np

from vcmetrics.metrics import aggregate
from vcmetrics.metrics.pair import no_rows

NAN = math.nan


def test_mean_skips_or_propagates() -> None:
    values = no_rows(4)
    values[1:] = [1.0, NAN, 3.0]
    assert aggregate.mean(values) == 2.0
    assert math.isnan(aggregate.mean(values, nan="propagate"))
    assert math.isnan(aggregate.mean(no_rows(3)))
    assert aggregate.mean(np.array([math.inf, 1.0])) == math.inf


def test_mean_does_not_depend_on_order() -> None:
    values = np.random.default_rng(0).normal(size=999) * 10.0 ** np.arange(-9, 9, 18 / 999)
    assert len({aggregate.mean(np.roll(values, k)) for k in range(50)}) == 1


def test_ratio_uses_perturbations_finite_on_both_sides() -> None:
    top, bottom = np.array([1.0, NAN, 4.0, 100.0]), np.array([2.0, 5.0, 3.0, math.inf])
    assert aggregate.ratio_of_sums(top, bottom) == (1.0, None)


def test_ratio_says_why_it_is_undefined() -> None:
    value, reason = aggregate.ratio_of_sums(np.array([1.0, 1.0]), np.array([1.0, -1.5]))
    assert math.isnan(value)
    assert reason.startswith("the summed denominator is -0.5, not positive")
    value, reason = aggregate.ratio_of_sums(np.array([NAN]), np.array([1.0]))
    assert math.isnan(value)
    assert reason.startswith("no perturbation has both")


def test_by_name() -> None:
    values = {"expr_mse_unbiased_capped": np.array([1.0, 2.0]), "expr_distance_unbiased": np.array([4.0, 2.0])}
    assert aggregate.aggregate(values, "expr_mse_unbiased_capped_norm") == (0.5, None)
    assert aggregate.aggregate({"mae": np.array([1.0, 3.0])}, "mae") == (2.0, None)
    value, reason = aggregate.aggregate({"mae": np.array([NAN])}, "mae")
    assert math.isnan(value)
    assert reason == "no perturbation has a defined value"


def test_statistics_of_few() -> None:
    one = aggregate.statistics(np.array([2.0, NAN]))
    assert one["count"] == 2
    assert one["mean"] == one["min"] == one["max"] == one["median"] == 2.0
    assert math.isnan(one["std"])
    assert all(math.isnan(v) for k, v in aggregate.statistics(no_rows(2)).items() if "count" not in k)


def test_describe_counts_nulls_and_treats_nan_as_largest() -> None:
    values = no_rows(6)
    values[1:] = [4.0, NAN, 1.0, 3.0, 2.0]
    got = aggregate.describe(values)
    assert (got["count"], got["null_count"]) == (5.0, 1.0)
    assert math.isnan(got["mean"])
    assert math.isnan(got["std"])
    assert (got["min"], got["25%"], got["50%"], got["75%"], got["max"]) == (1.0, 2.0, 3.0, 4.0, 4.0)
