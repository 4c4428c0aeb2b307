"""DE columns of cell-eval 0.8.2 from its own DE tables, exact; aggregates as polars describes them."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from vcmetrics.metrics import aggregate
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import get
from vcmetrics.summary.de_reading import read_de_table

GOLDEN = Path(__file__).parents[1] / "golden" / "cell_eval" / "cell_eval_0.8.2"
RUNS = [
    "base_full",
    "base_arith",
    "base_cpm2000",
    "base_eps1e-9",
    "dense64_full",
    "tiny_full",
    "counts_full",
    "counts_discrete",
]
RULES = {"gated": False, "single_precision": True, "auc_floor": "clip"}


def wide(path: Path) -> dict[str, dict[str, float]]:
    """column -> row label -> value; an empty cell is left out."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    return {
        name: {row[0]: float(row[k]) for row in rows[1:] if row[k] != ""} for k, name in enumerate(rows[0]) if k > 0
    }


def pair_of(run: str) -> Pair:
    real, pred = (read_de_table(GOLDEN / run / f"{side}_de.csv") for side in ("real", "pred"))
    return Pair(
        perturbations=real.targets,
        genes=real.genes,
        own=np.full(len(real.targets), -1),
        de_real=real,
        de_pred=pred,
        own_de=(None,) * len(real.targets),
    )


def values(run: str, settings: dict[str, object]) -> tuple[Pair, dict[str, np.ndarray]]:
    pair = pair_of(run)
    found = {}
    for column in wide(GOLDEN / run / "results.csv"):
        try:
            spec = get(column)
        except ValueError:
            continue
        if "de" in spec.needs:
            found[column] = spec.evaluate(pair, settings)
    assert len(found) == 18
    return pair, found


@pytest.mark.parametrize("run", RUNS)
def test_columns_are_exact(run: str) -> None:
    want = wide(GOLDEN / run / "results.csv")
    pair, found = values(run, RULES)
    for column, rows in found.items():
        got = {p: float(v) for p, v in zip(pair.perturbations, rows, strict=True) if v is not np.ma.masked}
        assert got.keys() == want[column].keys(), column
        for p, value in want[column].items():
            np.testing.assert_allclose(got[p], value, rtol=1e-15, atol=0, err_msg=f"{column} of {p}")


@pytest.mark.parametrize("run", RUNS)
def test_aggregates(run: str) -> None:
    want = wide(GOLDEN / run / "agg_results.csv")
    _, found = values(run, RULES)
    for column, rows in found.items():
        got = aggregate.describe(rows)
        assert got.keys() == want[column].keys() | {k for k, v in got.items() if math.isnan(v)}
        for statistic, value in want[column].items():
            np.testing.assert_allclose(
                got[statistic], value, rtol=1e-12, atol=1e-15, err_msg=f"{statistic} of {column}"
            )


def test_another_level() -> None:
    want = wide(GOLDEN / "base_options" / "results.csv")
    pair = pair_of("base_full")
    for column in ("overlap_at_N", "de_direction_match"):
        rows = get(column).evaluate(pair, RULES | {"alpha": 0.2})
        got = {p: float(v) for p, v in zip(pair.perturbations, rows, strict=True) if v is not np.ma.masked}
        assert got == want[column]
