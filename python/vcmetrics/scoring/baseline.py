"""Predictions that know nothing of a perturbation: the mean response, emitted as cells."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.results.staging import staged_file
from vcmetrics.sources.rows import ChunkedArray, Rows
from vcmetrics.summary.single_precision import blocks

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True)
class BaselinePrediction:
    """Cells of a baseline, ready to be scored like any prediction.

    ``rows`` is float32, ``labels`` one label a cell, ``notes`` what a report should say about the emission.
    """

    rows: Rows
    labels: NDArray[np.object_]
    genes: NDArray[Any]
    notes: Mapping[str, Any] = field(default_factory=dict)

    def to_anndata(self, pert_col: str) -> AnnData:
        """The cells as AnnData with one ``obs`` column, CSR float32."""
        import pandas as pd
        from anndata import AnnData
        from scipy.sparse import csr_matrix

        rows = self.rows
        parts = (rows.data.read(0, rows.nnz), rows.indices.read(0, rows.nnz).astype(np.int32), rows.indptr)
        obs = pd.DataFrame({pert_col: pd.Categorical(list(self.labels))}, index=[f"c{i}" for i in range(rows.n_rows)])
        var = pd.DataFrame(index=pd.Index(self.genes, dtype=object))
        return AnnData(csr_matrix(parts, shape=(rows.n_rows, rows.n_cols)), obs=obs, var=var)

    def write(self, path: str | os.PathLike[str], pert_col: str) -> None:
        """Write an uncompressed ``.h5ad``, whole or not at all."""
        with staged_file(path) as stage:
            self.to_anndata(pert_col).write_h5ad(stage)


def mean_response(means: NDArray[np.float64], own: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Mean over perturbations of their group means, each leaving out its own target gene.

    Parameters
    ----------
    means
        (n_perturbations, n_genes) group means of the perturbations, the control left out.
    own
        (n_perturbations,) column of the own gene, -1 where there is none.

    Returns
    -------
    (n_genes,); the divisor of a gene is the number of perturbations that do not target it.

    Raises
    ------
    DataError
        If there is no perturbation, or all of them target one gene.

    Examples
    --------
    >>> mean_response(np.array([[1.0, 4.0], [3.0, 8.0]]), np.array([0, -1])).tolist()
    [3.0, 6.0]
    """
    if means.shape[0] == 0:
        msg = "there is no perturbation besides the control, so there is no mean response"
        raise DataError(msg)
    total = means.sum(axis=0)
    count = np.full(means.shape[1], float(means.shape[0]))
    for row, column in enumerate(own):
        if column >= 0:
            total[column] -= means[row, column]
            count[column] -= 1.0
    if (count <= 0.0).any():
        column = int(np.flatnonzero(count <= 0.0)[0])
        msg = (
            f"every one of the {means.shape[0]} perturbations targets gene number {column}, so it has no mean "
            "response; pass exclude_target=False"
        )
        raise DataError(msg)
    return np.asarray(total / count)


def generic_baseline(
    rows: Rows,
    labels: Sequence[str],
    codes: NDArray[np.integer[Any]],
    control: str,
    genes: NDArray[Any],
    own: NDArray[np.integer[Any]],
    *,
    emit: str = "dispersed",
    seed: int = 0,
    exclude_target: bool = True,
    means: NDArray[np.float64] | None = None,
) -> BaselinePrediction:
    """cell-eval2's generic mean-response baseline.

    Parameters
    ----------
    rows
        Counts of the reference, n_obs × n_genes.
    labels, codes, control
        Groups in sorted order with the control among them; (n_obs,) group of each cell, -1 for cells left out of the
        prediction; which label is the control.
    genes
        (n_genes,) names.
    own
        (n_groups,) column of each label's own gene, -1 where there is none; the control's is ignored.
    emit
        ``dispersed``: every cell is a randomly drawn control cell, scaled gene by gene so that the control mean becomes
        the mean response; it keeps the spread of real cells. ``tile``: the mean response itself in every cell (kept for
        old numbers; its sampling variance is none).
    seed
        Of the draws.
    exclude_target
        Leave every perturbation's own gene out of its contribution.
    means
        (n_groups, n_genes) group means of the counts, where they are known already.

    Returns
    -------
    BaselinePrediction
        Cells in the reference's order; control cells are copied. Values are fractional.

    Raises
    ------
    DataError
        If there is no control cell, or the mean response is undefined.

    Notes
    -----
    Cost: one read of the reference where ``means`` is not given. Memory: twice the control cells; the emitted cells are
    views of those.

    References
    ----------
    cell-eval2 0.20.0, ``baseline`` command.
    """
    if emit not in ("dispersed", "tile"):
        msg = f"emit {emit!r} is not known; pass 'dispersed' or 'tile'"
        raise ValueError(msg)
    control_code = list(labels).index(control) if control in labels else -1
    cells = np.flatnonzero(codes == control_code)
    if control_code < 0 or cells.size == 0:
        msg = f"the reference holds no cell labelled {control!r}, which the baseline is made of; pass control="
        raise DataError(msg)
    if means is None:
        means = group_means(rows, codes, len(labels))
    others = [k for k in range(len(labels)) if k != control_code]
    profile = mean_response(means[others], np.asarray(own)[others] if exclude_target else np.full(len(others), -1))
    pool = rows.take(cells)
    copied = _float32(pool)
    notes: dict[str, Any] = {"emit": emit}
    # each emitted cell is one row of a small pool: first the sources of perturbed cells, then the control cells
    source = np.full(codes.shape[0], -1, np.int64)
    if emit == "tile":
        filled = np.flatnonzero(profile.astype(np.float32))
        first = _rows(np.array([0, filled.size]), filled, profile[filled].astype(np.float32), rows.n_cols)
        source[codes >= 0] = 0
    else:
        scale, notes = _emission_scale(profile, means[control_code], genes)
        notes |= {"emit": emit, "seed": seed}
        first = _scaled(pool, scale)
        rng = np.random.default_rng(seed)
        for k in others:
            mine = np.flatnonzero(codes == k)
            source[mine] = rng.integers(0, cells.size, size=mine.size)
    source[cells] = first.n_rows + np.arange(cells.size)
    kept = np.flatnonzero(source >= 0)
    emitted = _stack(first, copied).take(source[kept])
    names = np.asarray(labels, object)[np.asarray(codes)[kept]]
    return BaselinePrediction(emitted, names, genes, notes)


def cell_eval_baseline(
    rows: Rows,
    labels: Sequence[str],
    codes: NDArray[np.integer[Any]],
    control: str,
    genes: NDArray[Any],
    *,
    n_cells: Mapping[str, int] | None = None,
    as_delta: bool = False,
) -> BaselinePrediction:
    """cell-eval's mean baseline: the mean of all group means, the control's included, in every cell.

    Parameters
    ----------
    rows
        Log-normalised values of the reference, n_obs × n_genes; counts are log-normalised first
        (:mod:`vcmetrics.summary.single_precision`).
    labels, codes, control, genes
        As in :func:`generic_baseline`.
    n_cells
        Number of cells to emit by label; None: as many as the reference has.
    as_delta
        Emit the mean *difference* from the control as if it were expression: a known mistake of the source, kept
        because its published files hold it.

    Returns
    -------
    BaselinePrediction
        Perturbed cells by sorted label, then the reference's control cells.
    """
    control_code = list(labels).index(control) if control in labels else -1
    cells = np.flatnonzero(codes == control_code)
    if control_code < 0 or cells.size == 0:
        msg = f"the reference holds no cell labelled {control!r}, which the baseline copies; pass control="
        raise DataError(msg)
    means = group_means(rows, codes, len(labels))
    others = [k for k in range(len(labels)) if k != control_code]
    profile = (means[others] - means[control_code]).mean(axis=0) if as_delta else means.mean(axis=0)
    value = profile.astype(np.float32)
    sizes = np.bincount(codes[codes >= 0], minlength=len(labels))
    wanted = {labels[k]: int(sizes[k]) for k in others} if n_cells is None else dict(n_cells)
    wanted.pop(control, None)
    filled = np.flatnonzero(value)
    first = _rows(np.array([0, filled.size]), filled, value[filled], rows.n_cols)
    pool = _stack(first, _float32(rows.take(cells)))
    names = [label for label in sorted(wanted) for _ in range(wanted[label])]
    source = np.concatenate([np.zeros(len(names), np.int64), 1 + np.arange(cells.size)])
    return BaselinePrediction(
        pool.take(source), np.array(names + [control] * cells.size, object), genes, {"emit": "mean"}
    )


def group_means(rows: Rows, codes: NDArray[np.integer[Any]], n_groups: int) -> NDArray[np.float64]:
    """(n_groups, n_genes) plain means over cells, summed in float64; 0 for empty groups."""
    sums = np.zeros(n_groups * rows.n_cols)
    for first, last in blocks(rows.indptr):
        start, stop = int(rows.indptr[first]), int(rows.indptr[last])
        group = np.repeat(codes[first:last].astype(np.int64), np.diff(rows.indptr[first : last + 1]))
        used = group >= 0
        place = group[used] * rows.n_cols + rows.indices.read(start, stop)[used].astype(np.int64)
        sums += np.bincount(place, rows.data.read(start, stop)[used].astype(np.float64), sums.size)
    sizes = np.bincount(codes[codes >= 0], minlength=n_groups)
    return sums.reshape(n_groups, rows.n_cols) / np.maximum(sizes, 1)[:, None]


def _emission_scale(
    profile: NDArray[np.float64], control: NDArray[np.float64], genes: NDArray[Any]
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Factor per gene that takes the control mean to the profile; 0 where the control is silent."""
    silent = control <= 0.0
    scale = np.where(silent, 0.0, profile / np.where(silent, 1.0, control))
    mass = float(np.abs(profile).sum())
    return scale, {
        "genes_silent_in_control": [str(g) for g in np.asarray(genes)[silent]],
        "unreachable_share": float(np.abs(profile[silent]).sum()) / mass if mass else 0.0,
        "largest_factor": float(scale.max()) if scale.size else 0.0,
    }


def _scaled(pool: Rows, scale: NDArray[np.float64]) -> Rows:
    """Rows times a factor per column, float64 products rounded to float32, zeros dropped."""
    indices = pool.indices.read(0, pool.nnz)
    data = (pool.data.read(0, pool.nnz).astype(np.float64) * scale[indices.astype(np.int64)]).astype(np.float32)
    kept = data != 0
    before = np.concatenate([[0], np.cumsum(kept)])
    return _rows(before[pool.indptr], indices[kept], data[kept], pool.n_cols)


def _float32(rows: Rows) -> Rows:
    data = rows.data.read(0, rows.nnz).astype(np.float32)
    return Rows(rows.n_rows, rows.n_cols, rows.indptr, rows.indices, ChunkedArray.of(data))


def _stack(first: Rows, second: Rows) -> Rows:
    indices, data = (
        np.concatenate([a.read(0, len(a)), b.read(0, len(b)).astype(a.dtype)])
        for a, b in ((first.indices, second.indices), (first.data, second.data))
    )
    return _rows(np.concatenate([first.indptr, first.nnz + second.indptr[1:]]), indices, data, first.n_cols)


def _rows(indptr: NDArray[Any], indices: NDArray[Any], data: NDArray[Any], n_cols: int) -> Rows:
    pointers = np.ascontiguousarray(indptr, np.int64)
    kind = np.uint16 if n_cols <= 1 << 16 else np.int32
    return Rows(pointers.size - 1, n_cols, pointers, ChunkedArray.of(indices.astype(kind)), ChunkedArray.of(data))
