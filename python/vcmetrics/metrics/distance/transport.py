"""Optimal transport between the cells of two groups, uniform weights: entropic, debiased, exact, sliced, by feature."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from vcmetrics._errors import VcmetricsWarning
from vcmetrics.metrics.distance.numbers import not_negative, positive, whole
from vcmetrics.metrics.distance.ranks import column_means
from vcmetrics.metrics.distance.registry import DistanceSpec, Pairs, Values, register
from vcmetrics.metrics.registry import Parity
from vcmetrics.reference import distance_transport as reference
from vcmetrics.sources.cell_groups import CellGroups

_MARGINALS = 1e-6  # how far the marginals of POT's plan may be off


def sinkhorn_costs(
    cells: CellGroups,
    pairs: Pairs,
    *,
    epsilon: float | None,
    scale: float,
    threshold: float,
    max_iterations: int,
    check_every: int,
) -> Values:
    """Entropic costs of pairs of groups; one warning counts those that did not converge."""
    from vcmetrics import _core

    costs, _, converged = _core.sinkhorn_costs(
        cells.dense,
        cells.codes,
        cells.n_groups,
        np.ascontiguousarray(pairs, np.int32),
        epsilon,
        scale,
        threshold,
        max_iterations,
        check_every,
        cells.n_threads,
    )
    if not converged.all():
        k = int(np.flatnonzero(~converged)[0])
        msg = (
            f"{cells.name}: {np.count_nonzero(~converged)} of {len(pairs)} transport problems did not converge in "
            f"{max_iterations} iterations (first: {cells.labels[pairs[k, 0]]!r} to {cells.labels[pairs[k, 1]]!r}); "
            "raise epsilon, threshold or max_iterations"
        )
        warnings.warn(msg, VcmetricsWarning, stacklevel=3)
    return np.asarray(costs, np.float64)


def wasserstein(
    cells: CellGroups,
    pairs: Pairs,
    *,
    epsilon: float | None = None,
    scale: float = 0.05,
    threshold: float = 1e-3,
    max_iterations: int = 2000,
    check_every: int = 10,
    not_finite: float = np.nan,
) -> Values:
    """Entropic optimal-transport cost for squared Euclidean distances: neither W1 nor W2, and not 0 for equal groups.

    Parameters
    ----------
    cells, pairs
        Groups, and which of them.
    epsilon
        Strength of the entropy; None: ``scale`` times the standard deviation of the pair's cost matrix, so that each
        pair has its own.
    scale
        See ``epsilon``.
    threshold, max_iterations, check_every
        Stop when the column marginals are off by less than ``threshold`` in sum, looked at every ``check_every``
        iterations; a warning tells of pairs that reach ``max_iterations``.
    not_finite
        Returned for a cost that is not finite.

    Returns
    -------
    (n_pairs,): min over plans P of Σ P C + ε KL(P | a bᵀ), at the last potentials. Where all costs of a pair are equal,
    as between two single cells, ε is 0 and the value is that cost.

    Notes
    -----
    Cost: iterations × 2 exponentials a pair of cells.
    """
    positive(scale=scale, threshold=threshold)
    whole(1, max_iterations=max_iterations, check_every=check_every)
    if epsilon is not None:
        positive(epsilon=epsilon)
    costs = sinkhorn_costs(
        cells,
        pairs,
        epsilon=epsilon,
        scale=scale,
        threshold=threshold,
        max_iterations=max_iterations,
        check_every=check_every,
    )
    return np.where(np.isfinite(costs), costs, not_finite)


def sinkhorn_divergence(
    cells: CellGroups,
    pairs: Pairs,
    *,
    epsilon: float = 1.0,
    threshold: float = 1e-3,
    max_iterations: int = 2000,
    check_every: int = 10,
) -> Values:
    """Debiased entropic cost: OT(x, y) - OT(x, x)/2 - OT(y, y)/2 with the same ``epsilon`` in all three.

    Parameters
    ----------
    cells, pairs
        Groups, and which of them.
    epsilon
        Strength of the entropy, in units of squared distance. Towards 0 the value goes to W2², towards infinity to the
        squared distance of the means.
    threshold, max_iterations, check_every
        As for :func:`wasserstein`.

    Returns
    -------
    (n_pairs,), >= 0 up to the threshold; 0 for a group and itself.
    """
    from vcmetrics.metrics.distance.energy import own_pairs

    positive(epsilon=epsilon, threshold=threshold)
    whole(1, max_iterations=max_iterations, check_every=check_every)
    own, place = own_pairs(pairs)
    different = pairs[:, 0] != pairs[:, 1]
    wanted = np.concatenate([own, pairs[different]])
    costs = sinkhorn_costs(
        cells,
        wanted,
        epsilon=epsilon,
        scale=1.0,
        threshold=threshold,
        max_iterations=max_iterations,
        check_every=check_every,
    )
    out = np.zeros(len(pairs))
    half = costs[: len(own)][place] / 2
    out[different] = (costs[len(own) :] - half[different, 0]) - half[different, 1]
    return out


def _transported(cells: CellGroups, pairs: Pairs, power: int, regularization: float) -> Values:
    """Mean cost ⟨P, C⟩ of the best plan, to the power 1 / ``power``; with entropy where ``regularization`` > 0."""
    import ot

    from vcmetrics import _core

    not_negative(regularization=regularization)
    out = np.empty(len(pairs))
    for k, (a, b) in enumerate(pairs.tolist()):
        if a == b and not regularization:
            out[k] = 0.0
            continue
        x, y = cells.block(a), cells.block(b)
        table = _core.pairwise_sums(x, y, "sqeuclidean", None, cells.n_threads)
        costs = np.sqrt(table) if power == 1 else table
        weights = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
        if regularization:
            how = {"method": "sinkhorn_log", "numItermax": 10_000, "warn": False, "log": True}
            with np.errstate(over="ignore", invalid="ignore"):  # its plan on the way there
                value, log = ot.sinkhorn2(*weights, costs, regularization, **how)
            if not log["err"] or not log["err"][-1] < _MARGINALS:
                msg = f"a plan with regularization={regularization:g} has not converged; pass a larger one"
                warnings.warn(msg, VcmetricsWarning, stacklevel=2)
        else:
            value = ot.emd2(*weights, costs, numItermax=10_000_000)
        out[k] = float(value) if power == 1 else np.sqrt(max(float(value), 0.0))
    return out


def wasserstein_1(cells: CellGroups, pairs: Pairs, *, regularization: float = 0.0) -> Values:
    """W1 with Euclidean costs, by POT: exact, or ⟨P, C⟩ of the plan with entropy ``regularization``.

    The entropy is in the unit of the costs. Exact: about (n + m)³ operations a pair of groups, and 0 to itself; with
    entropy about n·m an iteration, and a group is not at 0 from itself.
    """
    return _transported(cells, pairs, 1, regularization)


def wasserstein_2(cells: CellGroups, pairs: Pairs, *, regularization: float = 0.0) -> Values:
    """W2: root of the mean squared Euclidean cost, by POT; ``regularization`` as for :func:`wasserstein_1`."""
    return _transported(cells, pairs, 2, regularization)


def sliced_wasserstein(
    cells: CellGroups, pairs: Pairs, *, n_projections: int = 128, power: int = 2, random_state: int = 0
) -> Values:
    """Wasserstein distance of projections onto random directions, averaged: (mean W_p^p)^(1/p).

    Parameters
    ----------
    cells, pairs
        Groups, and which of them.
    n_projections
        Directions, uniform on the sphere, the same for all pairs.
    power
        p, 1 or 2.
    random_state
        Seed of the directions.

    Returns
    -------
    (n_pairs,), >= 0; 0 for a group and itself.

    Notes
    -----
    Cost: n_projections × (D + log n) a cell once a group, n_projections × (n + m) a pair of groups.
    """
    from vcmetrics import _core

    _check_power(power)
    whole(1, n_projections=n_projections)
    whole(0, random_state=random_state)
    directions = projections(cells.n_features, n_projections, random_state)
    # the products of the blocks come from one kernel, so equal cells have equal projections
    values = np.empty((cells.codes.size, n_projections))
    for group in np.unique(pairs).tolist():
        rows = cells.members(group)
        values[rows] = _core.pairwise_sums(cells.block(group), directions, "product", None, cells.n_threads)
    projected = replace(cells, values=values, rows=None)
    statistic = column_means(projected, pairs, "w1" if power == 1 else "w2sq")
    return statistic if power == 1 else np.sqrt(statistic)


def projections(n_features: int, n_projections: int, random_state: int) -> Values:
    """(n_projections, n_features) unit vectors."""
    raw = np.random.default_rng(random_state).standard_normal((n_features, n_projections))
    return np.ascontiguousarray((raw / np.sqrt((raw**2).sum(0))).T)


def _check_power(power: int) -> None:
    if power not in (1, 2):
        msg = f"power {power!r} is not known; pass 1 or 2"
        raise ValueError(msg)


def wasserstein_1d(cells: CellGroups, pairs: Pairs, *, power: int = 1, flatten: bool = False) -> Values:
    """Mean over features of the one-dimensional W_p between the cells' values.

    Parameters
    ----------
    cells, pairs
        Groups, and which of them.
    power
        p, 1 or 2.
    flatten
        One distance between all values of all features thrown together.

    Returns
    -------
    (n_pairs,), >= 0; 0 for a group and itself.
    """
    _check_power(power)
    if flatten:
        codes = np.repeat(cells.codes, cells.n_features)
        cells = replace(cells, values=cells.dense.reshape(-1, 1), rows=None, codes=codes)
    elif power == 2:  # the root is taken of each feature's own
        return np.asarray(np.mean([_one_feature(cells, pairs, k) for k in range(cells.n_features)], axis=0))
    statistic = column_means(cells, pairs, "w1" if power == 1 else "w2sq")
    return statistic if power == 1 else np.sqrt(statistic)


def _one_feature(cells: CellGroups, pairs: Pairs, feature: int) -> Values:
    column = np.ascontiguousarray(cells.dense[:, feature : feature + 1])
    return np.asarray(np.sqrt(column_means(replace(cells, values=column, rows=None), pairs, "w2sq")))


_STOP = {"threshold": 1e-3, "max_iterations": 2000, "check_every": 10}
_MOVES = ("feature_order", "nonnegative", "translation")
_ROWS: tuple[tuple[str, Any, Any, Any, str, Any, Any, Any, Any, str], ...] = (
    ("wasserstein", ("entropic_ot",), wasserstein, reference.wasserstein,
     "min_P Σ P C + ε KL(P | a bᵀ), C = |x - y|², ε = 0.05 std(C)",
     {"epsilon": None, "scale": 0.05, **_STOP, "not_finite": np.nan}, (*_MOVES, "rotation", "scale:2"),
     # both stop by the same rule; potentials differ by rounding
     Parity(1e-9, 1e-10), None, "Cuturi (2013), NeurIPS 26; pertpy 1.0.3 with ott-jax 0.6.0, reg_ot_cost"),
    ("sinkhorn_divergence", (), sinkhorn_divergence, reference.sinkhorn_divergence,
     "OT_ε(x, y) - OT_ε(x, x)/2 - OT_ε(y, y)/2", {"epsilon": 1.0, **_STOP},
     ("feature_order", "translation", "rotation"),
     Parity(1e-8, 1e-9), None, "Feydy et al. (2019), AISTATS; CellFlow, compute_sinkhorn_div"),
    ("wasserstein_1", ("w1",), wasserstein_1, reference.wasserstein_1, "min_P Σ P |x - y|", {"regularization": 0.0},
     (*_MOVES, "rotation", "scale:1"), Parity(1e-9, 1e-10), "ot", "Flamary et al. (2021), JMLR 22:78 (POT, emd2)"),
    ("wasserstein_2", ("w2",), wasserstein_2, reference.wasserstein_2, "sqrt(min_P Σ P |x - y|²)",
     {"regularization": 0.0}, (*_MOVES, "rotation", "scale:1"), Parity(1e-9, 1e-7),
     "ot", "Flamary et al. (2021), JMLR 22:78 (POT, emd2)"),
    ("sliced_wasserstein", (), sliced_wasserstein, reference.sliced_wasserstein, "(mean_θ W_p^p(θ·x, θ·y))^(1/p)",
     {"n_projections": 128, "power": 2, "random_state": 0}, ("nonnegative", "translation", "scale:1"),
     Parity(1e-10, 1e-12), None, "Bonneel et al. (2015), J. Math. Imaging Vis. 51:22"),
    ("wasserstein_1d", (), wasserstein_1d, reference.wasserstein_1d, "mean_f W_p(x_f, y_f)",
     {"power": 1, "flatten": False}, (*_MOVES, "scale:1"), Parity(1e-10, 1e-12), None,
     "SciPy, stats.wasserstein_distance of each feature"),
)  # fmt: skip
for _name, _aliases, _formula, _ref, _definition, _defaults, _laws, _parity, _extra, _source in _ROWS:
    register(
        DistanceSpec(
            name=_name,
            aliases=_aliases,
            kind="cells",
            symmetric=True,
            definition=_definition,
            formula=_formula,
            reference=_ref,
            defaults=_defaults,
            invariants=_laws,
            zero_self=_name != "wasserstein",
            parity=_parity,
            extra=_extra,
            source=_source,
        )
    )
