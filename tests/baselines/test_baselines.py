"""Every baseline against a brute force written from its definition, cell by cell."""

import re

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.sparse import csr_matrix

import vcmetrics as vcm
from vcmetrics import baselines

TS = 5e4
HOW = {"pert_col": "pert", "control": "ctrl", "context_col": "cell", "emit": "profiles"}


def cells_of(adata, label, context):
    chosen = (adata.obs["pert"] == label) & (adata.obs["cell"] == context)
    return adata.X[np.flatnonzero(chosen)].toarray().astype(float)


def profile(cells, space):
    if space == "mean":
        return cells.mean(0)
    if space == "log_of_sums":
        return np.log1p(TS * cells.sum(0) / cells.sum())
    return np.log1p(TS * cells / cells.sum(1, keepdims=True)).mean(0)


def labels_of(adata, context, control="ctrl"):
    return sorted(set(adata.obs["pert"][adata.obs["cell"] == context]) - {control})


class Brute:
    """Profiles asked for by name, read afresh from the cells each time."""

    def __init__(self, train, test, space, context):
        self.train, self.test, self.space, self.context = train, test, space, context
        self.labels = labels_of(train, context)

    def seen(self, label, context=None):
        return profile(cells_of(self.train, label, context or self.context), self.space)

    def n(self, label, context=None):
        return len(cells_of(self.train, label, context or self.context))

    @property
    def control(self):
        return profile(cells_of(self.test, "ctrl", self.context), self.space)


def no_change(b, label):
    return b.control


def perturbed_mean(b, label):
    return np.mean([b.seen(x) for x in b.labels], axis=0)


def perturbed_mean_cells(b, label):
    return sum(b.n(x) * b.seen(x) for x in b.labels) / sum(b.n(x) for x in b.labels)


def matching_mean(b, label):
    return np.mean([b.seen(p) if p in b.labels else perturbed_mean_cells(b, p) for p in label.split("+")], axis=0)


def additive(b, label):
    return b.control + sum((b.seen(p) - b.seen("ctrl") for p in label.split("+") if p in b.labels), np.zeros(12))


def transfer(b, label):
    others = [c for c in ("K", "T") if c != b.context]

    def effect(names):
        top = bottom = 0.0
        for context in others:
            for name in names:
                if name in labels_of(b.train, context):
                    n = b.n(name, context)
                    top, bottom = top + n * (b.seen(name, context) - b.seen("ctrl", context)), bottom + n
        return top / bottom if bottom else None

    swapped = ["+".join(sorted(label.split("+"))), "+".join(sorted(label.split("+"), reverse=True))]
    whole = effect(list(dict.fromkeys([label, *swapped])))
    if whole is not None:
        return b.control + whole
    singles = [x for x in labels_of(b.train, others[0]) if "+" not in x]
    out = b.control.copy()
    for part in label.split("+"):
        own = effect([part])
        out = out + (effect(singles) if own is None else own)
    return out


def linear(b, label):
    names = [*b.labels, "ctrl"]
    x = np.array([b.seen(n) for n in names]).T  # genes x perturbations
    centred = x - x.mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    keep = np.argsort(values)[::-1][:3]
    g = centred @ vectors[:, keep]
    genes = [f"G{k}" for k in range(12)]

    def embed(name):
        return sum((g[genes.index(p)] for p in name.split("+") if p in genes), np.zeros(3))

    used = [n for n in names if n == "ctrl" or any(p in genes for p in n.split("+"))]
    y = np.array([b.seen(n) - b.seen("ctrl") for n in used]).T
    centre = y.mean(1, keepdims=True)
    p = np.array([np.zeros(3) if n == "ctrl" else embed(n) for n in used]).T
    lam = 0.2 * np.eye(3)
    w = np.linalg.inv(g.T @ g + lam) @ g.T @ (y - centre) @ p.T @ np.linalg.inv(p @ p.T + lam)
    return b.control + centre[:, 0] + g @ w @ embed(label)


def nearest(b, label):
    def features(adata, name):
        cells = cells_of(adata, name, b.context)
        return np.array([np.log(len(cells)), np.log(np.median(cells.sum(1)))])

    known = np.array([features(b.train, x) for x in b.labels])
    away = (((known - features(b.test, label)) / known.std(0)) ** 2).sum(1)
    same = [set(x.split("+")) == set(label.split("+")) for x in b.labels]
    order = [k for k in np.argsort(away) if not same[k]][:2]
    return np.mean([b.seen(b.labels[k]) for k in order], axis=0)


CASES = [
    ("no-change", no_change, {}),
    ("perturbed-mean", perturbed_mean, {}),
    ("perturbed-mean", perturbed_mean_cells, {"weights": "cells"}),
    ("matching-mean", matching_mean, {}),
    ("additive", additive, {}),
    ("cell-type-transfer", transfer, {}),
    ("linear-pca", linear, {"n_components": 3, "ridge": 0.2}),
    ("nearest-by-depth", nearest, {"n_neighbors": 2}),
]


@pytest.mark.parametrize("space", ["log_of_sums", "mean_of_logs", "mean"])
@pytest.mark.parametrize(("kind", "brute", "options"), CASES)
def test_against_brute_force(train, test, kind, brute, options, space):
    made = baselines.make(kind, test, train=train, space=space, **HOW, **options)
    for context in ("K", "T"):
        b = Brute(train, test, space, context)
        for label in labels_of(test, context):
            got = made.X[made.obs_names.get_loc(f"{context}/{label}")]
            np.testing.assert_allclose(got, brute(b, label), rtol=2e-6, atol=2e-6, err_msg=f"{kind} {context} {label}")
        control = made.X[made.obs_names.get_loc(f"{context}/ctrl")]
        np.testing.assert_allclose(control, b.control, rtol=2e-6)


@pytest.mark.parametrize("kind", ["perturbed-mean", "matching-mean", "additive", "linear-pca", "nearest-by-depth"])
def test_left_out_of_its_own_baseline(test, kind):
    """Without training data each row equals the baseline trained on the other perturbations alone."""
    one = test[test.obs["cell"] == "K"].copy()
    how = HOW | {"context_col": None}
    made = baselines.make(kind, one, **how)
    for label in ("G0", "G0+G2", "zz"):
        others = one[one.obs["pert"] != label].copy()
        apart = baselines.make(kind, one, train=others, **how)
        np.testing.assert_allclose(made.to_df().loc[label], apart.to_df().loc[label], rtol=1e-9, atol=1e-12)
    assert made.uns["baseline"]["train"] == "none: each perturbation left out of its own baseline"


def test_transfer_without_training_data_leaves_the_cell_type_out(test):
    made = baselines.cell_type_transfer(test, **HOW)
    b = Brute(test, test, "log_of_sums", "K")
    np.testing.assert_allclose(made.to_df().loc["K/G3"], transfer(b, "G3"), rtol=1e-9)


def test_a_leak_is_told(test):
    one = test[test.obs["cell"] == "K"].copy()
    how = HOW | {"context_col": None}
    made = baselines.perturbed_mean(one, leave_one_out=False, **how)
    assert "LEAKS" in made.uns["baseline"]["train"]
    assert np.ptp(made.to_df().drop("ctrl").to_numpy(), axis=0).max() == 0
    assert np.ptp(baselines.perturbed_mean(one, **how).to_df().drop("ctrl").to_numpy(), axis=0).max() > 0


TRAINED = [kind for kind, row in baselines.KINDS.items() if row.rule is not None]


@pytest.mark.parametrize("emit", ["cells", "dispersed", "tile", "profiles"])
@pytest.mark.parametrize("kind", TRAINED)
def test_truth_does_not_leak_past_training_data(train, test, kind, emit):
    """Other profiles of the test perturbations, of the same depth, change nothing."""
    changed = test.copy()
    dense = changed.X.toarray()
    perturbed = np.flatnonzero(changed.obs["pert"] != "ctrl")
    rng = np.random.default_rng(5)
    for row in perturbed:
        dense[row] = rng.permutation(dense[row])  # totals stay
    changed.X = csr_matrix(dense)
    how = HOW | {"emit": emit, "seed": 3}
    a, b = (baselines.make(kind, x, train=train, **how) for x in (test, changed))
    assert np.array_equal(to_dense(a), to_dense(b))
    assert a.obs.equals(b.obs)
    assert a.uns["baseline"]["train"] in ("not used", "train; the profiles of the test data were not used")


def to_dense(adata):
    return adata.X.toarray() if hasattr(adata.X, "toarray") else np.asarray(adata.X)


@pytest.mark.parametrize("kind", list(baselines.KINDS))
def test_seeded_and_nothing_modified(train, test, kind):
    before = [x.X.copy() for x in (train, test)]
    obs = [x.obs.copy() for x in (train, test)]
    how = HOW | {"emit": "cells", "train": train}
    a, b, c = (to_dense(baselines.make(kind, test, seed=s, **how)) for s in (1, 1, 2))
    assert np.array_equal(a, b)
    if kind != "oracle":
        assert not np.array_equal(a, c)
    for x, was, was_obs in zip((train, test), before, obs, strict=True):
        assert (was != x.X).nnz == 0
        assert x.obs.equals(was_obs)
        assert not x.uns


def as_counted(profile, space):
    """No negative counts; shares of a sum of effects are taken anew."""
    profile = np.maximum(profile, 0)
    return np.log1p(TS * np.expm1(profile) / np.expm1(profile).sum()) if space == "log_of_sums" else profile


@pytest.mark.parametrize("space", ["log_of_sums", "mean"])
def test_emitted_cells_have_the_profile(train, test, space):
    how = HOW | {"space": space}
    wanted = baselines.additive(test, train=train, **how)
    made = baselines.additive(test, train=train, n_cells=4000, **how | {"emit": "cells"})
    assert np.array_equal(made.X.data, np.round(made.X.data))
    assert made.X.data.min() > 0
    for place in ("K/G0+G2", "T/G0"):
        context, label = place.split("/")
        got = profile(cells_of(made, label, context), space)
        want = as_counted(wanted.to_df().loc[place].to_numpy(), space)
        np.testing.assert_allclose(got, want, rtol=1e-4)
    control = cells_of(made, "ctrl", "K")
    assert sorted(map(tuple, control)) == sorted(map(tuple, cells_of(test, "ctrl", "K")))
    # spread of real cells, not one row repeated
    assert len(np.unique(cells_of(made, "G0", "K"), axis=0)) > 100


def test_dispersed_cells_scatter_around_the_profile(train, test):
    how = HOW | {"space": "mean", "n_cells": 50}
    wanted = baselines.additive(test, train=train, **HOW | {"space": "mean"}).to_df().loc["T/G0"].to_numpy()
    exact, *drawn = (
        cells_of(baselines.additive(test, train=train, seed=s, **how | {"emit": e}), "G0", "T").mean(0)
        for s, e in [(0, "cells"), *((s, "dispersed") for s in range(40))]
    )
    wanted = np.maximum(wanted, 0)
    np.testing.assert_allclose(exact, wanted, atol=1 / 50)
    error = np.abs(np.array(drawn) - wanted)
    assert error.mean() > 5 / 50
    np.testing.assert_allclose(np.mean(drawn, axis=0), wanted, rtol=0.1, atol=0.2)


def test_tile_and_log_values(train, test):
    made = baselines.perturbed_mean(test, train=train, **HOW | {"emit": "tile"})
    assert len(np.unique(cells_of(made, "G0", "K"), axis=0)) == 1
    wanted = as_counted(
        baselines.perturbed_mean(test, train=train, **HOW).to_df().loc["K/G0"].to_numpy(), "log_of_sums"
    )
    np.testing.assert_allclose(profile(cells_of(made, "G0", "K"), "log_of_sums"), wanted, rtol=1e-5)
    logs = baselines.perturbed_mean(test, train=train, **HOW | {"emit": "cells", "space": "mean_of_logs"})
    assert logs.uns["baseline"]["emit"] == "tile"
    control = cells_of(test, "ctrl", "K")
    np.testing.assert_allclose(cells_of(logs, "ctrl", "K").mean(0), profile(control, "mean_of_logs"), rtol=1e-5)


def test_genes_silent_in_the_control_are_reached(train, test):
    dense = test.X.toarray()
    dense[np.flatnonzero(test.obs["pert"] == "ctrl"), 4] = 0
    test.X = csr_matrix(dense)
    made = baselines.perturbed_mean(test, train=train, n_cells=3000, **HOW | {"emit": "cells", "space": "mean"})
    wanted = baselines.perturbed_mean(test, train=train, **HOW | {"space": "mean"}).to_df().loc["K/G0", "G4"]
    assert cells_of(made, "G0", "K")[:, 4].mean() == pytest.approx(wanted, rel=1e-3)


def test_rounding_keeps_sums_and_expectations():
    from vcmetrics.baselines.emission import rounded

    rng = np.random.default_rng(0)
    starts = np.array([0, 5, 5, 30])
    values = rng.uniform(0, 3, 30)
    made = np.array([rounded(values, starts, rng.random(3)) for _ in range(20_000)])
    assert ((made == np.floor(values)) | (made == np.ceil(values))).all()
    for a, b in ((0, 5), (5, 30)):
        assert (np.abs(made[:, a:b].sum(1) - values[a:b].sum()) < 1).all()
    np.testing.assert_allclose(made.mean(0), values, atol=0.02)


def test_random_perturbation_draws_another_one(train, test):
    made = baselines.random_perturbation(test, train=train, **HOW)
    b = Brute(train, test, "log_of_sums", "K")
    seen = {x: b.seen(x) for x in b.labels}
    drawn = set()
    for label in labels_of(test, "K"):
        got = made.to_df().loc[f"K/{label}"].to_numpy()
        match = [x for x, y in seen.items() if np.allclose(got, y)]
        assert len(match) == 1
        assert set(match[0].split("+")) != set(label.split("+"))
        drawn.add(match[0])
    assert len(drawn) > 1


def test_halves_and_technical_duplicate(test):
    how = {k: v for k, v in HOW.items() if k != "emit"} | {"seed": 4}
    truth, duplicate = baselines.halves(test, **how)
    again = baselines.technical_duplicate(test, **how)
    assert np.array_equal(to_dense(duplicate), to_dense(again))
    rows = sorted(map(tuple, test.X.toarray()))
    for context in ("K", "T"):
        for label in (*labels_of(test, context), "ctrl"):
            n = len(cells_of(test, label, context))
            assert len(cells_of(truth, label, context)) == len(cells_of(duplicate, label, context)) == n // 2
    both = sorted(map(tuple, np.vstack([to_dense(truth), to_dense(duplicate)])))
    left = rows.copy()
    for row in both:  # every cell used once at most
        left.remove(row)
    oracle = baselines.oracle(test, **how)
    assert sorted(map(tuple, to_dense(oracle))) == rows


def overestimated(cells, rest):
    """scanpy's t-test_overestim_var for one gene."""
    out = stats.ttest_ind_from_stats(
        cells.mean(), cells.std(ddof=1), len(cells), rest.mean(), rest.std(ddof=1), len(cells), equal_var=False
    )
    return 1.0 if np.isnan(out.pvalue) else out.pvalue


@pytest.mark.parametrize("with_train", [False, True])
def test_interpolated_duplicate(train, test, with_train):
    how = {k: v for k, v in HOW.items() if k != "emit"}
    _, half = baselines.halves(test, **how)
    made = baselines.interpolated_duplicate(test, train=train if with_train else None, **HOW)
    for context in ("K", "T"):
        names = labels_of(half, context)
        logs = {n: np.log1p(TS * c / c.sum(1, keepdims=True)) for n in names for c in [cells_of(half, n, context)]}
        source = train if with_train else half
        mean = np.mean([profile(cells_of(source, n, context), "log_of_sums") for n in labels_of(source, context)], 0)
        for name in names:
            rest = np.vstack([x for n, x in logs.items() if n != name])
            p = np.array([overestimated(logs[name][:, g], rest[:, g]) for g in range(12)])
            pi = stats.false_discovery_control(p)
            own = profile(cells_of(half, name, context), "log_of_sums")
            want = (1 - pi) * own + pi * mean
            got = made.to_df().loc[f"{context}/{name}"].to_numpy()
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5, err_msg=name)


def test_interpolation_at_its_ends():
    rng = np.random.default_rng(0)
    duplicate, mean = rng.normal(size=(2, 9))
    from vcmetrics.baselines.formulas import interpolated

    assert np.array_equal(interpolated(duplicate, np.zeros(9), mean), duplicate)
    assert np.array_equal(interpolated(duplicate, np.ones(9), mean), mean)
    assert np.array_equal(interpolated(duplicate, np.full(9, np.nan), mean), mean)


def test_truth_half_is_not_in_the_duplicates(test):
    """Other cells in the truth's half change neither duplicate."""
    how = {k: v for k, v in HOW.items() if k != "emit"}
    from vcmetrics.baselines.duplicates import half_of
    from vcmetrics.baselines.inputs import read_side, reading

    how_read = reading(**how, layer=None, space="mean", target_sum=1.0, separator="", n_threads=1)
    half = half_of(read_side(test, "real", how_read), how_read, 0)
    changed = test.copy()
    dense = changed.X.toarray()
    dense[half == 0] += 7
    changed.X = csr_matrix(dense)
    for kind in ("technical-duplicate", "interpolated-duplicate"):
        a, b = (baselines.make(kind, x, **how) for x in (test, changed))
        assert np.array_equal(to_dense(a), to_dense(b))


@pytest.mark.parametrize("preset", ["vcc2026", "vcc2025", "cell-eval2"])
@pytest.mark.parametrize("kind", list(baselines.KINDS))
def test_scored_under_presets(train, test, kind, preset):
    one, other = (x[x.obs["cell"] == "K"].copy() for x in (test, train))
    how = {"pert_col": "pert", "control": "ctrl"}
    extra = {"context_col": "cell", "train": train} if kind == "cell-type-transfer" else {"train": other}
    made = baselines.make(kind, one, **how, **extra)
    truth = baselines.halves(one, **how)[0] if "duplicate" in kind else one
    metrics = {"cell-eval2": ["delta_pearson"]}.get(preset)
    target_map = {"*": None}
    got = vcm.score(made, truth, preset=preset, metrics=metrics, target_map=target_map, **how).aggregate_values
    assert np.isfinite(list(got.values())).any()
    if kind == "oracle":
        assert all(v == pytest.approx(1) for m, v in got.items() if m in ("pds_cosine", "delta_pearson"))


def test_profiles_go_into_the_array_functions(train, test):
    one, other = (x[x.obs["cell"] == "K"].copy() for x in (test, train))
    how = {"pert_col": "pert", "control": "ctrl", "emit": "profiles"}
    truth, made = baselines.oracle(one, **how).to_df(), baselines.perturbed_mean(one, train=other, **how).to_df()
    table = vcm.effect_correlation(made, truth, control="ctrl", target_map={"*": None})
    assert table["pearson"].notna().all()
    found = vcm.discrimination(made, truth, control="ctrl", exclude_targets="none").attrs["aggregate"]
    assert found["score"] == pytest.approx(0.5, abs=1e-12)  # a constant prediction


def test_shared_effect_scores_by_its_share():
    """d = s + u with centred, orthogonal parts: the mean correlates exactly |s| / sqrt(|s|² + |u|²)."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(np.column_stack([np.ones(40), rng.normal(size=(40, 5))]))[0].T
    shared, own = 3 * basis[1], np.vstack([basis[2:5], -basis[2:5]]) * np.repeat([[1.0], [2.0]], 3, axis=0)
    own[3:] = -own[:3]  # the own parts add up to nothing
    control = rng.uniform(5, 9, 40)
    rows = np.vstack([control, control + shared + own])
    labels = ["ctrl", *(f"p{k}" for k in range(6))]
    cells = anndata.AnnData(rows, obs=pd.DataFrame({"pert": labels}, index=labels))
    how = {"pert_col": "pert", "control": "ctrl", "space": "mean", "leave_one_out": False, "emit": "profiles"}
    made, truth = (baselines.make(k, cells, **how).to_df() for k in ("perturbed-mean", "oracle"))
    table = vcm.effect_correlation(made, truth, control="ctrl", target_map={"*": None})
    want = 3 / np.sqrt(9 + (own**2).sum(1))
    np.testing.assert_allclose(table.loc[labels[1:], "pearson"], want, rtol=1e-9)
    less = vcm.effect_correlation(
        made, truth, control="ctrl", target_map={"*": None}, reference="perturbed_mean", leave_one_out=False
    )
    assert less["pearson"].isna().all()  # against the mean itself there is nothing left


def test_files_and_gene_order(train, test, tmp_path):
    test.write_h5ad(tmp_path / "test.h5ad")
    train[:, train.var_names[::-1]].copy().write_h5ad(tmp_path / "train.h5ad")
    a = baselines.additive(tmp_path / "test.h5ad", train=tmp_path / "train.h5ad", **HOW)
    b = baselines.additive(test, train=train, **HOW)
    np.testing.assert_allclose(a.X, b.X, rtol=1e-12)
    a.write_h5ad(tmp_path / "out.h5ad")
    assert anndata.read_h5ad(tmp_path / "out.h5ad").uns["baseline"]["kind"] == "additive"


@pytest.mark.parametrize("kind", list(baselines.KINDS))
def test_order_of_genes_and_cells_does_not_matter(train, test, kind):
    genes = np.random.default_rng(0).permutation(test.n_vars)
    cells = np.random.default_rng(1).permutation(train.n_obs)
    plain = baselines.make(kind, test, train=train, **HOW)
    moved = baselines.make(kind, test[:, genes].copy(), train=train[cells].copy(), **HOW)
    assert list(moved.obs_names) == list(plain.obs_names)
    assert list(moved.var_names) == list(plain.var_names[genes])
    np.testing.assert_allclose(moved.X, plain.X[:, genes], rtol=1e-6, atol=1e-7)


def test_batches_are_carried_over(train, test):
    test.obs["batch"] = np.where(np.arange(test.n_obs) % 3 == 0, "b1", "b2")
    how = HOW | {"emit": "cells", "batch_col": "batch"}
    keys = ["pert", "cell", "batch"]
    for kind in baselines.KINDS:
        made = baselines.make(kind, test, train=train, **how)
        plain = baselines.make(kind, test, train=train, **HOW | {"emit": "cells"})
        assert np.array_equal(to_dense(made), to_dense(plain))
        if "duplicate" not in kind:
            want = test.obs.value_counts(keys).sort_index()
            assert made.obs.astype(str).value_counts(keys).sort_index().to_dict() == want.to_dict()
    truth, _ = baselines.halves(test, **{k: v for k, v in how.items() if k != "emit"})
    assert set(truth.obs["batch"]) == {"b1", "b2"}
    many = baselines.no_change(test, n_cells=60, **how)
    share = (many.obs.query("pert == 'G1+G9' and cell == 'K'")["batch"] == "b1").mean()
    assert share == pytest.approx((test.obs.query("pert == 'G1+G9' and cell == 'K'")["batch"] == "b1").mean(), abs=0.05)


def test_refuses(train, test):
    how = HOW
    for call, error, words in [
        (lambda: baselines.make("median", test, **how), ValueError, "there is no baseline 'median'"),
        (lambda: baselines.make("additive", test, ridge=1.0, **how), ValueError, "additive takes no 'ridge'"),
        (lambda: baselines.linear_pca(test, ridge=0.0, **how), ValueError, "ridge is 0.0"),
        (lambda: baselines.perturbed_mean(test, weights="x", **how), ValueError, "weights 'x'"),
        (lambda: baselines.additive(test, **how | {"emit": "loud"}), ValueError, "emit 'loud'"),
        (lambda: baselines.additive(test, **how | {"space": "sum"}), ValueError, "space 'sum'"),
        (lambda: baselines.additive(test, n_cells=0, **how), ValueError, "n_cells is 0"),
        (lambda: baselines.additive(test, train=test, **how), ValueError, "train is the test data themselves"),
        (lambda: baselines.oracle(test, n_cells=3, **how), ValueError, "made of observed cells"),
        (lambda: baselines.cell_type_transfer(test, **how | {"context_col": None}), ValueError, "needs context_col="),
        (lambda: baselines.nearest_by_depth(test, n_neighbors=99, **how), vcm.DataError, "n_neighbors=99 needs more"),
        (lambda: baselines.additive(test, train=train[:, :5].copy(), **how), vcm.DataError, "genes differ"),
        (
            lambda: baselines.perturbed_mean(test, train=train[train.obs["cell"] == "K"].copy(), **how),
            vcm.DataError,
            "no perturbation to predict 'G0' of 'T'",
        ),
        (lambda: baselines.no_change(test, **how | {"control": "none"}), vcm.DataError, "nothing is labelled 'none'"),
        (
            lambda: baselines.no_change(test[~((test.obs["cell"] == "T") & (test.obs["pert"] == "ctrl"))], **how),
            vcm.DataError,
            "contexts without a cell labelled 'ctrl': 'T'",
        ),
    ]:
        with pytest.raises(error, match=re.escape(words)) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_certainty_is_the_adjusted_p_of_scipy():
    from scipy.stats import false_discovery_control, ttest_ind_from_stats

    from vcmetrics.baselines.duplicates import p_adjusted

    rng = np.random.default_rng(4)
    groups = [rng.poisson(2.0, (n, 30)).astype(float) + (np.arange(30) < 4) * k for k, n in enumerate((6, 9, 20))]
    for group in groups:
        group[:, 29] = 1.0  # never varies
    for group, value in zip(groups, (5.0, 3.0, 3.0), strict=True):
        group[:, 28] = value  # constant within groups, and different: certain
    means = np.array([g.mean(0) for g in groups])
    squares = np.array([((g - g.mean(0)) ** 2).sum(0) for g in groups])
    found = p_adjusted(means, squares, np.array([len(g) for g in groups]))
    for k, own in enumerate(groups):
        rest = np.concatenate([g for j, g in enumerate(groups) if j != k])
        with np.errstate(divide="ignore", invalid="ignore"):
            p = ttest_ind_from_stats(
                own.mean(0), own.std(0, ddof=1), len(own), rest.mean(0), rest.std(0, ddof=1), len(own), equal_var=False
            ).pvalue
        np.testing.assert_allclose(found[k], false_discovery_control(np.where(np.isnan(p), 1, p)), rtol=1e-9)
    assert found[0, 28] == 0
    assert (found[:, 29] == 1).all()
