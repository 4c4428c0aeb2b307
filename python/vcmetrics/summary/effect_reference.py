"""What an effect is taken against: control, batch-matched control, or one of the perturbed means of the literature.

Each name below gives other numbers; none of them is a default of the field. ``rows`` are observed profiles, one a
perturbation (or one a sample and perturbation), the control left out.

==========================  ===========================================================================
``none``                    nothing is subtracted
``control``                 the observed control profile
``batch_control``           the controls of each row's batches, weighted by the row's cells in them
``perturbed_mean``          unweighted mean of the rows (a mean over samples where the rows are samples)
``perturbed_mean_cells``    the same, weighted by cells: the mean perturbed cell
``condition_mean``          unweighted mean of the rows and of the control, which counts as one row
``guide_count_mean``        cell-weighted mean of the rows whose labels join as many guides
==========================  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError

Array = NDArray[np.float64]

REFERENCES = (
    "control",
    "batch_control",
    "perturbed_mean",
    "perturbed_mean_cells",
    "condition_mean",
    "guide_count_mean",
    "none",
)


def effect_reference(
    kind: str,
    rows: NDArray[Any],
    control: NDArray[Any] | None = None,
    *,
    n_cells: NDArray[Any] | None = None,
    labels: Sequence[str] | None = None,
    train: NDArray[np.bool_] | None = None,
    leave_one_out: bool = True,
    batch_control: NDArray[Any] | None = None,
    batch_cells: NDArray[Any] | None = None,
    separator: str = "+",
) -> Array:
    """The profile that effects are taken against.

    Parameters
    ----------
    kind
        A name of the table above.
    rows
        Observed profiles, (n_rows, n_genes), control left out.
    control
        Observed control profile, (n_genes,); for ``control`` and ``condition_mean``.
    n_cells
        Cells of every row, (n_rows,); for the means weighted by cells.
    labels
        Perturbation of every row, (n_rows,): rows of one label are left out together. None: each row its own.
    train
        Rows that a mean may use, (n_rows,); None: all.
    leave_one_out
        Leave a row (and the others of its label) out of the mean that it is compared with, so that the truth of a
        perturbation is not in its own reference. Rows outside ``train`` are in no mean anyway.
    batch_control, batch_cells
        Control profile of every batch, (n_batches, n_genes), and each row's cells in it, (n_rows, n_batches).
    separator
        What joins the guides of one label.

    Returns
    -------
    (n_genes,) where one profile serves all rows, else (n_rows, n_genes); float64, unit of the profiles. A row for which
    no other is left has NaN.

    Raises
    ------
    DataError
        If ``train`` chooses no row, or a batch holds cells of a row and no control.
    ValueError
        If the name is not known or an argument that it needs is missing.

    Notes
    -----
    Cost O(n_rows · n_genes). Sums are float64, rows in their order.

    A mean without the row itself is meant for one row's effect over genes. Where effects of different rows are
    compared with each other (a gene over perturbations, or retrieval), it must not differ between rows: what is left
    out of row i's reference is row i's truth, so even a constant prediction less these references follows the truth.

    References
    ----------
    ``perturbed_mean``: Systema's reference; over (donor, condition) rows, that of the Shift study.
    ``perturbed_mean_cells``: Systema's non-control mean, and the first obesity challenge. ``condition_mean``: Diversity
    by Design (all conditions, control included, nothing left out). ``guide_count_mean``: the second obesity challenge.
    ``batch_control``: TxPert.

    Examples
    --------
    >>> rows = np.array([[1.0, 0.0], [3.0, 2.0], [5.0, 4.0]])
    >>> effect_reference("perturbed_mean", rows).tolist()
    [[4.0, 3.0], [3.0, 2.0], [2.0, 1.0]]
    >>> effect_reference("perturbed_mean", rows, leave_one_out=False).tolist()
    [3.0, 2.0]
    """
    rows = np.asarray(rows)
    n_rows, n_genes = rows.shape
    if kind == "none":
        return np.zeros(n_genes)
    if kind == "control":
        return np.asarray(needed(control, "control", kind), np.float64)
    if kind == "batch_control":
        return matched_control(needed(batch_control, "batch_control", kind), needed(batch_cells, "batch_cells", kind))
    if kind not in REFERENCES:
        msg = f"reference {kind!r} is not known; choose from {', '.join(REFERENCES)}"
        raise ValueError(msg)
    used = np.ones(n_rows, bool) if train is None else np.asarray(train, bool)
    if used.shape != (n_rows,) or not used.any():
        msg = f"train chooses {int(used.sum())} of {n_rows} rows ({used.size} entries); a mean needs at least one"
        raise DataError(msg)
    weights = used.astype(np.float64)
    if kind in ("perturbed_mean_cells", "guide_count_mean"):
        weights *= np.asarray(needed(n_cells, "n_cells", kind), np.float64)
    names = [str(k) for k in range(n_rows)] if labels is None else list(map(str, labels))
    if kind != "guide_count_mean":
        extra = None
        if kind == "condition_mean":
            extra = np.asarray(needed(control, "control", kind), np.float64)
        return weighted_means(rows, weights, names, leave_one_out, extra)
    needed(labels, "labels", kind)
    counts = np.array([name.count(separator) + 1 for name in names])
    out = np.empty((n_rows, n_genes))
    for count in np.unique(counts):
        same = counts == count
        chosen = [name for name, inside in zip(names, same.tolist(), strict=True) if inside]
        out[same] = weighted_means(rows[same], weights[same], chosen, leave_one_out, None)
    return out


def needed(value: Any, name: str, kind: str) -> Any:
    """``value``, or an error that says which argument the reference asks for."""
    if value is None:
        msg = f"reference {kind!r} needs {name}; pass {name}=..."
        raise ValueError(msg)
    return value


def weighted_means(
    rows: NDArray[Any], weights: Array, labels: Sequence[str], leave_one_out: bool, extra: Array | None
) -> Array:
    """Weighted mean of the rows (and ``extra`` with weight 1): one, or for each row without those of its label."""
    total = np.einsum("i,ij->j", weights, rows, dtype=np.float64)  # rows in their order: no BLAS
    weight = weights.sum()
    if extra is not None:
        total, weight = total + extra, weight + 1.0
    if not leave_one_out:
        return np.asarray(quotient(total[None], np.array([weight]))[0])
    if not np.any(weights):
        return np.broadcast_to(quotient(total[None], np.array([weight])), rows.shape).copy()
    names, group = np.unique(np.asarray(labels, str), return_inverse=True)
    own = np.zeros((names.size, rows.shape[1])) if names.size < len(labels) else None
    own_weight = np.bincount(group, weights, names.size)
    if own is None:
        out = total - weights[:, None] * rows
    else:
        for row, g in enumerate(group.tolist()):
            own[g] += weights[row] * rows[row]
        out = total - own[group]
    # a mean in which a row has no part is the same for all such rows, to the last bit
    apart = own_weight[group] == 0
    out[apart] = total
    left = weight - own_weight[group]
    # what is left after everything was taken away is rounding
    left[left <= 1e-9 * weight] = 0.0
    return quotient(out, left)


def quotient(sums: Array, weight: Array) -> Array:
    """Sums by weights, NaN where nothing is left."""
    out = np.full(sums.shape, np.nan)
    np.divide(sums, weight[:, None], out=out, where=weight[:, None] > 0)
    return out


def matched_control(batch_control: NDArray[Any], batch_cells: NDArray[Any]) -> Array:
    """Control of every row's batches, weighted by the row's cells."""
    cells = np.asarray(batch_cells, np.float64)
    controls = np.asarray(batch_control, np.float64)
    absent = np.isnan(controls).any(1) & (cells > 0).any(0)
    if absent.any():
        msg = (
            f"{int(absent.sum())} of {absent.size} batches hold perturbed cells and no control cell, so effects cannot "
            "be matched by batch; use reference='control' or leave those batches out"
        )
        raise DataError(msg)
    shares = cells / cells.sum(1, keepdims=True)
    return np.asarray(np.einsum("ib,bj->ij", shares, np.where(np.isnan(controls), 0.0, controls)))
