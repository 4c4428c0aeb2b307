"""Checks of numbers that a caller passes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def whole(least: int, **values: Any) -> None:
    """Refuse what is no whole number from ``least`` on."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            msg = f"{name} is {value!r}; pass a whole number, at least {least}"
            raise ValueError(msg)


def positive(**values: Any) -> None:
    """Refuse what is no finite number above 0."""
    for name, value in values.items():
        if not is_number(value) or value <= 0:
            msg = f"{name} is {value!r}; pass a positive number"
            raise ValueError(msg)


def not_negative(**values: Any) -> None:
    """Refuse what is no finite number from 0 on."""
    for name, value in values.items():
        if not is_number(value) or value < 0:
            msg = f"{name} is {value!r}; pass a number, at least 0"
            raise ValueError(msg)


def is_number(value: Any) -> bool:
    """Whether it is a finite real number."""
    kinds = int | float | np.integer | np.floating
    return isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
