"""Do predictions have the neighbours that the truths have? Similar perturbations by whitened components."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError, UnsuitedError
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.metrics.distance.numbers import not_negative, positive, whole
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import MetricSpec, Parity, Values, register
from vcmetrics.metrics.roc import average_precision, partial_roc_area, roc_area
from vcmetrics.reference import phenocopy as reference

Table = NDArray[np.float64]
MAX_FPR = 0.05


@dataclass(frozen=True)
class Screen:
    """Effects of the scored perturbations and, behind them, of the training ones that are not scored.

    ``pred`` holds observed training effects: a prediction says nothing of what it was fitted on.
    """

    labels: tuple[str, ...]
    n_scored: int
    real: Table
    pred: Table


def screen_of(pair: Pair) -> Screen:
    """Rows of both matrices, control subtracted."""
    pred, real = pair.profiles()
    train = pair.train
    if train is None:
        msg = "this metric asks training perturbations for their neighbours; score with the training data (--train)"
        raise DataError(msg)
    known = set(pair.perturbations)
    chosen = sorted((k for k, label in enumerate(train.labels) if label not in known), key=lambda k: train.labels[k])
    if not chosen:
        msg = "all training perturbations are scored ones; give training data that hold others"
        raise UnsuitedError(msg)
    seen = train.mean[chosen] - (real.control if train.control is None else train.control)
    labels = (*pair.perturbations, *(train.labels[k] for k in chosen))
    return Screen(labels, pair.n, np.concatenate([real.effect, seen]), np.concatenate([pred.effect, seen]))


def whitened(rows: Table, n_components: int, shrinkage: float) -> Table:
    """Principal components divided by the root of their shrunk variance.

    Parameters
    ----------
    rows
        (n, n_genes).
    n_components
        At most; n - 1 and n_genes are bounds too.
    shrinkage
        Share of the mean variance that each component's variance (n - 1) is mixed with.

    Returns
    -------
    (n, n_components); zero where all rows are equal.
    """
    centred = rows - rows.mean(0)
    _, s, axes = np.linalg.svd(centred, full_matrices=False)
    k = max(1, min(n_components, len(rows) - 1, rows.shape[1]))
    if s[0] <= 1e-13 * np.sqrt((rows**2).sum()):
        return np.zeros((len(rows), k))
    variance = s[:k] ** 2 / max(len(rows) - 1, 1)
    mixed = (1 - shrinkage) * variance + shrinkage * variance.mean()
    return products(centred, axes[:k]) / np.sqrt(np.where(mixed > 0, mixed, 1.0))


def products(x: Table, y: Table) -> Table:
    """Inner products of all rows, each summed in one order: equal rows have equal products, so that ties stay ties."""
    from vcmetrics import _core

    return np.asarray(
        _core.pairwise_sums(np.ascontiguousarray(x), np.ascontiguousarray(y), "product", None, resolve_threads(None))
    )


def cosines(rows: Table) -> Table:
    """Cosines of all pairs of rows; 0 with a zero row."""
    lengths = np.sqrt((rows**2).sum(1))
    unit = np.divide(rows, lengths[:, None], out=np.zeros_like(rows), where=lengths[:, None] > 0)
    return products(unit, unit)


def similarities(pair: Pair, n_components: int, shrinkage: float) -> tuple[Screen, Table, Table]:
    """The screen, and cosines of all its rows by observed and by predicted effects."""
    whole(1, n_components=n_components)
    not_negative(shrinkage=shrinkage)

    def make() -> tuple[Screen, Table, Table]:
        screen = screen_of(pair)
        real, pred = (cosines(whitened(t, n_components, shrinkage)) for t in (screen.real, screen.pred))
        return screen, real, pred

    return pair.shared(("similarities", n_components, shrinkage), make)


def similar(real: Table, queries: NDArray[np.int64], mads: float, *, pooled: bool) -> NDArray[np.bool_]:
    """Which rows are similar to each query: cosine above median + ``mads`` · MAD of its row (or of all such rows)."""
    rows = real[queries]
    if pooled:
        middle = np.median(rows)
        return np.asarray(rows > middle + mads * np.median(np.abs(rows - middle)))
    centre = np.median(rows, axis=1, keepdims=True)
    return np.asarray(rows > centre + mads * np.median(np.abs(rows - centre), axis=1, keepdims=True))


def phenocopy_auroc(
    pair: Pair, *, mads: float = 3.0, pooled: bool = False, n_components: int = 100, shrinkage: float = 0.5
) -> Values:
    """Do predictions find the scored perturbations that phenocopy a training perturbation?

    For each training perturbation the scored ones with an observed cosine above median + ``mads`` · MAD are positive;
    the predicted cosine ranks them. Mean area under the ROC curve over the training perturbations with both classes.

    Parameters
    ----------
    pair
        Profiles of both sides with their controls, and ``train``.
    mads
        PRESAGE reports 1 … 9.
    pooled
        Median and MAD over all training perturbations' rows, in place of each one's own.
    n_components, shrinkage
        Principal components, fitted on each side alone, whitened with variances mixed by this share with their mean.

    Returns
    -------
    (n_perturbations,), the same value in each, in [0, 1]; 1 is best, 0.5 is chance; NaN where no query has both
    classes.

    Notes
    -----
    Cost O(N² n_genes) for N scored and training perturbations.

    Examples
    --------
    Two scored perturbations, of which the first copies the training perturbation: 1 where its predicted cosine is
    larger.
    """
    positive(mads=mads)
    screen, real, pred = similarities(pair, n_components, shrinkage)
    queries = np.arange(screen.n_scored, len(screen.labels))
    yes = similar(real, queries, mads, pooled=pooled)[:, : screen.n_scored]
    areas = [roc_area(found, pred[q, : screen.n_scored]) for q, found in zip(queries, yes, strict=True)]
    return np.full(pair.n, mean_defined(areas))


def mean_defined(values: list[float]) -> float:
    """Mean without NaN; NaN where nothing is left."""
    kept = [v for v in values if not np.isnan(v)]
    return float(np.mean(kept)) if kept else float("nan")


def first(values: Table, k: int, names: NDArray[np.str_]) -> NDArray[np.int64]:
    """The ``k`` largest; of equals the first by name."""
    return np.asarray(np.lexsort((names, -values))[:k])


def phenocopy_recall(pair: Pair, *, top_k: int = 10, n_components: int = 100, shrinkage: float = 0.5) -> Values:
    """Share of the ``top_k`` scored perturbations most like a training perturbation that predictions put there too.

    Parameters
    ----------
    pair
        Profiles of both sides with their controls, and ``train``.
    top_k
        PRESAGE reports 5, 10, 20, 50 and 100; the number of scored perturbations where there are fewer.
    n_components, shrinkage
        As for :func:`phenocopy_auroc`.

    Returns
    -------
    (n_perturbations,), the same value in each: mean over the training perturbations, in [0, 1]; 1 is best, chance is
    top_k over the number of scored perturbations.

    Examples
    --------
    Five nearest by truth and by prediction have three in common: 0.6.
    """
    whole(1, top_k=top_k)
    screen, real, pred = similarities(pair, n_components, shrinkage)
    n = screen.n_scored
    names = np.array(screen.labels[:n], str)
    k = min(top_k, n)
    shares = []
    for q in range(n, len(screen.labels)):
        true, guess = (set(first(side[q, :n], k, names).tolist()) for side in (real, pred))
        shares.append(len(true & guess) / k)
    return np.full(pair.n, np.mean(shares))


def neighbours(pair: Pair, top_k: int, n_components: int, shrinkage: float, area: Callable[..., float]) -> Values:
    """``area(true neighbours, predicted neighbours)`` of every scored perturbation among all others."""
    whole(1, top_k=top_k)
    screen, real, pred = similarities(pair, n_components, shrinkage)
    size = len(screen.labels)
    names = np.array(screen.labels, str)
    k = min(top_k, size - 2)
    out = np.full(pair.n, np.nan)
    for i in range(pair.n if k > 0 else 0):
        others = np.delete(np.arange(size), i)
        hot = []
        for side in (real, pred):
            row = np.zeros(size - 1, np.bool_)
            row[first(side[i, others], k, names[others])] = True
            hot.append(row)
        out[i] = area(hot[0], hot[1].astype(np.float64))
    return out


_KNN = """{what} of the predicted among the true nearest neighbours of each scored perturbation.

    Neighbours are the ``top_k`` perturbations, scored or training, of largest cosine, found by observed and by
    predicted effects; a neighbour counts 1, all others 0.

    Parameters
    ----------
    pair
        Profiles of both sides with their controls, and ``train``.
    top_k
        Neighbours; PRESAGE reports 1, 2, 5, 10, 20, 50 and 100. At most all others but one.
    n_components, shrinkage
        As for :func:`phenocopy_auroc`.

    Returns
    -------
    (n_perturbations,), in [0, 1]; 1 is best{chance}; NaN with fewer than three perturbations in all.

    Examples
    --------
    Of 2 true neighbours among 4 others the prediction names 1, and 1 wrong one: {example}.
    """


def knn_row(name: str, area: Callable[..., float], what: str, chance: str, example: str) -> Callable[..., Values]:
    """The formula of one area of the neighbours."""

    def formula(pair: Pair, *, top_k: int = 10, n_components: int = 100, shrinkage: float = 0.5) -> Values:
        return neighbours(pair, top_k, n_components, shrinkage, area)

    formula.__name__ = formula.__qualname__ = name
    formula.__doc__ = _KNN.format(what=what, chance=chance, example=example)
    return formula


def recall(true: NDArray[np.bool_], guess: Values) -> float:
    """Share of the true neighbours that are named."""
    return float(guess[true].sum() / true.sum())


def partial(true: NDArray[np.bool_], guess: Values) -> float:
    """Area up to a false positive rate of 0.05."""
    return partial_roc_area(true, guess, MAX_FPR)


_SPACE: dict[str, Any] = {"n_components": 100, "shrinkage": 0.5}
_LAWS = ("gene_order", "perturbation_order", "scale_degree_0", "common_shift")
_FITTED = (
    "Components are fitted on each side alone, so a value depends on which perturbations are scored together.",
    "Training rows of the predicted side are the observed ones: a prediction is not asked about what it has seen.",
)
_SOURCE = "PRESAGE (4dc6d59), {}; ties by name here"
for _name, _formula, _more, _best, _chance, _definition, _pitfalls, _what in (
    ("phenocopy_auroc", phenocopy_auroc, {"mads": 3.0, "pooled": False}, 1.0, 0.5,
     "mean over training t of the AUROC of ĉos(t, p) for cos(t, p) > median + m · MAD",
     ("Queries without a positive among the scored perturbations drop out: their number falls with mads.",),
     "phenocopy AUROC"),
    ("phenocopy_recall", phenocopy_recall, {"top_k": 10}, 1.0, None,
     "mean over training t of |top_k by cos(t, ·) ∩ top_k by ĉos(t, ·)| / k",
     ("Is 1 for everything where top_k reaches the number of scored perturbations.",), "phenocopy recall"),
):  # fmt: skip
    register(
        MetricSpec(
            name=_name,
            family="phenocopy",
            needs=frozenset({"profiles", "train"}),
            better="higher",
            best=_best,
            chance=_chance,
            bounds=(0.0, 1.0),
            definition=_definition,
            formula=_formula,
            reference=getattr(reference, _name),
            defaults=MappingProxyType({**_more, **_SPACE}),
            invariants=_LAWS,
            panel="whole",
            parity=Parity(rtol=1e-9, atol=1e-9),
            source=_SOURCE.format(_what),
            pitfalls=(*_pitfalls, *_FITTED),
        )
    )
for _name, _area, _words, _chance, _tail, _example in (
    ("knn_recall", recall, "Share", None, "", "1/2"),
    ("knn_average_precision", average_precision, "Average precision", None, "", "1/2 · 1/2 + 1/2 · 2/4 = 1/2"),
    ("knn_auroc", roc_area, "Area under the ROC curve", 0.5, ", 0.5 is chance", "1/2"),
    ("knn_partial_auroc", partial, "Area under the ROC curve up to a false positive rate of 0.05", 0.5,
     ", 0.5 is chance", "1/2"),
):  # fmt: skip
    register(
        MetricSpec(
            name=_name,
            family="phenocopy",
            needs=frozenset({"profiles", "train"}),
            better="higher",
            best=1.0,
            chance=_chance,
            bounds=(0.0, 1.0),
            definition=f"{_words.lower().replace('roc', 'ROC')} of the predicted for the true top_k neighbours of p",
            formula=knn_row(_name, _area, _words, _tail, _example),
            reference=getattr(reference, _name),
            defaults=MappingProxyType({"top_k": 10, **_SPACE}),
            invariants=_LAWS,
            parity=Parity(rtol=1e-9, atol=1e-9),
            source=_SOURCE.format("kNN recovery"),
            pitfalls=("Neighbours count 1 and others 0: a near miss is worth nothing.", *_FITTED),
        )
    )
