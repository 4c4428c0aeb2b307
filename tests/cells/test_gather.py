"""The pass over the cells against the definition, dense and slow."""

import itertools

import numpy as np
import pytest
from scipy import sparse, stats

from vcmetrics import _core
from vcmetrics.sources.rows import ChunkedArray, Rows

SUMS = ("sum", "linear", "log1p", "log1p_square", "expm1", "square")
FIELDS = {*SUMS, "nonzero", "rank"}
ISAS = _core.isa_available()


def chunked(array, lengths, shift=1):
    """The array cut into pieces that lie apart, unaligned, in one buffer."""
    starts = [0]
    while starts[-1] < array.size:
        starts.append(min(array.size, starts[-1] + lengths[(len(starts) - 1) % len(lengths)]))
    if array.size == 0:
        starts.append(0)
    pieces, offsets, at = [], [], 0
    for first, last in itertools.pairwise(starts):
        pieces.append(np.full(shift, 0xFF, np.uint8))
        at += shift
        offsets.append(at)
        raw = array[first:last].view(np.uint8)
        pieces.append(raw)
        at += raw.size
    return ChunkedArray(np.concatenate(pieces), np.array(offsets, np.int64), np.array(starts, np.int64), array.dtype)


def rows_of(dense, value_dtype=np.float32, index_dtype=np.int32, lengths=None, explicit_zeros=False):
    matrix = sparse.csr_matrix(dense)
    indices, data = matrix.indices.astype(index_dtype), matrix.data.astype(value_dtype)
    indptr = matrix.indptr.astype(np.int64)
    if explicit_zeros:  # every value is stored
        indices = np.tile(np.arange(dense.shape[1]), dense.shape[0]).astype(index_dtype)
        data = dense.astype(value_dtype).reshape(-1)
        indptr = np.arange(dense.shape[0] + 1, dtype=np.int64) * dense.shape[1]
    cut = (lambda a, k: chunked(a, lengths[k:] + lengths[:k])) if lengths else (lambda a, k: ChunkedArray.of(a))
    return Rows(dense.shape[0], dense.shape[1], indptr, cut(indices, 0), cut(data, 1))


def lane_free(table, codes, n_groups):
    return np.stack([table[codes == g].sum(axis=0) for g in range(n_groups)])


def jackknife(dense, totals, target):
    n = len(dense)
    total = totals.sum()
    if n < 2 or total == 0:
        return 0.0
    rest = total - totals
    with np.errstate(divide="ignore", invalid="ignore"):
        v = np.log1p(target * (dense.sum(axis=0) - dense) / rest[:, None])
    v[rest == 0] = 0
    v -= np.log1p(target * dense.sum(axis=0) / total)
    return max(0.0, (n - 1) / n * (np.square(v).sum(axis=0) - np.square(v.sum(axis=0)) / n).sum())


def expected(sides, key, scale, gate, target):
    """The definition: dense matrices, one rankdata a gene and group."""
    loaded, linear, keys = [], [], []
    for dense, totals, _codes, _n, _cs, _cc in sides:
        y = dense.astype(np.float64)
        if key == "ratio":
            safe = np.where(totals == 0, 1, totals)[:, None]
            v, x, k = y, y / (safe / scale), y / safe
        else:
            v = x = k = y
        loaded.append(v), linear.append(x), keys.append(k)
    results = []
    for s, (dense, totals, codes, n_groups, cs, cc) in enumerate(sides):
        v, x = loaded[s], linear[s]
        found = {"n": np.bincount(codes[codes >= 0], minlength=n_groups)}
        with np.errstate(invalid="ignore", over="ignore"):
            tables = {"sum": v, "linear": x, "log1p": np.log1p(x), "expm1": np.expm1(v), "square": v * v}
            tables["log1p_square"] = tables["log1p"] ** 2
        for name, table in tables.items():
            found[name] = lane_free(table, codes, n_groups)
        found["nonzero"] = lane_free(v != 0, codes, n_groups)
        if key == "ratio":
            found["jackknife"] = np.array(
                [jackknife(dense[codes == g].astype(float), totals[codes == g], target) for g in range(n_groups)]
            )
        u2 = np.full((n_groups, dense.shape[1]), -1)
        tie = np.full(u2.shape, -1.0)
        if cs >= 0:
            members = sides[cs][2] == cc
            control = keys[cs][members]
            mean = linear[cs][members].sum(axis=0) / max(1, len(control))
            for g in range(n_groups):
                if s == cs and g == cc:
                    continue
                for gene in range(dense.shape[1]):
                    if gate is not None and gate >= 0 and not mean[gene] > gate:
                        continue
                    group = keys[s][codes == g, gene]
                    m = len(group)
                    pooled = np.concatenate([group, control[:, gene]])
                    if pooled.size == 0:
                        u2[g, gene], tie[g, gene] = 0, 0
                        continue
                    u2[g, gene] = round(2 * stats.rankdata(pooled)[:m].sum()) - m * (m + 1)
                    t = np.unique(pooled, return_counts=True)[1].astype(float)
                    tie[g, gene] = (t**3 - t).sum()
        found["u2"], found["tie"] = u2, tie
        results.append(found)
    return results


def args_of(sides, **how):
    return [
        (rows_of(dense, **how).args(), totals.astype(np.float64), codes.astype(np.int32), n, cs, cc)
        for dense, totals, codes, n, cs, cc in sides
    ]


def check(sides, *, key="ratio", scale=1e4, gate=None, target=1e4, threads=2, rtol=1e-13, **how):
    fields = set(FIELDS)
    if key == "ratio":
        fields.add("jackknife")
    found = _core.gather(args_of(sides, **how), sides[0][0].shape[1], key, scale, gate, fields, target, threads)
    for got, want in zip(found, expected(sides, key, scale, gate, target), strict=True):
        for name in ("n", "nonzero", "u2", "tie"):
            np.testing.assert_array_equal(got[name], want[name], err_msg=name)
        for name in SUMS:
            np.testing.assert_allclose(got[name], want[name], rtol=rtol, atol=1e-300, err_msg=name)
        if key == "ratio":
            np.testing.assert_allclose(got["jackknife"], want["jackknife"], rtol=1e-11, atol=1e-15)
    return found


def counts(seed, n_cells, n_genes, n_groups, *, density=0.3, high=8, control=(0, 0), used=0.9, deep=False):
    rng = np.random.default_rng(seed)
    dense = np.where(rng.random((n_cells, n_genes)) < density, rng.geometric(0.5, (n_cells, n_genes)), 0)
    dense = np.minimum(dense, high).astype(np.float64)
    if deep:
        dense *= rng.integers(1, 9, n_cells)[:, None]  # equal ratios from different counts
    codes = rng.integers(0, n_groups, n_cells)
    codes[rng.random(n_cells) > used] = -1
    return dense, dense.sum(axis=1), codes, n_groups, *control


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("value", [np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("index", [np.uint16, np.int32, np.int64])
def test_types(value, index, isa, monkeypatch):
    monkeypatch.setenv("VCMETRICS_ISA", isa)
    sides = [counts(1, 211, 37, 4, deep=True), counts(2, 150, 37, 4, control=(0, 0), deep=True)]
    check(sides, value_dtype=value, index_dtype=index)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("key", ["ratio", "raw"])
@pytest.mark.parametrize("lengths", [[7, 1, 0, 13], [101, 64, 3], None])
def test_pieces(key, lengths, isa, monkeypatch):
    monkeypatch.setenv("VCMETRICS_ISA", isa)
    sides = [counts(3, 90, 300, 3), counts(4, 71, 300, 5, control=(0, 1))]
    check(sides, key=key, lengths=lengths)


@pytest.mark.parametrize("key", ["ratio", "raw"])
def test_sizes_around_lanes_and_tiles(key):
    for n in (1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130):
        dense, totals, _, _, _, _ = counts(n, 3 * n, 11, 3, density=0.8)
        check([(dense, totals, np.repeat([0, 1, 2], n), 3, 0, 0)], key=key)


@pytest.mark.parametrize("n_genes", [1, 255, 256, 257, 513])
def test_sizes_around_gene_blocks(n_genes):
    check([counts(n_genes, 60, n_genes, 3)])


def test_empty_and_one_cell_groups():
    dense, totals, _, _, _, _ = counts(5, 40, 9, 1)
    codes = np.r_[[0] * 30, [2], [4] * 9]  # 1, 3 and 5 are empty, 2 has one cell
    check([(dense, totals, codes, 6, 0, 0)])
    check([(dense, totals, codes, 6, 0, 3)])  # an empty control
    check([(dense, totals, codes, 6, 0, 2)])  # a control of one cell
    check([(dense, totals, np.full(40, -1), 2, 0, 0)])


def test_all_zero_cells_and_genes():
    dense, _, codes, _, _, _ = counts(6, 60, 9, 3)
    dense[::4] = 0
    dense[:, 3] = 0
    check([(dense, dense.sum(axis=1), codes, 3, 0, 0)])
    zero = np.zeros((10, 4))
    check([(zero, zero.sum(axis=1), np.arange(10) % 3, 3, 0, 0)])
    check([(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), 2, 0, 0)])
    check([(np.zeros((3, 0)), np.zeros(3), np.zeros(3, int), 2, 0, 0)])


def test_no_control():
    check([counts(7, 50, 20, 3, control=(-1, -1))])


def test_control_on_the_other_side_only():
    reference = counts(8, 60, 20, 1, control=(-1, -1))
    check([reference, counts(9, 50, 20, 3, control=(0, 0))])
    check([counts(9, 50, 20, 3, control=(1, 0)), reference])


def test_each_side_its_own_control():
    check([counts(10, 80, 20, 3, control=(0, 2)), counts(11, 80, 20, 4, control=(1, 1))])


@pytest.mark.parametrize("gate", [-1.0, 0.0, 200.0, 700.0])
def test_gate(gate):
    found = check([counts(12, 80, 40, 3, density=0.1), counts(13, 80, 40, 4)], gate=gate)
    if gate == 200.0:
        closed = found[0]["u2"][1] == -1
        assert 0 < closed.sum() < closed.size


def test_equal_ratios_from_different_depths_tie():
    # 1/3 = 2/6 = 5/15 and 1/7 = 3/21: the quotients round to the same double; 1/3 and a neighbour do not
    totals = np.array([3, 6, 15, 7, 21, 3, 6, 1e15, 1e15])
    dense = np.array([[1, 2, 5, 1, 3, 1, 2, 0, 0]], float).T
    dense[7:, 0] = 33333, 33334
    codes = np.array([0, 1, 0, 0, 1, 1, 0, 0, 1])
    check([(dense, totals, codes, 2, 0, 0)])


@pytest.mark.parametrize("isa", ISAS)
def test_ties_that_float32_cannot_see(isa, monkeypatch):
    # quotients that agree in float32 and differ in float64, next to quotients that agree in both
    monkeypatch.setenv("VCMETRICS_ISA", isa)
    rng = np.random.default_rng(14)
    n = 400
    totals = rng.choice([2**23 - 1, 2**23, 2**23 + 1, 2**24], n).astype(float)
    dense = rng.choice([0, 1, 2, 3], (n, 12)).astype(float)
    check([(dense, totals, rng.integers(0, 4, n), 4, 0, 0)], value_dtype=np.uint16, scale=1e6, target=5e4)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_raw_values_with_negatives(dtype, isa, monkeypatch):
    monkeypatch.setenv("VCMETRICS_ISA", isa)
    rng = np.random.default_rng(15)
    dense = np.round(rng.normal(size=(120, 30)), 1).astype(dtype).astype(float)
    dense[rng.random(dense.shape) < 0.4] = 0
    dense = np.maximum(dense, -0.9)  # log1p is defined
    codes = rng.integers(0, 3, 120)
    side = (dense.astype(dtype), np.ones(120), codes, 3, 0, 0)
    with np.errstate(all="ignore"):
        found = _core.gather(args_of([side], value_dtype=dtype), 30, "raw", 1.0, None, FIELDS, 0.0, 2)[0]
        want = expected([side], "raw", 1.0, None, 0.0)[0]
    np.testing.assert_array_equal(found["u2"], want["u2"])
    np.testing.assert_array_equal(found["tie"], want["tie"])
    for name in SUMS:
        np.testing.assert_allclose(found[name], want[name], rtol=1e-12, atol=1e-12)


def test_counts_above_16_bits():
    dense, _, codes, _, _, _ = counts(16, 90, 12, 3)
    dense[dense > 2] *= 40_000
    check([(dense, dense.sum(axis=1), codes, 3, 0, 0)], value_dtype=np.int32)
    check([(dense, dense.sum(axis=1), codes, 3, 0, 0)], value_dtype=np.float64, key="raw", scale=1.0)


def test_fractional_counts():
    dense, _, codes, _, _, _ = counts(17, 90, 12, 3)
    dense = (dense * 0.37).astype(np.float32).astype(float)
    check([(dense, dense.sum(axis=1), codes, 3, 0, 0)])


def test_explicit_zeros_count_as_absent():
    check([counts(18, 60, 14, 3)], explicit_zeros=True)
    dense, totals, codes, *rest = counts(18, 60, 14, 3)
    side = (-dense / 16, totals, codes, *rest)  # stored -0.0
    found = _core.gather(args_of([side], explicit_zeros=True), 14, "raw", 1.0, None, {"nonzero", "rank"}, 0.0, 1)[0]
    want = expected([side], "raw", 1.0, None, 0.0)[0]
    for name in ("nonzero", "u2", "tie"):
        np.testing.assert_array_equal(found[name], want[name])


def test_a_cell_with_most_of_its_group():
    dense, _, _, _, _, _ = counts(19, 40, 25, 1)
    dense[3] *= 500
    dense[17] *= 90
    codes = np.arange(40) % 4
    dense[codes == 2] = 0
    dense[2] = 7  # the only cell with counts in its group
    check([(dense, dense.sum(axis=1), codes, 4, 0, 0)])


def test_more_than_65535_cells_in_a_group():
    rng = np.random.default_rng(20)
    n = 70_000
    dense = np.zeros((n, 2))
    dense[rng.random(n) < 0.2, 0] = 1
    dense[:, 1] = rng.integers(0, 3, n)
    codes = (rng.random(n) < 0.01).astype(int)
    check([(dense, dense.sum(axis=1), codes, 2, 0, 0)], value_dtype=np.uint16, rtol=1e-11)


@pytest.mark.parametrize("key", ["ratio", "raw"])
def test_same_bytes_for_threads_and_instruction_sets(key, monkeypatch):
    sides = [counts(21, 2500, 2100, 6, deep=True), counts(22, 2300, 2100, 6, deep=True)]
    if key == "raw":
        sides = [(np.log1p(dense).astype(np.float32), *rest) for dense, *rest in sides]
    fields = FIELDS | ({"jackknife"} if key == "ratio" else set())
    seen = set()
    for isa in ISAS:
        monkeypatch.setenv("VCMETRICS_ISA", isa)
        for threads in (1, 2, 3, 7) if isa == ISAS[-1] else (2,):
            found = _core.gather(args_of(sides), 2100, key, 1e6, 5.0 if key == "ratio" else None, fields, 5e4, threads)
            seen.add(b"".join(side[name].tobytes() for side in found for name in sorted(side)))
    assert len(seen) == 1


def test_inputs_stay_unchanged():
    sides = args_of([counts(23, 60, 14, 3)])
    before = [part.tobytes() for part in sides[0][0] if isinstance(part, np.ndarray)]
    _core.gather(sides, 14, "ratio", 1e6, 5.0, FIELDS, 5e4, 2)
    assert before == [part.tobytes() for part in sides[0][0] if isinstance(part, np.ndarray)]


def bad_side(change):
    dense, totals, codes, *rest = counts(24, 30, 10, 3, used=1.0)
    rows = rows_of(dense)
    data, indices = rows.data.buffer.view(np.float32), rows.indices.buffer.view(np.int32)
    totals = totals.astype(np.float64)
    change(data, indices, totals)
    return [(rows.args(), totals, codes.astype(np.int32), *rest)]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(value):
    sides = bad_side(lambda data, _i, _t: data.__setitem__(5, value))
    with pytest.raises(ValueError, match=r"row \d of matrix 0 holds a value that is not finite"):
        _core.gather(sides, 10, "raw", 1.0, None, FIELDS, 0.0, 1)


@pytest.mark.parametrize("total", [np.nan, -1.0, 0.0])
def test_totals_that_cannot_be_divided_by_are_refused(total):
    sides = bad_side(lambda _d, _i, totals: totals.__setitem__(7, total))
    with pytest.raises(ValueError, match="row 7 of matrix 0 has a total"):
        _core.gather(sides, 10, "ratio", 1.0, None, FIELDS, 0.0, 1)


@pytest.mark.parametrize("column", [10, -1, 2**31 - 1])
def test_columns_out_of_range_are_refused(column):
    sides = bad_side(lambda _d, indices, _t: indices.__setitem__(4, column))
    with pytest.raises(ValueError, match="column numbers of a row do not ascend"):
        _core.gather(sides, 10, "raw", 1.0, None, FIELDS, 0.0, 1)


def test_wrong_arguments_are_refused():
    sides = args_of([counts(25, 30, 10, 3)])
    good = {
        "sides": sides,
        "n_cols": 10,
        "key": "ratio",
        "scale": 1.0,
        "gate": None,
        "fields": {"sum"},
        "jackknife_target": 1.0,
        "n_threads": 1,
    }
    for change, words in [
        ({"fields": {"mean"}}, "field 'mean' is unknown"),
        ({"key": "log"}, "key is 'log'"),
        ({"n_threads": 0}, "n_threads is 0"),
        ({"n_cols": 11}, "rows have 10 columns; expected 11"),
        ({"scale": 0.0}, "scale must be positive"),
        ({"sides": [(*sides[0][:3], 2, 0, 0)]}, "codes"),
        ({"sides": [(*sides[0][:3], 3, 1, 0)]}, "control_side is 1"),
        ({"sides": [(*sides[0][:3], 3, 0, 3)], "fields": {"rank"}}, "control_code is 3"),
    ]:
        with pytest.raises(ValueError, match=words):
            _core.gather(**(good | change))


def test_progress_is_told_the_end():
    told = []
    sides = args_of([counts(26, 300, 100, 3)])
    _core.gather(sides, 100, "ratio", 1.0, None, {"sum"}, 1.0, 1, lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] > 0


@pytest.mark.parametrize("threads", [1, 3])
def test_further_depths_are_those_passes(threads):
    sides = [counts(31, 300, 41, 5)]
    depths, fields = [1e4, 4e3, 977.0], {"sum", "rank", "log1p_square"}

    def run(scale, fields, **how):
        return _core.gather(args_of(sides), 41, "ratio", scale, None, fields, 5e4, threads, **how)

    together = run(1e6, fields, depths=depths)
    for k, depth in enumerate(depths):
        alone = run(depth, {"log1p", "log1p_square"})
        for side, want in zip(together, alone, strict=True):
            assert set(side["depths"][k]) == {"log1p", "log1p_square"}
            for name, table in side["depths"][k].items():
                assert table.tobytes() == want[name].tobytes()
    plain = run(1e6, {"sum", "rank"})
    for side, want in zip(together, plain, strict=True):
        assert set(side) == {*want, "depths"}
        assert all(np.array_equal(side[name], want[name]) for name in want)


def test_further_depths_are_checked():
    sides = args_of([counts(32, 40, 7, 2)])
    with pytest.raises(ValueError, match="depths need key 'ratio'"):
        _core.gather(sides, 7, "raw", 1.0, None, {"sum"}, 5e4, 1, depths=[1e4])
    with pytest.raises(ValueError, match="depths must be positive"):
        _core.gather(sides, 7, "ratio", 1.0, None, {"sum"}, 5e4, 1, depths=[0.0])
    with pytest.raises(ValueError, match="log1p_square goes with log1p"):
        _core.gather(sides, 7, "ratio", 1.0, None, {"log1p_square"}, 5e4, 1)
