"""Which genes of a pair a metric sees, perturbation by perturbation; target genes leave before a list is made.

===============================  ====================================================================================
``all``                          every gene
a list of names                  those (highly variable genes, a panel)
``top_expressed:K``              the K genes of the highest observed control profile
``top_variable:K``               the K whose observed means vary most over the conditions, the control among them
``top_effect:K``                 the K of the largest observed |effect| against the control
``effect_rank:K``                those whose average rank of |effect| is at most K (ties take more or fewer than K)
``t_test:K``                     the K of the largest |t| of the observed cells against the control (GEARS' list)
``t_test_overestimated:K``       the same, the control's variance divided by the perturbation's number of cells
``de``, ``de:K``                 significant in the observed DE table; the first K by p, then fold change
===============================  ====================================================================================

``union_`` before a name takes the union of the lists of all perturbations. ``:non_zero`` behind a name keeps genes
with a non-zero observed mean before a list is made, ``:non_dropout`` also those that are zero in the control as well.
All but ``all``, names and ``top_expressed`` use the truth. Of equal genes the first is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.gene_sets import NAMED, T_TESTS, Bools, GeneSets, parse_set
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.t_statistics import t_statistics
from vcmetrics.retrieval.targets import target_sets

Index = NDArray[np.int64]

SETS = (*NAMED, "top_variable:K", "effect_rank:K", *(f"{name}:K" for name in T_TESTS))
KEPT = ("non_zero", "non_dropout")
EXCLUDED = ("none", "row", "own", "panel")


class GeneChoice:
    """Genes of each perturbation of a pair.

    Parameters
    ----------
    pair
        Profiles of both sides; a DE table for ``de``; variances and numbers of cells for ``t_test``.
    genes
        A name of the table above, or names of genes.
    exclude
        Target genes left out (of an embedding none): ``none``, the perturbation's own (``row``, or ``own``), those of
        the ``panel``. A label without an own gene that joins genes by ``+`` has all of these.
    alpha
        Level of ``de``, strictly below.

    Examples
    --------
    >>> from vcmetrics.metrics.pair import Profiles
    >>> real = Profiles(np.array([[3.0, 0.0, 1.0], [1.0, 5.0, 1.0]]), np.array([1.0, 1.0, 2.0]))
    >>> pair = Pair(("g", "h"), np.array(["g", "h", "i"]), np.array([0, 1]), real=real, pred=real)
    >>> [GeneChoice(pair, "top_effect:1", exclude="row").of(p).tolist() for p in (0, 1)]
    [[1], [2]]
    """

    def __init__(self, pair: Pair, genes: Any = "all", *, exclude: str = "none", alpha: float = 0.05) -> None:
        if exclude not in EXCLUDED:
            msg = f"exclude={exclude!r} is not known; choose from {', '.join(EXCLUDED)}"
            raise ValueError(msg)
        self._pair = pair
        self._own = own_targets(pair) if exclude in ("row", "own") else None
        self._panel = sorted({g for row in own_targets(pair) for g in row}) if exclude == "panel" else []
        self._kept, self._union = "", False
        name = genes
        if isinstance(genes, str):
            if genes.rpartition(":")[2] in KEPT:
                name, _, self._kept = genes.rpartition(":")
            self._union = name.startswith("union_")
            name = name.removeprefix("union_")
        self.kind, _ = parse_set(name, SETS)
        self._real = pair.profiles()[1]
        if self._real.mean.shape[1] != len(pair.genes):
            if self.kind != "all" or self._kept:
                msg = f"genes={genes!r} chooses among genes, and an embedding has none; take genes='all' there"
                raise DataError(msg)
            self._own, self._panel = None, []
        self._sets = GeneSets(
            name,
            pair.genes,
            control=self._real.control,
            effect=self._real.effect if self.kind in ("top_effect", "effect_rank") else None,
            de=pair.de_real,
            labels=pair.perturbations,
            alpha=alpha,
            t=t_statistics(pair, overestimated=self.kind == T_TESTS[1]) if self.kind in T_TESTS else None,
            spread=self._spread() if self.kind == "top_variable" else None,
            named=SETS,
        )
        self._whole = self.kind == "all" and not self._kept and not self._panel
        self.oracle = self._sets.oracle or bool(self._kept)  # chosen by the truth
        self._lists: list[Index] | None = None
        if self.kind not in ("all", "list", "top_expressed", "top_variable") or self._union:
            self._lists = self._made()
            del self._sets  # with its tables

    def of(self, p: int) -> Index | slice:
        """Genes of perturbation ``p``: ascending column numbers, or all of them as a slice."""
        if self._lists is not None:
            return self._lists[p]
        if self._whole and (self._own is None or not self._own[p]):
            return slice(None)
        return self._list(p)

    def size(self, p: int) -> int:
        """Number of genes of perturbation ``p``."""
        genes = self.of(p)
        return self._real.mean.shape[1] if isinstance(genes, slice) else int(genes.size)

    def _spread(self) -> NDArray[np.float64]:
        """Summed squared deviations of the profiles of all conditions, the control one of them."""
        rows = [self._real.control, *self._real.mean]
        middle = np.sum(rows, axis=0) / len(rows)
        return np.asarray(sum((row - middle) ** 2 for row in rows))

    def _without(self, p: int) -> Sequence[int]:
        return self._panel if self._own is None else self._own[p]

    def _list(self, p: int) -> Index:
        return np.flatnonzero(self._sets.of(p, self._without(p), self._nonzero(p)))

    def _nonzero(self, p: int) -> Bools | None:
        """Genes that the suffix keeps."""
        if not self._kept:
            return None
        kept = self._real.mean[p] != 0
        if self._kept == "non_dropout":
            kept |= self._real.control == 0
        return np.asarray(kept)

    def _made(self) -> list[Index]:
        lists = [self._list(p) for p in range(self._pair.n)]
        if not self._union:
            return lists
        every = np.unique(np.concatenate([np.empty(0, np.int64), *lists]))
        return [np.setdiff1d(every, self._without(p)) for p in range(self._pair.n)]


def own_targets(pair: Pair) -> list[list[int]]:
    """Columns of each perturbation's target genes: its own gene, else the measured genes that its label joins."""

    def make() -> list[list[int]]:
        joined = target_sets(pair.perturbations, pair.genes, required=False).table
        return [
            [int(own)] if own >= 0 else row[row >= 0].tolist() if "+" in label else []
            for own, row, label in zip(pair.own, joined, pair.perturbations, strict=True)
        ]

    return pair.shared("own_targets", make)


def gene_choice(pair: Pair, genes: Any = "all", exclude: str = "none", alpha: float = 0.05) -> GeneChoice:
    """The choice with these parameters, made once for the pair."""
    if not isinstance(genes, str):
        genes = tuple(map(str, genes))
        if not genes:
            msg = "genes is an empty list; name at least one gene, or pass 'all'"
            raise DataError(msg)
    return pair.shared(
        ("gene_choice", genes, exclude, alpha), lambda: GeneChoice(pair, genes, exclude=exclude, alpha=alpha)
    )
