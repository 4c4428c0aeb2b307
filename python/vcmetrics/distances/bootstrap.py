"""Bootstrap means and variances of distances: :func:`bootstrap_distance`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcmetrics.backend.device import resolve_device
from vcmetrics.backend.memory import budgeted
from vcmetrics.distances.conventions import Choice, choose
from vcmetrics.distances.draws import own_draws, pertpy_draws
from vcmetrics.distances.inputs import group_names, strata
from vcmetrics.distances.matrix import frame, labelled, opened, require_references
from vcmetrics.distances.resampling import Resampled
from vcmetrics.metrics.distance.numbers import whole
from vcmetrics.sources.cell_groups import CellGroups

if TYPE_CHECKING:
    import pandas as pd

Values = NDArray[np.float64]
DRAWS = ("own", "pertpy", "pertpy-arrays")


class Bootstrap(NamedTuple):
    """Mean and variance (÷B) over the resamples, tables of the same labels."""

    mean: pd.DataFrame | pd.Series
    variance: pd.DataFrame | pd.Series


@budgeted
def bootstrap_distance(
    adata: Any,
    reference: str | Sequence[str] | None = None,
    *,
    pert_col: Any,
    metric: str = "edistance",
    n_bootstrap: int = 100,
    random_state: int = 0,
    layer: str | None = None,
    obsm: str | None = None,
    genes: Any = None,
    groups: Sequence[str] | None = None,
    within: Any = None,
    convention: str | None = None,
    draws: str | None = None,
    order: str | None = None,
    device: str = "auto",
    n_threads: int | None = None,
    memory_budget: int | float | str | None = None,
    **parameters: Any,
) -> Bootstrap:
    """Distances between resampled groups: their mean and variance.

    Parameters
    ----------
    adata, pert_col, metric, layer, obsm, genes, groups, within, convention, order, device, n_threads, memory_budget
        As for :func:`~vcmetrics.distances.matrix.distance_matrix`.
    reference
        None: all pairs of groups. A label, or several: from every group to these.
    n_bootstrap
        Number of resamples B.
    random_state
        Seed.
    draws
        ``"own"``: every group is drawn with replacement to its own size, the same draw for all its pairs; its draws
        depend on the seed and its label alone. ``"pertpy"``, ``"pertpy-arrays"``: the draws of pertpy's AnnData and
        array functions, which restart one generator for every pair, and mostly draw the second group with the size of
        the first. None takes the convention's.
    **parameters
        Of the distance.

    Returns
    -------
    Bootstrap
        ``mean`` and ``variance``: DataFrames n_groups × n_groups, or Series (DataFrames for several references) to the
        reference. A group and itself are one draw in ``"own"``, so their distance is 0 where the formula says so.

    Raises
    ------
    DataError
        As for :func:`~vcmetrics.distances.matrix.distance_matrix`.

    Notes
    -----
    The mean is not an estimate of the distance: a resample repeats cells, which adds spread. Cost: for distances over
    pairs of cells n m (D + B) operations a pair of groups, for profile distances n D B a group.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap.

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.array([[0.0], [2.0], [7.0], [9.0]])
    >>> found = bootstrap_distance(cells, "a", pert_col=["a", "a", "b", "b"], metric="euclidean", n_bootstrap=1000)
    >>> bool(6.9 < found.mean["b"] < 7.1 and 0.9 < found.variance["b"] < 1.1)
    True
    """
    resolve_device(device, what="bootstrap_distance")
    whole(1, n_bootstrap=n_bootstrap)
    whole(0, random_state=random_state)
    choice = choose(metric, convention, parameters).resampled(parameters)
    draws = choice.convention.draws if draws is None else draws
    if draws not in DRAWS:
        msg = f"draws {draws!r} is not known; choose from {', '.join(DRAWS)}"
        raise ValueError(msg)
    references = None if reference is None else group_names(reference, "reference=")
    chosen = None if groups is None else group_names(groups, "groups=")
    named = None if chosen is None else [*dict.fromkeys([*chosen, *(references or [])])]
    cells = opened(adata, pert_col, choice, layer, obsm, genes, named, order, n_threads)
    wanted = cells.labels if chosen is None else chosen
    if references is not None:
        require_references(cells, references, "")
    means, variances = [], []
    for key, part in [((), cells)] if within is None else strata(adata, within, cells):
        rows = [label for label in wanted if label in part.labels]
        if references is not None:
            require_references(part, references, f" in {', '.join(key)}" if key else "")
        mean, variance = _tables(part, choice, rows, references, n_bootstrap, random_state, draws)
        means.append((key, frame(mean, rows, references or rows)))
        variances.append((key, frame(variance, rows, references or rows)))
    square = references is None
    out = [labelled(adata, tables, cells, pert_col, within, choice, square=square) for tables in (means, variances)]
    if references is not None and len(references) == 1:
        return Bootstrap(*(table.iloc[:, 0] for table in out))
    return Bootstrap(*out)


def _tables(
    cells: CellGroups,
    choice: Choice,
    rows: Sequence[str],
    references: Sequence[str] | None,
    count: int,
    seed: int,
    draws: str,
) -> tuple[Values, Values]:
    place = {label: k for k, label in enumerate(cells.labels)}
    first = [place[label] for label in rows]
    second = first if references is None else [place[label] for label in references]
    mean, variance = np.zeros((len(first), len(second))), np.zeros((len(first), len(second)))
    if draws == "own":
        draw = own_draws(cells, count, seed)
    else:
        draw = pertpy_draws(cells, count, seed, same_size=_by_matrix(choice, draws))
    mirrored = references is None and (choice.spec.symmetric or draws != "own")
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            if mirrored and j < i:
                mean[i, j], variance[i, j] = mean[j, i], variance[j, i]
                continue
            if a == b and (choice.spec.zero_self if draws == "own" else _by_matrix(choice, draws)):
                continue
            two = Resampled(choice, cells, a, b)
            values = np.concatenate([two.drawn(*weights) for weights in draw(a, b)])
            mean[i, j], variance[i, j] = values.mean(), values.var()
    return mean, variance


def _by_matrix(choice: Choice, draws: str) -> bool:
    """Whether pertpy resamples a matrix of distances, where both groups keep their sizes."""
    return draws == "pertpy" and choice.spec.name in ("edistance", "mean_pairwise")
