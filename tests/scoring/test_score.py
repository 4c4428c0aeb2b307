"""What `score` accepts, refuses and leaves alone; laws that hold for any data."""

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import vcmetrics as vcm
from vcmetrics import DataError

A = Path(__file__).parents[1] / "golden" / "cell_eval2" / "inputs"
PRED, REAL = A / "a_noise.h5ad", A / "a_real.h5ad"


@pytest.fixture
def pair():
    return ad.read_h5ad(PRED), ad.read_h5ad(REAL)


def values(result):
    return {m: v.filled(np.nan) for m, v in result.contexts[0].values.items()}


def same(a, b):
    a, b = values(a), values(b)
    assert list(a) == list(b)
    for metric in a:
        np.testing.assert_array_equal(a[metric], b[metric], err_msg=metric)


def test_a_file_and_an_object_score_alike_and_stay_as_they_were(pair):
    pred, real = pair
    before = [(x.X.data.copy(), x.X.indices.copy(), x.obs.copy()) for x in pair]
    same(vcm.score(pred, real), vcm.score(PRED, REAL))
    for x, (data, indices, obs) in zip(pair, before, strict=True):
        assert np.array_equal(x.X.data, data)
        assert np.array_equal(x.X.indices, indices)
        pd.testing.assert_frame_equal(x.obs, obs)


@pytest.mark.parametrize("layout", ["csr_array", "csc", "dense", "fortran", "int64", "float64", "explicit zeros"])
def test_the_layout_does_not_matter(pair, layout):
    pred, real = pair
    want = vcm.score(pred, real)
    for x in (pred, real):
        m = x.X.tocsr()
        if layout == "csr_array":
            x.X = sp.csr_array(m)
        elif layout == "csc":
            x.X = m.tocsc()
        elif layout in ("dense", "fortran"):
            x.X = np.asarray(m.toarray(), order="F" if layout == "fortran" else "C")
        elif layout == "explicit zeros":
            dense = m.tolil()
            m = dense.tocsr()
            row = np.repeat(np.arange(m.shape[0]), 1)
            extra = sp.csr_matrix((np.zeros(m.shape[0], m.dtype), (row, row % m.shape[1])), shape=m.shape)
            data = np.concatenate([m.data, extra.data])
            rows = np.concatenate([np.repeat(np.arange(m.shape[0]), np.diff(m.indptr)), row])
            cols = np.concatenate([m.indices, row % m.shape[1]])
            order = np.lexsort((cols, rows))
            indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=m.shape[0]))])
            x.X = sp.csr_matrix((data[order], cols[order], indptr), shape=m.shape)
        else:
            x.X = m.astype(layout)
    same(vcm.score(pred, real), want)


def test_the_order_of_cells_does_not_matter_beyond_rounding(pair):
    pred, real = pair
    rng = np.random.default_rng(3)
    shuffled = [x[rng.permutation(x.n_obs)].copy() for x in pair]
    a, b = values(vcm.score(pred, real)), values(vcm.score(*shuffled))
    for metric in a:
        np.testing.assert_allclose(a[metric], b[metric], rtol=1e-12, atol=1e-14, err_msg=metric)


def test_a_prediction_needs_no_control_cells(pair):
    pred, real = pair
    bare = pred[pred.obs["target"] != "non-targeting"].copy()
    same(vcm.score(bare, real), vcm.score(pred, real))
    with pytest.raises(DataError, match="the prediction's own control cells"):
        vcm.score(bare, real, overrides={"control_source": "pred", "prediction_needs_control": True})


def test_genes_are_aligned_by_name_where_the_preset_allows_it(pair):
    pred, real = pair
    order = np.random.default_rng(0).permutation(pred.n_vars)
    with pytest.raises(DataError, match="order differs"):
        vcm.score(pred[:, order].copy(), real)
    free = {"same_gene_order": False}
    got = vcm.score(pred[:, order].copy(), real, overrides=free)
    same(got, vcm.score(pred, real, overrides=free))


def test_labels_that_are_no_genes_need_a_map(pair):
    pred, real = pair
    targets = {}
    for x in pair:
        labels = x.obs["target"].astype(str)
        targets = {f"KO {t}": t for t in labels.unique() if t != "non-targeting"}
        x.obs["target"] = [t if t == "non-targeting" else f"KO {t}" for t in labels]
    with pytest.raises(DataError, match="--target-map"):
        vcm.score(pred, real)
    got, want = vcm.score(pred, real, target_map=targets), vcm.score(PRED, REAL)
    for metric, column in values(want).items():
        np.testing.assert_allclose(values(got)[metric], column, rtol=1e-13, err_msg=metric)
    assert got.contexts[0].unresolved == ()
    some = vcm.score(pred, real, target_map={"KO GENE006": "GENE006"})
    assert len(some.contexts[0].unresolved) == len(targets) - 1
    without = vcm.score(pred, real, target_map={"*": None})
    assert without.contexts[0].unresolved == ()
    assert without.aggregate_values["pds_cosine"] != want.aggregate_values["pds_cosine"]
    # the DE metrics of version 1 leave no gene out, so they ask for none; its match ranks do
    assert vcm.score(pred, real, preset="cell-eval2-v1", profile="de").aggregate_values
    for refused in ({"preset": "cell-eval2-v1", "profile": "pds"}, {"preset": "cell-eval2", "profile": "de"}):
        with pytest.raises(DataError, match="--target-map"):
            vcm.score(pred, real, **refused)


def test_contexts_are_scored_apart_and_averaged(pair):
    both = []
    for x in pair:
        parts = [x.copy(), x.copy()]
        for name, part in zip("AB", parts, strict=True):
            part.obs["context"] = name
        both.append(ad.concat(parts, index_unique="-"))
    result = vcm.score(*both, context_col="context")
    assert [c.context for c in result.contexts] == ["A", "B"]
    alone = vcm.score(*pair)
    for c in result.contexts:
        assert c.aggregate == alone.contexts[0].aggregate
    assert result.per_perturbation.index.names == ["context", "perturbation"]
    assert result.aggregate["pds_cosine"] == alone.aggregate["pds_cosine"]


def test_contexts_that_differ_are_named(pair):
    pred, real = pair
    pred.obs["context"], real.obs["context"] = "A", "B"
    with pytest.raises(DataError, match=r"different contexts.*'B'.*'A'"):
        vcm.score(pred, real, context_col="context")


def test_a_panel_without_effects_has_rows_and_a_reason_but_no_ratio(pair):
    _, real = pair
    rng = np.random.default_rng(1)
    control = real[real.obs["target"] == "non-targeting"]
    parts = []
    for label in ("GENE006", "GENE028", "GENE029"):
        part = control[rng.integers(0, control.n_obs, 5)].copy()
        part.obs["target"] = label
        parts.append(part)
    null = ad.concat([control, *parts], index_unique="-")
    result = vcm.score(null, null, scale="baseline")
    assert np.isnan(result.aggregate_values["expr_mse_unbiased_capped_norm"])
    assert "expr_mse_unbiased_capped_norm" in result.reasons
    assert np.isfinite(values(result)["expr_distance_unbiased"]).all()
    assert np.isnan(result.overall)


def test_a_reference_at_hand_as_a_summary(tmp_path):
    whole = vcm.score(PRED, REAL, cache=tmp_path)
    (file,) = tmp_path.glob("reference-*.npz")
    same(vcm.score(PRED, vcm.GroupSummary.load(file)), whole)


def test_a_reference_summarised_by_hand():
    real = vcm.summarize(REAL, pert_col="target")
    same(vcm.score(PRED, real), vcm.score(PRED, REAL))
    with pytest.raises(DataError, match="lacks tables"):
        vcm.score(PRED, vcm.summarize(REAL, pert_col="target", fields=["sum", "jackknife"]))
    gated = vcm.summarize(REAL, pert_col="target", gate=500.0)
    with pytest.raises(DataError, match="lower gate="):
        vcm.score(PRED, gated)


def test_metrics_by_name_and_alias():
    result = vcm.score(PRED, REAL, metrics=["pds_cosine", "mae"])
    assert list(result.aggregate_values) == ["pds_cosine", "expr_mae"]
    with pytest.raises(ValueError, match="did you mean"):
        vcm.score(PRED, REAL, metrics=["pds_cosin"])


def test_a_metric_without_its_extra_is_left_out_of_a_profile(monkeypatch):
    from vcmetrics.scoring import settings

    folder = A.parents[1] / "cell_eval" / "inputs"
    pair = folder / "tiny_pred.h5ad", folder / "tiny_real.h5ad"
    monkeypatch.setitem(settings.EXTRAS, "cluster", ("a_package_that_nobody_has",))
    with pytest.warns(vcm.VcmetricsWarning, match=r"clustering_agreement is left out.*vcmetrics\[cluster\]"):
        result = vcm.score(*pair, preset="cell-eval")
    assert "clustering_agreement" not in result.aggregate_values
    assert "pearson_edistance" in result.aggregate_values


def test_a_gpu_is_refused_with_a_reason():
    with pytest.raises(vcm.DeviceError, match="CUDA"):
        vcm.score(PRED, REAL, device="cuda")


def test_single_precision_profiles_of_a_gpu_bundle():
    import json

    stored = A.parent / "internals" / "float32_profile_metrics.json"
    want = json.loads(stored.read_text())["noise"]
    got = vcm.score(PRED, REAL, arithmetic="gpu32")
    (context,) = got.contexts
    for metric, column in want.items():
        if isinstance(column, dict):
            ours = dict(zip(context.perturbations, context.values[metric], strict=True))
            for label, value in column.items():
                assert ours[label] == pytest.approx(value, rel=1e-12, abs=1e-15), (metric, label)
        else:
            assert got.aggregate_values[metric] == pytest.approx(column, rel=1e-12)


@pytest.mark.parametrize("side", ["real", "pred"])
def test_single_precision_tests_are_those_of_the_gpu_engine(side):
    want = pd.read_parquet(A.parent / "gpudge_arith" / f"de_{side}.parquet").set_index(["target", "feature"])
    got = vcm.score(PRED, REAL, arithmetic="gpu32", preset="cell-eval2")
    got = getattr(got, f"de_{side}").set_index(["target", "feature"])
    assert len(got) == len(want)
    got = got.loc[want.index]
    np.testing.assert_allclose(got["p_value"], want["p_value"], rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(got["log2_fold_change"], want["log2_fold_change"], rtol=1e-6, atol=1e-7)


BAD = {
    "negative": (lambda x: x.__setitem__(0, -1), r"must not be negative.*-1 in cell"),
    "NaN": (lambda x: x.__setitem__(0, np.nan), "NaN or infinite"),
    "infinite": (lambda x: x.__setitem__(0, np.inf), "NaN or infinite"),
    "fractional": (lambda x: x.__setitem__(0, 0.5), "look log-normalised"),
    "too many": (lambda x: x.__setitem__(0, 2e6), "above the limit"),
}


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("kind", BAD)
def test_bad_counts_are_refused(pair, kind, which):
    spoil, message = BAD[kind]
    pair[which].X = pair[which].X.astype(np.float64)
    spoil(pair[which].X.data)
    with pytest.raises(DataError, match=message) as caught:
        vcm.score(*pair)
    assert "\n" not in str(caught.value)


def test_log_normalised_presets_refuse_counts(pair):
    with pytest.raises(DataError, match="every value is a whole number"):
        vcm.score(*pair, preset="cell-eval2", overrides={"input_type": "lognorm"})


def test_other_bad_input_is_named(pair):
    pred, real = pair
    with pytest.raises(DataError, match="'guide' is not a column"):
        vcm.score(pred, real, pert_col="guide")
    with pytest.raises(DataError, match="no cell is labelled 'DMSO'"):
        vcm.score(pred, real, control="DMSO")
    with pytest.raises(DataError, match="genes"):
        vcm.score(pred[:, :-1].copy(), real)
    fewer = pred[pred.obs["target"] != "GENE006"].copy()
    with pytest.raises(DataError, match="'GENE006'"):
        vcm.score(fewer, real)
    double = real.copy()
    double.var_names = ["X", "X", *double.var_names[2:]]
    with pytest.raises(DataError, match="more than once"):
        vcm.score(double, double)
