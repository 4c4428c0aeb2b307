"""The inverse question as score rows: where a perturbation's own targets stand among all genes."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.match_ranks import own_targets
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import MetricSpec, Parity, Values, register
from vcmetrics.reference import target_ranking as reference
from vcmetrics.retrieval.target_rank import TargetRank, target_rank

OF = ("value", "effect", "absolute_effect")


def ranked(pair: Pair, of: str, top_k: int) -> TargetRank:
    """Standing of every perturbation's targets."""

    def make() -> TargetRank:
        targets = [row[row >= 0].tolist() for row in own_targets(pair, pair.perturbations).table]
        return target_rank(gene_scores(pair, of), targets, top_k=(top_k,))

    return pair.shared(("target_rank", of, top_k), make)


def gene_scores(pair: Pair, of: str) -> NDArray[np.float64]:
    """(n_perturbations, n_genes): how likely the prediction takes each gene for a target."""
    if of not in OF:
        msg = f"of={of!r} is not known; pass {', '.join(map(repr, OF))}"
        raise ValueError(msg)
    pred, _ = pair.profiles()
    if of == "value":
        return pred.mean
    return np.abs(pred.effect) if of == "absolute_effect" else -pred.effect


def target_rank_score(pair: Pair, *, of: str = "value") -> Values:
    """Mean over a perturbation's targets of 1 - rank / n_genes, ranks from 0 among all genes.

    Parameters
    ----------
    pair
        The prediction's table holds a score for each gene, larger for a likelier target; or an expression profile.
    of
        ``value``: the table as it is; ``effect``: minus the effect (a knock-down lowers its target); or
        ``absolute_effect``.

    Returns
    -------
    (n_perturbations,), in [0, 1]; 1 is best for one target, about 0.5 is chance; NaN without a measured target.

    Examples
    --------
    Four genes with scores (0.1, 0.9, 0.5, 0.2), the third is the target: rank 1, 1 - 1/4 = 0.75.
    """
    return ranked(pair, of, 1).score


def target_ndcg(pair: Pair, *, of: str = "value") -> Values:
    """Discounted gain of the targets: Σ (1 - rank/n_genes) / log2(rank + 2), over that of the best order.

    Parameters
    ----------
    pair, of
        As for :func:`target_rank_score`.

    Returns
    -------
    (n_perturbations,), in [0, 1]; 1 is best; NaN without a measured target.

    Examples
    --------
    Four genes, the only target at rank 1: (3/4 / log2 3) / (1 / log2 2) = 0.473.
    """
    return ranked(pair, of, 1).ndcg


def target_hit(pair: Pair, *, of: str = "value") -> Values:
    """Whether any target is among as many genes as there are targets.

    Parameters
    ----------
    pair, of
        As for :func:`target_rank_score`.

    Returns
    -------
    (n_perturbations,), 0 or 1, 1 is best; NaN without a measured target. Its mean is the share of perturbations.

    Examples
    --------
    Two targets at ranks 1 and 7: 1, for one of them is among the first two.
    """
    return ranked(pair, of, 1).hit


def target_recall(pair: Pair, *, of: str = "value", top_k: int = 10) -> Values:
    """Share of the targets among the first ``top_k`` genes.

    Parameters
    ----------
    pair, of
        As for :func:`target_rank_score`.
    top_k
        Depth; PDGrapher reports 1, 10, 100 and 1000.

    Returns
    -------
    (n_perturbations,), in [0, 1]; 1 is best, top_k / n_genes is chance; NaN without a measured target.

    Examples
    --------
    Two targets at ranks 1 and 7, ``top_k=5``: 1/2.
    """
    return ranked(pair, of, top_k).recall[:, 0]


_COMBINATION = "Only the target's rank counts: a model that ranks every gene of the same pathway high gains as much."
_MEASURED = "Perturbations without a measured target have no value and leave the mean."
for _name, _formula, _chance, _more, _definition, _pitfalls in (
    ("target_rank", target_rank_score, 0.5, {}, "mean over targets of 1 - rank / n_genes",
     ("With several targets 1 cannot be reached: they cannot all be first.", _MEASURED, _COMBINATION)),
    ("target_ndcg", target_ndcg, None, {}, "Σ (1 - rank/n_genes) / log2(rank + 2) over the best order's",
     (_MEASURED, "Even a rank in the middle keeps a gain, so values of long gene lists lie close together.")),
    ("target_hit", target_hit, None, {}, "any target among the first as many genes as there are targets",
     (_MEASURED, "All or nothing: noisy for few perturbations.")),
    ("target_recall", target_recall, None, {"top_k": 10}, "share of targets among the first top_k genes",
     (_MEASURED, "Depends on the number of genes that are ranked.")),
):  # fmt: skip
    register(
        MetricSpec(
            name=_name,
            family="target_ranking",
            needs=frozenset({"profiles"}),
            better="higher",
            best=None if _name == "target_rank" else 1.0,
            chance=_chance,
            bounds=(0.0, 1.0),
            definition=_definition,
            formula=_formula,
            reference=getattr(reference, _formula.__name__),
            defaults=MappingProxyType({"of": "value", **_more}),
            invariants=("gene_order", "perturbation_order"),
            parity=Parity(rtol=1e-12, atol=1e-12),
            source="PDGrapher (41285f9), ranking of predicted targets; ties take their mean rank here",
            pitfalls=_pitfalls,
        )
    )
