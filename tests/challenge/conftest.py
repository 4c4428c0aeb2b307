"""A small submission that is right in every way, and ways to break it or to write it otherwise."""

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from vcmetrics.challenge import Contract

GENES = [f"GENE{k:02d}" for k in range(30)]
PERTS = ["GENE03", "GENE07", "GENE11"]
CONTEXTS = ["A", "B", "C"]
CELLS = 4


def make_submission(seed=0):
    rng = np.random.default_rng(seed)
    n = len(PERTS) * len(CONTEXTS) * CELLS
    obs = pd.DataFrame(
        {
            "target_gene": np.tile(np.repeat(PERTS, CELLS), len(CONTEXTS)),
            "context": np.repeat(CONTEXTS, len(PERTS) * CELLS),
            "celltype": "THP-1",
        },
        index=[f"cell{k}" for k in range(n)],
    )
    values = rng.poisson(1.5, (n, len(GENES))).astype(np.float32)
    values[:, 0] = 1  # no empty cell
    shuffled = rng.permutation(n)
    return anndata.AnnData(sp.csr_matrix(values), obs=obs.iloc[shuffled].copy(), var=pd.DataFrame(index=GENES))


@pytest.fixture
def submission():
    return make_submission()


@pytest.fixture
def lists(tmp_path):
    """Arguments with the official lists, small."""
    genes, perts = tmp_path / "gene_names.csv", tmp_path / "pert_counts.csv"
    genes.write_text("gene_name\n" + "\n".join(GENES) + "\n")
    perts.write_text("target_gene\n" + "\n".join(PERTS) + "\n")
    contract = Contract(cells_per_pert=CELLS, n_genes=len(GENES))
    return {"genes": genes, "perturbations": perts, "contexts": CONTEXTS, "contract": contract}


def values(change):
    """A change of the dense values."""

    def apply(adata):
        dense = adata.X.toarray().astype(np.float64)
        change(dense)
        adata.X = sp.csr_matrix(dense.astype(np.float32))
        return adata

    return apply


def put(row, column, value):
    return values(lambda x: x.__setitem__((row, column), value))


def column(name, change):
    def apply(adata):
        labels = adata.obs[name].astype(str).to_numpy().astype(object)
        adata.obs[name] = change(labels)
        return adata

    return apply


def renamed(row, value):
    def change(labels):
        labels[row] = value
        return labels

    return change


def swapped(old, new):
    def change(labels):
        labels[labels == old] = new
        return labels

    return change


def as_matrix(make):
    def apply(adata):
        adata.X = make(adata.X)
        return adata

    return apply


def zero_label(adata):
    dense = adata.X.toarray()
    dense[(adata.obs["target_gene"] == "GENE07").to_numpy()] = 0
    adata.X = sp.csr_matrix(dense)
    return adata


def zero_context_of_a_label(adata):
    dense = adata.X.toarray()
    dense[((adata.obs["target_gene"] == "GENE07") & (adata.obs["context"] == "B")).to_numpy()] = 0
    adata.X = sp.csr_matrix(dense)
    return adata


def fewer_cells(adata):
    return adata[1:].copy()


def extra_cell(adata):
    adata.obs_names = [f"c{k}" for k in range(adata.n_obs)]
    more = adata[:1].copy()
    more.obs_names = ["one more"]
    return anndata.concat([adata, more], merge="same")


def duplicated_gene(adata):
    names = adata.var_names.to_numpy().copy()
    names[3] = names[4]
    adata.var_names = names
    return adata


def renamed_gene(adata):
    names = adata.var_names.to_numpy().copy()
    names[3] = "OTHER"
    adata.var_names = names
    return adata


def duplicates(x):
    """Every value stored as two halves that add up to it."""
    data = np.stack([np.ceil(x.data / 2), np.floor(x.data / 2)], 1).reshape(-1)
    made = sp.csr_matrix(x.shape, dtype=np.float32)
    made.data, made.indices, made.indptr = data, np.repeat(x.indices, 2), 2 * x.indptr
    return made


def unsorted(x):
    made = x.copy()
    for begin, end in zip(made.indptr[:-1], made.indptr[1:], strict=True):
        made.data[begin:end] = made.data[begin:end][::-1]
        made.indices[begin:end] = made.indices[begin:end][::-1]
    made.has_sorted_indices = False
    return made


def explicit_zeros(x):
    made = sp.csr_matrix(np.ones(x.shape, np.float32))
    made.data = x.toarray().reshape(-1)
    return made


def extras(adata):
    adata.layers["raw"] = adata.X.copy()
    adata.obsm["X_pca"] = np.zeros((adata.n_obs, 2))
    adata.uns["note"] = "hello"
    adata.raw = adata.copy()
    return adata


def drop(name):
    def apply(adata):
        del adata.obs[name]
        return adata

    return apply


def missing_labels(adata):
    labels = adata.obs["target_gene"].astype(object).to_numpy()
    labels[2] = None
    adata.obs["target_gene"] = labels
    return adata


# of the AnnData
MEMORY = {
    "good": lambda adata: adata,
    "good categorical": lambda adata: adata.strings_to_categoricals() or adata,
    "good dense": as_matrix(lambda x: x.toarray()),
    "good dense float64": as_matrix(lambda x: x.toarray().astype(np.float64)),
    "good csc": as_matrix(sp.csc_matrix),
    "good integers": as_matrix(lambda x: x.astype(np.int32)),
    "good float64": as_matrix(lambda x: x.astype(np.float64)),
    "good repeated columns": as_matrix(duplicates),
    "good unsorted columns": as_matrix(unsorted),
    "good explicit zeros": as_matrix(explicit_zeros),
    "good other gene order": lambda adata: adata[:, ::-1].copy(),
    "good with extras": extras,
    "good empty cell": values(lambda x: x.__setitem__(5, 0)),
    "good label empty in one context": zero_context_of_a_label,
    "good at the limit of counts": values(lambda x: (x.__setitem__(4, 0), x.__setitem__((4, 3), 1e6))),
    "good nearly whole": put(3, 3, 2.0 + 5e-7),
    "NaN": put(3, 3, np.nan),
    "infinite": put(3, 3, np.inf),
    "minus infinite": put(3, 3, -np.inf),
    "negative": put(3, 3, -1),
    "negative fraction": put(3, 3, -0.5),
    "fraction": put(3, 3, 1.5),
    "nearly whole from below": put(3, 3, 3.0 - 5e-7),
    "log-normalised": values(lambda x: np.log1p(x, out=x)),
    "too many counts": put(4, 3, 1e6),
    "dense NaN": lambda adata: as_matrix(lambda x: x.toarray())(put(3, 3, np.nan)(adata)),
    "csc fraction": lambda adata: as_matrix(sp.csc_matrix)(put(3, 3, 0.25)(adata)),
    "float64 fraction": lambda adata: as_matrix(lambda x: x.astype(np.float64))(put(3, 3, 0.25)(adata)),
    "label all zero": zero_label,
    "all zero": values(lambda x: x.fill(0)),
    "control cell": column("target_gene", renamed(3, "non-targeting")),
    "control cells in place of a label": column("target_gene", swapped("GENE03", "non-targeting")),
    "unknown label": column("target_gene", renamed(3, "GENE20")),
    "construct ids": column("target_gene", swapped("GENE03", "GENE03-1")),
    "missing label": missing_labels,
    "one label less": lambda adata: adata[(adata.obs["target_gene"] != "GENE11").to_numpy()].copy(),
    "one cell less": fewer_cells,
    "one cell more": extra_cell,
    "unknown context": column("context", renamed(3, "D")),
    "contexts of another phase": column("context", swapped("C", "F")),
    "one context less": lambda adata: adata[(adata.obs["context"] != "C").to_numpy()].copy(),
    "no perturbation column": drop("target_gene"),
    "no context column": drop("context"),
    "one gene less": lambda adata: adata[:, 1:].copy(),
    "one gene renamed": renamed_gene,
    "gene twice": duplicated_gene,
    "no cells": lambda adata: adata[:0].copy(),
}


def in_group(change):
    def apply(path):
        with h5py.File(path, "r+") as file:
            change(file["X"])

    return apply


def replaced(name, make):
    def change(group):
        old = group[name][...]
        attributes = dict(group[name].attrs)
        del group[name]
        group[name] = make(old)
        group[name].attrs.update(attributes)

    return in_group(change)


def at(place, value):
    def make(old):
        new = old.copy()
        new[place] = value
        return new

    return make


def without_x(path):
    with h5py.File(path, "r+") as file:
        del file["X"]


def slack(group):
    for name, more in (("data", np.float32(np.nan)), ("indices", 999_999)):
        old = group[name][...]
        del group[name]
        group[name] = np.append(old, [more] * 3).astype(old.dtype)


# of the file
STORED = {
    "good slack behind the last row": in_group(slack),
    "good unsigned pointers": replaced("indptr", lambda old: old.astype(np.uint32)),
    "good wide indices": replaced("indices", lambda old: old.astype(np.int64)),
    "pointer falls": replaced("indptr", at(4, 0)),
    "pointer beyond the values": replaced("indptr", at(-1, 10_000)),
    "pointer does not start at 0": replaced("indptr", at(0, 1)),
    "pointer missing": replaced("indptr", lambda old: old[:-1]),
    "index too large": replaced("indices", at(7, 30)),
    "index negative": replaced("indices", at(7, -1)),
    "values missing": replaced("data", lambda old: old[:-2]),
    "no matrix": without_x,
}
# of both: two faults at once
PAIRS = [
    ("NaN", "control cell"),
    ("fraction", "one cell less"),
    ("negative", "unknown context"),
    ("one gene less", "label all zero"),
    ("too many counts", "fraction"),
    ("good csc", "negative"),
    ("good other gene order", "good dense"),
    ("good other gene order", "good repeated columns"),
    ("construct ids", "one context less"),
    ("good float64", "good other gene order"),
]


def pytest_generate_tests(metafunc):
    """`memory`, `good`, `stored` and `pair` run over the names of changes."""
    runs = {
        "memory": list(MEMORY),
        "good": [name for name in MEMORY if name.startswith("good")],
        "stored": list(STORED),
        "pair": PAIRS,
    }
    for name, values in runs.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, values, ids=[v if isinstance(v, str) else " + ".join(v) for v in values])


@pytest.fixture
def change():
    """Changes of an AnnData by name."""
    return MEMORY


@pytest.fixture
def change_file():
    """Changes of a file by name."""
    return STORED
