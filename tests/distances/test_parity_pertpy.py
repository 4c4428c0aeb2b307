"""pertpy itself, on new random data (extra `bench`)."""

import numpy as np
import pandas as pd
import pytest

import vcmetrics as vcm

pytestmark = [pytest.mark.parity("pertpy"), pytest.mark.filterwarnings("ignore")]

METRICS = {
    "edistance": 1e-6,
    "euclidean": 1e-9,
    "root_mean_squared_error": 1e-9,
    "mse": 1e-9,
    "mean_absolute_error": 1e-9,
    "pearson_distance": 1e-9,
    "spearman_distance": 1e-9,
    "kendalltau_distance": 1e-9,
    "cosine_distance": 1e-9,
    "r2_distance": 1e-9,
    "mean_pairwise": 1e-9,
    "mmd": 1e-9,
    "wasserstein": 1e-6,
    "sym_kldiv": 1e-9,
    "t_test": 1e-9,
    "ks_test": 1e-9,
    "mahalanobis": 1e-8,
}


def screen(seed):
    import anndata

    rng = np.random.default_rng(seed)
    sizes = rng.integers(15, 40, 4)
    labels = rng.permutation(np.repeat(["d", "control", "a", "b"], sizes))
    centre = {x: rng.normal(0, 1, 8) for x in "dab"} | {"control": np.zeros(8)}
    x = np.stack([centre[g] for g in labels]) + rng.normal(size=(labels.size, 8))
    adata = anndata.AnnData(
        np.log1p(np.exp(x)), obs=pd.DataFrame({"pert": labels}, index=list(map(str, range(labels.size))))
    )
    adata.obsm["X_pca"] = x
    adata.layers["positive"] = np.log1p(np.exp(x))
    return adata


@pytest.mark.parametrize("seed", [101, 102])
@pytest.mark.parametrize("metric", METRICS)
def test_pairwise_and_onesided(metric, seed):
    import pertpy

    adata = screen(seed)
    peer = pertpy.tl.Distance(metric, obsm_key="X_pca")
    theirs = peer.pairwise(adata, groupby="pert", show_progressbar=False, n_jobs=1)
    ours = vcm.distance_matrix(adata, pert_col="pert", metric=metric, convention="pertpy-1.0")
    assert list(ours.index) == list(theirs.index)
    np.testing.assert_allclose(ours, theirs.astype(float), rtol=METRICS[metric], atol=1e-10)
    theirs = peer.onesided_distances(adata, groupby="pert", selected_group="control", show_progressbar=False, n_jobs=1)
    ours = vcm.distances_to(adata, "control", pert_col="pert", metric=metric, convention="pertpy-1.0")
    np.testing.assert_allclose(ours, theirs.astype(float), rtol=METRICS[metric], atol=1e-10)


@pytest.mark.parametrize("parameters", [{"kernel": "rbf", "gamma": 0.2}, {"kernel": "poly", "degree": 2}])
def test_kernels(parameters):
    import pertpy

    adata = screen(103)
    theirs = pertpy.tl.Distance("mmd").pairwise(adata, groupby="pert", show_progressbar=False, n_jobs=1, **parameters)
    ours = vcm.distance_matrix(adata, pert_col="pert", metric="mmd", convention="pertpy-1.0", **parameters)
    np.testing.assert_allclose(ours, theirs.astype(float), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("metric", ["edistance", "euclidean", "mmd", "t_test"])
def test_bootstrap(metric):
    import pertpy

    adata = screen(104)
    peer = pertpy.tl.Distance(metric)
    theirs = peer.pairwise(
        adata, groupby="pert", bootstrap=True, n_bootstrap=15, random_state=9, show_progressbar=False, n_jobs=1
    )
    ours = vcm.bootstrap_distance(
        adata, pert_col="pert", metric=metric, n_bootstrap=15, random_state=9, convention="pertpy-1.0"
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b.astype(float), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("metric", ["mean_var_distribution", "classifier_cp"])
def test_on_genes(metric):
    import pertpy

    adata = screen(105)
    key = {} if metric == "classifier_cp" else {"layer_key": "positive"}
    theirs = pertpy.tl.Distance(metric, **key).onesided_distances(
        adata, groupby="pert", selected_group="control", show_progressbar=False, n_jobs=1
    )
    layer = None if metric == "classifier_cp" else "positive"
    ours = vcm.distances_to(adata, "control", pert_col="pert", metric=metric, layer=layer, convention="pertpy-1.0")
    np.testing.assert_allclose(ours, theirs.astype(float), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("mode", ["simple", "scaled"])
def test_compare(mode):
    import pertpy

    rng = np.random.default_rng(106)
    blocks = [rng.normal(shift, 1, (n, 6)) for shift, n in ((1.0, 21), (0.8, 17), (0.0, 30))]
    theirs = pertpy.tl.Distance("edistance").compare_distance(*blocks, mode=mode)
    ours = vcm.compare_distance(*blocks, mode=mode, convention="pertpy-1.0")
    assert ours == pytest.approx(theirs, rel=1e-6)
