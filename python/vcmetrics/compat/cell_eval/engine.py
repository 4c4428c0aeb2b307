"""Between cell-eval's objects and the passes and formulas of this package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics import registry
from vcmetrics.metrics.cells import CellPair, CellSide
from vcmetrics.metrics.pair import Pair, Profiles
from vcmetrics.presets.preset import Member
from vcmetrics.scoring.compare import Gathered, gather_pair, metric_values
from vcmetrics.scoring.evaluate import Needs, SideInput
from vcmetrics.scoring.jobs import data_jobs, embedding_profiles
from vcmetrics.scoring.settings import Settings, resolve_settings
from vcmetrics.sources.cells import Cells

# values are taken as they are, whatever they look like
AS_THEY_ARE = {"input_type": "counts", "check_values": False, "discrete": True, "max_counts_per_cell": None}


def settings_of(overrides: Mapping[str, Any] | None = None, n_threads: int | None = None) -> Settings:
    """The rules of cell-eval with some of them changed; no metric is chosen yet."""
    return resolve_settings(
        "cell-eval",
        None,
        (),
        overrides=overrides,
        target_map=None,
        embed_key=None,
        arithmetic="f64",
        n_threads=n_threads,
        progress=None,
    )


class Embeddings(Mapping[str, tuple[Profiles, Profiles]]):
    """Profiles of the embeddings by name, made when one is asked for."""

    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        self._made: dict[str, tuple[Profiles, Profiles]] = {}

    def __getitem__(self, key: str) -> tuple[Profiles, Profiles]:
        if key not in self._made:
            self._made[key] = self._sides.embedding(key)
        return self._made[key]

    def __contains__(self, key: object) -> bool:
        return key in self._sides.real_cells.obsm_keys() and key in self._sides.pred_cells.obsm_keys()

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._sides.real_cells.obsm_keys() if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True)
class Sides:
    """Two sides, checked and ready for the pass."""

    real_cells: Cells
    pred_cells: Cells
    real: SideInput
    pred: SideInput
    genes: NDArray[Any]
    settings: Settings

    @classmethod
    def of(cls, real: Cells, pred: Cells, pert_col: str, control: str, settings: Settings) -> Sides:
        """Check labels, genes and values."""
        (job,) = data_jobs(real, pred, pert_col, control, None, settings, None)
        assert isinstance(job.real, SideInput)
        return cls(real, pred, job.real, job.pred, job.genes, settings)

    def gather(self, *, de: bool) -> Gathered:
        """Pass over both sides; the pair knows its single cells and embeddings."""
        needs = Needs(profiles=True, correction=False, de=de)
        got = gather_pair(self.real, self.pred, self.genes, self.settings, needs, cells=self.cells)
        return replace(got, pair=replace(got.pair, embeddings=Embeddings(self)))

    def cells(self) -> CellPair:
        """Single cells of both sides."""

        def side(cells: Cells, one: SideInput) -> CellSide:
            s = one.side
            return CellSide(s.rows, s.groups, s.totals, one.kind, one.target_sum, one.name, cells.obsm)

        return CellPair(side(self.real_cells, self.real), side(self.pred_cells, self.pred), self.settings.n_threads)

    def embedding(self, key: str) -> tuple[Profiles, Profiles]:
        """Group means of one embedding: (prediction, reality)."""
        real, pred = self.real.side.groups, self.pred.side.groups
        return embedding_profiles(self.real_cells, self.pred_cells, real, pred, key, self.settings)


@dataclass(frozen=True)
class Measured:
    """A pair and the rules it is measured by."""

    pair: Pair
    settings: Settings
    single: bool

    def values(self, metric: str, **parameters: Any) -> dict[str, float]:
        """Perturbation → value, those without a row left out."""
        name = registry.get(metric).name
        chosen = replace(self.settings, members=(Member(name, name, parameters),))
        by_metric, *_ = metric_values(self.pair, chosen, single=self.single)
        found = np.ma.asarray(by_metric[name])
        data, gone = found.data.tolist(), np.ma.getmaskarray(found).tolist()
        return {p: float(v) for p, v, g in zip(self.pair.perturbations, data, gone, strict=True) if not g}

    def value(self, metric: str, **parameters: Any) -> float:
        """The one number of a metric that has the same value for every perturbation."""
        return next(iter(self.values(metric, **parameters).values()), float("nan"))


@dataclass(frozen=True)
class Passed:
    """The pass over a pair of sides, made once when something is asked of it."""

    sides: Sides
    de: bool = False

    @cached_property
    def gathered(self) -> Gathered:
        """Profiles, and DE tables where wanted."""
        return self.sides.gather(de=self.de)

    @cached_property
    def measured(self) -> Measured:
        """The pair with its rules."""
        return Measured(self.gathered.pair, self.sides.settings, self.gathered.single)
