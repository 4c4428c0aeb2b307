import csv
import dataclasses
import io
import json
import math

import numpy as np
import pytest
from rich.console import Console

from vcmetrics.results import files, terminal
from vcmetrics.results.score_result import ContextResult, ScoreResult

NAN = float("nan")
THIRD = 1.0 / 3.0


def context(name=None):
    return ContextResult(
        context=name,
        perturbations=("A", 'B,"x"', "C"),
        values={
            "m": np.ma.array([THIRD, NAN, np.inf]),
            "gated": np.ma.array([1.0, 2.0, NAN], mask=[False, True, False]),
        },
        aggregate={"m": 0.1, "gated": 1.0, "ratio": NAN},
        reasons={"ratio": "the sum is 0"},
        baseline={"m": 0.0},
        replicate={"m": 0.2},
        scaled={"m": 0.5},
        overall=0.5,
    )


def result(*contexts, **settings):
    return ScoreResult(
        contexts=contexts,
        preset="p",
        profile="q",
        directions={"m": "higher", "gated": "lower"},
        settings={"a": NAN, "b": np.int64(3), "c": {"x"}} | settings,
        timings={"pass": 1.25, "tiny": 0.001},
    )


def table(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_one_context(tmp_path):
    files.write_score(result(context()), tmp_path / "out")
    rows = table(tmp_path / "out" / "results.csv")
    assert rows[0] == ["perturbation", "metric", "value"]
    assert rows[1:] == [
        ["A", "m", repr(THIRD)],
        ['B,"x"', "m", "NaN"],
        ["C", "m", "inf"],
        ["A", "gated", "1.0"],
        ["C", "gated", "NaN"],  # the masked value has no row
    ]
    assert float(rows[1][2]) == THIRD
    rows = table(tmp_path / "out" / "agg_results.csv")
    assert rows[0] == ["statistic", "m", "gated", "ratio"]
    assert [row[0] for row in rows[1:]] == list(files.STATISTICS)
    assert rows[1] == ["count", "3.0", "2.0", "NaN"]
    assert rows[3] == ["mean", "0.1", "1.0", "NaN"]
    rows = table(tmp_path / "out" / "scores.csv")
    assert rows[1] == ["m", "0.1", "0.5", "0.0", "0.2", "1", "2", ""]
    assert rows[3] == ["ratio", "NaN", "", "", "", "", "", "the sum is 0"]
    assert rows[-1][:3] == ["overall", "", "0.5"]
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["settings"] == {"a": None, "b": 3, "c": ["x"]}


def test_contexts_lead_the_rows(tmp_path):
    files.write_score(result(context("k562"), context("rpe1")), tmp_path / "out")
    rows = table(tmp_path / "out" / "results.csv")
    assert rows[0] == ["context", "perturbation", "metric", "value"]
    assert {row[0] for row in rows[1:]} == {"k562", "rpe1"}
    rows = table(tmp_path / "out" / "agg_results.csv")
    assert rows[0][:2] == ["context", "statistic"]
    assert len(rows) == 1 + 2 * len(files.STATISTICS)
    assert table(tmp_path / "out" / "scores.csv")[1][5:7] == ["2", "4"]


def test_wide_layout(tmp_path):
    """As cell-eval lays it out: one column a metric, an omitted value is empty."""
    files.write_score(result(context(), layout="wide"), tmp_path / "out")
    rows = table(tmp_path / "out" / "results.csv")
    assert rows == [
        ["perturbation", "m", "gated"],
        ["A", repr(THIRD), "1.0"],
        ['B,"x"', "NaN", ""],
        ["C", "inf", "NaN"],
    ]
    rows = table(tmp_path / "out" / "agg_results.csv")
    assert [row[0] for row in rows[1:]] == list(files.WIDE_STATISTICS)
    assert rows[2] == ["null_count", "0.0", "1.0", "NaN"]


def test_record_is_strict_json():
    record = files.score_record(result(context()))
    text = json.dumps(record, allow_nan=False)
    assert record["metrics"]["ratio"] == {"value": None, "n_used": None, "n_undefined": None, "reason": "the sum is 0"}
    assert record["metrics"]["m"]["scaled"] == 0.5
    assert '"overall": 0.5' in text


@pytest.mark.parametrize("value", [0.1, 1e-300, 12345678901234567.0, -0.0, 5e-324, math.inf])
def test_numbers_read_back_as_they_were(value):
    assert float(files.number(value)) == value
    assert files.number(NAN) == "NaN"


def test_table_on_the_terminal():
    console = Console(width=120, record=True, file=io.StringIO())
    terminal.print_score(result(context()), console)
    text = console.export_text()
    for word in ("metric", "value", "baseline", "replicate", "scaled", "n used", "undef", "ratio: the sum is 0"):
        assert word in text
    assert "overall 0.5000" in text
    assert "3 perturbations, preset p, 1.25 s (pass 1.25 s)" in text


def test_table_fits_a_narrow_terminal():
    narrow = Console(width=80, record=True, file=io.StringIO())
    name = "de_wilcoxon_direction_fidelity_yield_raw"
    one = context()
    long = dataclasses.replace(one, aggregate={name: 0.5, "expr_mse_unbiased_capped_norm": -0.1234}, scaled={name: 0.5})
    terminal.print_score(result(long), narrow)
    lines = narrow.export_text().splitlines()
    assert "direction_fidelity_yield_raw " in lines[1]
    assert "expr_mse_unbiased_capped_norm" in lines[2]
    assert all(len(line) <= 80 for line in lines)
