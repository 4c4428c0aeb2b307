"""The kernels of this room against plain NumPy, for any cut into pieces, threads and instruction set."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import sparse

from vcmetrics import _core
from vcmetrics.sources import ChunkedArray, Rows

TYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")


def pieces(array, cuts, gap):
    """The array in pieces that lie ``gap`` bytes apart, so that some are not aligned."""
    borders = np.unique(np.concatenate([[0], cuts, [array.size]])).astype(np.int64)
    parts = [b"\xff" * gap + array[first:last].tobytes() for first, last in itertools.pairwise(borders)]
    offsets = np.cumsum([0, *map(len, parts)])[:-1] + gap
    return ChunkedArray(np.frombuffer(b"".join(parts), np.uint8), offsets.astype(np.int64), borders, array.dtype)


def rows_of(matrix, cuts=(), gap=0):
    n_rows, n_cols = matrix.shape
    return Rows(
        n_rows,
        n_cols,
        matrix.indptr.astype(np.int64),
        pieces(matrix.indices, cuts, gap),
        pieces(matrix.data, [c + 1 for c in cuts if c + 1 < matrix.nnz], gap),
    )


def random_matrix(seed, dtype, n_rows=61, n_cols=300):
    rng = np.random.default_rng(seed)
    dense = rng.integers(-3 if np.dtype(dtype).kind != "u" else 0, 100, (n_rows, n_cols)) * (
        rng.random((n_rows, n_cols)) < 0.3
    )
    values = dense.astype(dtype)
    if np.dtype(dtype).kind == "f":
        values[3] /= 7
        values[5] *= np.asarray(2.0**20, dtype)  # beyond the rounding trick of the narrow type
        values[6] = np.where(values[6] != 0, values[6] + np.asarray(5e-7, dtype), 0)
        values[7, :4] = [np.nan, np.inf, -np.inf, -0.25]
        values[8, :3] = np.nan
    return sparse.csr_matrix(values)


def expected(matrix):
    """What scan_rows says, by NumPy, in the matrix's own type."""
    x = matrix.data
    cell = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    real = x.dtype.kind == "f"
    with np.errstate(invalid="ignore"):
        fractional = ~(np.abs(x - np.rint(x)) <= x.dtype.type(1e-6)) if real else np.zeros(x.size, bool)
        fraction = (x - np.trunc(x))[np.isfinite(x)].astype(float) if real else np.zeros(1)
    nonfinite = ~np.isfinite(x)

    def first(mask):
        k = np.flatnonzero(mask)
        return (int(cell[k[0]]), int(matrix.indices[k[0]]), float(x[k[0]])) if k.size else None

    return {
        "min": float(np.nanmin(x)),
        "max": float(np.nanmax(x)),
        "n_negative": int((x < 0).sum()),
        "n_nonfinite": int(nonfinite.sum()),
        "n_fractional": int(fractional.sum()),
        "n_explicit_zeros": int((x == 0).sum()),
        "max_fraction": float(np.abs(fraction).max()),
        "max_signed_fraction": float(max(fraction.max(), 0)),
        "first_negative": first(x < 0),
        "first_fractional": first(fractional),
        "first_nonfinite": first(nonfinite),
    }


@pytest.mark.parametrize("index", ["u2", "i4", "i8"])
@pytest.mark.parametrize("dtype", TYPES)
def test_scan(dtype, index):
    matrix = random_matrix(1, dtype)
    matrix.data[7] = 0
    matrix.indices = matrix.indices.astype(index)
    found = _core.scan_rows(rows_of(matrix, range(50, matrix.nnz, 97), 3).args(), 2)
    want = expected(matrix)
    for name, value in want.items():
        np.testing.assert_equal(found[name], value, err_msg=name)
    cell = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    totals = np.zeros(matrix.shape[0])
    with np.errstate(invalid="ignore"):
        np.add.at(totals, cell, matrix.data.astype(float))
    np.testing.assert_allclose(found["totals"], totals, rtol=1e-13)
    numbers = totals[~np.isnan(totals)]
    assert found["max_row_total"] == pytest.approx(numbers.max(), rel=1e-13)
    np.testing.assert_array_equal(found["row_nnz"], np.diff(matrix.indptr))
    assert not found["column_out_of_range"]
    assert not found["unsorted"]
    assert not found["duplicates"]


@pytest.mark.parametrize("isa", _core.isa_available())
def test_same_bits(isa, monkeypatch):
    """Totals of fractions, for any threads, pieces and instruction set."""
    rng = np.random.default_rng(0)
    matrix = sparse.random(700, 9000, 0.7, "csr", np.float32, rng)  # above the size that is worth a thread
    matrix.sort_indices()
    reference = _core.scan_rows(rows_of(matrix).args(), 1)
    monkeypatch.setenv("VCMETRICS_ISA", isa)
    for threads, gap, step in ((1, 0, 0), (2, 1, 24755), (3, 4, 1001), (7, 0, 4096)):
        rows = rows_of(matrix, range(step, matrix.nnz, step) if step else (), gap)
        found = _core.scan_rows(rows.args(), threads)
        for name, value in reference.items():
            if isinstance(value, np.ndarray):
                assert value.tobytes() == found[name].tobytes(), name
            else:
                assert value == found[name], name


@pytest.mark.parametrize(
    ("columns", "unsorted", "duplicates"),
    [
        ([1, 2, 3, 4], False, False),
        ([1, 2, 2, 4], False, True),
        ([2, 1, 3, 4], True, False),
        ([4, 1, 2, 4], True, True),
        ([*range(40), 39], False, True),
        ([*range(40), 3], True, True),
        ([*range(1, 33), 0], True, False),
    ],
)
def test_order_of_columns(columns, unsorted, duplicates):
    n = len(columns)
    matrix = Rows(
        1, 50, np.array([0, n]), ChunkedArray.of(np.array(columns, np.int32)), ChunkedArray.of(np.ones(n, np.float32))
    )
    found = _core.scan_rows(matrix.args(), 1)
    assert (found["unsorted"], found["duplicates"]) == (unsorted, duplicates)
    assert found["column_out_of_range"] is False


@pytest.mark.parametrize(
    ("column", "index"), [(50, "i4"), (-1, "i4"), (-1, "i8"), (2**40, "i8"), (50, "u2"), (-1, "i1")]
)
@pytest.mark.parametrize("at", [0, 20, 39])
def test_column_out_of_range(column, index, at):
    columns = np.arange(40).astype(index)
    columns[at] = column
    matrix = Rows(1, 50, np.array([0, 40]), ChunkedArray.of(columns), ChunkedArray.of(np.ones(40, np.float32)))
    assert _core.scan_rows(matrix.args(), 1)["column_out_of_range"]
    with pytest.raises(ValueError, match="column numbers lie outside the matrix"):
        _core.canonical_rows(matrix.args(), 1, None, 50)


def triple(out, shape):
    indptr, indices, data = out
    assert indptr.dtype == np.int64
    assert np.all(data != 0)
    for first, last in itertools.pairwise(indptr):
        assert np.all(np.diff(indices[first:last].astype(int)) > 0)
    return sparse.csr_matrix((data.astype(float), indices.astype(np.int32), indptr), shape).toarray()


KINDS = [
    ("f4", [1, 65535, 7], "u2"),
    ("f4", [1, 65536, 7], "f4"),
    ("f4", [1, 0.5, 7], "f4"),
    ("f4", [1, -1, 7], "f4"),
    ("f4", [1, np.nan, 7], "f4"),
    ("f8", [1, 2, 7], "u2"),
    ("f8", [1, 1 / 3, 7], "f8"),
    ("f8", [1, np.inf, 7], "f8"),
    ("i4", [1, 70000, 7], "f8"),
    ("i8", [1, 2, 7], "u2"),
    ("i1", [1, -2, 7], "f4"),
    ("i2", [1, -2, 7], "f4"),
    ("u2", [1, 65535, 7], "u2"),
    ("u4", [1, 65535, 7], "u2"),
    ("u4", [1, 2**31, 7], "f8"),
]


@pytest.mark.parametrize(("dtype", "values", "kind"), KINDS)
def test_how_copies_hold_values(dtype, values, kind):
    dense = np.zeros((2, 5), dtype)
    dense[1, [0, 2, 4]] = values
    matrix = sparse.csr_matrix(dense)
    copies = [
        _core.canonical_rows(rows_of(matrix).args(), 1, None, 5),
        _core.dense_to_rows(dense, 1),
        _core.dense_to_rows(np.asfortranarray(dense), 1),
        _core.transpose_rows(rows_of(sparse.csr_matrix(dense.T)).args(), 1),
    ]
    for copy in copies:
        assert copy[2].dtype == np.dtype(kind)
        assert copy[1].dtype == np.uint16
        np.testing.assert_array_equal(triple(copy, (2, 5)), dense.astype(float))


@pytest.mark.parametrize(("n_cols", "index"), [(65536, "u2"), (65537, "i4")])
def test_how_copies_hold_columns(n_cols, index):
    matrix = sparse.csr_matrix((np.ones(2, np.float32), [0, n_cols - 1], [0, 2]), (1, n_cols))
    out = _core.canonical_rows(rows_of(matrix).args(), 1, None, n_cols)
    assert out[1].dtype == np.dtype(index)
    assert out[1].tolist() == [0, n_cols - 1]


@pytest.mark.parametrize("threads", [1, 3])
def test_canonical(threads):
    rng = np.random.default_rng(2)
    n, cols, nnz = 500, 700, 60000
    cell, gene = np.sort(rng.integers(0, n, nnz)), rng.integers(0, cols, nnz)
    value = rng.integers(-2, 9, nnz).astype(np.float32)
    indptr = np.searchsorted(cell, np.arange(n + 1)).astype(np.int64)
    dense = np.zeros((n, cols))
    np.add.at(dense, (cell, gene), value)
    rows = Rows(n, cols, indptr, pieces(gene.astype(np.int32), range(999, nnz, 999), 1), ChunkedArray.of(value))
    np.testing.assert_array_equal(triple(_core.canonical_rows(rows.args(), threads, None, cols), (n, cols)), dense)
    order = rng.permutation(cols)[:400]
    new = np.full(cols, -1, np.int64)
    new[order] = np.arange(400)
    np.testing.assert_array_equal(
        triple(_core.canonical_rows(rows.args(), threads, new, 400), (n, 400)), dense[:, order]
    )


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", TYPES)
def test_turned_over(dtype, threads):
    matrix = random_matrix(4, dtype, 37, 9000)  # more cells than a block of the transposition
    with np.errstate(invalid="ignore"):
        dense = matrix.toarray().astype(float)
    out = _core.transpose_rows(rows_of(matrix, range(50, matrix.nnz, 5001), 3).args(), threads)
    np.testing.assert_array_equal(triple(out, (9000, 37)), dense.T)


def test_turned_over_wants_ascending_rows():
    rows = Rows(1, 9, np.array([0, 2]), ChunkedArray.of(np.array([3, 1], np.int32)), ChunkedArray.of(np.ones(2)))
    with pytest.raises(ValueError, match="must ascend strictly"):
        _core.transpose_rows(rows.args(), 1)


@pytest.mark.parametrize("dtype", TYPES)
def test_dense(dtype):
    dense = random_matrix(5, dtype, 50, 333).toarray()
    for view in (dense, np.asfortranarray(dense), dense[::2, ::3], dense[::-1, ::-1], dense.T):
        np.testing.assert_array_equal(triple(_core.dense_to_rows(view, 2), view.shape), view.astype(float))


def test_fills_check_their_room():
    dense = np.ones((2, 3))
    short = np.empty(5, np.uint16)
    with pytest.raises(ValueError, match="indptr reaches beyond indices or data"):
        _core.fill_dense(dense, 1, np.array([0, 3, 6]), short, np.empty(6, np.uint16))
    with pytest.raises(ValueError, match="gene_map must hold -1 or numbers below n_cols_new"):
        _core.canonical_rows(rows_of(sparse.csr_matrix(dense)).args(), 1, np.array([0, 1, 2]), 2)


def test_digests():
    rng = np.random.default_rng(0)
    content = rng.integers(0, 256, (5 << 20) + 3, dtype=np.uint8)
    first = _core.block_digests(content, 1)
    assert len(first) == 6 * 8
    assert _core.block_digests(content, 3) == first
    for at in (0, 100, (1 << 20) - 1, 1 << 20, content.size - 1):
        content[at] ^= 1
        assert _core.block_digests(content, 2) != first
        content[at] ^= 1
