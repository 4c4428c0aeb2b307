"""Alignment of two gene lists by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError


def some(names: Sequence[Any] | NDArray[Any], limit: int = 5) -> str:
    """Spell the first few of a list: ``'A', 'B', … (7 in all)``."""
    text = ", ".join(repr(str(name)) for name in names[:limit])
    return text if len(names) <= limit else f"{text}, … ({len(names)} in all)"


def check_unique(genes: NDArray[Any], name: str) -> None:
    """Refuse a gene list in which a name occurs twice.

    Raises
    ------
    DataError
        Names the first few that do.
    """
    unique, counts = np.unique(np.asarray(genes, dtype=str), return_counts=True)
    if unique.size != len(genes):
        msg = f"{name}: gene names occur more than once: {some(unique[counts > 1])}; make them unique"
        raise DataError(msg)


def align_genes(
    pred: NDArray[Any],
    real: NDArray[Any],
    *,
    pred_name: str = "pred",
    real_name: str = "real",
    same_order: bool = False,
    subset: bool = False,
) -> NDArray[np.int64] | None:
    """Find the columns of ``pred`` that hold the genes of ``real``.

    Parameters
    ----------
    pred, real
        Gene names.
    pred_name, real_name
        What messages call the two sides.
    same_order
        Demand the same genes in the same order.
    subset
        Let ``pred`` have genes beyond those of ``real``; they are left out.

    Returns
    -------
    For each gene of ``real`` its column in ``pred``, int64 of length ``len(real)``; None if both lists are the same.

    Raises
    ------
    DataError
        If a name occurs twice, if genes are missing on either side (the first few are named), or if the order
        differs and must not.
    """
    ours, theirs = np.asarray(pred, dtype=str), np.asarray(real, dtype=str)
    check_unique(theirs, real_name)
    if ours.shape == theirs.shape and bool(np.all(ours == theirs)):
        return None
    check_unique(ours, pred_name)
    column = {gene: i for i, gene in enumerate(ours.tolist())}
    order = np.array([column.get(gene, -1) for gene in theirs.tolist()], np.int64)
    absent = theirs[order < 0]
    extra = ours[~np.isin(ours, theirs)]
    if absent.size or (extra.size and not subset):
        parts = []
        if absent.size:
            parts.append(f"{absent.size} of {theirs.size} genes of {real_name} are not in {pred_name}: {some(absent)}")
        if extra.size and not subset:
            parts.append(f"{extra.size} of {ours.size} genes of {pred_name} are not in {real_name}: {some(extra)}")
        msg = f"the genes differ: {'; '.join(parts)}; give both sides the same genes"
        raise DataError(msg)
    if same_order:
        k = int(np.argmax(ours[: theirs.size] != theirs))
        msg = (
            f"the genes are the same but their order differs (number {k + 1} is {str(ours[k])!r} in {pred_name}, "
            f"{str(theirs[k])!r} in {real_name}), and this preset demands the same order; reorder {pred_name}: "
            "pred = pred[:, real.var_names]"
        )
        raise DataError(msg)
    return order
