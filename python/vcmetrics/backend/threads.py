"""How many threads a call may use."""

from __future__ import annotations

import os


def _allowed_cpus() -> int:
    """CPUs this process may run on: the affinity mask where the system has one."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def resolve_threads(n_threads: int | None = None) -> int:
    """Number of threads for one call.

    Parameters
    ----------
    n_threads
        A positive number is taken as it is. None means the CPUs in the affinity mask, capped by the
        environment variable ``VCMETRICS_NUM_THREADS``.

    Raises
    ------
    ValueError
        If ``n_threads`` or the environment variable is zero, negative or no whole number.
    """
    if n_threads is not None:
        if isinstance(n_threads, bool) or int(n_threads) != n_threads or n_threads < 1:
            msg = f"n_threads is {n_threads!r}; pass a positive whole number, or None for all allowed CPUs"
            raise ValueError(msg)
        return int(n_threads)
    allowed = _allowed_cpus()
    text = os.environ.get("VCMETRICS_NUM_THREADS", "").strip()
    if not text:
        return allowed
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        msg = f"VCMETRICS_NUM_THREADS is {text!r}; set a positive whole number, or unset it"
        raise ValueError(msg)
    return min(allowed, int(text))
