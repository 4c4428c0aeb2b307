"""One small case a distance, worked by hand."""

from math import exp, log, pi, sqrt

import numpy as np
import pytest

import vcmetrics as vcm
from vcmetrics.metrics.distance.registry import list_distances

A = [[0.0, 0.0], [0.0, 2.0]]  # mean (0, 1)
B = [[3.0, 1.0], [5.0, 1.0]]  # mean (4, 1)


def distance(metric, x, y, *more, **parameters):
    """Distance of x to y; further groups stand by."""
    blocks = [x, y, *more]
    labels = np.repeat([f"g{k}" for k in range(len(blocks))], [len(block) for block in blocks])
    cells = np.concatenate([np.asarray(block, float) for block in blocks])
    return vcm.distances_to(cells, "g1", pert_col=labels, metric=metric, **parameters)["g0"]


def line(*values):
    return [[float(v)] for v in values]


# metric: cases of (x, y, parameters, value)
CASES = {
    "euclidean": [(A, B, {}, 4), (A, B, {"aggregate": np.max}, sqrt(26))],
    "sqeuclidean": [(A, B, {}, 16)],
    "rmse": [(A, B, {}, sqrt(8))],
    "mse": [(A, B, {}, 8)],
    "mae": [(A, B, {}, 2), (line(0, 0, 9), line(5), {"aggregate": "median"}, 5)],
    "cityblock": [(A, B, {}, 4)],
    "cosine": [(A, B, {}, 1 - 1 / sqrt(17)), (A, B, {"similarity": True}, 1 / sqrt(17))],
    "pearson": [(A, B, {}, 2), (A, B, {"similarity": True}, -1)],
    "spearman": [(A, B, {}, 2), ([[1.0, 2, 2, 9]], [[3.0, 3, 8, 7]], {}, 1 - 2.25 / 4.5)],
    "kendall": [(A, B, {}, 2), (A, B, {"unit": "pairs"}, 1)],
    "r2": [(A, B, {}, 32), (A, B, {"similarity": True}, -31), (B, A, {}, 16 / 4.5)],
    "edistance": [
        (A, B, {}, sqrt(10) + sqrt(26) - 2),
        (A, B, {"estimator": "u"}, sqrt(10) + sqrt(26) - 4),
        (A, B, {"cell_metric": "sqeuclidean"}, 32),
        (A, B, {"cell_metric": "sqeuclidean", "estimator": "u"}, 36 - 4 - 4),
        (A, B, {"cell_metric": "cityblock"}, 10 - 2),
        (line(0), line(3), {"floor": 1e-8, "halved": True}, 3 - 1e-4),
    ],
    "mean_pairwise": [(A, B, {}, (sqrt(10) + sqrt(26)) / 2), (A, B, {"cell_metric": "sqeuclidean"}, 18)],
    "mmd": [
        (A, B, {}, 16),
        (A, B, {"estimator": "u"}, 16 - 1 - 1),
        (line(1), line(2), {"kernel": "poly"}, 9),
        (line(1), line(2), {"kernel": "poly", "gamma": 2.0, "coef0": 1.0}, 9 + 81 - 50),
        (line(0), line(2), {"kernel": "rbf", "gamma": 0.5}, 2 - 2 * exp(-2)),
        (line(0), line(2), {"kernel": "rbf", "gamma": [0.5, 1], "combine": "sum"}, 4 - 2 * exp(-2) - 2 * exp(-4)),
        (line(0), line(2), {"kernel": "rbf", "gamma": "median"}, 2 - 2 * exp(-0.5)),
        (line(0, 50, 80), line(2), {"kernel": "rbf", "gamma": 0.5, "truncate": True}, 2 - 2 * exp(-2)),
        (line(0), line(2), {"kernel": "rbf", "gamma": 0.5, "root": True}, sqrt(2 - 2 * exp(-2))),
        ([[1.0, 3]], [[2.0, 2]], {"kernel": "braycurtis"}, 2 - 2 * 6 / 8),
        ([[1.0, 3]], [[2.0, 2]], {"kernel": "ruzicka"}, 2 - 2 * 3 / 5),
        ([[1.0, 3]], [[2.0, 2]], {"kernel": "tanimoto"}, 2 - 2 * 8 / (10 + 8 - 8)),
    ],
    "ks_test": [(A, B, {}, 0.75)],
    "wasserstein": [(line(0), line(3), {}, 9), (line(1, 1), line(3), {"epsilon": 2.0}, 4)],
    "sinkhorn_divergence": [(line(0), line(3), {}, 9), (line(0), line(3), {"epsilon": 50.0}, 9)],
    "wasserstein_1": [(A, B, {}, (sqrt(10) + sqrt(26)) / 2), (line(0, 4), line(1), {}, 2)],
    "wasserstein_2": [(A, B, {}, sqrt(18))],
    "sliced_wasserstein": [(line(0, 2), line(3, 7), {}, sqrt(17)), (line(0, 2), line(3, 7), {"power": 1}, 4)],
    "wasserstein_1d": [
        (A, B, {}, 2.5),
        (A, B, {"power": 2}, (sqrt(17) + 1) / 2),
        ([[0.0, 8]], [[9.0, 1]], {"flatten": True}, 1),
    ],
    "t_test": [(A, B, {}, 2)],
    "sym_kldiv": [(line(-1, 1), line(1, 3), {}, 4)],
    "frechet": [(line(-1, 1), line(0, 8), {}, 34), (line(-1, 1), line(0, 8), {"root": True}, sqrt(34))],
    "mahalanobis": [
        ([[1.0, 0], [-1, 0], [0, 1], [0, -1]], [[2.0, 0]], {}, sqrt(6)),
        ([[3.0, 0], [-3, 0], [0, 1], [0, -1]], [[2.0, 0]], {"shrinkage": 1.0}, sqrt(4 * 3 / 10)),
        (line(-1, 1), line(2, 6), {"covariance": "pooled"}, 4 / sqrt(5)),
    ],
    "nb_ll": [
        # a sample that varies less than a Poisson is one: log P(2) = 2 log 2 - 2 - log 2
        (line(2, 2, 2), line(2), {}, 2 - log(2)),
        # θ -> the root of its score: for 0 and 4 with mean 2, Σ 1/(θ + k) / 2 = log(1 + 2/θ)
        (line(0, 0), line(3, 1), {}, 0),
    ],
    # no feature tells them apart: 3 cells against 4, one of y is held out
    "classifier_proba": [(np.zeros((3, 2)), np.zeros((5, 2)), {}, 4 / 7)],
    "classifier_cp": [(np.zeros((2, 2)), np.zeros((3, 2)), {}, 1 - 2 / 8)],
}


@pytest.mark.parametrize(("metric", "case"), [(m, k) for m, cases in CASES.items() for k in range(len(cases))])
def test_case(metric, case):
    x, y, parameters, value = CASES[metric][case]
    more = [np.zeros((6, 2))] if metric == "classifier_cp" else []
    # a floor of 1e-8 somewhere inside; a solver that stops at slopes of 1e-4
    rel = {"t_test": 1e-6, "sym_kldiv": 1e-6, "nb_ll": 1e-6, "classifier_proba": 2e-4, "classifier_cp": 2e-4}.get(
        metric, 1e-12
    )
    assert distance(metric, x, y, *more, **parameters) == pytest.approx(value, rel=rel, abs=1e-12)


def test_mean_var_distribution():
    """Two features a group; three grid points an axis, of which the middle one is halfway."""
    x = [[1.0, 1.0], [3.0, 5.0]]  # (log mean, log variance): (log 2, log 1), (log 3, log 4)
    y = [[2.0, 1.0], [4.0, 9.0]]  # (log 3, log 1), (log 5, log 16)
    clouds = [[(log(2), 0.0), (log(3), log(4))], [(log(3), 0.0), (log(5), log(16))]]
    h = 2 ** (-1 / 6)
    axes = []
    for k in (0, 1):
        low, high = (f(p[k] for c in clouds for p in c) for f in (min, max))
        axes.append([low + (high - low) * (j - 0.5) for j in range(3)])
    total = 0.0
    for u in axes[0]:
        for v in axes[1]:
            density = [
                sum(exp(-sqrt((u - a) ** 2 + (v - b) ** 2) / h) for a, b in cloud) / (2 * 2 * pi * h * h)
                for cloud in clouds
            ]
            total += (density[0] - density[1]) ** 2 / 9
    assert distance("mean_var_distribution", x, y, n_points=3) == pytest.approx(total, rel=1e-12)


def test_dispersion_of_counts():
    """Counts 0 and 4: half the cells have Σ_k 1/(θ + k), k < 4, and θ makes that half log(1 + 2/θ)."""
    from vcmetrics.metrics.distance.counts import fit, histogram

    theta = fit(histogram(np.array(line(0, 4)), "")).theta[0]
    assert sum(1 / (theta + k) for k in range(4)) / 2 == pytest.approx(log(1 + 2 / theta), rel=1e-12)
    assert np.isinf(fit(histogram(np.array(line(1, 2)), "")).theta[0])


def test_every_distance_has_a_case():
    assert set(CASES) | {"mean_var_distribution"} == set(list_distances())
