"""Does a prediction resemble its own perturbation more than the others?"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.expression import effects
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import MetricSpec, Parity, Values, register
from vcmetrics.reference import discrimination as reference

Table = NDArray[np.float64]
Metric = Literal["l1", "l2", "cosine"]
Exclude = Literal["panel", "row", "none"]
Ties = Literal["midrank", "position", "first", "last", "optimistic", "pessimistic"]

# A product of two long rows is good to about n_genes roundings of its norms; closer candidates are compared directly.
_NEAR = 1e-11
# genes a step: the block of differences stays in the second-level cache
_BLOCK = 1024


def target_genes(own: NDArray[np.int64]) -> NDArray[np.int64]:
    """Genes that some perturbation of the panel targets, ascending."""
    return np.unique(own[own >= 0])


def _l1(query: Table, reference: Table) -> Table:
    """Sum of absolute differences of all pairs of rows, in one order of additions for all pairs."""
    out = np.zeros((query.shape[0], reference.shape[0]))
    scratch = np.empty((reference.shape[0], min(_BLOCK, reference.shape[1])))
    for begin in range(0, reference.shape[1], _BLOCK):
        block = np.ascontiguousarray(reference[:, begin : begin + _BLOCK])
        view = scratch[:, : block.shape[1]]
        for i in range(query.shape[0]):
            np.subtract(block, query[i, begin : begin + _BLOCK], out=view)
            np.abs(view, out=view)
            out[i] += view.sum(axis=1)
    return out


def _settle(distance: Table, near: NDArray[np.bool_], direct: Callable[[int, NDArray[np.int64]], Values]) -> None:
    """Recompute, row by row, the candidates that lie too near the own distance to be told apart."""
    np.fill_diagonal(near, False)
    for i in np.flatnonzero(near.any(axis=1)):
        columns = np.append(np.flatnonzero(near[i]), i)
        distance[i, columns] = direct(int(i), columns)


def match_distances(query: Table, reference: Table, metric: Metric, left_out: NDArray[np.int64] | None = None) -> Table:
    """Distances of all queries to all references, exact enough to rank the own one.

    Parameters
    ----------
    query, reference
        n × n_genes each; row i of ``reference`` is the match of row i of ``query``.
    metric
        ``l1`` | ``l2`` (its square is returned, which ranks alike) | ``cosine`` (``1 - cos``, 1 where a norm is 0).
    left_out
        Gene that query i leaves out of all its distances, -1 for none; None leaves nothing out.

    Returns
    -------
    (n, n). Equal reference rows have equal distances; entries near the own distance of their row are computed
    pair by pair in one order, so ranks do not depend on the matrix product.
    """
    rows = np.flatnonzero(left_out >= 0) if left_out is not None else np.empty(0, np.int64)
    genes = left_out[rows] if left_out is not None else rows
    if metric == "l1":
        sums = _l1(query, reference)
        sums[rows] -= np.abs(query[rows, genes][:, None] - reference[:, genes].T)
        return sums
    if rows.size:
        query = query.copy()
        query[rows, genes] = 0.0  # a zero adds nothing to products, and drops out of the query's norm

    square_query = (query * query).sum(axis=1)[:, None]
    square_reference = np.repeat((reference * reference).sum(axis=1)[None, :], query.shape[0], axis=0)
    if rows.size:
        own = reference[:, genes].T
        square_reference[rows] -= own * own

    def candidates(i: int, columns: NDArray[np.int64]) -> Table:
        chosen = reference[columns]
        if left_out is not None and left_out[i] >= 0:
            chosen[:, left_out[i]] = 0.0
        return chosen

    # a norm that is nearly all own gene is summed again without it
    if rows.size:
        full = (reference * reference).sum(axis=1)
        for i, j in zip(*np.nonzero(square_reference < 1e-3 * full[None, :]), strict=True):
            only = candidates(int(i), np.array([j]))[0]
            square_reference[i, j] = (only * only).sum()

    product = query @ reference.T
    if metric == "l2":
        distance = np.maximum(square_query + square_reference - 2.0 * product, 0.0)
        scale = square_query + square_reference
        own_distance = np.diag(distance)[:, None]
        near = np.abs(distance - own_distance) <= _NEAR * np.maximum(scale, np.diag(scale)[:, None])

        def direct(i: int, columns: NDArray[np.int64]) -> Values:
            difference = candidates(i, columns) - query[i]
            return np.asarray((difference * difference).sum(axis=1))

        _settle(distance, near, direct)
        return np.asarray(distance)

    norms = np.sqrt(square_query) * np.sqrt(square_reference)
    # where a norm is zero the distance is 1 exactly; NaN passes through
    cosines = np.divide(product, norms, out=np.zeros_like(product), where=norms != 0)
    distance = np.clip(1.0 - cosines, 0.0, 2.0)
    near = np.abs(distance - np.diag(distance)[:, None]) <= _NEAR

    def angle(i: int, columns: NDArray[np.int64]) -> Values:
        chosen = candidates(i, columns)
        norm = np.sqrt(square_query[i, 0]) * np.sqrt((chosen * chosen).sum(axis=1))
        cosine = np.zeros(columns.size)
        np.divide((chosen * query[i]).sum(axis=1), norm, out=cosine, where=norm != 0)
        return np.asarray(np.clip(1.0 - cosine, 0.0, 2.0))

    _settle(distance, near & (norms != 0), angle)
    return np.asarray(distance)


def match_ranks(distance: Table, ties: Ties) -> Values:
    """Rank, from 0, of the own distance in each row; NaN counts as farther than every number.

    Parameters
    ----------
    distance
        n × n; the diagonal holds the own distances.
    ties
        Where equals stand: ``midrank``; ``position`` or ``first`` (before it only those of smaller number),
        ``last``, ``optimistic`` (none before it), ``pessimistic`` (all).

    Returns
    -------
    (n,) ranks in [0, n - 1].

    Examples
    --------
    >>> match_ranks(np.array([[0.2, 0.1], [0.3, 0.3]]), "midrank")
    array([1. , 0.5])
    """
    own = np.diag(distance)[:, None]
    unknown = np.isnan(distance)
    own_unknown = np.isnan(own)
    less = np.where(own_unknown, ~unknown, distance < own).sum(axis=1)
    equal = np.where(own_unknown, unknown, distance == own)
    if ties == "midrank":
        return np.asarray(less + (equal.sum(axis=1) - 1) / 2)
    if ties in ("position", "first"):
        return np.asarray(less + np.tril(equal, -1).sum(axis=1), np.float64)
    if ties == "last":
        return np.asarray(less + np.triu(equal, 1).sum(axis=1), np.float64)
    if ties == "optimistic":
        return np.asarray(less, np.float64)
    if ties == "pessimistic":
        return np.asarray(less + equal.sum(axis=1) - 1, np.float64)
    msg = f"ties {ties!r} is not one of midrank, position, first, last, optimistic, pessimistic"
    raise ValueError(msg)


def discrimination_score(
    pair: Pair,
    *,
    metric: Metric,
    exclude: Exclude = "panel",
    ties: Ties = "midrank",
    denominator: Literal["n-1", "n"] = "n-1",
    embedding: str | None = None,
    single_precision: bool = False,
) -> Values:
    """Perturbation discrimination score: rank of the own observed effect among all, seen from the prediction.

    Parameters
    ----------
    pair
        Profiles of both sides with their controls; perturbations in label order.
    metric
        Distance between effects: ``l1`` | ``l2`` | ``cosine``.
    exclude
        Target genes left out: those of the whole ``panel``, only the query's own (``row``), or ``none``.
    ties
        Place among equal distances, see :func:`match_ranks`.
    denominator
        ``n-1`` (worst 0, chance 0.5) or ``n`` (worst 1/n).
    embedding
        Take these coordinates in place of the genes; nothing is excluded there.
    single_precision
        Round profiles and effects to float32 first.

    Returns
    -------
    (n_perturbations,), ``1 - rank / denominator`` in [0, 1]; 1 is best, 0.5 is chance (midranks, n-1). One
    perturbation alone scores 1.

    Notes
    -----
    Cost O(n² n_genes).

    Examples
    --------
    Three perturbations; the prediction of the first lies nearer to one other effect than to its own: 1 - 1/2 = 0.5.
    """
    distance = pair.shared(
        ("match_distances", metric, exclude, embedding, single_precision),
        lambda: _panel_distances(pair, metric, exclude, embedding, single_precision),
    )
    rank = match_ranks(distance, ties)
    if denominator not in ("n-1", "n"):
        msg = f"denominator {denominator!r} is not one of n-1, n"
        raise ValueError(msg)
    below = pair.n - 1 if denominator == "n-1" else pair.n
    return np.asarray(1.0 - rank / max(below, 1))


def _panel_distances(pair: Pair, metric: Metric, exclude: Exclude, embedding: str | None, single: bool) -> Table:
    pred, real = effects(pair, single, embedding)
    if exclude not in ("panel", "row", "none"):
        msg = f"exclude {exclude!r} is not one of panel, row, none"
        raise ValueError(msg)
    if embedding is not None or exclude == "none":
        return match_distances(pred, real, metric)
    if exclude == "row":
        return match_distances(pred, real, metric, pair.own)

    def kept() -> tuple[Table, Table]:
        keep = np.ones(pred.shape[1], np.bool_)
        keep[target_genes(pair.own)] = False
        if not keep.any():
            msg = "every gene is a target of the panel, none is left to compare; pass exclude='row' or 'none'"
            raise DataError(msg)
        return np.ascontiguousarray(pred[:, keep]), np.ascontiguousarray(real[:, keep])

    return match_distances(*pair.shared(("panel_effects", single), kept), metric)


_FORMULAS = {
    "l1": "1 - rank of Σ_g |d̂_p - d_q| / (n - 1)",
    "l2": "1 - rank of |d̂_p - d_q| / (n - 1)",
    "cosine": "1 - rank of 1 - cos(d̂_p, d_q) / (n - 1)",
}
for _metric in ("l1", "l2", "cosine"):
    register(
        MetricSpec(
            name=f"pds_{_metric}",
            aliases=(f"discrimination_score_{_metric}",),
            family="discrimination",
            needs=frozenset({"profiles"}),
            better="higher",
            best=1.0,
            chance=0.5,
            bounds=(0.0, 1.0),
            definition=_FORMULAS[_metric],
            formula=discrimination_score,
            reference=reference.discrimination_score,
            defaults=MappingProxyType(
                {
                    "metric": _metric,
                    "exclude": "panel",
                    "ties": "midrank",
                    "denominator": "n-1",
                    "embedding": None,
                    "single_precision": False,
                }
            ),
            invariants=("gene_order", "perturbation_order", "duplicate_rows_tie", "scale_invariant"),
            parity=Parity(rtol=0.0, atol=1e-12),
            source="cell-eval 0.8.2, discrimination_score; cell-eval2 0.20.0, pds (midranks, n - 1, panel exclusion)",
        )
    )
