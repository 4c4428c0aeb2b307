"""Formulas against references, and the laws that the registry declares, for every row."""

import numpy as np
import pytest
import scipy.sparse as sp

import vcmetrics as vcm
from vcmetrics.distances.inputs import open_groups
from vcmetrics.metrics.distance.registry import get, rows

# parameters beyond the defaults: laws hold unless listed as lost
VARIANTS = [
    ("euclidean", {"aggregate": "median"}, {"rotation"}),
    ("cosine", {"similarity": True}, {"nonnegative", "self"}),
    ("kendall", {"unit": "pairs"}, set()),
    ("edistance", {"estimator": "u"}, {"nonnegative"}),
    ("edistance", {"estimator": "u", "one_cell": "zero"}, {"nonnegative"}),
    ("edistance", {"cell_metric": "sqeuclidean"}, {"scale:1"}),
    ("edistance", {"cell_metric": "sqeuclidean", "estimator": "u"}, {"nonnegative", "scale:1"}),
    ("edistance", {"cell_metric": "cityblock"}, {"rotation"}),
    ("edistance", {"cell_metric": "cosine"}, {"translation", "scale:1", "nonnegative"}),
    ("edistance", {"floor": 1e-2, "halved": True}, {"nonnegative", "scale:1"}),
    ("mean_pairwise", {"cell_metric": "sqeuclidean"}, {"scale:1"}),
    ("mmd", {"estimator": "u"}, {"nonnegative"}),
    ("mmd", {"kernel": "poly", "gamma": 0.3, "coef0": 0.7}, {"translation", "scale:2"}),
    (
        "mmd",
        {"kernel": "poly", "gamma": 0.3, "coef0": 0.7, "estimator": "u"},
        {"translation", "scale:2", "nonnegative"},
    ),
    ("mmd", {"kernel": "poly", "degree": 1, "gamma": 0.3, "estimator": "u"}, {"nonnegative"}),
    ("mmd", {"kernel": "poly", "degree": 3, "gamma": 0.1, "coef0": 1.0}, {"translation", "scale:2", "nonnegative"}),
    ("mmd", {"kernel": "rbf", "gamma": [0.1, 1.0]}, {"scale:2"}),
    ("mmd", {"kernel": "rbf", "gamma": [0.1, 1.0], "combine": "sum", "estimator": "u"}, {"scale:2", "nonnegative"}),
    ("mmd", {"kernel": "rbf", "gamma": 0.1, "truncate": True}, {"scale:2"}),
    ("mmd", {"kernel": "braycurtis"}, {"translation", "rotation", "scale:2", "nonnegative"}),
    ("mmd", {"kernel": "tanimoto"}, {"translation", "rotation", "scale:2"}),
    ("mmd", {"kernel": "ruzicka"}, {"translation", "rotation", "scale:2"}),
    ("wasserstein", {"epsilon": 3.0}, {"scale:2"}),
    ("sliced_wasserstein", {"power": 1, "n_projections": 17}, set()),
    ("wasserstein_1d", {"power": 2}, set()),
    ("wasserstein_1d", {"flatten": True}, {"translation"}),
    ("sym_kldiv", {"one_cell": "floor"}, set()),
    ("frechet", {"ridge": 0.5}, {"scale:2"}),
    ("frechet", {"root": True}, {"scale:2"}),
    ("mahalanobis", {"covariance": "pooled"}, set()),
    ("mahalanobis", {"shrinkage": 0.3}, set()),
    ("mahalanobis", {"shrinkage": "ledoit-wolf", "covariance": "pooled"}, set()),
]
CASES = [(spec.name, {}, set()) for spec in rows()] + VARIANTS
IDS = [f"{name}-{'-'.join(f'{k}={v}' for k, v in parameters.items())}" for name, parameters, _ in CASES]
SIZES = (14, 23, 9)
LABELS = np.repeat(["a", "b", "c"], SIZES)
PAIRS = np.array([(i, j) for i in range(3) for j in range(3)], np.int32)
# of two settings of an iterative solver, or two optimisers
LOOSE = {"wasserstein": 1e-3, "sinkhorn_divergence": 2e-3, "classifier_proba": 1e-3, "classifier_cp": 1e-3}


def cells_for(name, seed=3, n_features=6):
    """Three groups of positive values; whole numbers for distances of counts."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(0.5, 3.0, (3, n_features))
    counts = rng.negative_binomial(3, 3 / (3 + 2 * means[np.repeat(np.arange(3), SIZES)])).astype(float)
    return counts if get(name).needs_counts else np.log1p(counts) + 0.01 * rng.uniform(size=counts.shape)


def evaluate(name, x, parameters, labels=LABELS, n_threads=1, pairs=PAIRS):
    cells = open_groups(x, labels, n_threads=n_threads)
    return get(name).evaluate(cells, pairs, parameters)


@pytest.fixture(autouse=True)
def quiet():
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=vcm.VcmetricsWarning)
        yield


@pytest.mark.parametrize("layout", ["float64", "float32", "strided", "csr", "int"])
@pytest.mark.parametrize(("name", "parameters", "lost"), CASES, ids=IDS)
def test_formula_against_reference(name, parameters, lost, layout):
    spec = get(name)
    x = cells_for(name)
    if layout == "float32":
        x = x.astype(np.float32)
    if layout in ("csr", "int"):
        x = np.rint(x)
    given = {
        "strided": lambda: np.repeat(x, 3, axis=1)[:, ::3],
        "csr": lambda: sp.csr_matrix(x),
        "int": lambda: x.astype(np.int16),
    }.get(layout, lambda: x)()
    before = given.copy()
    found = evaluate(name, given, parameters)
    assert (given != before).sum() == 0
    blocks = [x[g == LABELS].astype(np.float64) for g in "abc"]
    how = spec.parameters(parameters)
    for k, (a, b) in enumerate(PAIRS.tolist()):
        if a == b:
            continue
        extra = {"others": [blocks[c] for c in range(3) if c not in (a, b)]} if spec.context else {}
        if name == "classifier_proba":
            from vcmetrics.metrics.distance.classifiers import generator_of

            extra = {"random_state": generator_of(0, "abc"[a], "abc"[b])}
        expected = spec.reference(blocks[a], blocks[b], **(how | extra))
        np.testing.assert_allclose(found[k], expected, rtol=spec.parity.rtol, atol=spec.parity.atol)


@pytest.mark.parametrize(("name", "parameters", "lost"), CASES, ids=IDS)
def test_symmetry_and_self(name, parameters, lost):
    spec = get(name)
    table = evaluate(name, cells_for(name), parameters).reshape(3, 3)
    if spec.zero_self and "self" not in lost:
        assert np.diag(table).tolist() == [0.0, 0.0, 0.0]
    if spec.symmetric:
        np.testing.assert_allclose(table, table.T, rtol=LOOSE.get(name, 1e-12), atol=1e-13)
    elif not (name == "mahalanobis" and parameters.get("covariance") == "pooled"):
        assert not np.allclose(table, table.T, rtol=1e-3)
    if "nonnegative" in spec.invariants and "nonnegative" not in lost:
        assert (table >= 0).all()


@pytest.mark.parametrize(("name", "parameters", "lost"), CASES, ids=IDS)
def test_declared_invariants(name, parameters, lost):
    spec, x = get(name), cells_for(name)
    rng = np.random.default_rng(8)
    table = evaluate(name, x, parameters)
    rtol = LOOSE.get(name, 1e-8)
    assert set(spec.invariants) - {"nonnegative"} or name.startswith("classifier")
    for law in spec.invariants:
        if law in lost:
            continue
        kind, _, power = law.partition(":")
        if kind == "feature_order":
            other, expected = x[:, rng.permutation(x.shape[1])], table
        elif kind == "translation":
            other, expected = x + rng.normal(size=x.shape[1]), table
        elif kind == "rotation":
            other, expected = x @ np.linalg.qr(rng.normal(size=(x.shape[1],) * 2))[0], table
        elif kind == "scale":
            other, expected = x * 4.0, table * 4.0 ** float(power)
        else:
            continue
        np.testing.assert_allclose(evaluate(name, other, parameters), expected, rtol=rtol, atol=1e-9, err_msg=law)
    # the order of the cells never matters, but where a distance says so
    order = rng.permutation(len(x))
    if not parameters.get("truncate") and name != "classifier_proba":
        found = evaluate(name, x[order], parameters, LABELS[order])
        np.testing.assert_allclose(found, table, rtol=rtol, atol=1e-10)


@pytest.mark.parametrize(("name", "parameters", "lost"), CASES, ids=IDS)
def test_same_bits_for_any_threads(name, parameters, lost):
    if get(name).extra == "cluster":
        pytest.skip("scikit-learn's solver is not ours")
    x = cells_for(name, seed=5, n_features=11)
    for given in (x, sp.csr_matrix(x)):
        first = evaluate(name, given, parameters, n_threads=1)
        for n_threads in (2, 3, 7):
            assert evaluate(name, given, parameters, n_threads=n_threads).tobytes() == first.tobytes()


@pytest.mark.parametrize("metric", ["edistance", "mean_pairwise", "mmd", "euclidean", "t_test", "frechet"])
def test_float32_far_from_zero(metric):
    """An offset of 1000 in float32: what remains are the rounded inputs, not a digit more is lost."""
    rng = np.random.default_rng(2)
    x = (rng.normal(size=(60, 20)) + np.repeat(rng.normal(size=(3, 20)), 20, axis=0) + 1000).astype(np.float32)
    labels = np.repeat(["a", "b", "c"], 20)
    found = evaluate(metric, x, {}, labels)
    exact = evaluate(metric, x.astype(np.float64), {}, labels)
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-10)
    near = evaluate(metric, x.astype(np.float64) - 1000, {}, labels)
    np.testing.assert_allclose(exact, near, rtol=1e-9, atol=1e-9)


def test_energy_is_a_mixture_of_distances():
    """E(x, (1-t) x + t y) = t² E(x, y) for a mixture of the two groups' cells."""
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(12, 4)), rng.normal(1, 2, size=(12, 4))
    labels = np.repeat(["x", "m", "y"], [12, 24, 12])
    for parameters in ({}, {"cell_metric": "cityblock"}):
        table = vcm.distances_to(np.concatenate([x, x, y, y]), "x", pert_col=labels, **parameters)
        assert table["m"] == pytest.approx(table["y"] / 4, rel=1e-9)
    half = vcm.distances_to(np.concatenate([x, x, y, y]), "x", pert_col=labels, metric="mmd", kernel="rbf", gamma=0.3)
    assert half["m"] == pytest.approx(half["y"] / 4, rel=1e-9)


@pytest.mark.parametrize(
    ("metric", "parameters", "truth"),
    [
        ("edistance", {"cell_metric": "sqeuclidean"}, 2 * 4 * 0.25),
        ("mmd", {}, 4 * 0.25),
        # E of N(0, 1) against N(½, 1) on a line; E|x - y| of N(m, 2) is m erf(m/2) + 2/√π exp(-m²/4)
        ("edistance", {}, None),
        ("mmd", {"kernel": "rbf", "gamma": 0.5}, 4.0),
    ],
)
def test_unbiased_estimators_are(metric, parameters, truth):
    """Mean of the U-statistic over many draws is the distance of the distributions; that of V is larger."""
    from math import erf, exp, pi, sqrt

    rng = np.random.default_rng(11)
    d = 1 if truth in (None, 4.0) else 4
    if truth is None:
        m = 0.5
        truth = 2 * (m * erf(m / 2) + 2 / sqrt(pi) * exp(-(m**2) / 4)) - 2 * 2 / sqrt(pi)
    elif truth == 4.0:
        # E exp(-γ (x - y)²) for N(m, 2): exp(-γ m²/(1 + 4γ))/sqrt(1 + 4γ)
        truth = 2 / sqrt(3) * (1 - exp(-0.5 * 0.25 / 3))
    repeats, n, m = 4000, 5, 7
    cells = rng.normal(size=(repeats * (n + m), d))
    labels = np.tile(np.repeat([0, 1], [n, m]), repeats) + 2 * np.repeat(np.arange(repeats), n + m)
    cells[labels % 2 == 1] += 0.5
    pairs = np.arange(2 * repeats, dtype=np.int32).reshape(-1, 2)
    u = evaluate(metric, cells, {**parameters, "estimator": "u"}, labels, pairs=pairs)
    v = evaluate(metric, cells, {**parameters, "estimator": "v"}, labels, pairs=pairs)
    error = u.std() / np.sqrt(repeats)
    assert abs(u.mean() - truth) < 4 * error
    assert v.mean() > truth + 8 * error
    assert (u < 0).any()
    assert (v >= -1e-12).all()


def test_sinkhorn_goes_to_exact_transport():
    """The divergence falls to W2² as epsilon does, and rises to the squared distance of means the other way."""
    pytest.importorskip("ot")
    rng = np.random.default_rng(6)
    x = np.concatenate([rng.normal(size=(15, 2)), rng.normal(1.0, 1.5, size=(15, 2))])
    labels = np.repeat(["x", "y"], 15)

    def value(metric, **parameters):
        return vcm.distances_to(x, "y", pert_col=labels, metric=metric, **parameters)["x"]

    exact = value("wasserstein_2") ** 2
    tight = {"threshold": 1e-6, "max_iterations": 200_000}
    gaps = [abs(value("sinkhorn_divergence", epsilon=e, **tight) - exact) for e in (1.0, 0.1, 0.01)]
    assert gaps[2] < gaps[1] < gaps[0]
    assert gaps[2] < 0.01 * exact
    entropic = [value("wasserstein", epsilon=e, **tight) for e in (0.1, 0.01)]
    assert abs(entropic[1] - exact) < abs(entropic[0] - exact)
    assert value("sinkhorn_divergence", epsilon=1e5) == pytest.approx(value("sqeuclidean"), rel=1e-3)


def test_transport_of_translations():
    """Moved by v, every exact or debiased cost is that of v."""
    pytest.importorskip("ot")
    rng = np.random.default_rng(1)
    x, v = rng.normal(size=(20, 3)), np.array([1.0, -2.0, 0.5])
    cells, labels = np.concatenate([x, x + v]), np.repeat(["x", "y"], 20)
    for metric, expected in (
        ("wasserstein_2", np.sqrt(v @ v)),
        ("wasserstein_1", np.sqrt(v @ v)),
        ("sinkhorn_divergence", v @ v),
        ("wasserstein_1d", np.abs(v).mean()),
        ("frechet", v @ v),
    ):
        found = vcm.distances_to(cells, "y", pert_col=labels, metric=metric)["x"]
        assert found == pytest.approx(expected, rel=1e-2 if metric == "sinkhorn_divergence" else 1e-7), metric


def test_frechet_of_commuting_covariances():
    """Σ (sqrt l1 - sqrt l2)² for variances along common axes."""
    x = np.array([[2.0, 0, 0], [-2, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 3], [0, 0, -3]])
    scale = np.array([2.0, 3.0, 0.5])
    cells, labels = np.concatenate([x, x * scale]), np.repeat(["x", "y"], 6)
    spread = np.sqrt(np.array([8.0, 2.0, 18.0]) / 5)
    found = vcm.distances_to(cells, "y", pert_col=labels, metric="frechet")["x"]
    assert found == pytest.approx(float(((spread - spread * scale) ** 2).sum()), rel=1e-12)
