"""Predictions without a model, to be scored like any other: ``vcm.baselines``.

Every function takes the test data, whose perturbations are to be predicted, and the arguments of :func:`make`; training
data are given apart (``train=``), so that no truth leaks. The result is AnnData: cells by default, or one profile a
perturbation (``emit="profiles"``); ``uns["baseline"]`` says what it was made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from vcmetrics.baselines.duplicates import halves
from vcmetrics.baselines.make import KINDS, make

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = [
    "KINDS",
    "additive",
    "cell_type_transfer",
    "halves",
    "interpolated_duplicate",
    "linear_pca",
    "make",
    "matching_mean",
    "nearest_by_depth",
    "no_change",
    "oracle",
    "perturbed_mean",
    "random_perturbation",
    "technical_duplicate",
]


class Arguments(TypedDict, total=False):
    """Arguments of :func:`make` that all baselines share."""

    train: Any
    pert_col: str | None
    control: str
    context_col: str | None
    batch_col: str | None
    layer: str | None
    space: str
    target_sum: float
    separator: str
    leave_one_out: bool
    emit: str
    n_cells: int | None
    seed: int
    device: str
    n_threads: int | None


def no_change(real: Any, **how: Unpack[Arguments]) -> AnnData:
    """Predict the control of the test data: nothing happens. ``how`` as :func:`make`."""
    return make("no-change", real, **how)


def perturbed_mean(real: Any, *, weights: str = "perturbations", **how: Unpack[Arguments]) -> AnnData:
    """Predict one profile for all, the mean over the training perturbations.

    ``weights="perturbations"`` counts each perturbation once, ``"cells"`` by its cells (the mean perturbed cell): the
    two differ. ``how`` as :func:`make`. Where every perturbation is left out of its own mean, that mean points away
    from its truth, and match ranks fall below chance; pass ``train``.
    """
    return make("perturbed-mean", real, weights=weights, **how)


def matching_mean(real: Any, **how: Unpack[Arguments]) -> AnnData:
    """Predict for a combination the mean of the profiles of its single parts, as Systema does.

    A part that was not seen counts as the mean perturbed cell. ``how`` as :func:`make`.
    """
    return make("matching-mean", real, **how)


def additive(real: Any, **how: Unpack[Arguments]) -> AnnData:
    """Predict the control plus the effects of the single parts; a part that was not seen adds nothing.

    ``how`` as :func:`make`.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"p": ["c", "A", "B", "A+B"]}, index=list("wxyz"))
    >>> cells = anndata.AnnData(np.array([[1.0, 1], [3, 1], [1, 4], [9, 9]]), obs=obs)
    >>> made = additive(cells, pert_col="p", control="c", space="mean", emit="profiles")
    >>> made.to_df().loc["A+B"].tolist(), made.to_df().loc["A"].tolist()
    ([3.0, 4.0], [1.0, 1.0])
    """
    return make("additive", real, **how)


def cell_type_transfer(real: Any, **how: Unpack[Arguments]) -> AnnData:
    """Predict the control of the cell type plus the effect seen in the others, averaged by cells, as TxPert does.

    A combination that was seen gives its own effect, else its parts' are added up; the mean effect of all single
    perturbations stands for an unseen part. Training cells of the very cell type are not used. ``how`` as
    :func:`make`; ``context_col`` is needed.
    """
    return make("cell-type-transfer", real, **how)


def linear_pca(
    real: Any,
    *,
    n_components: int = 10,
    ridge: float = 0.1,
    target_map: Mapping[str, str | None] | None = None,
    **how: Unpack[Arguments],
) -> AnnData:
    """Predict by Y ≈ G W P + b with ridge, the linear model of Ahlmann-Eltze, Huber and Anders.

    G are principal component scores of the genes over the training profiles, P those of the perturbed gene. A target
    that is not measured has no embedding and gets b; parts of a combination are added up (ours; the source predicts
    neither). ``how`` as :func:`make`.
    """
    options: dict[str, Any] = {"n_components": n_components, "ridge": ridge, "target_map": target_map}
    return make("linear-pca", real, **options, **how)


def random_perturbation(real: Any, **how: Unpack[Arguments]) -> AnnData:
    """Predict the profile of another perturbation, drawn at random by ``seed``. ``how`` as :func:`make`."""
    return make("random-perturbation", real, **how)


def nearest_by_depth(real: Any, *, n_neighbors: int = 1, **how: Unpack[Arguments]) -> AnnData:
    """Predict the profile of the other perturbation that is most alike in number and median depth of cells.

    What it scores is what can be had without knowing the perturbation: both numbers are known of a test perturbation
    before its profile is. ``how`` as :func:`make`.
    """
    return make("nearest-by-depth", real, n_neighbors=n_neighbors, **how)


def technical_duplicate(real: Any, **how: Unpack[Arguments]) -> AnnData:
    """Predict half of the cells by the other half; :func:`halves` with the same seed gives the truth beside it.

    ``how`` as :func:`make`.
    """
    return make("technical-duplicate", real, **how)


def interpolated_duplicate(real: Any, **how: Unpack[Arguments]) -> AnnData:
    """Predict ``(1 - π) · duplicate + π · mean``, the Shift study's ceiling.

    π are adjusted p-values of each perturbation against all other perturbed cells (t-test with overestimated variance,
    on log-normalised counts), computed on the duplicate's half alone; the mean is that of ``train``, else of the same
    half. Score it against the other half (:func:`halves`). ``how`` as :func:`make`.
    """
    return make("interpolated-duplicate", real, **how)


def oracle(real: Any, **how: Unpack[Arguments]) -> AnnData:
    """Predict the truth: what a perfect model scores by a rule set. ``how`` as :func:`make`."""
    return make("oracle", real, **how)
