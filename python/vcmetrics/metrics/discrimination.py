"""Does a prediction resemble its own perturbation more than the others?"""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.expression import effects
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import MetricSpec, Parity, Values, register
from vcmetrics.reference import discrimination as reference
from vcmetrics.retrieval.ranks import ranks_of, tie_rule

Table = NDArray[np.float64]
Metric = Literal["l1", "l2", "cosine"]
Exclude = Literal["panel", "row", "none"]
Ties = Literal["midrank", "position", "first", "last", "optimistic", "pessimistic"]


def target_genes(own: NDArray[np.int64]) -> NDArray[np.int64]:
    """Genes that some perturbation of the panel targets, ascending."""
    return np.unique(own[own >= 0])


def match_distances(
    query: Table,
    reference: Table,
    metric: Metric,
    left_out: NDArray[np.int64] | None = None,
    *,
    n_threads: int | None = None,
) -> Table:
    """Distances of all queries to all references; equal references have equal distances.

    Parameters
    ----------
    query, reference
        n_queries × n_genes and n_references × n_genes.
    metric
        ``l1`` | ``l2`` (its square is returned, which ranks alike) | ``cosine`` (``1 - cos``, 1 where a norm is 0).
    left_out
        Gene that query i leaves out of all its distances, -1 for none; None leaves nothing out.
    n_threads
        None: all that this process may use.

    Returns
    -------
    (n_queries, n_references). Every pair is summed in the same order from differences (``cosine``: products), so
    neither duplicates nor tiny differences are lost in the rounding of a matrix product.
    """
    from vcmetrics import _core
    from vcmetrics.backend.threads import resolve_threads

    threads = resolve_threads(n_threads)

    def sums(x: Table, y: Table, term: str) -> Table:
        return np.asarray(_core.pairwise_sums(x, y, term, left_out, threads))

    query, reference = np.ascontiguousarray(query), np.ascontiguousarray(reference)
    if metric == "l1":
        return sums(query, reference, "cityblock")
    if metric == "l2":
        return sums(query, reference, "sqeuclidean")

    def squared(rows: Table) -> Values:
        return np.array([_core.pairwise_sums(row[None], row[None], "product")[0, 0] for row in rows])

    if left_out is None:
        norms = np.sqrt(squared(query))[:, None] * np.sqrt(squared(reference))[None, :]
    else:
        # what a reference's norm is depends on the query's gene
        shorter = query.copy()
        rows = np.flatnonzero(left_out >= 0)
        shorter[rows, left_out[rows]] = 0.0
        norms = np.sqrt(squared(shorter))[:, None] * np.sqrt(
            sums(np.ones_like(query), reference * reference, "product")
        )
    cosines = np.zeros(norms.shape)  # where a norm is zero the distance is 1 exactly; NaN passes through
    np.divide(sums(query, reference, "product"), norms, out=cosines, where=norms != 0)
    return np.asarray(np.clip(1.0 - cosines, 0.0, 2.0))


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
    return ranks_of(distance, np.arange(len(distance)), tie_rule(ties))


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
        left_out = target_genes(pair.own)
        if left_out.size == pred.shape[1]:
            msg = "every gene is a target of the panel, none is left to compare; pass exclude='row' or 'none'"
            raise DataError(msg)
        # zero on both sides adds nothing to a difference, a product or a norm
        out = pred.copy(), real.copy()
        for side in out:
            side[:, left_out] = 0.0
        return out

    return match_distances(*pair.shared(("panel_effects", single), kept), metric)


_FORMULAS = {
    "l1": "1 - rank of Σ_g |d̂_p - d_q| / (n - 1)",
    "l2": "1 - rank of |d̂_p - d_q| / (n - 1)",
    "cosine": "1 - rank of 1 - cos(d̂_p, d_q) / (n - 1)",
}
_SCALE = "Changes with the size of the predicted effects alone; see vcmetrics.discrimination_sweep."
_SCOPE = "exclude='row' can be gamed by moving all other targets; exclude='none' rewards knowing the own target."
_PITFALLS = {
    "l1": (_SCALE, _SCOPE, "Counts every gene alike, noise genes included."),
    "l2": (_SCALE, _SCOPE),
    "cosine": (_SCOPE, "Blind to the size of the effects."),
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
            pitfalls=_PITFALLS[_metric],
            source="cell-eval 0.8.2, discrimination_score; cell-eval2 0.20.0, pds (midranks, n - 1, panel exclusion)",
        )
    )
