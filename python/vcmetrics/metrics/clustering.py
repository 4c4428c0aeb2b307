"""Whether predicted profiles fall into the same clusters as the observed ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import MetricSpec, Parity, Values, register
from vcmetrics.reference import clustering as reference

N_NEIGHBOURS = 15  # the profile itself included
REAL_RESOLUTION = 1.0
PRED_RESOLUTIONS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0)
LEIDEN_ROUNDS = 2
_TOLERANCE = 1e-5
_STEPS = 64
_NARROWEST = 1e-3  # of a bandwidth, as a share of the mean distance

Agreement = Literal["ami", "nmi", "ari"]


class IgraphRandom:
    """The random source that scanpy hands to igraph for seed 0."""

    def __init__(self) -> None:
        self._state = np.random.RandomState(0)

    def getrandbits(self, k: int) -> int:
        """``k`` random bits."""
        return int(self._state.tomaxint()) & ((1 << k) - 1)

    def randint(self, a: int, b: int) -> int:
        """A whole number in [a, b]."""
        return int(self._state.randint(a, b + 1))

    def random(self) -> float:
        """A number in [0, 1)."""
        return float(self._state.random())

    def gauss(self, mean: float, deviation: float) -> float:
        """A normal number."""
        return float(self._state.normal(mean, deviation))


def _packages() -> tuple[Any, Any, Any]:
    """igraph, scikit-learn's neighbours and its cluster scores."""
    try:
        import igraph
        from sklearn import neighbors
        from sklearn.metrics import cluster
    except ImportError as error:
        msg = (
            f"clustering_agreement needs scikit-learn and igraph ({error.name} is not installed); "
            "pip install 'vcmetrics[cluster]', or leave the metric out"
        )
        raise ImportError(msg) from error
    return igraph, neighbors, cluster


def nearest(profiles: Values, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The ``k`` nearest profiles of each, itself first, with their Euclidean distances: (n, k) each."""
    _, neighbors, _ = _packages()
    search = neighbors.NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(profiles)
    distances, indices = search.kneighbors(profiles)
    # the search leaves rounding where a profile meets itself, and it must not pass for the nearest positive distance
    distances[indices == np.arange(profiles.shape[0])[:, None]] = 0.0
    return indices[:, :k], distances[:, :k].astype(np.float32)


def bandwidths(distances: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Offset ρ and width σ of each profile's neighbourhood, by the definition of UMAP.

    ρ is the smallest positive distance; σ makes ``sum over the others of exp(-max(0, d - ρ) / σ) = log2 k``, found by
    doubling and halving, and at least a thousandth of the mean distance.
    """
    n, k = distances.shape
    positive = np.where(distances > 0, distances, np.inf)
    rho = positive.min(axis=1).astype(np.float32)
    rho[~np.isfinite(rho)] = 0.0
    beyond = np.maximum(distances[:, 1:] - rho[:, None], 0).astype(np.float64)
    target = np.log2(k)
    low, high, width = np.zeros(n), np.full(n, np.inf), np.ones(n)
    searching = np.ones(n, np.bool_)
    for _ in range(_STEPS):
        mass = np.exp(-beyond / width[:, None]).sum(axis=1)
        searching &= np.abs(mass - target) >= _TOLERANCE
        if not searching.any():
            break
        above = searching & (mass > target)
        below = searching & ~above
        high[above] = width[above]
        low[below] = width[below]
        grow = below & np.isinf(high)
        width[grow] *= 2
        halve = searching & ~grow
        width[halve] = (low[halve] + high[halve]) / 2
    mean = np.where(rho > 0, distances.mean(axis=1), distances.mean())
    return rho, np.maximum(width, _NARROWEST * mean).astype(np.float32)


def neighbour_graph(profiles: Values, n_neighbours: int) -> tuple[list[tuple[int, int]], list[float]]:
    """Edges and weights of the fuzzy neighbour graph; every edge appears in both directions, as scanpy hands it on.

    The weight of i, j is w + v - w v with w = exp(-max(0, d - ρ_i) / σ_i) where j is a neighbour of i, and v
    the same the other way round.
    """
    from scipy import sparse

    n = profiles.shape[0]
    k = min(n_neighbours, n - 1)
    indices, distances = nearest(profiles, k)
    if not (indices[:, 0] == np.arange(n)).any():  # duplicates can hide every profile from its own first place
        indices = np.column_stack([np.arange(n), indices])[:, :k]
        distances = np.column_stack([np.zeros(n, np.float32), distances])[:, :k]
    rho, sigma = bandwidths(distances)
    weights = np.exp(-np.maximum(distances - rho[:, None], 0) / np.where(sigma > 0, sigma, 1)[:, None])
    weights[indices == np.arange(n)[:, None]] = 0
    rows = np.repeat(np.arange(n), k)
    one_way = sparse.csr_array((weights.astype(np.float32).ravel(), (rows, indices.ravel())), shape=(n, n))
    one_way.eliminate_zeros()
    back = one_way.T.tocsr()
    both = (one_way + back - one_way.multiply(back)).tocsr()
    both.sort_indices()
    both.eliminate_zeros()
    sources = np.repeat(np.arange(n), np.diff(both.indptr))
    return list(zip(sources.tolist(), both.indices.tolist(), strict=True)), both.data.tolist()


def leiden(n: int, edges: list[tuple[int, int]], weights: list[float], resolution: float) -> list[int]:
    """Cluster of each vertex: igraph's Leiden on weighted modularity, seed 0."""
    import random

    igraph, _, _ = _packages()
    graph = igraph.Graph(n=n, edges=edges, directed=False)
    igraph.set_random_number_generator(IgraphRandom())
    try:
        found = graph.community_leiden(
            objective_function="modularity", weights=weights, resolution=resolution, n_iterations=LEIDEN_ROUNDS
        )
    finally:
        igraph.set_random_number_generator(random)
    return list(found.membership)


def agreement_of(real: list[int], pred: list[int], agreement: Agreement) -> float:
    """Adjusted or normalised mutual information, or the adjusted Rand index moved to [0, 1]."""
    _, _, cluster = _packages()
    if agreement == "ami":
        return float(cluster.adjusted_mutual_info_score(real, pred))
    if agreement == "nmi":
        return float(cluster.normalized_mutual_info_score(real, pred))
    if agreement == "ari":
        return float((cluster.adjusted_rand_score(real, pred) + 1) / 2)
    msg = f"agreement is {agreement!r}; use 'ami', 'nmi' or 'ari'"
    raise ValueError(msg)


def clustering_agreement(
    pair: Pair,
    *,
    embedding: str | None = None,
    agreement: Agreement = "ami",
    real_resolution: float = REAL_RESOLUTION,
    pred_resolutions: Sequence[float] = PRED_RESOLUTIONS,
    n_neighbours: int = N_NEIGHBOURS,
) -> Values:
    """Best agreement of the clusters of predicted profiles with those of the observed ones.

    Observed profiles are clustered at resolution 1, predicted ones at seven resolutions from 0.2 to 2; the best
    agreement counts, never below 0. One number for all perturbations.

    Parameters
    ----------
    pair
        Profiles of both sides, n_perturbations × n_genes; controls do not enter.
    embedding
        Profiles of this embedding in place of the expression.
    agreement
        ``ami``, ``nmi``, or ``ari`` (as (ARI + 1) / 2).
    real_resolution, pred_resolutions
        Resolutions at which observed and predicted profiles are clustered.
    n_neighbours
        Size of the neighbourhoods, the profile itself included.

    Returns
    -------
    (n_perturbations,), the same value in each, in [0, 1]; 1 is best. NaN for a single perturbation.

    Notes
    -----
    Depends on the versions of igraph and scikit-learn. Cost n_perturbations² × n_genes.

    Examples
    --------
    The observed profiles predicted: 1, for one of the seven resolutions is that of the observed side.
    """
    pred, real = pair.profiles(embedding)
    if pair.n < 2:
        return np.full(pair.n, np.nan)
    observed = leiden(pair.n, *neighbour_graph(real.mean, n_neighbours), real_resolution)
    graph = neighbour_graph(pred.mean, n_neighbours)
    scores = (agreement_of(observed, leiden(pair.n, *graph, r), agreement) for r in pred_resolutions)
    return np.full(pair.n, max(0.0, *scores))


register(
    MetricSpec(
        name="clustering_agreement",
        family="clustering",
        needs=frozenset({"profiles"}),
        better="higher",
        best=1.0,
        chance=0.0,
        bounds=(0.0, 1.0),
        definition="best adjusted mutual information of Leiden clusters of predicted and observed profiles",
        formula=clustering_agreement,
        reference=reference.clustering_agreement,
        source="cell-eval 0.8.2, clustering_agreement; McInnes et al. 2018 (fuzzy graph), Traag et al. 2019 (Leiden)",
        parity=Parity(rtol=0.0, atol=1e-9),
        defaults={
            "embedding": None,
            "agreement": "ami",
            "real_resolution": REAL_RESOLUTION,
            "pred_resolutions": PRED_RESOLUTIONS,
            "n_neighbours": N_NEIGHBOURS,
        },
        invariants=("gene_order",),  # Leiden visits perturbations in a random order
        extra="cluster",
        panel="whole",
        pitfalls=(
            "The best of seven resolutions counts, so noise is rewarded too.",
            "Depends on the versions of igraph and scikit-learn, and on the number of perturbations.",
        ),
    )
)
