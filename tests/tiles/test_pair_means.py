"""Mean terms over pairs of dense cells: against the reference and SciPy, laws, the same bits on every path."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from vcmetrics import _core
from vcmetrics.reference import pairs as reference

TERMS = ("euclidean", "sqeuclidean", "cityblock", "cosine", "rbf", "braycurtis", "tanimoto", "ruzicka")
GAMMA = 0.05
THREADS = (1, 2, 3, 7)


def random_cells(seed: int, n: int, width: int, dtype: str = "f8") -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.gamma(1.0, 1.0, (n, width)) * (rng.uniform(size=(n, width)) < 0.7)).astype(dtype)


def random_groups(seed: int, n: int, n_groups: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1, n_groups, n).astype(np.int32)


def all_pairs(n_groups: int) -> np.ndarray:
    return np.array(list(product(range(n_groups), repeat=2)), np.int32).reshape(-1, 2)


def means(cells, codes, n_groups, pairs, term, **options) -> np.ndarray:
    if term != "rbf":
        return _core.pair_means(cells, codes, n_groups, pairs, term, **options)
    return _core.pair_means(cells, codes, n_groups, pairs, term, gammas=[GAMMA], **options)[0]


def term_matrix(x: np.ndarray, y: np.ndarray, term: str) -> np.ndarray:
    """All terms in other words than the reference's; values >= 0, no cell without a count."""
    x, y = x.astype(float), y.astype(float)
    if term in ("euclidean", "sqeuclidean", "cityblock", "cosine"):
        return cdist(x, y, term)
    if term == "rbf":
        return np.exp(-GAMMA * cdist(x, y, "sqeuclidean"))
    if term == "braycurtis":
        return 1 - cdist(x, y, "braycurtis")
    if term == "tanimoto":
        inner = x @ y.T
        return inner / ((x**2).sum(1)[:, None] + (y**2).sum(1)[None, :] - inner)
    low, high = np.minimum(x[:, None], y[None]).sum(2), np.maximum(x[:, None], y[None]).sum(2)
    return low / high


def by_matrix(cells, codes, pairs, term, estimator="v") -> np.ndarray:
    out = []
    for a, b in pairs:
        terms = term_matrix(cells[codes == a], cells[codes == b], term)
        keep = ~np.eye(len(terms), dtype=bool) if a == b and estimator == "u" else np.ones(terms.shape, bool)
        out.append(terms[keep].mean())
    return np.array(out)


@pytest.fixture(params=_core.isa_available())
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("VCMETRICS_ISA", request.param)
    return request.param


@pytest.mark.parametrize("estimator", ["v", "u"])
@pytest.mark.parametrize("term", TERMS)
def test_equals_the_reference(isa: str, term: str, estimator: str) -> None:
    cells = random_cells(1, 40, 12)
    cells[[3, 17]] = 0  # without a count
    cells[20] = cells[21]
    codes, pairs = random_groups(1, 40, 3), all_pairs(3)
    want = reference.pair_means(cells, codes, pairs, term, GAMMA, estimator)
    got = means(cells, codes, 3, pairs, term, estimator=estimator)
    np.testing.assert_allclose(got, want, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("n", "width"), [(200, 50), (150, 300), (40, 2100), (17, 1)])
@pytest.mark.parametrize("term", TERMS)
def test_equals_whole_matrices(isa: str, term: str, n: int, width: int, dtype: str) -> None:
    cells = random_cells(n, n, width, dtype) + np.dtype(dtype).type(0.01)
    codes, pairs = random_groups(2, n, 3), all_pairs(3)
    for estimator in ("v", "u"):
        got = means(cells, codes, 3, pairs, term, estimator=estimator, n_threads=2)
        np.testing.assert_allclose(got, by_matrix(cells, codes, pairs, term, estimator), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 15, 16, 17, 23, 24, 25, 119, 120, 121, 511, 513])
def test_group_sizes_around_blocks(isa: str, term: str, n: int) -> None:
    cells = random_cells(n, n + 5, 20, "f4") + np.float32(0.01)
    codes = np.r_[np.zeros(n, np.int32), np.ones(5, np.int32)]
    got = means(cells, codes, 2, all_pairs(2), term)
    np.testing.assert_allclose(got, by_matrix(cells, codes, all_pairs(2), term), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("width", [0, 1, 7, 8, 9, 127, 128, 129, 257])
def test_feature_numbers_around_blocks(isa: str, width: int) -> None:
    cells = np.random.default_rng(width).normal(size=(70, width))
    codes, pairs = random_groups(3, 70, 2), all_pairs(2)
    for term in ("sqeuclidean", "cityblock"):
        want = by_matrix(cells, codes, pairs, term) if width else np.zeros(4)
        np.testing.assert_allclose(means(cells, codes, 2, pairs, term), want, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("term", TERMS)
def test_same_bits_on_every_path(term: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # more than one panel and depth, tiles of unequal width, more work than stays on one thread
    cells = random_cells(4, 1300, 140, dtype)
    codes, pairs = random_groups(4, 1300, 2), all_pairs(2)
    found = set()
    for isa, n_threads in product(_core.isa_available(), THREADS):
        monkeypatch.setenv("VCMETRICS_ISA", isa)
        found.add(means(cells, codes, 2, pairs, term, n_threads=n_threads).tobytes())
    assert len(found) == 1


@pytest.mark.parametrize("term", TERMS)
def test_symmetric_and_independent_of_the_list(term: str) -> None:
    cells, codes = random_cells(5, 90, 25), random_groups(5, 90, 4)
    whole = means(cells, codes, 4, all_pairs(4), term).reshape(4, 4)
    np.testing.assert_array_equal(whole, whole.T)
    twice = np.array([[2, 1], [1, 2], [2, 1], [3, 3]], np.int32)
    np.testing.assert_allclose(means(cells, codes, 4, twice, term), whole[twice[:, 0], twice[:, 1]], rtol=1e-14)


@pytest.mark.parametrize(("term", "alike"), list(zip(TERMS, (0, 0, 0, 0, 1, 1, 1, 1), strict=True)))
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_duplicates_are_exact(isa: str, term: str, alike: int, dtype: str) -> None:
    cells = np.tile(random_cells(6, 1, 333, dtype), (77, 1))
    codes = np.r_[np.zeros(50, np.int32), np.ones(27, np.int32)]
    for estimator in ("v", "u"):
        assert (means(cells, codes, 2, all_pairs(2), term, estimator=estimator) == alike).all()


def test_offset_in_float32_costs_nothing() -> None:
    rng = np.random.default_rng(7)
    exact = np.round(rng.normal(size=(300, 50)) * 64) / 64  # so that the offset itself loses nothing
    codes, pairs = random_groups(7, 300, 3), all_pairs(3)
    want = means(exact, codes, 3, pairs, "euclidean")
    np.testing.assert_array_equal(means((exact + 1000).astype("f4"), codes, 3, pairs, "euclidean"), want)
    # any data: what float32 rounds away at 1000 remains, nothing more
    noise = rng.normal(size=(300, 50))
    rounded = (noise + 1000).astype("f4")
    got = means(rounded, codes, 3, pairs, "euclidean")
    np.testing.assert_allclose(got, means(rounded.astype("f8") - 1000, codes, 3, pairs, "euclidean"), rtol=1e-14)
    np.testing.assert_allclose(got, means(noise, codes, 3, pairs, "euclidean"), rtol=1e-5)


@pytest.mark.parametrize("term", ["euclidean", "sqeuclidean", "cityblock", "cosine"])
def test_u_and_v_differ_by_the_diagonal(term: str) -> None:
    cells, codes = random_cells(8, 120, 9) + 0.1, random_groups(8, 120, 3)
    own = np.array([(g, g) for g in range(3)], np.int32)
    n = np.bincount(codes[codes >= 0])
    v, u = (means(cells, codes, 3, own, term, estimator=e) for e in "vu")
    np.testing.assert_allclose(u, v * n / (n - 1), rtol=1e-14)


def test_rotation_and_scale() -> None:
    rng = np.random.default_rng(9)
    cells, codes, pairs = rng.normal(size=(100, 20)), random_groups(9, 100, 3), all_pairs(3)
    turn = np.linalg.qr(rng.normal(size=(20, 20)))[0]
    want = means(cells, codes, 3, pairs, "euclidean")
    np.testing.assert_allclose(means(cells @ turn, codes, 3, pairs, "euclidean"), want, rtol=1e-13)
    np.testing.assert_array_equal(means(4 * cells, codes, 3, pairs, "euclidean"), 4 * want)


def test_several_gammas_at_once(isa: str) -> None:
    cells, codes, pairs = random_cells(10, 130, 30), random_groups(10, 130, 3), all_pairs(3)
    gammas = [2.0, 1.0, 0.5, 0.1, 0.01, 0.005, 0.0]
    got = _core.pair_means(cells, codes, 3, pairs, "rbf", gammas=gammas)
    assert got.shape == (7, 9)
    for row, gamma in zip(got, gammas, strict=True):
        np.testing.assert_array_equal(row, _core.pair_means(cells, codes, 3, pairs, "rbf", gammas=[gamma])[0])
        terms = np.exp(-gamma * cdist(cells, cells, "sqeuclidean"))
        want = [terms[np.ix_(codes == a, codes == b)].mean() for a, b in pairs]
        np.testing.assert_allclose(row, want, rtol=1e-12)
    assert (got[-1] == 1).all()
    assert _core.pair_means(cells, codes, 3, pairs, "rbf", gammas=[]).shape == (0, 9)


def test_exp_to_about_an_ulp(isa: str) -> None:
    # one pair of cells at squared distance 1: the mean is exp(-gamma) itself
    exponents = np.r_[np.linspace(0, 40, 4001), np.linspace(690, 760, 141), 1e-300, 1e300]
    cells, codes, pairs = np.array([[0.0], [1.0]]), np.array([0, 1], np.int32), np.array([[0, 1]], np.int32)
    got = _core.pair_means(cells, codes, 2, pairs, "rbf", gammas=exponents.tolist())[:, 0]
    want = np.exp(-exponents.astype(np.longdouble))
    error = np.abs(got - want) / np.spacing(want.astype(float))
    assert float(error.max()) < 1.0
    assert got[-1] == 0
    assert got[0] == 1


def test_row_strides_are_followed() -> None:
    cells, codes, pairs = random_cells(11, 60, 18, "f4"), random_groups(11, 60, 2), all_pairs(2)
    want = means(cells, codes, 2, pairs, "euclidean")
    wide = np.full((60, 31), np.nan, np.float32)
    wide[:, 4:22] = cells
    np.testing.assert_array_equal(means(wide[:, 4:22], codes, 2, pairs, "euclidean"), want)
    np.testing.assert_array_equal(means(np.repeat(cells, 2, axis=0)[::2], codes, 2, pairs, "euclidean"), want)
    backwards = np.ascontiguousarray(cells[::-1])[::-1]
    np.testing.assert_array_equal(means(backwards, codes, 2, pairs, "euclidean"), want)
    for wrong in (np.asfortranarray(cells), cells[:, ::2]):
        with pytest.raises(TypeError, match="cells must have contiguous, aligned rows"):
            means(wrong, codes, 2, pairs, "euclidean")


def test_empty_and_one_cell_groups() -> None:
    cells = random_cells(12, 9, 6)
    codes = np.array([0] * 6 + [2] + [-1] * 2, np.int32)
    for term, alike in (("euclidean", 0.0), ("rbf", 1.0)):
        v, u = (means(cells, codes, 3, all_pairs(3), term, estimator=e).reshape(3, 3) for e in "vu")
        for got in (v, u):
            assert np.isnan(got[1]).all()
            assert np.isnan(got[:, 1]).all()
        assert v[2, 2] == alike
        assert np.isnan(u[2, 2])
        assert v[0, 2] == u[0, 2]
    assert means(cells, codes, 3, np.zeros((0, 2), np.int32), "euclidean").shape == (0,)
    nobody = np.zeros((0, 4)), np.zeros(0, np.int32)
    assert np.isnan(means(*nobody, 1, all_pairs(1), "euclidean")[0])


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_a_number_stays_in_its_groups(isa: str, term: str, bad: float) -> None:
    cells = random_cells(13, 60, 10) + 0.1
    codes = np.repeat(np.arange(3, dtype=np.int32), 20)
    clean = means(cells, codes, 3, all_pairs(3), term).reshape(3, 3)
    cells[7, 3] = bad
    got = means(cells, codes, 3, all_pairs(3), term).reshape(3, 3)
    np.testing.assert_array_equal(got[1:, 1:], clean[1:, 1:])
    assert np.isnan(got[0, 0])
    one = np.full(60, -1, np.int32)
    one[7] = 0
    assert np.isnan(means(cells, one, 1, all_pairs(1), term)[0])
    if np.isnan(bad):
        assert np.isnan(got[0]).all()


def test_more_panels_than_are_held(isa: str) -> None:
    # 5,000 cells of 900 features in float64 exceed what is widened at a time
    rng = np.random.default_rng(14)
    cells = rng.normal(size=(5000, 900)).astype("f4")
    codes = np.full(5000, 1, np.int32)
    codes[:30], codes[-20:] = 0, 2
    pairs = np.array([[0, 1], [2, 1], [0, 2]], np.int32)
    got = means(cells, codes, 3, pairs, "euclidean", n_threads=2)
    np.testing.assert_allclose(got, by_matrix(cells, codes, pairs, "euclidean"), rtol=1e-13)


def test_wrong_calls_are_refused() -> None:
    cells, codes, pairs = random_cells(15, 4, 3), np.zeros(4, np.int32), all_pairs(1)
    with pytest.raises(ValueError, match=r"codes\[0\] is 1; expected -1 … 0"):
        means(cells, codes + np.int32(1), 1, pairs, "euclidean")
    with pytest.raises(ValueError, match="pairs holds 1; expected 0 … 0"):
        means(cells, codes, 1, pairs + np.int32(1), "euclidean")
    with pytest.raises(ValueError, match="codes has 3 entries; expected 4"):
        means(cells, codes[:3], 1, pairs, "euclidean")
    with pytest.raises(ValueError, match="term is 'l2'; expected euclidean, sqeuclidean"):
        means(cells, codes, 1, pairs, "l2")
    with pytest.raises(ValueError, match="estimator is 'w'; expected 'v' or 'u'"):
        means(cells, codes, 1, pairs, "euclidean", estimator="w")
    with pytest.raises(ValueError, match="term 'rbf' needs gammas"):
        _core.pair_means(cells, codes, 1, pairs, "rbf")
    with pytest.raises(ValueError, match="gammas are for term 'rbf', not for 'cosine'"):
        _core.pair_means(cells, codes, 1, pairs, "cosine", gammas=[1.0])
    for gamma in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="expected a finite number that is not negative"):
            _core.pair_means(cells, codes, 1, pairs, "rbf", gammas=[gamma])
    with pytest.raises(ValueError, match="n_threads is 0"):
        means(cells, codes, 1, pairs, "euclidean", n_threads=0)
    with pytest.raises(TypeError, match="cells must be a NumPy array of float32 or float64"):
        means(cells.astype(int), codes, 1, pairs, "euclidean")
    with pytest.raises(ValueError, match="cells has 1 dimensions; expected 2"):
        means(cells[0], codes, 1, pairs, "euclidean")


def test_progress_ends_at_the_total() -> None:
    seen = []
    cells, codes = random_cells(16, 2000, 50), random_groups(16, 2000, 4)
    means(cells, codes, 4, all_pairs(4), "euclidean", n_threads=2, progress=lambda *at: seen.append(at))
    assert seen[-1][0] == seen[-1][1] > 0


def test_inputs_are_left_alone() -> None:
    cells, codes, pairs = random_cells(17, 30, 8, "f4"), random_groups(17, 30, 2), all_pairs(2)
    before = [a.copy() for a in (cells, codes, pairs)]
    for term in TERMS:
        means(cells, codes, 2, pairs, term, n_threads=2)
    for old, new in zip(before, (cells, codes, pairs), strict=True):
        np.testing.assert_array_equal(old, new)
