"""``python -m bench.gpu``: build, test and measure the CUDA kernels on this machine, in one command.

Builds for this GPU where needed, runs the GPU tests, times each kernel against its floor (bytes over the measured
bandwidth of a copy, additions over their measured rate), our CPU path and what CuPy has for it, and runs small cases
under compute-sanitizer. Writes <date>-<gpu>.json and .md and prints the table last. Takes no more than --seconds, and
needs no network. ``--dry-run`` walks through inputs, cases and files on a machine without a GPU and measures nothing.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
TESTS, SANITIZER, CASE = 140.0, 90.0, 20.0  # most seconds of the tests; kept for compute-sanitizer; for a case


def parser() -> argparse.ArgumentParser:
    """Command line."""
    found = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__.partition("\n\n")[0])
    found.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    found.add_argument("--seconds", type=float, default=470.0, help="most seconds of the whole run")
    found.add_argument("--only", action="append", metavar="FAMILY", help="families of kernels: pairs, ranks, …")
    found.add_argument("--no-tests", action="store_true", help="neither tests nor compute-sanitizer")
    found.add_argument("--dry-run", action="store_true", help="small inputs on the host; measures nothing")
    return found


def facts(xp: Any) -> dict[str, str]:
    """Machine, driver and versions."""
    found = {"date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "CPU": cpu_name()}
    found["CPU threads"] = str(len(os.sched_getaffinity(0)))
    for name in ("numpy", "cupy-cuda13x", "cupy-cuda12x"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    found["python"] = platform.python_version()
    if xp is not np:
        runtime = xp.cuda.runtime
        properties = runtime.getDeviceProperties(xp.cuda.Device().id)
        found["GPU"] = properties["name"].decode()
        found["driver's CUDA"], found["CuPy's CUDA"] = str(runtime.driverGetVersion()), str(runtime.runtimeGetVersion())
    return found


def cpu_name() -> str:
    """The CPU's own name where the system tells it."""
    info = Path("/proc/cpuinfo")
    named = re.search(r"^model name\s*:\s*(.*)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return named[1] if named else platform.machine()


def measured(case: Any, xp: Any, limits: dict[str, float], dry: bool) -> dict[str, Any]:
    """Times and checks of one case."""
    from bench.gpu.clock import seconds

    record: dict[str, Any] = {"name": case.name, "size": case.size}
    got, want = case.run(), case.cpu()
    record["same"] = case.same(got, want)
    del got
    if dry:
        for work in case.others.values():
            work()
        return record
    record["seconds"], record["spread"] = seconds(xp, case.run)
    if case.unit in limits:
        record["floor"] = case.operations / limits[case.unit]
    record["cpu_seconds"] = seconds(np, case.cpu, most=3)[0] / case.cpu_share
    record["others"] = {}
    for name, work in case.others.items():
        try:
            record["others"][name] = seconds(xp, work, most=3)[0]
        except Exception as error:  # CuPy's ways differ by release; one that fails is told
            record["others"][f"{name} ({type(error).__name__})"] = None
    return record


def measure_all(options: argparse.Namespace, end: float) -> tuple[Any, dict[str, float], list[dict[str, Any]]]:
    """(array library, ceilings, records): a case that fails is told, and the next one runs."""
    from bench.gpu import ceilings
    from bench.gpu.cases import FAMILIES
    from vcmetrics.backend.gpu import engine

    found = twin_engine() if options.dry_run else engine()
    limits: dict[str, float] = {}
    records: list[dict[str, Any]] = []
    if not options.dry_run:
        try:
            limits = ceilings.measure(found.xp)
        except Exception as error:
            records.append({"name": "ceilings", "size": "", "failed": f"{type(error).__name__}: {error}"})
    threads = len(os.sched_getaffinity(0))
    for name in options.only or FAMILIES:
        if time.monotonic() + CASE > end:
            records.append({"name": name, "size": "", "failed": "not run: no time left"})
            continue
        try:
            for case in FAMILIES[name](found, options.dry_run, threads):
                try:
                    records.append(measured(case, found.xp, limits, options.dry_run))
                except Exception as error:
                    records.append({"name": case.name, "size": case.size, "failed": f"{type(error).__name__}: {error}"})
                if time.monotonic() + CASE > end:
                    break
        except Exception as error:
            records.append({"name": name, "size": "", "failed": f"{type(error).__name__}: {error}"})
        if found.release is not None:
            found.release()
    return found.xp, limits, records


def twin_engine() -> Any:
    """The kernels on the host."""
    from vcmetrics import _cuda_twin
    from vcmetrics.backend.compiled import CompiledKernels, numpy_address
    from vcmetrics.backend.gpu import Engine

    return Engine(np, CompiledKernels(np, _cuda_twin, numpy_address, lambda: 0))


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code: 0 where every step and check was good."""
    from bench.gpu import steps, table

    options = parser().parse_args(arguments)
    end = time.monotonic() + options.seconds
    options.out.mkdir(parents=True, exist_ok=True)
    done: list[dict[str, Any]] = []
    logs = steps.ROOT / "build" / "bench-gpu"
    logs.mkdir(parents=True, exist_ok=True)
    if not options.dry_run:
        done += steps.build(end - time.monotonic(), logs)
        if done[-1]["good"] is False:
            print(done[-1]["outcome"], file=sys.stderr)
            return 1
        if not options.no_tests:
            done.append(steps.tests(min(TESTS, end - time.monotonic()), logs))
    sys.path.insert(0, str(steps.ROOT / "python"))
    from vcmetrics.backend.gpu import gpu_status

    count, reason = gpu_status()
    if not options.dry_run and not count:
        print(f"nothing was measured: {reason}", file=sys.stderr)
        return 1
    checked = not (options.dry_run or options.no_tests)
    xp, limits, records = measure_all(options, end - SANITIZER if checked else end)
    if checked:
        done += steps.sanitizer(end - time.monotonic(), logs)
    told = facts(xp)
    for name, unit in (("copy", "GB/s"), ("float32", "G additions/s"), ("float64", "G additions/s")):
        if name in limits:
            told[f"measured {name}"] = f"{limits[name] / 1e9:.0f} {unit}"
    subject = re.sub(r"[^a-z0-9]+", "-", told.get("GPU", "dry run").lower()).strip("-")
    title = f"# Kernels on {told['GPU']}" if "GPU" in told else "# Dry run on the host: nothing here was measured"
    report = {"title": title, "facts": told, "steps": done, "ceilings": limits, "cases": records}
    written = table.write(report, options.out, f"{told['date'][:10]}-{subject}")
    print("written:", *written)
    print(table.markdown(report))
    bad = [r for r in records if r.get("failed") or r.get("same") is False] + [s for s in done if s["good"] is False]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
