"""Metrics of single cells: the scorers' own numbers, the references, and what must not matter."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from vcmetrics._errors import DataError
from vcmetrics.metrics.cells import CellPair, CellSide, energy_distances
from vcmetrics.metrics.pair import Pair, Profiles
from vcmetrics.metrics.registry import get
from vcmetrics.sources.rows import ChunkedArray, Rows
from vcmetrics.summary.plan import Groups, group_cells

GOLDEN = Path(__file__).parents[1] / "golden"
CELL_EVAL = GOLDEN / "cell_eval"
CONTROL = "non-targeting"


def rows_of(matrix: np.ndarray | sp.spmatrix) -> Rows:
    cells = sp.csr_matrix(matrix)
    cells.sort_indices()
    return Rows(
        *cells.shape, cells.indptr.astype(np.int64), ChunkedArray.of(cells.indices), ChunkedArray.of(cells.data)
    )


def side_of(matrix: np.ndarray | sp.spmatrix, groups: Groups, **more: object) -> CellSide:
    totals = np.asarray(matrix.sum(axis=1), np.float64).ravel()
    more.setdefault("kind", "lognorm")
    return CellSide(rows_of(matrix), groups, totals, **more)


def profiles_of(values: np.ndarray, groups: Groups) -> Profiles:
    means = np.array([values[groups.codes == k].mean(axis=0) for k in range(len(groups.labels))])
    keep = [k for k, label in enumerate(groups.labels) if label != CONTROL]
    return Profiles(means[keep], means[groups.control_code])


def pair_of(cells: CellPair, genes: np.ndarray, **more: object) -> Pair:
    perturbations = cells.real.groups.perturbations
    names = list(genes)
    return Pair(
        perturbations=perturbations,
        genes=np.asarray(genes),
        own=np.array([names.index(p) if p in names else -1 for p in perturbations]),
        cells=lambda: cells,
        **more,
    )


def from_file(name: str, column: str, *, normalise: bool) -> tuple[CellSide, np.ndarray, ad.AnnData]:
    adata = ad.read_h5ad(name)
    groups = group_cells(adata.obs[column].astype(str).to_numpy(dtype=object), CONTROL)
    totals = np.asarray(adata.X.sum(axis=1), np.float64).ravel()
    side = side_of(
        adata.X,
        groups,
        kind="counts" if normalise else "lognorm",
        target_sum=float(np.median(totals)),
        obsm=lambda key: adata.obsm[key],
    )
    expression = side.expression()
    dense = sp.csr_matrix(
        (expression.data.read(0, expression.nnz), expression.indices.read(0, expression.nnz), expression.indptr),
        shape=adata.shape,
    ).toarray()
    return side, dense.astype(np.float64), adata


def cell_eval_pair(name: str) -> Pair:
    sides = []
    for which in ("real", "pred"):
        path = CELL_EVAL / "inputs" / f"{name}_{which}.h5ad"
        sides.append(from_file(str(path), "target_gene", normalise=name == "counts"))
    (real, real_x, adata), (pred, pred_x, other) = sides
    embeddings = {
        key: (profiles_of(other.obsm[key], pred.groups), profiles_of(adata.obsm[key], real.groups))
        for key in adata.obsm
    }
    return pair_of(
        CellPair(real, pred),
        adata.var_names.to_numpy(dtype=str),
        real=profiles_of(real_x, real.groups),
        pred=profiles_of(pred_x, pred.groups),
        embeddings=embeddings,
    )


def column(run: str, metric: str) -> float:
    with (CELL_EVAL / "cell_eval_0.8.2" / run / "results.csv").open(newline="") as file:
        values = {float(row[metric]) for row in csv.DictReader(file)}
    assert len(values) == 1
    return values.pop()


@pytest.fixture(scope="module")
def golden_pairs() -> Callable[[str], Pair]:
    known: dict[str, Pair] = {}
    return lambda name: known.setdefault(name, known[name] if name in known else cell_eval_pair(name))


# float32 input: cell-eval takes distances and their means in float32
@pytest.mark.parametrize(("name", "rtol"), [("base", 2e-4), ("dense64", 1e-9), ("tiny", 1e-9), ("counts", 2e-4)])
def test_pearson_edistance_of_cell_eval(golden_pairs: Callable[[str], Pair], name: str, rtol: float) -> None:
    pair = golden_pairs(name)
    values = get("pearson_edistance").evaluate(pair)
    assert values.shape == (pair.n,)
    np.testing.assert_allclose(values, column(f"{name}_full", "pearson_edistance"), rtol=rtol)


@pytest.mark.parametrize("name", ["base", "dense64", "tiny", "counts"])
def test_clustering_agreement_of_cell_eval(golden_pairs: Callable[[str], Pair], name: str) -> None:
    values = get("clustering_agreement").evaluate(golden_pairs(name))
    np.testing.assert_allclose(values, column(f"{name}_full", "clustering_agreement"), rtol=1e-12)


def test_clustering_agreement_by_rand_index(golden_pairs: Callable[[str], Pair]) -> None:
    values = get("clustering_agreement").evaluate(golden_pairs("base"), {"agreement": "ari"})
    np.testing.assert_allclose(values, column("base_options", "clustering_agreement"), rtol=1e-12)


@pytest.mark.parametrize(("metric", "rtol"), [("pearson_edistance", 1e-6), ("clustering_agreement", 1e-12)])
def test_embedding_of_cell_eval(golden_pairs: Callable[[str], Pair], metric: str, rtol: float) -> None:
    values = get(metric).evaluate(golden_pairs("dense64"), {"embedding": "X_emb"})
    np.testing.assert_allclose(values, column("dense64_embed", metric), rtol=rtol)  # the embedding is float32


@pytest.fixture(scope="module")
def counts_pair() -> Pair:
    """The one golden perturbation with 50 cells on both sides, and eleven without."""
    real, _, adata = from_file(str(GOLDEN / "cell_eval2" / "inputs" / "a_real.h5ad"), "target", normalise=True)
    pred, _, _ = from_file(str(GOLDEN / "cell_eval2" / "inputs" / "a_noise.h5ad"), "target", normalise=True)
    return pair_of(CellPair(real, pred), adata.var_names.to_numpy(dtype=str))


@pytest.mark.parametrize(
    ("metric", "rtol"), [("cell_cov_corr", 1e-7), ("cell_cov_eig_ratio", 1e-7), ("cell_cov_ccc", 1e-6)]
)
def test_coexpression_of_cell_eval2(counts_pair: Pair, golden: SimpleNamespace, metric: str, rtol: float) -> None:
    want = golden.results(GOLDEN / "cell_eval2" / "runs" / "a_noise.v2cell.pdex" / "results.csv")[metric]
    values = get(metric).evaluate(counts_pair)
    got = {p: float(v) for p, v in zip(counts_pair.perturbations, values, strict=True) if v is not np.ma.masked}
    assert got.keys() == want.keys()
    for p, value in want.items():
        np.testing.assert_allclose(got[p], value, rtol=rtol)


def random_counts(seed: int, sizes: dict[str, int], n_genes: int) -> tuple[np.ndarray, Groups]:
    """Cells whose genes vary together, in random order; gene 0 is silent, gene 1 rare, one cell empty."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(list(sizes), list(sizes.values()))).astype(object)
    programme = rng.normal(size=(3, n_genes)) * 0.4
    shift = {label: rng.normal(size=n_genes) * 0.5 for label in sizes}
    rate = np.exp(rng.normal(size=(labels.size, 3)) @ programme + [shift[x] for x in labels])
    counts = rng.poisson(rate * 2.0).astype(np.float32)
    counts[:, 0] = 0
    counts[:, 1] *= rng.uniform(size=labels.size) < 0.03
    counts[3] = 0
    return counts, group_cells(labels, CONTROL)


def random_cell_pair(seed: int, sizes: dict[str, int], n_genes: int, kind: str = "counts", **more: object) -> Pair:
    sides = []
    for k in (0, 1):
        counts, groups = random_counts(seed + k, sizes, n_genes)
        values = counts if kind == "counts" else np.log1p(counts)
        emb = np.random.default_rng(seed + 7).normal(size=(counts.shape[0], 5)) + counts[:, 2:7]
        sides.append(side_of(values, groups, kind=kind, target_sum=90.0, name=f"side {k}", obsm={"emb": emb}.get))
    return pair_of(CellPair(*sides), np.array([f"g{k}" for k in range(n_genes)]), **more)


def agree(metric: str, pair: Pair, **settings: object) -> np.ndarray:
    spec = get(metric)
    fast, slow = spec.evaluate(pair, settings), spec.evaluate(pair, settings, slow=True)
    np.testing.assert_array_equal(np.ma.getmaskarray(fast), np.ma.getmaskarray(slow))
    np.testing.assert_allclose(
        np.ma.filled(fast, 0.0), np.ma.filled(slow, 0.0), rtol=spec.parity.rtol, atol=spec.parity.atol
    )
    return fast


@pytest.mark.parametrize("kind", ["counts", "lognorm"])
@pytest.mark.parametrize("embedding", [None, "emb"])
def test_pearson_edistance_equals_reference(kind: str, embedding: str | None) -> None:
    pair = random_cell_pair(1, {"g4": 13, "B": 9, "C": 1, CONTROL: 17}, 30, kind)
    assert not np.isnan(agree("pearson_edistance", pair, embedding=embedding)).any()


@pytest.mark.parametrize("metric", ["cell_cov_corr", "cell_cov_eig_ratio", "cell_cov_ccc"])
@pytest.mark.parametrize("n_genes", [60, 150, 20])
def test_coexpression_equals_reference(metric: str, n_genes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from vcmetrics.metrics import coexpression

    monkeypatch.setattr(coexpression, "_BLOCK", 16)
    pair = random_cell_pair(2, {"g4": 70, "B": 49, "C": 530, CONTROL: 60}, n_genes)
    values = agree(metric, pair)
    at = dict(zip(pair.perturbations, np.ma.getmaskarray(values), strict=True))
    too_few_genes = n_genes == 20 and metric != "cell_cov_ccc"
    assert at == {"g4": too_few_genes, "B": True, "C": too_few_genes}


def test_coexpression_of_a_constant_prediction() -> None:
    pair = random_cell_pair(3, {"B": 60, CONTROL: 60}, 40)
    cells = pair.cells()
    flat = np.ones((cells.pred.rows.n_rows, 40), np.float32)
    pair = replace(pair, cells=lambda: replace(cells, pred=side_of(flat, cells.pred.groups, kind="counts")))
    assert np.ma.getmaskarray(get("cell_cov_corr").evaluate(pair)).all()
    assert np.isnan(np.ma.getdata(get("cell_cov_ccc").evaluate(pair))).all()


@pytest.mark.parametrize(("n", "n_genes"), [(2, 9), (3, 9), (6, 12), (17, 25), (40, 30)])
@pytest.mark.parametrize("agreement", ["ami", "nmi", "ari"])
def test_clustering_agreement_equals_reference(n: int, n_genes: int, agreement: str) -> None:
    rng = np.random.default_rng(n)
    centres = rng.normal(size=(4, n_genes)) * 2
    real = centres[rng.integers(0, 4, n)] + rng.normal(size=(n, n_genes))
    pair = Pair(
        perturbations=tuple(f"p{k}" for k in range(n)),
        genes=np.array([f"g{k}" for k in range(n_genes)]),
        own=np.full(n, -1),
        real=Profiles(real, np.zeros(n_genes)),
        pred=Profiles(real + rng.normal(size=real.shape), np.zeros(n_genes)),
    )
    values = agree("clustering_agreement", pair, agreement=agreement)
    assert (values >= 0).all()
    assert (values <= 1 + 1e-12).all()
    perfect = get("clustering_agreement").evaluate(replace(pair, pred=pair.real), {"agreement": agreement})
    np.testing.assert_allclose(perfect, 1.0, rtol=1e-12)


def test_clustering_agreement_of_one_perturbation() -> None:
    one = Profiles(np.ones((1, 3)), np.zeros(3))
    pair = Pair(("p",), np.array(["a", "b", "c"]), np.array([-1]), real=one, pred=one)
    assert np.isnan(get("clustering_agreement").evaluate(pair)).all()
    assert np.isnan(get("clustering_agreement").evaluate(pair, slow=True)).all()


def test_clustering_leaves_random_numbers_alone() -> None:
    import random

    pair = cell_eval_pair("tiny")
    random.seed(4)
    np.random.seed(4)  # noqa: NPY002
    first = random.random(), np.random.rand()  # noqa: NPY002
    random.seed(4)
    np.random.seed(4)  # noqa: NPY002
    get("clustering_agreement").evaluate(pair)
    assert (random.random(), np.random.rand()) == first  # noqa: NPY002


@pytest.mark.parametrize("missing", ["igraph", "sklearn"])
def test_missing_package_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    pair = cell_eval_pair("tiny")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"needs scikit-learn and igraph.*pip install 'vcmetrics\[cluster\]'"):
        get("clustering_agreement").evaluate(pair)


def test_energy_distance_by_hand() -> None:
    # control at 0 and 2, perturbation at 4: cross (4 + 2) / 2, within 0, control 2 * 2 / 4
    groups = Groups((CONTROL, "p"), np.array([0, 1, 0], np.int32), CONTROL)
    side = side_of(np.array([[0.0], [4.0], [2.0]]), groups)
    np.testing.assert_array_equal(energy_distances(side, ("p",)), [2 * 3 - 0 - 1])


def test_energy_distance_of_a_group_to_itself_is_zero() -> None:
    rng = np.random.default_rng(0)
    cells = rng.gamma(1.0, 1.0, (30, 50))
    groups = Groups((CONTROL, "p"), np.repeat([0, 1], 30).astype(np.int32), CONTROL)
    assert abs(energy_distances(side_of(np.vstack([cells, cells[::-1]]), groups), ("p",))[0]) < 1e-12


def test_order_of_cells_and_genes_does_not_matter() -> None:
    sizes = {"g4": 70, "B": 80, CONTROL: 75}
    counts, groups = random_counts(5, sizes, 40)
    other, other_groups = random_counts(6, sizes, 40)
    rng = np.random.default_rng(0)
    cells, genes = rng.permutation(counts.shape[0]), rng.permutation(40)
    names = np.array([f"g{k}" for k in range(40)])

    def pair(rows: np.ndarray, columns: np.ndarray, n_threads: int | None = None) -> Pair:
        moved = Groups(groups.labels, groups.codes[rows], CONTROL)
        sides = (
            side_of(counts[rows][:, columns], moved, kind="counts", target_sum=80.0),
            side_of(other[:, columns], other_groups, kind="counts", target_sum=80.0),
        )
        return pair_of(CellPair(*sides, n_threads=n_threads), names[columns])

    plain = pair(np.arange(counts.shape[0]), np.arange(40))
    for metric in ("pearson_edistance", "cell_cov_corr", "cell_cov_eig_ratio", "cell_cov_ccc"):
        want = get(metric).evaluate(plain)
        assert not np.isnan(want).any()
        np.testing.assert_allclose(get(metric).evaluate(pair(cells, genes)), want, rtol=1e-5, err_msg=metric)
        bits = {get(metric).evaluate(replace(plain, cells=pair(cells, genes, t).cells)).tobytes() for t in (1, 2, 3)}
        assert len(bits) == 1


def test_expression_as_single_precision_gives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from vcmetrics.metrics import cells as module

    monkeypatch.setattr(module, "_ENTRIES", 7)
    counts, groups = random_counts(8, {"B": 9, CONTROL: 8}, 11)
    side = side_of(counts, groups, kind="counts", target_sum=50.0)
    for n_threads in (1, 3):
        rows = side.expression(n_threads)
        unit = counts.sum(axis=1, dtype=np.float32) / np.float32(50)
        want = np.log1p(counts / np.where(unit > 0, unit, 1)[:, None])
        got = sp.csr_matrix((rows.data.read(0, rows.nnz), rows.indices.read(0, rows.nnz), rows.indptr), want.shape)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got.toarray(), want, rtol=2e-7)
    logged = replace(side, kind="lognorm")
    assert logged.expression() is logged.rows


def test_what_cannot_be_scored_is_refused() -> None:
    pair = random_cell_pair(9, {"B": 60, CONTROL: 60}, 25)
    with pytest.raises(DataError, match="looks at single cells; score from the cells of both sides"):
        get("pearson_edistance").evaluate(replace(pair, cells=None))
    cells = pair.cells()
    gone = replace(cells, pred=replace(cells.pred, groups=replace(cells.pred.groups, labels=("B", "other"))))
    with pytest.raises(DataError, match="side 1: has no control cells labelled 'non-targeting'"):
        get("pearson_edistance").evaluate(replace(pair, cells=lambda: gone))
    logged = replace(cells, pred=replace(cells.pred, kind="lognorm"))
    for metric in ("cell_cov_corr", "cell_cov_ccc"):
        with pytest.raises(DataError, match="side 1: holds lognorm values; the cell_cov metrics are defined on counts"):
            get(metric).evaluate(replace(pair, cells=lambda: logged))
    bare = replace(cells, real=replace(cells.real, obsm=None))
    with pytest.raises(DataError, match="side 0: embedding 'emb' is not at hand"):
        get("pearson_edistance").evaluate(replace(pair, cells=lambda: bare), {"embedding": "emb"})
    with pytest.raises(ValueError, match="agreement is 'other'"):
        get("clustering_agreement").evaluate(cell_eval_pair("tiny"), {"agreement": "other"})
