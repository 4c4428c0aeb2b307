"""Whole ``vcmetrics score`` processes beside the scorers they reproduce, in one group each."""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import pytest

from bench.make_synth import CONTROL, PERT_COL

LABELS = ["--pert-col", PERT_COL, "--control", CONTROL]
VCMETRICS = [sys.executable, "-m", "vcmetrics", "score"]


def ours(pair, out, *options):
    pred, real = pair
    return [*VCMETRICS, str(pred), str(real), *LABELS, *options, "-o", str(out)]


def cell_eval2(python, pair, out):
    pred, real = pair
    return [
        str(Path(python).with_name("cell-eval2")),
        "run",
        "-ap",
        str(pred),
        "-ar",
        str(real),
        "--preset",
        "vcc2026",
        *LABELS,
        "-o",
        str(out),
    ]


def cell_eval(python, pair, out, profile):
    pred, real = pair
    arguments = ["run", "-ap", str(pred), "-ar", str(real), "--pert-col", PERT_COL, "--control-pert", CONTROL]
    return [str(Path(python).with_name("cell-eval")), *arguments, "--profile", profile, "-o", str(out)]


def read_means(path: Path) -> dict[str, float]:
    """Metric → mean from an ``agg_results.csv`` of either scorer."""
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row.pop("statistic") == "mean":
                return {name: float(value or "nan") for name, value in row.items()}
    msg = f"{path} has no row 'mean'"
    raise ValueError(msg)


def tolerance(name: str) -> float:
    """How far an aggregate may lie from the peer's, relative.

    Genes in which cells of different depth tie as fractions have p-values that the peers leave to rounding, so a set of
    significant genes may differ by some; cell-eval works in float32 on float32 data, its energy distances wholly.
    """
    if name == "pearson_edistance":
        return 2e-4
    return 1e-3 if name.startswith("de_wilcoxon") else 1e-5


def assert_equal_results(mine: Path, theirs: Path) -> None:
    """The aggregates agree before any time is quoted."""
    left, right = read_means(mine / "agg_results.csv"), read_means(theirs / "agg_results.csv")
    assert set(left) == set(right)
    for name, value in right.items():
        same = math.isnan(value) and math.isnan(left[name])
        assert same or math.isclose(left[name], value, rel_tol=tolerance(name), abs_tol=1e-9), (name, left[name], value)


@pytest.mark.benchmark(group="score vcc2026, 50 × 400 + 3,000 cells × 18,533 genes")
class TestSlice:
    @pytest.mark.parametrize("who", ["vcmetrics"])
    def test_score_slice(self, who, measure, slice_pair, tmp_path):
        measure(ours(slice_pair, tmp_path / "out"), rounds=5)

    @pytest.mark.parametrize("who", ["vcmetrics-cached"])
    def test_score_slice_cached(self, who, measure, slice_pair, tmp_path):
        measure(ours(slice_pair, tmp_path / "out", "--cache", str(tmp_path / "cache")), rounds=5)

    @pytest.mark.parametrize("who", ["cell-eval2"])
    def test_score_slice_peer(self, who, measure, slice_pair, peer_python, tmp_path):
        measure(cell_eval2(peer_python, slice_pair, tmp_path / "theirs"), rounds=1, warmup=0)
        measured = ours(slice_pair, tmp_path / "ours")
        from bench.process import run

        run(measured)
        assert_equal_results(tmp_path / "ours", tmp_path / "theirs")


@pytest.mark.benchmark(group="score, all rule sets beside vcc2026 alone, 50 × 400 + 3,000 cells × 18,533 genes")
class TestAllPresets:
    @pytest.mark.parametrize("who", ["vcc2026"])
    def test_score_one_preset(self, who, measure, slice_pair, tmp_path):
        measure(ours(slice_pair, tmp_path / "out", "--preset", who), rounds=5)

    @pytest.mark.parametrize("who", ["all"])
    def test_score_all_presets(self, who, measure, slice_pair, tmp_path):
        measure(ours(slice_pair, tmp_path / "out", "--preset", who, "--batch-col", "batch"), rounds=5)
        measured = ours(slice_pair, tmp_path / "alone", "--preset", "vcc2026")
        from bench.process import run

        run(measured)
        assert_equal_results(tmp_path / "out" / "vcc2026", tmp_path / "alone")


@pytest.mark.benchmark(group="score vcc2026, a whole context: 300 × 400 + 18,400 cells × 18,533 genes")
class TestContext:
    @pytest.mark.parametrize("who", ["vcmetrics"])
    def test_score_context(self, who, measure, context_pair, tmp_path):
        measure(ours(context_pair, tmp_path / "out"), rounds=3)

    @pytest.mark.parametrize("who", ["vcmetrics-cached"])
    def test_score_context_cached(self, who, measure, context_pair, tmp_path):
        measure(ours(context_pair, tmp_path / "out", "--cache", str(tmp_path / "cache")), rounds=3)


@pytest.mark.benchmark(group="score vcc2025, log-normalised slice")
class TestVcc2025:
    @pytest.mark.parametrize("who", ["vcmetrics"])
    def test_score_vcc2025(self, who, measure, lognorm_pair, tmp_path):
        measure(ours(lognorm_pair, tmp_path / "out", "--preset", "vcc2025"), rounds=5)

    @pytest.mark.parametrize("who", ["cell-eval"])
    def test_score_vcc2025_peer(self, who, measure, lognorm_pair, peer_python, tmp_path):
        from bench.process import run

        measure(cell_eval(peer_python, lognorm_pair, tmp_path / "theirs", "vcc"), rounds=1, warmup=0)
        run(ours(lognorm_pair, tmp_path / "ours", "--preset", "vcc2025"))
        assert_equal_results(tmp_path / "ours", tmp_path / "theirs")


@pytest.mark.benchmark(group="score cell-eval full, log-normalised slice")
class TestCellEvalFull:
    @pytest.mark.parametrize("who", ["vcmetrics"])
    def test_score_full(self, who, measure, lognorm_pair, tmp_path):
        measure(ours(lognorm_pair, tmp_path / "out", "--preset", "cell-eval"), rounds=3)

    @pytest.mark.parametrize("who", ["cell-eval"])
    def test_score_full_peer(self, who, measure, lognorm_pair, peer_python, tmp_path):
        from bench.process import run

        measure(cell_eval(peer_python, lognorm_pair, tmp_path / "theirs", "full"), rounds=1, warmup=0)
        run(ours(lognorm_pair, tmp_path / "ours", "--preset", "cell-eval"))
        assert_equal_results(tmp_path / "ours", tmp_path / "theirs")
