"""One cell, singular covariances, constant profiles, counts that are none: an error or a documented value."""

import numpy as np
import pytest

import vcmetrics as vcm
from vcmetrics import DataError, VcmetricsWarning
from vcmetrics.metrics.distance.registry import get, rows

RNG = np.random.default_rng(0)
X = RNG.poisson(3.0, (9, 4)).astype(float)
LABELS = ["one"] + ["a"] * 4 + ["b"] * 4
# distances that a group of one cell does not have: its variance is unknown
NO_VARIANCE = {"t_test", "sym_kldiv", "frechet", "mean_var_distribution"}


@pytest.mark.parametrize("spec", list(rows()), ids=lambda spec: spec.name)
def test_one_cell(spec):
    with np.errstate(all="raise"):
        try:
            table = vcm.distance_matrix(X, pert_col=LABELS, metric=spec.name, groups=["one", "a", "b"])
        except VcmetricsWarning:
            pytest.fail("no warning is due")
    values = table.to_numpy()
    undefined = np.zeros((3, 3), bool)
    if spec.name in NO_VARIANCE:
        undefined[0] = undefined[:, 0] = True
    if spec.name == "classifier_proba":
        undefined[:, 0] = True
    if spec.name == "mahalanobis":  # four cells in four dimensions have no inverse covariance either
        undefined = ~np.eye(3, dtype=bool)
    assert np.array_equal(np.isnan(values), undefined), values


test_one_cell = pytest.mark.filterwarnings("ignore:.*singular:vcmetrics.VcmetricsWarning")(test_one_cell)


def test_singular_covariance():
    with pytest.warns(VcmetricsWarning, match="covariance of 'one', 'a' is singular.*shrinkage"):
        found = vcm.distances_to(X, "b", pert_col=LABELS, metric="mahalanobis", groups=["one", "a"])
    assert found.isna().all()
    shrunk = vcm.distances_to(X, "b", pert_col=LABELS, metric="mahalanobis", groups=["a"], shrinkage="ledoit-wolf")
    assert np.isfinite(shrunk["a"])


def test_equal_cells_have_a_singular_covariance():
    x = np.array([0.1] * 7 + [0.3, 0.9, 0.4])[:, None]
    with pytest.warns(VcmetricsWarning, match="covariance of 'a' is singular"):
        found = vcm.distance_matrix(x, pert_col=["a"] * 7 + ["b"] * 3, metric="mahalanobis")
    assert np.isnan(found.loc["a", "b"])
    assert np.isfinite(found.loc["b", "a"])


def test_ledoit_wolf_is_scikit_learns():
    covariance = pytest.importorskip("sklearn.covariance")
    from vcmetrics.metrics.distance.moments import ledoit_wolf

    for seed, shape in ((0, (30, 5)), (1, (10, 40)), (2, (500, 12))):
        x = np.random.default_rng(seed).normal(size=shape) @ np.diag(np.linspace(1, 3, shape[1]))
        centred = x - x.mean(0)
        assert ledoit_wolf(centred) == pytest.approx(covariance.ledoit_wolf_shrinkage(centred), rel=1e-10)


def test_profiles_without_direction():
    x = np.array([[0.0, 0, 0], [1, 1, 1], [1, 2, 3]])
    labels = ["zero", "flat", "x"]
    for metric, undefined in (
        ("cosine", {"zero"}),
        ("pearson", {"zero", "flat"}),
        ("spearman", {"zero", "flat"}),
        ("kendall", {"zero", "flat"}),
        ("r2", {"zero", "flat"}),
    ):
        found = vcm.distances_to(x, "x", pert_col=labels, metric=metric)
        assert set(found.index[found.isna()]) == undefined, metric


def test_nb_ll_takes_counts_only():
    with pytest.raises(DataError, match=r"needs raw counts.* [0-9]\.5"):
        vcm.distance_matrix(X + 0.5, pert_col=LABELS, metric="nb_ll")
    with pytest.raises(DataError, match=r"needs raw counts.*-1"):
        vcm.distance_matrix(X - 20, pert_col=LABELS, metric="nb_ll", genes=[True, False, False, False])


@pytest.mark.parametrize(
    ("metric", "parameters", "says"),
    [
        ("mmd", {"kernel": "x"}, "kernel 'x'"),
        ("mmd", {"kernel": "rbf", "gamma": -1.0}, "positive"),
        ("mmd", {"kernel": "rbf", "gamma": "mean"}, "'median'"),
        ("mmd", {"kernel": "linear", "gamma": "median"}, "'median'"),
        ("mmd", {"kernel": "poly", "gamma": [1.0, 2.0]}, "one gamma"),
        ("mmd", {"combine": "max"}, "combine 'max'"),
        ("mmd", {"estimator": "w"}, "estimator 'w'"),
        ("mmd", {"one_cell": "x"}, "one_cell 'x'"),
        ("edistance", {"floor": 1.0, "estimator": "u"}, "floor"),
        ("edistance", {"cell_metric": "ruzicka"}, "cell_metric 'ruzicka'"),
        ("mean_pairwise", {"cell_metric": "rbf"}, "cell_metric 'rbf'"),
        ("mean_pairwise", {"estimator": "U"}, "estimator 'U'"),
        ("mean_pairwise", {"estimator": "U", "cell_metric": "sqeuclidean"}, "estimator 'U'"),
        ("euclidean", {"aggregate": "mode"}, "aggregate 'mode'"),
        ("kendall", {"unit": "x"}, "unit 'x'"),
        ("mmd", {"kernel": "poly", "degree": 2.5}, r"degree is 2\.5; pass a whole number, at least 1"),
        ("edistance", {"floor": -1.0}, r"floor is -1\.0; pass a number, at least 0"),
        ("t_test", {"var_floor": -1.0}, "var_floor"),
        ("sym_kldiv", {"std_floor": -1.0}, "std_floor"),
        ("frechet", {"ridge": -1.0}, "ridge"),
        ("mean_var_distribution", {"n_points": 2}, "n_points"),
        ("wasserstein", {"max_iterations": 10.5}, "max_iterations"),
        ("wasserstein", {"scale": "x"}, "scale is 'x'; pass a positive number"),
        ("sinkhorn_divergence", {"check_every": 0}, "check_every"),
        ("sliced_wasserstein", {"n_projections": 2.5}, "n_projections"),
        ("sliced_wasserstein", {"random_state": None}, "random_state"),
        ("classifier_proba", {"random_state": -1}, "random_state"),
        ("wasserstein", {"epsilon": 0.0}, "epsilon"),
        ("sinkhorn_divergence", {"threshold": -1.0}, "threshold"),
        ("sliced_wasserstein", {"n_projections": 0}, "n_projections"),
        ("sliced_wasserstein", {"power": 3}, "power 3"),
        ("wasserstein_1d", {"power": 3}, "power 3"),
        ("sym_kldiv", {"one_cell": "zero"}, "one_cell 'zero'"),
        ("mahalanobis", {"covariance": "x"}, "covariance 'x'"),
        ("mahalanobis", {"shrinkage": 2.0}, r"shrinkage 2\.0"),
        ("classifier_proba", {"holdout": 1.0}, "holdout"),
    ],
)
def test_wrong_parameters(metric, parameters, says):
    with pytest.raises(ValueError, match=says):
        vcm.distance_matrix(X, pert_col=LABELS, metric=metric, **parameters)


def test_transport_that_does_not_converge_is_told():
    with pytest.warns(VcmetricsWarning, match=r"[1-9] of [1-9] transport problems did not converge in 10 iterations"):
        vcm.distance_matrix(X, pert_col=LABELS, metric="wasserstein", epsilon=1e-3, max_iterations=10)


def test_transport_between_single_cells_is_their_cost():
    found = vcm.distance_matrix([[1.0, 2.0, 3.0], [2.0, 2.0, 5.0]], pert_col=["a", "b"], metric="wasserstein")
    np.testing.assert_array_equal(found, [[0.0, 5.0], [5.0, 0.0]])


def test_a_missing_extra_is_told(monkeypatch):
    from vcmetrics.metrics.distance import registry

    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"'wasserstein_1' needs ot: pip install 'vcmetrics\[ot\]'"):
        vcm.distance_matrix(X, pert_col=LABELS, metric="wasserstein_1")


def test_large_sparse_cells_are_densified_with_a_warning(monkeypatch):
    import scipy.sparse as sp

    from vcmetrics.sources import cell_groups

    monkeypatch.setattr(cell_groups, "LARGE_COPY", 100)
    with pytest.warns(VcmetricsWarning, match="hold the sparse cells dense"):
        vcm.distance_matrix(sp.csr_matrix(X), pert_col=LABELS, metric="ks_test")
    with pytest.warns(VcmetricsWarning, match="hold the sparse cells dense"):
        vcm.permutation_test(sp.csr_matrix(X), "b", pert_col=LABELS, n_permutations=2)
    for metric in ("euclidean", "edistance", "mmd", "t_test", "mean_pairwise"):
        vcm.distance_matrix(sp.csr_matrix(X), pert_col=LABELS, metric=metric)


def test_distances_are_found_by_name():
    assert get("root_mean_squared_error").name == "rmse"
    assert vcm.list_distances() == [spec.name for spec in rows()]
    for spec in rows():
        for name in (spec.name, *spec.aliases):
            assert get(name) is spec
    with pytest.raises(ValueError, match="did you mean wasserstein"):
        get("wassersteen")
