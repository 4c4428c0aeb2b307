"""Distances between predicted and observed cells, and effects that random cells do not have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import anndata
import numpy as np
import pytest
import scipy.sparse as sp

import vcmetrics
from vcmetrics.challenge import obesity
from vcmetrics.metrics.cells import CellPair, CellSide
from vcmetrics.metrics.pair import Pair, Profiles
from vcmetrics.metrics.registry import MetricSpec, get, rows
from vcmetrics.sources.rows import ChunkedArray, Rows
from vcmetrics.summary.plan import group_cells

CONTROL = "ctrl"
ROWS = [spec for spec in rows() if spec.family == "cell_distances"]


def side_of(values: np.ndarray, labels: Sequence[str], kind: str = "lognorm", name: str = "side") -> CellSide:
    cells = sp.csr_matrix(values)
    cells.sort_indices()
    stored = Rows(*cells.shape, cells.indptr.astype(np.int64), *map(ChunkedArray.of, (cells.indices, cells.data)))
    rng = np.random.default_rng(9)
    emb = np.asarray(values[:, :4] + 0.1 * rng.normal(size=(len(values), 4)), np.float64)
    groups = group_cells(np.array(labels, dtype=object), CONTROL)
    totals = np.asarray(values.sum(1), np.float64)
    return CellSide(stored, groups, totals, kind, 50.0, name, obsm={"emb": emb}.get)


def pair_of(real: CellSide, pred: CellSide, n_threads: int | None = None) -> Pair:
    names = real.groups.perturbations
    genes = np.array([f"g{k:02d}" for k in range(real.rows.n_cols)])
    return Pair(names, genes, np.full(len(names), -1), cells=lambda: CellPair(real, pred, n_threads))


def random_sides(seed: int, kind: str = "lognorm", g: int = 12) -> tuple[CellSide, CellSide]:
    rng = np.random.default_rng(seed)
    labels = [*["a"] * 14, *["b"] * 9, *[CONTROL] * 7, *["c"] * 21]
    sides = []
    for k in (0, 1):
        counts = rng.poisson(1 + rng.gamma(2.0, 1.0, g) * (1 + np.arange(len(labels))[:, None] % 3)).astype(np.float32)
        values = counts if kind == "counts" else np.log1p(counts)
        sides.append(side_of(values, labels, kind, f"side {k}"))
    return sides[0], sides[1]


def agree(spec: MetricSpec, pair: Pair, settings: dict[str, object]) -> np.ndarray:
    fast, slow = spec.evaluate(pair, settings), spec.evaluate(pair, settings, slow=True)
    np.testing.assert_allclose(fast, slow, rtol=spec.parity.rtol, atol=spec.parity.atol)
    return fast


@pytest.mark.parametrize("kind", ["counts", "lognorm"])
@pytest.mark.parametrize("embedding", [None, "emb"])
@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
def test_row_equals_its_reference(spec: MetricSpec, embedding: str | None, kind: str) -> None:
    settings: dict[str, object] = {"embedding": embedding}
    if spec.name == "cells_mahalanobis":
        settings["shrinkage"] = 0.5
    pair = pair_of(*random_sides(1, kind))
    values = agree(spec, pair, settings)
    assert not np.isnan(values).any()
    assert (values >= spec.bounds[0]).all()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("cells_edistance", {"estimator": "u", "cell_metric": "sqeuclidean"}),
        ("cells_mmd", {"kernel": "rbf", "gamma": (2.0, 1.0, 0.5, 0.1, 0.01, 0.005)}),
        ("cells_mmd", {"kernel": "rbf", "gamma": "median"}),
        ("cells_mmd", {"kernel": "rbf", "gamma": (0.1, 0.2), "combine": "sum", "truncate": True}),
        ("cells_mmd", {"kernel": "braycurtis"}),
        ("cells_wasserstein_2", {"regularization": 5.0}),
        ("cells_frechet", {"ridge": 1e-6, "embedding": "emb"}),
    ],
)
def test_settings_of_papers(name: str, settings: dict[str, object]) -> None:
    agree(get(name), pair_of(*random_sides(2)), settings)


@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
def test_reality_is_at_zero(spec: MetricSpec) -> None:
    real, _ = random_sides(3)
    settings = {"shrinkage": 0.5} if spec.name == "cells_mahalanobis" else {}
    # entropic plans stop within their threshold, square roots magnify rounding
    np.testing.assert_allclose(spec.evaluate(pair_of(real, real), settings), 0.0, atol=2e-6)


def moved(values: np.ndarray, labels: list[str], rng: np.random.Generator) -> CellSide:
    order = rng.permutation(len(labels))
    return side_of(values[order], [labels[k] for k in order])


@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
def test_orders_and_threads(spec: MetricSpec) -> None:
    rng = np.random.default_rng(4)
    labels = ["a"] * 10 + ["b"] * 13 + [CONTROL] * 3
    x, y = rng.gamma(2.0, 1.0, (2, 26, 8))
    settings = {"shrinkage": 0.5} if spec.name == "cells_mahalanobis" else {}
    want = spec.evaluate(pair_of(side_of(x, labels), side_of(y, labels)), settings)
    if "cell_order" in spec.invariants:
        got = spec.evaluate(pair_of(moved(x, labels, rng), moved(y, labels, rng)), settings)
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-8)
    if "gene_order" in spec.invariants:
        genes = rng.permutation(8)
        got = spec.evaluate(pair_of(side_of(x[:, genes], labels), side_of(y[:, genes], labels)), settings)
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-8)
    renamed = [{"a": "z"}.get(label, label) for label in labels]
    got = spec.evaluate(pair_of(side_of(x, renamed), side_of(y, renamed)), settings)
    np.testing.assert_array_equal(got, want[::-1])
    for n_threads in (1, 2, 3, 7):
        got = spec.evaluate(pair_of(side_of(x, labels), side_of(y, labels), n_threads), settings)
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
def test_moves_of_the_space(spec: MetricSpec) -> None:
    rng = np.random.default_rng(5)
    labels = ["a"] * 11 + ["b"] * 9 + [CONTROL] * 3
    x, y = rng.gamma(2.0, 1.0, (2, 23, 6))
    settings = {"shrinkage": 0.5} if spec.name == "cells_mahalanobis" else {}

    def values(f: object) -> np.ndarray:
        return spec.evaluate(pair_of(side_of(f(x), labels), side_of(f(y), labels)), settings)  # type: ignore[operator]

    want = values(lambda t: t)
    close = {"rtol": 1e-5, "atol": 1e-6}
    if "translation" in spec.invariants:
        np.testing.assert_allclose(values(lambda t: t + np.arange(6) / 2), want, **close)
    if "rotation" in spec.invariants:
        turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
        np.testing.assert_allclose(values(lambda t: t @ turn), want, **close)
    for law in spec.invariants:
        if law.startswith("scale:"):
            np.testing.assert_allclose(values(lambda t: 2 * t), want * 2 ** int(law[-1]), **close)


def one(real: np.ndarray, pred: np.ndarray) -> Pair:
    return pair_of(side_of(real, ["p"] * len(real)), side_of(pred, ["p"] * len(pred)))


def test_squared_energy_sees_the_means_alone() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(20, 5)), 3 * rng.normal(size=(31, 5)) + 1
    apart = 2 * ((x.mean(0) - y.mean(0)) ** 2).sum()
    spec = get("cells_edistance")
    v = spec.evaluate(one(x, y), {"cell_metric": "sqeuclidean"})
    np.testing.assert_allclose(v, apart, rtol=1e-12)
    u = spec.evaluate(one(x, y), {"cell_metric": "sqeuclidean", "estimator": "u"})
    noise = 2 * x.var(0, ddof=1).sum() / 20 + 2 * y.var(0, ddof=1).sum() / 31
    np.testing.assert_allclose(u, apart - noise, rtol=1e-12)


def test_rbf_saturates() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(50, 30)), rng.normal(size=(80, 30))
    spec = get("cells_mmd")
    value = spec.evaluate(one(x, y), {"kernel": "rbf", "gamma": 1e6})
    np.testing.assert_allclose(value, 1 / 50 + 1 / 80, rtol=1e-12)
    np.testing.assert_allclose(value, 0.0325, rtol=1e-12)
    summed = spec.evaluate(one(x, y), {"kernel": "rbf", "gamma": (1e6, 2e6, 4e6), "combine": "sum"})
    np.testing.assert_allclose(summed, 3 * 0.0325, rtol=1e-12)


def test_a_repeated_centroid_costs_one_a_kernel() -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(size=(40, 10))
    far = np.repeat(x.mean(0, keepdims=True) + 1e4, 40, axis=0)
    gammas = [1 / (849.0 * b) for b in obesity.BANDWIDTHS]
    settings = {"kernel": "rbf", "gamma": gammas, "combine": "sum", "truncate": True}
    value = get("cells_mmd").evaluate(one(x, far), settings)[0]
    inside = sum(np.exp(-g * ((x[:, None] - x[None]) ** 2).sum(2)).mean() for g in gammas)
    # the cross term is gone, so what the centroid adds is its own block: 1 a kernel
    assert value - inside == pytest.approx(5.0, abs=1e-12)


@pytest.mark.parametrize(("crunch", "n"), [(1, 30), (2, 25)])
def test_mmd_of_the_obesity_challenge(crunch: int, n: int) -> None:
    rng = np.random.default_rng(9)
    x, y = rng.gamma(2.0, 3.0, (30, 20)), rng.gamma(2.0, 3.0, (n, 20))
    sigma = obesity.CRUNCHES[crunch].sigma
    gammas = [1 / (sigma * b) for b in obesity.BANDWIDTHS]
    settings = {"kernel": "rbf", "gamma": gammas, "combine": "sum", "truncate": True}
    np.testing.assert_allclose(
        get("cells_mmd").evaluate(one(x, y), settings)[0], obesity.mmd(y, x, sigma), rtol=1e-9, atol=1e-12
    )


def test_truncation_sees_the_order_of_the_cells() -> None:
    rng = np.random.default_rng(13)
    x, y = rng.normal(size=(30, 6)), rng.normal(size=(20, 6))
    spec = get("cells_mmd")
    cut = {"kernel": "rbf", "gamma": 0.1, "truncate": True}
    assert spec.evaluate(one(x, y), cut)[0] != spec.evaluate(one(x[::-1], y), cut)[0]
    whole = {**cut, "truncate": False}
    np.testing.assert_allclose(spec.evaluate(one(x, y), whole), spec.evaluate(one(x[::-1], y), whole), rtol=1e-12)


@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
def test_single_precision_is_near(spec: MetricSpec) -> None:
    rng = np.random.default_rng(14)
    x, y = rng.gamma(2.0, 1.0, (2, 25, 8)).astype(np.float32)
    settings = {"shrinkage": 0.5} if spec.name == "cells_mahalanobis" else {}
    single = spec.evaluate(one(x, y), settings)
    double = spec.evaluate(one(x.astype(np.float64), y.astype(np.float64)), settings)
    np.testing.assert_allclose(single, double, rtol=1e-6, atol=1e-9)


def test_point_masses_and_shifts() -> None:
    rng = np.random.default_rng(10)
    x = rng.normal(size=(15, 4))
    v = np.array([3.0, 0.0, 4.0, 0.0])
    for name in ("cells_wasserstein_1", "cells_wasserstein_2"):
        np.testing.assert_allclose(get(name).evaluate(one(x, x + v)), 5.0, rtol=1e-9)
        np.testing.assert_allclose(get(name).evaluate(one(x[:1], x[:1] + v)), 5.0, rtol=1e-9)
    np.testing.assert_allclose(get("cells_frechet").evaluate(one(x, x + v)), 25.0, rtol=1e-9)
    # commuting covariances
    axes = np.sqrt(np.array([1.0, 4.0, 9.0, 0.25]))
    base = np.concatenate([np.diag(axes), -np.diag(axes)])
    got = get("cells_frechet").evaluate(one(base, 2 * base))[0]
    spread = (base**2).sum(0) / 7
    np.testing.assert_allclose(got, ((np.sqrt(spread) - np.sqrt(4 * spread)) ** 2).sum(), rtol=1e-9)


def test_same_as_the_distance_matrix() -> None:
    real, pred = random_sides(11)
    labels = [real.groups.labels[c] for c in real.groups.codes]
    adata = anndata.AnnData(
        np.concatenate([_dense(real), _dense(pred)]),
        obs={"group": [f"real {x}" for x in labels] + [f"pred {x}" for x in labels]},
    )
    matrix = vcmetrics.distance_matrix(adata, pert_col="group", metric="edistance")
    values = get("cells_edistance").evaluate(pair_of(real, pred))
    want = [matrix.loc[f"real {p}", f"pred {p}"] for p in real.groups.perturbations]
    np.testing.assert_allclose(values, want, rtol=1e-12)


def _dense(side: CellSide) -> np.ndarray:
    r = side.rows
    return sp.csr_matrix((r.data.read(0, r.nnz), r.indices.read(0, r.nnz), r.indptr), (r.n_rows, r.n_cols)).toarray()


def test_inputs_are_left_alone() -> None:
    real, pred = random_sides(12)
    before = _dense(real).copy(), _dense(pred).copy()
    for spec in ROWS:
        spec.evaluate(pair_of(real, pred), {"shrinkage": 0.5})
    np.testing.assert_array_equal(_dense(real), before[0])
    np.testing.assert_array_equal(_dense(pred), before[1])
    with pytest.raises(Exception, match="looks at single cells"):
        ROWS[0].evaluate(replace(pair_of(real, pred), cells=None))


def cells_with_effects(seed: int) -> Pair:
    rng = np.random.default_rng(seed)
    labels = [*["a"] * 14, *["b"] * 14, *["c"] * 30, *["d"] * 9, *[CONTROL] * 40]
    values = rng.normal(size=(len(labels), 12)) + np.array([2.0 * (x in "ac") for x in labels])[:, None]
    pair = pair_of(side_of(values, labels), side_of(values, labels))
    lengths = np.array([3.0, 2.0, 1.0, 0.5])
    control = rng.normal(size=12)
    pred = Profiles(control + lengths[:, None] * np.eye(4, 12), control)
    return replace(pair, pred=pred, real=pred)


@pytest.mark.parametrize("name", ["effect_detection_auroc", "effect_detection_average_precision"])
def test_detection_equals_its_reference(name: str) -> None:
    spec = get(name)
    for seed in range(3):
        pair = cells_with_effects(seed)
        settings = {"n_draws": 50, "cap": 12, "seed": seed}
        np.testing.assert_allclose(spec.evaluate(pair, settings), spec.evaluate(pair, settings, slow=True), rtol=1e-12)


def test_detection_by_hand() -> None:
    pair = cells_with_effects(0)
    # (yes, no, yes, no) at lengths 3, 2, 1, 0.5
    np.testing.assert_allclose(get("effect_detection_auroc").evaluate(pair), 3 / 4)
    np.testing.assert_allclose(get("effect_detection_average_precision").evaluate(pair), (1 + 2 / 3) / 2)
    louder = replace(pair, pred=replace(pair.pred, mean=pair.pred.control + 7 * pair.pred.effect))
    np.testing.assert_array_equal(get("effect_detection_auroc").evaluate(louder), 3 / 4)
    labels = [*["a"] * 3, *["b"] * 4, *["c"] * 5, *["d"] * 6, *[CONTROL] * 7]
    flat = pair_of(side_of(np.ones((25, 12)), labels), side_of(np.ones((25, 12)), labels))
    none = replace(pair, cells=flat.cells)  # no cell differs from another, so nothing exceeds the null
    assert np.isnan(get("effect_detection_auroc").evaluate(none)).all()
