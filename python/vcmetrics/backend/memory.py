"""How much memory a call may use for cells, and what was done to stay within it."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_SHARE = 0.5
SMALLEST = 1 << 20
# a block of rows as stored, inflated and compact, one being read while another is worked on
_BYTES_A_VALUE = 64
_UNITS = {"": 1, **{p.lower(): 1000**k for k, p in enumerate("KMGT", 1)}}
_UNITS |= {f"{p.lower()}i": 1024**k for k, p in enumerate("KMGT", 1)}


@dataclass
class Budget:
    """Bytes that a call may hold for cells; the groups × genes tables of its result come on top.

    ``choices`` lists in words how each pass kept within it. Whoever splits cells into parts that are worked on one
    after the other (blocks of rows, batches of perturbations, ranges of genes, files, batches for a device) asks
    :attr:`part` for the size of one and adds its line with :meth:`note`.
    """

    bytes: int
    choices: list[str] = field(default_factory=list)

    @property
    def part(self) -> int:
        """Bytes of cells that are worked on together; the rest is for what is made of them."""
        return max(1, self.bytes // 2)

    def block_values(self, most: int) -> int:
        """Stored values of one block of rows: ``most``, or fewer where the budget is small."""
        return max(1, min(most, self.part // _BYTES_A_VALUE))

    def note(self, choice: str) -> None:
        """Remember how a pass was made."""
        if choice not in self.choices:
            self.choices.append(choice)


_current: ContextVar[Budget | None] = ContextVar("vcmetrics_memory_budget", default=None)


def current_budget() -> Budget:
    """The budget of the public call that is running; outside of one, the default."""
    return _current.get() or Budget(resolve_budget(None))


def memory_record() -> dict[str, object]:
    """The budget in force and how it was kept, for records of a run."""
    budget = current_budget()
    return {"budget": budget.bytes, "passes": list(budget.choices)}


def budgeted(function: Callable[P, R]) -> Callable[P, R]:
    """Run a public function within its ``memory_budget=``; None inside another call leaves that call's in force.

    A context variable carries it, because what it limits (how a file is read, how a pass is cut) lies several
    layers below the functions that users call.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with spending(kwargs.get("memory_budget")):
            return function(*args, **kwargs)

    return run


@contextmanager
def spending(memory_budget: object) -> Iterator[Budget]:
    """Put a budget in force."""
    outer = _current.get()
    budget = outer if memory_budget is None and outer is not None else Budget(resolve_budget(memory_budget))
    token = _current.set(budget)
    try:
        yield budget
    finally:
        _current.reset(token)


def resolve_budget(memory_budget: object) -> int:
    """Bytes of a budget.

    Parameters
    ----------
    memory_budget
        Bytes (``4_000_000_000``, ``"4GiB"``, ``"500 MB"``), or a share of the available memory (``0.25``, ``"25%"``).
        None is half of it.

    Raises
    ------
    ValueError, TypeError
        If it is none of these, or less than 1 MiB.

    Examples
    --------
    >>> resolve_budget("4GiB") == 4 << 30, resolve_budget("1.5 MB"), resolve_budget(5_000_000)
    (True, 1500000, 5000000)
    """
    if memory_budget is None:
        return max(SMALLEST, int(available_memory() * DEFAULT_SHARE))
    wrong = f"memory_budget is {memory_budget!r}; pass bytes, a size such as '4GiB', or a share between 0 and 1"
    if isinstance(memory_budget, bool) or not isinstance(memory_budget, int | float | str):
        raise TypeError(wrong)
    if isinstance(memory_budget, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(%|(?:([kmgt]i?)?b?))\s*", memory_budget.lower())
        if found is None:
            raise ValueError(wrong)
        number, unit = float(found[1]), found[2]
        if number == float("inf"):
            raise ValueError(wrong)
        if unit == "%":
            share, size = number / 100, None
        elif unit == "" and 0 < number <= 1:
            share, size = number, None
        else:
            share, size = None, int(number * _UNITS[found[3] or ""])
    elif isinstance(memory_budget, float) and memory_budget <= 1:
        share, size = memory_budget, None
    else:
        share, size = None, int(memory_budget) if abs(memory_budget) < float("inf") else 0
    if share is not None:
        if not 0 < share <= 1:
            raise ValueError(wrong)
        size = int(available_memory() * share)
    assert size is not None
    if size < SMALLEST:
        msg = f"memory_budget {memory_budget!r} is {size} bytes; pass at least 1 MiB"
        raise ValueError(msg)
    return size


def available_memory(root: str | os.PathLike[str] = "/") -> int:
    """Bytes that this process could still take: of the machine, and of every control group that holds it.

    Pages of files that can be dropped count as free. ``root`` is where ``proc`` and ``sys`` are looked for.
    """
    base = Path(root)
    found = [_machine(base), *_control_groups(base)]
    return max(0, min(found))


def _machine(base: Path) -> int:
    try:
        for line in (base / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    # no /proc: what the system says it has
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _control_groups(base: Path) -> Iterator[int]:
    """Room left in each control group, from ours up to the root; versions 1 and 2."""
    try:
        lines = (base / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if controllers == "":
            top, names = base / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top = base / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        # inside a container the path may be the host's: then only the root of the mount is there
        inside = Path(place.lstrip("/"))
        for folder in [inside, *inside.parents]:
            room = _room(top / folder, *names)
            if room is not None:
                yield room


def _room(folder: Path, limit: str, usage: str, droppable: str) -> int | None:
    try:
        limits = [(folder / limit).read_text().strip()]
        if limit == "memory.max" and (folder / "memory.high").exists():  # beyond it the group is slowed down
            limits.append((folder / "memory.high").read_text().strip())
        known = [int(text) for text in limits if text != "max"]
        if not known or min(known) >= 1 << 60:  # version 1 writes a huge number for none
            return None
        used = int((folder / usage).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return min(known) - used + int(stat.get(droppable, 0))
    except (OSError, ValueError):
        return None
