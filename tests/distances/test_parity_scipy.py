"""SciPy and scikit-learn on new random data."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import distance as sd
from sklearn import metrics as sk

import vcmetrics as vcm

SEEDS = [201, 202, 203]


def two(seed, d=9):
    rng = np.random.default_rng(seed)
    x, y = rng.gamma(2, 1, (rng.integers(8, 40), d)), rng.gamma(3, 1, (rng.integers(8, 40), d))
    return x, y


def ours(metric, x, y, **parameters):
    labels = np.repeat(["x", "y"], [len(x), len(y)])
    return vcm.distances_to(np.concatenate([x, y]), "y", pert_col=labels, metric=metric, **parameters)["x"]


PROFILES = {
    "euclidean": sd.euclidean,
    "sqeuclidean": sd.sqeuclidean,
    "cityblock": sd.cityblock,
    "cosine": sd.cosine,
    "pearson": sd.correlation,
    "rmse": sk.root_mean_squared_error,
    "mse": sk.mean_squared_error,
    "mae": sk.mean_absolute_error,
    "r2": lambda a, b: 1 - sk.r2_score(a, b),
    "spearman": lambda a, b: 1 - stats.spearmanr(a, b).statistic,
    "kendall": lambda a, b: 1 - stats.kendalltau(a, b).statistic,
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("metric", PROFILES)
def test_profiles(metric, seed):
    x, y = two(seed)
    assert ours(metric, x, y) == pytest.approx(PROFILES[metric](x.mean(0), y.mean(0)), rel=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("cell_metric", ["euclidean", "sqeuclidean", "cityblock", "cosine"])
def test_energy(cell_metric, seed):
    x, y = two(seed)
    xx, yy, xy = (sd.cdist(a, b, cell_metric) for a, b in ((x, x), (y, y), (x, y)))
    v = 2 * xy.mean() - xx.mean() - yy.mean()
    assert ours("edistance", x, y, cell_metric=cell_metric) == pytest.approx(v, rel=1e-9)
    n, m = len(x), len(y)
    u = 2 * xy.mean() - xx.sum() / (n * (n - 1)) - yy.sum() / (m * (m - 1))
    assert ours("edistance", x, y, cell_metric=cell_metric, estimator="u") == pytest.approx(u, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_energy_of_a_line(seed):
    """In one dimension SciPy's energy distance is the root of E."""
    x, y = two(seed, d=1)
    assert ours("edistance", x, y) == pytest.approx(stats.energy_distance(x[:, 0], y[:, 0]) ** 2, rel=1e-9)
    assert ours("wasserstein_1d", x, y) == pytest.approx(stats.wasserstein_distance(x[:, 0], y[:, 0]), rel=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("kernel", "parameters"),
    [
        ("linear", {}),
        ("rbf", {"gamma": 0.07}),
        ("poly", {"gamma": 0.3, "degree": 2, "coef0": 0.4}),
        ("poly", {"gamma": 0.3, "degree": 3, "coef0": 0.4}),
    ],
)
def test_mmd(kernel, parameters, seed):
    x, y = two(seed)
    xx, yy, xy = (sk.pairwise.pairwise_kernels(a, b, kernel, **parameters) for a, b in ((x, x), (y, y), (x, y)))
    expected = xx.mean() + yy.mean() - 2 * xy.mean()
    assert ours("mmd", x, y, kernel=kernel, **parameters) == pytest.approx(expected, rel=1e-9)
    n, m = len(x), len(y)
    u = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1)) - 2 * xy.mean()
    assert ours("mmd", x, y, kernel=kernel, estimator="u", **parameters) == pytest.approx(u, rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_tests_of_features(seed):
    x, y = two(seed)
    ks = np.mean([stats.ks_2samp(a, b).statistic for a, b in zip(x.T, y.T, strict=True)])
    assert ours("ks_test", x, y) == pytest.approx(ks, rel=1e-12)
    t = np.abs(stats.ttest_ind(x, y, equal_var=False).statistic).mean()
    assert ours("t_test", x, y) == pytest.approx(t, rel=1e-6)
    assert ours("t_test", x, y, var_floor=0.0) == pytest.approx(t, rel=1e-11)
    w1 = np.mean([stats.wasserstein_distance(a, b) for a, b in zip(x.T, y.T, strict=True)])
    assert ours("wasserstein_1d", x, y) == pytest.approx(w1, rel=1e-10)
    flat = stats.wasserstein_distance(x.ravel(), y.ravel())
    assert ours("wasserstein_1d", x, y, flatten=True) == pytest.approx(flat, rel=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_covariances(seed):
    from scipy.linalg import sqrtm

    x, y = two(seed, d=4)
    s, t = np.cov(x.T), np.cov(y.T)
    away = x.mean(0) - y.mean(0)
    frechet = away @ away + np.trace(s + t - 2 * sqrtm(s @ t).real)
    assert ours("frechet", x, y) == pytest.approx(frechet, rel=1e-8)
    assert ours("mahalanobis", x, y) == pytest.approx(sd.mahalanobis(x.mean(0), y.mean(0), np.linalg.inv(s)), rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_exact_transport(seed):
    """Groups of one size: the best assignment."""
    pytest.importorskip("ot")
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(15, 3)), rng.normal(0.5, 1, size=(15, 3))
    for metric, cost in (("wasserstein_1", sd.cdist(x, y)), ("wasserstein_2", sd.cdist(x, y, "sqeuclidean"))):
        least = cost[linear_sum_assignment(cost)].mean()
        assert ours(metric, x, y) == pytest.approx(least if metric == "wasserstein_1" else np.sqrt(least), rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_permutation_test(seed):
    """SciPy's own permutation test, its Monte Carlo error allowed for."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, 1, (15, 1)), rng.normal(0.5, 1, (20, 1))
    labels = np.repeat(["x", "y"], [15, 20])
    found = vcm.permutation_test(
        np.concatenate([x, y]), "y", pert_col=labels, metric="euclidean", n_permutations=4999, random_state=seed
    )
    expected = stats.permutation_test(
        (x[:, 0], y[:, 0]), lambda a, b: abs(a.mean() - b.mean()), n_resamples=4999, alternative="greater", rng=seed
    ).pvalue
    assert found.loc["x", "pvalue"] == pytest.approx(expected, abs=4 * np.sqrt(2 * expected * (1 - expected) / 5000))
