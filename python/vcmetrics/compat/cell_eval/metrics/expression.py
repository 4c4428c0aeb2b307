"""Metrics of a pair of AnnData, under cell-eval's names and parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from vcmetrics.metrics.clustering import N_NEIGHBOURS, PRED_RESOLUTIONS, REAL_RESOLUTION

if TYPE_CHECKING:
    from vcmetrics.compat.cell_eval.pair import PerturbationAnndataPair

RANKS = {
    **dict.fromkeys(("l1", "manhattan", "cityblock"), "pds_l1"),
    **dict.fromkeys(("l2", "euclidean"), "pds_l2"),
    "cosine": "pds_cosine",
}


def pearson_delta(data: PerturbationAnndataPair, embed_key: str | None = None) -> dict[str, float]:
    """Pearson correlation of predicted and observed effects, by perturbation."""
    return data.measured.values("delta_pearson", embedding=embed_key)


def mse(data: PerturbationAnndataPair, embed_key: str | None = None) -> dict[str, float]:
    """Mean squared error of the profiles, by perturbation."""
    return data.measured.values("expr_mse", embedding=embed_key)


def mae(data: PerturbationAnndataPair, embed_key: str | None = None) -> dict[str, float]:
    """Mean absolute error of the profiles, by perturbation."""
    return data.measured.values("expr_mae", embedding=embed_key)


def mse_delta(data: PerturbationAnndataPair, embed_key: str | None = None) -> dict[str, float]:
    """Mean squared error of the effects, by perturbation."""
    return data.measured.values("delta_mse", embedding=embed_key)


def mae_delta(data: PerturbationAnndataPair, embed_key: str | None = None) -> dict[str, float]:
    """Mean absolute error of the effects, by perturbation."""
    return data.measured.values("delta_mae", embedding=embed_key)


def discrimination_score(
    data: PerturbationAnndataPair, metric: str = "l1", embed_key: str | None = None, exclude_target_gene: bool = True
) -> dict[str, float]:
    """Match rank of each prediction among all observed effects: 1 is best, 1/n worst.

    Parameters
    ----------
    data
        The pair.
    metric
        ``l1`` (which never reads an embedding), ``l2`` or ``cosine``, or scikit-learn's other names of them.
    embed_key
        Entry of ``obsm`` to read in place of the expression; no gene is left out then.
    exclude_target_gene
        Leave out the gene that is named like the perturbation.
    """
    if metric not in RANKS:
        msg = f"metric {metric!r} is not known; choose from {', '.join(RANKS)}"
        raise ValueError(msg)
    name = RANKS[metric]
    key = None if name == "pds_l1" else embed_key or None
    exclude = "row" if exclude_target_gene and key is None else "none"
    return data.measured.values(name, embedding=key, exclude=exclude)


def edistance(
    data: PerturbationAnndataPair, embed_key: str | None = None, metric: str = "euclidean", **kwargs: Any
) -> float:
    """Pearson correlation over perturbations of predicted and observed energy distances to the control.

    ``metric`` is ``euclidean``; of scikit-learn's further arguments only ``n_jobs`` is accepted, and not needed.
    """
    unknown = sorted(set(kwargs) - {"n_jobs"})
    if metric not in ("euclidean", "l2") or unknown:
        what = f"argument {unknown[0]!r}" if unknown else f"metric {metric!r}"
        msg = f"pearson_edistance: {what} is not known; metric='euclidean' and n_jobs are"
        raise ValueError(msg)
    return data.measured.value("pearson_edistance", embedding=embed_key)


class ClusteringAgreement:
    """Best agreement of the Leiden clusters of predicted and observed mean profiles.

    Parameters
    ----------
    embed_key
        Entry of ``obsm`` to read in place of the expression.
    real_resolution, pred_resolutions, n_neighbors
        Resolutions of the clusterings and size of the neighbourhoods.
    metric
        ``ami``, ``nmi`` or ``ari``.
    """

    def __init__(
        self,
        embed_key: str | None = None,
        real_resolution: float = REAL_RESOLUTION,
        pred_resolutions: Sequence[float] = PRED_RESOLUTIONS,
        metric: Literal["ami", "nmi", "ari"] = "ami",
        n_neighbors: int = N_NEIGHBOURS,
    ) -> None:
        self.embed_key = embed_key
        self.real_resolution = real_resolution
        self.pred_resolutions = pred_resolutions
        self.metric = metric
        self.n_neighbors = n_neighbors

    def __call__(self, data: PerturbationAnndataPair) -> float:
        """The agreement, in [0, 1]."""
        return data.measured.value(
            "clustering_agreement",
            embedding=self.embed_key,
            agreement=self.metric,
            real_resolution=self.real_resolution,
            pred_resolutions=tuple(self.pred_resolutions),
            n_neighbours=self.n_neighbors,
        )
