"""Per-gene correlation: worked examples, the law of total covariance, closed forms, cells, intervals, bad input."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy import stats

import vcmetrics as vcm
from vcmetrics.reference import gene_correlation as slow

GENES = [f"g{k}" for k in range(12)]


def tables(n=30, seed=0):
    """Profiles with a control row, labels in no order."""
    rng = np.random.default_rng(seed)
    labels = [f"p{k:02d}" for k in range(n)]
    real = rng.normal(size=(n + 1, 12)) + 3
    pred = 3 + 0.5 * (real - 3) + rng.normal(size=real.shape)
    pred[:, 1] = 3.25
    pred[-1] = real[-1]
    index = [*labels, "ctrl"]
    order = rng.permutation(n + 1)
    return pd.DataFrame(pred, index, GENES), pd.DataFrame(real, index, GENES).iloc[order]


def cells(seed, labels, batches=None, sparse=True, names=None):
    rng = np.random.default_rng(seed)
    rates = 1 + np.array([[abs(hash_like(x, g)) for g in range(12)] for x in labels])
    counts = rng.poisson(rates * 3).astype(np.float32)
    obs = pd.DataFrame({"pert": labels}, index=names or [f"c{k}" for k in range(len(labels))])
    if batches is not None:
        obs["batch"] = batches
    return anndata.AnnData(sp.csr_matrix(counts) if sparse else counts, obs, pd.DataFrame(index=GENES))


def hash_like(label, g):
    return np.sin(sum(map(ord, label)) * 1.7 + g * 2.3) + 0.1 * g


def test_against_the_reference_and_scipy() -> None:
    pred, real = tables()
    table = vcm.gene_correlation(pred, real, control="ctrl", method="spearman")
    assert list(table.index) == GENES
    a, b = pred.drop("ctrl"), real.drop("ctrl").loc[[f"p{k:02d}" for k in range(30)]]
    for method in ("pearson", "spearman", "concordance"):
        want = slow.column_correlation(a.to_numpy(), b.to_numpy(), method=method)
        np.testing.assert_allclose(table[method], want, rtol=1e-12)
    assert table["spearman"]["g3"] == pytest.approx(stats.spearmanr(a["g3"], b["g3"])[0], rel=1e-13)
    np.testing.assert_allclose(table["dispersion_ratio"].drop("g1"), (a.std() / b.std()).drop("g1"), rtol=1e-12)
    signs = np.sign(a - real.loc["ctrl"]) == np.sign(b - real.loc["ctrl"])
    np.testing.assert_allclose(table["sign_agreement"], signs.mean())
    np.testing.assert_allclose(table["variance"], b.var(), rtol=1e-12)
    assert table["dispersion_ratio"]["g1"] == 0
    assert np.isnan(table["pearson"]["g1"])
    assert list(table["constant_pred"]) == [g == "g1" for g in GENES]
    assert table.attrs["n_undefined"] == 1
    assert table.attrs["share_constant_pred"] == 1 / 12


def test_worked_example() -> None:
    """Truth 1, 2, 3; prediction 1, 2, 6 and control 0: r = 5/√(2·14), ccc = 2(5/3)/(2/3 + 14/3 + 1)."""
    real = pd.DataFrame({"g": [1.0, 2.0, 3.0, 0.0]}, index=[*"ABC", "c"])
    pred = pd.DataFrame({"g": [1.0, 2.0, 6.0, -1.0]}, index=[*"ABC", "c"])
    row = vcm.gene_correlation(pred, real, control="c").loc["g"]
    assert row["pearson"] == pytest.approx(5 / np.sqrt(28), rel=1e-15)
    assert row["concordance"] == pytest.approx((10 / 3) / (2 / 3 + 14 / 3 + 1), rel=1e-15)
    assert row["dispersion_ratio"] == pytest.approx(np.sqrt(7), rel=1e-15)
    assert row["sign_agreement"] == 1
    down = pd.DataFrame({"g": [1.0, 2.0, 0.0, 5.0]}, index=[*"ABC", "c"])  # 0 is no direction
    assert vcm.gene_correlation(down, real, control="c").loc["g", "sign_agreement"] == pytest.approx(2 / 3)


def test_order_arrays_and_threads_do_not_matter() -> None:
    pred, real = tables()
    want = vcm.gene_correlation(pred, real, control="ctrl")
    got = vcm.gene_correlation(pred.iloc[::-1, ::-1], real.iloc[:, ::-1], control="ctrl", n_threads=3)
    pd.testing.assert_frame_equal(got.loc[GENES], want, rtol=1e-12)
    real = real.loc[pred.index]
    arrays = vcm.gene_correlation(
        pred.to_numpy(), real.to_numpy(), control="ctrl", labels=list(pred.index), var_names=GENES
    )
    pd.testing.assert_frame_equal(arrays, want)


def studies(n_per=8, seed=3):
    """Rows of three studies with strong offsets, one gene of them constant inside."""
    rng = np.random.default_rng(seed)
    names = np.repeat(["s1", "s2", "s3"], n_per)
    offset = {"s1": rng.normal(size=12) * 4, "s2": rng.normal(size=12) * 4, "s3": rng.normal(size=12) * 4}
    base = np.array([offset[s] for s in names])
    signal = rng.normal(size=base.shape)
    labels = [f"p{k % n_per}" for k in range(3 * n_per)]
    real = pd.DataFrame(base + signal, labels, GENES)
    pred = pd.DataFrame(base + 0.4 * signal + rng.normal(size=base.shape), labels, GENES)
    return pred, real, names


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_total_covariance(method: str) -> None:
    pred, real, names = studies()
    table = vcm.gene_correlation(pred, real, within=names, method=method)
    x, y = pred.to_numpy(), real.to_numpy()
    if method == "spearman":
        x, y = stats.rankdata(x, axis=0), stats.rankdata(y, axis=0)
    want = slow.decomposition(x, y, names)
    np.testing.assert_allclose(table["within"], want["within"], rtol=1e-11)
    np.testing.assert_allclose(table["between"], want["between"], rtol=1e-11)
    np.testing.assert_allclose(want["cov"], want["cov_within"] + want["cov_between"], rtol=1e-12)
    np.testing.assert_allclose(table[method], table["within_part"] + table["between_part"], rtol=0, atol=1e-14)
    spread = x.std(0) * y.std(0)
    np.testing.assert_allclose(table["within_part"], want["cov_within"] / spread, rtol=1e-11)
    np.testing.assert_allclose(
        table["within_averaged"], slow.averaged(pred.to_numpy(), real.to_numpy(), names, method=method), rtol=1e-11
    )
    assert (table["within_df"] == 24 - 3).all()
    assert (table["n_studies"] == 3).all()


def test_the_three_parts_satisfy_the_law_with_weights_and_gaps() -> None:
    from vcmetrics.metrics.study_parts import study_parts

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 9)), rng.normal(size=(50, 9))
    x[rng.random(x.shape) < 0.2] = np.nan
    codes = rng.integers(0, 4, 50)
    x[codes == 2, 5] = np.nan  # a study without a pair
    for weights in (None, rng.uniform(0, 3, 50)):
        p = study_parts(x, y, codes, weights=weights)
        np.testing.assert_allclose(p.cov, p.cov_within + p.cov_between, rtol=0, atol=1e-15)
    assert study_parts(x, y, codes).df[5] == np.isfinite(x[:, 5]).sum() - 3


def test_study_constants_move_the_whole_and_not_the_inside() -> None:
    pred, real, names = studies()
    shift = pd.DataFrame(
        np.array([{"s1": 5.0, "s2": -7.0, "s3": 30.0}[s] for s in names])[:, None] + np.zeros((24, 12)),
        pred.index,
        GENES,
    )
    a = vcm.gene_correlation(pred, real, within=names)
    b = vcm.gene_correlation(pred + shift, real, within=names)
    np.testing.assert_allclose(a["within"], b["within"], rtol=1e-10)
    np.testing.assert_allclose(a["within_averaged"], b["within_averaged"], rtol=1e-10)
    assert (abs(a["pearson"] - b["pearson"]) > 1e-3).all()


def test_one_study_is_the_whole() -> None:
    pred, real, _ = studies()
    table = vcm.gene_correlation(pred[:8], real[:8], within=["s"] * 8)
    np.testing.assert_allclose(table["within"], table["pearson"], rtol=1e-14)
    np.testing.assert_allclose(table["within_averaged"], table["pearson"], rtol=1e-12)
    assert table["between"].isna().all()
    np.testing.assert_array_equal(table["between_part"], 0)


def test_study_mean_predictor() -> None:
    """It knows the study and nothing else: correlated over all, undefined inside."""
    _, real, names = studies()
    mean = real.groupby(names).transform("mean")
    table = vcm.gene_correlation(mean, real, within=names)
    assert (table["pearson"] > 0.2).all()
    np.testing.assert_allclose(table["between"], 1, rtol=1e-12)
    np.testing.assert_allclose(table["pearson"], table["between_part"], rtol=1e-12)
    exact = pd.DataFrame(np.array([{"s1": 1.0, "s2": 2.0, "s3": 5.5}[s] for s in names])[:, None] + np.zeros((24, 12)))
    exact.index, exact.columns = real.index, GENES
    table = vcm.gene_correlation(exact, real, within=names)
    assert table["within"].isna().all()
    assert table["within_averaged"].isna().all()
    assert table["constant_pred_within"].all()
    assert (table["n_studies"] == 0).all()
    np.testing.assert_array_equal(table["within_part"], 0)


def test_constant_and_affine_predictions() -> None:
    _, real = tables()
    constant = pd.DataFrame(np.full(real.shape, 0.1), real.index, GENES)
    table = vcm.gene_correlation(constant, real, control="ctrl")
    assert table["pearson"].isna().all()
    assert (table["dispersion_ratio"] == 0).all()
    assert table.attrs["share_constant_pred"] == 1
    assert table.attrs["n_undefined"] == 12
    table = vcm.gene_correlation(2 * real + 5, real, control="ctrl")
    np.testing.assert_allclose(table["pearson"], 1, rtol=1e-14)
    np.testing.assert_allclose(table["dispersion_ratio"], 2, rtol=1e-13)
    assert (table["concordance"] < 1).all()
    perfect = vcm.gene_correlation(real, real, control="ctrl", method="spearman")
    assert (perfect[["pearson", "spearman", "concordance", "dispersion_ratio", "sign_agreement"]] == 1).all(axis=None)
    np.testing.assert_allclose(vcm.gene_correlation(-real, real, control="ctrl")["pearson"], -1, rtol=1e-14)


def test_filters_are_explicit() -> None:
    pred, real = tables()
    table = vcm.gene_correlation(pred, real, control="ctrl", min_expression=3.0, min_variance=0.8)
    rows = real.drop("ctrl")
    np.testing.assert_array_equal(table["included"], (rows.mean() >= 3.0) & (rows.var() >= 0.8))
    assert 0 < table["included"].sum() < 12
    assert table["pearson"].drop("g1").notna().all()  # what is not included is still told
    kept = table["pearson"][table["included"]]
    assert table.attrs["summary"]["median"]["value"] == pytest.approx(kept.median(), rel=1e-14)
    assert table.attrs["summary"]["q25"]["value"] == pytest.approx(kept.quantile(0.25), rel=1e-14)
    z = np.tanh(np.arctanh(kept.dropna()).mean())
    assert table.attrs["summary"]["fisher_mean"]["value"] == pytest.approx(z, rel=1e-13)


def make_cells(seed=0):
    labels = ["ctrl"] * 40 + [f"p{k % 6}" for k in range(90)]
    batches = ["b1" if k // 7 % 3 else "b2" for k in range(130)]
    return cells(seed, labels, batches)


@pytest.mark.parametrize("space", ["log_of_sums", "mean_of_logs", "mean", "sum"])
def test_cells_become_profiles(space: str, tmp_path) -> None:
    real, pred = make_cells(0), make_cells(1)
    got = vcm.gene_correlation(pred[::-1].copy(), real, pert_col="pert", control="ctrl", space=space)
    frames = []
    for side in (pred, real):
        bulk = vcm.pseudobulk(side, pert_col="pert", space=space)
        frames.append(pd.DataFrame(bulk.X, bulk.obs_names, GENES))
    want = vcm.gene_correlation(*frames, control="ctrl")
    pd.testing.assert_frame_equal(got, want, rtol=1e-13)
    real.write_h5ad(tmp_path / "real.h5ad")
    again = vcm.gene_correlation(
        pred[:, ::-1].copy(), tmp_path / "real.h5ad", pert_col="pert", control="ctrl", space=space
    )
    pd.testing.assert_frame_equal(again, want, rtol=1e-13)


def test_cells_within_batches() -> None:
    real, pred = make_cells(0), make_cells(1)
    how = {"pert_col": "pert", "control": "ctrl", "space": "mean"}
    table = vcm.gene_correlation(pred, real, within="batch", **how)
    rows = []
    for side in (pred, real):
        frame = side.to_df().astype(float).groupby([side.obs["batch"], side.obs["pert"]]).mean()
        rows.append(frame.drop("ctrl", level=1))
    want = slow.decomposition(rows[0].to_numpy(), rows[1].to_numpy(), rows[0].index.get_level_values(0).to_numpy())
    np.testing.assert_allclose(table["within"], want["within"], rtol=1e-11)
    np.testing.assert_allclose(table["between"], want["between"], rtol=1e-11)
    assert table.attrs["n_rows"] == 12
    weighted = vcm.gene_correlation(pred, real, within="batch", weights="cells", **how)
    assert (weighted["pearson"] != table["pearson"]).all()
    np.testing.assert_allclose(weighted["pearson"], weighted["within_part"] + weighted["between_part"], atol=1e-13)


@pytest.mark.parametrize("over", ["perturbations", "cells"])
def test_cells_without_a_label_are_left_out_and_told(over: str) -> None:
    rng = np.random.default_rng(0)
    real = anndata.AnnData(rng.poisson(5.0, (60, 4)).astype(np.float32))
    real.obs["pert"] = ["ctrl", "p0", "p1", "p2", "p3"] * 12
    real.obs["batch"] = ["b0"] * 30 + ["b1"] * 30
    pred = real.copy()
    pred.X = rng.poisson(5.0, (60, 4)).astype(np.float32)
    how = {"pert_col": "pert", "control": "ctrl", "within": "batch", "space": "mean", "over": over}
    lost = [3, 35, 37]
    keep = np.setdiff1d(np.arange(60), lost)
    want = vcm.gene_correlation(pred[keep].copy(), real[keep].copy(), **how)
    for side in (pred, real):
        side.obs.loc[side.obs_names[lost[:2]], "pert"] = None
        side.obs.loc[side.obs_names[lost[2]], "batch"] = None
    with pytest.warns(vcm.VcmetricsWarning, match="3 of 60 cells have no label in .*'pert'.* and are left out") as told:
        got = vcm.gene_correlation(pred, real, **how)
    assert {Path(warning.filename).name for warning in told} == {Path(__file__).name}
    pd.testing.assert_frame_equal(got, want)
    real.obs["pert"] = np.nan
    with pytest.raises(vcm.DataError, match="no cell has a label in"):
        vcm.gene_correlation(pred, real, **how)


def test_batch_control_takes_the_batch_out() -> None:
    real, pred = make_cells(0), make_cells(1)
    how = {"pert_col": "pert", "control": "ctrl", "space": "mean", "reference": "batch_control"}
    table = vcm.gene_correlation(pred, real, batch_col="batch", **how)
    moved = [side.copy() for side in (pred, real)]
    for side in moved:
        side.X = np.asarray(side.X.todense()) + np.where(side.obs["batch"] == "b1", 5.0, 0.0)[:, None]
    again = vcm.gene_correlation(*moved, batch_col="batch", **how)
    for column in ("pearson", "concordance", "dispersion_ratio", "sign_agreement"):
        np.testing.assert_allclose(again[column], table[column], rtol=1e-5)
    split = vcm.gene_correlation(pred, real, within="batch", **how)
    assert split["pearson"].notna().all()
    with pytest.raises(ValueError, match="needs batch_col="):
        vcm.gene_correlation(pred, real, **how)


def test_over_single_cells(tmp_path) -> None:
    labels = ["ctrl"] * 20 + [f"p{k % 4}" for k in range(1100)]
    names = [f"cell{k}" for k in range(1120)]
    batches = [f"b{k % 3}" for k in range(1120)]
    real, pred = (cells(seed, labels, batches, names=names) for seed in (0, 1))
    order = np.random.default_rng(0).permutation(1120)
    shuffled = pred[order].copy()[:, GENES[::-1]].copy()
    how = {"over": "cells", "space": "mean_of_logs", "target_sum": 1e4}
    table = vcm.gene_correlation(shuffled, real, pert_col="pert", control="ctrl", within="batch", **how)

    def logged(side):
        x = np.asarray(side.X.todense(), np.float64)
        return np.log1p(x * (1e4 / x.sum(1, keepdims=True)))

    keep = np.array(labels) != "ctrl"
    x, y, codes = logged(pred)[keep], logged(real)[keep], np.array(batches)[keep]
    np.testing.assert_allclose(table["pearson"], slow.column_correlation(x, y), rtol=1e-11)
    want = slow.decomposition(x, y, codes)
    np.testing.assert_allclose(table["within"], want["within"], rtol=1e-11)
    np.testing.assert_allclose(table["pearson"], table["within_part"] + table["between_part"], atol=1e-14)
    assert (table["n"] == 1100).all()
    shuffled.write_h5ad(tmp_path / "pred.h5ad")
    same = vcm.gene_correlation(
        tmp_path / "pred.h5ad", real, pert_col="pert", control="ctrl", within="batch", n_threads=3, **how
    )
    pd.testing.assert_frame_equal(same, table)
    weights = dict(zip(names, np.random.default_rng(1).uniform(0, 2, 1120), strict=True))
    got = vcm.gene_correlation(pred, real, over="cells", space="mean", weights=weights)
    w = np.array(list(weights.values()))
    want = slow.column_correlation(np.asarray(pred.X.todense()), np.asarray(real.X.todense()), weights=w)
    np.testing.assert_allclose(got["pearson"], want, rtol=1e-11)


def test_single_cells_must_be_the_same() -> None:
    real, pred = make_cells(0), make_cells(1)
    with pytest.raises(vcm.DataError, match=r"different cells by obs_names; only in real: 'c129'"):
        vcm.gene_correlation(pred[:129], real, over="cells", space="mean")
    twice = real.copy()
    twice.obs_names = ["c0"] * 2 + list(real.obs_names[2:])
    with pytest.raises(vcm.DataError, match="names of cells come more than once: 'c0'"):
        vcm.gene_correlation(pred, twice, over="cells", space="mean")
    with pytest.raises(ValueError, match="does not say what cells are compared as"):
        vcm.gene_correlation(pred, real, over="cells")
    with pytest.raises(ValueError, match="Pearson without intervals"):
        vcm.gene_correlation(pred, real, over="cells", space="mean", ci=0.9)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_intervals_are_the_plain_bootstrap(method: str) -> None:
    from vcmetrics.metrics.resample import resample_counts

    pred, real = tables(20)
    table = vcm.gene_correlation(pred, real, control="ctrl", method=method, ci=0.9, n_resamples=60, seed=5)
    a, b = (f.drop("ctrl").sort_index().to_numpy() for f in (pred, real))
    medians = []
    for counts in resample_counts(20, 60, 5):
        rows = np.repeat(np.arange(20), counts.astype(int))
        medians.append(np.nanmedian(slow.column_correlation(a[rows], b[rows], method=method)))
    low, high = np.quantile(medians, [0.05, 0.95])
    found = table.attrs["summary"]["median"]
    assert found["lower"] == pytest.approx(low, rel=1e-9)
    assert found["upper"] == pytest.approx(high, rel=1e-9)
    assert found["lower"] < found["value"] < found["upper"]
    again = vcm.gene_correlation(pred, real, control="ctrl", method=method, ci=0.9, n_resamples=60, seed=5, n_threads=2)
    assert again.attrs == table.attrs


def test_intervals_of_the_parts_draw_whole_perturbations() -> None:
    from vcmetrics.metrics.resample import resample_counts

    pred, real, names = studies()
    table = vcm.gene_correlation(pred, real, within=names, ci=0.8, n_resamples=40)
    order = np.lexsort([list(pred.index), names])
    x, y, s, p = pred.to_numpy()[order], real.to_numpy()[order], names[order], pred.index.to_numpy()[order]
    units = np.unique(p, return_inverse=True)[1]
    medians = {"within": [], "between": []}
    for counts in resample_counts(8, 40, 0):
        rows = np.repeat(np.arange(24), counts[units].astype(int))
        parts = slow.decomposition(x[rows], y[rows], s[rows])
        for name, found in medians.items():
            found.append(np.median(parts[name]))
    for name, found in medians.items():
        ends = table.attrs[f"summary_{name}"]["median"]
        np.testing.assert_allclose([ends["lower"], ends["upper"]], np.quantile(found, [0.1, 0.9]), rtol=1e-9)


def test_gaps_in_tables() -> None:
    pred, real = tables()
    pred.loc["p03", "g4"] = np.nan
    real.loc["p05", "g4"] = np.inf
    table = vcm.gene_correlation(pred, real, control="ctrl", ci=0.9, n_resamples=20)
    assert table["n"]["g4"] == 28
    kept = [x for x in pred.index if x not in ("p03", "p05", "ctrl")]
    assert table["pearson"]["g4"] == pytest.approx(np.corrcoef(pred.loc[kept, "g4"], real.loc[kept, "g4"])[0, 1])


def test_few_rows() -> None:
    pred, real = tables(1)
    table = vcm.gene_correlation(pred, real, control="ctrl", ci=0.9, n_resamples=10)
    assert table["pearson"].isna().all()
    assert table["dispersion_ratio"].isna().all()
    assert table.attrs["n_undefined"] == 12
    assert np.isnan(table.attrs["summary"]["median"]["lower"])


def test_bad_input() -> None:
    pred, real = tables()
    twice = pd.concat([pred, pred.iloc[:1]])
    for arguments, keywords, error, words in (
        ((pred.drop("p03"), real), {}, vcm.DataError, "different perturbations; only in real: 'p03'; remove or add"),
        ((pred, real.drop(columns="g2")), {}, vcm.DataError, "genes of pred are not in real: 'g2'"),
        ((twice, real), {}, vcm.DataError, "pred: rows come more than once: 'p00'"),
        ((pred, real), {"method": "kendall"}, ValueError, "method 'kendall' is not known"),
        ((pred, real), {"method": "spearman", "weights": "cells"}, ValueError, "no meaning for ranks"),
        ((pred, real), {"weights": "n"}, ValueError, "weights='n' is not known"),
        ((pred, real), {"weights": "cells"}, ValueError, "a table of profiles has no cells"),
        ((pred, real), {"reference": "guide_count_mean"}, ValueError, "a table of profiles has none"),
        ((pred, real), {"n_min": 3}, ValueError, "n_min is 3; .*it is at least 4"),
        ((pred, real), {"weights": {"p00": 1}}, ValueError, "weights= must map every perturbation"),
        ((pred, real), {"reference": "mean"}, ValueError, "reference 'mean' is not known"),
        ((pred, real), {"ci": 95}, ValueError, "ci is 95; pass a share between 0 and 1"),
        ((pred, real), {"over": "genes"}, ValueError, "over='genes' is not known"),
        ((pred.to_numpy(), real.to_numpy()), {}, ValueError, "real is a bare array; pass labels="),
        ((pred, real), {"within": ["a"]}, vcm.DataError, "within= has 1 entries for 31 rows"),
        ((pred.loc[["ctrl"]], real.loc[["ctrl"]]), {}, vcm.DataError, "every row is labelled 'ctrl'"),
        ((make_cells(), make_cells()), {}, ValueError, "real holds cells; pass pert_col="),
        ((make_cells(), make_cells()), {"pert_col": "x"}, vcm.DataError, "'x' is not a column of obs"),
        ((make_cells(), make_cells()), {"pert_col": "pert", "space": "raw"}, ValueError, "space 'raw' is not known"),
        ((pred, real), {"device": "cuda"}, vcm.DeviceError, "no CUDA kernels yet"),
    ):
        with pytest.raises(error, match=words):
            vcm.gene_correlation(*arguments, **{"control": "ctrl", **keywords})
    with pytest.raises(vcm.DataError, match="no control profile for reference='control'"):
        vcm.gene_correlation(pred.drop("ctrl"), real.drop("ctrl"), reference="control")
    assert vcm.gene_correlation(pred.drop("ctrl"), real.drop("ctrl")).attrs["reference"] == "none"


def test_inputs_stay() -> None:
    pred, real = tables()
    before = pred.copy(), real.copy()
    vcm.gene_correlation(pred, real, control="ctrl", method="spearman", ci=0.9, n_resamples=5)
    pd.testing.assert_frame_equal(pred, before[0])
    pd.testing.assert_frame_equal(real, before[1])


def test_storage_does_not_matter() -> None:
    """Dense, CSR and CSC cells, float32 and float64, one or more threads: the same numbers."""
    real, pred = make_cells(0), make_cells(1)
    how = {"pert_col": "pert", "control": "ctrl", "within": "batch", "method": "spearman"}
    want = vcm.gene_correlation(pred, real, **how)
    for convert in (lambda x: x.toarray(), lambda x: x.tocsc(), lambda x: x.astype(np.float64)):
        sides = [pred.copy(), real.copy()]
        for side in sides:
            side.X = convert(side.X)
        pd.testing.assert_frame_equal(vcm.gene_correlation(*sides, n_threads=2, **how), want, check_exact=True)


def test_a_reference_without_the_row_would_leak() -> None:
    """Why means include all rows here: less leave-one-out means, a constant prediction follows the truth."""
    from vcmetrics.summary.effect_reference import effect_reference

    _, real = tables()
    y = real.drop("ctrl").to_numpy()
    base = effect_reference("perturbed_mean", y)
    leaked = slow.column_correlation(np.zeros_like(y) - base, y - base)
    np.testing.assert_allclose(leaked, 1, rtol=1e-9)
    constant = pd.DataFrame(np.zeros_like(y), real.drop("ctrl").index, GENES)
    table = vcm.gene_correlation(constant, real.drop("ctrl"), reference="perturbed_mean")
    assert table["pearson"].isna().all()


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_the_same_bits_on_every_instruction_set(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from vcmetrics import _core

    pred, real, names = studies()
    how = {"within": names, "method": method, "ci": 0.9, "n_resamples": 30}
    want = vcm.gene_correlation(pred, real, **how)
    for isa in _core.isa_available():
        monkeypatch.setenv("VCMETRICS_ISA", isa)
        for n_threads in (1, 2, 3, 7):
            got = vcm.gene_correlation(pred, real, n_threads=n_threads, **how)
            pd.testing.assert_frame_equal(got, want, check_exact=True)
            assert got.attrs == want.attrs
