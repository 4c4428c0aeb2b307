"""What is timed: each kernel with its input, its floor, the CPU's path and what CuPy has for it.

A case makes its input on the device, so sizes may be those of competitions; ``small`` sizes serve dry runs and
compute-sanitizer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from vcmetrics import _core
from vcmetrics.backend.gpu import Engine

Work = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """One kernel and size.

    Attributes
    ----------
    name, size
        For the table.
    run
        The kernel, data on the device.
    operations, unit
        The floor: so many additions of this precision (``float64``), or bytes (``copy``).
    cpu
        Our CPU path on host copies, how much smaller its share of the work is, and a comparison of the results: called
        with the device's result and the CPU's.
    others
        What CuPy offers, by name; it may be less exact.
    """

    name: str
    size: str
    run: Work
    operations: float
    unit: str
    cpu: Work
    cpu_share: float
    same: Callable[[Any, Any], bool]
    others: dict[str, Work] = field(default_factory=dict)


def _near(engine: Engine, rtol: float, rows: int | None = None) -> Callable[[Any, Any], bool]:
    def same(got: Any, want: Any) -> bool:
        host = engine.to_host(got if rows is None else got[:rows])
        return bool(np.allclose(host, want, rtol=rtol, atol=1e-12, equal_nan=True))

    return same


def _bits(engine: Engine, rows: int) -> Callable[[Any, Any], bool]:
    return lambda got, want: bool(np.array_equal(engine.to_host(got[:rows]), want))


def pairs(engine: Engine, small: bool, threads: int) -> Iterator[Case]:
    """Distances of profiles; the CPU does some rows of the table."""
    xp = engine.xp
    n, width = (130, 300) if small else (10_000, 18_000)
    rows = min(n, 500)
    random = xp.random.default_rng(1)
    x, y = (random.standard_normal((n, width), dtype=np.float32) for _ in range(2))
    host_x, host_y = engine.to_host(x[:rows]), engine.to_host(y)
    out = xp.empty((n, n))
    # additions and their like, each one instruction: |x - y| is free, squares are not fused, products are
    steps = {"cityblock": 2, "sqeuclidean": 3, "product": 1}
    wide = {"x": None, "y": None}

    def product() -> Any:
        if wide["x"] is None:
            wide["x"], wide["y"] = x.astype(np.float64), y.astype(np.float64)
        return wide["x"] @ wide["y"].T

    def by_rows() -> Any:
        return xp.stack([xp.abs(x[i] - y).sum(1, dtype=np.float64) for i in range(8)])

    for term, operations in steps.items():

        def cpu(term: str = term) -> Any:
            host = np.empty((rows, n))
            _core.panel_sums(host_x, host_y, term, host, threads)
            return host

        others: dict[str, Work] = {}
        if term == "product":
            others["CuPy float64 matmul, cast beforehand"] = product
        if term == "cityblock":
            others["CuPy, 8 rows only"] = by_rows
        yield Case(
            f"pair_sums {term}",
            f"{n} × {n} × {width} float32",
            lambda term=term: engine.kernels.pair_sums(x, y, term, out),
            operations * n * n * width,
            "float64",
            cpu,
            rows / n,
            _bits(engine, rows),
            others,
        )


def ranks(engine: Engine, small: bool, threads: int) -> Iterator[Case]:
    """Match ranks of a square table with ties."""
    from vcmetrics.arrays import match_rank
    from vcmetrics.retrieval.on_device import ranks_of_counts

    xp = engine.xp
    n = 300 if small else 10_000
    d = xp.random.default_rng(2).integers(0, 1000, (n, n)).astype(np.float64)
    own, host = xp.arange(n), engine.to_host(d)

    def run() -> Any:
        return ranks_of_counts(engine.kernels.match_counts(d, own), "mid")

    def by_comparison() -> Any:
        mine = d[own, own][:, None]
        return (d < mine).sum(1) + ((d == mine).sum(1) - 1) / 2

    yield Case(
        "match_counts", f"{n} × {n} float64", run, 8.0 * n * n, "copy", lambda: match_rank(host), 1.0,
        _bits(engine, n), {"CuPy comparisons": by_comparison},
    )  # fmt: skip


def correlations(engine: Engine, small: bool, threads: int) -> Iterator[Case]:
    """Co-moments of two tables, column by column."""
    from vcmetrics.arrays import CoMoments, column_correlation

    xp = engine.xp
    n, width = (300, 200) if small else (10_000, 18_533)
    random = xp.random.default_rng(3)
    x = random.standard_normal((n, width), dtype=np.float32)
    y = x + random.standard_normal((n, width), dtype=np.float32)
    host = engine.to_host(x), engine.to_host(y)

    def run() -> Any:
        return CoMoments.of_state(engine.kernels.co_moments(x, y)).pearson()

    def two_passes() -> Any:
        a, b = x - x.mean(0, dtype=np.float64), y - y.mean(0, dtype=np.float64)
        return (a * b).sum(0) / xp.sqrt((a * a).sum(0) * (b * b).sum(0))

    yield Case(
        "co_moments", f"{n} × {width} float32 × 2", run,
        2 * 4.0 * n * width, "copy", lambda: column_correlation(*host, n_threads=threads), 1.0, _near(engine, 1e-10),
        {"CuPy two passes": two_passes},
    )  # fmt: skip


def energies(engine: Engine, small: bool, threads: int) -> Iterator[Case]:
    """Sums over all pairs of cells of all pairs of groups, in an embedding and in genes."""
    for groups, cells_of, width in [(3, 70, 20)] if small else [(50, 400, 50), (20, 400, 2000)]:
        yield from _energies(engine, groups, cells_of, width, threads)


def _energies(engine: Engine, groups: int, cells_of: int, width: int, threads: int) -> Iterator[Case]:
    xp = engine.xp
    cells = xp.random.default_rng(4).standard_normal((groups * cells_of, width), dtype=np.float32)
    sizes = np.full(groups, cells_of)
    wanted = np.stack(np.triu_indices(groups), axis=1).astype(np.int32)
    codes, host = np.repeat(np.arange(groups, dtype=np.int32), cells_of), engine.to_host(cells)
    # half of the tiles of a group with itself are mirrored
    n_pairs = cells_of**2 * (len(wanted) - groups / 2)

    def run(term: str, gammas: list[float] | None) -> Any:
        return engine.kernels.group_pair_sums(cells, sizes, wanted, term, gammas).reshape(-1)

    def cpu(term: str, gammas: list[float] | None) -> Any:
        means = _core.pair_means(host, codes, groups, wanted, term, gammas, "v", threads)
        return np.asarray(means).reshape(-1) * cells_of**2

    def by_product() -> Any:
        squares = (cells * cells).sum(1)
        away = squares[:, None] + squares - 2 * (cells @ cells.T)
        return xp.sqrt(xp.maximum(away, 0)).reshape(groups, cells_of, groups, cells_of).sum((1, 3))

    for term, gammas, steps in (("euclidean", None, 3), ("cityblock", None, 2), ("rbf", [0.01], 3)):
        yield Case(
            f"group_pair_sums {term}",
            f"{groups} × {cells_of} cells × {width} float32",
            partial(run, term, gammas),
            steps * n_pairs * width,
            "float64",
            partial(cpu, term, gammas),
            1.0,
            _near(engine, 1e-11),
            {"CuPy float32 product": by_product} if term == "euclidean" else {},
        )


def sums(engine: Engine, small: bool, threads: int) -> Iterator[Case]:
    """Sums by group and gene of a competition context: 300 × 400 cells and 18,400 controls at 24 % density.

    The CPU takes means and squared deviations of the first rows, its own way to the same tables.
    """
    from scipy.sparse import csr_matrix

    from vcmetrics.distances.inputs import plain_cells

    xp = engine.xp
    sizes = np.array([40, 300, 7] if small else [400] * 300 + [18_400])
    n, genes = int(sizes.sum()), 100 if small else 18_533
    data, indices, indptr = counts(xp, n, genes, 0.24)
    order = xp.asarray(np.random.default_rng(5).permutation(n))
    totals = engine.kernels.row_totals(data, indptr)
    scale = xp.where(totals > 0, 1e4 / xp.where(totals > 0, totals, 1.0), 0.0)
    stored = len(data)
    share = min(n, 4096)
    end = int(indptr[share])
    host = tuple(engine.to_host(part) for part in (data[:end], indices[:end], indptr[: share + 1]))

    _, rows = plain_cells(csr_matrix(host, shape=(share, genes)), "counts", threads)
    assert rows is not None
    codes = np.arange(share, dtype=np.int32) % len(sizes)

    def cpu() -> Any:
        return _core.group_moments_rows(rows.args(), codes, len(sizes), threads)

    def same(got: Any, _: Any) -> bool:
        """Whole numbers: the groups' sums are exactly those of all cells."""
        every = engine.to_host(got[0].sum(0))
        return bool(np.array_equal(every, engine.to_host(xp.bincount(indices, weights=data, minlength=genes))))

    yield Case(
        "csr_group_sums raw", f"{n} × {genes}, {stored} stored float32 + int32",
        lambda: engine.kernels.group_sums((data, indices, indptr), genes, order, sizes),
        8.0 * stored, "copy", cpu, share / n, same,
    )  # fmt: skip
    yield Case(
        "csr_group_sums log1p", f"{n} × {genes}, {stored} stored float32 + int32",
        lambda: engine.kernels.group_sums(
            (data, indices, indptr), genes, order, sizes, scale=scale, normalise="log1p"
        ),
        8.0 * stored, "copy", cpu, share / n, lambda got, _: bool(xp.isfinite(got).all()),
    )  # fmt: skip
    yield Case(
        "row_totals", f"{stored} stored float32", lambda: engine.kernels.row_totals(data, indptr),
        4.0 * stored, "copy", lambda: np.add.reduceat(host[0].astype(np.float64), host[2][:-1]), share / n,
        lambda got, want: bool(np.array_equal(engine.to_host(got[:share]), want)),
    )  # fmt: skip
    dense_rows = min(n, 20_000)
    dense = xp.random.default_rng(6).integers(0, 9, (dense_rows, genes)).astype(np.float32)
    few = np.array([dense_rows // 2, dense_rows - dense_rows // 2])
    listed = xp.arange(dense_rows)
    part = engine.to_host(dense[:share])
    half = int(few[0])

    def two_slices() -> Any:
        return dense[:half].sum(0, dtype=np.float64), dense[half:].sum(0, dtype=np.float64)

    yield Case(
        "dense_group_sums raw", f"{dense_rows} × {genes} float32",
        lambda: engine.kernels.group_sums(dense, genes, listed, few),
        4.0 * dense_rows * genes, "copy", lambda: part.sum(0, dtype=np.float64), share / dense_rows,
        lambda got, _: bool((got[0].sum(0) == dense.sum(0, dtype=np.float64)).all()),
        {"CuPy sums of two slices": two_slices},
    )  # fmt: skip


def rank_sums(engine: Engine, small: bool, threads: int) -> Iterator[Case]:
    """Look-up of sorted keys in the sorted control, and the sorts before it, which are CuPy's; the CPU does both."""
    from scipy.sparse import csr_matrix

    from vcmetrics.distances.inputs import plain_cells
    from vcmetrics.summary.group_summary import Recipe, Side, gather
    from vcmetrics.summary.plan import Groups
    from vcmetrics.summary.rank_sums_on_device import sorted_keys

    sizes = np.array([30, 20, 70] if small else [400] * 20 + [18_400])
    genes = 50 if small else 18_533
    triple = counts(engine.xp, int(sizes.sum()), genes, 0.24)
    matrix = csr_matrix(tuple(map(engine.to_host, triple)), shape=(int(sizes.sum()), genes))
    _, rows = plain_cells(matrix, "counts", threads)
    assert rows is not None
    n_groups = len(sizes) - 1
    codes = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    labels = tuple(map(str, range(len(sizes))))
    side = Side(rows, np.asarray(matrix.sum(1, dtype=np.float64)).ravel(), Groups(labels, codes, labels[-1]))
    chosen, others = (np.flatnonzero(codes == n_groups), np.flatnonzero(codes < n_groups))
    zeros = np.zeros(chosen.size, np.int64)

    def sort() -> Any:
        control = sorted_keys(engine, side, chosen, zeros, 1, "ratio")
        return *control, *sorted_keys(engine, side, others, codes[others].astype(np.int64), n_groups, "ratio")

    keys = sort()

    def run() -> Any:
        return engine.kernels.rank_sums(*keys, sizes[:-1], int(sizes[-1]))

    def cpu() -> Any:
        (tables,) = gather([(side, None)], Recipe("ratio", 1e6, frozenset({"rank"})), n_threads=threads)
        return tables["u2"][:-1]

    size = f"{n_groups} groups against {sizes[-1]} cells × {genes}, {len(triple[0])} stored"
    yield Case("rank_sums", size, run, 8.0 * len(triple[0]), "copy", cpu, 1.0, _bits_of_first(engine))
    yield Case("rank_sums, upload and sorts", size, sort, 8.0 * len(triple[0]), "copy", cpu, 1.0, lambda *_: True)


def _bits_of_first(engine: Engine) -> Callable[[Any, Any], bool]:
    return lambda got, want: bool(np.array_equal(engine.to_host(got[0]), want))


def counts(xp: Any, n: int, genes: int, density: float) -> tuple[Any, Any, Any]:
    """A CSR triple of counts from 1 to 50, made block by block on the device."""
    random = xp.random.default_rng(7)
    columns, lengths = [], []
    step = max(1, (1 << 28) // genes)
    for first in range(0, n, step):
        stored = random.random((min(step, n - first), genes), dtype=np.float32) < density
        stored[:, 0] = True  # no empty row
        columns.append(xp.nonzero(stored)[1].astype(np.int32))
        lengths.append(stored.sum(1))
    indices = xp.concatenate(columns)
    indptr = xp.concatenate([xp.zeros(1, np.int64), xp.cumsum(xp.concatenate(lengths))]).astype(np.int64)
    return random.integers(1, 51, len(indices)).astype(np.float32), indices, indptr


FAMILIES = {
    "pairs": pairs,
    "ranks": ranks,
    "correlations": correlations,
    "energies": energies,
    "sums": sums,
    "rank_sums": rank_sums,
}
