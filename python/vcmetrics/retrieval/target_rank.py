"""The inverse question: where do the true targets stand among all genes that a model ranks?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]


class TargetRank(NamedTuple):
    """One value a sample, (n,) each; NaN for a sample without targets.

    ``score`` is the mean over targets of 1 - rank/n_genes; ``ndcg`` their gain 1 - rank/n_genes discounted by
    log2(rank + 2), over that of the best order; ``hit`` whether a target is among as many genes as there are targets;
    ``recall`` (n, n_k) the share of targets among the first k.
    """

    score: Table
    ndcg: Table
    hit: Table
    recall: Table


def target_rank(
    scores: Any, targets: Sequence[Sequence[int]], *, top_k: Sequence[int] = (1, 10, 100, 1000)
) -> TargetRank:
    """Rank of the true targets among all genes, as PDGrapher reports it.

    Parameters
    ----------
    scores
        (n, n_genes) in host memory: how likely each gene is a target; larger is likelier.
    targets
        Columns of every sample's true targets.
    top_k
        Depths of the recall.

    Returns
    -------
    TargetRank
        In [0, 1]; 1 is best, about 0.5 (``score``) is chance. Equal scores take their mean rank; NaN is last.

    Raises
    ------
    ValueError
        If shapes do not fit or a column lies outside.

    Notes
    -----
    Cost O(n · n_genes · targets). PDGrapher's best score is 1 only for a single target: others must stand behind it.

    References
    ----------
    PDGrapher, ranking of predicted targets.

    Examples
    --------
    >>> found = target_rank([[0.1, 0.9, 0.5, 0.2]], [[1, 2]], top_k=[1, 2])
    >>> found.score.tolist(), found.hit.tolist(), found.recall.tolist()
    ([0.875], [1.0], [[0.5, 1.0]])
    """
    from vcmetrics.backend.host import host_table

    table = host_table(scores, "scores", what="target_rank")
    n, width = table.shape
    ks = np.array(list(top_k), np.int64)
    if len(targets) != n or ks.ndim != 1 or (ks < 1).any():
        msg = f"targets lists {len(targets)} samples for {n} rows of scores; top_k is {list(top_k)}"
        raise ValueError(msg)
    score, ndcg, hit = (np.full(n, np.nan) for _ in range(3))
    recall = np.full((n, ks.size), np.nan)
    for i, own in enumerate(targets):
        genes = np.unique(np.asarray(own, np.int64))
        if not genes.size:
            continue
        if genes[0] < 0 or genes[-1] >= width:
            msg = f"targets of sample {i} are {genes.tolist()}; there are {width} genes"
            raise ValueError(msg)
        row = np.where(np.isnan(table[i]), -np.inf, table[i].astype(np.float64))
        mine = row[genes][:, None]
        rank = (row > mine).sum(1) + ((row == mine).sum(1) - 1) / 2
        gain = 1 - rank / width
        best = np.arange(genes.size)
        score[i] = gain.mean()
        ndcg[i] = (gain / np.log2(rank + 2)).sum() / ((1 - best / width) / np.log2(best + 2)).sum()
        hit[i] = float((rank < genes.size).any())
        recall[i] = (rank[None, :] < ks[:, None]).mean(1)
    return TargetRank(score, ndcg, hit, recall)
