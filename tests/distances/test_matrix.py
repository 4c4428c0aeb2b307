"""Tables of distances: labels, orders, inputs, strata, mirrors, and what is said when something is wrong."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import vcmetrics as vcm
from vcmetrics import DataError, VcmetricsWarning
from vcmetrics.metrics.distance.registry import get

ORDER = ["tiny", "one", "geneC", "geneA", "control"]  # of the categories


def by_hand(adata, metric, x, rows, columns, **parameters):
    labels = adata.obs["pert"].to_numpy(dtype=str)
    reference = get(metric).reference
    return np.array([[reference(x[labels == a], x[labels == b], **parameters) for b in columns] for a in rows])


@pytest.mark.parametrize("metric", ["euclidean", "r2", "edistance", "mean_pairwise"])
@pytest.mark.parametrize("where", ["X", "layer", "obsm"])
def test_matrix_against_the_reference(screen, metric, where):
    x = {"X": screen.layers["dense"], "layer": screen.layers["dense"], "obsm": screen.obsm["X_pca"]}[where]
    how = {"X": {}, "layer": {"layer": "dense"}, "obsm": {"obsm": "X_pca"}}[where]
    found = vcm.distance_matrix(screen, pert_col="pert", metric=metric, **how)
    assert list(found.index) == list(found.columns) == ORDER
    assert found.index.name == found.columns.name == "pert"
    assert found.attrs["metric"] == metric
    np.testing.assert_allclose(found, by_hand(screen, metric, x, ORDER, ORDER), rtol=1e-9, atol=1e-9)


def test_kinds_of_input_agree(screen, tmp_path):
    x, labels = screen.layers["dense"], screen.obs["pert"]
    screen.write_h5ad(tmp_path / "a.h5ad")
    with warnings.catch_warnings(action="ignore"):
        screen.write_zarr(tmp_path / "a.zarr")
    expected = vcm.distance_matrix(screen, pert_col="pert")
    for data, column in (
        (tmp_path / "a.h5ad", "pert"),
        (tmp_path / "a.zarr", "pert"),
        (screen, labels),
        (x, labels),
        (np.asfortranarray(x), labels),
        (np.repeat(x, 2, axis=1)[:, ::2], labels),
        (sp.csr_matrix(x), labels.to_numpy()),
        (sp.csc_matrix(x), list(labels)),
        (sp.coo_matrix(x), labels),
        (sp.csr_array(x), labels),
    ):
        before = data.copy() if isinstance(data, np.ndarray) else None
        found = vcm.distance_matrix(data, pert_col=column)
        found = found.loc[ORDER, ORDER]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)
        if before is not None:
            assert np.array_equal(data, before)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint16, np.float16, np.bool_])
@pytest.mark.parametrize("metric", ["sqeuclidean", "edistance"])
def test_whole_numbers_do_not_overflow(dtype, metric):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 2 if dtype == np.bool_ else 120, (12, 40)).astype(dtype)
    labels = np.repeat(["a", "b"], 6)
    expected = get(metric).reference(x[:6].astype(float), x[6:].astype(float))
    for cells in (x, sp.csr_matrix(x.astype(float)).astype(dtype) if dtype != np.float16 else x):
        found = vcm.distance_matrix(cells, pert_col=labels, metric=metric).loc["a", "b"]
        assert found == pytest.approx(expected, rel=1e-9)


def test_order_of_groups(screen):
    table = vcm.distance_matrix(screen, pert_col="pert", metric="euclidean")
    appearance = vcm.distance_matrix(screen, pert_col="pert", metric="euclidean", order="appearance")
    assert list(appearance.index) == list(dict.fromkeys(screen.obs["pert"]))
    ordered = vcm.distance_matrix(screen, pert_col="pert", metric="euclidean", order="sorted")
    assert list(ordered.index) == sorted(ORDER)
    for other in (appearance, ordered):
        pd.testing.assert_frame_equal(other.loc[ORDER, ORDER], table)
    chosen = ["control", "tiny", "geneC"]
    some = vcm.distance_matrix(screen, pert_col="pert", metric="euclidean", groups=chosen)
    pd.testing.assert_frame_equal(some, table.loc[chosen, chosen])
    numbers = np.array([10, 9, 10, 2, 9, 2])
    assert list(vcm.distance_matrix(np.eye(6), pert_col=numbers, metric="euclidean").index) == ["2", "9", "10"]


def test_genes_by_name_and_mask(screen):
    names = ["g3", "g0", "g7"]
    by_name = vcm.distance_matrix(screen, pert_col="pert", metric="cityblock", genes=names)
    mask = screen.var_names.isin(names)
    for layer in (None, "dense"):
        by_mask = vcm.distance_matrix(screen, pert_col="pert", metric="cityblock", genes=mask, layer=layer)
        np.testing.assert_allclose(by_mask, by_name, rtol=1e-12)
    plain = vcm.distance_matrix(screen.layers["dense"], pert_col=screen.obs["pert"], metric="cityblock", genes=mask)
    np.testing.assert_allclose(plain, by_name, rtol=1e-12)


def test_references(screen):
    matrix = vcm.distance_matrix(screen, pert_col="pert", metric="r2")
    one = vcm.distances_to(screen, "control", pert_col="pert", metric="r2")
    assert isinstance(one, pd.Series)
    assert one.name == "control"
    pd.testing.assert_series_equal(one, matrix["control"])
    several = vcm.distances_to(screen, ["control", "tiny"], pert_col="pert", metric="r2", groups=["geneC", "one"])
    assert list(several.index) == ["geneC", "one"]
    np.testing.assert_array_equal(several, matrix.loc[["geneC", "one"], ["control", "tiny"]])


def test_mirror_of_an_asymmetric_distance(screen):
    full = vcm.distance_matrix(screen, pert_col="pert", metric="r2").to_numpy()
    assert not np.allclose(full, full.T)
    upper = np.triu(full)
    for mirror, expected in (
        ("upper", upper + np.triu(full, 1).T),
        ("lower", np.tril(full) + np.tril(full, -1).T),
        ("mean", (full + full.T) / 2),
    ):
        found = vcm.distance_matrix(screen, pert_col="pert", metric="r2", mirror=mirror).to_numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=0)


def test_within_covariates(screen):
    table = vcm.distance_matrix(screen, pert_col="pert", within="batch", metric="edistance")
    assert table.index.names == ["batch", "pert"]
    for batch in ("b1", "b2"):
        part = screen[screen.obs["batch"] == batch]
        alone = vcm.distance_matrix(part, pert_col="pert", metric="edistance")
        inside = table.loc[batch]
        np.testing.assert_allclose(inside[list(alone.columns)], alone, rtol=1e-12)
        assert list(inside.index) == list(alone.index)
        assert inside[[c for c in inside if c not in alone.columns]].isna().all().all()
    series = vcm.distances_to(screen, "control", pert_col="pert", within=["batch"], metric="edistance")
    np.testing.assert_allclose(series, table["control"], rtol=1e-13)
    with pytest.raises(DataError, match=r"no cell in b[12] is labelled 'one'"):
        vcm.distances_to(screen, "one", pert_col="pert", within="batch")
    arrays = vcm.distances_to(
        screen.layers["dense"], "control", pert_col=screen.obs["pert"], within=screen.obs["batch"].to_numpy()
    )
    np.testing.assert_allclose(arrays, series, rtol=1e-9, atol=1e-12)


def test_missing_labels_are_left_out_with_a_warning(screen):
    labels = screen.obs["pert"].astype(object).to_numpy()
    kept = labels != "tiny"
    labels[~kept] = None
    with pytest.warns(VcmetricsWarning, match="2 of 45 cells have no label"):
        found = vcm.distance_matrix(screen.layers["dense"], pert_col=labels)
    expected = vcm.distance_matrix(screen.layers["dense"][kept], pert_col=labels[kept])
    pd.testing.assert_frame_equal(found, expected)


def test_one_cell(screen):
    v = vcm.distance_matrix(screen, pert_col="pert", obsm="X_pca")
    assert np.isfinite(v).all().all()
    u = vcm.distance_matrix(screen, pert_col="pert", obsm="X_pca", estimator="u")
    assert u["one"].isna().all()
    assert np.isfinite(u.drop(index="one", columns="one")).all().all()
    zero = vcm.distance_matrix(screen, pert_col="pert", obsm="X_pca", estimator="u", one_cell="zero")
    assert np.isfinite(zero).all().all()


X = np.arange(12.0).reshape(6, 2)
L = ["a", "a", "b", "b", "c", "c"]


def change(value):
    x = X.copy()
    x[3, 1] = value
    return x


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "says"),
    [
        ((X,), {"pert_col": L, "groups": ["a", "z"]}, DataError, "labelled 'z'.*'a', 'b', 'c'"),
        ((X,), {"pert_col": L, "groups": ["a", "a"]}, ValueError, "twice: 'a'"),
        ((X,), {"pert_col": L, "groups": []}, ValueError, "empty"),
        ((X,), {"pert_col": L[:-1]}, DataError, "5 labels for 6 cells"),
        ((X,), {"pert_col": "pert"}, TypeError, "one label a cell"),
        ((X,), {"pert_col": L, "layer": "x"}, ValueError, "belong to AnnData"),
        ((X[0],), {"pert_col": L}, DataError, "1 dimensions"),
        ((X[:0],), {"pert_col": []}, DataError, "has no cells"),
        ((X[:, :0],), {"pert_col": L}, DataError, "has no features"),
        ((sp.csr_matrix((6, 0)),), {"pert_col": L}, DataError, "has no features"),
        ((X.astype(complex),), {"pert_col": L}, DataError, "complex128"),
        ((X.astype(str),), {"pert_col": L}, DataError, "real numbers"),
        ((change(np.nan),), {"pert_col": L}, DataError, "1 value is NaN.*cell 3, feature 1"),
        ((change(np.inf),), {"pert_col": L}, DataError, "cell 3, feature 1, inf"),
        ((sp.csr_matrix(change(np.nan)),), {"pert_col": L}, DataError, "1 value is NaN.*cell 3, feature 1, nan"),
        ((sp.csc_matrix(change(np.inf)),), {"pert_col": L}, DataError, "1 value is NaN.*cell 3, feature 1, inf"),
        ((X,), {"pert_col": L, "genes": [True]}, DataError, "mask of 1 for 2"),
        ((X,), {"pert_col": L, "genes": ["g"]}, TypeError, "mask"),
        ((X,), {"pert_col": L, "metric": "edistanc"}, ValueError, "did you mean edistance"),
        ((X,), {"pert_col": L, "metric": "euclidean", "gamma": 1}, TypeError, "takes no parameter 'gamma'.*aggregate"),
        ((X,), {"pert_col": L, "estimator": "w"}, ValueError, "estimator 'w'"),
        ((X,), {"pert_col": L, "estimator": "w", "cell_metric": "sqeuclidean"}, ValueError, "estimator 'w'"),
        ((X,), {"pert_col": L, "cell_metric": "l7"}, ValueError, "cell_metric 'l7'"),
        ((X,), {"pert_col": L, "convention": "pertpy"}, ValueError, "pertpy-1.0"),
        ((X,), {"pert_col": L, "mirror": "x"}, ValueError, "mirror 'x'"),
        ((X,), {"pert_col": L, "diagonal": "x"}, ValueError, "diagonal 'x'"),
        ((X,), {"pert_col": L, "order": "x"}, ValueError, "order 'x'"),
        ((object(),), {"pert_col": L}, TypeError, "got object"),
        ((X,), {"pert_col": L, "metric": "euclidean", "device": "cuda"}, vcm.DeviceError, "no CUDA kernels"),
    ],
)
def test_wrong_input(arguments, keywords, error, says):
    with pytest.raises(error, match=says) as caught:
        vcm.distance_matrix(*arguments, **keywords)
    assert "\n" not in str(caught.value)


def test_nan_in_a_cell_that_is_not_used():
    found = vcm.distance_matrix(change(np.nan), pert_col=L, groups=["a", "c"])
    assert np.isfinite(found).all().all()


def test_references_of_strata_keep_their_order(screen):
    how = {"pert_col": "pert", "within": "batch"}
    for references in (["geneA", "control"], ["control", "geneA"]):
        assert vcm.distances_to(screen, references, **how).columns.tolist() == references
        assert vcm.bootstrap_distance(screen, references, n_bootstrap=2, **how).mean.columns.tolist() == references


def test_labels_that_are_numbers_or_named_twice():
    numbers = [3, 3, 11, 11, 5, 5]
    found = vcm.distances_to(X, 11, pert_col=numbers, groups=5)
    assert (found.name, found.index.tolist()) == ("11", ["5"])
    assert vcm.permutation_test(X, 11, pert_col=numbers, groups=[3], n_permutations=3).index.tolist() == ["3"]
    for call in (vcm.distances_to, vcm.bootstrap_distance):
        with pytest.raises(ValueError, match="reference= names a group twice: '3'"):
            call(X, [3, 3], pert_col=numbers)
        with pytest.raises(ValueError, match="groups= names a group twice: '3'"):
            call(X, 11, pert_col=numbers, groups=[3, 3])
        with pytest.raises(ValueError, match="reference= is empty"):
            call(X, [], pert_col=numbers)


def test_nan_in_an_embedding_is_placed(screen):
    screen.obsm["X_pca"][4, 2] = np.nan
    with pytest.raises(DataError, match=r"obsm 'X_pca': 1 value is NaN.*cell 4, feature 2"):
        vcm.distance_matrix(screen, pert_col="pert", obsm="X_pca")


def test_nan_in_a_sparse_cell_that_is_not_used():
    found = vcm.distance_matrix(sp.csr_matrix(change(np.nan)), pert_col=L, groups=["a", "c"])
    assert np.isfinite(found).all().all()


def test_wrong_names_in_anndata(screen):
    for keywords, says in (
        ({"pert_col": "nope"}, "'nope' is not a column"),
        ({"pert_col": "pert", "obsm": "X_umap"}, "'X_umap' is not in obsm"),
        ({"pert_col": "pert", "layer": "nope"}, "no layer 'nope'"),
        ({"pert_col": "pert", "genes": ["g0", "nope"]}, "no gene 'nope'"),
        ({"pert_col": "pert", "within": "nope"}, "'nope' is not a column"),
    ):
        with pytest.raises(DataError, match=says):
            vcm.distance_matrix(screen, **keywords)
    with pytest.raises(ValueError, match="exclude each other"):
        vcm.distance_matrix(screen, pert_col="pert", layer="dense", obsm="X_pca")
