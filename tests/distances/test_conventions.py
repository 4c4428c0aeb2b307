"""What a convention sets can be said by parameters; facts that are known of other libraries' numbers."""

import numpy as np
import pytest

import vcmetrics as vcm

RNG = np.random.default_rng(31)
LABELS = np.array(["b"] * 9 + ["one"] + ["control"] * 14 + ["a"] * 6)
X = RNG.normal(size=(LABELS.size, 5)) + (LABELS == "a")[:, None]

# (convention, name there, our call): the rows of the libraries' tables
SAME = [
    ("pertpy-1.0", "edistance", "edistance", {"estimator": "v"}),
    ("pertpy-1.2", "edistance", "edistance", {"estimator": "u", "one_cell": "zero"}),
    ("rapids", "edistance", "edistance", {"estimator": "u", "one_cell": "zero"}),
    ("cell-eval", "edistance", "edistance", {"estimator": "v"}),
    ("cellflow", "edistance", "edistance", {"estimator": "v", "cell_metric": "sqeuclidean"}),
    ("scperturb", "edistance", "edistance", {"estimator": "u", "cell_metric": "sqeuclidean"}),
    ("perturbench", "energy", "edistance", {"estimator": "u", "cell_metric": "sqeuclidean"}),
    ("perturbench", "mmd", "edistance", {"floor": 1e-8, "halved": True}),
    ("pertpy-1.0", "root_mean_squared_error", "euclidean", {}),
    ("rapids", "root_mean_squared_error", "euclidean", {}),
    ("perturbench", "rmse", "rmse", {}),
    ("perturbench", "cosine", "cosine", {"similarity": True}),
    ("pertpy-1.0", "kendalltau_distance", "kendall", {"unit": "pairs"}),
    ("pertpy-1.0", "mmd", "mmd", {}),
    ("cellflow", "r_squared", "r2", {"similarity": True}),
    ("cellflow", "sinkhorn_div_10", "sinkhorn_divergence", {"epsilon": 10.0}),
    ("cellflow", "mmd", "mmd", {"kernel": "rbf", "gamma": [2.0, 1.0, 0.5, 0.1, 0.01, 0.005]}),
]


@pytest.mark.parametrize(("convention", "there", "here", "parameters"), SAME)
def test_a_convention_is_parameters(convention, there, here, parameters):
    how = {"pert_col": LABELS, "groups": ["a", "b", "control", "one"]}
    theirs = vcm.distance_matrix(X, metric=there, convention=convention, diagonal="zero", mirror="upper", **how)
    ours = vcm.distance_matrix(X, metric=here, diagonal="zero", mirror="upper", **parameters, **how)
    np.testing.assert_array_equal(theirs, ours)


def test_what_is_passed_wins():
    by_convention = vcm.distance_matrix(X, pert_col=LABELS, convention="scperturb", estimator="v")
    ours = vcm.distance_matrix(X, pert_col=LABELS, cell_metric="sqeuclidean", order="appearance")
    np.testing.assert_array_equal(by_convention, ours)
    assert list(by_convention.index) == ["b", "one", "control", "a"]
    assert by_convention.attrs["convention"] == "scperturb"
    full = vcm.distance_matrix(X, pert_col=LABELS, metric="r2", convention="pertpy-1.0", diagonal="value")
    assert np.array_equal(full, full.T)


def test_u_and_v_are_linked():
    """W_U = W_V n / (n - 1)."""
    own = [vcm.distance_matrix(X, pert_col=LABELS, metric="mean_pairwise", estimator=e) for e in "vu"]
    sizes = np.array([np.count_nonzero(g == LABELS) for g in own[0].index])
    with np.errstate(divide="ignore", invalid="ignore"):
        np.testing.assert_allclose(np.diag(own[1]), np.diag(own[0]) * sizes / (sizes - 1), rtol=1e-12)


@pytest.mark.parametrize("crunch", [1, 2])
def test_broad_obesity(crunch):
    """Sums of five kernels: a repeated centroid has exactly 5 inside; far groups have 5 (1/n + 1/n)."""
    sigma = {1: 2326.0, 2: 849.0}[crunch]
    rng = np.random.default_rng(3)
    far = rng.normal(size=(40, 200)) * 1e4
    centroid = np.repeat(rng.normal(size=(1, 200)) * 1e4, 25, axis=0)
    labels = ["x"] * 40 + ["y"] * 25
    how = {"pert_col": labels, "metric": "mmd", "convention": f"broad-obesity-{crunch}"}
    found = vcm.distances_to(np.concatenate([far, centroid]), "y", **how)["x"]
    assert found == pytest.approx(5 / 25 + 5, rel=1e-12)
    x, y = rng.normal(0, 2, (12, 200)), rng.normal(0.3, 2, (9, 200))
    bandwidths = [sigma * f for f in (0.25, 0.5, 1.0, 2.0, 4.0)]
    expected = 0.0
    for sign, a, b in ((1, x[:9], x[:9]), (1, y, y), (-2, x[:9], y)):
        squared = ((a[:, None] - b[None]) ** 2).sum(-1)
        expected += sign * sum(np.exp(-squared / width).mean() for width in bandwidths)
    found = vcm.distances_to(np.concatenate([x, y]), "y", **{**how, "pert_col": ["x"] * 12 + ["y"] * 9})["x"]
    assert found == pytest.approx(expected, rel=1e-9)


def test_rbf_saturates():
    """Where all cells are far apart, V is 1/n + 1/m whatever the data: 0.0325 for 50 and 80 cells."""
    far = np.random.default_rng(0).normal(size=(130, 30)) * 1e3
    found = vcm.distances_to(far, "y", pert_col=["x"] * 50 + ["y"] * 80, metric="mmd", kernel="rbf", gamma=1.0)["x"]
    assert found == pytest.approx(0.0325, rel=1e-12)
