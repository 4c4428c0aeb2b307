"""Which measured genes a perturbation targets: none, one, or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.sources.genes import some

TargetMap = Mapping[str, "str | Sequence[str] | None"]


@dataclass(frozen=True)
class Targets:
    """Own genes of labels.

    ``table`` is (n_labels, widest): column numbers ascending, -1 beyond a label's last. ``unresolved`` names the labels
    that are declared to have no measured target by nobody and yet have none; ``declared`` those that are.
    """

    table: NDArray[np.int64]
    unresolved: tuple[str, ...]
    declared: tuple[str, ...]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(n_labels,) measured targets."""
        return np.asarray((self.table >= 0).sum(1), np.int64)

    @property
    def union(self) -> NDArray[np.int64]:
        """All targeted columns, ascending."""
        return np.unique(self.table[self.table >= 0])


def target_sets(
    labels: Sequence[str],
    genes: NDArray[Any] | None,
    target_map: TargetMap | None = None,
    *,
    control: str | None = None,
    separator: str = "+",
    required: bool = True,
) -> Targets:
    """Own genes of every label.

    Parameters
    ----------
    labels
        Perturbations.
    genes
        Names of the columns; None where they have none (an embedding).
    target_map
        label → gene, several genes (a list, or joined by ``separator``), or None for a label without one;
        ``"*": None`` declares all others to have none. Several labels may share a gene (guides of one gene).
    control
        Label of the control, which is no target in a combination such as ``A+control``.
    separator
        What joins the genes of a combination; a label that is itself a gene name is never split.
    required
        Refuse labels of which not a single one resolves.

    Raises
    ------
    TypeError
        If ``target_map`` is no mapping.
    DataError
        If ``required`` and no label has a measured target or is declared to have none.

    Examples
    --------
    >>> target_sets(["A", "A+B", "g7"], np.array(["B", "A"])).table.tolist()
    [[1, -1], [0, 1], [-1, -1]]
    """
    place = {} if genes is None else {str(gene): k for k, gene in enumerate(genes.tolist())}
    given = {} if target_map is None else target_map
    if not isinstance(given, Mapping):
        msg = f"target_map is a {type(given).__name__}; pass a mapping of labels to genes, {{label: gene}}"
        raise TypeError(msg)

    def joined(text: str) -> list[str]:
        if text in place or not separator or separator not in text:
            return [text]
        return [part.strip() for part in text.split(separator) if part.strip() != control]

    sets: list[list[int]] = []
    unresolved, declared = [], []
    for label in labels:
        if label in given or "*" in given:
            entry = given[label] if label in given else given["*"]
            names = [] if entry is None else joined(entry) if isinstance(entry, str) else [str(gene) for gene in entry]
            if not names:
                declared.append(label)
        else:
            names = joined(label)
        found = sorted({place[name] for name in names if name in place})
        if names and not found:
            unresolved.append(label)
        sets.append(found)
    if required and labels and not declared and not any(sets):
        shown = [] if genes is None else [str(gene) for gene in genes[:5]]
        msg = (
            f"no perturbation is the name of a measured gene (perturbations: {some(list(labels))}; genes: "
            f"{some(shown) or 'without names'}), so target genes cannot be excluded; pass target_map={{label: gene}} "
            "(or {'*': None} for none), or exclude_targets='none'"
        )
        raise DataError(msg)
    table = np.full((len(sets), max([1, *map(len, sets)])), -1, np.int64)
    for row, found in zip(table, sets, strict=True):
        row[: len(found)] = found
    return Targets(table, tuple(unresolved), tuple(declared))
