"""The public function: cells, profiles, contexts, batches, what is reported, and what is refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import vcmetrics as vcm
from vcmetrics import DataError, DeviceError, VcmetricsWarning

GENES = [f"G{k:02d}" for k in range(30)]
LABELS = ["non-targeting", *GENES[:6], "G07+G08"]


def cells(
    seed: int, sizes: int = 20, contexts: tuple[str, ...] = ("k", "r"), labels: list[str] = LABELS
) -> anndata.AnnData:
    rng = np.random.default_rng(seed)
    effect = np.random.default_rng(99).normal(0, 0.8, (len(labels), 30))
    effect[0] = 0
    obs = pd.DataFrame(
        [(label, context, f"b{k % 3}") for context in ("k", "r") for label in labels for k in range(sizes)],
        columns=["gene", "context", "batch"],
    )
    place = {label: k for k, label in enumerate(labels)}
    rate = 8 * np.exp(effect[[place[g] for g in obs["gene"]]])
    rate[:, 29] *= 1 + 2 * (obs["batch"] == "b1").to_numpy()
    obs.index = obs.index.astype(str)
    return anndata.AnnData(sp.csr_matrix(rng.poisson(rate).astype(np.float32)), obs=obs, var=pd.DataFrame(index=GENES))


PRED, REAL = cells(1), cells(2)


def bulk(adata: anndata.AnnData, space: str = "log_of_sums") -> pd.DataFrame:
    table = vcm.pseudobulk(adata, pert_col="gene", space=space)
    return pd.DataFrame(table.X, index=table.obs_names, columns=table.var_names)


@pytest.mark.parametrize("space", ["log_of_sums", "mean_of_logs", "mean"])
def test_cells_and_their_profiles_agree(space: str) -> None:
    got = vcm.discrimination(PRED, REAL, pert_col="gene", space=space)
    assert list(got.index) == sorted(LABELS[1:])
    assert got.index.name == "perturbation"
    profiles = vcm.discrimination(bulk(PRED, space), bulk(REAL, space), control="non-targeting")
    np.testing.assert_allclose(got["distance"], profiles["distance"], rtol=1e-12)
    assert got["rank"].equals(profiles["rank"])
    assert got["nearest"].equals(profiles["nearest"])


def test_what_is_reported() -> None:
    table, distances = vcm.discrimination(
        PRED, REAL, pert_col="gene", metric="l2", exclude_targets="none", top_k=[2, 1], return_distances=True
    )
    pred, real = bulk(PRED), bulk(REAL)
    effects = [side.drop("non-targeting") - real.loc["non-targeting"] for side in (pred, real)]
    want = np.linalg.norm(effects[0].to_numpy()[:, None] - effects[1].to_numpy()[None], axis=2)
    np.testing.assert_allclose(distances, want, rtol=1e-12)
    assert list(distances.columns) == list(distances.index) == list(table.index)
    assert list(table.columns) == [
        "rank", "score", "top1", "top2", "reciprocal_rank", "distance", "nearest", "margin", "n_candidates",
        "n_targets",
    ]  # fmt: skip
    np.testing.assert_allclose(table["distance"], np.diag(want), rtol=1e-12)
    wrong = want + np.diag(np.full(7, np.inf))
    assert table["nearest"].tolist() == [table.index[k] for k in wrong.argmin(1)]
    np.testing.assert_allclose(table["margin"], wrong.min(1) - np.diag(want), rtol=1e-9)
    np.testing.assert_array_equal(table["rank"], (want < np.diag(want)[:, None]).sum(1))
    np.testing.assert_array_equal(table["top1"], table["margin"] > 0)
    np.testing.assert_allclose(table["reciprocal_rank"], 1 / (1 + table["rank"]))
    assert table["n_targets"].tolist() == [1] * 6 + [2]
    facts = table.attrs["aggregate"]
    assert facts["n_scored"] == facts["n_candidates"] == 7
    assert facts["n_unresolved_targets"] == facts["n_zero_pred"] == facts["n_dropped"] == 0
    assert facts["score"] == table["score"].mean()
    assert facts["top1"] == table["top1"].mean()
    assert table.attrs["settings"]["metric"] == "euclidean"
    assert pd.concat([table, table]).shape[0] == 14  # attrs that cannot be compared would raise


def test_inputs_of_every_kind(tmp_path: Path) -> None:
    want = vcm.discrimination(PRED, REAL, pert_col="gene")
    paths = [tmp_path / "pred.h5ad", tmp_path / "real.zarr"]
    PRED.write_h5ad(paths[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which zarr format is written does not matter here
        REAL.write_zarr(paths[1])
    shuffled = PRED[:, np.random.default_rng(0).permutation(30)].copy()
    for pred, real in ((paths[0], paths[1]), (shuffled, REAL), (PRED, bulk(REAL)), (bulk(PRED), paths[1])):
        got = vcm.discrimination(pred, real, pert_col="gene", n_threads=2)
        assert got["rank"].equals(want["rank"])
        np.testing.assert_allclose(got["distance"], want["distance"], rtol=1e-12)


def test_a_frame_keeps_its_own_names_beside_an_array() -> None:
    pred, real = bulk(PRED), bulk(REAL).iloc[:, ::-1]
    labels = np.array(pred.index)
    whole = vcm.discrimination(pred, real, exclude_targets="row")
    mixed = vcm.discrimination(
        pred.to_numpy()[::-1].copy(), real, labels=labels[::-1], genes=np.array(pred.columns), exclude_targets="row"
    )
    pd.testing.assert_frame_equal(mixed, whole)
    arrays = vcm.discrimination(
        pred.to_numpy(), real[pred.columns].to_numpy(), labels=labels, real_labels=labels, genes=GENES,
        exclude_targets="row",
    )  # fmt: skip
    assert arrays["rank"].equals(whole["rank"])


def test_contexts_and_batches() -> None:
    got = vcm.discrimination(PRED, REAL, pert_col="gene", context_col="context")
    assert got.index.names == ["context", "perturbation"]
    for context in ("k", "r"):
        part = [side[(side.obs["context"] == context).to_numpy()].copy() for side in (PRED, REAL)]
        alone = vcm.discrimination(*part, pert_col="gene")
        pd.testing.assert_frame_equal(got.loc[context], alone, check_exact=True)
        assert got.attrs["by_context"][context] == alone.attrs["aggregate"]
    assert got.attrs["aggregate"]["n_scored"] == 14
    table, distances = vcm.discrimination(PRED, REAL, pert_col="gene", context_col="context", return_distances=True)
    assert table.equals(got)
    assert set(distances) == {"k", "r"}
    # controls matched by batch: what a batch adds to all of its cells is gone
    lopsided = REAL[~((REAL.obs["gene"] == "G01") & (REAL.obs["batch"] == "b0")).to_numpy()].copy()
    _, matched = vcm.discrimination(
        PRED, lopsided, pert_col="gene", reference="batch_control", batch_col="batch", space="mean",
        exclude_targets="none", metric="l1", return_distances=True,
    )  # fmt: skip
    counts = lopsided.obs.groupby(["gene", "batch"], observed=True).size().unstack(fill_value=0).drop("non-targeting")
    means = (
        pd.DataFrame(lopsided.X.toarray().astype(float), columns=GENES)
        .groupby([lopsided.obs["gene"].to_numpy(), lopsided.obs["batch"].to_numpy()])
        .mean()
    )
    control = means.loc["non-targeting"].to_numpy()
    reference = counts.to_numpy() / counts.to_numpy().sum(1, keepdims=True) @ control
    pred, real = (bulk(side, "mean").drop("non-targeting").to_numpy() - reference for side in (PRED, lopsided))
    np.testing.assert_allclose(matched, np.abs(pred[:, None] - real[None]).sum(2), rtol=1e-9)


def test_embedding() -> None:
    rng = np.random.default_rng(3)
    sides = [side.copy() for side in (PRED, REAL)]
    for side in sides:
        side.obsm["X_e"] = side.X @ rng.normal(size=(30, 4)) * 0 + side.X[:, 9:13].toarray()
    got = vcm.discrimination(*sides, pert_col="gene", obsm="X_e", exclude_targets="none")
    want = vcm.discrimination(
        *(side[:, 9:13].copy() for side in sides), pert_col="gene", space="mean", exclude_targets="none"
    )
    np.testing.assert_allclose(got["distance"], want["distance"], rtol=1e-9)
    with pytest.raises(ValueError, match="obsm='X_e' has dimensions, not genes: pass exclude_targets='none'"):
        vcm.discrimination(*sides, pert_col="gene", obsm="X_e")


@pytest.mark.parametrize(
    "reference", ["none", "control", "perturbed_mean", "perturbed_mean_cells", "condition_mean", "guide_count_mean"]
)
def test_references_cancel_in_differences(reference: str) -> None:
    how = {"pert_col": "gene", "metric": "l1", "space": "mean"}
    want = vcm.discrimination(PRED, REAL, reference="none", **how)
    if reference == "guide_count_mean":
        # one mean for singles and one for pairs: they do not cancel between them
        table = vcm.discrimination(PRED, REAL, reference=reference, **how)
        assert table["score"].between(0, 1).all()
        return
    got = vcm.discrimination(PRED, REAL, reference=reference, **how)
    np.testing.assert_allclose(got["distance"], want["distance"], rtol=1e-9)
    assert vcm.discrimination(REAL, REAL, pert_col="gene", reference=reference)["score"].eq(1).all()


def test_training_perturbations_and_candidates() -> None:
    train = ["G00", "G01", "G02"]
    table = vcm.discrimination(PRED, REAL, pert_col="gene", train=train, reference="perturbed_mean")
    assert list(table.index) == ["G03", "G04", "G05", "G07+G08"]
    assert table["n_candidates"].eq(7).all()
    for candidates, n in (("untrained", 4), ("scored", 4), (["G03", "G04", "G00"], 3)):
        table = vcm.discrimination(PRED, REAL, pert_col="gene", train=train, candidates=candidates)
        assert table["n_candidates"].eq(n).all()
    fewer = PRED[PRED.obs["gene"].isin(["G03", "G04"]).to_numpy()].copy()  # no control, which nobody reads
    table = vcm.discrimination(fewer, REAL, pert_col="gene")
    assert list(table.index) == ["G03", "G04"]
    assert table["n_candidates"].eq(7).all()
    assert vcm.discrimination(fewer, REAL, pert_col="gene", direction="real_to_pred")["n_candidates"].eq(2).all()
    with pytest.raises(DataError, match="pred: no cell is labelled 'non-targeting', and control_source='own' reads"):
        vcm.discrimination(fewer, REAL, pert_col="gene", control_source="own")
    with pytest.raises(DataError, match="train names perturbations that real does not have: 'G99'"):
        vcm.discrimination(PRED, REAL, pert_col="gene", train=["G99"])
    with pytest.raises(DataError, match="train names perturbations that real does not have: 'G99'"):
        vcm.discrimination(PRED, REAL, pert_col="gene", context_col="context", train=["G01", "G99"])
    with pytest.raises(DataError, match="candidates names perturbations that real does not have: 'G99'"):
        vcm.discrimination(PRED, REAL, pert_col="gene", candidates=["G99"])


def test_unmatched_perturbations() -> None:
    strange = cells(1, labels=[*LABELS, "G20"])
    with pytest.raises(DataError, match="1 of 8 perturbations of pred are not in real: 'G20'; remove"):
        vcm.discrimination(strange, REAL, pert_col="gene")
    table = vcm.discrimination(strange, REAL, pert_col="gene", unmatched="drop")
    assert table.attrs["aggregate"]["n_dropped"] == 1
    assert table.attrs["dropped"] == ["G20"]
    lone = cells(1, labels=["non-targeting", "G20"])
    with pytest.raises(DataError, match="no perturbation is left to score: pred has 'G20', real has 'G00'"):
        vcm.discrimination(lone, REAL, pert_col="gene", unmatched="drop")


def test_one_perturbation_only() -> None:
    one = cells(1, labels=["non-targeting", "G00"])
    with pytest.warns(VcmetricsWarning, match="there is one candidate only"):
        table = vcm.discrimination(one, one, pert_col="gene")
    assert table["score"].tolist() == [1.0]
    assert table["nearest"].tolist() == [None]
    assert np.isnan(table["margin"].iloc[0])


def test_unresolved_targets_are_counted_and_told() -> None:
    names = {"G00": "drug A", "G01": "drug B"}
    pred, real = (side.copy() for side in (PRED, REAL))
    for side in (pred, real):
        side.obs["gene"] = side.obs["gene"].astype(str).replace(names)
    with pytest.warns(VcmetricsWarning, match="2 of 7 perturbations have no measured target gene.*'drug A', 'drug B'"):
        table = vcm.discrimination(pred, real, pert_col="gene")
    assert table.attrs["unresolved_targets"] == ["drug A", "drug B"]
    assert table.attrs["aggregate"]["n_unresolved_targets"] == 2
    table = vcm.discrimination(pred, real, pert_col="gene", target_map={"drug A": "G00", "drug B": None})
    assert table.attrs["aggregate"]["n_unresolved_targets"] == 0
    assert table["n_targets"].to_dict()["drug B"] == 0
    for side in (pred, real):
        side.var_names = [f"X{k}" for k in range(30)]
    with pytest.raises(DataError, match="no perturbation is the name of a measured gene"):
        vcm.discrimination(pred, real, pert_col="gene")
    with pytest.raises(DataError, match="every gene is a target of the panel"):
        vcm.discrimination(np.eye(2), np.eye(2), labels=["a", "b"], genes=["a", "b"], reference="none", control=None)


def test_zero_profiles_tie() -> None:
    real = np.vstack([np.eye(4)[:3], np.zeros(4)])
    pred = np.zeros((4, 4))
    how = {"labels": list("abcd"), "reference": "none", "control": None, "exclude_targets": "none"}
    table = vcm.discrimination(pred, real, **how)
    assert table["score"].tolist() == [0.5] * 4
    facts = table.attrs["aggregate"]
    assert (facts["n_zero_pred"], facts["n_zero_real"]) == (4, 1)
    how = how | {"labels": list("abc"), "genes": list("abcd"), "metric": "l1"}
    for scope, zeros in (("none", (0, 0)), ("row", (2, 2)), ("pair", (2, 2)), ("panel", (3, 3))):
        rows = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]])
        facts = vcm.discrimination(rows, rows, **(how | {"exclude_targets": scope})).attrs["aggregate"]
        assert (facts["n_zero_pred"], facts["n_zero_real"]) == zeros


def test_profiles_of_other_types() -> None:
    rng = np.random.default_rng(0)
    pred, real = rng.normal(size=(5, 9)), rng.normal(size=(5, 9))
    how = {"labels": list("abcde"), "reference": "none", "control": None, "exclude_targets": "none"}
    want = vcm.discrimination(pred, real, **how)
    for change in (np.asfortranarray, lambda x: x.tolist(), lambda x: np.repeat(x, 2, axis=0)[::2]):
        assert vcm.discrimination(change(pred), change(real), **how).equals(want)
    small = vcm.discrimination(pred.astype(np.float32), real.astype(np.float32), **how)
    np.testing.assert_allclose(small["distance"], want["distance"], rtol=1e-6)
    frames = [pd.DataFrame(x, index=list("abcde")) for x in (pred, real)]
    assert vcm.discrimination(*frames, reference="none", control=None, exclude_targets="none").equals(want)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"pert_col": "gone"}, DataError, "'gone' is not a column of obs"),
        ({"pert_col": None}, TypeError, "pass pert_col="),
        ({"control": "ctrl"}, DataError, "no cell is labelled 'ctrl' .*pass control= with the label"),
        ({"control": "ctrl", "reference": "none"}, DataError, "no cell is labelled 'ctrl' .*or control=None"),
        ({"control": None}, DataError, "no control to take effects against with reference='control'"),
        ({"metric": "edistance"}, ValueError, "metric 'edistance' is not a distance of profiles"),
        (
            {"exclude_targets": "all"},
            ValueError,
            "exclude_targets 'all' is not known; choose from none, row",
        ),
        ({"ties": "max"}, ValueError, "ties 'max' is not one of"),
        ({"denominator": "N"}, ValueError, "denominator 'N' is not one of n-1, n, n, from 1"),
        ({"norm_match": "l2"}, ValueError, "norm_match 'l2' is not known"),
        ({"direction": "both"}, ValueError, "direction 'both' is not known"),
        ({"reference": "mean"}, ValueError, "reference 'mean' is not known"),
        ({"reference": "batch_control"}, ValueError, "reference='batch_control' matches controls by batch"),
        ({"control_source": "pred"}, ValueError, "control_source 'pred' is not known"),
        (
            {"convention": "cell-eval", "space": "log_of_sums", "reference": "perturbed_mean"},
            ValueError,
            "reference='perturbed_mean' is no control: pass control_source='real'",
        ),
        ({"candidates": "all"}, ValueError, "candidates 'all' is not known"),
        ({"unmatched": "skip"}, ValueError, "unmatched 'skip' is not known"),
        ({"space": "log"}, ValueError, "space 'log' is not known"),
        ({"top_k": [0]}, ValueError, "top_k is"),
        ({"top_k": 5}, ValueError, r"top_k is 5; pass positive whole numbers, such as \(1, 5\)"),
        ({"top_k": ["a"]}, ValueError, "top_k is"),
        ({"top_k": [float("inf")]}, ValueError, "top_k is"),
        ({"train": "G00"}, TypeError, "train is the text 'G00'; pass a list"),
        ({"target_map": ["G00"]}, TypeError, "target_map is a list; pass a mapping"),
        ({"metric": "spearman", "exclude_targets": "pair"}, ValueError, "exclude_targets='pair' cannot be had"),
        ({"device": "cuda", "exclude_targets": "pair"}, DeviceError, "pass device='cpu'"),
        ({"n_threads": 0}, ValueError, "n_threads is 0"),
    ],
)
def test_refused(change: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        vcm.discrimination(PRED, REAL, **({"pert_col": "gene"} | change))


def test_refused_data() -> None:
    logged = REAL.copy()
    logged.X = np.log1p(logged.X)
    with pytest.raises(DataError, match="space='log_of_sums' takes counts, but of the values not all are whole"):
        vcm.discrimination(PRED, logged, pert_col="gene")
    with pytest.raises(DataError, match="genes of real are not in pred"):
        vcm.discrimination(PRED[:, :20].copy(), REAL, pert_col="gene")
    table = np.ones((2, 3))
    how = {"labels": ["a", "b"], "reference": "none", "control": None, "exclude_targets": "none"}
    bad = table.copy()
    bad[1, 2] = np.nan
    with pytest.raises(DataError, match="pred: profiles hold NaN or infinity: 'b'"):
        vcm.discrimination(bad, table, **how)
    with pytest.raises(DataError, match="real: labels occur more than once: 'a'"):
        vcm.discrimination(table, table, **(how | {"real_labels": ["a", "a"]}))
    with pytest.raises(DataError, match="pred: 3 labels for 2 profiles"):
        vcm.discrimination(table, np.ones((3, 3)), **(how | {"labels": ["a", "b", "c"]}))
    with pytest.raises(DataError, match="pred and real differ in the number of columns"):
        vcm.discrimination(table, np.ones((2, 4)), **how)
    with pytest.raises(TypeError, match="real is a table of profiles: pass labels="):
        vcm.discrimination(table, table, reference="none")
    with pytest.raises(TypeError, match="belong to cells, and real is a table of profiles"):
        vcm.discrimination(table, table, context_col="x", **how)
    unlabelled = REAL.copy()
    unlabelled.obs["gene"] = unlabelled.obs["gene"].where(np.arange(unlabelled.n_obs) % 50 != 0)
    with pytest.warns(VcmetricsWarning, match=r"real: 7 of 320 cells have no label and are left out"):
        vcm.discrimination(PRED, unlabelled, pert_col="gene")
