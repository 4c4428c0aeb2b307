"""pertpy's interface: stored results of pertpy 1.0.3, and pertpy itself where it is installed."""

import importlib.util
import inspect
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import vcmetrics as vcm
from vcmetrics.compat.pertpy import METRICS, Distance, DistanceTest

FOLDER = Path(__file__).parents[1] / "golden" / "pertpy"
IN, OUT = np.load(FOLDER / "inputs.npz"), np.load(FOLDER / "outputs.npz")
LABELS = IN["labels"].astype(str)
PAIRWISE = {
    "edistance": 1e-7,
    "euclidean": 1e-9,
    "root_mean_squared_error": 1e-9,
    "mse": 1e-9,
    "mean_absolute_error": 1e-9,
    "pearson_distance": 1e-9,
    "cosine_distance": 1e-9,
    "r2_distance": 1e-9,
    "mean_pairwise": 1e-7,
    "wasserstein": 1e-6,
    "t_test": 1e-9,
    "ks_test": 1e-9,
}


def screen(categorical=True):
    labels = pd.Categorical(LABELS) if categorical else LABELS
    obs = pd.DataFrame({"pert": labels}, index=[f"c{k}" for k in range(LABELS.size)])
    adata = anndata.AnnData(IN["lognorm"].copy(), obs=obs)
    adata.obsm["X_pca"] = IN["pca"]
    adata.layers["lognorm"] = sp.csr_matrix(IN["lognorm"])
    return adata


@pytest.mark.parametrize("metric", PAIRWISE)
def test_pairwise_and_onesided(metric):
    key, rtol = f"pertpy/pairwise/pca64/{metric}", PAIRWISE[metric]
    if key not in OUT.files:
        pytest.skip("no stored result")
    adata = screen()
    distance = Distance(metric)
    found = distance.pairwise(adata, groupby="pert", show_progressbar=False)
    assert isinstance(found.index, pd.CategoricalIndex)
    assert found.index.name == found.columns.name == "pert"
    assert found.name == f"pairwise {metric}"
    assert [str(x) for x in found.index] == [str(x) for x in OUT["inputs/groups"]]
    np.testing.assert_allclose(found, OUT[key], rtol=rtol, atol=1e-12)
    one = distance.onesided_distances(adata, groupby="pert", selected_group="control")
    assert one.name == f"{metric} to control"
    np.testing.assert_allclose(one, OUT[f"pertpy/onesided/pca64/{metric}"], rtol=rtol, atol=1e-12)
    assert not adata.obsp


def test_subset_layers_and_other_cell_metrics():
    adata = screen(categorical=False)
    groups = ["single", "geneB", "control"]
    found = Distance("edistance").pairwise(adata, "pert", groups)
    np.testing.assert_allclose(found, OUT["pertpy/pairwise_subset/pca64/edistance"], rtol=1e-7, atol=1e-12)
    assert found.index.tolist() == groups
    found = Distance("euclidean", layer_key="lognorm").pairwise(adata, "pert", n_jobs=1)
    expected = vcm.distance_matrix(IN["lognorm"], pert_col=LABELS, metric="euclidean", convention="pertpy-1.0")
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    for name in ("sqeuclidean", "cityblock"):
        found = Distance("edistance", cell_wise_metric=name).pairwise(adata, "pert")
        np.testing.assert_allclose(found, OUT[f"pertpy/pairwise/pca64/edistance__{name}"], rtol=1e-7, atol=1e-9)
    found = Distance("mmd").pairwise(adata, "pert", kernel="rbf", gamma=0.1)
    np.testing.assert_allclose(found, OUT["pertpy/pairwise/pca64/mmd_rbf_g0.1"], rtol=1e-9, atol=1e-12)
    found = Distance("euclidean", agg_fct=np.median).pairwise(adata, "pert")
    again = Distance("euclidean", agg_fct=lambda x, axis: np.median(x, axis=axis)).pairwise(adata, "pert")
    middle = np.stack([np.median(IN["pca"][group == LABELS], axis=0) for group in found.index])
    expected = np.linalg.norm(middle[:, None] - middle, axis=2)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(again, found, rtol=1e-12)


def test_conventions():
    adata = screen()
    old = Distance("edistance").pairwise(adata, "pert").to_numpy()
    new = Distance("edistance", convention="pertpy-1.2").pairwise(adata, "pert").to_numpy()
    stored = OUT["derived/edist/pca64/euclidean/unbiased"]
    off = ~np.eye(len(new), dtype=bool)
    np.testing.assert_allclose(new[off], stored[off], rtol=1e-9, atol=1e-11)
    assert np.abs(old - new).max() > 0.1
    ignored = Distance("edistance", cell_wise_metric="sqeuclidean", convention="pertpy-1.2")
    np.testing.assert_array_equal(ignored.pairwise(adata, "pert"), new)
    with pytest.raises(ValueError, match="convention"):
        Distance("edistance", convention="scperturb")


def test_blocks_of_cells():
    first, control = (IN["pca"][label == LABELS] for label in ("geneC", "control"))
    for metric in ("edistance", "euclidean", "mmd", "wasserstein"):
        distance = Distance(metric)
        groups = [str(x) for x in OUT["inputs/groups"]]
        stored = {"mmd": "mmd_linear"}.get(metric, metric)
        expected = OUT[f"pertpy/pairwise/pca64/{stored}"][groups.index("geneC"), groups.index("control")]
        assert distance(first, control) == pytest.approx(expected, rel=1e-6)
        assert distance(sp.csr_matrix(first), control) == pytest.approx(expected, rel=1e-6)
        found = distance.bootstrap(first, control, n_bootstrap=25, random_state=3)
        np.testing.assert_allclose(found, OUT[f"pertpy/bootstrap_arrays25/pca64/{metric}"], rtol=1e-6)
    with pytest.raises(ValueError, match="empty"):
        Distance("euclidean")(first[:0], control)


@pytest.mark.parametrize("metric", ["edistance", "euclidean", "mse", "pearson_distance"])
def test_compare(metric):
    blocks = [IN["lognorm"][group == LABELS] for group in ("geneC", "geneA", "control")]
    distance = Distance(metric)
    found = [
        distance.compare_distance(*blocks),
        distance.compare_distance(*blocks, mode="scaled"),
        distance.compare_distance(*blocks, mode="scaled", fit_to_pert_and_ctrl=True),
    ]
    np.testing.assert_allclose(found, OUT[f"pertpy/compare/lognorm64/{metric}"], rtol=1e-7)
    with pytest.raises(ValueError, match="mode"):
        distance.compare_distance(*blocks, mode="other")


@pytest.mark.parametrize("metric", ["edistance", "euclidean"])
def test_bootstrap(metric):
    mean, variance = Distance(metric).pairwise(screen(), "pert", bootstrap=True, n_bootstrap=20, random_state=7)
    key = f"pertpy/bootstrap20/pca64/{metric}/seed7"
    np.testing.assert_allclose(mean, OUT[f"{key}/mean"], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(variance, OUT[f"{key}/var"], rtol=1e-6, atol=1e-12)
    assert (mean.name, variance.name) == (f"pairwise {metric}", f"pairwise {metric} variance")
    one = Distance(metric).onesided_distances(screen(), "pert", "control", bootstrap=True, n_bootstrap=20)
    key = f"pertpy/bootstrap20_onesided/pca64/{metric}"
    for found, part in zip(one, ("mean", "var"), strict=True):
        np.testing.assert_allclose(found, OUT[f"{key}/{part}"], rtol=1e-6, atol=1e-12)


def test_distance_test():
    pytest.importorskip("statsmodels")
    adata = screen()
    found = DistanceTest("edistance", n_perms=60)(adata, groupby="pert", contrast="control", show_progressbar=False)
    assert list(found) == ["distance", "pvalue", "significant", "pvalue_adj", "significant_adj"]
    assert found.loc["control"].tolist() == [0.0, 1.0, False, 1.0, False]
    one = Distance("edistance").onesided_distances(adata, "pert", "control")
    np.testing.assert_allclose(found["distance"].loc[list(one.index)], one, rtol=1e-9, atol=1e-12)
    others = found.drop("control")
    assert others["pvalue"].between(1 / 60, 1).all()
    assert (others["significant"] == (others["pvalue"] < 0.05)).all()
    assert (others["pvalue_adj"] >= others["pvalue"]).all()
    again = DistanceTest("edistance", n_perms=60).test_precomputed(adata, "pert", "control")
    pd.testing.assert_frame_equal(found, again)
    with pytest.raises(ValueError, match="nobody"):
        DistanceTest("edistance")(adata, "pert", "nobody")
    with pytest.raises(ValueError, match="precomputed"):
        DistanceTest("euclidean").test_precomputed(adata, "pert", "control")


def test_refusals():
    adata = screen()
    with pytest.raises(ValueError, match="not recognized"):
        Distance("nothing")
    with pytest.raises(ValueError, match="at the same time"):
        Distance("mse", layer_key="a", obsm_key="b")
    with pytest.raises(ValueError, match="not a column"):
        Distance("mse").pairwise(adata, "nothing")
    with pytest.raises(ValueError, match="selected_group"):
        Distance("mse").onesided_distances(adata, "pert")
    with pytest.raises(NotImplementedError):
        Distance("classifier_cp").onesided_distances(adata, "pert", "control", bootstrap=True)
    assert Distance().precompute_distances(adata) is None


PEER = importlib.util.find_spec("pertpy") is not None
MAKE = {"mmd": {"kernel": "rbf", "gamma": 0.2}}


@pytest.mark.skipif(not PEER, reason="needs pertpy")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("metric", [m for m in METRICS if m not in ("classifier_proba", "nb_ll", "classifier_cp")])
def test_beside_pertpy(metric):
    """The same calls with both, on groups large enough for every metric."""
    import pertpy

    rng = np.random.default_rng(3)
    labels = rng.permutation(np.repeat(["d", "control", "a", "b"], [25, 40, 31, 22]))
    adata = anndata.AnnData(np.zeros((labels.size, 1)), obs=pd.DataFrame({"pert": pd.Categorical(labels)}))
    shift = {"d": 0.0, "control": 0.5, "a": 1.0, "b": 0.2}
    adata.obsm["X_pca"] = np.abs(rng.normal(size=(labels.size, 8)) + np.array([shift[x] for x in labels])[:, None])
    tables = []
    for module in (pertpy.tl.Distance, Distance):
        distance = module(metric)
        extra = MAKE.get(metric, {})
        pairs = distance.pairwise(adata, groupby="pert", show_progressbar=False, n_jobs=1, **extra)
        one = distance.onesided_distances(
            adata, groupby="pert", selected_group="control", show_progressbar=False, n_jobs=1, **extra
        )
        tables.append((pairs, one))
    for a, b in zip(*tables, strict=True):
        assert a.index.equals(b.index)
        assert a.index.name == b.index.name
        assert a.name == b.name
        np.testing.assert_allclose(np.asarray(b, float), np.asarray(a, float), rtol=2e-6, atol=1e-9)


@pytest.mark.skipif(not PEER, reason="needs pertpy")
@pytest.mark.filterwarnings("ignore")
def test_signatures():
    """Every parameter of pertpy's is there, under its name, at its place and with its default."""
    import pertpy

    pairs = [(pertpy.tl.Distance, Distance), (pertpy.tl.DistanceTest, DistanceTest)]
    names = ["__init__", "__call__", "pairwise", "onesided_distances", "bootstrap", "compare_distance"]
    names += ["precompute_distances", "test_xy", "test_precomputed"]
    for theirs, ours in pairs:
        for name in names:
            if not hasattr(theirs, name):
                continue
            a = inspect.signature(getattr(theirs, name)).parameters
            b = inspect.signature(getattr(ours, name)).parameters
            kept = [key for key in b if key in a]
            assert kept == list(a), name
            for key in a:
                assert a[key].default == b[key].default or name == "precompute_distances", (name, key)
