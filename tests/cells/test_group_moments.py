"""Moments of groups of cells: right where one pass would cancel, and the same bits on every path."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import scipy.sparse as sp

from vcmetrics import _core
from vcmetrics.reference.group_moments import group_moments
from vcmetrics.sources.rows import ChunkedArray, Rows


@pytest.fixture(params=_core.isa_available())
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("VCMETRICS_ISA", request.param)
    return request.param


def made(seed: int, n: int, width: int, n_groups: int, dtype: str, offset: float = 0.0):
    rng = np.random.default_rng(seed)
    cells = (rng.normal(size=(n, width)) + offset).astype(dtype)
    return cells, rng.integers(-1, n_groups, n).astype(np.int32)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("width", [1, 2, 3, 7, 8, 9, 50, 1023, 1024, 1025, 2061])
def test_equals_reference(isa: str, dtype: str, width: int) -> None:
    cells, codes = made(width, 300, width, 4, dtype)
    counts, mean, m2 = _core.group_moments(cells, codes, 4, 2)
    want = group_moments(cells, codes, 4)
    np.testing.assert_array_equal(counts, want[0])
    np.testing.assert_allclose(mean, want[1], rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(m2, want[2], rtol=1e-13)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 63, 64, 65, 129, 4095, 4096, 4097, 8200])
def test_group_sizes_around_blocks(n: int) -> None:
    cells, _ = made(n, n + 2, 5, 1, "f8", offset=3.0)
    codes = np.r_[np.full(2, -1), np.zeros(n)].astype(np.int32)
    _, mean, m2 = _core.group_moments(cells, codes, 1, 1)
    want = group_moments(cells, codes, 1)
    np.testing.assert_allclose(mean, want[1], rtol=1e-14)
    np.testing.assert_allclose(m2, want[2], rtol=1e-13, atol=1e-30)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("offset", [1e3, 1e6])
def test_an_offset_loses_nothing(dtype: str, offset: float) -> None:
    cells, codes = made(1, 9000, 6, 2, dtype, offset)
    _, mean, m2 = _core.group_moments(cells, codes, 2, 1)
    for g, k in product(range(2), range(6)):
        values = [Fraction(float(v)) for v in cells[codes == g, k]]
        centre = sum(values) / len(values)
        assert mean[g, k] == pytest.approx(float(centre), rel=1.5e-14)  # 64 + 4500/64 additions
        assert m2[g, k] == pytest.approx(float(sum((v - centre) ** 2 for v in values)), rel=1e-12)


def test_a_far_first_cell_loses_nothing() -> None:
    rng = np.random.default_rng(2)
    cells = np.r_[[[1e9]], rng.normal(size=(500, 1))]
    _, _, m2 = _core.group_moments(cells[1:], np.zeros(500, np.int32), 1)
    codes = np.r_[-1, np.zeros(500)].astype(np.int32)
    np.testing.assert_array_equal(_core.group_moments(cells, codes, 1)[2], m2)
    np.testing.assert_allclose(_core.group_moments(cells, codes + np.int32(codes < 0), 1)[2], cells.var(0)[None] * 501)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_same_bits_on_every_path(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cells, codes = made(3, 21_000, 205, 3, dtype, 10.0)
    codes[:9000] = 1  # several chunks
    found = set()
    for name, n_threads in product(_core.isa_available(), (1, 2, 3, 7)):
        monkeypatch.setenv("VCMETRICS_ISA", name)
        found.add(b"".join(a.tobytes() for a in _core.group_moments(cells, codes, 3, n_threads)))
    assert len(found) == 1


def test_identical_cells_have_no_spread() -> None:
    cells = np.tile(np.float32([0.1, 1e8, 3.3]), (5000, 1))
    _, mean, m2 = _core.group_moments(cells, np.zeros(5000, np.int32), 1)
    np.testing.assert_allclose(mean[0], cells[0].astype(float), rtol=1e-15)
    assert (m2 <= 1e-24 * mean**2).all()
    _, mean, m2 = _core.group_moments(cells.astype(np.int32).astype(np.float32), np.zeros(5000, np.int32), 1)
    assert not m2.any()


def test_rows_may_lie_apart() -> None:
    cells, codes = made(4, 400, 30, 3, "f4")
    want = _core.group_moments(np.ascontiguousarray(cells[::2, 3:20]), codes[::2].copy(), 3)
    for a, b in zip(_core.group_moments(cells[::2, 3:20], codes[::2].copy(), 3), want, strict=True):
        np.testing.assert_array_equal(a, b)
    backwards = _core.group_moments(cells[::-1], codes[::-1].copy(), 3)
    np.testing.assert_allclose(backwards[1], _core.group_moments(cells, codes, 3)[1], rtol=1e-12, atol=1e-14)


def test_empty_and_single() -> None:
    cells, _ = made(5, 4, 3, 1, "f8")
    counts, mean, m2 = _core.group_moments(cells, np.array([2, -1, -1, -1], np.int32), 3)
    assert counts.tolist() == [0, 0, 1]
    assert np.isnan(mean[:2]).all()
    assert np.isnan(m2[:2]).all()
    np.testing.assert_array_equal(mean[2], cells[0])
    assert not m2[2].any()
    assert _core.group_moments(np.zeros((0, 3)), np.zeros(0, np.int32), 0)[1].shape == (0, 3)
    assert _core.group_moments(np.zeros((2, 0)), np.zeros(2, np.int32), 1)[1].shape == (1, 0)


def test_not_a_number_stays_in_its_column() -> None:
    cells, codes = made(6, 200, 9, 2, "f4")
    cells[codes == 0, 4] = np.nan
    _, mean, m2 = _core.group_moments(cells, codes, 2)
    assert np.isnan(mean).sum() == np.isnan(m2).sum() == 1
    assert np.isnan(mean[0, 4])


def test_wrong_calls_are_refused() -> None:
    cells, codes = np.zeros((4, 3)), np.zeros(4, np.int32)
    for arguments, error, words in (
        ((cells.astype(np.int64), codes, 1), TypeError, "cells must be a NumPy array of float32 or float64"),
        ((np.asfortranarray(cells), codes, 1), TypeError, "cells must have contiguous rows"),
        ((cells[0], codes, 1), ValueError, "cells has 1 dimensions; expected 2"),
        ((cells, codes[:3], 1), ValueError, "codes has 3 entries; expected 4"),
        ((cells, codes.astype(np.int64), 1), TypeError, "codes must be a C-contiguous NumPy array of int32"),
        ((cells, codes + np.int32(1), 1), ValueError, r"codes\[0\] is 1; expected -1 … 0"),
        ((cells, codes, -1), ValueError, "n_groups is -1"),
        ((cells, codes, 1, 0), ValueError, "n_threads is 0"),
    ):
        with pytest.raises(error, match=words):
            _core.group_moments(*arguments)


def test_inputs_are_left_alone() -> None:
    cells, codes = made(7, 50, 9, 2, "f4")
    before = cells.tobytes(), codes.tobytes()
    cells.setflags(write=False)
    codes.setflags(write=False)
    _core.group_moments(cells, codes, 2, 2)
    assert (cells.tobytes(), codes.tobytes()) == before


def sparse(seed: int, n: int, width: int, n_groups: int, dtype: str = "f4", index: type = np.int32):
    rng = np.random.default_rng(seed)
    dense = ((rng.random((n, width)) < 0.3) * rng.gamma(2.0, 2.0, (n, width)) * 4).astype(dtype)
    matrix = sp.csr_matrix(dense)
    indices, data = ChunkedArray.of(matrix.indices.astype(index)), ChunkedArray.of(matrix.data)
    rows = Rows(n, width, matrix.indptr.astype(np.int64), indices, data)
    return dense, rows, rng.integers(-1, n_groups, n).astype(np.int32)


@pytest.mark.parametrize("index", [np.uint16, np.int64])
@pytest.mark.parametrize("dtype", ["f4", "f8", "u2", "i4", "i8"])
@pytest.mark.parametrize(("n", "width"), [(1, 1), (30, 7), (900, 50), (300, 700)])
def test_rows_equal_reference(n: int, width: int, dtype: str, index: type) -> None:
    dense, rows, codes = sparse(n, n, width, 3, dtype, index)
    for got, want in zip(
        _core.group_moments_rows(rows.args(), codes, 3, 2), group_moments(dense, codes, 3), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("n", [255, 256, 257, 4095, 4096, 4097, 8500])
def test_rows_around_blocks(n: int) -> None:
    dense, rows, codes = sparse(1, n, 4, 1)
    codes[:] = 0
    found = {b"".join(a.tobytes() for a in _core.group_moments_rows(rows.args(), codes, 1, k)) for k in (1, 2, 3, 7)}
    assert len(found) == 1
    _, mean, m2 = _core.group_moments_rows(rows.args(), codes, 1)
    want = group_moments(dense, codes, 1)
    np.testing.assert_allclose(mean, want[1], rtol=1e-13)
    np.testing.assert_allclose(m2, want[2], rtol=1e-12)


def test_rows_far_from_zero_keep_their_spread() -> None:
    dense = (1e4 + np.random.default_rng(2).normal(size=(600, 3))).astype(np.float32)
    matrix = sp.csr_matrix(dense)
    rows = Rows(600, 3, matrix.indptr.astype(np.int64), ChunkedArray.of(matrix.indices), ChunkedArray.of(matrix.data))
    codes = np.zeros(600, np.int32)
    np.testing.assert_allclose(
        _core.group_moments_rows(rows.args(), codes, 1)[2], group_moments(dense, codes, 1)[2], rtol=1e-11
    )


def test_rows_with_bad_columns_or_values() -> None:
    for columns in ([0, 2, 1], [0, 1, 1], [0, 1, 9], [-1, 0, 1]):
        indices = ChunkedArray.of(np.array(columns, np.int32))
        rows = Rows(1, 5, np.array([0, 3]), indices, ChunkedArray.of(np.ones(3, np.float32)))
        with pytest.raises(ValueError, match="column numbers of cell 0 do not ascend"):
            _core.group_moments_rows(rows.args(), np.zeros(1, np.int32), 1)
    dense, rows, codes = sparse(3, 40, 6, 2)
    rows.data.buffer.view(np.float32)[0] = np.nan
    column = int(np.flatnonzero(dense[0])[0])
    codes[:] = 0
    _, mean, m2 = _core.group_moments_rows(rows.args(), codes, 2)
    assert np.flatnonzero(np.isnan(mean[0])).tolist() == np.flatnonzero(np.isnan(m2[0])).tolist() == [column]
    assert np.isnan(mean[1]).all()
