"""The examples in the docstrings run and print what they say."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

MODULES = [
    "metrics.aggregate",
    "metrics.de_effect",
    "metrics.discrimination",
    "metrics.registry",
    "summary.de_reading",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    found = doctest.testmod(import_module(f"vcmetrics.{name}"))
    assert found.attempted > 0
    assert found.failed == 0
