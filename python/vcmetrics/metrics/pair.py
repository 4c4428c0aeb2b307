"""What a metric sees: two sides, aligned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.summary.de_table import DETable


@dataclass(frozen=True)
class Profiles:
    """One side's groups × genes table in one space, perturbations in the pair's order.

    ``mean`` is (n_perturbations, n_genes), ``control`` (n_genes,): the control profile that this side's
    effects are taken against (under a shared control, the observed one). ``correction`` is the sampling
    variance of each profile, summed over all genes: the delete-one jackknife (log of sums) or tr(Σ)/n
    (means of logs); None where no metric asked.
    """

    mean: NDArray[np.float64]
    control: NDArray[np.float64]
    correction: NDArray[np.float64] | None = None
    control_correction: float | None = None

    @property
    def effect(self) -> NDArray[np.float64]:
        """Perturbation minus control, (n_perturbations, n_genes)."""
        return self.mean - self.control


@dataclass(frozen=True)
class Pair:
    """Prediction and reality over the same genes and perturbations (control left out).

    ``own`` is the index of each perturbation's own target gene, -1 where it has none. Metrics that need
    single cells call ``cells`` (see ``metrics/cells.py``); it is None when only summaries are at hand.
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
    target_sum: float = 5e4
    bulk: bool = True  # profiles are logs of sums (False: means of logs)

    @property
    def n(self) -> int:
        """Number of perturbations."""
        return len(self.perturbations)
