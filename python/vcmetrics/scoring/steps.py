"""One progress for all the passes of a run."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
UNITS = 1000  # a step's share of the reported total


class Steps:
    """Reports ``(done, total)`` of several passes as one count that never goes back.

    A step is one comparison. A comparison may read the cells more than once; the count then waits until the later
    read has overtaken the earlier one. ``expect`` sets the number of steps when it is known.
    """

    def __init__(self, report: Progress) -> None:
        self._report = report
        self._n = 1
        self._finished = 0
        self._share = 0.0

    def expect(self, n: int) -> None:
        """Say how many steps there are."""
        self._n = max(1, n)

    def __call__(self, done: int, total: int) -> None:
        """Take over the progress of one pass of the current step."""
        self._share = max(self._share, min(1.0, done / total) if total > 0 else 1.0)
        self._tell()

    def reach(self, finished: int) -> None:
        """So many steps are finished, by whatever way."""
        self._finished = max(self._finished, min(finished, self._n))
        self._share = 0.0
        self._tell()

    def next(self) -> None:
        """One more step is finished."""
        self.reach(self._finished + 1)

    def _tell(self) -> None:
        share = self._share if self._finished < self._n else 0.0
        self._report(int((self._finished + share) * UNITS), self._n * UNITS)
