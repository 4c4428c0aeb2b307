"""Rows by name, found in modules that are imported, one after the other, until the row is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Generic, Protocol, TypeVar


class Named(Protocol):
    """What every row has."""

    @property
    def name(self) -> str:
        """The row's own name."""

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names of it."""


Row = TypeVar("Row", bound=Named)


class RowTable(Generic[Row]):
    """The rows of one registry.

    Parameters
    ----------
    what
        A row in words (``metric``), for messages.
    package, families
        Modules ``package.family`` register the rows; their order is that of the rows.
    family_of
        Family of a row.
    listing
        Name of the public function that lists the rows, for messages.
    """

    def __init__(
        self, what: str, package: str, families: Sequence[str], family_of: Callable[[Row], str], listing: str
    ) -> None:
        self._what, self._package, self._families = what, package, tuple(families)
        self._family_of, self._listing = family_of, listing
        self._rows: dict[str, Row] = {}
        self._names: dict[str, str] = {}
        self._unread = list(self._families)

    def register(self, row: Row) -> Row:
        """Add a row; a name or alias that is taken raises."""
        for name in (row.name, *row.aliases):
            if self._names.get(name, row.name) != row.name:
                msg = f"{self._what} name {name!r} of {row.name!r} is taken by {self._names[name]!r}"
                raise ValueError(msg)
            self._names[name] = row.name
        self._rows[row.name] = row
        return row

    def _load(self, until: str | None = None) -> None:
        """Import the families, in their order: all of them, or up to the one that has the name ``until``."""
        while self._unread and (until is None or until not in self._names):
            family = self._unread[0]
            import_module(f"{self._package}.{family}")
            self._unread.remove(family)

    def rows(self) -> Iterator[Row]:
        """All rows, family by family, in the order of registration; which module was imported first is the same."""
        self._load()
        place = {family: k for k, family in enumerate(self._families)}
        yield from sorted(self._rows.values(), key=lambda row: place.get(self._family_of(row), len(place)))

    def get(self, name: str) -> Row:
        """Row by its name or an alias."""
        self._load(name)
        if name not in self._names:
            from difflib import get_close_matches

            near = get_close_matches(str(name), self._names, n=3)
            hint = f"did you mean {', '.join(near)}?" if near else f"see {self._listing}"
            msg = f"{self._what} {name!r} is not known; {hint}"
            raise ValueError(msg)
        return self._rows[self._names[name]]
