"""A small pair of files, and copies of it with one fault each."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

GENES = [f"GENE{k:02d}" for k in range(40)]
TARGETS = ["GENE03", "GENE07", "GENE11", "GENE20"]


def make_adata(seed, *, cells=30, control=60):
    """Four perturbations with strong effects and their control, raw counts."""
    rng = np.random.default_rng(seed)
    labels = np.array(["non-targeting"] * control + [t for t in TARGETS for _ in range(cells)])
    mean = np.random.default_rng(5).gamma(2.0, 5.0, len(GENES))
    rates = np.tile(mean, (labels.size, 1))
    for k, target in enumerate(TARGETS):
        rates[labels == target, GENES.index(target)] *= 0.1
        rates[np.ix_(labels == target, np.arange(4 * k, 4 * k + 16))] *= 1.0 + 0.5 * (k + 1)
    order = rng.permutation(labels.size)
    return anndata.AnnData(
        sp.csr_matrix(rng.poisson(rates[order]).astype(np.float32)),
        obs=pd.DataFrame({"target_gene": pd.Categorical(labels[order])}, index=[f"c{k}" for k in range(labels.size)]),
        var=pd.DataFrame(index=GENES),
    )


@pytest.fixture(scope="session")
def clean():
    """(prediction, reality) in memory; copy before changing."""
    return make_adata(1), make_adata(2)


@pytest.fixture
def pair(tmp_path, clean):
    """The pair on disk: paths of prediction and reality."""
    folder = tmp_path / "data"
    folder.mkdir()
    paths = folder / "pred.h5ad", folder / "real.h5ad"
    for adata, path in zip(clean, paths, strict=True):
        adata.write_h5ad(path)
    return paths
