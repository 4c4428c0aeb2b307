"""Whether a group differs from a reference at all: :func:`permutation_test`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.backend.device import resolve_device
from vcmetrics.backend.memory import budgeted
from vcmetrics.distances.conventions import Choice, Counting, choose
from vcmetrics.distances.inputs import group_names, strata
from vcmetrics.distances.matrix import labelled, opened, require_references
from vcmetrics.distances.resampling import Resampled
from vcmetrics.metrics.distance.classifiers import generator_of
from vcmetrics.metrics.distance.numbers import is_number, whole
from vcmetrics.sources.cell_groups import CellGroups

if TYPE_CHECKING:
    import pandas as pd

Values = NDArray[np.float64]
COLUMNS = ("distance", "pvalue", "significant", "pvalue_adj", "significant_adj")
_ROUNDING = 1e-10  # null values within this share of the observed one are ties
_OWN = {"fdr_bh": "bh", "fdr_by": "by"}  # corrections of SciPy; statsmodels has the others
_MASKS = 1 << 26  # labels of cells drawn at a time


@budgeted
def permutation_test(
    adata: Any,
    reference: str,
    *,
    pert_col: Any,
    metric: str = "edistance",
    n_permutations: int = 1000,
    random_state: int = 0,
    correction: str | None = None,
    alpha: float = 0.05,
    layer: str | None = None,
    obsm: str | None = None,
    genes: Any = None,
    groups: Sequence[str] | None = None,
    within: Any = None,
    convention: str | None = None,
    order: str | None = None,
    device: str = "auto",
    n_threads: int | None = None,
    memory_budget: int | float | str | None = None,
    **parameters: Any,
) -> pd.DataFrame:
    """Permutation test of every group against a reference.

    Parameters
    ----------
    adata, pert_col, metric, layer, obsm, genes, groups, within, convention, order, device, n_threads, memory_budget
        As for :func:`~vcmetrics.distances.matrix.distance_matrix`. ``groups`` need not name the reference. With
        ``within``, cells are relabelled inside their stratum and all tests are one family.
    reference
        Label of the reference, such as the control.
    n_permutations
        Number of relabellings B of each group's cells and the reference's.
    random_state
        Seed. The relabellings of a group depend on it and on the two labels alone, not on the other groups.
    correction
        For several tests: ``"fdr_bh"`` (Benjamini-Hochberg; default) and ``"fdr_by"`` from SciPy, or any method of
        statsmodels' ``multipletests``, such as ``"holm-sidak"`` (extra ``stats``). None takes the convention's.
    alpha
        Level of ``significant`` and ``significant_adj``: p < alpha.
    **parameters
        Of the distance.

    Returns
    -------
    DataFrame
        Index = group, without the reference (by the conventions of other libraries with it). ``distance`` to the
        reference; ``pvalue``, the probability of a distance as large where labels do not matter, (b + 1)/(B + 1) with b
        the null distances that are no smaller; ``significant``; ``pvalue_adj``, corrected over the groups;
        ``significant_adj``. NaN where the distance is undefined; such a group is no test.

    Raises
    ------
    DataError
        As for :func:`~vcmetrics.distances.matrix.distance_matrix`, and where the reference is the only group.
    ImportError
        If ``correction`` needs statsmodels and it is not installed.

    Notes
    -----
    Cost: for distances over pairs of cells n² (D + B) operations with n cells of both groups (less where one group is
    small), for profile distances n D B.

    References
    ----------
    Phipson & Smyth (2010), Stat. Appl. Genet. Mol. Biol. 9:39, on (b + 1)/(B + 1); Peidli et al. (2024), Nat. Methods
    21:531, the E-test.

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.random.default_rng(0).normal(size=(40, 3))
    >>> cells[:20] += 2
    >>> found = permutation_test(cells, "c", pert_col=["x"] * 20 + ["c"] * 20, n_permutations=99)
    >>> float(found.loc["x", "pvalue"])
    0.01
    """
    resolve_device(device, what="permutation_test")
    whole(1, n_permutations=n_permutations)
    whole(0, random_state=random_state)
    if not (is_number(alpha) and 0 < alpha < 1):
        msg = f"alpha is {alpha!r}; pass a level between 0 and 1"
        raise ValueError(msg)
    choice = choose(metric, convention, parameters).resampled(parameters)
    counting = choice.convention.counting
    method = counting.correction if correction is None else correction
    check_correction(method)
    reference = str(reference)
    chosen = None if groups is None else group_names(groups, "groups=")
    named = None if chosen is None else [*dict.fromkeys([*chosen, reference])]
    cells = opened(adata, pert_col, choice, layer, obsm, genes, named, order, n_threads)
    require_references(cells, [reference], "")
    wanted = [label for label in (cells.labels if chosen is None else chosen) if label != reference]
    if not wanted:
        msg = f"{cells.name}: {reference!r} is the only group, so there is nothing to test"
        raise DataError(msg)
    import pandas as pd

    tables = []
    for key, part in [((), cells)] if within is None else strata(adata, within, cells):
        require_references(part, [reference], f" in {', '.join(key)}" if key else "")
        place = {label: k for k, label in enumerate(part.labels)}
        rows = [label for label in wanted if label in place]
        found = [_test(part, choice, place[x], place[reference], n_permutations, random_state, counting) for x in rows]
        table = pd.DataFrame(found, index=pd.Index(rows, dtype=object), columns=["distance", "pvalue"])
        if counting.reference_row is not None:
            table.loc[reference] = (0.0, 1.0 / n_permutations if counting.reference_row == "least" else 1.0)
            table = table.loc[[label for label in part.labels if label in table.index]]
        tables.append((key, table))
    out = labelled(adata, tables, cells, pert_col, within, choice)
    out.columns.name = None
    out["significant"] = out["pvalue"] < alpha
    out["pvalue_adj"] = adjusted(out["pvalue"].to_numpy(np.float64), method)
    out["significant_adj"] = out["pvalue_adj"] < alpha
    if counting.reference_row == "least":
        own = out.index.get_level_values(-1) == reference
        out.loc[own, list(COLUMNS)] = (0.0, 1.0, False, 1.0, False)
    out.attrs |= {"n_permutations": n_permutations, "random_state": random_state, "correction": method}
    return out


def _test(
    cells: CellGroups, choice: Choice, group: int, reference: int, count: int, seed: int, counting: Counting
) -> tuple[float, float]:
    """Distance and p-value of one group."""
    resampled = Resampled(choice, cells, group, reference)
    pool = np.sort(np.concatenate([cells.members(group), cells.members(reference)]))
    label = cells.codes[pool] == group
    rng = generator_of(seed, cells.labels[group], cells.labels[reference])
    step = max(1, _MASKS // pool.size)
    null: list[Values] = []
    observed = np.nan
    for start in range(0, count, step):
        # the observed labels stand beside the drawn ones, so that equal labels give equal numbers
        masks = np.stack([label, *(rng.permutation(label) for _ in range(min(step, count - start)))], axis=1)
        values = resampled.permuted(masks)
        observed = float(values[0])
        null.append(values[1:])
    return observed, p_value(observed, np.concatenate(null), counting)


def p_value(observed: float, null: Values, counting: Counting) -> float:
    """Share of null distances that reach the observed one; NaN where one of them is undefined."""
    if np.isnan(observed) or np.isnan(null).any():
        return float("nan")
    above = null >= observed - _ROUNDING * abs(observed) if counting.ties else null > observed
    b = int(np.count_nonzero(above))
    return (b + 1) / (null.size + 1) if counting.plus_one else max(1, b) / null.size


def check_correction(method: str) -> None:
    """Refuse a method that cannot be had."""
    if method in _OWN:
        return
    if find_spec("statsmodels") is None:
        msg = f"correction {method!r} needs statsmodels: pip install 'vcmetrics[stats]' (without it: {', '.join(_OWN)})"
        raise ImportError(msg)
    from statsmodels.stats.multitest import multitest_alias, multitest_methods_names

    known = {*multitest_alias, *multitest_alias.values(), *multitest_methods_names}
    if method not in known:
        msg = f"correction {method!r} is not known; choose from {', '.join(sorted(known))}"
        raise ValueError(msg)


def adjusted(p: Values, method: str) -> Values:
    """p-values corrected as one family; NaN stays NaN and is no test."""
    out = np.full(p.size, np.nan)
    tests = ~np.isnan(p)
    if not tests.any():
        return out
    if method in _OWN:
        from scipy.stats import false_discovery_control

        out[tests] = false_discovery_control(p[tests], method=_OWN[method])
        return out
    from statsmodels.stats.multitest import multipletests

    with np.errstate(divide="ignore"):  # p = 1
        out[tests] = multipletests(p[tests], method=method)[1]
    return out
