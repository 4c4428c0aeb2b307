"""The same prediction scored again with something changed that should not matter, or should not help."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics.presets.preset import get_preset

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

TOLERANCE = 1e-9  # relative; below it two scores are the same


def control_tampering(
    pred: Any, real: Any, *, preset: str = "vcc2026", metrics: Iterable[str] | None = None, **how: Any
) -> pd.DataFrame:
    """Score against the observed control and against the prediction's own: a difference is a flag.

    Parameters
    ----------
    pred, real, preset, metrics
        As in :func:`vcmetrics.score`; the prediction must hold control cells.
    how
        Further arguments of :func:`vcmetrics.score`.

    Returns
    -------
    DataFrame, index metric: ``observed`` and ``submitted`` (whose control effects and tests are taken against),
    ``difference`` (submitted - observed), ``flag``: whether they differ. Control cells that are the observed ones
    give no flag; where a rule set takes the submitted control, a flag says how much of the score hangs on it.

    Raises
    ------
    DataError
        If the prediction has no control cells.

    Examples
    --------
    >>> from vcmetrics import datasets
    >>> demo = datasets.demo()
    >>> how = {"pert_col": demo.pert_col, "control": demo.control, "metrics": ["delta_pearson"]}
    >>> bool(control_tampering(demo.path, demo.path, **how)["flag"].any())
    False
    """
    import pandas as pd

    from vcmetrics.scoring.score import score

    overrides = dict(how.pop("overrides", None) or {})
    chosen = None if metrics is None else list(metrics)
    found = {
        name: score(pred, real, preset=preset, metrics=chosen, overrides=overrides | change, **how).aggregate_values
        for name, change in (
            ("observed", {"control_source": "real"}),
            ("submitted", {"control_source": "pred", "prediction_needs_control": True}),
        )
    }
    table = pd.DataFrame(found)
    table["difference"] = table["submitted"] - table["observed"]
    table["flag"] = differ(table["submitted"], table["observed"])
    table.index.name = "metric"
    return table


def differ(x: pd.Series[float], y: pd.Series[float]) -> pd.Series[bool]:
    """Whether two columns differ by more than rounding, or one is undefined alone."""
    size = np.maximum(1.0, np.maximum(x.abs(), y.abs()))
    return ((x - y).abs() > TOLERANCE * size) | (x.isna() != y.isna())


def target_scopes(
    pred: Any,
    real: Any,
    *,
    pert_col: str | None = None,
    control: str = "non-targeting",
    target_map: Mapping[str, Any] | None = None,
    metric: str = "cosine",
    top: int = 20,
    **how: Any,
) -> pd.DataFrame:
    """Scores with and without the target genes, side by side.

    Parameters
    ----------
    pred, real, pert_col, control, target_map
        As in :func:`vcmetrics.discrimination`.
    metric
        Distance of the match rank.
    top
        Length of the lists of largest observed effects.
    how
        Further arguments that :func:`vcmetrics.discrimination` and :func:`vcmetrics.effect_correlation` share
        (``space``, ``target_sum``, ``layer``, ``n_threads``).

    Returns
    -------
    DataFrame, index measure, columns ``none`` (targets in), ``row`` (own target out), ``pair``, ``panel`` (all out):
    ``discrimination`` under each; ``pearson_delta`` and its top-list form with the target in and out (lists are made
    after exclusion). ``attrs["targets_in_top"]`` is the share of perturbations with a measured target whose list of
    largest observed effects holds it.

    Examples
    --------
    >>> from vcmetrics import datasets
    >>> demo = datasets.demo()
    >>> table = target_scopes(demo.path, demo.path, pert_col=demo.pert_col, control=demo.control)
    >>> table.loc["discrimination"].tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    import warnings

    import pandas as pd

    from vcmetrics._errors import VcmetricsWarning
    from vcmetrics.metrics.effect_correlation import effect_correlation
    from vcmetrics.retrieval.discrimination import discrimination

    shared = {"pert_col": pert_col, "control": control, "target_map": target_map, **how}
    scopes = ("none", "row", "pair", "panel")
    rows: dict[str, dict[str, float]] = {"discrimination": {}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VcmetricsWarning)  # targets that are not measured: the same in every scope
        for scope in scopes:
            found = discrimination(pred, real, metric=metric, exclude_targets=scope, **shared)
            rows["discrimination"][scope] = found.attrs["aggregate"]["score"]
        tables = {
            name: effect_correlation(pred, real, genes=genes, **shared)
            for name, genes in (("pearson_delta", "all"), (f"pearson_delta_top{top}", f"top_effect:{top}"))
        }
    for name, table in tables.items():
        rows[name] = {"none": table.attrs["mean"], "row": table.attrs["mean_without_target"]}
    out = pd.DataFrame.from_dict(rows, orient="index", columns=list(scopes))
    out.index.name = "measure"
    out.attrs["targets_in_top"] = targets_in_top(real, top, shared)
    return out


def targets_in_top(real: Any, top: int, how: Mapping[str, Any]) -> float:
    """Share of perturbations whose own target is among their ``top`` largest observed effects."""
    from vcmetrics.retrieval.targets import target_sets
    from vcmetrics.summary.profile_rows import read_profiles

    reading = {
        k: v for k, v in how.items() if k in ("pert_col", "control", "space", "target_sum", "layer", "n_threads")
    }
    rows = read_profiles(real, name="real", observed=True, **reading)
    own = target_sets(rows.labels, rows.genes, how["target_map"], control=how["control"], required=False).table
    effect = np.abs(rows.table - rows.control)
    lists = np.argsort(-effect, axis=1, kind="stable")[:, :top]
    inside = [bool(set(genes[genes >= 0]) & set(chosen)) for genes, chosen in zip(own, lists, strict=True)]
    known = [bool((genes >= 0).any()) for genes in own]
    return float(np.mean([i for i, k in zip(inside, known, strict=True) if k])) if any(known) else float("nan")


@dataclass(frozen=True)
class Transform:
    """A change of a prediction, and what may come of it: ``same`` scores, or scores that are ``not better``."""

    change: Callable[[Any, Any, np.random.Generator], Any]
    expected: str
    about: str


def shuffled(values: Any, labels: Any, rng: np.random.Generator) -> Any:
    """The cells of every label in another order."""
    order = np.arange(labels.size)
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        order[mine] = rng.permutation(mine)
    return values[order]


def doubled(values: Any, labels: Any, rng: np.random.Generator) -> Any:
    """Every value twice as large."""
    return values * 2


def log_again(values: Any, labels: Any, rng: np.random.Generator) -> Any:
    """log1p of every value."""
    return values.log1p()


def inflated(values: Any, labels: Any, rng: np.random.Generator) -> Any:
    """Every cell twice as far from the mean of its label; nothing below 0, whole counts where they were whole."""
    from scipy.sparse import csr_matrix

    dense = values.toarray().astype(np.float64)
    whole = bool((dense == np.round(dense)).all())
    for label in np.unique(labels):
        mine = labels == label
        middle = dense[mine].mean(axis=0)
        dense[mine] = np.maximum(middle + 2.0 * (dense[mine] - middle), 0.0)
    if whole:
        dense = np.floor(dense + rng.random(dense.shape))
    return csr_matrix(dense.astype(np.float32))


TRANSFORMS: Mapping[str, Transform] = {
    "shuffled": Transform(shuffled, "same", "cells of each label in another order"),
    "doubled": Transform(doubled, "not better", "every value times 2"),
    "log1p again": Transform(log_again, "not better", "log1p of the values as they are"),
    "inflated": Transform(inflated, "not better", "cells twice as far from their label's mean"),
}


def transform_tests(
    pred: Any,
    real: Any,
    *,
    preset: str = "vcc2026",
    metrics: Iterable[str] | None = None,
    pert_col: str | None = None,
    transforms: Iterable[str] = tuple(TRANSFORMS),
    ci: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
    **how: Any,
) -> pd.DataFrame:
    """Score a prediction again after changes that add no knowledge.

    Parameters
    ----------
    pred, real, preset, metrics, pert_col
        As in :func:`vcmetrics.score`; ``pred`` in ``X``. Its control cells stay as they are.
    transforms
        Names of :data:`TRANSFORMS`.
    ci, n_resamples
        Interval of the change, by a paired bootstrap over perturbations.
    seed
        Of the shuffle, the rounding and the bootstrap.
    how
        Further arguments of :func:`vcmetrics.score`.

    Returns
    -------
    DataFrame, index (transform, metric): ``original``, ``transformed``, ``change`` with ``lower`` and ``upper``,
    ``expected`` (``same`` or ``not better``), and ``verdict``: ``as expected``, ``CHANGED``, ``GAMED`` (better beyond
    its interval), or ``refused: …`` where the rule set does not take the values, which is the best answer.

    Examples
    --------
    >>> from vcmetrics import datasets
    >>> demo = datasets.demo()
    >>> how = {"pert_col": demo.pert_col, "control": demo.control, "metrics": ["pds_cosine"]}
    >>> transform_tests(demo.path, demo.path, transforms=["shuffled"], **how)["verdict"].tolist()
    ['as expected']
    """
    import pandas as pd

    from vcmetrics.scoring.interval import compare_scores
    from vcmetrics.scoring.score import score

    names = list(transforms)
    unknown = [name for name in names if name not in TRANSFORMS]
    if unknown:
        msg = f"there is no transform {unknown[0]!r}; choose from {', '.join(TRANSFORMS)}"
        raise ValueError(msg)
    rules = get_preset(preset)
    chosen = None if metrics is None else list(metrics)
    rest = {"preset": preset, "metrics": chosen, "pert_col": pert_col, **how}
    control = how.get("control") or rules.control
    before = score(pred, real, **rest)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for name in names:
        made = transformed(pred, TRANSFORMS[name], pert_col, control, seed)
        expected = TRANSFORMS[name].expected
        try:
            after = score(made, real, **rest)
        except DataError as error:
            for metric, value in before.aggregate_values.items():
                rows[name, metric] = {"original": value, "expected": expected, "verdict": f"refused: {error}"}
            continue
        table = compare_scores(after, before, ci=ci, n_resamples=n_resamples, seed=seed)
        for metric, row in table.iterrows():
            rows[name, str(metric)] = {
                "original": row["b"],
                "transformed": row["a"],
                "change": row["difference"],
                "lower": row["lower"],
                "upper": row["upper"],
                "expected": expected,
                "verdict": verdict(row, expected),
            }
    columns = ["original", "transformed", "change", "lower", "upper", "expected", "verdict"]
    out = pd.DataFrame([[row.get(c, np.nan) for c in columns] for row in rows.values()], columns=columns)
    out.index = pd.MultiIndex.from_tuples(list(rows), names=["transform", "metric"])
    return out


def verdict(row: Any, expected: str) -> str:
    """What a change means."""
    if expected == "same":
        size = max(1.0, abs(row["a"]), abs(row["b"]))
        moved = abs(row["difference"]) > TOLERANCE * size or np.isnan(row["a"]) != np.isnan(row["b"])
        return "CHANGED" if moved else "as expected"
    return "GAMED" if row["better"] == "a" else "as expected"


def transformed(pred: Any, how: Transform, pert_col: str | None, control: str, seed: int) -> AnnData:
    """The perturbed cells changed, the control cells as they are."""
    import pandas as pd
    from anndata import AnnData
    from scipy.sparse import vstack

    from vcmetrics.baselines.emission import sparse
    from vcmetrics.baselines.inputs import pert_column
    from vcmetrics.sources import open_cells

    with open_cells(pred, name="pred") as cells:
        column = pert_column(cells, pert_col)
        labels = np.array(["nan" if x is None else str(x) for x in cells.column(column)], object)
        values, genes = sparse(cells.rows()), cells.genes
    mine = np.flatnonzero(labels != control)
    kept = np.flatnonzero(labels == control)
    changed = how.change(values[mine], labels[mine], np.random.default_rng(seed))
    both = vstack([changed.astype(np.float32), values[kept].astype(np.float32)], format="csr")
    names = labels[np.concatenate([mine, kept])]
    obs = pd.DataFrame({column: pd.Categorical(names.tolist())}, index=[f"c{k}" for k in range(names.size)])
    return AnnData(both, obs=obs, var=pd.DataFrame(index=pd.Index(genes.astype(str), dtype=object)))
