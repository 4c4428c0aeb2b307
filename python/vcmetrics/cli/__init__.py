"""The command ``vcmetrics``; one module a command, loaded when it is called."""

from __future__ import annotations

from vcmetrics.cli.entry import main

__all__ = ["main"]
