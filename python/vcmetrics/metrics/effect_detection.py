"""Do predictions tell the perturbations that do something from those that do nothing?"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.cells import CellSide, cells_of
from vcmetrics.metrics.distance.numbers import whole
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import MetricSpec, Parity, Values, register
from vcmetrics.metrics.roc import average_precision, roc_area
from vcmetrics.reference import effect_detection as reference
from vcmetrics.sources.cell_groups import densified
from vcmetrics.sources.rows import Rows

N_DRAWS = 1000
CAP = 100  # cells that one perturbation lends to the pool
LEVEL = 0.05
_BLOCK = 64  # draws whose means are held together


def pool_of(side: CellSide, labels: tuple[str, ...], cap: int, seed: int) -> NDArray[np.int64]:
    """Cells that the null means are drawn from, by label: at most ``cap`` of each perturbation and of the control."""
    rng = np.random.default_rng(seed)
    parts = []
    for label in sorted((*labels, side.groups.control)):
        rows = side.cells_of(label)
        parts.append(np.sort(rng.choice(rows, cap, replace=False)) if rows.size > cap else rows)
    return np.concatenate(parts)


def active(pair: Pair, n_draws: int, cap: int, seed: int) -> NDArray[np.bool_]:
    """Whether each perturbation's observed effect is longer than 95 % of the means of as many random cells.

    Both are taken against the mean control cell.
    """
    whole(1, n_draws=n_draws, cap=cap)
    whole(0, seed=seed)

    def make() -> NDArray[np.bool_]:
        cells = cells_of(pair)
        side = cells.real
        rows = side.expression(cells.threads)

        def mean(chosen: NDArray[np.int64]) -> Values:
            total = np.zeros(rows.n_cols)
            for start in range(0, chosen.size, _BLOCK):
                total += densified(rows.take(chosen[start : start + _BLOCK])).sum(0, dtype=np.float64)
            return total / chosen.size

        control = mean(side.cells_of(side.groups.control))
        members = [side.cells_of(label) for label in pair.perturbations]
        lengths = np.array([np.sqrt(((mean(chosen) - control) ** 2).sum()) for chosen in members])
        pool = pool_of(side, pair.perturbations, cap, seed)
        sizes = sorted({chosen.size for chosen in members})
        null = null_lengths(rows.take(pool), control, sizes, n_draws, seed)
        out = [np.mean(length <= null[m.size]) < LEVEL for length, m in zip(lengths, members, strict=True)]
        return np.array(out, np.bool_)

    return pair.shared(("active", n_draws, cap, seed), make)


def null_lengths(pool: Rows, control: Values, sizes: list[int], n_draws: int, seed: int) -> dict[int, Values]:
    """Lengths of (mean of n random cells of the pool - control), ``n_draws`` for each n of ``sizes`` (ascending).

    One random order of cells serves all n: its first n are averaged, so the work is that of the largest n.
    """
    from scipy import sparse

    stored = np.asarray(pool.data.read(0, pool.nnz), np.float64), np.asarray(pool.indices.read(0, pool.nnz))
    table = sparse.csr_array((*stored, pool.indptr), shape=(pool.n_rows, pool.n_cols))
    rng = np.random.default_rng([seed, 1])
    cuts = [min(n, pool.n_rows) for n in sizes]
    out = {n: np.empty(n_draws) for n in sizes}
    for start in range(0, n_draws, _BLOCK):
        stop = min(start + _BLOCK, n_draws)
        drawn = np.stack([rng.choice(pool.n_rows, cuts[-1], replace=False) for _ in range(start, stop)])
        total, before = np.zeros((stop - start, pool.n_cols)), 0
        for n, cut in zip(sizes, cuts, strict=True):
            if cut > before:
                added = drawn[:, before:cut]
                edges = np.arange(0, added.size + 1, cut - before)
                ones = sparse.csr_array((np.ones(added.size), added.ravel(), edges), shape=(len(added), pool.n_rows))
                total += (ones @ table).toarray()
                before = cut
            out[n][start:stop] = np.sqrt(((total / cut - control) ** 2).sum(1))
    return out


_TEXT = """{what} of the perturbations that have an effect, by the length of the predicted effect.

    An observed effect counts where its length exceeds 95 % of those of the means of as many random cells, drawn from
    all perturbations and the control.

    Parameters
    ----------
    pair
        Profiles of both sides with their controls, and the observed cells; counts are normalised and logged.
    n_draws, cap, seed
        Null means for each number of cells; cells that one perturbation lends to the pool; seed of the draws.

    Returns
    -------
    (n_perturbations,), the same value in each, in [0, 1]; 1 is best{chance}; NaN where all perturbations have an
    effect, or none.

    Notes
    -----
    Cost n_draws · (largest number of cells) · (stored genes of a cell).

    Examples
    --------
    Effects (yes, no, yes), predicted lengths (3, 2, 1): {example}.
    """


def detection_row(name: str, area: Callable[..., float], what: str, chance: str, example: str) -> Callable[..., Values]:
    """The formula of one area."""

    def formula(pair: Pair, *, n_draws: int = N_DRAWS, cap: int = CAP, seed: int = 0) -> Values:
        pred, _ = pair.profiles()
        lengths = np.sqrt((pred.effect**2).sum(1))
        return np.full(pair.n, area(active(pair, n_draws, cap, seed), lengths))

    formula.__name__ = formula.__qualname__ = name
    formula.__doc__ = _TEXT.format(what=what, chance=chance, example=example)
    return formula


for _name, _area, _what, _chance, _tail, _example in (
    ("effect_detection_auroc", roc_area, "Area under the ROC curve", 0.5, ", 0.5 is chance", "1/2"),
    ("effect_detection_average_precision", average_precision, "Average precision", None, "", "5/6"),
):
    register(
        MetricSpec(
            name=_name,
            family="effect_detection",
            needs=frozenset({"profiles", "cells"}),
            better="higher",
            best=1.0,
            chance=_chance,
            bounds=(0.0, 1.0),
            definition=f"{_what} of |d̂_p| for |d_p| above 95 % of the lengths of means of n_p random cells",
            formula=detection_row(_name, _area, _what, _tail, _example),
            reference=getattr(reference, _name),
            defaults=MappingProxyType({"n_draws": N_DRAWS, "cap": CAP, "seed": 0}),
            invariants=("gene_order", "perturbation_order", "prediction_scale"),
            panel="whole",
            parity=Parity(rtol=1e-12, atol=1e-12),
            source="PRESAGE (4dc6d59), effect prediction; null means about the control, seed fixed",
            pitfalls=(
                "The length of an effect says nothing of its direction: an opposite prediction scores as well.",
                "Perturbations with more cells pass the test at smaller effects.",
                "Random cells at the test's border: another seed may move a perturbation over it.",
            ),
        )
    )
