"""Two differential-expression tables seen as one: aligned, called, ordered, each step once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.pair import Pair
from vcmetrics.summary.de_table import DETable

Mask = NDArray[np.bool_]
Index = NDArray[np.int64]
Real = NDArray[Any]  # float64, or float32 under single precision
SortBy = Literal["abs_log2_fold_change", "log2_fold_change", "p_value", "p_adj"]

NULL_LFC, NULL_P_ADJ, NULL_P_VALUE = 1, 2, 4


@dataclass(frozen=True)
class Side:
    """One table on the shared columns, perturbations × genes; absent rows hold NaN."""

    lfc: Real
    p_value: Real
    p_adj: Real
    present: Mask
    null: NDArray[np.uint8] | None = None
    position: Index | None = None

    @cached_property
    def known_lfc(self) -> Mask:
        """Rows that exist and whose fold change is not missing (NaN is not missing)."""
        return self.present if self.null is None else self.present & ((self.null & NULL_LFC) == 0)

    @cached_property
    def known_p_adj(self) -> Mask:
        """Rows that exist and whose adjusted p-value is not missing."""
        return self.present if self.null is None else self.present & ((self.null & NULL_P_ADJ) == 0)


def _select(
    table: DETable, perturbations: tuple[str, ...], columns: Index | None, n_columns: int, single: bool
) -> Side:
    """Rows in the order of ``perturbations``, columns at ``columns`` of the shared ones (None: as they are)."""
    dtype = np.float32 if single else np.float64
    shape = (len(perturbations), n_columns)
    present = np.ones(table.lfc.shape, np.bool_) if table.present is None else table.present
    position = table.position
    if columns is not None and position is None and columns.size and (np.diff(columns) < 0).any():
        position = np.broadcast_to(np.arange(table.lfc.shape[1]), table.lfc.shape)
    fields = [table.lfc, table.p_value, table.p_adj, present, table.null, position]
    dtypes: list[Any] = [dtype, dtype, dtype, np.bool_, np.uint8, np.int64]
    fills: list[Any] = [np.nan, np.nan, np.nan, False, 0, 0]
    if table.targets != perturbations or columns is not None:
        where = {name: i for i, name in enumerate(table.targets)}
        pairs = [(i, where[name]) for i, name in enumerate(perturbations) if name in where]
        to = np.array([i for i, _ in pairs], np.int64)
        source = np.array([j for _, j in pairs], np.int64)
        at = np.arange(n_columns) if columns is None else columns
        for k, values in enumerate(fields):
            if values is None:
                continue
            out = np.full(shape, fills[k], dtypes[k])
            with np.errstate(over="ignore", under="ignore"):
                out[to[:, None], at[None, :]] = values[source]
            fields[k] = out
    with np.errstate(over="ignore", under="ignore"):
        cast = [v if v is None else v.astype(t, copy=False) for v, t in zip(fields, dtypes, strict=True)]
    lfc, p_value, p_adj, seen, null, place = cast
    assert lfc is not None
    assert p_value is not None
    assert p_adj is not None
    assert seen is not None
    return Side(lfc, p_value, p_adj, seen, null, place)


class DEView:
    """Aligned tables of a pair with everything that several metrics share.

    Rows are the pair's perturbations; columns the genes of the real table, then those of the predicted one only.
    ``R`` and ``Q`` are the real and predicted significant rows: ``p_adj < alpha``, strictly, in the tables' precision.
    """

    def __init__(self, pair: Pair, alpha: float, single_precision: bool) -> None:
        if pair.de_real is None or pair.de_pred is None:
            msg = "this metric needs the differential-expression tables of both sides"
            raise DataError(msg)
        real, pred = pair.de_real, pair.de_pred
        self.n = pair.n
        self.alpha = alpha
        if real.genes is pred.genes or np.array_equal(real.genes, pred.genes):
            self.genes = real.genes
            real_columns = pred_columns = None
        else:
            place = {name: k for k, name in enumerate(real.genes)}
            extra = [name for name in pred.genes if name not in place]
            place.update({name: len(place) + k for k, name in enumerate(extra)})
            self.genes = np.concatenate([real.genes, np.array(extra, dtype=real.genes.dtype if not extra else None)])
            real_columns = np.arange(real.genes.size)
            pred_columns = np.array([place[name] for name in pred.genes], np.int64)
        width = self.genes.size
        self.real = _select(real, pair.perturbations, real_columns, width, single_precision)
        self.pred = _select(pred, pair.perturbations, pred_columns, width, single_precision)
        level = self.real.p_adj.dtype.type(alpha)
        self.R: Mask = self.real.p_adj < level
        self.Q: Mask = self.pred.p_adj < level
        self.own = self._own_columns(pair)

    def _own_columns(self, pair: Pair) -> Index:
        """Column of each perturbation's own gene, -1 where it has none or the tables do not list it."""
        own = np.full(self.n, -1, np.int64)
        names = pair.own_de or tuple(pair.genes[g] if g >= 0 else None for g in pair.own)
        wanted = {name for name in names if name is not None}
        found = np.flatnonzero(np.isin(self.genes, np.array(sorted(wanted)))) if wanted else np.empty(0, np.int64)
        place = {str(self.genes[k]): int(k) for k in found}
        for i, name in enumerate(names):
            if name is not None:
                own[i] = place.get(str(name), -1)
        return own

    def without_own(self, mask: Mask) -> Mask:
        """Copy of ``mask`` with each perturbation's own gene off."""
        out = mask.copy()
        rows = np.flatnonzero(self.own >= 0)
        out[rows, self.own[rows]] = False
        return out

    @cached_property
    def joined(self) -> Mask:
        """Rows that both tables list."""
        return np.asarray(self.real.present & self.pred.present)

    @cached_property
    def n_real(self) -> Index:
        """|R| of each perturbation."""
        return np.asarray(self.R.sum(axis=1))

    @cached_property
    def n_pred(self) -> Index:
        """|Q| of each perturbation."""
        return np.asarray(self.Q.sum(axis=1))

    @cached_property
    def n_both(self) -> Index:
        """|R ∩ Q| of each perturbation."""
        return np.asarray((self.R & self.Q).sum(axis=1))

    @cached_property
    def universe(self) -> Index:
        """Rows that either table lists, of each perturbation."""
        return np.asarray((self.real.present | self.pred.present).sum(axis=1))

    @cached_property
    def in_denom(self) -> Mask:
        """Joined rows whose real fold change has a direction: not missing, not NaN, not zero (inf has one)."""
        return np.asarray(self.joined & _directed(self.real.lfc))

    @cached_property
    def match(self) -> Mask:
        """Joined rows whose fold changes both have a direction, the same one."""
        x, y = self.real.lfc, self.pred.lfc
        return np.asarray(self.joined & (((x > 0) & (y > 0)) | ((x < 0) & (y < 0))))

    @cached_property
    def R_other(self) -> Mask:
        """Real significant rows without the own gene."""
        return self.without_own(self.R)

    @cached_property
    def Q_other(self) -> Mask:
        """Predicted significant rows without the own gene."""
        return self.without_own(self.Q)

    @cached_property
    def _name_rank(self) -> Index:
        rank = np.empty(self.genes.size, np.int64)
        rank[np.argsort(self.genes, kind="stable")] = np.arange(self.genes.size)
        return rank

    def claim_order(self, i: int, columns: Index) -> Index:
        """``columns`` of perturbation ``i`` from the boldest predicted claim to the faintest.

        Predicted significant first, then predicted ``p_adj`` and ``p_value`` ascending (missing last), then larger
        |fold change| (missing last), then gene name.
        """
        # significance is p_adj below a level, so ascending p_adj puts the significant first by itself
        q, p = self.pred.p_adj[i, columns], self.pred.p_value[i, columns]
        # BH never reorders p-values: one fast sort serves unless a reading rule has changed p_adj since
        order = np.argsort(p)
        tail = q[order]
        if not (tail[1:] >= tail[:-1]).all():
            order = np.lexsort((p, q))
            tail = q[order]
        key = p[order]
        tied = ((tail[1:] == tail[:-1]) | (np.isnan(tail[1:]) & np.isnan(tail[:-1]))) & (
            (key[1:] == key[:-1]) | (np.isnan(key[1:]) & np.isnan(key[:-1]))
        )
        if tied.any():
            # only the members of tied runs are sorted further, within their run
            run = np.concatenate([[0], np.cumsum(~tied)])
            member = np.zeros(order.size, np.bool_)
            member[1:] |= tied
            member[:-1] |= tied
            at = np.flatnonzero(member)
            names = columns[order[at]]
            inner = np.lexsort((self._name_rank[names], -np.abs(self.pred.lfc[i, names]), run[at]))
            order[at] = order[at][inner]
        return np.asarray(columns[order])

    @cached_property
    def claimed_real(self) -> list[Index]:
        """Joined real significant rows of each perturbation, boldest predicted claim first."""
        pool = self.R & self.pred.present
        return [self.claim_order(i, np.flatnonzero(pool[i])) for i in range(self.n)]

    @cached_property
    def claimed_all(self) -> list[Index]:
        """All joined rows of each perturbation, boldest predicted claim first."""
        return [self.claim_order(i, np.flatnonzero(self.joined[i])) for i in range(self.n)]

    def ranked(self, side: Literal["real", "pred"], sort_by: SortBy) -> list[Index]:
        """Significant rows of each perturbation, best first; ties in the order of the side's table."""
        table = self.real if side == "real" else self.pred
        called = self.R if side == "real" else self.Q
        values: Real = {
            "abs_log2_fold_change": table.lfc,
            "log2_fold_change": table.lfc,
            "p_value": table.p_value,
            "p_adj": table.p_adj,
        }[sort_by]
        bit = {"p_value": NULL_P_VALUE, "p_adj": NULL_P_ADJ}.get(sort_by, NULL_LFC)
        out = []
        for i in range(self.n):
            columns = np.flatnonzero(called[i])
            key = values[i, columns]
            if sort_by == "abs_log2_fold_change":
                key = np.abs(key)
            place = np.arange(columns.size) if table.position is None else table.position[i, columns]
            unknown = np.isnan(key)
            if sort_by.endswith("log2_fold_change"):
                key = -key
            if unknown.any():
                # descending lists begin with NaN, ascending ones end with it; missing values always come last
                missing = (
                    unknown & ((table.null[i, columns] & bit) != 0)
                    if table.null is not None
                    else np.zeros_like(unknown)
                )
                first = -1 if sort_by.endswith("log2_fold_change") else 1
                group = np.where(missing, 2, np.where(unknown, first, 0))
                order = np.lexsort((place, np.where(unknown, 0, key), group))
            elif table.position is None:
                order = np.argsort(key, kind="stable")
            else:
                order = np.lexsort((place, key))
            out.append(columns[order])
        return out

    def shared_depths(self, sort_by: SortBy) -> tuple[list[Index], list[Index]]:
        """Of the genes in both ranked lists: depth at which both lists hold them, and depth in the predicted one.

        Both ascending, counted from 0: the top-k lists share as many genes as the first has entries below k.
        """
        memo: dict[SortBy, tuple[list[Index], list[Index]]] = self.__dict__.setdefault("_depths", {})
        if sort_by not in memo:
            both, pred_only = [], []
            depth_real = np.empty(self.genes.size, np.int64)
            for real, pred in zip(self.ranked("real", sort_by), self.ranked("pred", sort_by), strict=True):
                depth_real.fill(-1)
                depth_real[real] = np.arange(real.size)
                in_pred = np.flatnonzero(depth_real[pred] >= 0)
                both.append(np.sort(np.maximum(depth_real[pred[in_pred]], in_pred)))
                pred_only.append(in_pred)
            memo[sort_by] = both, pred_only
        return memo[sort_by]


def _directed(lfc: Real) -> Mask:
    return np.asarray((lfc > 0) | (lfc < 0))


def view(pair: Pair, alpha: float, single_precision: bool) -> DEView:
    """The pair's tables under a level and a precision, made once."""
    return pair.shared(("de_view", alpha, single_precision), lambda: DEView(pair, alpha, single_precision))


def view_of(pair: Pair, parameters: Mapping[str, Any]) -> DEView:
    """The view that a metric with these parameters looks at."""
    return view(pair, parameters["alpha"], parameters["single_precision"])


def at_least(count: NDArray[Any], minimum: int = 10) -> Mask:
    """Perturbations with enough reference rows to be judged."""
    return np.asarray(count >= minimum)
