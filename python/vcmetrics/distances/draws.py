"""Bootstrap draws as blocks of counts, so that no table of all cells × all resamples need be held."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from vcmetrics.backend.memory import current_budget
from vcmetrics.metrics.distance.classifiers import generator_of
from vcmetrics.sources.cell_groups import CellGroups

Values = NDArray[np.float64]
Block = tuple[Values, Values]
Draw = Callable[[int, int], Iterator[Block]]

_BYTES = 32  # a cell and resample: counts of 8 bytes, and the copies that products make of them


def counts(drawn: NDArray[np.int64], n: int) -> Values:
    """How often each of n cells was drawn."""
    return np.bincount(drawn, minlength=n).astype(np.float64)


def blocks(count: int, n_cells: int) -> list[slice]:
    """The resamples in blocks whose counts for ``n_cells`` cells fit in the memory budget."""
    step = max(1, min(count, current_budget().part // (_BYTES * max(1, n_cells))))
    return [slice(k, min(k + step, count)) for k in range(0, count, step)]


def own_draws(cells: CellGroups, count: int, seed: int) -> Draw:
    """Every group to its own size, the same draw for all its pairs; it depends on the seed and the label alone.

    The draws of all groups are kept, a byte each, where they fit in a part of the memory budget; else they are made
    again for every pair.
    """
    kept: dict[int, NDArray[np.uint8]] = {}
    keep = int(cells.sizes.sum()) * count <= current_budget().part // 2

    def columns(group: int) -> Iterator[Values]:
        rng, n = generator_of(seed, cells.labels[group]), int(cells.sizes[group])
        for _ in range(count):
            yield counts(rng.integers(0, n, n), n)

    def of_group(group: int, parts: list[slice]) -> Iterator[Values]:
        if not keep:
            drawn = columns(group)
            for part in parts:
                yield np.stack([next(drawn) for _ in range(part.start, part.stop)], axis=1)
            return
        if group not in kept:
            # a cell that is drawn more than 255 times to its group's size has a chance below 1e-500
            kept[group] = np.stack([column.astype(np.uint8) for column in columns(group)], axis=1)
        for part in parts:
            yield kept[group][:, part].astype(np.float64)

    def pair(a: int, b: int) -> Iterator[Block]:
        parts = blocks(count, int(cells.sizes[a] + cells.sizes[b]))
        return zip(of_group(a, parts), of_group(b, parts), strict=True)

    return pair


def pertpy_draws(cells: CellGroups, count: int, seed: int, *, same_size: bool) -> Draw:
    """One generator for every pair; the second group to the size of the first, or (``same_size``) to its own."""

    def pair(a: int, b: int) -> Iterator[Block]:
        rng = np.random.default_rng(seed)
        n, m = int(cells.sizes[a]), int(cells.sizes[b])
        size = m if same_size else n
        for part in blocks(count, n + m):
            wx, wy = np.empty((n, part.stop - part.start)), np.empty((m, part.stop - part.start))
            for k in range(part.stop - part.start):
                wx[:, k] = counts(rng.choice(n, n), n)
                wy[:, k] = counts(rng.choice(m, size), m)
            yield wx, wy

    return pair
