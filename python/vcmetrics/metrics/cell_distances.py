"""Distances between predicted and observed cells as score rows: one a distance of the distance registry.

A score needs a best value, so only distances that are 0 for equal groups are here, and of them those that need nothing
but the two groups.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.cells import CellPair, CellSide, cells_of
from vcmetrics.metrics.distance import registry as distances
from vcmetrics.metrics.distance.mmd import median_gamma
from vcmetrics.metrics.docstring import described, docstring_parts
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import MetricSpec, Parity, Values, register
from vcmetrics.reference import cell_distances as reference
from vcmetrics.sources.cell_groups import CellGroups, densified
from vcmetrics.sources.rows import Rows

SAMPLE = 1000  # observed cells that give the median bandwidth

_DOC = """{sentence} between the observed and the predicted cells of each perturbation.

    {definition}; x the observed cells, y the predicted ones.

    Parameters
    ----------
    pair
        The cells of both sides; counts are normalised and logged.
    embedding
        Entry of ``obsm`` in place of the expression.
{parameters}

    Returns
    -------
    (n_perturbations,); 0 is best. NaN where the distance is undefined, as for too few cells.

    Notes
    -----
    The cells of one perturbation are held dense at a time, unless the distance reads sparse ones. Values of different
    spaces, numbers of cells or parameters are not comparable.

    Examples
    --------
    The observed cells predicted: 0.
    """


def expression_rows(pair: Pair, cells: CellPair) -> tuple[Rows, Rows]:
    """Normalised and logged cells of both sides, observed first; made once a pair."""
    return pair.shared(
        ("expression of cells",),
        lambda: (cells.real.expression(cells.threads), cells.pred.expression(cells.threads)),
    )


def codes_of(pair: Pair, side: CellSide, first: int) -> NDArray[np.int32]:
    """Group of every cell of a side: the number of its perturbation counted from ``first``, -1 for other cells."""
    number = {side.number(label): first + k for k, label in enumerate(pair.perturbations)}
    table = np.array([number.get(g, -1) for g in range(len(side.groups.labels))] + [-1], np.int32)
    return np.asarray(table[side.groups.codes])  # a cell without a group has -1, the last entry


def all_groups(pair: Pair, cells: CellPair, embedding: str | None) -> CellGroups:
    """All cells of both sides: observed groups 0 … n - 1, predicted ones n … 2 n - 1. Sparse cells stay sparse."""
    codes = np.concatenate([codes_of(pair, cells.real, 0), codes_of(pair, cells.pred, pair.n)])
    labels = tuple(f"{side} {label}" for side in ("observed", "predicted") for label in pair.perturbations)
    how: dict[str, Any] = {"name": "the cells", "n_threads": cells.threads}
    if embedding is None:
        return CellGroups(labels, codes, rows=Rows.joined(expression_rows(pair, cells)), **how)
    values = np.concatenate([side.embedding(embedding) for side in (cells.real, cells.pred)])
    return CellGroups(labels, codes, np.ascontiguousarray(values), **how)


def sample(pair: Pair, cells: CellPair, embedding: str | None) -> NDArray[Any]:
    """Up to 1000 observed cells of the scored perturbations, evenly spaced in the order of the data."""
    used = np.flatnonzero(codes_of(pair, cells.real, 0) >= 0)
    if used.size > SAMPLE:
        used = used[np.linspace(0, used.size - 1, SAMPLE).astype(np.int64)]
    if embedding is not None:
        return np.asarray(cells.real.embedding(embedding)[used])
    return densified(expression_rows(pair, cells)[0].take(used))


def two_groups(pair: Pair, cells: CellPair, label: str) -> CellGroups:
    """The observed and the predicted cells of one perturbation, dense."""
    chosen = cells.real.cells_of(label), cells.pred.cells_of(label)
    rows = zip(expression_rows(pair, cells), chosen, strict=True)
    values = np.ascontiguousarray(np.concatenate([densified(side.take(mine)) for side, mine in rows]))
    codes = np.repeat(np.array([0, 1], np.int32), [mine.size for mine in chosen])
    return CellGroups(("observed", "predicted"), codes, values, name=label, n_threads=cells.threads)


def cell_distance(pair: Pair, distance: str, embedding: str | None, parameters: Mapping[str, Any]) -> Values:
    """Distance ``distance`` of the cells of both sides, (n_perturbations,).

    An embedding, and what reads sparse cells as they are, is taken at once; else one perturbation is dense at a time.
    """
    spec = distances.get(distance)
    cells = cells_of(pair)
    given = dict(parameters)
    if isinstance(given.get("gamma"), str) and given["gamma"] == "median":
        some = sample(pair, cells, embedding)
        one = CellGroups(("observed",), np.zeros(len(some), np.int32), some, n_threads=cells.threads)
        given["gamma"] = median_gamma(one)
    if embedding is not None or (given.get("cell_metric") == "euclidean" and not given.get("floor")):
        number = np.arange(pair.n, dtype=np.int32)
        return spec.evaluate(all_groups(pair, cells, embedding), np.stack([number, pair.n + number], 1), given)
    both = np.array([[0, 1]], np.int32)
    return np.array([spec.evaluate(two_groups(pair, cells, p), both, given)[0] for p in pair.perturbations])


def formula_of(spec: distances.DistanceSpec) -> Callable[..., Values]:
    """The formula of a row, with the distance's parameters for its own."""

    def formula(pair: Pair, *, embedding: str | None = None, **parameters: Any) -> Values:
        return cell_distance(pair, spec.name, embedding, parameters)

    formula.__doc__ = _DOC.format(
        sentence=_TITLES[spec.name],
        definition=spec.definition[0].upper() + spec.definition[1:],
        parameters="\n".join(f"    {name}\n        {text}" for name, text in parameters_of(spec).items()),
    )
    formula.__name__ = formula.__qualname__ = f"cells_{spec.name}"
    formula.__signature__ = reference.signature(spec.defaults)  # type: ignore[attr-defined]
    return formula


_OWN = {
    "one_cell": "What the inside mean of one cell is for the U-statistic: ``nan`` or ``zero``.",
    "estimator": "``v``: means over all pairs of cells; ``u``: without a cell's pair with itself.",
    "var_floor": "Added to each variance.",
    "power": "p of the Wasserstein distance of one gene, 1 or 2.",
    "regularization": "Strength of the entropy, in the unit of the costs; 0: exact.",
    "gamma": (
        "γ of the kernel, several for ``rbf``; ``median``: 1/(2 m²), m the median distance of (at most 1000) "
        "observed cells of all scored perturbations, so that no prediction moves the kernel."
    ),
}


def parameters_of(spec: distances.DistanceSpec) -> dict[str, str]:
    """What each parameter of the distance says: here, else in its own docstring (nothing where Python drops those)."""
    told = described(docstring_parts(spec.formula).get("Parameters", ""))
    said = {name: text for names, text in told for name in names}
    return {name: _OWN.get(name) or said.get(name, "") for name in spec.defaults}


_TITLES = {
    "edistance": "Energy distance",
    "mmd": "Squared maximum mean discrepancy",
    "ks_test": "Mean Kolmogorov-Smirnov statistic over genes",
    "sinkhorn_divergence": "Debiased entropic transport cost",
    "wasserstein_1": "Wasserstein-1 distance",
    "wasserstein_2": "Wasserstein-2 distance",
    "sliced_wasserstein": "Sliced Wasserstein distance",
    "wasserstein_1d": "Mean one-dimensional Wasserstein distance over genes",
    "t_test": "Mean absolute t statistic over genes",
    "sym_kldiv": "Symmetric Kullback-Leibler divergence of Gaussians, averaged over genes,",
    "frechet": "Fréchet distance of Gaussians",
    "mahalanobis": "Mahalanobis distance of the means",
    "mean_var_distribution": "Difference of the clouds of log means and log variances of the genes",
}
_CELLS = "Depends on the numbers of cells: give prediction and reality as many as another model has."
_PITFALLS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "edistance": (
            "Above 0 even for a replicate of few cells (V-statistic).",
            "cell_metric='sqeuclidean' sees the means alone.",
            "Blind to much of the dependence between genes.",
        ),
        "mmd": (
            "Saturates at 1/n + 1/m a kernel where the bandwidth is far below the distances, whatever the data.",
            "A bandwidth chosen for one number of genes is wrong for another.",
            "truncate=True makes the value depend on the order of the cells.",
        ),
        "sinkhorn_divergence": ("epsilon moves it from W2² (small) to the squared difference of the means (large).",),
        "wasserstein_1": ("With regularization a group is not at 0 from itself.",),
        "wasserstein_2": (
            "With regularization a group is not at 0 from itself.",
            "In many dimensions a change of variance alone can move it more than a shift of the mean.",
        ),
        "sliced_wasserstein": ("Random directions: gene order and seed move the last digits.",),
        "wasserstein_1d": ("Genes one at a time: blind to their dependence.",),
        "ks_test": ("Genes one at a time; ties at zero of sparse data weigh it down.",),
        "t_test": ("Grows with the number of cells at equal effects.",),
        "sym_kldiv": ("A gene that does not vary has a spread of std_floor and can decide the value.",),
        "frechet": ("Biased upwards for few cells: compare with a replicate of as many.",),
        "mahalanobis": ("Undefined for fewer cells than genes without shrinkage; sees the means alone.",),
        "mean_var_distribution": ("Genes are exchangeable: two genes may swap without any change.",),
    }
)


def chosen() -> list[distances.DistanceSpec]:
    """Distances that make a score: of cells or moments, 0 for equal groups, of two groups alone."""
    return [
        spec
        for spec in distances.rows()
        if spec.kind != "profile" and spec.zero_self and not spec.context and not spec.needs_counts
    ]


for _spec in chosen():
    _laws = tuple({"feature_order": "gene_order"}.get(law, law) for law in _spec.invariants if law != "nonnegative")
    register(
        MetricSpec(
            name=f"cells_{_spec.name}",
            family="cell_distances",
            needs=frozenset({"cells"}),
            better="lower",
            best=0.0,
            chance=None,
            bounds=(0.0 if "nonnegative" in _spec.invariants else -np.inf, np.inf),
            definition=f"{_spec.definition}, x observed and y predicted cells of p",
            formula=formula_of(_spec),
            reference=reference.reference_of(_spec),
            source=_spec.source,
            parity=Parity(_spec.parity.rtol, _spec.parity.atol),
            defaults=MappingProxyType({"embedding": None, **_spec.defaults}),
            invariants=(*_laws, "perturbation_order", "cell_order"),
            extra=_spec.extra,
            pitfalls=(*_PITFALLS.get(_spec.name, ()), _CELLS),
        )
    )
