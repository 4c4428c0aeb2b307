"""Start-up: what every call pays first."""

import sys

import pytest


@pytest.mark.benchmark(group="start-up")
def test_import(measure):
    measure([sys.executable, "-c", "import vcmetrics"], rounds=10)


@pytest.mark.benchmark(group="start-up")
def test_help(measure):
    measure([sys.executable, "-m", "vcmetrics", "score", "--help"], rounds=10)
