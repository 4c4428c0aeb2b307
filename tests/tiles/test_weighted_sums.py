"""Weighted sums over pairs of cells: against the reference and whole matrices, the same bits on every path."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from vcmetrics import _core
from vcmetrics.reference import pairs as reference

TERMS = ("euclidean", "sqeuclidean", "cityblock", "cosine", "rbf", "braycurtis", "tanimoto", "ruzicka")
GAMMA = 0.05


def gamma_of(term: str) -> dict[str, float]:
    return {"gamma": GAMMA} if term == "rbf" else {}


@pytest.fixture(params=_core.isa_available())
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("VCMETRICS_ISA", request.param)
    return request.param


def case(seed: int, n: int, m: int, width: int, columns: int, dtype: str = "f8") -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    x, y = (rng.gamma(1.0, 1.0, (k, width)).astype(dtype) for k in (n, m))
    wx, wy = (rng.multinomial(k, np.full(k, 1 / k), columns).T.astype(float) for k in (n, m))
    return x, y, np.ascontiguousarray(wx), np.ascontiguousarray(wy)


@pytest.mark.parametrize("term", TERMS)
def test_equals_the_reference(isa: str, term: str) -> None:
    x, y, wx, wy = case(1, 21, 13, 6, 5)
    x[3] = 0
    x[8] = x[9]
    got = _core.weighted_pair_sums(x, y, wx, wy, term, **gamma_of(term))
    np.testing.assert_allclose(got, reference.weighted_pair_sums(x, y, wx, wy, term, GAMMA), rtol=1e-13)
    got = _core.weighted_pair_sums(x, None, wx, None, term, **gamma_of(term))
    np.testing.assert_allclose(got, reference.weighted_pair_sums(x, None, wx, None, term, GAMMA), rtol=1e-13)
    # the similarity of an empty cell to others is 1 - 1: it keeps the rounding of 1
    got = _core.pair_row_sums(x, y, term, **gamma_of(term))
    np.testing.assert_allclose(got, reference.pair_terms(x, y, term, GAMMA).sum(1), rtol=1e-13, atol=2e-15)
    got = _core.pair_row_sums(x, None, term, **gamma_of(term))
    np.testing.assert_allclose(got, reference.pair_terms(x, x, term, GAMMA).sum(1), rtol=1e-13, atol=2e-15)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("width", [1, 50, 129, 300])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 23), (8, 24), (9, 25), (63, 119), (64, 120), (65, 121), (200, 260)])
@pytest.mark.parametrize("columns", [1, 8, 9, 24, 25, 60])
def test_sizes_around_blocks(n: int, m: int, width: int, columns: int, dtype: str) -> None:
    x, y, wx, wy = case(n, n, m, width, columns, dtype)
    between, inside = cdist(x.astype(float), y.astype(float)), cdist(y.astype(float), y.astype(float))
    got = _core.weighted_pair_sums(x, y, wx, wy, "euclidean", n_threads=2)
    np.testing.assert_allclose(got, np.einsum("ib,ij,jb->b", wx, between, wy, optimize=True), rtol=1e-12)
    got = _core.weighted_pair_sums(y, None, wy, None, "euclidean", n_threads=2)
    np.testing.assert_allclose(got, np.einsum("ib,ij,jb->b", wy, inside, wy, optimize=True), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(_core.pair_row_sums(x, y, "euclidean", n_threads=2), between.sum(1), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("term", TERMS)
def test_same_bits_on_every_path(term: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, wx, wy = case(2, 333, 270, 140, 31, dtype)
    found = set()
    for isa, n_threads in product(_core.isa_available(), (1, 2, 3, 7)):
        monkeypatch.setenv("VCMETRICS_ISA", isa)
        options = {"n_threads": n_threads} | gamma_of(term)
        results = (
            _core.weighted_pair_sums(x, y, wx, wy, term, **options),
            _core.weighted_pair_sums(x, None, wx, None, term, **options),
            _core.pair_row_sums(x, y, term, **options),
        )
        found.add(b"".join(r.tobytes() for r in results))
    assert len(found) == 1


def test_ones_give_the_plain_sums() -> None:
    x, y, _, _ = case(3, 150, 90, 20, 1)
    both = np.vstack([x, y])
    codes = np.repeat(np.array([0, 1], np.int32), [150, 90])
    cross, within = _core.pair_means(both, codes, 2, np.array([[0, 1], [0, 0]], np.int32), "euclidean")
    ones = np.ones((150, 2)), np.ones((90, 2))
    got = _core.weighted_pair_sums(x, y, *ones, "euclidean")
    np.testing.assert_allclose(got, cross * 150 * 90, rtol=1e-13)
    got = _core.weighted_pair_sums(x, None, ones[0], None, "euclidean")
    np.testing.assert_allclose(got, within * 150**2, rtol=1e-13)


def test_permuted_energy_distances() -> None:
    # in(1) = s'ds, in(2) = 1'd1 - 2 s'd1 + s'ds, between = s'd1 - s'ds
    x, y, _, _ = case(4, 60, 45, 10, 1)
    both, n, m = np.vstack([x, y]), 60, 45
    rng = np.random.default_rng(4)
    labels = np.array([rng.permutation(np.r_[np.ones(n), np.zeros(m)]) for _ in range(40)]).T
    labels = np.ascontiguousarray(labels)
    inside = _core.weighted_pair_sums(both, None, labels, None, "euclidean")
    rows = _core.pair_row_sums(both, None, "euclidean")
    first = labels.T @ rows
    energy = 2 * (first - inside) / (n * m) - inside / n**2 - (rows.sum() - 2 * first + inside) / m**2
    distances = cdist(both, both)
    for b in range(40):
        one, other = labels[:, b] == 1, labels[:, b] == 0
        want = 2 * distances[np.ix_(one, other)].mean()
        want -= distances[np.ix_(one, one)].mean() + distances[np.ix_(other, other)].mean()
        np.testing.assert_allclose(energy[b], want, rtol=1e-11)


def test_strides_are_followed_and_inputs_left_alone() -> None:
    x, y, wx, wy = case(5, 70, 50, 9, 30)
    want = _core.weighted_pair_sums(x, y, wx[:, 3:17].copy(), wy[:, 3:17].copy(), "cityblock")
    before = [a.copy() for a in (x, y, wx, wy)]
    got = _core.weighted_pair_sums(x, y, wx[:, 3:17], wy[:, 3:17], "cityblock", n_threads=2)
    np.testing.assert_array_equal(got, want)
    for old, new in zip(before, (x, y, wx, wy), strict=True):
        np.testing.assert_array_equal(old, new)


def test_edges() -> None:
    x, y, wx, _ = case(6, 6, 4, 3, 2)
    none = np.zeros((0, 3)), np.zeros((0, 2))
    np.testing.assert_array_equal(_core.weighted_pair_sums(x, none[0], wx, none[1], "euclidean"), [0, 0])
    np.testing.assert_array_equal(_core.weighted_pair_sums(none[0], None, none[1], None, "euclidean"), [0, 0])
    assert _core.weighted_pair_sums(x, None, np.zeros((6, 0)), None, "euclidean").shape == (0,)
    np.testing.assert_array_equal(_core.pair_row_sums(x, none[0], "euclidean"), np.zeros(6))
    assert _core.pair_row_sums(none[0], y, "euclidean").shape == (0,)
    x[1, 1] = np.nan
    assert np.isnan(_core.weighted_pair_sums(x, None, wx, None, "euclidean")).all()
    rows = _core.pair_row_sums(x, y, "euclidean")
    assert np.isnan(rows[1])
    assert np.isfinite(rows[[0, 2, 3, 4, 5]]).all()
    same = np.tile(y[:1], (6, 1))
    np.testing.assert_array_equal(_core.weighted_pair_sums(same, None, wx, None, "euclidean"), [0, 0])


def test_wrong_calls_are_refused() -> None:
    x, y, wx, wy = case(7, 6, 4, 3, 2)
    with pytest.raises(ValueError, match="y has 2 columns; expected 3, as many as x"):
        _core.weighted_pair_sums(x, y[:, :2], wx, wy, "euclidean")
    with pytest.raises(TypeError, match="y must be a NumPy array of float64"):
        _core.weighted_pair_sums(x, y.astype("f4"), wx, wy, "euclidean")
    with pytest.raises(ValueError, match=r"wx has 4 rows; expected 6 \(one a cell\)"):
        _core.weighted_pair_sums(x, y, wy, wx, "euclidean")
    with pytest.raises(ValueError, match="wy has 1 columns; expected 2, as many as wx"):
        _core.weighted_pair_sums(x, y, wx, wy[:, :1], "euclidean")
    with pytest.raises(ValueError, match="y and wy go together"):
        _core.weighted_pair_sums(x, y, wx, None, "euclidean")
    with pytest.raises(ValueError, match="gamma is for term 'rbf', which needs one"):
        _core.weighted_pair_sums(x, y, wx, wy, "euclidean", gamma=1.0)
    with pytest.raises(ValueError, match="gamma is for term 'rbf', which needs one"):
        _core.pair_row_sums(x, y, "rbf")
    with pytest.raises(ValueError, match="term is 'l2'"):
        _core.pair_row_sums(x, y, "l2")


def test_progress_ends_at_the_total() -> None:
    seen = []
    x, y, wx, wy = case(8, 400, 300, 50, 40)
    _core.weighted_pair_sums(x, y, wx, wy, "euclidean", n_threads=2, progress=lambda *at: seen.append(at))
    assert seen[-1] == (120_000, 120_000)
