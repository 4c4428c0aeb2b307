"""A progress bar on a terminal, nothing in a pipe."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE = 0.5  # seconds before a bar appears: short work shows none


class Bar:
    """``with Bar("scoring") as progress:`` gives a callable ``progress(done, total)``.

    The bar goes to stderr, appears only when stderr is a terminal and the work outlasts half a second, and is wiped
    at the end. Until the first call it says "reading", without a share. ``rich`` is imported when the bar appears
    and not before.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._bar: Progress | None = None
        self._task: Any = None
        self._state: tuple[int, int] | None = None
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Bar:
        if sys.stderr.isatty():
            self._timer = threading.Timer(PATIENCE, self._appear)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __call__(self, done: int, total: int) -> None:
        """Show ``done`` of ``total``; a total that grows is taken over."""
        with self._lock:
            self._state = (done, total)
            self._show()

    def _appear(self) -> None:
        bar = self._make()
        with self._lock:
            if self._timer is None:  # the work has ended meanwhile
                return
            self._bar = bar
            self._task = bar.add_task("reading", total=None)
            bar.start()
            self._show()

    def _show(self) -> None:
        if self._bar is not None and self._state is not None:
            done, total = self._state
            self._bar.update(self._task, description=self._text, completed=done, total=total)

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
        with self._lock:
            timer, self._timer = self._timer, None
            bar, self._bar = self._bar, None
        if timer is not None:
            timer.cancel()
        if bar is not None:
            bar.stop()
