"""Every CUDA kernel against the CPU's kernels and NumPy: on the host by its twin, on a GPU where there is one."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.sparse import random as random_sparse
from scipy.spatial.distance import cdist

from vcmetrics import DeviceError, VcmetricsWarning, _core
from vcmetrics.arrays import CoMoments
from vcmetrics.backend.batches import in_batches
from vcmetrics.backend.compiled import ROWS_OF_A_CHUNK, chunk_lists
from vcmetrics.reference import pairs as pairs_reference
from vcmetrics.reference.summary import two_u_and_ties

TERMS = ("cityblock", "sqeuclidean", "product")
# just below, at and above the sizes of tiles, steps and partial sums
SHAPES = [(1, 1, 1), (3, 5, 16), (64, 64, 15), (63, 65, 17), (65, 130, 256), (5, 3, 257), (70, 2, 600)]


def tables(n_x, n_y, width, dtype, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(3, 2, (n_x, width)).astype(dtype), rng.normal(1, 2, (n_y, width)).astype(dtype)


def cpu_sums(x, y, term):
    out = np.empty((len(x), len(y)))
    _core.panel_sums(x, y, term, out)
    return out


def same_or_near(on, got, want):
    """Our kernels add in the CPU's order; plain operations add as their library does."""
    if on.kernels.is_compiled:
        np.testing.assert_array_equal(got, want)
    else:
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_pair_sums_have_the_bits_of_the_cpu(on, shape, term, dtype):
    x, y = tables(*shape, dtype)
    a, b = on.xp.asarray(x), on.xp.asarray(y)
    same_or_near(on, on.to_host(on.kernels.pair_sums(a, b, term)), cpu_sums(x, y, term))
    same_or_near(on, on.to_host(on.kernels.pair_sums(a, a, term)), cpu_sums(x, x, term))
    squares = on.to_host(on.kernels.row_squares(a))
    same_or_near(on, squares, np.asarray(_core.row_squares(x)))
    same_or_near(on, squares, np.diagonal(on.to_host(on.kernels.pair_sums(a, a, "product"))))


@pytest.mark.parametrize("term", TERMS)
def test_pair_sums_of_nan_and_infinity(on, term):
    x, y = tables(66, 5, 40, np.float64)
    x[3, 7], x[65, 39], y[1, 0] = np.nan, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        got = on.to_host(on.kernels.pair_sums(on.xp.asarray(x), on.xp.asarray(y), term))
        want = cpu_sums(x, y, term)
    same_or_near(on, got, want)


def test_empty_tables(on):
    xp = on.xp
    assert on.kernels.pair_sums(xp.zeros((0, 4)), xp.zeros((3, 4)), "cityblock").shape == (0, 3)
    np.testing.assert_array_equal(
        on.to_host(on.kernels.pair_sums(xp.zeros((2, 0)), xp.zeros((3, 0)), "product")), np.zeros((2, 3))
    )
    assert on.kernels.match_counts(xp.zeros((0, 4)), np.empty(0, int)).shape == (3, 0)
    assert on.kernels.row_squares(xp.zeros((0, 4))).shape == (0,)
    np.testing.assert_array_equal(
        on.to_host(on.kernels.co_moments(xp.zeros((0, 4)), xp.zeros((0, 4)))), np.zeros((9, 4))
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 2, 255, 256, 257, 700])
def test_match_counts(on, width, dtype):
    rng = np.random.default_rng(1)
    d = rng.integers(0, 9, (11, width)).astype(dtype)
    d[rng.uniform(size=d.shape) < 0.1] = np.nan
    d[rng.uniform(size=d.shape) < 0.1] = np.inf
    own = rng.integers(0, width, 11)
    want = np.zeros((3, 11), int)
    for i, row in enumerate(d):
        mine = row[own[i]]
        for j, value in enumerate(row):
            equal = (np.isnan(value) and np.isnan(mine)) or value == mine
            nearer = not np.isnan(value) if np.isnan(mine) else value < mine
            want[:, i] += np.array([nearer, equal, equal and j < own[i]]) * (j != own[i])
    got = on.to_host(on.kernels.match_counts(on.xp.asarray(d), own))
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, want)
    wide = on.xp.asarray(np.hstack([d, d]))[:, :width]  # rows that lie apart
    np.testing.assert_array_equal(on.to_host(on.kernels.match_counts(wide, own)), want)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 31, 33, 256, 257, 600])
def test_co_moments(on, n, dtype, weighted):
    rng = np.random.default_rng(n)
    x, y = tables(n, n, 131, dtype)
    y += x
    x[:, 5] = 7.25
    x[:, 6] += 1e4
    x[0, 7], y[n // 2, 8], x[:, 9] = np.nan, np.inf, np.nan
    weights = rng.integers(0, 3, n).astype(float) if weighted else None
    want = CoMoments(131).add(x, y, weights=weights)
    got = CoMoments.of_state(on.kernels.co_moments(on.xp.asarray(x), on.xp.asarray(y), weights))
    np.testing.assert_array_equal(on.to_host(got.n), want.n)
    np.testing.assert_array_equal(on.to_host(got.constant_x), want.constant_x)
    for name in ("mean_x", "mean_y", "variance_x", "variance_y", "covariance"):
        expected = getattr(want, name)
        np.testing.assert_allclose(on.to_host(getattr(got, name)), expected, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(on.to_host(got.pearson()), want.pearson(), rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(on.to_host(got.concordance()), want.concordance(), rtol=1e-10, atol=1e-11)
    if on.kernels.is_compiled and not weighted and n <= 256:  # one chunk, of the same rows: the order of the CPU
        np.testing.assert_array_equal(on.to_host(got.pearson()), want.pearson())


def test_co_moments_of_rows_that_lie_apart(on):
    x, y = tables(70, 70, 20, np.float32)
    a, b = (on.xp.asarray(np.hstack([table, table])) for table in (x, y))
    got = on.to_host(on.kernels.co_moments(a[::2, :20], b[::2, :20]))
    want = on.to_host(on.kernels.co_moments(on.xp.asarray(x[::2].copy()), on.xp.asarray(y[::2].copy())))
    np.testing.assert_array_equal(got, want)


SIZES = (1, 64, 65, 0, 130, 7)
PAIRS = [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 4), (4, 4), (4, 5), (3, 1), (3, 3), (5, 0)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("term", ["euclidean", "sqeuclidean", "cityblock", "rbf"])
def test_group_pair_sums(on, term, dtype):
    gammas = [0.01, 0.5] if term == "rbf" else None
    cells = np.random.default_rng(3).normal(0, 1, (sum(SIZES), 19)).astype(dtype)
    starts = np.concatenate([[0], np.cumsum(SIZES)])
    want = np.zeros((2 if gammas else 1, len(PAIRS)))
    for k, (a, b) in enumerate(PAIRS):
        x, y = (cells[starts[g] : starts[g + 1]].astype(float) for g in (a, b))
        d = cdist(x, y, "sqeuclidean" if term == "rbf" else term) if len(x) and len(y) else np.zeros((0, 0))
        want[:, k] = [np.exp(-gamma * d).sum() for gamma in gammas] if gammas else d.sum()
    got = on.to_host(on.kernels.group_pair_sums(on.xp.asarray(cells), SIZES, PAIRS, term, gammas))
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    # cells equal to themselves are at distance 0 exactly
    assert got[0, 0] == (1.0 if term == "rbf" else 0.0)


def test_group_pair_sums_agree_with_the_cpu(on):
    cells = np.random.default_rng(4).normal(0, 1, (150, 33)).astype(np.float32)
    codes = np.repeat([0, 1, 2], [70, 64, 16]).astype(np.int32)
    wanted = np.array([(0, 0), (0, 1), (1, 2), (2, 2)], np.int32)
    sizes = np.bincount(codes)
    pairs = sizes[wanted].prod(1)
    got = on.to_host(on.kernels.group_pair_sums(on.xp.asarray(cells), sizes, wanted, "euclidean"))[0] / pairs
    np.testing.assert_allclose(got, _core.pair_means(cells, codes, 3, wanted, "euclidean"), rtol=1e-13)
    reference = pairs_reference.pair_means(cells.astype(float), codes, wanted, "euclidean")
    np.testing.assert_allclose(got, reference, rtol=1e-13)


def grouped(n_rows, sizes, seed=0):
    """A list of rows, group by group, as a permutation gives it."""
    return np.random.default_rng(seed).permutation(n_rows)[: sum(sizes)], np.asarray(sizes)


def wanted_sums(dense, order, sizes, scale, normalise):
    t = dense.astype(float)
    if normalise != "raw":
        t = t * scale[:, None]
    if normalise == "log1p":
        t = np.log1p(t)
    rows = np.split(order, np.cumsum(sizes)[:-1])
    return np.array([[(t[r] ** power).sum(0) for r in rows] for power in (1, 2)])


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("normalise", ["raw", "linear", "log1p"])
@pytest.mark.parametrize("n_genes", [1, 1535, 1536, 3100])
def test_group_sums(on, n_genes, normalise, dtype, index):
    counts = random_sparse(90, n_genes, 0.3, format="csr", random_state=0, data_rvs=lambda n: np.arange(n) % 50 + 1.0)
    counts = counts.astype(dtype)
    counts.sort_indices()
    scale = np.linspace(0.5, 2, 90)
    order, sizes = grouped(90, [40, 0, 3, 30])
    csr = (on.xp.asarray(counts.data), on.xp.asarray(counts.indices.astype(index)), on.xp.asarray(counts.indptr))
    how = {"scale": on.xp.asarray(scale), "normalise": normalise}
    want = wanted_sums(counts.toarray(), order, sizes, scale, normalise)
    sparse = on.to_host(on.kernels.group_sums(csr, n_genes, order, sizes, **how))
    dense = on.to_host(on.kernels.group_sums(on.xp.asarray(counts.toarray()), n_genes, order, sizes, **how))
    if normalise == "raw":  # whole numbers: exact in any order
        np.testing.assert_array_equal(sparse, want)
        np.testing.assert_array_equal(dense, want)
    np.testing.assert_allclose(sparse, want, rtol=1e-13)
    np.testing.assert_allclose(dense, want, rtol=1e-13)
    totals = on.to_host(on.kernels.row_totals(csr[0], csr[2]))
    np.testing.assert_array_equal(totals, np.asarray(counts.sum(1, dtype=float)).ravel())


def test_chunks_of_groups():
    starts, group_chunks = chunk_lists([3, 0, ROWS_OF_A_CHUNK, ROWS_OF_A_CHUNK + 1])
    edges = [0, 3, 3 + ROWS_OF_A_CHUNK, 3 + 2 * ROWS_OF_A_CHUNK, 4 + 2 * ROWS_OF_A_CHUNK]
    assert starts.tolist() == edges
    assert group_chunks.tolist() == [0, 1, 1, 2, 4]
    assert [part.tolist() for part in chunk_lists([])] == [[0], [0]]


def test_group_sums_over_many_chunks(on, monkeypatch):
    """A group of more than one chunk, whose sums meet in order."""
    monkeypatch.setattr("vcmetrics.backend.compiled.ROWS_OF_A_CHUNK", 16)
    dense = np.random.default_rng(5).integers(0, 9, (100, 130)).astype(np.float32)
    order, sizes = grouped(100, [70, 17, 1])
    got = on.to_host(on.kernels.group_sums(on.xp.asarray(dense), 130, order, sizes))
    np.testing.assert_array_equal(got, wanted_sums(dense, order, sizes, None, "raw"))


@pytest.mark.parametrize("negative", [False, True])
def test_rank_sums(on, negative):
    """Integers of the reference: ties, zeros, negative keys, genes and groups without a key."""
    rng = np.random.default_rng(6)
    sizes, n_control, n_genes = np.array([17, 1, 0, 200]), 150, 9
    low = -2 if negative else 0
    groups = [rng.integers(low, 4, (n, n_genes)).astype(float) for n in sizes]
    control = rng.integers(low, 4, (n_control, n_genes)).astype(float)
    control[:, 3] = 0.0
    control[:, 4] = np.arange(n_control) + 1.0
    groups[0][:, 5] = 0.0
    keys, starts, other, other_starts = [], [0], [], [0]
    for gene in range(n_genes):
        other.append(np.sort(control[:, gene][control[:, gene] != 0]))
        other_starts.append(other_starts[-1] + len(other[-1]))
        for group in groups:
            keys.append(np.sort(group[:, gene][group[:, gene] != 0]))
            starts.append(starts[-1] + len(keys[-1]))
    given = (np.concatenate(other), np.array(other_starts), np.concatenate(keys), np.array(starts))
    u2, tie = on.kernels.rank_sums(*map(on.xp.asarray, given), sizes, n_control)
    want = np.array([[two_u_and_ties(group[:, gene], control[:, gene]) for gene in range(n_genes)] for group in groups])
    np.testing.assert_array_equal(on.to_host(u2), want[..., 0])
    np.testing.assert_array_equal(on.to_host(tie), want[..., 1])


def test_threads_and_tasks_may_run_in_any_order():
    """What one thread reads in a phase, no other writes in it: all orders give the same bytes."""
    from .conftest import TWINS, twin

    x, y = tables(70, 66, 300, np.float32)
    found = []
    for order in TWINS:
        kernels = twin(order).kernels
        parts = [
            kernels.pair_sums(x, y, "sqeuclidean"),
            kernels.row_squares(x),
            kernels.match_counts(x, np.arange(70)),
            kernels.co_moments(x[:66], y),
            kernels.group_pair_sums(x, [40, 30], [(0, 1), (1, 1)], "rbf", [0.01]),
            kernels.group_sums(x, 300, np.arange(70), [30, 40], scale=np.linspace(1, 2, 70), normalise="linear"),
        ]
        found.append([part.tobytes() for part in parts])
    twin()
    assert found[0] == found[1] == found[2]


def test_bindings_refuse():
    module = pytest.importorskip("vcmetrics._cuda_twin")
    with pytest.raises(ValueError, match="dtype is 'int8'"):
        module.row_squares(1, "int8", 1, 1, 1, 0)
    with pytest.raises(ValueError, match="x has no address"):
        module.row_squares(0, "float32", 1, 1, 1, 0)
    with pytest.raises(ValueError, match="a size is -1"):
        module.row_squares(1, "float32", -1, 1, 1, 0)
    with pytest.raises(ValueError, match="term 'dot' is not known"):
        module.pair_sums(1, 1, "float32", 1, 1, 1, "dot", 1, 0)
    with pytest.raises(ValueError, match="gammas are for rbf"):
        module.group_pair_sums(1, "float32", 1, 1, 1, 1, 1, 1, "rbf", 0, 0, 1, 1, 0)
    with pytest.raises(ValueError, match="row_stride is 3, less than a row"):
        module.match_counts(1, "float32", 2, 4, 3, 1, 1, 0)
    with pytest.raises(ValueError, match="expected ascending, descending or strided"):
        module.thread_order("random")


def test_a_batch_without_memory_is_halved():
    done, sizes = np.zeros(100, int), []

    def work(first, last):
        sizes.append(last - first)
        if last - first > 20:
            msg = "no memory"
            raise MemoryError(msg)
        done[first:last] += 1

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", VcmetricsWarning)
        in_batches(100, 50, work, what="cdist")
    words = "cdist: out of memory on the device; going on with batches of"
    assert [str(warning.message) for warning in told] == [f"{words} 25", f"{words} 13"]
    assert sizes[:3] == [50, 25, 13]
    assert (done == 1).all()

    def refuse(first, last):
        raise MemoryError(last - first)

    with pytest.raises(DeviceError, match=r"cdist: the memory of the device does not hold one item \(1\)"):
        in_batches(5, 1, refuse, what="cdist")
