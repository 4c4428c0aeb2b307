"""Sums have the same bits whether ranks are asked for beside them or not: both add up in the order of the cells."""

from dataclasses import replace

import numpy as np
import pytest

from vcmetrics import _core
from vcmetrics.sources.rows import ChunkedArray, Rows
from vcmetrics.summary.group_summary import Recipe, Side, gather
from vcmetrics.summary.plan import group_cells

SUMS = ("sum", "linear", "log1p", "log1p_square", "expm1", "square", "nonzero")
DTYPES = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8")


def drawn(dtype, index_dtype, n=700, n_cols=37, seed=0):
    """Cells of four groups, some in none; fractions where the type has them, stored zeros, empty rows and genes."""
    rng = np.random.default_rng(seed)
    x = np.minimum(rng.poisson(rng.gamma(0.4, 8.0, n_cols), (n, n_cols)), 100).astype(dtype)
    if x.dtype.kind == "f":
        x *= rng.uniform(0.1, 1.3, x.shape).astype(dtype)
    x[:, 5] = 0
    kept = (x != 0) | (rng.random(x.shape) < 0.05)
    kept[:, 5] = kept[9] = kept[n - 1] = False
    indptr = np.concatenate([[0], np.cumsum(kept.sum(1))]).astype(np.int64)
    indices = np.nonzero(kept)[1].astype(index_dtype)
    rows = Rows(n, n_cols, indptr, ChunkedArray.of(indices), ChunkedArray.of(np.ascontiguousarray(x[kept])))
    groups = group_cells(rng.choice(np.array(["a", "b", "c", "d"], object), n, p=[0.6, 0.3, 0.09, 0.01]), "c")
    codes = np.where(rng.random(n) < 0.1, -1, groups.codes).astype(np.int32)
    return Side(rows, (x * kept).sum(1, dtype=np.float64), replace(groups, codes=codes))


@pytest.mark.parametrize("key", ["ratio", "raw"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_same_bits(key, dtype, monkeypatch):
    side = drawn(dtype, "u2" if dtype in ("u2", "f4") else "i8" if dtype == "f8" else "i4")
    fields = frozenset(SUMS)
    alone = Recipe(key, 1e4 if key == "ratio" else 1.0, fields)
    ranked = replace(alone, fields=fields | {"rank"})
    (wanted,) = gather([(side, None)], alone, n_threads=1)
    for isa in _core.isa_available():
        monkeypatch.setenv("VCMETRICS_ISA", isa)
        for threads in (1, 3):
            for recipe in (alone, ranked):
                (found,) = gather([(side, None)], recipe, n_threads=threads)
                for name in ("n", *SUMS):
                    assert found[name].tobytes() == wanted[name].tobytes(), (isa, threads, sorted(recipe.fields), name)


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("key", ["ratio", "raw"])
def test_each_field_alone(key, name):
    side = drawn("f4", "i4")
    alone = Recipe(key, 1e4 if key == "ratio" else 1.0, frozenset({name}))
    (wanted,) = gather([(side, None)], alone)
    assert wanted[name].any()
    (found,) = gather([(side, None)], replace(alone, fields=alone.fields | {"rank"}))
    assert found[name].tobytes() == wanted[name].tobytes()
