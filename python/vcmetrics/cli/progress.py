"""A progress bar on a terminal, nothing in a pipe."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE = 0.5  # seconds before a bar appears: short work shows none


class Bar:
    """``with Bar("scoring") as progress:`` gives a callable ``progress(done, total)``.

    The bar goes to stderr, appears only when stderr is a terminal and the work outlasts half a second, and is
    wiped at the end. ``rich`` is imported at that moment and not before.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._bar: Progress | None = None
        self._task: Any = None
        self._start = 0.0
        self._visible = False

    def __enter__(self) -> Bar:
        self._start = time.monotonic()
        self._visible = sys.stderr.isatty()
        return self

    def __call__(self, done: int, total: int) -> None:
        """Show ``done`` of ``total``; a total that grows is taken over."""
        if not self._visible:
            return
        if self._bar is None:
            if time.monotonic() - self._start < PATIENCE:
                return
            self._bar = self._make()
            self._task = self._bar.add_task(self._text, total=total)
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total)

    @staticmethod
    def _make() -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
