"""The meaning of the pass over the cells, dense and slow.

Every function takes dense float64 matrices of cells × genes; the compiled pass must agree: integers
exactly, floats to the rounding of the order of additions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.sources.rows import ChunkedArray, Rows

Array = NDArray[Any]


def dense(rows: Rows) -> NDArray[np.float64]:
    """Cells × genes as a dense matrix; repeated entries add up."""
    out = np.zeros((rows.n_rows, rows.n_cols))
    row = np.repeat(np.arange(rows.n_rows), np.diff(rows.indptr))
    np.add.at(out, (row, joined(rows.indices).astype(np.int64)), joined(rows.data).astype(np.float64))
    return out


def joined(chunked: ChunkedArray) -> Array:
    """All pieces of a chunked array in one plain array."""
    parts = []
    for k, offset in enumerate(chunked.offsets):
        n = int(chunked.starts[k + 1] - chunked.starts[k])
        piece = chunked.buffer[offset : offset + n * chunked.dtype.itemsize]
        parts.append(np.frombuffer(piece.tobytes(), dtype=chunked.dtype))
    return np.concatenate(parts) if parts else np.zeros(0, chunked.dtype)


def loaded(y: Array, totals: Array, key: str, scale: float) -> NDArray[np.float64]:
    """The value v that a stored entry stands for: itself, or its float32 log-normalised form."""
    if key != "lognorm32":
        return y
    size = totals.astype(np.float32) / np.float32(scale)
    size[totals == 0] = np.float32(1.0)
    # the quotient and its logarithm are float32, as the common preprocessing leaves them
    return np.log1p(y.astype(np.float32) / size[:, None]).astype(np.float64)


def linear(v: Array, totals: Array, key: str, scale: float) -> NDArray[np.float64]:
    """The value x on the linear scale: counts per ``scale``, 0 in a cell without counts."""
    if key != "ratio":
        return v
    size = totals / scale
    return np.divide(v, size[:, None], out=np.zeros_like(v), where=size[:, None] != 0)


def rank_key(y: Array, totals: Array, key: str, scale: float) -> NDArray[np.float64]:
    """What is ranked: the correctly rounded quotient y/total for counts, else the value itself."""
    if key == "ratio":
        return np.divide(y, totals[:, None], out=np.zeros_like(y), where=totals[:, None] != 0)
    return loaded(y, totals, key, scale)


def two_u_and_ties(group: Array, control: Array) -> tuple[int, int]:
    """2U of ``group`` over ``control`` (one gene) and Σ(t³ − t) over the pooled tie blocks, exact."""
    pooled, counts = np.unique(np.concatenate([group, control]), return_counts=True)
    in_group = np.searchsorted(pooled, group)
    in_control = np.bincount(np.searchsorted(pooled, control), minlength=pooled.size)
    below = np.concatenate([[0], np.cumsum(in_control)[:-1]])
    two_u = int((2 * below[in_group] + in_control[in_group]).sum())
    return two_u, sum(int(t) ** 3 - int(t) for t in counts)


def jackknife(counts: Array, totals: Array, target: float) -> float:
    """Delete-one jackknife variance of log(1 + target · share), summed over genes."""
    n = counts.shape[0]
    total = totals.sum()
    if n < 2 or total == 0:
        return 0.0
    rest = total - totals
    left_out = counts.sum(0) - counts
    share = np.divide(left_out, rest[:, None], out=np.zeros_like(left_out), where=rest[:, None] > 0)
    v = np.log1p(target * share)
    return max(0.0, float((n - 1) / n * ((v - v.mean(0)) ** 2).sum()))


def gather(
    sides: Sequence[tuple[Rows, Array, Array, int, int, int]],
    n_cols: int,
    key: str,
    scale: float,
    gate: float | None,
    fields: Collection[str],
    jackknife_target: float = 5e4,
) -> list[dict[str, Array]]:
    """Groups × genes tables of every side; the arguments are those of the compiled pass."""
    values = [dense(rows) for rows, *_ in sides]
    out: list[dict[str, Array]] = []
    for (_, totals, codes, n_groups, control_side, control_code), y in zip(sides, values, strict=True):
        v = loaded(y, totals, key, scale)
        x = linear(v, totals, key, scale)
        cells = [np.flatnonzero(codes == g) for g in range(n_groups)]
        side: dict[str, Array] = {"n": np.array([c.size for c in cells], np.int64)}
        tables = {
            "sum": v,
            "linear": x,
            "square": v * v,
            "nonzero": v != 0,
        }
        if "log1p" in fields:
            tables["log1p"] = np.log1p(x)
            tables["log1p_square"] = np.log1p(x) ** 2
        if "expm1" in fields:
            tables["expm1"] = np.expm1(v)
        if "expm1_32" in fields:
            tables["expm1_32"] = np.expm1(v.astype(np.float32)).astype(np.float64)
        for name, table in tables.items():
            if name in fields:
                side[name] = np.array([table[c].sum(0) for c in cells]).reshape(n_groups, n_cols)
        if "jackknife" in fields:
            side["jackknife"] = np.array([jackknife(y[c], totals[c], jackknife_target) for c in cells])
        if "rank" in fields and control_side >= 0:
            _, c_totals, c_codes, *_ = sides[control_side]
            chosen = c_codes == control_code
            y_control = values[control_side][chosen]
            k_control = rank_key(y_control, c_totals[chosen], key, scale)
            v_control = loaded(y_control, c_totals[chosen], key, scale)
            x_control = linear(v_control, c_totals[chosen], key, scale)
            mean = x_control.sum(0) / max(1, x_control.shape[0])
            kept = np.ones(n_cols, bool) if gate is None or gate < 0 else mean > gate
            keys = rank_key(y, totals, key, scale)
            u2 = np.full((n_groups, n_cols), -1, np.int64)
            tie = np.full((n_groups, n_cols), -1.0)
            own = control_side == len(out)
            for g, chosen_cells in enumerate(cells):
                if own and g == control_code:
                    continue
                for j in np.flatnonzero(kept):
                    two_u, ties = two_u_and_ties(keys[chosen_cells, j], k_control[:, j])
                    u2[g, j], tie[g, j] = two_u, float(ties)
            side["u2"], side["tie"] = u2, tie
        out.append(side)
    return out
