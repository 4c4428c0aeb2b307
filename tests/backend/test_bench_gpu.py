"""What ``python -m bench.gpu`` does without a device: arguments, inputs, files, the reading of compiler reports."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "bench").is_dir(), reason="the benchmarks are not in this tree")


@pytest.fixture(autouse=True)
def tree(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def test_dry_run_walks_through_every_case(tmp_path):
    pytest.importorskip("vcmetrics._cuda_twin", reason="built with VCM_CUDA_TWIN=OFF")
    main = importlib.import_module("bench.gpu.__main__").main
    assert main(["--dry-run", "--out", str(tmp_path)]) == 0
    (record,) = (json.loads(path.read_text()) for path in tmp_path.glob("*.json"))
    names = {case["name"].split()[0].strip(",") for case in record["cases"]}
    kernels = "pair_sums match_counts co_moments group_pair_sums csr_group_sums row_totals dense_group_sums rank_sums"
    assert names == set(kernels.split())
    assert all(case["same"] for case in record["cases"])
    assert not any("seconds" in case for case in record["cases"])
    (text,) = (path.read_text() for path in tmp_path.glob("*.md"))
    assert text.startswith("# Dry run on the host: nothing here was measured")


def test_arguments():
    parser = importlib.import_module("bench.gpu.__main__").parser()
    given = parser.parse_args(["--only", "pairs", "--only", "sums", "--seconds", "60"])
    assert given.only == ["pairs", "sums"]
    assert given.seconds == 60
    assert not given.dry_run


def test_without_a_device_nothing_is_measured(tmp_path, monkeypatch, capsys):
    main = importlib.import_module("bench.gpu.__main__").main
    monkeypatch.setattr("bench.gpu.steps.build", lambda *_: [{"name": "build", "outcome": "not needed", "good": True}])
    monkeypatch.setattr("vcmetrics.backend.gpu.gpu_status", lambda: (0, "no driver here"))
    assert main(["--no-tests", "--out", str(tmp_path)]) == 1
    assert "nothing was measured: no driver here" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.json"))


def test_table_rows():
    table = importlib.import_module("bench.gpu.table")
    record = {
        "name": "k", "size": "1 × 1", "seconds": 0.002, "spread": 1e-4, "floor": 0.001, "cpu_seconds": 0.05,
        "same": True, "others": {"CuPy": 0.004, "other (KeyError)": None},
    }  # fmt: skip
    assert table.row(record) == [
        "k", "1 × 1", "2 ms", "0.1 ms", "1 ms", "50%", "50 ms", "25.0", "yes", "CuPy: 4 ms; other (KeyError): –",
    ]  # fmt: skip
    failed = table.row({"name": "k", "size": "", "failed": "KeyError: 3"})
    assert failed[2] == "FAILED: KeyError: 3"
    assert table.row({"name": "k", "size": "", "same": False})[8] == "NO"


def test_a_step_tells_how_it_went(tmp_path):
    steps = importlib.import_module("bench.gpu.steps")
    good = steps.run("one", [sys.executable, "-c", "print('all fine')"], 60, tmp_path / "log")
    assert good["good"]
    assert good["outcome"].endswith("all fine")
    bad = steps.run("two", [sys.executable, "-c", "raise SystemExit(3)"], 60, tmp_path / "log")
    assert "FAILED (3)" in bad["outcome"]
    assert steps.run("three", ["no-such-program"], 60, tmp_path / "log")["good"] is False
    assert steps.run("four", [], 1, tmp_path / "log")["outcome"] == "not run: no time left"


def test_compiler_reports_are_read(monkeypatch):
    registers = importlib.import_module("bench.gpu.registers")
    monkeypatch.setattr(registers, "demangled", lambda names: names)
    text = """ptxas info    : Compiling entry function 'alpha' for 'sm_90'
ptxas info    : Function properties for alpha
    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 26112 bytes smem
ptxas info    : Compiling entry function 'beta' for 'sm_90'
ptxas info    : Function properties for beta
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 12 registers, used 1 barriers
"""
    assert registers.kernels(text) == [("alpha", 40, 26112, 8, 16), ("beta", 12, 0, 0, 0)]
    name = "void vcm::cuda::run_tasks<vcm::cuda::(anonymous namespace)::PairSums<float> >(vcm::cuda::X, long)"
    assert registers.short(name) == "PairSums<float>"


def test_no_committed_kernel_spills():
    lines = (ROOT / "bench" / "gpu" / "registers.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| `")]
    assert len(rows) > 20
    for line in rows:
        for cell in line.split("|")[2:-1]:
            _, _, stack, spilled = map(int, cell.split("/"))
            assert (stack, spilled) == (0, 0), line


def test_the_command_says_what_it_does():
    done = subprocess.run(
        [sys.executable, "-m", "bench.gpu", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "one command" in done.stdout
