"""`differential_expression` in the modes that the scorers do not use, against pdex 0.3.0."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import vcmetrics as vcm

GOLDEN = Path(__file__).parents[1] / "golden" / "cell_eval"
LOGGED = {
    "pert_col": "target_gene",
    "input_type": "lognorm",
    "mean": "geometric",
}


@pytest.mark.parametrize("mode", ["all", "on_target"])
def test_modes(mode):
    real = GOLDEN / "inputs" / "base_real.h5ad"
    got = vcm.differential_expression(real, mode=mode, **LOGGED).set_index(["target", "feature"])
    want = pd.read_csv(GOLDEN / "cell_eval_0.8.2" / "pdex_modes" / f"base_real_{mode}.csv")
    want = want.set_index(["target", "feature"])
    assert len(got) == len(want)
    assert list(got.columns) == list(want.columns)
    got = got.loc[want.index]
    for column in want.columns:
        # the peer sums float32 values in float32, and takes the rest as a difference of such sums: a constant gene,
        # whose fold change is 0, has -1.3e-5 there
        single = "mean" in column or "change" in column
        limit = 2e-5 if single else 1e-9
        np.testing.assert_allclose(got[column], want[column], rtol=limit, atol=limit, err_msg=column)


def test_one_label_against_the_rest_is_a_test_against_pooled_cells():
    import anndata

    adata = anndata.read_h5ad(GOLDEN / "inputs" / "counts_real.h5ad")
    every = vcm.differential_expression(adata, pert_col="target_gene", mode="all").set_index(["target", "feature"])
    for label in adata.obs["target_gene"].unique()[:3]:
        pooled = adata.copy()
        pooled.obs["side"] = np.where(pooled.obs["target_gene"].astype(str) == label, "it", "rest")
        one = vcm.differential_expression(pooled, pert_col="side", control="rest").set_index("feature")
        mine = every.loc[label]
        np.testing.assert_array_equal(mine["statistic"], one["statistic"])
        np.testing.assert_allclose(mine["p_value"], one["p_value"], rtol=1e-14)
        np.testing.assert_allclose(mine["target_mean"], one["target_mean"], rtol=1e-13)
        np.testing.assert_allclose(mine["ref_mean"], one["ref_mean"], rtol=1e-12, atol=1e-12)


def test_bad_arguments_are_named():
    real = GOLDEN / "inputs" / "counts_real.h5ad"
    with pytest.raises(ValueError, match="mode 'pairwise' is not known"):
        vcm.differential_expression(real, pert_col="target_gene", mode="pairwise")
    with pytest.raises(vcm.DataError, match="'guide' is not a column"):
        vcm.differential_expression(real, pert_col="guide")
    with pytest.raises(vcm.DataError, match="no cell is labelled"):
        vcm.differential_expression(real, pert_col="target_gene", control="DMSO")


@pytest.mark.parametrize("space", ["log_of_sums", "mean_of_logs", "mean", "sum"])
def test_pseudobulk_spaces(space):
    import anndata

    adata = anndata.read_h5ad(GOLDEN / "inputs" / "counts_real.h5ad")
    x = adata.X.toarray().astype(np.float64)
    depth = np.maximum(x.sum(1, keepdims=True), 1)
    labels = adata.obs["target_gene"].astype(str).to_numpy()
    got = vcm.pseudobulk(adata, pert_col="target_gene", space=space)
    assert got.obs_names.tolist() == sorted(set(labels))
    for label in got.obs_names:
        cells = x[labels == label]
        want = {
            "sum": cells.sum(0),
            "mean": cells.mean(0),
            "mean_of_logs": np.log1p(5e4 * cells / depth[labels == label]).mean(0),
            "log_of_sums": np.log1p(5e4 * cells.sum(0) / cells.sum()),
        }[space]
        np.testing.assert_allclose(got[label].X.ravel(), want, rtol=1e-12)
        assert got.obs.loc[label, "n_cells"] == len(cells)
