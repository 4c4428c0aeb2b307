"""Effect correlations: every reference and gene set, closed forms, undefined values, targets, bad input."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

import vcmetrics as vcm
from vcmetrics.reference.effect_correlation import effect_correlation as slow
from vcmetrics.reference.effect_reference import effect_reference as slow_reference

GENES = [f"g{k:02d}" for k in range(40)]
LABELS = ["g01", "g02", "g05", "g01+g02", "drug", "g07"]


def tables(seed=0):
    rng = np.random.default_rng(seed)
    real = rng.normal(size=(7, 40)) + 4
    pred = 0.4 * real + rng.normal(size=real.shape) + 2
    return pd.DataFrame(pred, [*LABELS, "ctrl"], GENES), pd.DataFrame(real, [*LABELS, "ctrl"], GENES)


def plain(frame):
    kept = frame.drop("ctrl")
    return kept.to_numpy(), list(kept.index)


def equal_cells(profiles, sizes):
    """Cells that all equal the profile of their label."""
    cells = profiles.loc[np.repeat(profiles.index, sizes)]
    obs = pd.DataFrame({"pert": list(cells.index)}, index=[f"c{k}" for k in range(len(cells))])
    return anndata.AnnData(cells.to_numpy(), obs, pd.DataFrame(index=profiles.columns))


@pytest.mark.parametrize("leave_one_out", [True, False])
@pytest.mark.parametrize("method", ["pearson", "spearman", "cosine"])
@pytest.mark.parametrize(
    "reference", ["control", "perturbed_mean", "perturbed_mean_cells", "condition_mean", "guide_count_mean", "none"]
)
def test_references(reference: str, method: str, leave_one_out: bool) -> None:
    pred, real = tables()
    real = real.rename({"g07": "g07+g05"})
    pred = pred.rename({"g07": "g07+g05"})
    sizes = [3, 1, 4, 1, 5, 2]
    how = {"control": "ctrl", "reference": reference, "method": method, "leave_one_out": leave_one_out}
    (x, labels), (y, _) = plain(pred), plain(real)
    if reference in ("perturbed_mean_cells", "guide_count_mean"):
        with pytest.raises(ValueError, match="weighs by cells, and a table of profiles has none"):
            vcm.effect_correlation(pred, real, **how)
        sides = [equal_cells(side, [*sizes, 2]) for side in (pred, real)]
        table = vcm.effect_correlation(*sides, pert_col="pert", space="mean", **how).loc[labels]
    else:
        table = vcm.effect_correlation(pred, real, **how)
    control = real.loc["ctrl"].to_numpy()
    if reference in ("control", "none"):
        base = np.tile(control if reference == "control" else 0 * control, (6, 1))
    else:
        base = slow_reference(
            reference,
            y,
            control,
            n_cells=np.array(sizes),
            labels=labels,
            train=np.ones(6, bool),
            leave_one_out=leave_one_out,
        )
    assert list(table.index) == labels
    np.testing.assert_allclose(table[method], slow(x, y, base, method=method), rtol=1e-11)
    targets = [[GENES.index(g) for g in label.split("+") if g in GENES] for label in labels]
    genes = [np.setdiff1d(np.arange(40), t) for t in targets]
    np.testing.assert_allclose(
        table[f"{method}_without_target"], slow(x, y, base, method=method, genes=genes), rtol=1e-11
    )
    np.testing.assert_array_equal(table["n_genes_without_target"], [g.size for g in genes])
    assert table["target"]["g01+g02"] == "g01+g02"
    assert table["target"].isna()["drug"]
    assert table.attrs["n_without_target_gene"] == 1
    assert (table["undefined"] == "").all()


def test_training_rows_only() -> None:
    pred, real = tables()
    table = vcm.effect_correlation(pred, real, control="ctrl", reference="perturbed_mean", train=["g01", "g02", "drug"])
    (x, labels), (y, _) = plain(pred), plain(real)
    base = slow_reference(
        "perturbed_mean",
        y,
        y[0],
        n_cells=np.ones(6),
        labels=labels,
        train=np.isin(labels, ["g01", "g02", "drug"]),
    )
    np.testing.assert_allclose(table["pearson"], slow(x, y, base), rtol=1e-11)
    with pytest.raises(vcm.DataError, match="train names perturbations that are not in the data: 'nobody'"):
        vcm.effect_correlation(pred, real, control="ctrl", train=["g01", "nobody"])


@pytest.mark.parametrize("kind", ["top_expressed:10", "top_effect:10", "de", "de:3", "list"])
def test_gene_sets(kind: str) -> None:
    pred, real = tables()
    (x, labels), (y, _) = plain(pred), plain(real)
    control = real.loc["ctrl"].to_numpy()
    rng = np.random.default_rng(2)
    q, lfc = rng.choice([0.001, 0.01, 0.2], (6, 40)), rng.normal(size=(6, 40))
    de = pd.DataFrame(
        {
            "target": np.repeat(labels, 40),
            "feature": GENES * 6,
            "log2_fold_change": lfc.ravel(),
            "p_value": q.ravel(),
            "fdr": q.ravel(),
        }
    )
    genes = ["g30", "g01", "g02", "g09", "g05"] if kind == "list" else kind
    table = vcm.effect_correlation(pred, real, control="ctrl", genes=genes, de=de)
    targets = [[GENES.index(g) for g in label.split("+") if g in GENES] for label in labels]

    def chosen(p, without):
        left = [g for g in range(40) if g not in without]
        if kind == "top_expressed:10":
            return sorted(left, key=lambda g: (-control[g], g))[:10]
        if kind == "top_effect:10":
            return sorted(left, key=lambda g: (-abs(y[p, g] - control[g]), g))[:10]
        if kind == "list":
            return [g for g in left if GENES[g] in genes]
        significant = [g for g in left if q[p, g] < 0.05]
        return sorted(significant, key=lambda g: (q[p, g], -abs(lfc[p, g]), g))[: 3 if kind == "de:3" else None]

    base = np.tile(control, (6, 1))
    for column, sets in (
        ("pearson", [chosen(p, []) for p in range(6)]),
        ("pearson_without_target", [chosen(p, t) for p, t in enumerate(targets)]),
    ):
        np.testing.assert_allclose(table[column], slow(x, y, base, genes=[np.array(s) for s in sets]), rtol=1e-11)
    assert table.attrs["oracle"] == (kind.partition(":")[0] in ("top_effect", "de"))


def test_shared_effect_predictor() -> None:
    """d_p = s + u_p, centred, s ⟂ u_p: predicting s scores ‖s‖/√(‖s‖² + ‖u_p‖²), and nothing about the mean."""
    rng = np.random.default_rng(0)
    s = rng.normal(size=40)
    s -= s.mean()
    control = rng.normal(size=40) + 5
    u = rng.normal(size=(8, 40)) * np.linspace(0.2, 3, 8)[:, None]
    u -= u.mean(1, keepdims=True)
    u -= np.outer(u @ s / (s @ s), s)
    index = [f"p{k}" for k in range(8)]
    real = pd.DataFrame(np.vstack([control + s + u, control]), [*index, "ctrl"], GENES)
    pred = pd.DataFrame(np.vstack([np.tile(control + s, (8, 1)), control]), [*index, "ctrl"], GENES)
    table = vcm.effect_correlation(pred, real, control="ctrl")
    want = np.linalg.norm(s) / np.sqrt(s @ s + (u * u).sum(1))
    np.testing.assert_allclose(table["pearson"], want, rtol=1e-12)
    # whatever serves as the mean of all, a prediction of it leaves nothing to correlate
    mean = real.drop("ctrl").mean()
    pred = pd.DataFrame(np.tile(mean, (9, 1)), [*index, "ctrl"], GENES)
    for method in ("pearson", "spearman", "cosine"):
        table = vcm.effect_correlation(
            pred, real, control="ctrl", reference="perturbed_mean", leave_one_out=False, method=method
        )
        assert table[method].isna().all()
        reason = f"predicted effect is {'zero' if method == 'cosine' else 'constant'}"
        assert table.attrs["undefined"] == {reason: 8}
        assert table.attrs["mean"] == 0
        assert np.isnan(table.attrs["mean_defined"])


def test_control_and_perfect_predictions() -> None:
    _, real = tables()
    unchanged = pd.DataFrame(np.tile(real.loc["ctrl"], (7, 1)), real.index, GENES)
    for method in ("pearson", "spearman", "cosine"):
        table = vcm.effect_correlation(unchanged, real, control="ctrl", method=method)
        assert table.attrs["n_undefined"] == 6
        assert vcm.effect_correlation(real, real, control="ctrl", method=method)[method].tolist() == [1.0] * 6
        np.testing.assert_allclose(
            vcm.effect_correlation(2 * real.loc["ctrl"] - real, real, control="ctrl", method=method)[method], -1
        )


def test_invariances() -> None:
    pred, real = tables()
    control = real.loc["ctrl"]
    for method in ("pearson", "spearman", "cosine"):
        want = vcm.effect_correlation(pred, real, control="ctrl", method=method)
        scaled = control + 3.5 * (pred - control)
        np.testing.assert_allclose(
            vcm.effect_correlation(scaled, real, control="ctrl", method=method)[method], want[method], rtol=1e-11
        )
        moved = vcm.effect_correlation(pred + 1.0, real, control="ctrl", method=method)[method]
        same = np.allclose(moved, want[method], rtol=1e-11)
        assert same == (method != "cosine")
        # a vector on all profiles and on the reference
        v = np.random.default_rng(3).normal(size=40)
        for reference in ("control", "perturbed_mean", "condition_mean"):
            a = vcm.effect_correlation(pred, real, control="ctrl", method=method, reference=reference)[method]
            b = vcm.effect_correlation(pred + v, real + v, control="ctrl", method=method, reference=reference)[method]
            np.testing.assert_allclose(a, b, rtol=1e-9)
        shuffled = vcm.effect_correlation(pred.iloc[::-1, ::-1], real, control="ctrl", method=method)
        np.testing.assert_allclose(shuffled[method], want[method], rtol=1e-12)


def test_the_target_alone() -> None:
    """A prediction of nothing but the target's own drop correlates, and is nothing without it."""
    _, real = tables()
    pred = pd.DataFrame(np.tile(real.loc["ctrl"], (7, 1)), real.index, GENES)
    for label in ("g01", "g02", "g05", "g07"):
        real.loc[label, label] = -8.0
        pred.loc[label, label] = -8.0
    table = vcm.effect_correlation(pred, real, control="ctrl").loc[["g01", "g02", "g05", "g07"]]
    assert (table["pearson"] > 0.7).all()
    assert table["pearson_without_target"].isna().all()


def make_cells(seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice(["ctrl", "g01", "g02", "g05"], 240)
    batches = rng.choice(["b1", "b2", "b3"], 240)
    contexts = rng.choice(["T", "B"], 240)
    base = np.random.default_rng(9).normal(size=(4, 40))
    x = base[[["ctrl", "g01", "g02", "g05"].index(x) for x in labels]] + rng.normal(size=(240, 40))
    x += np.where(batches == "b2", 2.0, 0.0)[:, None] * np.random.default_rng(1).normal(size=40)
    obs = pd.DataFrame(
        {"pert": labels, "batch": batches, "context": contexts, "donor": batches}, index=[f"c{k}" for k in range(240)]
    )
    return anndata.AnnData(x, obs, pd.DataFrame(index=GENES))


HOW = {"pert_col": "pert", "control": "ctrl", "space": "mean"}


def test_batch_matched_control_cell_by_cell() -> None:
    """Profiles less the batches' controls, weighted: the mean over cells of cell less its own batch's control."""
    pred, real = make_cells(0), make_cells(1)
    table = vcm.effect_correlation(pred, real, reference="batch_control", batch_col="batch", **HOW)
    x = real.to_df()
    controls = x[real.obs["pert"] == "ctrl"].groupby(real.obs["batch"]).mean()
    matched = controls.loc[real.obs["batch"]].to_numpy()
    for label in ("g01", "g02", "g05"):
        rows = (real.obs["pert"] == label).to_numpy()
        d = (x.to_numpy() - matched)[rows].mean(0)
        dh = pred.to_df()[(pred.obs["pert"] == label)].mean().to_numpy() - matched[rows].mean(0)
        assert table["pearson"][label] == pytest.approx(np.corrcoef(d, dh)[0, 1], rel=1e-10)
    lost = real[~((real.obs["pert"] == "ctrl") & (real.obs["batch"] == "b2"))].copy()
    with pytest.raises(vcm.DataError, match="1 of 3 batches hold perturbed cells and no control cell"):
        vcm.effect_correlation(pred, lost, reference="batch_control", batch_col="batch", **HOW)
    with pytest.raises(ValueError, match="needs batch_col="):
        vcm.effect_correlation(pred, real, reference="batch_control", **HOW)


def test_contexts_are_scored_alone() -> None:
    pred, real = make_cells(0), make_cells(1)
    for reference in ("control", "perturbed_mean_cells", "batch_control"):
        how = {**HOW, "reference": reference, "batch_col": "batch"}
        table = vcm.effect_correlation(pred, real, context_col="context", **how)
        for context in ("B", "T"):
            alone = vcm.effect_correlation(
                pred[pred.obs["context"] == context].copy(), real[real.obs["context"] == context].copy(), **how
            )
            pd.testing.assert_frame_equal(table.loc[context], alone, rtol=1e-12)


def test_means_over_samples() -> None:
    pred, real = make_cells(0), make_cells(1)
    table = vcm.effect_correlation(pred, real, reference="perturbed_mean", sample_col="donor", **HOW)
    x = real.to_df()
    rows = x.groupby([real.obs["donor"], real.obs["pert"]]).mean().drop("ctrl", level=1)
    for label in ("g01", "g02", "g05"):
        m = rows.drop(label, level=1).mean().to_numpy()
        d = x[real.obs["pert"] == label].mean().to_numpy() - m
        dh = pred.to_df()[pred.obs["pert"] == label].mean().to_numpy() - m
        assert table["pearson"][label] == pytest.approx(np.corrcoef(d, dh)[0, 1], rel=1e-10)


def test_undefined_is_said_and_counted() -> None:
    pred, real = tables()
    pred.loc["g01"] = real.loc["ctrl"] + 0.7  # constant, but not zero
    pred.loc["g02", "g09"] = np.nan
    table = vcm.effect_correlation(pred, real, control="ctrl")
    assert table["undefined"]["g01"] == "predicted effect is constant"
    assert table["undefined"]["g02"] == ""
    assert table["n_genes"]["g02"] == 39
    assert table.attrs["n_undefined"] == 1
    cosine = vcm.effect_correlation(pred, real, control="ctrl", method="cosine")
    assert cosine.attrs["n_undefined"] == 0
    assert table.attrs["mean"] == pytest.approx(table["pearson"].fillna(0).mean())
    assert table.attrs["mean_defined"] == pytest.approx(table["pearson"].mean())
    few = vcm.effect_correlation(pred, real, control="ctrl", genes=["g30"])
    assert set(few["undefined"]) == {"too few genes"}
    one = vcm.effect_correlation(
        pred.loc[["g05", "ctrl"]], real.loc[["g05", "ctrl"]], control="ctrl", reference="perturbed_mean"
    )
    assert one["undefined"].tolist() == ["no other perturbation to average"]
    assert one.attrs["n_undefined"] == 1


def test_a_mean_that_knows_more_than_its_reference() -> None:
    _, real = tables()
    rows = real.drop("ctrl")
    mean = pd.DataFrame(np.tile(rows.mean().to_numpy(), (7, 1)), real.index, GENES)
    how = {"control": "ctrl", "reference": "perturbed_mean"}
    np.testing.assert_allclose(vcm.effect_correlation(mean, real, **how)["pearson"], 1, rtol=1e-10)
    assert vcm.effect_correlation(mean, real, leave_one_out=False, **how).attrs["n_undefined"] == 6
    others = real.copy()
    others.loc[rows.index] = (rows.sum().to_numpy() - rows.to_numpy()) / 5
    assert vcm.effect_correlation(others, real, **how).attrs["n_undefined"] == 6


def test_target_map() -> None:
    pred, real = tables()
    how = {"control": "ctrl"}
    named = vcm.effect_correlation(pred, real, target_map={"drug": ["g03", "g04"], "g01": None}, **how)
    assert named["target"]["drug"] == "g03+g04"
    text = vcm.effect_correlation(pred, real, target_map={"drug": "g03+g04", "g01": None}, **how)
    pd.testing.assert_frame_equal(text, named)
    assert named["n_genes_without_target"]["drug"] == 38
    assert named["n_genes_without_target"]["g01"] == 40
    none = vcm.effect_correlation(pred, real, target_map={"*": None}, **how)
    np.testing.assert_array_equal(none["pearson"], none["pearson_without_target"])
    assert none.attrs["n_without_target_gene"] == 6


def test_threads_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    index = [f"p{k}" for k in range(150)]
    real = pd.DataFrame(rng.normal(size=(150, 900)), index)
    pred = pd.DataFrame(real + rng.normal(size=real.shape), index)
    for method in ("pearson", "spearman"):
        want = vcm.effect_correlation(pred, real, reference="perturbed_mean", method=method, n_threads=1)
        got = vcm.effect_correlation(pred, real, reference="perturbed_mean", method=method, n_threads=3)
        pd.testing.assert_frame_equal(got, want, check_exact=True)


def test_bad_input() -> None:
    pred, real = tables()
    for keywords, error, words in (
        ({"method": "kendall"}, ValueError, "method 'kendall' is not known"),
        ({"reference": "mean"}, ValueError, "reference 'mean' is not known"),
        ({"genes": "top_effect"}, ValueError, "genes='top_effect' is not known; pass all, top_expressed:K"),
        ({"genes": "top_effect:0"}, ValueError, "genes='top_effect:0' is not known"),
        ({"genes": ["g01", "nobody"]}, vcm.DataError, "1 of 2 genes of the list are not measured: 'nobody'"),
        ({"genes": "de"}, ValueError, "genes='de' needs de="),
        ({"train": "g01"}, TypeError, "train is the text 'g01'; pass a list"),
        ({"target_map": ["g01"]}, TypeError, "target_map is a list; pass a mapping"),
        ({"context_col": ["a"] * 7, "sample_col": "b"}, ValueError, "exclude each other"),
    ):
        with pytest.raises(error, match=words):
            vcm.effect_correlation(pred, real, control="ctrl", **keywords)
    with pytest.raises(vcm.DataError, match="different perturbations"):
        vcm.effect_correlation(pred.drop("g01"), real, control="ctrl")
    with pytest.raises(vcm.DataError, match="no control profile for reference='control'"):
        vcm.effect_correlation(pred.drop("ctrl"), real.drop("ctrl"))
    with pytest.raises(vcm.DataError, match="ranks by the effect against the control, and there is none"):
        vcm.effect_correlation(pred.drop("ctrl"), real.drop("ctrl"), reference="perturbed_mean", genes="top_effect:3")
    table = pd.DataFrame({"target": ["g01"], "feature": ["g02"], "log2_fold_change": [1.0], "fdr": [0.01]})
    with pytest.raises(vcm.DataError, match="the DE table lacks 5 perturbations"):
        vcm.effect_correlation(pred, real, control="ctrl", genes="de", de=table)


def test_top_lists() -> None:
    from vcmetrics.metrics.gene_sets import top

    values = np.array([3.0, np.nan, 5.0, 3.0, 1.0, 3.0])
    everything = np.ones(6, bool)
    for k, want in ((1, [2]), (2, [0, 2]), (3, [0, 2, 3]), (5, [0, 2, 3, 4, 5]), (6, range(6)), (9, range(6))):
        np.testing.assert_array_equal(np.flatnonzero(top(values, k, everything)), list(want))
    np.testing.assert_array_equal(np.flatnonzero(top(values, 2, np.arange(6) > 2)), [3, 5])
    assert not top(values, 2, ~everything).any()
