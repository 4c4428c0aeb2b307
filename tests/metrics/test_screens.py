"""Retrieval of phenotypes, phenocopies and neighbours: references, laws, closed forms, scikit-learn's areas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from vcmetrics._errors import DataError
from vcmetrics.metrics import roc
from vcmetrics.metrics.pair import Pair, Profiles, Training
from vcmetrics.metrics.registry import MetricSpec, get, rows
from vcmetrics.reference import roc as slow_roc

TRAINED = [spec for spec in rows() if spec.family == "phenocopy"]
SETS = [spec for spec in rows() if spec.family == "virtual_screen"]
CLASSES = {"classes": {f"p{k:02d}": "abc"[k % 3] for k in range(11)}}


def screen(seed: int, n: int = 12, n_train: int = 9, g: int = 30, noise: float = 1.0) -> Pair:
    """Perturbations around four centres; p… are scored, t… are training ones, and p00 is in both."""
    rng = np.random.default_rng(seed)
    centres = 2 * rng.normal(size=(4, g))
    control = rng.normal(size=g)
    real = control + centres[np.arange(n) % 4] + rng.normal(size=(n, g))
    train = control + centres[np.arange(n_train) % 4] + rng.normal(size=(n_train, g))
    labels = ("p00", *(f"t{k}" for k in range(1, n_train)))
    return Pair(
        perturbations=tuple(f"p{k:02d}" for k in range(n)),
        genes=np.array([f"g{k}" for k in range(g)]),
        own=np.full(n, -1),
        real=Profiles(real, control),
        pred=Profiles(real + noise * rng.normal(size=real.shape), control),
        train=Training(labels, train, np.full(n_train, 10), control + 0.1),
    )


def settings_of(spec: MetricSpec) -> dict[str, object]:
    genes = {"gene_set": ["g1", "g2", "g3", "g5", "g7", "elsewhere"], "ctrl_size": 3, "n_bins": 5}
    return CLASSES if "classes" in spec.required else genes if "gene_set" in spec.required else {}


ROWS = [*TRAINED, *SETS, get("phenotype_auroc")]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
def test_row_equals_its_reference(spec: MetricSpec, seed: int) -> None:
    pair = screen(seed, n=5 + 3 * seed, g=(9, 12, 30, 60)[seed])
    for more in (
        {},
        {"mads": 1.0, "pooled": True, "top_k": 2, "n_components": 3, "leave_one_out": False, "direction": "down"},
        {"mads": 2.0, "top_k": 100, "shrinkage": 0.2},
    ):
        settings = {**settings_of(spec), **more}
        fast, slow = spec.evaluate(pair, settings), spec.evaluate(pair, settings, slow=True)
        np.testing.assert_allclose(fast, slow, rtol=spec.parity.rtol, atol=spec.parity.atol, err_msg=str(more))
        inside = fast[~np.isnan(fast)]
        assert ((inside >= spec.bounds[0]) & (inside <= 1)).all()


@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
def test_laws(spec: MetricSpec) -> None:
    pair = screen(5)
    rng = np.random.default_rng(0)
    settings = settings_of(spec)
    want = spec.evaluate(pair, settings)
    order, genes = rng.permutation(pair.n), rng.permutation(30)

    def changed(f: Callable[[np.ndarray], np.ndarray], rows: np.ndarray = slice(None)) -> Pair:
        sides = {
            name: replace(side, mean=f(side.mean)[rows], control=f(side.control))
            for name, side in (("real", pair.real), ("pred", pair.pred))
        }
        train = replace(pair.train, mean=f(pair.train.mean), control=f(pair.train.control))
        names = tuple(np.array(pair.perturbations)[rows].tolist())
        return replace(pair, perturbations=names, **sides, train=train)

    moves = {
        "gene_order": lambda t: t[..., genes],
        "scale_degree_0": lambda t: 3 * t,
        "common_shift": lambda t: t + np.arange(30.0),
    }
    assert set(spec.invariants) == {*moves, "perturbation_order"}
    for law, move in moves.items():
        other = changed(move)
        if law == "gene_order":
            other = replace(other, genes=pair.genes[genes])
        np.testing.assert_allclose(spec.evaluate(other, settings), want, atol=1e-9, err_msg=law)
    np.testing.assert_allclose(spec.evaluate(changed(lambda t: t, order), settings), want[order], atol=1e-9)


@pytest.mark.parametrize("spec", [*TRAINED, *SETS], ids=lambda spec: spec.name)
def test_reality_is_the_best(spec: MetricSpec) -> None:
    pair = screen(6)
    values = spec.evaluate(replace(pair, pred=pair.real), {**settings_of(spec), "mads": 0.5})
    np.testing.assert_allclose(values, 1.0, rtol=0, atol=1e-12)


def test_one_profile_for_all_is_no_answer() -> None:
    pair = screen(11)
    flat = replace(pair.pred, mean=np.repeat(pair.pred.mean[:1], pair.n, axis=0))
    np.testing.assert_array_equal(get("phenocopy_auroc").evaluate(replace(pair, pred=flat), {"mads": 1.0}), 0.5)
    settings = settings_of(get("virtual_screen_auroc"))
    np.testing.assert_array_equal(get("virtual_screen_auroc").evaluate(replace(pair, pred=flat), settings), 0.5)
    assert np.isnan(get("virtual_screen_spearman").evaluate(replace(pair, pred=flat), settings)).all()


def test_whitening_evens_out_the_components() -> None:
    from vcmetrics.metrics.phenocopy import whitened

    x = np.random.default_rng(7).normal(size=(40, 6)) * np.array([10, 5, 1, 1, 1, 0.1])
    np.testing.assert_allclose(np.cov(whitened(x, 6, 0.0).T), np.eye(6), atol=1e-10)
    assert np.abs(np.cov(whitened(x, 6, 0.5).T) - np.eye(6)).max() > 0.1
    assert whitened(x, 3, 0.5).shape == (40, 3)
    np.testing.assert_array_equal(whitened(np.ones((4, 5)), 3, 0.5), np.zeros((4, 3)))


def test_components_are_those_of_scikit_learn() -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    from vcmetrics.metrics.phenocopy import cosines, whitened

    x = np.random.default_rng(8).normal(size=(30, 80))
    scores = decomposition.PCA(n_components=10, random_state=0).fit_transform(x)
    covariance = np.cov(scores.T)
    mixed = 0.5 * covariance + 0.5 * np.trace(covariance) / 10 * np.eye(10)
    want = scores @ np.linalg.inv(np.linalg.cholesky(mixed)).T
    np.testing.assert_allclose(cosines(whitened(x, 10, 0.5)), cosines(want), atol=1e-10)


def test_a_prediction_without_information_is_at_chance() -> None:
    values = []
    for seed in range(40):
        pair = screen(seed, n=24, n_train=12)
        rng = np.random.default_rng([seed, 1])
        blind = replace(pair.pred, mean=pair.pred.mean[rng.permutation(24)])
        values.append(get("phenocopy_auroc").evaluate(replace(pair, pred=blind), {"mads": 1.0})[0])
    assert abs(np.mean(values) - 0.5) < 0.05


def test_phenotypes_by_hand() -> None:
    side = Profiles(np.array([[0.0], [0.0], [10.0], [10.0]]), np.zeros(1))
    pair = Pair(("a", "b", "c", "d"), np.array(["g"]), np.full(4, -1), real=side, pred=side)
    near = replace(pair, pred=replace(side, mean=np.array([[1.0], [2.0], [8.0], [9.0]])))
    two = {"classes": {"a": "x", "b": "x", "c": "y", "d": "y"}}
    np.testing.assert_array_equal(get("phenotype_auroc").evaluate(near, two), 1.0)
    swapped = replace(pair, pred=replace(side, mean=np.array([[9.0], [8.0], [1.0], [2.0]])))
    np.testing.assert_array_equal(get("phenotype_auroc").evaluate(swapped, two), 0.0)
    flat = replace(pair, pred=replace(side, mean=np.full((4, 1), 3.0)))
    np.testing.assert_array_equal(get("phenotype_auroc").evaluate(flat, {**two, "leave_one_out": False}), 0.5)


def test_prototypes_leak_unless_left_out() -> None:
    # classes mean nothing; with its own truth inside, each perturbation still finds its prototype
    leaking, honest = [], []
    spec = get("phenotype_auroc")
    for seed in range(30):
        rng = np.random.default_rng(seed)
        side = Profiles(rng.normal(size=(8, 50)), np.zeros(50))
        names = tuple(f"p{k}" for k in range(8))
        pair = Pair(names, np.array([f"g{k}" for k in range(50)]), np.full(8, -1), real=side, pred=side)
        classes = {"classes": {p: "ab"[k % 2] for k, p in enumerate(names)}}
        leaking.append(spec.evaluate(pair, {**classes, "leave_one_out": False})[0])
        honest.append(spec.evaluate(pair, classes)[0])
    assert np.mean(leaking) > 0.95
    assert np.mean(honest) < 0.6


def test_a_class_of_one_has_no_prototype_of_its_own() -> None:
    pair = screen(9, n=4)
    spec = get("phenotype_auroc")
    alone = {"classes": {"p00": "a", "p01": "b", "p02": "b"}}
    assert np.isnan(spec.evaluate(pair, alone)).all()
    assert not np.isnan(spec.evaluate(pair, {**alone, "leave_one_out": False})).any()


def test_what_is_missing_is_named() -> None:
    pair = screen(10)
    with pytest.raises(DataError, match="classes= is missing"):
        get("phenotype_auroc").evaluate(pair)
    with pytest.raises(DataError, match="into 1 classes"):
        get("phenotype_auroc").evaluate(pair, {"classes": {"p00": "a"}})
    with pytest.raises(DataError, match="gene_set= is missing"):
        get("virtual_screen_auroc").evaluate(pair)
    with pytest.raises(DataError, match="none of the 1 genes of gene_set= is measured"):
        get("virtual_screen_auroc").evaluate(pair, {"gene_set": ["x"]})
    with pytest.raises(DataError, match="leaves no gene of similar expression"):
        get("virtual_screen_auroc").evaluate(pair, {"gene_set": [f"g{k}" for k in range(30)]})
    with pytest.raises(ValueError, match="direction 'x' is not known"):
        get("virtual_screen_auroc").evaluate(pair, {"gene_set": ["g1"], "direction": "x"})
    for spec in TRAINED:
        with pytest.raises(DataError, match="score with the training data"):
            spec.evaluate(replace(pair, train=None))
    own = replace(pair.train, labels=pair.perturbations[:9])
    with pytest.raises(DataError, match="all training perturbations are scored ones"):
        get("knn_recall").evaluate(replace(pair, train=own))
    with pytest.raises(ValueError, match="mads is -1"):
        get("phenocopy_auroc").evaluate(pair, {"mads": -1})


def labelled(seed: int) -> tuple[Pair, dict[str, str]]:
    pair = screen(seed, n_train=30)
    return pair, {label: "abcd"[k % 4] for k, label in enumerate(pair.train.labels)}


@pytest.mark.parametrize("seed", range(3))
def test_labels_and_components_equal_their_reference(seed: int) -> None:
    pytest.importorskip("sklearn")
    pair, classes = labelled(seed)
    cases = [("cell_type_agreement", {"classes": classes}), ("distance_in_pca", {"n_components": 5})]
    cases += [("distance_in_pca", {}), ("distance_in_pca", {"fit": "real"})]
    for name, settings in cases:
        spec = get(name)
        fast, slow = spec.evaluate(pair, settings), spec.evaluate(pair, settings, slow=True)
        np.testing.assert_allclose(fast, slow, rtol=spec.parity.rtol, atol=spec.parity.atol)
        same = spec.evaluate(replace(pair, pred=pair.real), settings)
        np.testing.assert_array_equal(same, spec.best)


def test_labels_of_a_given_classifier() -> None:
    class Sign:
        def predict(self, rows: np.ndarray) -> np.ndarray:
            return np.where(rows[:, 0] > 0, "T", "B")

    side = Profiles(np.array([[1.0], [-1.0], [2.0]]), np.zeros(1))
    pair = Pair(("p", "q", "r"), np.array(["g"]), np.full(3, -1), real=side, pred=replace(side, mean=np.ones((3, 1))))
    np.testing.assert_array_equal(get("cell_type_agreement").evaluate(pair, {"classifier": Sign()}), [1, 0, 1])


def test_components_by_hand() -> None:
    train = Training(("a", "b", "c"), np.array([[0.0, 7.0], [1.0, 7.0], [5.0, 7.0]]), np.ones(3, np.int64))
    real, pred = (Profiles(np.array([row]), np.zeros(2)) for row in ([1.0, 5.0], [4.0, 9.0]))
    pair = Pair(("p",), np.array(["g", "h"]), np.array([-1]), real=real, pred=pred, train=train)
    np.testing.assert_allclose(get("distance_in_pca").evaluate(pair), 9.0)
    with pytest.raises(ValueError, match="fit='x' is not known"):
        get("distance_in_pca").evaluate(pair, {"fit": "x"})


def test_labels_need_classes_and_training_data(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    pytest.importorskip("sklearn")
    pair, classes = labelled(3)
    spec = get("cell_type_agreement")
    with pytest.raises(DataError, match="classes= is missing"):
        spec.evaluate(pair)
    with pytest.raises(DataError, match="into 1 cell types"):
        spec.evaluate(pair, {"classes": {"t1": "a", "t2": "a"}})
    with pytest.raises(DataError, match="fitted on training profiles"):
        spec.evaluate(replace(pair, train=None), {"classes": classes})
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(ImportError, match=r"needs scikit-learn.*pip install 'vcmetrics\[cluster\]'"):
        spec.evaluate(pair, {"classes": classes})


def test_programs() -> None:
    rng = np.random.default_rng(0)
    sides = []
    for _ in range(2):
        parts = rng.dirichlet([1.0, 1.0, 1.0], 6)
        sides.append(Profiles(np.stack([parts[:, 0], parts[:, 1], parts[:, 1] / 2, parts[:, 2]], 1), np.zeros(4)))
    sides[0].mean[0, 1:3] = sides[1].mean[0, 1:3] = 0
    names = tuple("abcdef")
    pair = Pair(names, np.array(["g"]), np.full(6, -1), embeddings={"programs": (sides[0], sides[1])})
    spec = get("program_distance")
    named = {"embedding": "programs"}
    values = spec.evaluate(pair, named)
    np.testing.assert_allclose(values, spec.evaluate(pair, named, slow=True), rtol=1e-12)
    assert ((values >= 0) & (values <= 1.75)).all()
    same = replace(pair, embeddings={"programs": (sides[1], sides[1])})
    np.testing.assert_array_equal(spec.evaluate(same, named), 0)
    with pytest.raises(DataError, match="has 3 columns; expected pre_adipo, adipo, lipo, other"):
        cut = Profiles(sides[0].mean[:, :3], np.zeros(3))
        spec.evaluate(replace(pair, embeddings={"programs": (cut, cut)}), named)
    with pytest.raises(DataError, match="embedding 'programs' is not at hand"):
        spec.evaluate(replace(pair, embeddings={}), named)
    with pytest.raises(DataError, match="embedding= is missing"):
        spec.evaluate(pair)


def test_gene_set_scores_of_scanpy() -> None:
    # scanpy 1.11.5, tl.score_genes(ctrl_size=4 and 50), names in their order
    from vcmetrics.metrics.virtual_screen import gene_set_scores

    x = np.random.default_rng(21).normal(size=(7, 200))
    names = np.array([f"g{k:03d}" for k in range(200)])
    few = [0.02156213649226399, -0.28639460821678725, 0.960323928601331, -0.14526986345438897]
    few += [-0.5224692447983421, -0.39717857372317655, 0.0876860600228631]
    all_of_them = [-0.013650469123891118, -0.3330409934748617, 0.9223082926855689, -0.02012777507332386]
    all_of_them += [-0.5666734820360738, -0.3821791310175923, 0.1797083223807045]
    for ctrl_size, want in ((4, few), (50, all_of_them)):
        got = gene_set_scores(x, names, np.arange(5, 25, 2), ctrl_size, 25, 0)
        np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_areas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    positive = rng.uniform(size=n) < 0.4
    score = rng.integers(0, 6, n) / 4.0 if seed % 2 else rng.normal(size=n)
    got = [roc.roc_area(positive, score), roc.average_precision(positive, score)]
    got += [roc.partial_roc_area(positive, score, share) for share in (0.05, 0.3, 1.0)]
    arguments = positive.tolist(), score.tolist()
    want = [slow_roc.roc_area(*arguments), slow_roc.average_precision(*arguments)]
    want += [slow_roc.partial_roc_area(*arguments, share) for share in (0.05, 0.3, 1.0)]
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
    if 0 < positive.sum() < n:
        metrics = pytest.importorskip("sklearn.metrics")
        peer = [metrics.roc_auc_score(positive, score), metrics.average_precision_score(positive, score)]
        peer += [metrics.roc_auc_score(positive, score, max_fpr=share) for share in (0.05, 0.3, 1.0)]
        np.testing.assert_allclose(got, peer, rtol=1e-12, atol=1e-14)
    else:
        assert np.isnan(got).all()
