"""Mean distances between groups of sparse cells: against SciPy, the same bits on every path and thread count."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.spatial.distance import cdist

from vcmetrics import _core
from vcmetrics.reference import cells as reference
from vcmetrics.sources.rows import ChunkedArray, Rows

THREADS = (1, 2, 3, 7)


def as_rows(matrix: sp.csr_matrix, pieces: int = 1, index: type = np.int32) -> Rows:
    """The matrix in memory, both arrays cut into ``pieces`` that lie apart and out of order."""
    return Rows(
        n_rows=matrix.shape[0],
        n_cols=matrix.shape[1],
        indptr=matrix.indptr.astype(np.int64),
        indices=scattered(matrix.indices.astype(index), pieces),
        data=scattered(matrix.data, pieces + 1 if pieces > 1 else 1),
    )


def scattered(array: np.ndarray, pieces: int) -> ChunkedArray:
    if pieces == 1:
        return ChunkedArray.of(array)
    starts = np.linspace(0, array.size, pieces + 1).astype(np.int64)
    buffer, offsets = bytearray(3), np.zeros(pieces, np.int64)  # an odd offset: nothing is aligned
    for k in reversed(range(pieces)):
        offsets[k] = len(buffer)
        buffer += array[starts[k] : starts[k + 1]].tobytes() + b"\xff"
    return ChunkedArray(np.frombuffer(bytes(buffer), np.uint8), offsets, starts, array.dtype)


def random_cells(seed: int, n: int, n_genes: int, dtype: str, density: float = 0.3) -> sp.csr_matrix:
    rng = np.random.default_rng(seed)
    dense = (rng.uniform(size=(n, n_genes)) < density) * (rng.gamma(1.0, 2.0, (n, n_genes)) + 1)
    return sp.csr_matrix(dense.astype(dtype))


def random_groups(seed: int, n: int, n_groups: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1, n_groups, n).astype(np.int32)


def all_pairs(n_groups: int) -> np.ndarray:
    return np.array(list(product(range(n_groups), repeat=2)), np.int32).reshape(-1, 2)


def by_scipy(dense: np.ndarray, codes: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    distances = cdist(dense.astype(float), dense.astype(float))
    return np.array([distances[np.ix_(codes == a, codes == b)].mean() for a, b in pairs])


@pytest.fixture(params=_core.isa_available())
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("VCMETRICS_ISA", request.param)
    return request.param


@pytest.mark.parametrize("dtype", ["f4", "f8", "u2", "i4", "i8", "u1"])
@pytest.mark.parametrize(("n", "n_genes", "pieces"), [(150, 40, 5), (37, 2500, 3), (9, 3, 1)])
def test_sparse_equals_scipy(isa: str, dtype: str, n: int, n_genes: int, pieces: int) -> None:
    cells = random_cells(n, n, n_genes, dtype)
    codes, pairs = random_groups(1, n, 3), all_pairs(3)
    for index in (np.uint16, np.int64):
        got = _core.mean_distances(as_rows(cells, pieces, index).args(), codes, 3, pairs, 2)
        np.testing.assert_allclose(got, by_scipy(cells.toarray(), codes, pairs), rtol=1e-13)


def test_reference_equals_scipy() -> None:
    cells = random_cells(3, 40, 30, "f8").toarray()
    codes, pairs = random_groups(3, 40, 3), all_pairs(3)
    np.testing.assert_allclose(reference.mean_distances(cells, codes, pairs), by_scipy(cells, codes, pairs), rtol=1e-13)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_same_bits_on_every_path(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # more than one panel, several tiles of unequal width, more work than stays on one thread
    cells = random_cells(4, 1300, 300, dtype)
    codes, pairs = random_groups(4, 1300, 2), all_pairs(2)
    found = set()
    for isa, n_threads in product(_core.isa_available(), THREADS):
        monkeypatch.setenv("VCMETRICS_ISA", isa)
        sparse = _core.mean_distances(as_rows(cells).args(), codes, 2, pairs, n_threads)
        found.add(sparse.tobytes())
    assert len(found) == 1


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 63, 64, 65, 128, 129, 511, 513])
def test_group_sizes_around_tiles(n: int) -> None:
    cells = random_cells(n, n + 5, 20, "f4")
    codes = np.r_[np.zeros(n, np.int32), np.ones(5, np.int32)]
    pairs = all_pairs(2)
    got = _core.mean_distances(as_rows(cells).args(), codes, 2, pairs, 1)
    np.testing.assert_allclose(got, by_scipy(cells.toarray(), codes, pairs), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_near_duplicates_keep_their_digits(isa: str, dtype: str) -> None:
    rng = np.random.default_rng(5)
    base = rng.gamma(2.0, 1.0, 3000) * (rng.uniform(size=3000) < 0.4)
    noise = rng.normal(size=(70, 3000)) * (base > 0)
    dense = np.vstack([base + 1e-6 * noise, np.tile(base, (30, 1)), rng.gamma(1.0, 1.0, (3, 3000))]).astype(dtype)
    codes = np.r_[np.zeros(70), np.ones(30), np.full(3, 2)].astype(np.int32)
    pairs = all_pairs(3)
    got = _core.mean_distances(as_rows(sp.csr_matrix(dense)).args(), codes, 3, pairs, 2)
    np.testing.assert_allclose(got, by_scipy(dense, codes, pairs), rtol=1e-11)
    assert got[4] == 0.0  # thirty identical cells


def test_symmetric_and_zero_alone() -> None:
    cells = random_cells(6, 90, 25, "f4")
    codes = random_groups(6, 90, 4)
    means = _core.mean_distances(as_rows(cells).args(), codes, 4, all_pairs(4), 1).reshape(4, 4)
    np.testing.assert_array_equal(means, means.T)
    one = np.full(90, -1, np.int32)
    one[3] = 0
    assert _core.mean_distances(as_rows(cells).args(), one, 1, all_pairs(1), 1)[0] == 0.0


def test_edges() -> None:
    dense = random_cells(7, 12, 6, "f4").toarray()
    dense[5] = 0  # a cell without a count
    cells = sp.csr_matrix(dense)
    codes = np.array([0] * 6 + [2] * 6, np.int32)
    got = _core.mean_distances(as_rows(cells).args(), codes, 3, all_pairs(3), 1).reshape(3, 3)
    assert np.isnan(got[1]).all()
    assert np.isnan(got[:, 1]).all()
    np.testing.assert_allclose(got[0, 2], by_scipy(cells.toarray(), codes, np.array([[0, 2]]))[0], rtol=1e-13)
    nothing = _core.mean_distances(as_rows(cells).args(), codes, 3, np.zeros((0, 2), np.int32), 1)
    assert nothing.shape == (0,)
    empty = sp.csr_matrix((4, 0), dtype=np.float32)
    assert _core.mean_distances(as_rows(empty).args(), np.zeros(4, np.int32), 1, all_pairs(1), 1)[0] == 0.0
    gone = np.full(12, -1, np.int32)
    assert np.isnan(_core.mean_distances(as_rows(cells).args(), gone, 1, all_pairs(1), 3)[0])


def test_not_a_number_stays_one() -> None:
    cells = random_cells(8, 20, 6, "f4")
    cells.data[0] = np.nan
    codes = np.zeros(20, np.int32)
    assert np.isnan(_core.mean_distances(as_rows(cells).args(), codes, 1, all_pairs(1), 1)[0])


@pytest.mark.parametrize("columns", [[0, 2, 1], [0, 1, 1], [0, 1, 9], [-1, 0, 1]])
def test_columns_out_of_order_are_refused(columns: list[int]) -> None:
    indices = np.array(columns, np.int32)
    rows = Rows(1, 5, np.array([0, 3]), ChunkedArray.of(indices), ChunkedArray.of(np.ones(3, np.float32)))
    with pytest.raises(ValueError, match="column numbers of cell 0 do not ascend"):
        _core.mean_distances(rows.args(), np.zeros(1, np.int32), 1, all_pairs(1), 1)


def test_wrong_calls_are_refused() -> None:
    rows = as_rows(random_cells(9, 4, 3, "f4")).args()
    codes, pairs = np.zeros(4, np.int32), all_pairs(1)
    with pytest.raises(ValueError, match=r"codes\[0\] is 1; expected -1 … 0"):
        _core.mean_distances(rows, codes + np.int32(1), 1, pairs, 1)
    with pytest.raises(ValueError, match="pairs holds 1; expected 0 … 0"):
        _core.mean_distances(rows, codes, 1, pairs + np.int32(1), 1)
    with pytest.raises(ValueError, match="codes has 3 entries; expected 4"):
        _core.mean_distances(rows, codes[:3], 1, pairs, 1)
    with pytest.raises(ValueError, match="pairs has 3 columns"):
        _core.mean_distances(rows, codes, 1, np.zeros((1, 3), np.int32), 1)
    with pytest.raises(ValueError, match="n_threads is 0"):
        _core.mean_distances(rows, codes, 1, pairs, 0)
    with pytest.raises(TypeError, match="codes must be a C-contiguous NumPy array of int32"):
        _core.mean_distances(rows, codes.astype(np.int64), 1, pairs, 1)


def test_inputs_are_left_alone() -> None:
    cells = random_cells(10, 30, 8, "f4")
    rows, codes, pairs = as_rows(cells), random_groups(10, 30, 2), all_pairs(2)
    before = [a.copy() for a in (rows.indptr, rows.indices.buffer, rows.data.buffer, codes, pairs)]
    _core.mean_distances(rows.args(), codes, 2, pairs, 2)
    for old, new in zip(before, (rows.indptr, rows.indices.buffer, rows.data.buffer, codes, pairs), strict=True):
        np.testing.assert_array_equal(old, new)
