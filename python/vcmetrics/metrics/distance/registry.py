"""One row a distance between two groups of cells: what it is called, what it reads, where it comes from.

A row names one formula ``f(cells, pairs, **parameters)`` that returns (n_pairs,) float64: the distance from group
``pairs[k, 0]`` to group ``pairs[k, 1]`` of :class:`~vcmetrics.sources.cell_groups.CellGroups`, NaN where it is
undefined, and one reference ``r(x, y, **parameters)`` of two float64 blocks of cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.registry import Parity
from vcmetrics.metrics.row_table import RowTable
from vcmetrics.sources.cell_groups import CellGroups

Values = NDArray[np.float64]
Pairs = NDArray[np.int32]
Formula = Callable[..., Values]
Reference = Callable[..., float]
Kind = Literal["profile", "moments", "cells"]

# modules that register distances, imported when the registry is first read
FAMILIES = ("profile", "energy", "mmd", "ranks", "transport", "moments", "counts", "classifiers")
# what the extras of this package bring
EXTRAS = {"ot": ("ot",), "cluster": ("sklearn",), "stats": ("statsmodels",)}


@dataclass(frozen=True)
class DistanceSpec:
    """A row of the registry.

    ``kind`` says what the formula reads of a group: its ``profile`` (mean or median cell), its ``moments`` (mean and
    covariance or variance) or all its ``cells``. ``definition`` is the formula on one line; x is the first group, y the
    second. ``defaults`` are the parameters that the formula takes. ``zero_self`` says that a group has distance 0 to
    itself by the formula. ``invariants`` name the laws that hold: ``translation``, ``rotation``, ``feature_order``,
    ``nonnegative``, and ``scale:k`` (cells times c give c^k times the distance). ``extra`` is the optional dependency
    of this package that the formula imports. ``context``: the value depends on the other groups of the call too; the
    reference takes them as ``others=[cells, …]``. ``parity`` bounds the formula against the reference.
    """

    name: str
    kind: Kind
    symmetric: bool
    definition: str
    formula: Formula
    reference: Reference
    source: str
    parity: Parity
    aliases: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    invariants: tuple[str, ...] = ("feature_order",)
    zero_self: bool = True
    needs_counts: bool = False
    context: bool = False
    extra: str | None = None

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The formula's parameters: the defaults with ``given`` in their place.

        Raises
        ------
        TypeError
            For a parameter that the distance does not take; the message lists those it takes.
        """
        unknown = [name for name in given if name not in self.defaults]
        if unknown:
            takes = ", ".join(self.defaults) or "none"
            msg = f"distance {self.name!r} takes no parameter {unknown[0]!r} (it takes: {takes})"
            raise TypeError(msg)
        return {**self.defaults, **given}

    def require(self) -> None:
        """Raise where the optional dependency is missing.

        Raises
        ------
        ImportError
            Names the distance, the package and the extra that brings it.
        """
        missing = [name for name in EXTRAS.get(self.extra or "", ()) if find_spec(name) is None]
        if missing:
            msg = f"distance {self.name!r} needs {', '.join(missing)}: pip install 'vcmetrics[{self.extra}]'"
            raise ImportError(msg)

    def evaluate(self, cells: CellGroups, pairs: Pairs, given: Mapping[str, Any] | None = None) -> Values:
        """Distances of pairs of groups, (n_pairs,) float64."""
        self.require()
        return self.formula(cells, pairs, **self.parameters(given or {}))


_TABLE: RowTable[DistanceSpec] = RowTable(
    "distance",
    "vcmetrics.metrics.distance",
    FAMILIES,
    lambda spec: spec.formula.__module__.rpartition(".")[2],
    "list_distances() or `vcmetrics distance --list`",
)
register = _TABLE.register
rows = _TABLE.rows


def list_distances() -> list[str]:
    """Names of all distances between groups of cells, in the order of registration.

    Examples
    --------
    >>> "edistance" in list_distances()
    True
    """
    return [spec.name for spec in rows()]


def get(name: str) -> DistanceSpec:
    """Row of a distance by its name or an alias.

    Examples
    --------
    >>> get("l1").name
    'cityblock'
    """
    return _TABLE.get(name)
