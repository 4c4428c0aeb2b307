"""What discrimination must give in closed form, and what predictions without biology get under every scope."""

from __future__ import annotations

import numpy as np
import pytest

import vcmetrics as vcm

SCOPES = ("none", "row", "panel", "pair")
METRICS = ("cityblock", "euclidean", "cosine")


def screen(
    n: int = 40, genes: int = 400, seed: int = 0, knockdown: float = 3.0
) -> tuple[np.ndarray, list[str], list[str]]:
    """Observed effects: each perturbation changes a tenth of the genes and knocks its own target down."""
    rng = np.random.default_rng(seed)
    effects = rng.normal(0, 0.15, (n, genes)) + rng.normal(0, 1, (n, genes)) * (rng.random((n, genes)) < 0.1)
    effects[np.arange(n), np.arange(n)] = -3.0
    names = [f"G{k:03d}" for k in range(genes)]
    return effects, names[:n], names


def mean_score(pred: np.ndarray, real: np.ndarray, labels: list[str], genes: list[str], **how: object) -> float:
    how = {"reference": "none", "control": None} | how
    return vcm.discrimination(pred, real, labels=labels, genes=genes, **how).attrs["aggregate"]["score"]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("metric", [*METRICS, "sqeuclidean", "pearson"])
def test_perfect_and_constant(metric: str, scope: str) -> None:
    real, labels, genes = screen()
    how = {"metric": metric, "exclude_targets": scope}
    assert mean_score(real, real, labels, genes, **how) == 1.0
    assert mean_score(3 * real, real, labels, genes, metric="cosine", exclude_targets=scope) == 1.0
    for constant in (real.mean(0), real[7], np.random.default_rng(1).normal(size=400)):
        got = mean_score(np.repeat(constant[None], 40, axis=0), real, labels, genes, **how)
        if scope != "row":  # where each query sees other genes
            assert got == pytest.approx(0.5, abs=1e-12)
    assert mean_score(
        np.repeat(real[:1], 40, axis=0), real, labels, genes, metric=metric, exclude_targets="none", ties="first",
        denominator="n",
    ) == pytest.approx(41 / 80)  # fmt: skip


def attacks(real: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Predictions without biology; the targets are the first genes."""
    n = len(real)
    own = (np.arange(n), np.arange(n))
    rng = np.random.default_rng(seed + 100)
    zero = np.zeros_like(real)
    dropped = zero.copy()
    dropped[own] = -3.0
    spiked = 0.02 * rng.normal(size=real.shape)
    spiked[:, :n] = 3.0  # against the sign of every other knock-down, neutral to the own one
    spiked[own] = 0.0
    constant = np.repeat(real.mean(0, keepdims=True), n, axis=0)
    return {"constant": constant, "zero": zero, "own target": dropped, "other targets": spiked}


# mean score over eight screens of 40 perturbations and 400 genes: scopes none, row, panel, pair
ATTACKS = {
    ("constant", "cityblock"): (0.50, 0.63, 0.50, 0.50),
    ("constant", "euclidean"): (0.50, 0.73, 0.50, 0.50),
    ("constant", "cosine"): (0.50, 0.44, 0.50, 0.50),
    ("zero", "cityblock"): (0.50, 0.63, 0.50, 0.50),
    ("zero", "euclidean"): (0.50, 0.73, 0.50, 0.50),
    ("zero", "cosine"): (0.50, 0.50, 0.50, 0.50),
    ("own target", "cityblock"): (0.76, 0.63, 0.50, 0.50),
    ("own target", "euclidean"): (0.88, 0.73, 0.50, 0.50),
    ("own target", "cosine"): (1.00, 0.50, 0.50, 0.50),
    ("other targets", "cityblock"): (0.51, 0.64, 0.50, 0.50),
    ("other targets", "euclidean"): (0.78, 0.88, 0.50, 0.50),
    ("other targets", "cosine"): (0.85, 0.84, 0.49, 0.50),
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scope", range(4))
def test_table_of_attacks(metric: str, scope: int) -> None:
    """The README's table, number by number; scopes that are fair give 1/2 to the last bit where nothing is random."""
    found: dict[str, list[float]] = {}
    for seed in range(8):
        real, labels, genes = screen(seed=seed)
        for name, pred in attacks(real, seed).items():
            found.setdefault(name, []).append(
                mean_score(pred, real, labels, genes, metric=metric, exclude_targets=SCOPES[scope])
            )
    for name, scores in found.items():
        assert np.mean(scores) == pytest.approx(ATTACKS[name, metric][scope], abs=0.0051), name
        if SCOPES[scope] in ("panel", "pair") and name != "other targets":
            np.testing.assert_allclose(scores, 0.5, atol=1e-12)
    if metric == "cosine":
        assert found["zero"] == [0.5] * 8


@pytest.mark.parametrize("scope", SCOPES)
def test_scale_and_sign(scope: str) -> None:
    real, labels, genes = screen()
    pred = real + np.random.default_rng(2).normal(size=real.shape)
    for metric in ("cosine", "pearson", *(() if scope == "pair" else ("spearman",))):
        how = {"metric": metric, "exclude_targets": scope}
        small = vcm.discrimination(1e-7 * pred, real, labels=labels, genes=genes, reference="none", control=None, **how)
        large = vcm.discrimination(1e7 * pred, real, labels=labels, genes=genes, reference="none", control=None, **how)
        turned = vcm.discrimination(-pred, real, labels=labels, genes=genes, reference="none", control=None, **how)
        assert small["rank"].equals(large["rank"])
        np.testing.assert_allclose(turned["score"], 1 - small["score"], atol=1e-12)


def test_small_and_large_scales_of_l2() -> None:
    real, labels, genes = screen()
    pred = real + np.random.default_rng(2).normal(size=real.shape)
    how = {"labels": labels, "genes": genes, "reference": "none", "control": None, "exclude_targets": "none"}
    small = vcm.discrimination(1e-9 * pred, real, metric="l2", **how)["score"].to_numpy()
    norm = np.linalg.norm(real, axis=1)
    np.testing.assert_allclose(small, 1 - np.array([(norm < x).sum() for x in norm]) / 39)
    assert small.mean() == pytest.approx(0.5)
    large = vcm.discrimination(1e9 * pred, real, metric="l2", **how)["score"].to_numpy()
    dots = pred @ real.T
    np.testing.assert_allclose(large, 1 - (dots > np.diag(dots)[:, None]).sum(1) / 39)


@pytest.mark.parametrize("scope", ["none", "panel"])
def test_norm_matches(scope: str) -> None:
    rng = np.random.default_rng(3)
    real, labels, genes = screen()
    real *= rng.uniform(0.5, 2, (40, 1))
    pred = real + rng.normal(size=real.shape)
    how = {"labels": labels, "genes": genes, "reference": "none", "control": None, "exclude_targets": scope}

    def scores(x: np.ndarray, **more: object) -> np.ndarray:
        return vcm.discrimination(x, real, **how, **more)["score"].to_numpy()

    cosine = scores(pred, metric="cosine")
    for metric in ("l2", "sqeuclidean"):
        np.testing.assert_array_equal(scores(pred, metric=metric, norm_match="unit"), cosine)
    for metric in ("l1", "l2"):
        for match in ("self", "panel", "unit"):
            np.testing.assert_array_equal(
                scores(pred, metric=metric, norm_match=match), scores(8 * pred, metric=metric, norm_match=match)
            )
        left = np.arange(400) if scope == "none" else np.arange(40, 400)
        order = 1 if metric == "l1" else 2
        lengths = np.linalg.norm(pred[:, left], order, axis=1), np.linalg.norm(real[:, left], order, axis=1)
        same = pred * (lengths[1] / lengths[0])[:, None]
        np.testing.assert_array_equal(scores(pred, metric=metric, norm_match="self"), scores(same, metric=metric))
        panel = pred * (np.median(lengths[1]) / np.median(lengths[0]))
        np.testing.assert_array_equal(scores(pred, metric=metric, norm_match="panel"), scores(panel, metric=metric))
    zero = pred.copy()
    zero[5] = 0
    for metric in ("l1", "l2", "cosine"):
        for match in ("self", "panel", "unit"):
            assert scores(zero, metric=metric, norm_match=match)[5] == 0.5


def test_residual_takes_the_shared_effect_out() -> None:
    real, labels, genes = screen()
    shared = np.random.default_rng(4).normal(size=400)
    pred = real + np.random.default_rng(5).normal(size=real.shape)
    how = {"labels": labels, "genes": genes, "reference": "none", "control": None, "metric": "cosine"}
    plain = vcm.discrimination(pred, real, residual=True, **how)
    for a, b in ((pred + shared, real), (pred, real + shared), (pred + shared, real - 3 * shared)):
        assert vcm.discrimination(a, b, residual=True, **how)["score"].equals(plain["score"])


def test_order_of_genes_perturbations_and_a_shift_do_not_matter() -> None:
    rng = np.random.default_rng(6)
    real, labels, genes = screen()
    pred = real + rng.normal(size=real.shape)
    control = rng.normal(size=400)
    names = ["ctrl", *labels]
    how = {"control": "ctrl", "exclude_targets": "pair"}

    def table(x: np.ndarray, y: np.ndarray, rows: list[str], all_rows: list[str], columns: list[str]) -> object:
        return vcm.discrimination(x, y, labels=rows, real_labels=all_rows, genes=columns, **how).sort_index()

    want = table(pred + control, np.vstack([control, real + control]), labels, names, genes)
    shift = rng.normal(size=400)
    moved = table(pred + control + shift, np.vstack([control, real + control]) + shift, labels, names, genes)
    assert moved["rank"].equals(want["rank"])
    for _ in range(2):
        p, q, g = rng.permutation(40), rng.permutation(41), rng.permutation(400)
        other = table(
            (pred + control)[p][:, g],
            np.vstack([control, real + control])[q][:, g],
            [labels[k] for k in p],
            [names[k] for k in q],
            [genes[k] for k in g],
        )
        assert other["rank"].equals(want["rank"])
        assert other["nearest"].equals(want["nearest"])


def test_a_reference_without_the_own_truth_writes_it_into_the_query() -> None:
    """Why leave_one_out is off: one profile for all perturbations finds each of them."""
    rng = np.random.default_rng(7)
    real, labels, genes = screen(n=20)
    constant = np.repeat(real.mean(0, keepdims=True) + 0.01 * rng.normal(size=400), 20, axis=0)
    how = {"labels": labels, "genes": genes, "control": None, "reference": "perturbed_mean", "exclude_targets": "none"}
    fair = vcm.discrimination(constant, real, **how).attrs["aggregate"]["score"]
    leaked = vcm.discrimination(constant, real, leave_one_out=True, **how).attrs["aggregate"]["score"]
    assert fair == pytest.approx(0.5)
    assert leaked > 0.95


@pytest.mark.parametrize("metric", [*METRICS, "pearson"])
@pytest.mark.parametrize("seed", range(3))
def test_candidates_that_differ_at_targets_alone_tie_exactly_in_duels(metric: str, seed: int) -> None:
    real, labels, genes = screen(n=12, genes=60, seed=seed)
    alike = np.repeat(np.random.default_rng(seed).normal(size=(1, 60)), 12, axis=0)
    alike[np.arange(12), np.arange(12)] = -3.0
    how = {"labels": labels, "genes": genes, "control": None, "reference": "none", "metric": metric}
    for ties, rank in (("mid", 5.5), ("optimistic", 0.0), ("pessimistic", 11.0)):
        looked_for = vcm.discrimination(alike, real, exclude_targets="pair", direction="real_to_pred", ties=ties, **how)
        assert (looked_for["rank"] == rank).all()
        candidates = vcm.discrimination(real, alike, exclude_targets="pair", ties=ties, **how)
        assert (candidates["rank"] == rank).all()


def test_two_guides_of_one_gene_and_combinations() -> None:
    real, _, genes = screen(n=6, genes=30)
    labels = ["G000_g1", "G000_g2", "G001+G002", "G003", "G002+ctrl", "G005"]
    target_map = {"G000_g1": "G000", "G000_g2": "G000"}
    pred = real + np.random.default_rng(8).normal(size=real.shape)
    how = {"labels": labels, "genes": genes, "reference": "none", "control": "ctrl", "target_map": target_map}
    table = vcm.discrimination(pred, real, exclude_targets="pair", **how)
    assert table["n_targets"].to_dict() == dict(zip(labels, [1, 1, 2, 1, 1, 1], strict=True))
    from vcmetrics.reference.retrieval import ranks

    targets = [[0], [0], [1, 2], [3], [2], [5]]
    order = np.argsort(labels)
    for scope in SCOPES:
        got = vcm.discrimination(pred, real, exclude_targets=scope, metric="l1", **how)
        want = ranks(
            pred[order], real[order], range(6), [targets[k] for k in order], [targets[k] for k in order],
            metric="cityblock", scope=scope,
        )  # fmt: skip
        assert got["rank"].tolist() == want
