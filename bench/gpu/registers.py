"""``python -m bench.gpu.registers``: registers, shared memory and spills of every kernel, as nvcc reports them.

Needs nvcc and no GPU. Rewrites registers.md; ``--check`` fails where a kernel spills.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ARCHITECTURES = ("75", "80", "90")
_ENTRY = re.compile(r"Compiling entry function '(\w+)' for 'sm_(\d+)'")
_SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers(.*)")
_SHARED = re.compile(r"(\d+) bytes smem")


def report(source: Path, architecture: str) -> str:
    """What ptxas says of one file."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["nvcc", "-std=c++20", "-O3", "--fmad=false", f"-arch=sm_{architecture}", "-cubin", "-Xptxas", "-v"]
        done = subprocess.run(
            [*command, f"-I{ROOT / 'csrc'}", str(source), "-o", str(Path(folder) / "out.cubin")],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    return done.stdout + done.stderr


def kernels(text: str) -> list[tuple[str, int, int, int, int]]:
    """(name, registers, shared bytes, stack bytes, spilled bytes) of each kernel in a report."""
    names = demangled([entry[1] for entry in _ENTRY.finditer(text)])
    spills = [tuple(map(int, match.groups())) for match in _SPILLS.finditer(text)]
    used = list(_USED.finditer(text))
    found = []
    for name, (stack, stores, loads), match in zip(names, spills, used, strict=True):
        shared = _SHARED.search(match[2])
        found.append((name, int(match[1]), int(shared[1]) if shared else 0, stack, stores + loads))
    return sorted(found)


def demangled(names: list[str]) -> list[str]:
    """Kernels' own names: ``PairSums<float, Cityblock>``."""
    if not names:
        return []
    done = subprocess.run(["c++filt"], input="\n".join(names), check=True, capture_output=True, text=True)
    return [short(line) for line in done.stdout.splitlines()]


def short(name: str) -> str:
    """The kernel inside ``run_tasks<…>``, without namespaces."""
    inner = name.partition("run_tasks<")[2].rpartition(">(")[0] or name
    inner = inner.replace("vcm::cuda::", "").replace("(anonymous namespace)::", "")
    return re.sub(r"_GLOBAL__N__\w+::", "", inner).replace(" >", ">").strip()


def table(rows: dict[str, list[tuple[str, int, int, int, int]]], compiler: str) -> str:
    """Markdown: a line a kernel, a group of columns an architecture."""
    head = ["kernel"] + [f"sm_{a}: registers / shared / stack / spilled bytes" for a in rows]
    lines = [
        "# Registers and spills",
        "",
        f"What ptxas reports for each kernel ({compiler}, `-O3 --fmad=false`).",
        "Written by `python -m bench.gpu.registers`.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + " --- |" * len(head),
    ]
    for k, (name, *_) in enumerate(next(iter(rows.values()))):
        cells = [" / ".join(map(str, found[k][1:])) for found in rows.values()]
        lines.append("| `" + name + "` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail where a kernel spills; write nothing")
    parser.add_argument("--architecture", action="append", help=f"default: {', '.join(ARCHITECTURES)}")
    options = parser.parse_args()
    if shutil.which("nvcc") is None:
        print("no nvcc on the PATH", file=sys.stderr)
        return 1
    version = subprocess.run(["nvcc", "--version"], check=True, capture_output=True, text=True).stdout
    compiler = "nvcc " + re.search(r"release ([\d.]+)", version)[1]  # type: ignore[index]
    sources = sorted((ROOT / "csrc" / "cuda").glob("*/*.cu"))
    rows = {
        architecture: sorted(kernel for source in sources for kernel in kernels(report(source, architecture)))
        for architecture in options.architecture or ARCHITECTURES
    }
    text = table(rows, compiler)
    print(text)
    spilling = [name for found in rows.values() for name, *_, spilled in found if spilled]
    if options.check:
        print(f"spilling: {', '.join(spilling) or 'none'}")
        return 1 if spilling else 0
    (HERE / "registers.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
