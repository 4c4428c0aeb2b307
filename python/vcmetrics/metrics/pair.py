"""What a metric sees: two sides, aligned."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.summary.de_table import DETable

T = TypeVar("T")


def no_rows(n: int) -> NDArray[np.float64]:
    """``n`` values without a row, to be set where there is one: (n,) masked array of NaN."""
    return np.ma.array(np.full(n, np.nan), mask=np.ones(n, np.bool_))


@dataclass(frozen=True)
class Profiles:
    """One side's groups × genes table in one space, perturbations in the pair's order.

    ``mean`` is (n_perturbations, n_genes), ``control`` (n_genes,): the control profile that this side's
    effects are taken against (under a shared control, the observed one). ``correction`` is the sampling
    variance of each profile, summed over all genes: the delete-one jackknife (log of sums) or tr(Σ)/n
    (means of logs); None where no metric asked. ``variance`` (n_perturbations, n_genes) and ``control_variance`` are
    those of the cells in the profiles' space, divided by n - 1 (NaN for one cell), None where no metric asked or the
    space has none (logs of sums). ``n_cells`` and ``control_n_cells`` are None for tables of profiles.
    """

    mean: NDArray[np.float64]
    control: NDArray[np.float64]
    correction: NDArray[np.float64] | None = None
    control_correction: float | None = None
    n_cells: NDArray[np.int64] | None = None
    control_n_cells: int | None = None
    variance: NDArray[np.float64] | None = None
    control_variance: NDArray[np.float64] | None = None

    @property
    def effect(self) -> NDArray[np.float64]:
        """Perturbation minus control, (n_perturbations, n_genes)."""
        return self.mean - self.control


@dataclass(frozen=True)
class Training:
    """Observed profiles of the perturbations that a prediction was fitted on, the control left out.

    ``mean`` is (n_train, n_genes) over the pair's genes and in its space, ``n_cells`` (n_train,), ``control``
    (n_genes,) the profile of the training data's control cells.
    """

    labels: tuple[str, ...]
    mean: NDArray[np.float64]
    n_cells: NDArray[np.int64]
    control: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Batches:
    """The observed control of every batch, and how each perturbation's cells spread over the batches.

    ``control`` is (n_batches, n_genes), NaN where a batch holds no control cell; ``real_cells`` and ``pred_cells``
    are (n_perturbations, n_batches).
    """

    labels: tuple[str, ...]
    control: NDArray[np.float64]
    real_cells: NDArray[np.int64]
    pred_cells: NDArray[np.int64]


@dataclass(frozen=True)
class Pair:
    """Prediction and reality over the same genes and perturbations (control left out).

    ``own`` is the index of each perturbation's own target gene, -1 where it has none. Metrics that need
    single cells call ``cells`` (see ``metrics/cells.py``); it is None when only summaries are at hand.
    ``embeddings`` holds (prediction, reality). DE tables may list targets and genes in any order: metrics
    align them by name.
    """

    perturbations: tuple[str, ...]
    genes: NDArray[np.str_]
    own: NDArray[np.int64]
    real: Profiles | None = None
    pred: Profiles | None = None
    de_real: DETable | None = None
    de_pred: DETable | None = None
    # own target gene for DE: name per perturbation, None where unresolved among the tested genes
    own_de: tuple[str | None, ...] = ()
    cells: Callable[[], Any] | None = None
    embeddings: Mapping[str, tuple[Profiles, Profiles]] = field(default_factory=dict)
    target_sum: float | None = 5e4  # library size that the profiles are scaled to; None where unknown
    bulk: bool = True  # profiles are logs of sums (False: means of logs)
    train: Training | None = None
    batches: Batches | None = None
    # what several metrics share; never copied to a changed pair (init=False)
    _memo: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def n(self) -> int:
        """Number of perturbations."""
        return len(self.perturbations)

    def shared(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` returns, computed once for this pair and kept under ``key``."""
        if key not in self._memo:
            self._memo[key] = make()
        return cast("T", self._memo[key])

    def profiles(self, embedding: str | None = None) -> tuple[Profiles, Profiles]:
        """Prediction and reality, in this order; of an embedding where named."""
        if embedding is not None:
            if embedding not in self.embeddings:
                msg = f"embedding {embedding!r} is not at hand (have: {', '.join(self.embeddings) or 'none'})"
                raise DataError(msg)
            return self.embeddings[embedding]
        if self.pred is None or self.real is None:
            msg = "this metric needs the profiles of both sides; score with expression data"
            raise DataError(msg)
        return self.pred, self.real
