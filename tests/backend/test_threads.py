import os

import pytest

from vcmetrics.backend.threads import resolve_threads


def test_none_means_the_affinity_mask(monkeypatch):
    monkeypatch.delenv("VCMETRICS_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 9}, raising=False)
    assert resolve_threads() == 3


@pytest.mark.parametrize(("cap", "expected"), [("2", 2), ("64", 3), (" 1 ", 1), ("", 3)])
def test_environment_caps_but_never_raises_the_number(monkeypatch, cap, expected):
    monkeypatch.setenv("VCMETRICS_NUM_THREADS", cap)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert resolve_threads(None) == expected


def test_an_explicit_number_is_honoured(monkeypatch):
    monkeypatch.setenv("VCMETRICS_NUM_THREADS", "1")
    assert resolve_threads(7) == 7


@pytest.mark.parametrize("bad", [0, -1, 1.5, True])
def test_zero_negative_and_broken_numbers_raise(bad):
    with pytest.raises(ValueError, match="positive whole number"):
        resolve_threads(bad)


@pytest.mark.parametrize("bad", ["0", "-2", "two", "1.5"])
def test_bad_environment_raises(monkeypatch, bad):
    monkeypatch.setenv("VCMETRICS_NUM_THREADS", bad)
    with pytest.raises(ValueError, match="VCMETRICS_NUM_THREADS"):
        resolve_threads()


def test_systems_without_affinity_count_cpus(monkeypatch):
    monkeypatch.delenv("VCMETRICS_NUM_THREADS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert resolve_threads() == 5
