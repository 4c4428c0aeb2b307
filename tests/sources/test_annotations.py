"""Labels in every encoding, new and old, come out as text with None for what is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from vcmetrics.sources import open_cells

N = 6
COLUMNS = {
    "string": (list("abcabc"), ["a", "b", "c", "a", "b", "c"]),
    "string_nan": (["a", np.nan, "b", None, "a", "b"], ["a", None, "b", None, "a", "b"]),
    "categorical": (pd.Categorical(list("abcabc"), categories=list("xcbaz")), list("abcabc")),
    "categorical_nan": (pd.Categorical(["a", None, "b", None, "a", "b"]), ["a", None, "b", None, "a", "b"]),
    "categorical_int": (pd.Categorical([3, 1, 3, 2, 1, 1], categories=[1, 2, 3, 9]), list("313211")),
    "integer": (np.array([3, 1, 3, 2, -1, 1]), ["3", "1", "3", "2", "-1", "1"]),
    "unsigned": (np.array([3, 1, 3, 2, 200, 1], np.uint8), ["3", "1", "3", "2", "200", "1"]),
    "boolean": (np.array([True, False] * 3), ["True", "False"] * 3),
    "real": (np.array([1.0, 0.5, np.nan, 2, 2, 1]), ["1.0", "0.5", None, "2.0", "2.0", "1.0"]),
    "nullable_integer": (pd.array([1, None, 3, 1, 2, None], dtype="Int64"), ["1", None, "3", "1", "2", None]),
    "nullable_boolean": (pd.array([True, None] * 3, dtype="boolean"), ["True", None] * 3),
    "empty_text": (["", "nan", "None", "a", "b", "c"], ["", "nan", "None", "a", "b", "c"]),
    "accents": (["β", "µ", "ü", "β", "a", "b"], ["β", "µ", "ü", "β", "a", "b"]),
}


@pytest.fixture
def labelled():
    import anndata

    obs = pd.DataFrame({name: values for name, (values, _) in COLUMNS.items()}, index=[f"c{i}" for i in range(N)])
    obs["string_nan"] = obs["string_nan"].astype(object)
    return anndata.AnnData(sparse.csr_matrix(np.eye(N, 4, dtype=np.float32)), obs=obs)


@pytest.mark.parametrize("where", ["memory", "h5ad", "view"])
def test_every_kind_of_column(labelled, tmp_path, where):
    data = labelled
    expected = {name: texts for name, (_, texts) in COLUMNS.items()}
    if where == "h5ad":
        # the writer turns text with gaps into a categorical
        data = tmp_path / "a.h5ad"
        labelled.copy().write_h5ad(data)
    elif where == "view":
        data = labelled[::-1]
        expected = {name: texts[::-1] for name, texts in expected.items()}
    with open_cells(data) as cells:
        assert set(cells.columns()) == set(COLUMNS)
        for name, texts in expected.items():
            column = cells.column(name)
            assert column.dtype == object
            assert column.tolist() == texts, name


def test_arrow_strings(labelled):
    labelled.obs["arrow"] = pd.array(["a", None, "b", "a", "b", "c"], dtype="string")
    with open_cells(labelled) as cells:
        assert cells.column("arrow").tolist() == ["a", None, "b", "a", "b", "c"]


def test_nullable_strings_in_a_file(labelled, tmp_path):
    import anndata
    import h5py

    labelled.write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "a.h5ad", "a") as file:
        group = file["obs"].create_group("nullable_string")
        group.attrs["encoding-type"] = "nullable-string-array"
        group.attrs["encoding-version"] = "0.1.0"
        anndata.io.write_elem(group, "values", np.array(["a", "", "b", "a", "", "b"], object))
        anndata.io.write_elem(group, "mask", np.array([False, True, False, False, False, False]))
        file["obs"].attrs["column-order"] = [*file["obs"].attrs["column-order"], "nullable_string"]
    with open_cells(tmp_path / "a.h5ad") as cells:
        assert cells.column("nullable_string").tolist() == ["a", None, "b", "a", "", "b"]


@pytest.mark.parametrize("index", ["_index", "barcode"])
def test_index_names(labelled, tmp_path, index):
    labelled.obs.index.name = None if index == "_index" else index
    labelled.var.index.name = "gene_id" if index == "barcode" else None
    labelled.write_h5ad(tmp_path / "a.h5ad")
    with open_cells(tmp_path / "a.h5ad") as cells:
        assert cells.genes.tolist() == list("0123")
        assert index not in cells.columns()


def test_anndata_07(labelled, tmp_path, dense_of):
    """Frames of 0.1.0: categories lie in a group of their own, columns refer to them."""
    import h5py

    path = tmp_path / "a.h5ad"
    labelled.write_h5ad(path)
    text = h5py.string_dtype()
    with h5py.File(path, "a") as file:
        codes = file["obs/categorical/codes"][...]
        categories = file["obs/categorical/categories"].asstr()[...]
        del file["obs/categorical"]
        store = file["obs"].create_group("__categories")
        store.create_dataset("categorical", data=categories.astype(object), dtype=text)
        file["obs"].create_dataset("categorical", data=codes)
        file["obs/categorical"].attrs["categories"] = store["categorical"].ref
        file["obs"].attrs["encoding-version"] = "0.1.0"
        for node in (file, file["obs/string"], file["var/_index"], file["obs/_index"]):
            for key in ("encoding-type", "encoding-version"):
                del node.attrs[key]
    with open_cells(path) as cells:
        assert cells.column("categorical").tolist() == list("abcabc")
        assert cells.column("string").tolist() == list("abcabc")
        assert "__categories" not in cells.columns()
        np.testing.assert_array_equal(dense_of(cells.rows()), np.eye(N, 4))


@pytest.mark.parametrize("text", ["S8", "vlen"])
@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
def test_anndata_06(tmp_path, dense_of, layout, text):
    """Compound frames, categories in ``uns``, ``h5sparse_format``."""
    import h5py

    matrix = np.array([[1, 0, 2], [0, 0, 3], [4, 5, 0], [0, 6, 0]], np.float32)
    string = np.dtype("S8") if text == "S8" else h5py.string_dtype()
    obs = np.zeros(4, np.dtype([("index", string), ("target", "i1"), ("dose", "f4"), ("well", string)]))
    obs["index"] = [b"c0", b"c1", b"c2", b"c3"]
    obs["target"] = [1, 0, -1, 1]
    obs["dose"] = [0.5, 1, np.nan, 2]
    obs["well"] = [b"A1", b"B1", b"A1", b"B2"]
    var = np.zeros(3, np.dtype([("index", string)]))
    var["index"] = [b"G0", b"G1", b"G2"]
    path = tmp_path / "old.h5ad"
    with h5py.File(path, "w") as file:
        file["obs"], file["var"] = obs, var
        file.create_dataset("uns/target_categories", data=np.array([b"ctrl", b"KLF1"], "S8"))
        file["obsm"] = np.zeros(4, np.dtype([("X_pca", "f4", (2,))]))
        if layout == "dense":
            file["X"] = matrix
        else:
            stored = sparse.csr_matrix(matrix).asformat(layout)
            group = file.create_group("X")
            group.attrs["h5sparse_format"] = np.bytes_(layout)
            group.attrs["h5sparse_shape"] = matrix.shape
            for part in ("data", "indices", "indptr"):
                group[part] = getattr(stored, part)
    with open_cells(path) as cells:
        assert cells.genes.tolist() == ["G0", "G1", "G2"]
        assert cells.columns() == ["target", "dose", "well"]
        assert cells.column("target").tolist() == ["KLF1", "ctrl", None, "KLF1"]
        assert cells.column("dose").tolist() == ["0.5", "1.0", None, "2.0"]
        assert cells.column("well").tolist() == ["A1", "B1", "A1", "B2"]
        assert cells.obsm_keys() == ["X_pca"]
        assert cells.obsm("X_pca").shape == (4, 2)
        np.testing.assert_array_equal(dense_of(cells.rows()), matrix)


def test_obsm(labelled, tmp_path):
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(N, 5)).astype(np.float32)
    labelled.obsm["X_pca"] = wide
    labelled.obsm["frame"] = pd.DataFrame(wide, index=labelled.obs_names, columns=list("abcde"))
    labelled.obsm["sparse"] = sparse.csr_matrix(wide)
    labelled.write_h5ad(tmp_path / "a.h5ad")
    for data in (labelled, tmp_path / "a.h5ad"):
        with open_cells(data) as cells:
            assert sorted(cells.obsm_keys()) == ["X_pca", "frame", "sparse"]
            for key in cells.obsm_keys():
                assert cells.obsm(key).dtype == np.float64
                np.testing.assert_array_equal(cells.obsm(key), wide)
