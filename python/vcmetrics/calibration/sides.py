"""Scores of a model, a null and a ceiling over the same perturbations, from results, tables or arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.aggregate import Parts, mean, ratio_of_sums
from vcmetrics.results.score_result import ScoreResult
from vcmetrics.sources.genes import some

Floats = NDArray[np.float64]
BARE = "score"  # what the metric of an array or a Series is called


@dataclass(frozen=True)
class Scores:
    """One side: per context the labels and what every aggregate is made of.

    ``labels`` is None for bare arrays, whose order alone says what belongs together. ``values`` holds the aggregates
    where they are known already; ``better`` their direction and ``best`` their best value.
    """

    name: str
    contexts: tuple[str | None, ...]
    labels: tuple[tuple[Any, ...] | None, ...]
    parts: tuple[dict[str, Parts], ...]
    values: dict[str, float] = field(default_factory=dict)
    better: dict[str, str] = field(default_factory=dict)
    best: dict[str, float | None] = field(default_factory=dict)

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, in the order of the first context."""
        return list(self.parts[0])

    def columns(self, context: int, metric: str) -> Floats | None:
        """Values of the perturbations; None where the metric has none."""
        part = self.parts[context][metric]
        return None if part.kind not in ("mean", "propagated_mean") else filled(part.columns[0])


def filled(values: Any) -> Floats:
    """Masked values as NaN."""
    return np.asarray(np.ma.filled(np.ma.asarray(values, np.float64), np.nan))


def side(given: Any, name: str) -> Scores:
    """Read one side.

    Raises
    ------
    TypeError
        If it is neither a ScoreResult, nor a Series or DataFrame, nor a one-dimensional array.
    """
    if isinstance(given, ScoreResult):
        return Scores(
            name,
            tuple(c.context for c in given.contexts),
            tuple(tuple(c.perturbations) for c in given.contexts),
            tuple(dict(c.parts) for c in given.contexts),
            given.aggregate_values,
            dict(given.directions),
            best_values(given),
        )
    if hasattr(given, "to_frame") and hasattr(given, "index"):  # a Series; its name may be the prediction's
        given = given.to_frame(BARE)
    if hasattr(given, "columns") and hasattr(given, "index"):
        labels = tuple(given.index.tolist())
        if len(set(labels)) != len(labels):
            msg = f"{name}: perturbations occur more than once: {some(duplicates(labels))}; give one row each"
            raise DataError(msg)
        parts = {str(c): Parts("mean", (given[c].to_numpy(np.float64),)) for c in given.columns}
        return Scores(name, (None,), (labels,), (parts,))
    values = np.ma.asarray(given, np.float64) if np.ma.isMaskedArray(given) else np.asarray(given, np.float64)
    if values.ndim != 1:
        msg = (
            f"{name} has {values.ndim} dimensions; pass one value a perturbation, a DataFrame of perturbations × "
            "metrics, or a ScoreResult"
        )
        raise TypeError(msg)
    return Scores(name, (None,), (None,), ({BARE: Parts("mean", (values,))},))


def best_values(result: ScoreResult) -> dict[str, float | None]:
    """Best value of every metric, by its name in the results; None where the registry has none."""
    from vcmetrics.metrics import registry
    from vcmetrics.presets.preset import get_preset

    named = {m.output: m.metric for members in get_preset(result.preset).profiles.values() for m in members}
    return {shown: registry.get(named.get(shown, shown)).best for shown in result.directions}


def duplicates(labels: Sequence[Any]) -> list[str]:
    """Labels that occur more than once."""
    return sorted({str(x) for x in labels if labels.count(x) > 1})


def aligned(sides: Sequence[Scores]) -> list[Scores]:
    """The sides with their perturbations in the order of the first.

    Raises
    ------
    DataError
        If they are of different contexts, perturbations or metrics.
    """
    first = sides[0]
    return [first, *(_like(first, other) for other in sides[1:])]


def _like(first: Scores, other: Scores) -> Scores:
    if first.contexts != other.contexts:
        msg = f"{first.name} and {other.name} are of different contexts; score the same data"
        raise DataError(msg)
    odd = sorted(set(first.metrics) ^ set(other.metrics))
    if odd:
        msg = f"{first.name} and {other.name} hold different metrics ({some(odd)}); score both by one rule set"
        raise DataError(msg)
    made = []
    for mine, theirs, parts in zip(first.labels, other.labels, other.parts, strict=True):
        if (mine is None) != (theirs is None):
            msg = (
                f"{first.name} and {other.name}: one has labels and the other has none; pass both as Series, or neither"
            )
            raise DataError(msg)
        if mine is None or theirs is None:
            n, m = (_length(p) for p in (first.parts[0], parts))
            if n != m:
                msg = f"{first.name} has {n} values, {other.name} {m}; pass one a perturbation, in the same order"
                raise DataError(msg)
            made.append(parts)
            continue
        if set(mine) != set(theirs):
            names = sorted(map(str, set(mine) ^ set(theirs)))
            msg = f"{first.name} and {other.name} are of different perturbations ({some(names)}); score the same data"
            raise DataError(msg)
        place = {label: k for k, label in enumerate(theirs)}
        rows = np.array([place[label] for label in mine], np.int64)
        made.append({metric: part.take(rows) for metric, part in parts.items()})
    return Scores(other.name, first.contexts, first.labels, tuple(made), other.values, other.better)


def _length(parts: dict[str, Parts]) -> int:
    return next((p.columns[0].size for p in parts.values() if p.columns), 0)


def n_rows(scores: Scores, context: int) -> int:
    """Number of perturbations of a context."""
    labels = scores.labels[context]
    return len(labels) if labels is not None else _length(scores.parts[context])


def aggregate_of_side(scores: Scores, metric: str) -> float:
    """Panel value: as the result has it, else the mean over the defined perturbations."""
    if metric in scores.values:
        return scores.values[metric]
    found = []
    for parts in scores.parts:
        part = parts[metric]
        found.append(ratio_of_sums(*part.columns)[0] if part.kind == "ratio_of_sums" else mean(part.columns[0]))
    return float(np.mean(found))
