"""What each baseline predicts, from tables of profiles: plain formulas, one perturbation at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.sources.genes import some
from vcmetrics.summary.effect_reference import weighted_means

Floats = NDArray[np.float64]
Key = tuple[str, ...]  # the parts of a label, sorted


@dataclass(frozen=True)
class Source:
    """Profiles that a baseline may use, the control apart: training data, or what is left of the test data.

    ``mean`` is (n_rows, n_genes), ``n_cells`` and ``depth`` (median total of the cells) (n_rows,); ``keys`` are the
    parts of each row's label and ``contexts`` its cell type. ``controls`` holds the control profile of every context.
    """

    labels: tuple[str, ...]
    keys: tuple[Key, ...]
    contexts: tuple[str, ...]
    mean: Floats
    n_cells: NDArray[np.int64]
    depth: Floats
    controls: Mapping[str, Floats]
    genes: NDArray[Any]

    def take(self, rows: NDArray[np.bool_]) -> Source:
        """Some of the rows."""
        at = np.flatnonzero(rows).tolist()
        return replace(
            self,
            labels=tuple(self.labels[k] for k in at),
            keys=tuple(self.keys[k] for k in at),
            contexts=tuple(self.contexts[k] for k in at),
            mean=self.mean[at],
            n_cells=self.n_cells[at],
            depth=self.depth[at],
        )

    @property
    def control(self) -> Floats:
        """The one control profile of a source of one context."""
        (profile,) = {c: self.controls[c] for c in self.contexts}.values()
        return profile

    def where(self) -> dict[Key, int]:
        """Row of each combination of parts."""
        return {key: row for row, key in enumerate(self.keys)}


@dataclass(frozen=True)
class Asked:
    """One perturbation to predict, and what a screen tells before its profile is seen."""

    label: str
    key: Key
    n_cells: int
    depth: float


Predictor = Callable[[Asked], Floats]


def parts_of(label: str, separator: str, control: str) -> Key:
    """Single perturbations that a label joins, sorted, without the control's name.

    Examples
    --------
    >>> parts_of("SET+KLF1", "+", "ctrl"), parts_of("KLF1+ctrl", "+", "ctrl")
    (('KLF1', 'SET'), ('KLF1',))
    """
    found = tuple(sorted(p for p in label.split(separator) if p not in (control, "ctrl"))) if separator else (label,)
    return found or (label,)


def average(source: Source, weights: str) -> Floats:
    """Mean of the rows, each counted once (``perturbations``) or by its cells (``cells``)."""
    by = source.n_cells.astype(np.float64) if weights == "cells" else np.ones(len(source.labels))
    return weighted_means(source.mean, by, source.labels, False, None)


def no_change(source: Source, base: Floats) -> Predictor:
    """The control, whatever is asked."""
    return lambda _: base


def perturbed_mean(source: Source, base: Floats, *, weights: str = "perturbations") -> Predictor:
    """One profile for all: the mean over the source."""
    mean = average(source, weights)
    return lambda _: mean


def matching_mean(source: Source, base: Floats) -> Predictor:
    """Plain mean over the parts: the seen ones' own profiles, the mean perturbed cell for the others."""
    at, fallback = source.where(), average(source, "cells")

    def predict(asked: Asked) -> Floats:
        rows = [source.mean[at[part,]] if (part,) in at else fallback for part in asked.key]
        return np.asarray(np.mean(rows, axis=0))

    return predict


def additive(source: Source, base: Floats) -> Predictor:
    """Control plus the effects of the single parts; parts that were not seen add nothing."""
    at, control = source.where(), source.control if source.labels else base

    def predict(asked: Asked) -> Floats:
        out = base.copy()
        for part in asked.key:
            if (part,) in at:
                out += source.mean[at[part,]] - control
        return out

    return predict


def cell_type_transfer(source: Source, base: Floats) -> Predictor:
    """Control of the test's cell type plus the effect seen in other cell types, averaged by cells.

    A combination that was seen as such gives its own effect; else its parts' are added up, and the mean effect of all
    single perturbations stands for a part that was not seen.
    """
    delta = source.mean - np.array([source.controls[c] for c in source.contexts])
    weight = source.n_cells.astype(np.float64)
    rows: dict[Key, list[int]] = {}
    for row, key in enumerate(source.keys):
        rows.setdefault(key, []).append(row)
    singles = [row for row, key in enumerate(source.keys) if len(key) == 1] or list(range(len(source.keys)))

    def mean_of(chosen: list[int]) -> Floats:
        return np.asarray(np.einsum("i,ij->j", weight[chosen], delta[chosen]) / weight[chosen].sum())

    everywhere = mean_of(singles)

    def predict(asked: Asked) -> Floats:
        if asked.key in rows:
            return np.asarray(base + mean_of(rows[asked.key]))
        return np.asarray(
            base + np.sum([mean_of(rows[part,]) if (part,) in rows else everywhere for part in asked.key], axis=0)
        )

    return predict


def linear_pca(
    source: Source,
    base: Floats,
    *,
    n_components: int = 10,
    ridge: float = 0.1,
    target_map: Mapping[str, str | None] | None = None,
) -> Predictor:
    """Effects as a bilinear form of the embeddings of the read gene and of the perturbed gene.

    Y ≈ G W P + b: Y (n_genes × perturbations) effects against the control, G principal component scores of the genes
    over the training profiles (control among them), P the scores of the perturbed gene (0 for the control), b the mean
    of Y's columns, W = (GᵀG + λI)⁻¹ Gᵀ (Y - b) Pᵀ (PPᵀ + λI)⁻¹.
    """
    column = {str(gene): k for k, gene in enumerate(source.genes)}
    control = source.control
    profiles = np.vstack([source.mean, control])
    centred = profiles - profiles.mean(axis=1, keepdims=True)
    _, size, axes = np.linalg.svd(centred, full_matrices=False)
    kept = min(n_components, int((size > size[0] * 1e-12).sum()))
    genes = axes[:kept].T * size[:kept]

    def embedding(key: Key) -> Floats | None:
        named = [part if target_map is None else target_map.get(part, part) for part in key]
        found = [column[name] for name in named if name is not None and name in column]
        return genes[found].sum(axis=0) if found else None

    embedded = [embedding(key) for key in source.keys]
    used = [row for row, vector in enumerate(embedded) if vector is not None]
    if not used:
        msg = (
            f"no training perturbation is the name of a measured gene (perturbations: {some(source.labels)}), so the "
            "linear model has no embedding of them; pass target_map={label: gene} (command line: --target-map)"
        )
        raise DataError(msg)
    left = np.vstack([*(embedded[row] for row in used), np.zeros(kept)])  # type: ignore[list-item]
    effects = np.vstack([source.mean[used] - control, np.zeros(control.size)])
    centre = effects.mean(axis=0)
    eye = ridge * np.eye(kept)
    inner = np.linalg.solve(genes.T @ genes + eye, genes.T @ (effects - centre).T @ left)
    weights = np.linalg.solve(left.T @ left + eye, inner.T).T

    def predict(asked: Asked) -> Floats:
        vector = embedding(asked.key)
        return np.asarray(base + centre + (0.0 if vector is None else genes @ (weights @ vector)))

    return predict


def random_perturbation(source: Source, base: Floats, *, rng: np.random.Generator) -> Predictor:
    """The profile of another perturbation, drawn at random."""

    def predict(asked: Asked) -> Floats:
        others = [row for row, key in enumerate(source.keys) if key != asked.key]
        if not others:
            msg = f"there is no perturbation besides {asked.label!r} to draw from"
            raise DataError(msg)
        return np.asarray(source.mean[others[int(rng.integers(len(others)))]])

    return predict


def nearest_by_depth(source: Source, base: Floats, *, n_neighbors: int = 1) -> Predictor:
    """The profile (or mean of ``n_neighbors`` profiles) of the most similar other rows in number and depth of cells.

    Distance: Euclid of log cell number and log median total, each divided by its standard deviation over the source.
    """
    known = np.log(np.stack([source.n_cells, np.maximum(source.depth, 1e-300)], 1).astype(np.float64))
    spread = known.std(axis=0)
    spread[spread == 0.0] = 1.0

    def predict(asked: Asked) -> Floats:
        own = np.log([asked.n_cells, max(asked.depth, 1e-300)])
        away = np.sqrt((((known - own) / spread) ** 2).sum(axis=1))
        others = np.array([row for row, key in enumerate(source.keys) if key != asked.key], np.int64)
        if others.size < n_neighbors:
            msg = (
                f"{asked.label!r} has {others.size} other perturbations beside it; n_neighbors={n_neighbors} needs more"
            )
            raise DataError(msg)
        chosen = others[np.argsort(away[others], kind="stable")[:n_neighbors]]
        return np.asarray(source.mean[chosen].mean(axis=0))

    return predict


def interpolated(duplicate: Floats, p_adjusted: Floats, mean: Floats) -> Floats:
    """``(1 - π) · duplicate + π · mean``; π that is NaN counts as 1.

    Examples
    --------
    >>> interpolated(np.array([1.0, 1.0, 1.0]), np.array([0.0, 0.5, np.nan]), np.array([3.0, 3.0, 3.0])).tolist()
    [1.0, 2.0, 3.0]
    """
    share = np.where(np.isnan(p_adjusted), 1.0, p_adjusted)
    return np.asarray((1.0 - share) * duplicate + share * mean)
