"""``python -m bench``: run the tracked benchmarks, compare with this machine's baseline, fail beyond 15 %.

``--save`` makes the run the new baseline (``bench/baselines/<machine>.json``). ``--peers`` runs the scorers that we
measure against as well (extra ``bench``, or VCM_PEERS_PYTHON=/path/to/their/python), each in the same group as ours;
results are compared before times are. pertpy wants a Python of its own: VCM_PERTPY_PYTHON; so may vcc-cli:
VCM_VCC_PYTHON. ``--large`` adds whole
competition contexts. Further arguments go to pytest.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ALLOWED = 1.15


def machine() -> str:
    """CPU and number of usable cores, as a file name."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"^model name\s*:\s*(.*)$", info.read_text(), re.MULTILINE)
        cpu = found[1] if found else cpu
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return re.sub(r"[^a-z0-9]+", "-", f"{cpu} {cores} cores".lower()).strip("-")


def medians(report: Path) -> dict[str, float]:
    """Median seconds by benchmark."""
    found = json.loads(report.read_text())["benchmarks"]
    return {row["name"]: row["stats"]["median"] for row in found}


def compare(now: dict[str, float], before: dict[str, float]) -> list[str]:
    """Print old and new side by side; return the names that are slower than allowed."""
    slower = []
    for name, seconds in now.items():
        if name not in before:
            print(f"{name:<60} {seconds:10.4f} s   (new)")
            continue
        ratio = seconds / before[name]
        print(f"{name:<60} {seconds:10.4f} s   {before[name]:10.4f} s before   × {ratio:.2f}")
        if ratio > ALLOWED:
            slower.append(name)
    return slower


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", action="store_true", help="make this run the baseline of this machine")
    parser.add_argument("--peers", action="store_true", help="run the peers, too")
    parser.add_argument("--large", action="store_true", help="run whole competition contexts, too")
    options, rest = parser.parse_known_args()
    report = HERE.parent / "build" / "bench.json"
    report.parent.mkdir(exist_ok=True)
    report.unlink(missing_ok=True)
    os.environ["VCM_BENCH_PEERS"] = "1" if options.peers else ""
    os.environ["VCM_BENCH_LARGE"] = "1" if options.large else ""
    code = pytest.main([str(HERE), "-q", f"--benchmark-json={report}", "--benchmark-sort=name", *rest])
    if code != 0 or not report.exists():
        return int(code) or 1
    now = medians(report)
    baseline = HERE / "baselines" / f"{machine()}.json"
    before = json.loads(baseline.read_text()) if baseline.exists() else {}
    ours = {name: seconds for name, seconds in now.items() if "[vcmetrics" in name or "[" not in name}
    slower = compare(ours, before)
    if options.save or not before:
        baseline.parent.mkdir(exist_ok=True)
        baseline.write_text(json.dumps(before | ours, indent=2, sort_keys=True) + "\n")
        print(f"saved: {baseline}")
        return 0
    if slower:
        print(f"slower by more than {ALLOWED - 1:.0%}: {', '.join(slower)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
