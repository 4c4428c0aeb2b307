"""From what the user has to labelled groups of cells, checked once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError, VcmetricsWarning
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.sources import ChunkedArray, Rows, open_cells
from vcmetrics.sources.annotations import label_texts, number_order
from vcmetrics.sources.arrays import MemoryArray
from vcmetrics.sources.cell_groups import CellGroups, plain_floats, require_finite, require_finite_rows
from vcmetrics.sources.cells import Cells, holds_cells
from vcmetrics.sources.compact import canonical, compact_rows
from vcmetrics.sources.genes import check_unique, some
from vcmetrics.sources.matrix import sparse_matrix

Array = NDArray[Any]
ORDERS = ("categories", "appearance", "sorted")


def open_groups(
    data: Any,
    pert_col: Any,
    *,
    layer: str | None = None,
    obsm: str | None = None,
    genes: Any = None,
    groups: Sequence[str] | None = None,
    order: str = "categories",
    n_threads: int | None = None,
) -> CellGroups:
    """Open cells and number their groups.

    Parameters
    ----------
    data
        AnnData, path of an ``.h5ad`` or ``.zarr``, several of these, or cells × features as a NumPy array or SciPy
        sparse matrix.
    pert_col
        Column of ``obs``, or one label a cell.
    layer, obsm
        Read this layer, or this embedding, in place of ``X``. Not for plain arrays.
    genes
        Use these features only: names, or a mask. Not with ``obsm``.
    groups
        These groups in this order; other cells are not used. None takes all.
    order
        Of the groups where none is given: ``"categories"`` (of the column; numbers ascend, text is sorted),
        ``"appearance"`` in the data, or ``"sorted"``.
    n_threads
        None: all that this process may use.

    Raises
    ------
    DataError
        For an unknown group, column, layer, embedding or gene, labels that do not fit the cells, NaN.
    """
    if layer is not None and obsm is not None:
        msg = f"layer={layer!r} and obsm={obsm!r} exclude each other; pass one"
        raise ValueError(msg)
    threads = resolve_threads(n_threads)
    if holds_cells(data):
        with open_cells(data, layer=layer if obsm is None else None) as cells:
            return _from_cells(cells, pert_col, obsm, genes, groups, order, threads)
    if layer is not None or obsm is not None:
        msg = "layer= and obsm= belong to AnnData; plain cells are taken as they are"
        raise ValueError(msg)
    if isinstance(pert_col, str):
        msg = f"plain cells have no obs: pass pert_col= with one label a cell, not {pert_col!r}"
        raise TypeError(msg)
    values, rows = plain_cells(data, "the cells", threads)
    held = values if values is not None else rows
    assert held is not None
    n_cells, n_features = values.shape if values is not None else (held.n_rows, held.n_cols)  # type: ignore[union-attr]
    labels, given = label_array(pert_col, n_cells, "the cells")
    if genes is not None:
        columns = gene_columns(genes, None, n_features, "the cells")
        values, rows = _columns(values, rows, columns, threads)
    found, codes = number_groups(labels, given, groups, order, "the cells")
    return _checked(CellGroups(found, codes, values, rows, "the cells", threads))


def _from_cells(
    cells: Cells, pert_col: Any, obsm: str | None, genes: Any, groups: Sequence[str] | None, order: str, threads: int
) -> CellGroups:
    if isinstance(pert_col, str):
        labels, given = cells.column(pert_col), cells.group_order(pert_col)
    else:
        labels, given = label_array(pert_col, cells.n_obs, cells.name)
    found, codes = number_groups(
        labels, given, groups, order, cells.name, None if not isinstance(pert_col, str) else pert_col
    )
    values: Array | None = None
    rows: Rows | None = None
    name = cells.name
    if obsm is not None:
        if genes is not None:
            msg = f"genes= selects columns of X or a layer; obsm={obsm!r} has dimensions, not genes"
            raise ValueError(msg)
        name = f"{cells.name}: obsm {obsm!r}"
        values = plain_floats(cells.obsm(obsm, as_stored=True), name)
    else:
        if genes is not None:
            cells = cells.with_gene_order(gene_columns(genes, cells.genes, cells.n_vars, cells.name))
        if cells.layout == "dense":
            values = plain_floats(cells.dense(threads), cells.name)
        else:
            rows = cells.rows(threads)
    return _checked(CellGroups(found, codes, values, rows, name, threads))


def _checked(cells: CellGroups) -> CellGroups:
    if not cells.n_features:
        msg = f"{cells.name}: has no features, so there is no distance between its cells"
        raise DataError(msg)
    if cells.values is not None:
        require_finite(cells.values, cells.codes, cells.name)
    else:
        assert cells.rows is not None
        require_finite_rows(cells.rows, cells.codes, cells.name)
    return cells


def plain_cells(data: Any, name: str, n_threads: int) -> tuple[Array | None, Rows | None]:
    """A NumPy array as floats, or a SciPy sparse matrix as compressed rows; the other one is None."""
    layout = getattr(data, "format", None)
    if layout is not None and hasattr(data, "tocsr"):
        if layout not in ("csr", "csc"):
            data = data.tocsr()
        matrix = sparse_matrix(
            data.format, tuple(data.shape), MemoryArray(data.data), MemoryArray(data.indices), data.indptr
        )
        if data.format == "csr" and data.data.dtype.kind in "fiu" and data.data.dtype.itemsize > 1:
            rows = Rows(
                matrix.n_rows,
                matrix.n_cols,
                np.asarray(data.indptr, np.int64),
                ChunkedArray.of(data.indices[: matrix.nnz]),
                ChunkedArray.of(data.data[: matrix.nnz]),
            )
            from vcmetrics import _core

            facts = _core.scan_rows(rows.args(), n_threads)
            if facts["column_out_of_range"] or facts["indptr_bad"]:
                msg = f"{name}: column numbers lie outside the {matrix.n_cols} features"
                raise DataError(msg)
            return None, canonical(rows, n_threads) if facts["unsorted"] or facts["duplicates"] else rows
        return None, compact_rows(matrix, n_threads)
    if not hasattr(data, "__array__") and not isinstance(data, list | tuple):
        msg = f"expected AnnData, a path, a NumPy array or a SciPy sparse matrix, got {type(data).__name__}"
        raise TypeError(msg)
    return plain_floats(np.asarray(data), name), None


def _columns(
    values: Array | None, rows: Rows | None, columns: NDArray[np.int64], n_threads: int
) -> tuple[Array | None, Rows | None]:
    if values is not None:
        return np.ascontiguousarray(values[:, columns]), None
    assert rows is not None
    new = np.full(rows.n_cols, -1, np.int64)
    new[columns] = np.arange(columns.size)
    return None, canonical(rows, n_threads, new, columns.size)


def gene_columns(genes: Any, names: Array | None, n_features: int, name: str) -> NDArray[np.int64]:
    """Columns of a mask or of names."""
    wanted = np.asarray(genes)
    if wanted.dtype == bool:
        if wanted.shape != (n_features,):
            msg = f"genes= is a mask of {wanted.size} for {n_features} features of {name}"
            raise DataError(msg)
        columns = np.flatnonzero(wanted).astype(np.int64)
    else:
        if names is None:
            msg = "plain cells have no gene names; pass genes= as a mask"
            raise TypeError(msg)
        texts = [str(x) for x in wanted.reshape(-1).tolist()]
        check_unique(np.array(texts, dtype=str), "genes=")
        check_unique(names, name)
        place = {str(x): k for k, x in enumerate(names.tolist())}
        missing = [x for x in texts if x not in place]
        if missing:
            msg = f"{name}: has no gene {some(missing)}; genes= takes names of var, or a mask"
            raise DataError(msg)
        columns = np.array([place[x] for x in texts], np.int64)
    if not columns.size:
        msg = "genes= selects no feature"
        raise DataError(msg)
    return columns


def label_array(labels: Any, n_cells: int, name: str) -> tuple[NDArray[np.object_], list[str] | None]:
    """One label a cell as text, None where missing, with the order of categories or numbers where there is one."""
    categories = getattr(getattr(labels, "cat", labels), "categories", None)
    plain = np.asarray(labels)
    if plain.ndim != 1 or plain.shape[0] != n_cells:
        msg = f"{name}: pert_col= gives {plain.size} labels for {n_cells} cells"
        raise DataError(msg)
    given = number_order(plain[~np.isnan(plain)] if plain.dtype.kind == "f" else plain)
    if categories is not None:
        given = [str(x) for x in label_texts(np.asarray(categories, dtype=object))]
    return label_texts(plain), given


def group_names(names: Any, what: str) -> list[str]:
    """Labels as text, of one label or several; none, and one twice, are refused."""
    found = [str(names)] if np.ndim(names) == 0 else [str(name) for name in names]
    if not found:
        msg = f"{what} is empty; name at least one group"
        raise ValueError(msg)
    twice = [name for name in dict.fromkeys(found) if found.count(name) > 1]
    if twice:
        msg = f"{what} names a group twice: {some(twice)}"
        raise ValueError(msg)
    return found


def number_groups(
    labels: NDArray[np.object_],
    given: Iterable[str] | None,
    groups: Sequence[str] | None,
    order: str,
    name: str,
    column: str | None = None,
) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Labels of the groups in output order, and the group of each cell (-1: not used).

    Cells without a label are left out; a warning counts them.
    """
    if order not in ORDERS:
        msg = f"order {order!r} is not known; choose from {', '.join(ORDERS)}"
        raise ValueError(msg)
    numbers: dict[str | None, int] = {}
    first = np.array([numbers.setdefault(label, len(numbers)) for label in labels.tolist()], np.int64)
    if not numbers:
        msg = f"{name}: has no cells"
        raise DataError(msg)
    present = [label for label in numbers if label is not None]
    where = "pert_col" if column is None else repr(column)
    if None in numbers:
        missing = int(np.count_nonzero(first == numbers[None]))
        if not present:
            msg = f"{name}: no cell has a label in {where}"
            raise DataError(msg)
        import warnings

        msg = f"{name}: {missing} of {labels.size} cells have no label in {where} and are left out"
        warnings.warn(msg, VcmetricsWarning, stacklevel=6)
    if groups is not None:
        chosen = group_names(groups, "groups=")
        unknown = [group for group in chosen if group not in numbers]
        if unknown:
            msg = f"{name}: no cell of {where} is labelled {some(unknown)} (labels: {some(sorted(present))})"
            raise DataError(msg)
    elif order == "appearance":
        chosen = present
    elif order == "categories" and given is not None:
        chosen = [label for label in given if label in numbers]
    else:
        chosen = sorted(present)
    new = np.full(len(numbers) + 1, -1, np.int32)
    for code, label in enumerate(chosen):
        new[numbers[label]] = code
    return tuple(chosen), new[first]


def strata(data: Any, within: str | Sequence[str], cells: CellGroups) -> list[tuple[tuple[str, ...], CellGroups]]:
    """The groups inside each combination of covariates, sorted by its labels; cells without one are left out.

    Parameters
    ----------
    data
        What the cells come from; plain cells take ``within`` as labels, one a cell (or a list of such).
    within
        Column of ``obs``, or several.
    cells
        All groups.

    Returns
    -------
    (labels of the covariates, the groups that have cells there in the order of ``cells``).
    """
    names, columns = covariates(data, within, cells.codes.size)
    keys = [tuple(row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    numbers: dict[tuple[Any, ...], int] = {}
    place = np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
    out = []
    for key in sorted((k for k in numbers if None not in k), key=lambda k: [str(x) for x in k]):
        inside = (place == numbers[key]) & (cells.codes >= 0)
        codes = np.where(inside, cells.codes, np.int32(-1)).astype(np.int32)
        present = np.unique(codes[inside])
        if not present.size:
            continue
        new = np.full(cells.n_groups + 1, -1, np.int32)
        new[present] = np.arange(present.size)
        out.append((key, cells.regrouped([cells.labels[k] for k in present], new[codes])))
    if not out:
        msg = f"{cells.name}: no used cell has labels in {', '.join(map(repr, names))}"
        raise DataError(msg)
    return out


def covariates(data: Any, within: Any, n_cells: int) -> tuple[list[str], list[NDArray[np.object_]]]:
    """Names and labels of the columns that split the cells."""
    if holds_cells(data):
        names = [within] if isinstance(within, str) else [str(x) for x in within]
        with open_cells(data) as cells:
            return names, [cells.column(name) for name in names]
    arrays = [within] if np.ndim(within) == 1 else list(within)
    columns = [label_array(array, n_cells, "within=")[0] for array in arrays]
    return [f"within_{k}" for k in range(len(columns))], columns
