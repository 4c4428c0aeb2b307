"""What ``python -m bench.gpu`` does before it measures: build, tests, compute-sanitizer. Each says how it went."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
GPU_TESTS = (
    "tests/backend",
    "tests/distances/test_on_gpu.py",
    "tests/retrieval/test_on_gpu.py",
    "tests/summary/test_rank_sums_on_gpu.py",
)


def environment() -> dict[str, str]:
    """With the tree's package first."""
    path = os.environ.get("PYTHONPATH", "")
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT / "python"), str(ROOT), path]))}


def run(name: str, command: list[str], limit: float, log: Path) -> dict[str, Any]:
    """Run one step; its output goes to ``log``, its last line and time into the report."""
    begin = time.monotonic()
    if limit < 5:
        return {"name": name, "outcome": "not run: no time left", "good": None}
    with log.open("w") as out:
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment(), stdout=out, stderr=subprocess.STDOUT, timeout=limit, check=False
            )
            code: int | str = done.returncode
        except subprocess.TimeoutExpired:
            code = f"stopped after {limit:.0f} s"
        except OSError as error:
            code = str(error)
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    took = time.monotonic() - begin
    outcome = f"{'good' if code == 0 else f'FAILED ({code})'} in {took:.0f} s: {lines[-1] if lines else 'no output'}"
    return {"name": name, "outcome": outcome, "good": code == 0, "seconds": took}


def build(limit: float, folder: Path) -> list[dict[str, Any]]:
    """Configure and build ``_core``, ``_cuda`` and its twin for this GPU, into the tree's package."""
    if all(built(module) for module in ("_core", "_cuda")):
        return [{"name": "build", "outcome": "not needed: _core and _cuda import", "good": True}]
    for tool in ("cmake", "nvcc"):
        if shutil.which(tool) is None:
            return [{"name": "build", "outcome": f"not run: no {tool} on the PATH", "good": False}]
    begin = time.monotonic()
    cmakedir = subprocess.run(
        [sys.executable, "-m", "pybind11", "--cmakedir"], capture_output=True, text=True, check=False
    ).stdout.strip()
    where = ROOT / "build" / "gpu"
    configure = [
        "cmake", "-S", str(ROOT), "-B", str(where), "-DCMAKE_BUILD_TYPE=Release", "-DVCM_CUDA=ON", "-DVCM_WERROR=ON",
        "-DCMAKE_CUDA_ARCHITECTURES=native", f"-DPython_EXECUTABLE={sys.executable}", f"-Dpybind11_DIR={cmakedir}",
        f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={ROOT / 'python' / 'vcmetrics'}",
    ]  # fmt: skip
    first = run("configure", configure, limit, folder / "configure.log")
    if not first["good"]:
        return [first]
    left = limit - (time.monotonic() - begin)
    jobs = str(len(os.sched_getaffinity(0)))
    return [first, run("build", ["cmake", "--build", str(where), "-j", jobs], left, folder / "build.log")]


def built(module: str) -> bool:
    """Whether a compiled module imports."""
    found = subprocess.run(
        [sys.executable, "-c", f"import vcmetrics.{module}"], env=environment(), capture_output=True, check=False
    )
    return found.returncode == 0


def tests(limit: float, folder: Path) -> dict[str, Any]:
    """The tests that need a device: CPU against GPU on every kernel."""
    if importlib.util.find_spec("pytest") is None:
        return {"name": "gpu tests", "outcome": "not run: pytest is not installed", "good": None}
    # what CuPy warns of under a new Python or NumPy is not at issue here
    how = ["-q", "-m", "gpu", "-W", "default", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *how, *GPU_TESTS]
    return run("gpu tests", command, limit, folder / "tests.log")


def sanitizer(limit: float, folder: Path) -> list[dict[str, Any]]:
    """Every kernel on small inputs under memcheck, then under racecheck."""
    program = shutil.which("compute-sanitizer")
    if program is None:
        return [{"name": "compute-sanitizer", "outcome": "not run: not on the PATH", "good": None}]
    found = []
    for tool in ("memcheck", "racecheck"):
        command = [program, "--tool", tool, "--error-exitcode", "9", sys.executable, "-m", "bench.gpu.small"]
        found.append(run(f"compute-sanitizer {tool}", command, limit / 2, folder / f"{tool}.log"))
    return found
