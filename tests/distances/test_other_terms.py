"""Distances between two cells that have no kernel, and transport with entropy."""

import numpy as np
import pytest

import vcmetrics as vcm
from vcmetrics import VcmetricsWarning
from vcmetrics.metrics.distance.registry import get

OTHERS = ("braycurtis", "canberra", "chebyshev", "correlation", "hamming")


@pytest.fixture
def groups():
    rng = np.random.default_rng(5)
    cells = rng.poisson(3.0, (23, 6)).astype(float) + 1.0
    cells[:, 0] += np.arange(23)  # no constant cell
    return cells, np.array(["a"] * 9 + ["b"] * 13 + ["c"])


def means(cells, labels, metric):
    from sklearn.metrics import pairwise_distances

    table = pairwise_distances(cells, metric=metric)
    names = sorted(set(labels))
    return np.array([[table[np.ix_(labels == a, labels == b)].mean() for b in names] for a in names])


@pytest.mark.parametrize("metric", [*OTHERS, "l1", "manhattan", "l2"])
def test_energy_of_any_cell_metric_equals_scikit_learn(groups, metric):
    cells, labels = groups
    mean = means(cells, labels, metric)
    own = np.diag(mean)
    want = 2 * mean - own[:, None] - own[None, :]
    got = vcm.distance_matrix(cells, pert_col=labels, metric="edistance", cell_metric=metric)
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)
    pairwise = vcm.distance_matrix(cells, pert_col=labels, metric="mean_pairwise", cell_metric=metric)
    np.testing.assert_allclose(pairwise, mean, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("metric", OTHERS)
@pytest.mark.parametrize("estimator", ["v", "u"])
@pytest.mark.parametrize("name", ["edistance", "mean_pairwise"])
def test_other_cell_metrics_equal_the_reference(groups, name, metric, estimator):
    cells, labels = groups
    how = {"cell_metric": metric, "estimator": estimator}
    got = vcm.distance_matrix(cells.astype(np.float32), pert_col=labels, metric=name, groups=["a", "b"], **how)
    want = get(name).reference(cells[labels == "a"], cells[labels == "b"], **how)
    np.testing.assert_allclose(got.loc["a", "b"], want, rtol=1e-10)


def test_resamples_of_other_cell_metrics(groups):
    cells, labels = groups
    how = {"pert_col": labels, "metric": "edistance", "cell_metric": "canberra", "groups": ["a", "b"]}
    found = vcm.permutation_test(cells, "a", n_permutations=19, random_state=1, **how)
    assert found.loc["b", "distance"] == pytest.approx(vcm.distances_to(cells, "a", **how)["b"], rel=1e-12)
    again = vcm.permutation_test(cells, "a", n_permutations=19, random_state=1, **{**how, "cell_metric": "l2"})
    plain = vcm.permutation_test(cells, "a", n_permutations=19, random_state=1, **{**how, "cell_metric": "euclidean"})
    assert again["pvalue"].tolist() == plain["pvalue"].tolist()


@pytest.mark.parametrize("name", ["wasserstein_1", "wasserstein_2"])
@pytest.mark.parametrize("regularization", [0.05, 0.7])
def test_transport_with_entropy_equals_the_reference(groups, name, regularization):
    cells, labels = groups
    cells = cells / 10
    how = {"pert_col": labels, "metric": name}
    got = vcm.distance_matrix(cells, regularization=regularization, **how)
    reference = get(name).reference
    for p in "abc":
        for q in "abc":
            want = reference(cells[labels == p], cells[labels == q], regularization=regularization)
            np.testing.assert_allclose(got.loc[p, q], want, rtol=1e-6, atol=1e-9)
    exact = vcm.distance_matrix(cells, **how)
    assert (got.loc["a", "b"] > exact.loc["a", "b"]) or regularization < 0.1


def test_a_plan_that_has_not_converged_is_told(groups):
    cells, labels = groups
    with pytest.warns(VcmetricsWarning, match="has not converged; pass a larger one"):
        vcm.distances_to(cells * 100, "a", pert_col=labels, metric="wasserstein_2", regularization=1e-3, groups=["b"])
    with pytest.raises(ValueError, match="regularization"):
        vcm.distances_to(cells, "a", pert_col=labels, metric="wasserstein_1", regularization=-1)
