"""Bootstraps and permutation tests: products of weights against the distances of the drawn cells themselves."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import vcmetrics as vcm
from vcmetrics import DataError
from vcmetrics.distances.conventions import choose
from vcmetrics.distances.inputs import open_groups
from vcmetrics.distances.permutation import adjusted
from vcmetrics.distances.resampling import Resampled
from vcmetrics.metrics.distance.mmd import median_gamma

CASES = [
    ("edistance", {}),
    ("edistance", {"estimator": "u"}),
    ("edistance", {"cell_metric": "sqeuclidean"}),
    ("edistance", {"cell_metric": "sqeuclidean", "estimator": "u"}),
    ("edistance", {"cell_metric": "cityblock", "halved": True}),
    ("edistance", {"floor": 0.1}),
    ("mean_pairwise", {}),
    ("mmd", {}),
    ("mmd", {"estimator": "u"}),
    ("mmd", {"kernel": "poly", "gamma": 0.1}),
    ("mmd", {"kernel": "rbf", "gamma": [0.1, 1.0], "combine": "sum"}),
    ("mmd", {"kernel": "rbf", "gamma": 0.3, "estimator": "u"}),
    ("mmd", {"kernel": "ruzicka", "root": True}),
    ("mmd", {"kernel": "rbf", "gamma": 0.3, "truncate": True}),
    ("euclidean", {}),
    ("euclidean", {"aggregate": "median"}),
    ("pearson", {}),
    ("spearman", {}),
    ("kendall", {}),
    ("r2", {}),
    ("mae", {}),
    ("t_test", {}),
    ("sym_kldiv", {}),
    ("frechet", {}),
    ("ks_test", {}),
    ("wasserstein", {}),
]
N, M, B = 7, 12, 9


@pytest.fixture(params=["dense", "float32", "csr"])
def cells(request):
    rng = np.random.default_rng(1)
    x = np.round(np.abs(rng.normal(1.0, 1.0, (N + M, 5))), 2) + 0.01
    labels = np.repeat(["a", "b"], [N, M])
    order = rng.permutation(N + M)
    x, labels = x[order], labels[order]
    given = {"dense": x, "float32": x.astype(np.float32), "csr": sp.csr_matrix(x)}[request.param]
    return open_groups(given, labels)


def directly(choice, x, y):
    """The distance of two blocks of cells."""
    both = open_groups(np.concatenate([x, y]), np.repeat(["a", "b"], [len(x), len(y)]))
    return choice.spec.evaluate(both, np.array([[0, 1]], np.int32), choice.parameters)[0]


@pytest.mark.filterwarnings("ignore:.*converge")
@pytest.mark.parametrize(("metric", "parameters"), CASES)
def test_drawn_cells(cells, metric, parameters):
    choice = choose(metric, None, parameters)
    rng = np.random.default_rng(2)
    wx = rng.multinomial(N, np.full(N, 1 / N), B).T.astype(float)
    wy = rng.multinomial(M, np.full(M, 1 / M), B).T.astype(float)
    wy[:, 3] = np.eye(M)[4] * N  # one cell over and over, as many as of the other group
    found = Resampled(choice, cells, 0, 1).drawn(wx, wy)
    x, y = cells.block(0), cells.block(1)
    expected = [
        directly(choice, np.repeat(x, wx[:, k].astype(int), 0), np.repeat(y, wy[:, k].astype(int), 0)) for k in range(B)
    ]
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-9)


@pytest.mark.filterwarnings("ignore:.*converge")
@pytest.mark.parametrize(("metric", "parameters"), CASES)
def test_permuted_labels(cells, metric, parameters):
    choice = choose(metric, None, parameters)
    rng = np.random.default_rng(3)
    pool = np.sort(np.concatenate([cells.members(0), cells.members(1)]))
    label = cells.codes[pool] == 0
    masks = np.stack([label, *(rng.permutation(label) for _ in range(B - 2)), label], axis=1)
    found = Resampled(choice, cells, 0, 1).permuted(masks)
    z = cells.cells(pool).astype(float)
    expected = [directly(choice, z[masks[:, k]], z[~masks[:, k]]) for k in range(B)]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert found[0] == found[-1]  # equal labels give equal numbers
    turned = Resampled(choice, cells, 1, 0).permuted(~masks)
    if choice.spec.symmetric and metric != "wasserstein":
        np.testing.assert_allclose(turned, found, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("metric", ["spearman", "kendall"])
@pytest.mark.parametrize("layout", [np.asarray, sp.csr_matrix])
def test_tied_features_stay_tied(metric, layout):
    """Means of drawn counts tie as those of the cells themselves do, zero or not."""
    rng = np.random.default_rng(4)
    x = rng.poisson(0.4, (N + M, 30)).astype(float)
    choice, cells = choose(metric, None, {}), open_groups(layout(x), np.repeat(["a", "b"], [N, M]))
    wx = rng.multinomial(N, np.full(N, 1 / N), B).T.astype(float)
    wy = rng.multinomial(M, np.full(M, 1 / M), B).T.astype(float)
    masks = np.stack([rng.permutation(np.arange(N + M) < N) for _ in range(B)], axis=1)
    found = np.concatenate(
        [Resampled(choice, cells, 0, 1).drawn(wx, wy), Resampled(choice, cells, 0, 1).permuted(masks)]
    )
    expected = [
        *(
            directly(choice, np.repeat(x[:N], wx[:, k].astype(int), 0), np.repeat(x[N:], wy[:, k].astype(int), 0))
            for k in range(B)
        ),
        *(directly(choice, x[masks[:, k]], x[~masks[:, k]]) for k in range(B)),
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("sizes", [(40, 41), (4, 90)])
def test_small_groups_take_the_short_way(sizes, monkeypatch):
    """Few cells against many are looked at alone; both ways agree."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(sum(sizes), 3))
    cells = open_groups(x, np.repeat(["a", "b"], sizes))
    label = cells.codes == 0
    masks = np.stack([rng.permutation(label) for _ in range(300)], axis=1)
    choice = choose("edistance", None, {})
    found = Resampled(choice, cells, 0, 1).permuted(masks)
    expected = [directly(choice, x[masks[:, k]], x[~masks[:, k]]) for k in (0, 150, 299)]
    np.testing.assert_allclose(found[[0, 150, 299]], expected, rtol=1e-10)


def test_bootstrap_tables(screen):
    found = vcm.bootstrap_distance(screen, pert_col="pert", obsm="X_pca", n_bootstrap=30, random_state=3)
    for table in found:
        assert list(table.index) == ["tiny", "one", "geneC", "geneA", "control"]
        values = table.to_numpy()
        assert (np.diag(values) == 0).all()
        np.testing.assert_array_equal(values, values.T)
    again = vcm.bootstrap_distance(
        screen, "control", pert_col="pert", obsm="X_pca", n_bootstrap=30, random_state=3, groups=["geneA"]
    )
    # a group's draws do not depend on which others there are
    assert again.mean["geneA"] == pytest.approx(found.mean.loc["geneA", "control"], rel=1e-12)
    assert again.variance["geneA"] == pytest.approx(found.variance.loc["geneA", "control"], rel=1e-9)
    other = vcm.bootstrap_distance(screen, "control", pert_col="pert", obsm="X_pca", n_bootstrap=30, random_state=4)
    assert other.mean["geneA"] != again.mean["geneA"]
    several = vcm.bootstrap_distance(
        screen, ["control", "geneC"], pert_col="pert", obsm="X_pca", n_bootstrap=5, within="batch", metric="r2"
    )
    assert several.mean.index.names == ["batch", "pert"]
    assert list(several.mean.columns) == ["control", "geneC"]
    alone = vcm.bootstrap_distance(screen, pert_col="pert", metric="mean_pairwise", obsm="X_pca", n_bootstrap=5)
    assert alone.mean.loc["control", "control"] > 0


def test_bootstrap_of_a_mean_has_its_variance():
    """The difference of two means, resampled: variance S²x/n + S²y/m on either side."""
    rng = np.random.default_rng(8)
    x, y = rng.normal(5, 1, (30, 1)), rng.normal(0, 2, (50, 1))
    labels = np.repeat(["x", "y"], [30, 50])
    found = vcm.bootstrap_distance(
        np.concatenate([x, y]), "y", pert_col=labels, metric="euclidean", n_bootstrap=4000, random_state=1
    )
    assert found.mean["x"] == pytest.approx(x.mean() - y.mean(), rel=0.01)
    assert found.variance["x"] == pytest.approx(x.var() / 30 + y.var() / 50, rel=0.1)


def test_permutation_table(screen):
    found = vcm.permutation_test(
        screen, "control", pert_col="pert", obsm="X_pca", n_permutations=199, random_state=5, correction="fdr_bh"
    )
    assert list(found.index) == ["tiny", "one", "geneC", "geneA"]
    assert list(found.columns) == ["distance", "pvalue", "significant", "pvalue_adj", "significant_adj"]
    distances = vcm.distances_to(screen, "control", pert_col="pert", obsm="X_pca")
    np.testing.assert_allclose(found["distance"], distances[found.index], rtol=1e-9)
    assert found["pvalue"].between(1 / 200, 1).all()
    np.testing.assert_array_equal(np.round(found["pvalue"] * 200), found["pvalue"] * 200)
    np.testing.assert_array_equal(found["significant"], found["pvalue"] < 0.05)
    p = found["pvalue"].to_numpy()
    order = np.argsort(p)
    bh = np.minimum.accumulate((p[order] * 4 / np.arange(1, 5))[::-1])[::-1]
    np.testing.assert_allclose(found["pvalue_adj"].to_numpy()[order], np.minimum(bh, 1), rtol=1e-12)
    again = vcm.permutation_test(
        screen, "control", pert_col="pert", obsm="X_pca", n_permutations=199, random_state=5, groups=["geneA", "tiny"]
    )
    pd.testing.assert_frame_equal(again[["distance", "pvalue"]], found.loc[["geneA", "tiny"], ["distance", "pvalue"]])
    alone = vcm.permutation_test(
        screen,
        "control",
        pert_col="pert",
        obsm="X_pca",
        n_permutations=50,
        n_threads=3,
        within="batch",
        groups=["geneC"],
    )
    assert alone.index.names == ["batch", "pert"]
    assert len(alone) == 2


def test_undefined_distances_are_no_tests(screen):
    found = vcm.permutation_test(
        screen, "control", pert_col="pert", obsm="X_pca", n_permutations=19, estimator="u", correction="fdr_bh"
    )
    assert found.loc["one"].drop(["significant", "significant_adj"]).isna().all()
    assert not found.loc["one", ["significant", "significant_adj"]].any()
    assert found.drop("one").notna().all().all()


def test_conventions_of_tests(screen):
    pytest.importorskip("statsmodels")
    how = {"pert_col": "pert", "n_permutations": 20, "random_state": 1}
    pertpy = vcm.permutation_test(screen, "control", convention="pertpy-1.0", **how)
    assert pertpy.loc["control"].tolist() == [0.0, 1.0, False, 1.0, False]
    assert (pertpy["pvalue"] >= 1 / 20).all()
    u = vcm.distances_to(screen, "control", pert_col="pert", convention="pertpy-1.2")
    v = vcm.permutation_test(screen, "control", convention="pertpy-1.2", **how)
    np.testing.assert_allclose(v["distance"], pertpy["distance"])
    assert not np.allclose(u.drop("one"), v["distance"].drop("one"), rtol=1e-3)
    p = pertpy["pvalue"].to_numpy().copy()
    p[list(pertpy.index).index("control")] = 1 / 20
    family = adjusted(p, "holm-sidak")
    kept = pertpy.index != "control"
    np.testing.assert_allclose(pertpy["pvalue_adj"][kept], family[kept])
    one = screen[screen.obs["pert"] != "one"]
    etest = vcm.permutation_test(one, "control", convention="scperturb", **how)
    assert etest.loc["control", "pvalue"] == 1


def test_p_values_are_uniform_under_the_null():
    """2,000 tests of groups that do not differ: every level is kept, and none is wasted."""
    from scipy.stats import kstest

    rng = np.random.default_rng(12)
    p = {"edistance": [], "euclidean": [], "mmd": []}
    for _ in range(20):
        for metric in p:
            if metric == "edistance" or len(p[metric]) < 600:
                # each group has its own controls, lest one odd control spoil a hundred tests
                blocks = np.repeat(np.arange(40), 15)
                cells = rng.normal(size=(600, 2))
                labels = np.where(np.arange(600) % 15 < 6, "x", "c")
                found = vcm.permutation_test(
                    cells, "c", pert_col=labels, within=blocks, metric=metric, n_permutations=39
                )
                p[metric] += found["pvalue"].tolist()
    for metric, values in p.items():
        values = np.array(values)
        assert values.size >= 600
        # p is uniform on 1/40 … 1: spread within its step it is uniform on [0, 1]
        assert kstest(values - rng.uniform(0, 1 / 40, values.size), "uniform").pvalue > 1e-3, metric
        assert np.mean(values <= 0.05) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / values.size))


@pytest.mark.parametrize(
    ("keywords", "error", "says"),
    [
        ({"reference": "z"}, DataError, "labelled 'z'"),
        ({"groups": ["a"], "reference": "a"}, DataError, "only group"),
        ({"n_permutations": 0}, ValueError, "n_permutations is 0"),
        ({"n_permutations": 9.5}, ValueError, r"n_permutations is 9\.5; pass a whole number"),
        ({"random_state": None}, ValueError, "random_state is None"),
        ({"alpha": 5}, ValueError, "alpha is 5"),
        ({"correction": "magic"}, ValueError, "correction 'magic'.*holm-sidak"),
    ],
)
def test_wrong_tests(keywords, error, says):
    pytest.importorskip("statsmodels")
    call = {"pert_col": ["a", "a", "b", "b"], "reference": "b", **keywords}
    with pytest.raises(error, match=says):
        vcm.permutation_test(np.eye(4), **call)


def test_corrections_without_statsmodels(monkeypatch):
    from vcmetrics.distances import permutation

    monkeypatch.setattr(permutation, "find_spec", lambda name: None)
    call = {"pert_col": ["a", "a", "b", "b"], "n_permutations": 9}
    for method in (None, "fdr_by"):
        assert len(vcm.permutation_test(np.eye(4), "b", correction=method, **call)) == 1
    with pytest.raises(ImportError, match=r"'holm' needs statsmodels: pip install 'vcmetrics\[stats\]'"):
        vcm.permutation_test(np.eye(4), "b", correction="holm", **call)


def test_resamples_share_the_median_bandwidth():
    rng = np.random.default_rng(8)
    x, labels = rng.normal(size=(60, 4)), np.repeat(["a", "b", "c"], 20)
    how = {"pert_col": labels, "metric": "mmd", "kernel": "rbf", "n_bootstrap": 3}
    gamma = median_gamma(open_groups(x, labels))
    for more in ({}, {"truncate": True}):
        found = vcm.bootstrap_distance(x, "a", gamma="median", **more, **how)
        expected = vcm.bootstrap_distance(x, "a", gamma=gamma, **more, **how)
        pd.testing.assert_series_equal(found.mean, expected.mean)


def test_distances_that_read_all_groups_are_not_resampled():
    call = {"pert_col": ["a", "a", "b", "b"], "metric": "classifier_cp"}
    for resample in (vcm.bootstrap_distance, vcm.permutation_test):
        with pytest.raises(ValueError, match="'classifier_cp' reads all groups at once"):
            resample(np.eye(4), "b", **call)


@pytest.mark.parametrize(
    ("metric", "parameters", "says"),
    [
        ("edistance", {"estimator": "U"}, "estimator 'U'"),
        ("edistance", {"one_cell": "x"}, "one_cell 'x'"),
        ("edistance", {"cell_metric": "ruzicka"}, "cell_metric 'ruzicka'"),
        ("mean_pairwise", {"cell_metric": "l7"}, "cell_metric 'l7'"),
        ("mmd", {"kernel": "rbf", "estimator": "U"}, "estimator 'U'"),
        ("mmd", {"kernel": "rbf", "combine": "max"}, "combine 'max'"),
        ("mmd", {"kernel": "x"}, "kernel 'x'"),
    ],
)
def test_wrong_parameters(metric, parameters, says):
    call = {"pert_col": ["a", "a", "b", "b"], "metric": metric, **parameters}
    for resample in (vcm.bootstrap_distance, vcm.permutation_test):
        with pytest.raises(ValueError, match=says):
            resample(np.eye(4), "b", **call)


def test_wrong_bootstraps():
    with pytest.raises(ValueError, match="random_state is -1"):
        vcm.bootstrap_distance(np.eye(2), pert_col=["a", "b"], random_state=-1)
    with pytest.raises(ValueError, match="n_bootstrap is 0"):
        vcm.bootstrap_distance(np.eye(4), pert_col=list("aabb"), n_bootstrap=0)
    with pytest.raises(ValueError, match="draws 'x'"):
        vcm.bootstrap_distance(np.eye(4), pert_col=list("aabb"), draws="x")


class TestCompare:
    """A prediction between perturbed cells and control."""

    ctrl = np.array([[0.0, 10.0], [2.0, 10.0]])
    pert = np.array([[4.0, 12.0], [6.0, 12.0]])

    def test_simple_and_scaled(self):
        pred = np.array([[3.0, 11.0]])
        near, far = np.hypot(2, 1), np.hypot(2, 1)
        assert vcm.compare_distance(self.pert, pred, self.ctrl, metric="euclidean") == pytest.approx(near / far)
        pred = np.array([[5.0, 10.0]])
        # the first feature runs over 2 in the control, the second is constant there and only shifted
        scaled = vcm.compare_distance(self.pert, pred, self.ctrl, metric="euclidean", mode="scaled")
        assert scaled == pytest.approx(2 / 2)
        both = vcm.compare_distance(self.pert, pred, self.ctrl, metric="euclidean", mode="scaled", fit="both")
        assert both == pytest.approx(1 / (4 / 6))
        left = vcm.compare_distance(self.pert, pred, self.ctrl, metric="euclidean", mode="scaled", scale_control=False)
        assert left == pytest.approx(2 / np.hypot(2.5 - 1, 10))

    def test_prediction_at_one_of_them(self):
        for mode in ("simple", "scaled"):
            assert vcm.compare_distance(self.pert, self.pert, self.ctrl, mode=mode) == 0
            assert vcm.compare_distance(self.pert, self.ctrl, self.ctrl, mode=mode) == np.inf
            assert np.isnan(vcm.compare_distance(self.ctrl, self.ctrl, self.ctrl, mode=mode))
        unscaled = vcm.compare_distance(self.pert, self.ctrl, self.ctrl, mode="scaled", convention="pertpy-1.0")
        assert np.isfinite(unscaled)

    def test_float32_stays_float32(self, monkeypatch):
        from vcmetrics.metrics.distance import energy

        seen = []
        means = energy.pair_means
        monkeypatch.setattr(
            energy, "pair_means", lambda cells, *a, **k: seen.append(cells.values.dtype) or means(cells, *a, **k)
        )
        small = [x.astype(np.float32) for x in (self.pert, self.pert + 1, self.ctrl)]
        wide = [x.astype(np.float64) for x in small]
        for mode, kind in (("simple", np.float32), ("scaled", np.float64)):
            assert vcm.compare_distance(*small, mode=mode) == vcm.compare_distance(*wide, mode=mode)
            assert seen[-2:] == [kind, np.float64]

    def test_sparse_is_dense(self):
        blocks = [self.pert, self.pert + 1, self.ctrl]
        dense = vcm.compare_distance(*blocks)
        assert vcm.compare_distance(*map(sp.csr_matrix, blocks)) == pytest.approx(dense, rel=1e-12)

    def test_wrong_input(self):
        with pytest.raises(DataError, match="have 2, 3 and 2 features"):
            vcm.compare_distance(self.pert, np.eye(3), self.ctrl)
        with pytest.raises(DataError, match="pred: has no cells"):
            vcm.compare_distance(self.pert, np.empty((0, 2)), self.ctrl)
        with pytest.raises(DataError, match="ctrl: 1 value is NaN"):
            vcm.compare_distance(self.pert, self.pert, np.array([[np.nan, 1.0]]))
        with pytest.raises(ValueError, match="mode 'x'"):
            vcm.compare_distance(self.pert, self.pert, self.ctrl, mode="x")
        with pytest.raises(ValueError, match="fit 'x'"):
            vcm.compare_distance(self.pert, self.pert, self.ctrl, fit="x")


@pytest.mark.parametrize("metric", ["edistance", "mmd", "euclidean", "t_test", "wasserstein"])
@pytest.mark.parametrize("draws", ["own", "pertpy"])
def test_resamples_of_any_budget(metric, draws, monkeypatch):
    from vcmetrics.backend import memory

    monkeypatch.setattr(memory, "SMALLEST", 1)
    rng = np.random.default_rng(3)
    cells, labels = rng.normal(size=(45, 4)), ["a"] * 20 + ["b"] * 15 + ["c"] * 10
    how = {"pert_col": labels, "metric": metric}
    whole = vcm.bootstrap_distance(cells, **how, n_bootstrap=23, draws=draws)
    test = vcm.permutation_test(cells, "c", **how, n_permutations=30)
    for budget in (1, 9_000, 30_000):
        again = vcm.bootstrap_distance(cells, **how, n_bootstrap=23, draws=draws, memory_budget=budget)
        for one, other in zip(whole, again, strict=True):
            assert one.to_numpy().tobytes() == other.to_numpy().tobytes()
        found = vcm.permutation_test(cells, "c", **how, n_permutations=30, memory_budget=budget)
        assert test["pvalue"].to_numpy().tobytes() == found["pvalue"].to_numpy().tobytes()
