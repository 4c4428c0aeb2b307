"""What a NumPy docstring says, section by section."""

from __future__ import annotations

import inspect
import re
from typing import Any

_HEADING = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)


def docstring_parts(function: Any) -> dict[str, str]:
    """Sections of a NumPy docstring by their heading; the text before the first is under ``""``."""
    text = inspect.getdoc(function) or ""
    cuts = list(_HEADING.finditer(text))
    ends = [*(match.start() for match in cuts[1:]), len(text)][: len(cuts)]
    parts = {"": text[: cuts[0].start()] if cuts else text}
    for match, end in zip(cuts, ends, strict=True):
        parts[match[1]] = text[match.end() : end]
    return {heading: plain(part) for heading, part in parts.items()}


def plain(text: str) -> str:
    """Docstring markup as Markdown: roles and double backquotes become code."""
    text = re.sub(r":\w+:`~?([^`]+)`", lambda m: f"`{m[1].rpartition('.')[2] if '~' in m[0] else m[1]}`", text)
    return text.replace("``", "`").strip()


def described(text: str) -> list[tuple[list[str], str]]:
    """(names, description) of the entries of a Parameters section."""
    out: list[tuple[list[str], str]] = []
    for line in text.split("\n"):
        if line and not line[0].isspace():
            out.append(([name.strip(" `*") for name in line.split(",")], ""))
        elif out:
            names, before = out[-1]
            out[-1] = names, f"{before} {line.strip()}".strip()
    return out
