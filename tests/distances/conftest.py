"""A small screen: groups of unlike sizes, interleaved, in an order of appearance that is not sorted."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

SIZES = {"geneC": 9, "control": 21, "geneA": 12, "tiny": 2, "one": 1}


def make_screen(seed=7, n_features=13, dtype=np.float64):
    rng = np.random.default_rng(seed)
    labels = np.array([label for label, n in SIZES.items() for _ in range(n)])
    order = np.concatenate([[0, 9], rng.permutation(np.setdiff1d(np.arange(labels.size), [0, 9]))])
    shift = {label: rng.normal(0, 0.7, n_features) for label in SIZES}
    counts = rng.poisson(np.exp(np.stack([shift[x] for x in labels]) + 0.3))[order]
    labels = labels[order]
    x = np.log1p(counts).astype(dtype)
    adata = anndata.AnnData(
        sp.csr_matrix(x),
        obs=pd.DataFrame(
            {
                "pert": pd.Categorical(labels, categories=["unused", *sorted(SIZES, reverse=True)]),
                "batch": np.where(np.arange(labels.size) % 2 == 0, "b1", "b2"),
            },
            index=[f"c{k}" for k in range(labels.size)],
        ),
        var=pd.DataFrame(index=[f"g{k}" for k in range(n_features)]),
    )
    adata.layers["dense"] = x
    adata.layers["counts"] = counts
    adata.obsm["X_pca"] = x[:, :6] @ rng.normal(size=(6, 5))
    return adata


@pytest.fixture
def screen():
    return make_screen()
