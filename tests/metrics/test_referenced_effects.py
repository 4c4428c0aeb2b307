"""Effects against every reference, choices of genes and t statistics: against their slow meanings, SciPy and scanpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from vcmetrics._errors import DataError
from vcmetrics.metrics.gene_choice import gene_choice
from vcmetrics.metrics.pair import Batches, Pair, Profiles, Training
from vcmetrics.metrics.referenced_effects import referenced_effects
from vcmetrics.metrics.t_statistics import rest_moments, t_p_values, t_statistics
from vcmetrics.reference import gene_choice as slow_choice
from vcmetrics.reference import referenced_effects as slow_effects
from vcmetrics.reference import t_statistics as slow_t
from vcmetrics.summary.effect_reference import REFERENCES


def tables(pair: Pair, reference: str, leave_one_out: bool) -> tuple[np.ndarray, np.ndarray]:
    effects = referenced_effects(pair, reference, leave_one_out=leave_one_out)
    return effects.pred(slice(None)), effects.real(slice(None))


@pytest.mark.parametrize("leave_one_out", [True, False])
@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("reference", REFERENCES)
def test_every_reference(literature_pair, reference: str, trained: bool, leave_one_out: bool) -> None:
    pair = literature_pair(1, 7, 12, trained=trained)
    got = tables(pair, reference, leave_one_out)
    want = slow_effects.effects(pair, reference, leave_one_out)
    for one, other in zip(got, want, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)
    effects = referenced_effects(pair, reference, leave_one_out=leave_one_out)
    np.testing.assert_array_equal(effects.pred(2), got[0][2])
    np.testing.assert_array_equal(effects.real(2), got[1][2])


@pytest.mark.parametrize("reference", [r for r in REFERENCES if r not in ("none", "batch_control", "control")])
def test_a_vector_added_to_profiles_and_reference_changes_no_effect(literature_pair, reference: str) -> None:
    pair = literature_pair(2, 6, 9, trained=True)
    v = np.random.default_rng(0).normal(size=9)
    real, pred = (replace(s, mean=s.mean + v, control=s.control + v) for s in (pair.real, pair.pred))
    train = replace(pair.train, mean=pair.train.mean + v, control=pair.train.control + v)
    for one, other in zip(
        tables(replace(pair, real=real, pred=pred, train=train), reference, True),
        tables(pair, reference, True),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_truth_of_a_scored_perturbation_is_not_in_its_reference(literature_pair) -> None:
    for trained in (True, False):
        pair = literature_pair(3, 5, 8, trained=trained)
        before = referenced_effects(pair, "perturbed_mean").real_base
        mean = pair.real.mean.copy()
        mean[1] += 100.0
        train = pair.train
        if trained:  # the perturbation's own training rows as well
            moved = np.where(np.array(train.labels)[:, None] == pair.perturbations[1], 100.0, 0.0)
            train = replace(train, mean=train.mean + moved)
        after = referenced_effects(
            replace(pair, real=replace(pair.real, mean=mean), train=train), "perturbed_mean"
        ).real_base
        np.testing.assert_allclose(after[1], before[1], atol=1e-12)


def test_batch_constant_changes_no_matched_effect() -> None:
    """Cells of two batches; a vector is added to every cell of one, controls included."""
    rng = np.random.default_rng(4)
    labels = np.repeat(["ctrl", "A", "B"], [12, 9, 7])
    batch = rng.integers(0, 2, labels.size)
    batch[:2] = 0, 1
    cells, other = rng.normal(size=(labels.size, 6)), rng.normal(size=(labels.size, 6))
    shift = rng.normal(size=6) * 5

    def pair_of(x: np.ndarray, y: np.ndarray) -> Pair:
        counts = np.array([[((labels == p) & (batch == b)).sum() for b in (0, 1)] for p in ("A", "B")])
        control = np.array([x[(labels == "ctrl") & (batch == b)].mean(0) for b in (0, 1)])
        sides = [
            Profiles(np.array([z[labels == p].mean(0) for p in ("A", "B")]), x[labels == "ctrl"].mean(0))
            for z in (x, y)
        ]
        return Pair(
            ("A", "B"),
            np.array([f"g{k}" for k in range(6)]),
            np.array([-1, -1]),
            real=sides[0],
            pred=sides[1],
            batches=Batches(("0", "1"), control, counts, np.zeros_like(counts)),
        )

    moved = (batch == 1)[:, None] * shift
    want = tables(pair_of(cells, other), "batch_control", True)
    got = tables(pair_of(cells + moved, other + moved), "batch_control", True)
    for one, two in zip(got, want, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-13)
    # the definition itself: each cell less the control mean of its batch
    matched = cells - np.array([cells[(labels == "ctrl") & (batch == b)].mean(0) for b in batch])
    np.testing.assert_allclose(want[1], [matched[labels == p].mean(0) for p in ("A", "B")], atol=1e-14)


def test_references_that_lack_something(literature_pair) -> None:
    pair = literature_pair(5, 3, 4, trained=False)
    with pytest.raises(DataError, match="needs the control of every batch"):
        referenced_effects(replace(pair, batches=None), "batch_control")
    with pytest.raises(DataError, match="a table of profiles has none"):
        referenced_effects(replace(pair, real=replace(pair.real, n_cells=None)), "perturbed_mean_cells")
    with pytest.raises(ValueError, match="'mean' is not known; choose from control"):
        referenced_effects(pair, "mean")


CHOICES = (
    "all",
    "top_expressed:4",
    "top_effect:3",
    "effect_rank:3",
    "t_test:3",
    "t_test_overestimated:3",
    "de",
    "de:2",
    "union_top_effect:2",
    "union_t_test:2",
    "union_de",
    "t_test:4:non_dropout",
    "t_test:4:non_zero",
    "union_top_effect:2:non_zero",
    "all:non_zero",
    "top_expressed:50",
    ["g1", "g3", "g2"],
)


@pytest.mark.parametrize("exclude", ["none", "row", "own", "panel"])
@pytest.mark.parametrize("genes", CHOICES, ids=str)
def test_every_choice_of_genes(literature_pair, genes, exclude: str) -> None:
    for seed in range(4):
        pair = literature_pair(seed, 5, 14)
        choice = gene_choice(pair, genes, exclude)
        want = slow_choice.gene_choice(pair, genes, exclude)
        for p in range(pair.n):
            assert np.arange(14)[choice.of(p)].tolist() == want[p], p
            assert choice.size(p) == len(want[p])
        assert gene_choice(pair, genes, exclude) is choice


@pytest.mark.parametrize("exclude", ["none", "row", "panel"])
def test_choice_of_variable_genes(literature_pair, exclude: str) -> None:
    for seed in range(4):
        pair = literature_pair(seed, 5, 14)
        mean = pair.real.mean + np.random.default_rng(seed).normal(size=pair.real.mean.shape)
        pair = replace(pair, real=replace(pair.real, mean=mean))  # no two genes vary alike
        choice = gene_choice(pair, "top_variable:4", exclude)
        want = slow_choice.gene_choice(pair, "top_variable:4", exclude)
        assert [choice.of(p).tolist() for p in range(5)] == want


def test_lists_are_made_after_targets_left(literature_pair) -> None:
    pair = literature_pair(0, 6, 14)
    for genes in ("top_effect:5", "t_test:5", "top_expressed:5"):
        for exclude in ("own", "panel"):
            choice = gene_choice(pair, genes, exclude)
            gone = set(pair.own.tolist()) if exclude == "panel" else None
            for p in range(pair.n):
                assert choice.size(p) == 5  # a list of five even where the target was among the first
                assert not (gone or {pair.own[p]}) & set(choice.of(p).tolist())


def test_combinations_have_all_their_targets(literature_pair) -> None:
    pair = literature_pair(0, 4, 10)
    names = ("g1", "g2+g5", "g3+ctrl", "drug+x")
    own = [pair.genes.tolist().index("g1"), -1, -1, -1]
    tables = [replace(table, targets=names) for table in (pair.de_real, pair.de_pred)]
    pair = replace(pair, perturbations=names, own=np.array(own), de_real=tables[0], de_pred=tables[1])
    every = set(pair.genes.tolist())
    left = [every - set(pair.genes[gene_choice(pair, "all", "own").of(p)]) for p in range(4)]
    assert left == [{"g1"}, {"g2", "g5"}, {"g3"}, set()]
    assert every - set(pair.genes[gene_choice(pair, "all", "panel").of(3)]) == {"g1", "g2", "g3", "g5"}
    for genes in CHOICES:
        for exclude in ("own", "panel"):
            want = slow_choice.gene_choice(pair, genes, exclude)
            choice = gene_choice(pair, genes, exclude)
            assert [np.arange(10)[choice.of(p)].tolist() for p in range(4)] == want


def test_an_embedding_has_no_genes(literature_pair) -> None:
    pair = literature_pair(0, 4, 10)
    coordinates = Profiles(np.arange(12.0).reshape(4, 3), np.zeros(3))
    embedded = replace(pair, real=coordinates, pred=coordinates)
    for exclude in ("none", "own", "panel"):
        assert gene_choice(embedded, "all", exclude).of(0) == slice(None)
        assert gene_choice(embedded, "all", exclude).size(0) == 3
    with pytest.raises(DataError, match="an embedding has none"):
        gene_choice(embedded, "top_effect:2")


def test_choices_that_cannot_be_made(literature_pair) -> None:
    pair = literature_pair(0, 3, 6)
    for genes in ("top", "t_test", "top_effect:0", "t_test:x", "union_"):
        with pytest.raises(ValueError, match="is not known; pass all, top_expressed:K"):
            gene_choice(pair, genes)
    with pytest.raises(ValueError, match="exclude='target' is not known"):
        gene_choice(pair, "all", "target")
    with pytest.raises(DataError, match="need the variance of the observed cells"):
        gene_choice(replace(pair, real=replace(pair.real, variance=None)), "t_test:3")
    with pytest.raises(DataError, match="1 of 2 genes of the list are not measured: 'nope'"):
        gene_choice(pair, ["g1", "nope"])
    assert not gene_choice(pair, "top_expressed:2").oracle
    assert gene_choice(pair, "union_de").oracle


@pytest.mark.parametrize("overestimated", [False, True])
@pytest.mark.parametrize("against", ["control", "rest"])
def test_t_statistics(literature_pair, against: str, overestimated: bool) -> None:
    for n in (1, 2, 6):
        pair = literature_pair(7, n, 11)
        want, df = slow_t.t_statistics(pair, against, overestimated=overestimated)
        np.testing.assert_allclose(
            t_statistics(pair, against, overestimated=overestimated), want, rtol=1e-9, atol=1e-12
        )
        p = t_p_values(pair, against, overestimated=overestimated)
        np.testing.assert_allclose(p, np.where(want == 0, 1.0, 2 * stats.t.sf(np.abs(want), df)), rtol=1e-8)


def cells_and_pair(seed: int = 0, smallest: int = 1) -> tuple[np.ndarray, np.ndarray, Pair]:
    """Cells of five groups of very different size, and the pair of their moments."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(["ctrl", "A", "B", "C", "D"], [30, 3, 200, smallest, 17])
    x = np.log1p(rng.poisson(rng.uniform(0, 3, 25) * rng.uniform(0.5, 2, (labels.size, 1)))).astype(np.float64)
    x[:, 0] = 0.0
    x[labels == "B", 1] += 1e3  # one group holds nearly all the spread
    names = ("A", "B", "C", "D")

    def moments(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return chosen.mean(0), chosen.var(0, ddof=1) if len(chosen) > 1 else np.full(25, np.nan)

    stacked = [moments(x[labels == p]) for p in names]
    control, control_variance = moments(x[labels == "ctrl"])
    real = Profiles(
        np.array([m for m, _ in stacked]),
        control,
        n_cells=np.array([(labels == p).sum() for p in names]),
        control_n_cells=30,
        variance=np.array([v for _, v in stacked]),
        control_variance=control_variance,
    )
    pair = Pair(names, np.array([f"g{k}" for k in range(25)]), np.full(4, -1), real=real, pred=real)
    return x, labels, pair


def test_t_statistics_of_cells() -> None:
    x, labels, pair = cells_and_pair()
    kept = labels != "ctrl"
    for p, name in enumerate(pair.perturbations):
        for against in ("control", "rest"):
            others = x[labels == "ctrl"] if against == "control" else x[kept & (labels != name)]
            with np.errstate(invalid="ignore", divide="ignore"):
                if (labels == name).sum() > 1:
                    t = stats.ttest_ind(x[labels == name], others, equal_var=False).statistic
                else:
                    t = np.zeros(25)
            np.testing.assert_allclose(t_statistics(pair, against)[p], np.nan_to_num(t, nan=0.0), rtol=1e-9, atol=1e-10)
    mean, variance, n = rest_moments(pair.real.mean, pair.real.variance, pair.real.n_cells)
    for p, name in enumerate(pair.perturbations):
        others = x[kept & (labels != name)]
        assert n[p] == len(others)
        np.testing.assert_allclose(mean[p], others.mean(0), rtol=1e-13)
        np.testing.assert_allclose(variance[p], others.var(0, ddof=1), rtol=1e-12)


@pytest.mark.parametrize("overestimated", [False, True])
def test_t_statistics_of_scanpy(overestimated: bool) -> None:
    scanpy = pytest.importorskip("scanpy")
    anndata = pytest.importorskip("anndata")
    x, labels, pair = cells_and_pair(3, smallest=4)  # scanpy refuses groups of one cell
    method = "t-test_overestim_var" if overestimated else "t-test"
    for against in ("control", "rest"):
        kept = np.full(labels.size, True) if against == "control" else labels != "ctrl"
        adata = anndata.AnnData(x[kept], {"label": labels[kept].astype(str)})
        adata.var_names = pair.genes
        adata.obs["label"] = adata.obs["label"].astype("category")
        reference = "ctrl" if against == "control" else "rest"
        scanpy.tl.rank_genes_groups(adata, "label", reference=reference, method=method, rankby_abs=True, use_raw=False)
        found = adata.uns["rank_genes_groups"]
        t = t_statistics(pair, against, overestimated=overestimated)
        p = t_p_values(pair, against, overestimated=overestimated)
        for row, name in enumerate(pair.perturbations):
            order = [pair.genes.tolist().index(g) for g in found["names"][name]]
            np.testing.assert_allclose(t[row][order], found["scores"][name], rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(p[row][order], found["pvals"][name], rtol=1e-5)
            # the list of twenty is scanpy's where no two scores are equal
            assert set(np.abs(t[row][order[:10]])) == set(np.sort(np.abs(t[row]))[::-1][:10])


def test_training_object_is_left_alone(literature_pair) -> None:
    pair = literature_pair(8, 4, 6, trained=True)
    assert isinstance(pair.train, Training)
    before = pair.train.mean.copy()
    referenced_effects(pair, "condition_mean")
    np.testing.assert_array_equal(before, pair.train.mean)
