"""The place of the own candidate among all, from counts: no order of equals enters unless a rule asks for one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Table = NDArray[np.float64]

# rule -> other spellings
TIES: dict[str, tuple[str, ...]] = {
    "mid": ("midrank",),
    "first": ("position",),
    "last": (),
    "optimistic": (),
    "pessimistic": (),
}
_NAMES = {alias: name for name, aliases in TIES.items() for alias in (name, *aliases)}
_BLOCK = 1 << 21  # distances looked at together


def tie_rule(ties: str) -> str:
    """The canonical name of a tie rule.

    Raises
    ------
    ValueError
        If there is no such rule.
    """
    if ties not in _NAMES:
        msg = f"ties {ties!r} is not one of midrank, position, {', '.join(TIES)}"
        raise ValueError(msg)
    return _NAMES[ties]


class Standing(NamedTuple):
    """How the own candidate of each row stands among the others, (n,) each.

    ``margin`` is the distance of the nearest wrong candidate less the own one: positive where the own is nearest, NaN
    where either is undefined or there is no other. ``nearest`` is that candidate's column, -1 where none is defined.
    """

    rank: Table
    nearest: NDArray[np.int64]
    margin: Table
    own: Table


def standing(
    distance: Table,
    own: NDArray[np.int64],
    ties: str,
    mine: Table | None = None,
    counted: NDArray[np.bool_] | None = None,
) -> Standing:
    """Standing of column ``own[i]`` in row i of ``distance``.

    Parameters
    ----------
    distance
        (n, n_candidates); smaller is nearer.
    own
        (n,) column of each row's own candidate.
    ties
        A canonical tie rule.
    mine
        (n, n_candidates): what each candidate is compared with, where it is not the row's own distance (duels).
    counted
        (n_candidates,): which others count at all; None: all.

    Returns
    -------
    Ranks from 0. NaN is farther than every number and equal to NaN.
    """
    n, width = distance.shape
    rows = np.arange(n)
    self_distance = distance[rows, own]
    against = self_distance[:, None] if mine is None else mine
    unknown = np.isnan(distance)
    lost = np.isnan(against)
    if unknown.any() or lost.any():
        less = np.where(lost, ~unknown, distance < against)
        equal = np.where(lost, unknown, distance == against)
    else:
        less, equal = distance < against, distance == against
    less[rows, own] = equal[rows, own] = False
    if counted is not None:
        less &= counted
        equal &= counted
    rank = less.sum(axis=1).astype(np.float64)
    if ties == "mid":
        rank += equal.sum(axis=1) / 2
    elif ties == "pessimistic":
        rank += equal.sum(axis=1)
    elif ties in ("first", "last"):
        column = np.arange(width)[None, :]
        before = column < own[:, None] if ties == "first" else column > own[:, None]
        rank += (equal & before).sum(axis=1)
    # the nearest wrong candidate: smallest lead of the own one
    lead = distance - against
    lead[rows, own] = np.nan
    lead[np.isnan(lead)] = np.inf
    if counted is not None:
        lead[:, ~counted] = np.inf
    nearest = lead.argmin(axis=1) if width else np.zeros(n, np.int64)
    margin = lead[rows, nearest] if width else np.full(n, np.inf)
    none = np.isinf(margin)
    return Standing(
        rank,
        np.where(none, -1, nearest).astype(np.int64),
        np.where(none, np.nan, margin),
        self_distance if mine is None else mine[rows, own],
    )


def match_rank(d: Any, *, own: Any = None, ties: str = "mid", device: str = "auto") -> Table:
    """Rank, from 0, of the own column in every row of a distance table.

    Parameters
    ----------
    d
        (n, n_candidates) distances, n_candidates >= n; smaller is nearer. Negate similarities. CuPy arrays and DLPack
        tensors on a GPU are counted where they lie.
    own
        (n,) column of each row's own candidate; None: column i for row i.
    ties
        Where equals stand: ``"mid"`` (half before, half behind: ``#smaller + (#equal - 1)/2``), ``"first"`` or
        ``"position"`` (before it only those in earlier columns, as a stable sort has it), ``"last"``, ``"optimistic"``
        (none before it), ``"pessimistic"`` (all).
    device
        ``"auto"`` follows the data; ``"cuda"`` counts on the GPU, ``"cpu"`` on the host.

    Returns
    -------
    (n,) float64 ranks in [0, n_candidates - 1]; 0 is best, the mean of random ranks is (n_candidates - 1)/2. A CuPy
    array where the distances lie on a GPU.

    Raises
    ------
    ValueError
        If the shapes do not fit, a column lies outside, or the rule is unknown.
    DeviceError
        If a GPU is needed and cannot be used; the message says why.

    Notes
    -----
    NaN is farther than every number and equal to NaN: a row whose own distance is undefined ranks behind all defined
    ones. Cost O(n · n_candidates), without a sort; the table is read in blocks of rows.

    Examples
    --------
    >>> match_rank([[0.2, 0.1], [0.3, 0.3]])
    array([1. , 0.5])
    >>> 1 - match_rank([[0.2, 0.1], [0.3, 0.3]]) / (2 - 1)
    array([0. , 0.5])
    """
    from vcmetrics.backend.gpu import engine_for
    from vcmetrics.backend.host import host_array

    rule = tie_rule(ties)
    with engine_for({"d": d}, device, what="match_rank") as (engine, from_host):
        if engine is not None:
            from vcmetrics.retrieval.on_device import match_rank_on

            ranks: Table = match_rank_on(engine, d, own, rule, from_host=from_host)
            return ranks
    table = host_array(d, "d", what="match_rank")
    columns = own_columns(table, own)
    n, width = table.shape
    out = np.empty(n)
    step = max(1, _BLOCK // max(width, 1))
    for first in range(0, n, step):
        rows = slice(first, first + step)
        out[rows] = ranks_of(np.asarray(table[rows], np.float64), columns[rows], rule)
    return out


def own_columns(table: Any, own: Any) -> NDArray[np.int64]:
    """Column of each row's own candidate, checked.

    Raises
    ------
    ValueError
        If ``table`` is no table of real numbers, or a column lies outside.
    """
    if table.ndim != 2 or table.dtype.kind not in "biuf":
        msg = f"d has {table.ndim} dimensions and holds {table.dtype}; match_rank takes a table of real numbers"
        raise ValueError(msg)
    n, width = table.shape
    columns = np.arange(n) if own is None else np.asarray(own)
    if columns.shape != (n,) or (n and (columns.dtype.kind not in "iu" or columns.min() < 0 or columns.max() >= width)):
        msg = f"own must name one of {width} columns for each of {n} rows" + (
            "" if own is not None else f"; d is {n} × {width}: pass own="
        )
        raise ValueError(msg)
    return columns.astype(np.int64, copy=False)


def ranks_of(distance: Table, own: NDArray[np.int64], rule: str) -> Table:
    """Ranks alone of :func:`standing`."""
    with np.errstate(invalid="ignore"):
        return standing(distance, own, rule).rank
