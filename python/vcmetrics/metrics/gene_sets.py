"""Which genes a correlation over genes sees: all, a list, the most expressed, the most changed, the differential."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.sources.genes import some

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

NAMED = ("all", "top_expressed:K", "top_effect:K", "de", "de:K")
T_TESTS = ("t_test", "t_test_overestimated")
# chosen by the truth that is to be predicted
ORACLES = ("top_variable", "top_effect", "effect_rank", "de", *T_TESTS)


def parse_set(genes: Any, named: Sequence[str] = NAMED) -> tuple[str, int | None]:
    """Name and number of a gene set; ``("list", None)`` for names of genes."""
    if not isinstance(genes, str):
        return "list", None
    name, _, count = genes.partition(":")
    k = int(count) if count.isascii() and count.isdigit() else None
    numbered = f"{name}:K" in named and k is not None and k >= 1
    if not (numbered or (genes == name and name in named)):
        msg = f"genes={genes!r} is not known; pass {', '.join(named)} (K a number), or a list of names"
        raise ValueError(msg)
    return name, k


def top(values: Floats, k: int, allowed: Bools) -> Bools:
    """The ``k`` allowed genes of the largest values, undefined ones last; of equal ones the first."""
    out = np.zeros(values.size, bool)
    k = min(k, int(allowed.sum()))
    if k == 0:
        return out
    ranked = np.where(allowed, np.where(np.isnan(values), -np.finfo(np.float64).max, values), -np.inf)
    last = np.partition(ranked, values.size - k)[values.size - k]
    out[ranked > last] = True
    out[np.flatnonzero(ranked == last)[: k - int(out.sum())]] = True
    return out


def ranked_within(values: Floats, k: int, allowed: Bools) -> Bools:
    """The allowed genes whose average rank, from the largest value on, is at most ``k``.

    Equal values share their mean rank, so that more or fewer than ``k`` genes may be taken.
    """
    size = int(allowed.sum())
    if k >= size:
        return allowed.copy()
    ranked = np.where(allowed, np.where(np.isnan(values), -np.finfo(np.float64).max, values), -np.inf)
    last = np.partition(ranked, values.size - k)[values.size - k]
    out = ranked > last
    equal = ranked == last
    if out.sum() + (equal.sum() + 1) / 2 <= k:
        out |= equal
    return np.asarray(out, bool)


class GeneSets:
    """Genes of each perturbation, with or without some left out before lists are made.

    Parameters
    ----------
    genes
        As in :func:`vcmetrics.effect_correlation`.
    names
        All genes.
    control
        Observed control profile; for ``top_expressed``.
    effect
        Observed effects against the control, (n_rows, n_genes); for ``top_effect`` and ``effect_rank``.
    de
        Differential-expression table of the observed side; for ``de``.
    labels
        Perturbations.
    alpha
        Level of ``de``, strictly below.
    t
        t statistics of the observed side, (n_rows, n_genes); for ``t_test``.
    spread
        How much each gene varies between conditions, (n_genes,); for ``top_variable``.
    named
        Sets that may be asked for.
    """

    def __init__(
        self,
        genes: Any,
        names: NDArray[np.str_],
        *,
        control: Floats | None,
        effect: Floats | None,
        de: Any,
        labels: Sequence[str],
        alpha: float,
        t: Floats | None = None,
        spread: Floats | None = None,
        named: Sequence[str] = NAMED,
    ) -> None:
        self.kind, self.k = parse_set(genes, named)
        self._effect = effect
        self._t = t
        self._spread = spread
        self._control = control
        self._labels = labels
        self._alpha = alpha
        self._fixed = np.ones(names.size, bool)
        if self.kind == "list":
            wanted = [str(g) for g in genes]
            absent = [g for g in wanted if g not in set(names.tolist())]
            if absent:
                msg = f"{len(absent)} of {len(wanted)} genes of the list are not measured: {some(absent)}"
                raise DataError(msg)
            self._fixed = np.isin(names, wanted)
        if self.kind == "top_expressed" and control is None:
            msg = "genes='top_expressed' ranks by the control profile, and there is none; pass control="
            raise DataError(msg)
        if self.kind == "top_effect" and effect is None:
            msg = "genes='top_effect' ranks by the effect against the control, and there is none; pass control="
            raise DataError(msg)
        if self.kind == "de":
            self._read(de, names)

    @property
    def oracle(self) -> bool:
        """Whether the set is chosen by the truth."""
        return self.kind in ORACLES

    def _read(self, de: Any, names: NDArray[np.str_]) -> None:
        from vcmetrics.summary.de_reading import read_de_table

        if de is None:
            msg = "genes='de' needs de=, a table such as vcmetrics.differential_expression gives for the observed side"
            raise ValueError(msg)
        table = read_de_table(de, genes=[str(g) for g in names])
        lost = [x for x in self._labels if x not in table.targets]
        if lost:
            msg = f"the DE table lacks {len(lost)} perturbations: {some(lost)}; make it of the observed side"
            raise DataError(msg)
        rows = [table.targets.index(x) for x in self._labels]
        p_adj, size = table.p_adj[rows], np.abs(table.lfc[rows])
        if not np.array_equal(table.genes, names):
            # a table of another run: genes by name, those that it does not list are not significant
            place = {str(g): k for k, g in enumerate(table.genes)}
            at = np.array([place.get(str(g), -1) for g in names])
            p_adj, size = (np.where(at >= 0, values[:, at], np.nan) for values in (p_adj, size))
        self._p_adj = np.where(np.isnan(p_adj), np.inf, p_adj)
        self._size = np.nan_to_num(size, nan=0.0)

    def of(self, row: int, without: Sequence[int] = (), kept: Bools | None = None) -> Bools:
        """Genes of one perturbation among ``kept`` (None: all), those of ``without`` left out first."""
        allowed = self._fixed.copy() if kept is None else self._fixed & kept
        allowed[list(without)] = False
        if self.kind == "top_expressed":
            assert self._control is not None
            assert self.k is not None
            return top(self._control, self.k, allowed)
        if self.kind == "top_variable":
            assert self._spread is not None
            assert self.k is not None
            return top(self._spread, self.k, allowed)
        if self.kind == "top_effect":
            assert self._effect is not None
            assert self.k is not None
            return top(np.abs(self._effect[row]), self.k, allowed)
        if self.kind == "effect_rank":
            assert self._effect is not None
            assert self.k is not None
            return ranked_within(np.abs(self._effect[row]), self.k, allowed)
        if self.kind in T_TESTS:
            assert self._t is not None
            assert self.k is not None
            return top(np.abs(self._t[row]), self.k, allowed)
        if self.kind == "de":
            allowed &= self._p_adj[row] < self._alpha
            if self.k is not None:
                # by p, then by the size of the change, then in the order of the genes
                order = np.lexsort((-self._size[row], self._p_adj[row]))
                chosen = order[allowed[order]][: self.k]
                allowed = np.zeros_like(allowed)
                allowed[chosen] = True
        return allowed
