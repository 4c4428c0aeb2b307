"""The little YAML that configuration files need: nested mappings, lists and scalars.

PyYAML reads where it is installed; without it this subset is enough for every file that is written here or there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from vcmetrics._errors import DataError

_PLAIN = re.compile(r"[A-Za-z_./][\w./+ -]*")
_WORDS = {"null": None, "~": None, "": None, "true": True, "false": False}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_SPECIAL = {".inf": "inf", "-.inf": "-inf", ".nan": "nan"}


def scalar_text(value: Any) -> str:
    """One value as YAML."""
    if isinstance(value, float):
        text = repr(value)
        mantissa, mark, exponent = text.partition("e")
        # YAML 1.1 takes 1e-09 for a word
        return f"{mantissa}{'' if '.' in mantissa else '.0'}e{exponent}" if mark else text
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


def dump(data: Mapping[str, Any], indent: int = 0) -> str:
    """Mapping as YAML, in its own order."""
    out = []
    pad = "  " * indent
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            out.append(f"{pad}{scalar_text(str(key))}:\n{dump(value, indent + 1)}")
        elif isinstance(value, (list, tuple)) and value:
            rows = "".join(f"{pad}- {scalar_text(item)}\n" for item in value)
            out.append(f"{pad}{scalar_text(str(key))}:\n{rows}")
        else:
            out.append(f"{pad}{scalar_text(str(key))}: {scalar_text(value)}\n")
    return "".join(out)


def scalar(text: str) -> Any:
    """One YAML scalar, flow list or flow mapping as a value."""
    text = text.strip()
    if find_spec("yaml") is not None:
        import yaml  # type: ignore[import-untyped]

        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            msg = f"{text!r} is not YAML ({str(error).splitlines()[0]})"
            raise DataError(msg) from None
    return _plain_scalar(text)


def _plain_scalar(text: str) -> Any:
    text = text.strip()
    if text[:1] in ('"', "[", "{"):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            msg = f"{text!r} cannot be read without PyYAML ({error}); pip install pyyaml, or write it as JSON"
            raise DataError(msg) from None
    if text[:1] == "'":
        return text[1:-1].replace("''", "'")
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if text.lower() in _SPECIAL:
        return float(_SPECIAL[text.lower()])
    if _NUMBER.fullmatch(text):
        return float(text) if any(c in text for c in ".eE") else int(text)
    return text


def load(text: str, name: str) -> Any:
    """A document as mappings, lists and scalars."""
    if find_spec("yaml") is not None:
        import yaml

        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            msg = f"{name} is not YAML ({' '.join(str(error).split())})"
            raise DataError(msg) from None
    lines = []
    for line in text.splitlines():
        kept = re.sub(r"(^|\s)#.*$", "", line).rstrip()
        if kept.strip() and kept.strip() != "---":
            lines.append((len(kept) - len(kept.lstrip()), kept.strip()))
    if not lines:
        return None
    value, rest = _block(lines, name)
    if rest:
        msg = f"{name}: the line {rest[0][1]!r} is not indented as YAML wants it"
        raise DataError(msg)
    return value


def _block(lines: list[tuple[int, str]], name: str) -> tuple[Any, list[tuple[int, str]]]:
    depth = lines[0][0]
    if lines[0][1].startswith("- "):
        items = []
        while lines and lines[0][0] == depth and lines[0][1].startswith("- "):
            items.append(_plain_scalar(lines[0][1][2:]))
            lines = lines[1:]
        return items, lines
    out: dict[Any, Any] = {}
    while lines and lines[0][0] == depth:
        key, colon, value = lines[0][1].partition(":")
        if not colon:
            msg = f"{name}: the line {lines[0][1]!r} is not of the form key: value"
            raise DataError(msg)
        lines = lines[1:]
        nested = lines and (lines[0][0] > depth or (lines[0][0] == depth and lines[0][1].startswith("- ")))
        if value.strip():
            out[_plain_scalar(key)] = _plain_scalar(value)
        elif nested:
            out[_plain_scalar(key)], lines = _block(lines, name)
        else:
            out[_plain_scalar(key)] = None
    return out, lines
