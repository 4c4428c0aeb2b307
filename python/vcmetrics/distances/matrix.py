"""Distances between all groups, or to references: :func:`distance_matrix`, :func:`distances_to`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.backend.memory import budgeted
from vcmetrics.distances.conventions import Choice, choose
from vcmetrics.distances.inputs import covariates, group_names, open_groups, strata
from vcmetrics.distances.on_device import engine_of
from vcmetrics.sources.cell_groups import CellGroups
from vcmetrics.sources.genes import some

if TYPE_CHECKING:
    import pandas as pd

Values = NDArray[np.float64]
MIRRORS = ("upper", "lower", "mean")


@budgeted
def distance_matrix(
    adata: Any,
    *,
    pert_col: Any,
    metric: str = "edistance",
    layer: str | None = None,
    obsm: str | None = None,
    genes: Any = None,
    groups: Sequence[str] | None = None,
    within: Any = None,
    convention: str | None = None,
    mirror: str | None = None,
    diagonal: str | None = None,
    order: str | None = None,
    device: str = "auto",
    n_threads: int | None = None,
    memory_budget: int | float | str | None = None,
    **parameters: Any,
) -> pd.DataFrame:
    """Distances between all groups of cells.

    Parameters
    ----------
    adata
        AnnData or the path of an ``.h5ad`` or ``.zarr``, n_obs × n_vars, or a list of them; or cells × features as a
        NumPy array or a SciPy sparse matrix. It is not modified.
    pert_col
        Column of ``obs`` with the group of each cell, or the labels themselves, one a cell. Cells without a label are
        left out, with a warning.
    metric
        Name of a distance, see :func:`~vcmetrics.metrics.distance.registry.list_distances`.
    layer, obsm
        Read this layer, or this embedding, in place of ``X``.
    genes
        Use these columns of ``X`` or the layer only: names, or a mask of length n_vars.
    groups
        These groups, in this order; other cells are not used.
    within
        Column of ``obs`` (cell type, batch), or several: one matrix for each of their combinations.
    convention
        Compute as another library does: see :func:`~vcmetrics.distances.conventions.list_conventions`. It sets defaults
        of the distance's parameters and of ``obsm``, ``order``, ``mirror`` and ``diagonal``.
    mirror
        Of asymmetric distances: None returns d(row, column) in every entry; ``"upper"`` repeats the upper triangle
        below, ``"lower"`` the lower one above, ``"mean"`` averages both.
    diagonal
        ``"value"``: what the formula gives for a group and itself; ``"zero"``: 0.
    order
        Of the groups where ``groups`` is None: ``"categories"`` of the column (numbers ascend, text is sorted;
        default), ``"appearance"`` in the data, or ``"sorted"``.
    device
        ``"auto"`` and ``"cpu"``: the CPU. ``"cuda"`` sends the cells to the GPU, where their pairs are summed; for
        ``edistance`` and ``mean_pairwise`` (``cell_metric`` euclidean or cityblock) and ``mmd`` (``kernel="rbf"``).
        Agrees with the CPU to 1e-12.
    n_threads
        On the CPU (None: all that this process may use). Results do not depend on them.
    memory_budget
        Memory for cells: ``"4GiB"``, bytes, or a share of what is available; None for half of it. Results do not
        depend on it.
    **parameters
        Of the distance, such as ``estimator="u"``, ``cell_metric="sqeuclidean"``, ``gamma=0.1``.

    Returns
    -------
    DataFrame
        n_groups × n_groups, float64; NaN where a distance is undefined (documented with each). With ``within``: the
        matrices one below the other, rows indexed by (covariates …, group), so that ``.loc["B cell"]`` is one of
        them; a column whose group has no cells there is NaN. ``attrs`` hold metric, parameters and convention.

    Raises
    ------
    DataError
        For an unknown column, group or gene, labels that do not fit, NaN or infinity in a used cell.
    ValueError, TypeError
        For an unknown metric, convention or parameter.

    Notes
    -----
    Cost: profile and moment distances read the cells once; cell distances need every pair of cells, in tiles, of which
    none is kept. Sparse cells are made dense (with a warning beyond 64 MiB) only where the distance has no sparse form.

    References
    ----------
    Each distance names its own: :mod:`vcmetrics.metrics.distance`.

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.array([[0.0, 0], [0, 2], [3, 1], [3, 1]])
    >>> distance_matrix(cells, pert_col=["a", "a", "b", "b"], metric="euclidean").to_numpy().tolist()
    [[0.0, 3.0], [3.0, 0.0]]
    """
    choice = choose(metric, convention, parameters)
    engine = engine_of(adata, device, choice, what="distance_matrix")
    mirror = check_mirror(choice.convention.mirror if mirror is None else mirror)
    diagonal = check_diagonal(choice.convention.diagonal if diagonal is None else diagonal)
    cells = replace(opened(adata, pert_col, choice, layer, obsm, genes, groups, order, n_threads), engine=engine)
    parts = [((), cells)] if within is None else strata(adata, within, cells)
    tables = [
        (key, frame(matrix_values(part, choice, mirror, diagonal), part.labels, part.labels)) for key, part in parts
    ]
    return labelled(adata, tables, cells, pert_col, within, choice, square=True)


@budgeted
def distances_to(
    adata: Any,
    reference: str | Sequence[str],
    *,
    pert_col: Any,
    metric: str = "edistance",
    layer: str | None = None,
    obsm: str | None = None,
    genes: Any = None,
    groups: Sequence[str] | None = None,
    within: Any = None,
    convention: str | None = None,
    diagonal: str | None = None,
    order: str | None = None,
    device: str = "auto",
    n_threads: int | None = None,
    memory_budget: int | float | str | None = None,
    **parameters: Any,
) -> pd.Series | pd.DataFrame:
    """Distance from every group to one reference, or to several.

    Parameters
    ----------
    adata, pert_col, metric, layer, obsm, genes, groups, within, convention, diagonal, order, device, n_threads
        As for :func:`distance_matrix`. ``groups`` need not name the reference. With ``within``, the reference is the
        one in the same stratum, which must have cells of it.
    reference
        Label of the reference, such as the control; or several.
    memory_budget
        As for it too.
    **parameters
        Of the distance.

    Returns
    -------
    Series or DataFrame
        d(group, reference), float64, index = group ((covariates …, group) with ``within``), the reference itself
        included. A Series named after the reference for one, a DataFrame with one column a reference for several. By
        the convention ``"scperturb"`` several references are pooled into one, and a Series is returned.

    Raises
    ------
    DataError
        As for :func:`distance_matrix`, and where a stratum has no cells of the reference.

    Notes
    -----
    Asymmetric distances go from the group (x) to the reference (y).

    References
    ----------
    Each distance names its own: :mod:`vcmetrics.metrics.distance`.

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.array([[0.0, 0], [0, 2], [3, 1], [3, 1]])
    >>> distances_to(cells, "a", pert_col=["a", "a", "b", "b"], metric="sqeuclidean").to_dict()
    {'a': 0.0, 'b': 9.0}
    """
    choice = choose(metric, convention, parameters)
    engine = engine_of(adata, device, choice, what="distances_to")
    diagonal = check_diagonal(choice.convention.diagonal if diagonal is None else diagonal)
    references = group_names(reference, "reference=")
    chosen = None if groups is None else group_names(groups, "groups=")
    named = None if chosen is None else [*dict.fromkeys([*chosen, *references])]
    cells = replace(opened(adata, pert_col, choice, layer, obsm, genes, named, order, n_threads), engine=engine)
    wanted = cells.labels if chosen is None else chosen
    require_references(cells, references, "")
    tables = []
    for key, part in [((), cells)] if within is None else strata(adata, within, cells):
        require_references(part, references, f" in {', '.join(key)}" if key else "")
        rows = [label for label in wanted if label in part.labels]
        pooled = choice.convention.pooled and len(references) > 1
        values = (
            to_values(part, choice, rows, references, diagonal)
            if not pooled
            else pooled_values(part, choice, rows, references)
        )
        tables.append((key, frame(values, rows, [" + ".join(references)] if pooled else references)))
    table = labelled(adata, tables, cells, pert_col, within, choice)
    return table if table.shape[1] > 1 else table.iloc[:, 0]


def opened(
    adata: Any,
    pert_col: Any,
    choice: Choice,
    layer: str | None,
    obsm: str | None,
    genes: Any,
    groups: Sequence[str] | None,
    order: str | None,
    n_threads: int | None,
) -> CellGroups:
    """Open the groups by the rules of the choice."""
    rules = choice.convention
    unnamed = layer is None and obsm is None and genes is None and isinstance(pert_col, str)
    if unnamed and choice.spec.name not in rules.reads_x:
        obsm = rules.obsm
    cells = open_groups(
        adata,
        pert_col,
        layer=layer,
        obsm=obsm,
        genes=genes,
        groups=groups,
        order=order or rules.order,
        n_threads=n_threads,
    )
    return cells


def check_mirror(mirror: str | None) -> str | None:
    """Refuse another word."""
    if mirror is not None and mirror not in MIRRORS:
        msg = f"mirror {mirror!r} is not known; choose from {', '.join(MIRRORS)}, or None for the full matrix"
        raise ValueError(msg)
    return mirror


def check_diagonal(diagonal: str) -> str:
    """Refuse another word."""
    if diagonal not in ("value", "zero"):
        msg = f"diagonal {diagonal!r} is not known; pass 'value' or 'zero'"
        raise ValueError(msg)
    return diagonal


def require_references(cells: CellGroups, references: Sequence[str], where: str) -> None:
    """Refuse references that have no cells."""
    missing = [label for label in references if label not in cells.labels]
    if missing:
        msg = f"{cells.name}: no cell{where} is labelled {some(missing)} (labels: {some(cells.labels)})"
        raise DataError(msg)


def matrix_values(cells: CellGroups, choice: Choice, mirror: str | None, diagonal: str) -> Values:
    """(n_groups, n_groups) distances d(row, column)."""
    n = cells.n_groups
    own = 0 if diagonal == "value" else 1
    upper = np.triu_indices(n, own)
    lower = (upper[1], upper[0])
    out = np.zeros((n, n))
    symmetric = choice.spec.symmetric
    places = []
    if symmetric or mirror in (None, "upper", "mean"):
        places.append(upper)
    if not symmetric and mirror in (None, "lower", "mean"):
        strict = np.tril_indices(n, -1)
        places.append(strict if places else lower)
    pairs = np.concatenate([np.stack(place, axis=1) for place in places]).astype(np.int32)
    values = choice.spec.evaluate(cells, pairs, choice.parameters)
    out[pairs[:, 0], pairs[:, 1]] = values
    if symmetric or mirror == "upper":
        out[lower] = out[upper]
    elif mirror == "lower":
        out[upper] = out[lower]
    elif mirror == "mean":
        out = (out + out.T) / 2
    return out


def to_values(
    cells: CellGroups, choice: Choice, rows: Sequence[str], references: Sequence[str], diagonal: str
) -> Values:
    """(n_rows, n_references) distances."""
    place = {label: k for k, label in enumerate(cells.labels)}
    first = np.array([place[label] for label in rows], np.int32)
    second = np.array([place[label] for label in references], np.int32)
    pairs = np.stack([np.repeat(first, second.size), np.tile(second, first.size)], axis=1)
    out = np.zeros(len(pairs))
    used = np.ones(len(pairs), bool) if diagonal == "value" else pairs[:, 0] != pairs[:, 1]
    out[used] = choice.spec.evaluate(cells, np.ascontiguousarray(pairs[used]), choice.parameters)
    return out.reshape(first.size, second.size)


def pooled_values(cells: CellGroups, choice: Choice, rows: Sequence[str], references: Sequence[str]) -> Values:
    """(n_rows, 1) energy distances to the union of the references, as scperturb takes them.

    The inside mean of the union is the plain mean of the references' own; a reference's distances to the union are
    divided by N (n - 1) for the U-statistic.
    """
    if choice.spec.name != "edistance":
        msg = f"convention 'scperturb' pools several references for 'edistance' only, not {choice.spec.name!r}"
        raise ValueError(msg)
    from vcmetrics.metrics.distance.energy import mean_pairwise

    how = {key: choice.parameters[key] for key in ("estimator", "cell_metric", "one_cell")}
    place = {label: k for k, label in enumerate(cells.labels)}
    first = np.array([place[label] for label in rows], np.int32)
    second = np.array([place[label] for label in references], np.int32)
    every = np.unique(np.concatenate([first, second]))
    inside = dict(
        zip(
            every.tolist(),
            mean_pairwise(cells, np.stack([every, every], axis=1).astype(np.int32), **how).tolist(),
            strict=True,
        )
    )
    pairs = np.ascontiguousarray(np.stack([np.repeat(first, second.size), np.tile(second, first.size)], axis=1))
    cross = mean_pairwise(cells, pairs, **{**how, "estimator": "v"}).reshape(first.size, second.size)
    n = cells.sizes[second].astype(np.float64)
    away = cross @ n / n.sum()
    if how["estimator"] == "u":
        own = cells.sizes[first].astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            away = np.where(np.isin(first, second), away * own / (own - 1), away)
    control = float(np.mean([inside[k] for k in second.tolist()]))
    return np.asarray(2 * away - np.array([inside[k] for k in first.tolist()]) - control)[:, None]


def frame(values: Values, rows: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """A labelled table."""
    import pandas as pd

    return pd.DataFrame(values, index=pd.Index(rows, dtype=object), columns=pd.Index(columns, dtype=object))


def labelled(
    adata: Any,
    tables: Sequence[tuple[tuple[str, ...], pd.DataFrame]],
    cells: CellGroups,
    pert_col: Any,
    within: Any,
    choice: Choice,
    *,
    square: bool = False,
) -> pd.DataFrame:
    """One table with names on its axes; several strata below each other.

    ``square``: the columns are the groups themselves, in the order of ``cells``.
    """
    import pandas as pd

    name = pert_col if isinstance(pert_col, str) else getattr(pert_col, "name", None)
    if within is None:
        table = tables[0][1]
        table.index.name = name
    else:
        names, _ = covariates(adata, within, cells.codes.size)
        keys = [key if len(key) > 1 else key[0] for key, _ in tables]
        table = pd.concat([part for _, part in tables], keys=keys, names=[*names, name])
        if square:  # a stratum may lack a group that another has
            table = table[[label for label in cells.labels if label in table.columns]]
    table.columns.name = name
    table.attrs = settings_of(choice)
    return table


def settings_of(choice: Choice) -> dict[str, Any]:
    """What a table was computed with."""
    parameters: Mapping[str, Any] = {
        key: value if not callable(value) else getattr(value, "__name__", repr(value))
        for key, value in choice.parameters.items()
    }
    return {"metric": choice.spec.name, "parameters": dict(parameters), "convention": choice.convention.name or None}
