"""The results as dated files: JSON for machines, Markdown for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HEAD = ("kernel", "size", "time", "spread", "floor", "of floor", "CPU", "× CPU", "same", "others")


def _time(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def row(record: dict[str, Any]) -> list[str]:
    """One line of the table; what was not measured is a dash."""
    took, floor, cpu = record.get("seconds"), record.get("floor"), record.get("cpu_seconds")
    others = "; ".join(f"{name}: {_time(value)}" for name, value in record.get("others", {}).items())
    return [
        record["name"],
        record["size"],
        _time(took) if "failed" not in record else f"FAILED: {record['failed']}",
        _time(record.get("spread")),
        _time(floor),
        f"{floor / took:.0%}" if took and floor else "–",
        _time(cpu),
        f"{cpu / took:.1f}" if took and cpu else "–",
        {True: "yes", False: "NO", None: "–"}[record.get("same")],
        others or "–",
    ]


def markdown(report: dict[str, Any]) -> str:
    """The table under a line that says where, when and with what it was measured."""
    lines = [report["title"], ""]
    lines += [f"- {name}: {value}" for name, value in report["facts"].items()]
    lines += [f"- {step['name']}: {step['outcome']}" for step in report["steps"]]
    lines += ["", "| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    lines += ["| " + " | ".join(cell.replace("|", "/") for cell in row(record)) + " |" for record in report["cases"]]
    return "\n".join(lines) + "\n"


def write(report: dict[str, Any], folder: Path, name: str) -> list[Path]:
    """``name.json`` and ``name.md`` in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.json", folder / f"{name}.md"]
    paths[0].write_text(json.dumps(report, indent=2, default=float) + "\n")
    paths[1].write_text(markdown(report))
    return paths
