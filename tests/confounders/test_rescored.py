"""Predictors that know a confounder alone, collapse, control, scopes, transforms."""

import anndata
import numpy as np
import pandas as pd
import pytest

import vcmetrics as vcm
from vcmetrics import baselines, confounders
from vcmetrics.datasets import demo

METRICS = ["pds_cosine", "delta_pearson"]


@pytest.fixture(scope="module")
def screen_halves():
    about = demo()
    how = {"pert_col": about.pert_col, "control": about.control}
    return (*baselines.halves(about.path, **how), how)


def test_known_only_is_made_of_the_baselines(screen_halves):
    truth, again, how = screen_halves
    got = confounders.known_only(again, truth, train=again, metrics=METRICS, n_resamples=200, **how)
    score = {"metrics": METRICS, **how}
    model = vcm.score(again, truth, **score).aggregate_values
    assert list(got.index) == [(m, p) for m in model for p in confounders.PREDICTORS]
    for name, kind in (("cells and depth", "nearest-by-depth"), ("systematic variation", "perturbed-mean")):
        made = vcm.score(baselines.make(kind, truth, train=again, **how), truth, **score).aggregate_values
        null = vcm.score(baselines.no_change(truth, **how), truth, **score).aggregate_values
        for metric in METRICS:
            row = got.loc[(metric, name)]
            assert row[["value", "no_change", "model"]].tolist() == [made[metric], null[metric], model[metric]]
            if not row["reason"]:
                share = (made[metric] - null[metric]) / (model[metric] - null[metric])
                assert row["share"] == pytest.approx(share)
                assert row["lower"] <= row["share"] <= row["upper"]


def test_predictors_know_what_they_say(screen_halves):
    truth, again, how = screen_halves
    made = confounders.predictors(truth, train=again, n_cells=3000, **how)

    def table(adata):
        found = vcm.pseudobulk(adata, pert_col=how["pert_col"])
        return found.to_df()

    real, control = table(truth), table(truth).loc[how["control"]]
    known = table(made["knock-down"])
    for label in ("STAT1", "JAK2"):
        moved = (known.loc[label] - control).abs().sort_values(ascending=False)
        assert moved.index[0] == label  # the own gene alone
        assert known.loc[label, label] == pytest.approx(real.loc[label, label], abs=0.1)
    stretched = table(made["magnitude"])
    for label in ("STAT1", "IFNGR1"):
        want = np.linalg.norm(real.loc[label] - control)
        assert np.linalg.norm(stretched.loc[label] - control) == pytest.approx(want, rel=0.15)
    with pytest.raises(TypeError, match="no argument 'emit'"):
        confounders.predictors(truth, emit="tile", **how)


def test_a_copy_of_the_confounder_reaches_everything(screen_halves):
    truth, again, how = screen_halves
    model = baselines.perturbed_mean(truth, train=again, **how)
    got = confounders.known_only(model, truth, train=again, metrics=["delta_pearson"], **how)
    row = got.loc[("delta_pearson", "systematic variation")]
    assert row["share"] == pytest.approx(1.0)
    nothing = confounders.known_only(
        baselines.no_change(truth, **how), truth, train=again, metrics=["delta_pearson"], **how
    )
    assert (nothing["reason"] != "").all()
    assert nothing["share"].isna().all()


def test_collapse():
    rng = np.random.default_rng(0)
    real = pd.DataFrame(rng.normal(size=(12, 40)), index=[f"p{k}" for k in range(12)])
    one = confounders.collapse(real, real, control=None)
    np.testing.assert_allclose(one["ratio"], 1.0)
    shared = real * 0 + rng.normal(size=40)
    flat = confounders.collapse(shared, real, control=None)
    assert flat.loc["mean_pairwise_cosine", "pred"] == pytest.approx(1.0)
    assert flat.loc["dispersion", "ratio"] == pytest.approx(0.0, abs=1e-12)
    assert flat.loc["effective_rank", "pred"] == pytest.approx(1.0)
    half = confounders.collapse(0.5 * real, real, control=None)
    assert half.loc["dispersion", "ratio"] == pytest.approx(0.5)
    size = np.linalg.svd(real, compute_uv=False)
    share = size / size.sum()
    assert one.loc["effective_rank", "real"] == pytest.approx(np.exp(-(share @ np.log(share))))
    assert confounders.effective_rank(np.eye(5)) == pytest.approx(5)
    assert np.isnan(confounders.effective_rank(np.zeros((3, 3))))


def test_magnitudes():
    rng = np.random.default_rng(1)
    real = pd.DataFrame(rng.normal(size=(15, 9)) * rng.uniform(0.2, 5, (15, 1)), index=[f"p{k}" for k in range(15)])
    size = np.linalg.norm(real, axis=1)
    pred = real.mul(2.0 / np.sqrt(size), axis=0)  # strong effects predicted too weak
    table = confounders.magnitudes(pred, real, control=None)
    np.testing.assert_allclose(table.loc[real.index, "real"], size)
    np.testing.assert_allclose(table.loc[real.index, "log_ratio"], np.log(2.0 / np.sqrt(size)))
    assert table.attrs["slope"] == pytest.approx(0.5)
    assert table.attrs["spearman"] == pytest.approx(1.0)
    flat = confounders.magnitudes(0 * real, real, control=None)
    assert flat["log_ratio"].isna().all()
    assert np.isnan(flat.attrs["slope"])


def test_collapse_of_cells(screen_halves):
    truth, again, how = screen_halves
    mean = baselines.perturbed_mean(truth, train=again, **how)
    table = confounders.collapse(mean, truth, **how)
    assert table.loc["mean_pairwise_cosine", "pred"] > table.loc["mean_pairwise_cosine", "real"] + 0.2
    assert table.loc["dispersion", "ratio"] < 0.3
    assert confounders.collapse(again, truth, **how).loc["dispersion", "ratio"] > 0.7


def test_control_tampering(screen_halves):
    truth, again, how = screen_halves
    honest = baselines.additive(truth, train=again, **how)  # carries the observed control
    assert not confounders.control_tampering(honest, truth, metrics=METRICS, **how)["flag"].any()
    tampered = honest.copy()
    rows = np.flatnonzero(tampered.obs[how["pert_col"]] == how["control"])
    x = tampered.X.tolil()
    x[rows, :50] = 0
    tampered.X = x.tocsr()
    table = confounders.control_tampering(tampered, truth, metrics=METRICS, **how)
    assert table.loc["delta_pearson", "flag"]
    assert table.loc["delta_pearson", "difference"] != 0


def test_target_scopes():
    """A prediction that knows nothing but its own target scores by its target alone."""
    rng = np.random.default_rng(0)
    genes = [f"G{k}" for k in range(30)]
    control = pd.Series(5.0, index=genes)
    real = pd.DataFrame(5 + 0.1 * rng.normal(size=(10, 30)), index=genes[:10], columns=genes)
    pred = pd.DataFrame(5.0, index=genes[:10], columns=genes)
    for g in genes[:10]:
        real.loc[g, g] = pred.loc[g, g] = 1.0
    real.loc["ctrl"] = pred.loc["ctrl"] = control
    table = confounders.target_scopes(pred, real, control="ctrl", top=5)
    assert table.loc["discrimination", "none"] == 1.0
    assert table.loc["discrimination", ["pair", "panel"]].tolist() == [0.5, 0.5]
    assert table.loc["pearson_delta", "none"] > 0.9
    assert table.loc["pearson_delta", "row"] == 0.0  # nothing is left of the prediction
    assert table.attrs["targets_in_top"] == 1.0


def test_transforms(screen_halves):
    truth, again, how = screen_halves
    table = confounders.transform_tests(again, truth, preset="vcc2026", metrics=METRICS, n_resamples=100, **how)
    assert set(table.loc["shuffled", "verdict"]) == {"as expected"}
    assert (table.loc["shuffled", "change"].abs() < 1e-12).all()
    assert set(table.loc["doubled", "verdict"]) == {"as expected"}  # counts are normalised
    assert table.loc["log1p again", "verdict"].str.startswith("refused: ").all()
    assert list(table.index.get_level_values("transform").unique()) == list(confounders.TRANSFORMS)
    with pytest.raises(ValueError, match="no transform 'rotated'"):
        confounders.transform_tests(again, truth, transforms=["rotated"], **how)


def test_a_gamed_metric_is_told():
    """Discrimination by L1 grows with the scale of effects that are too small."""
    rng = np.random.default_rng(0)
    n, genes = 12, [f"G{k}" for k in range(40)]
    effect = rng.normal(0, 1.0, (n, 40))
    rows, labels = [], []
    for k in range(n):
        rows += [3 + effect[k]] * 4
        labels += [f"p{k}"] * 4
    base = [np.full(40, 3.0)] * 8
    obs = pd.DataFrame({"p": labels + ["c"] * 8}, index=[f"x{k}" for k in range(len(labels) + 8)])

    def cells(values):
        x = np.maximum(np.array(values + base), 0).astype(np.float32)
        return anndata.AnnData(x, obs=obs.copy(), var=pd.DataFrame(index=genes))

    truth, weak = cells(rows), cells([0.5 * r for r in rows])
    # means of 1.5 against a control of 3: doubling puts the profiles where the truth is
    table = confounders.transform_tests(
        weak, truth, preset="vcc2025", metrics=["mae"], pert_col="p", control="c", transforms=["doubled"]
    )
    assert table.loc[("doubled", "mae"), "verdict"] == "GAMED"


def test_known_only_with_layers(screen_halves):
    truth, again, how = screen_halves
    moved = []
    for x in (truth, again):
        y = x.copy()
        y.layers["counts"], y.X = y.X, y.X * 0
        moved.append(y)
    got = confounders.known_only(
        moved[1], moved[0], train=moved[1], metrics=["delta_pearson"], layer="counts", n_resamples=50, **how
    )
    want = confounders.known_only(again, truth, train=again, metrics=["delta_pearson"], n_resamples=50, **how)
    pd.testing.assert_frame_equal(got, want)
