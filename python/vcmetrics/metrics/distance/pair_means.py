"""Mean of a function of two cells over all pairs of cells of two groups: what the cell distances are made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DeviceError
from vcmetrics.backend.batches import in_batches
from vcmetrics.sources.cell_groups import CellGroups

Values = NDArray[np.float64]
Pairs = NDArray[np.int32]
CUDA_TERMS = ("euclidean", "sqeuclidean", "cityblock", "rbf")
TERMS = ("euclidean", "sqeuclidean", "cityblock", "cosine", "rbf", "braycurtis", "tanimoto", "ruzicka")


def check_estimator(estimator: str) -> None:
    """Refuse another word."""
    if estimator not in ("v", "u"):
        msg = f"estimator {estimator!r} is not known; pass 'v' (all pairs) or 'u' (without a cell's pair with itself)"
        raise ValueError(msg)


def pair_means(
    cells: CellGroups, pairs: Pairs, term: str, *, gammas: Sequence[float] | None = None, estimator: str = "v"
) -> Values:
    """Mean of ``term(x, y)`` over the pairs of cells of two groups.

    Parameters
    ----------
    cells
        The groups. Sparse cells stay sparse for ``euclidean``; other terms hold them dense.
    pairs
        (n_pairs, 2) int32 group numbers.
    term
        One of ``TERMS``; ``rbf`` is exp(-gamma d²) for each of ``gammas``.
    gammas
        Of ``rbf``.
    estimator
        For a group with itself: ``"v"`` over all ordered pairs, the diagonal included; ``"u"`` without it (NaN for
        one cell).

    Returns
    -------
    (n_pairs,) float64, or (n_gammas, n_pairs) for ``rbf``.
    """
    from vcmetrics import _core

    if term not in TERMS:
        msg = f"term {term!r} is not known; choose from {', '.join(TERMS)}"
        raise ValueError(msg)
    check_estimator(estimator)
    # terms are symmetric; one order of a pair gives one sequence of additions
    pairs = np.ascontiguousarray(np.sort(pairs, axis=1), np.int32)
    if cells.engine is not None:
        return _on_device(cells, pairs, term, gammas, estimator)
    if cells.values is None and term == "euclidean":
        assert cells.rows is not None
        out = np.asarray(
            _core.mean_distances(cells.rows.args(), cells.codes, cells.n_groups, pairs, cells.n_threads), np.float64
        )
        return without_diagonal(out, pairs, cells.sizes) if estimator == "u" else out
    return np.asarray(
        _core.pair_means(cells.dense, cells.codes, cells.n_groups, pairs, term, gammas, estimator, cells.n_threads),
        np.float64,
    )


def _on_device(cells: CellGroups, pairs: Pairs, term: str, gammas: Sequence[float] | None, estimator: str) -> Values:
    """The same by the engine of the cells, all of which its device holds; sums agree to 1e-12."""
    engine = cells.engine
    assert engine is not None
    if term not in CUDA_TERMS:
        msg = f"term {term!r} has no CUDA kernel (there are {', '.join(CUDA_TERMS)}); pass device='cpu'"
        raise DeviceError(msg)
    sums = np.empty((1 if gammas is None else len(gammas), len(pairs)))

    def batch(first: int, last: int) -> None:
        found = engine.kernels.group_pair_sums(cells.on_device, cells.sizes, pairs[first:last], term, gammas)
        sums[:, first:last] = engine.to_host(found)

    in_batches(
        len(pairs), len(pairs), batch,
        what="distances of cells", out_of_memory=engine.out_of_memory, release=engine.release,
    )  # fmt: skip
    n, m = cells.sizes[pairs].astype(np.float64).T
    own = (pairs[:, 0] == pairs[:, 1]) & (estimator == "u")
    # of a cell and itself: distance 0, kernel 1
    diagonal = np.where(own & (term == "rbf"), n, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (sums - diagonal) / (n * np.where(own, m - 1, m))
    return means if gammas is not None else np.asarray(means[0])


def without_diagonal(means: Values, pairs: Pairs, sizes: NDArray[np.int64]) -> Values:
    """Means over all pairs of a group with itself, zero diagonal included, turned into means without it."""
    n = sizes[pairs[:, 0]].astype(np.float64)
    own = pairs[:, 0] == pairs[:, 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(own, means * n / (n - 1), means)
