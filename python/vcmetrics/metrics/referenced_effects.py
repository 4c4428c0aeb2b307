"""Effects of a pair against a named reference: which observed profile is subtracted from both sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.pair import Pair, Training
from vcmetrics.summary.effect_reference import REFERENCES, effect_reference

Table = NDArray[np.float64]

_BY_CELLS = ("perturbed_mean_cells", "guide_count_mean")
_SEPARATOR = "+"  # joins the guides of one label


@dataclass(frozen=True)
class Effects:
    """Profiles of both sides and what is subtracted from them.

    Means are (n_perturbations, n_genes); bases (n_genes,) where one serves all rows, else (n_perturbations, n_genes),
    NaN where a row has none. Differences are formed row by row, so no table of them is kept.
    """

    pred_mean: Table
    real_mean: Table
    pred_base: Table
    real_base: Table

    def pred(self, rows: int | slice) -> Table:
        """Predicted effects of one row or of several."""
        return self.pred_mean[rows] - self._base(self.pred_base, rows)

    def real(self, rows: int | slice) -> Table:
        """Observed effects of one row or of several."""
        return self.real_mean[rows] - self._base(self.real_base, rows)

    def error(self, rows: int | slice) -> Table:
        """Predicted less observed effect; one reference for both sides cancels and is not even subtracted."""
        if self.pred_base is self.real_base and not np.isnan(self._base(self.real_base, rows)).any():
            return np.asarray(self.pred_mean[rows] - self.real_mean[rows])
        return self.pred(rows) - self.real(rows)

    @staticmethod
    def _base(base: Table, rows: int | slice) -> Table:
        return np.asarray(base if base.ndim == 1 else base[rows])


def referenced_effects(pair: Pair, reference: str = "control", *, leave_one_out: bool = True) -> Effects:
    """Effects of both sides against ``reference``.

    Parameters
    ----------
    pair
        Profiles of both sides; ``batches`` for ``batch_control``.
    reference
        A name of :mod:`vcmetrics.summary.effect_reference`.
    leave_one_out
        Leave a perturbation's own rows out of the mean that it is compared with.

    Returns
    -------
    Effects; nothing is copied.

    Raises
    ------
    DataError
        If the pair lacks what the reference is made of.

    Notes
    -----
    ``none`` subtracts nothing, ``control`` each side's control (under a shared control, the observed one).
    ``batch_control`` weighs the observed controls of the batches by the cells of the perturbation in them, each side's
    own; a predicted row without cells by batch is taken for a prediction of the observed cells.

    Perturbed means are means of observed profiles: of the training perturbations where the pair has them, and then
    scored perturbations enter none but their own training rows, which ``leave_one_out`` takes out again. Without
    training data they are means of the scored perturbations, whose truth is then inside: ``leave_one_out`` keeps each
    one out of its own reference; ``leave_one_out=False`` leaks 1/n of the truth into it, as studies do that average
    over all data.

    Examples
    --------
    >>> from vcmetrics.metrics.pair import Profiles
    >>> real = Profiles(np.array([[1.0, 0.0], [3.0, 2.0]]), np.array([1.0, 1.0]))
    >>> pair = Pair(("A", "B"), np.array(["g", "h"]), np.array([-1, -1]), real=real, pred=real)
    >>> referenced_effects(pair).real(0).tolist()
    [0.0, -1.0]
    >>> referenced_effects(pair, "perturbed_mean").real(0).tolist()
    [-2.0, -2.0]
    """

    def make() -> Effects:
        pred, real = pair.profiles()
        if reference == "control":
            shared = np.array_equal(pred.control, real.control)
            return Effects(pred.mean, real.mean, real.control if shared else pred.control, real.control)
        if reference == "batch_control":
            return Effects(pred.mean, real.mean, *batch_controls(pair))
        base = reference_profiles(pair, reference, leave_one_out=leave_one_out)
        return Effects(pred.mean, real.mean, base, base)

    return pair.shared(("referenced_effects", reference, leave_one_out), make)


def batch_controls(pair: Pair) -> tuple[Table, Table]:
    """The observed controls of the batches of every perturbation, weighted by predicted and by observed cells."""
    batches = pair.batches
    if batches is None:
        msg = "reference='batch_control' needs the control of every batch; score from cells with batch_col="
        raise DataError(msg)
    given = (batches.pred_cells > 0).any(axis=1, keepdims=True)
    composition = np.where(given, batches.pred_cells, batches.real_cells)
    bases = [
        effect_reference(
            "batch_control", np.empty((pair.n, 0)), batch_control=batches.control, batch_cells=np.asarray(cells)
        )
        for cells in (composition, batches.real_cells)
    ]
    return bases[0], bases[1]


def reference_profiles(pair: Pair, reference: str, *, leave_one_out: bool = True) -> Table:
    """The perturbed mean (or zero) that both sides' effects are taken against.

    Returns
    -------
    (n_genes,) where one profile serves all perturbations, else (n_perturbations, n_genes).
    """
    if reference not in REFERENCES:
        msg = f"reference {reference!r} is not known; choose from {', '.join(REFERENCES)}"
        raise ValueError(msg)
    _, real = pair.profiles()
    if reference == "none":
        return np.zeros(real.mean.shape[1])
    train = pair.train
    n_cells = real.n_cells if train is None else train.n_cells
    if reference in _BY_CELLS and n_cells is None:
        msg = f"reference={reference!r} weighs by cells, and a table of profiles has none; take 'perturbed_mean'"
        raise DataError(msg)
    if train is None:
        return effect_reference(
            reference,
            real.mean,
            real.control,
            n_cells=n_cells,
            labels=pair.perturbations,
            leave_one_out=leave_one_out,
            separator=_SEPARATOR,
        )
    if train.mean.shape[1] != real.mean.shape[1]:
        msg = f"the training profiles have {train.mean.shape[1]} genes, the scored ones {real.mean.shape[1]}"
        raise DataError(msg)
    control = real.control if train.control is None else train.control
    if reference == "guide_count_mean":
        return _by_guide_count(pair.perturbations, train, leave_one_out)
    return _training_mean(reference, pair.perturbations, train, control, leave_one_out)


def _training_mean(
    kind: str, labels: tuple[str, ...], train: Training, control: Table | None, leave_one_out: bool
) -> Table:
    """The mean of the training rows, without those of the perturbation itself where it is left out."""
    whole = effect_reference(kind, train.mean, control, n_cells=train.n_cells, leave_one_out=False)
    first = {label: r for r, label in reversed(list(enumerate(train.labels)))}
    seen = [k for k, label in enumerate(labels) if label in first]
    if not leave_one_out or not seen:
        return whole
    out = np.tile(whole, (len(labels), 1))
    own = effect_reference(kind, train.mean, control, n_cells=train.n_cells, labels=train.labels)
    out[seen] = own[[first[labels[k]] for k in seen]]
    return out


def _by_guide_count(labels: tuple[str, ...], train: Training, leave_one_out: bool) -> Table:
    """The cell-weighted mean of the training rows that join as many guides; NaN where there is none."""
    out = np.full((len(labels), train.mean.shape[1]), np.nan)
    counts = np.array([label.count(_SEPARATOR) for label in train.labels])
    for count in sorted({label.count(_SEPARATOR) for label in labels}):
        rows = np.flatnonzero(counts == count)
        if not rows.size:
            continue
        at = [k for k, label in enumerate(labels) if label.count(_SEPARATOR) == count]
        part = Training(tuple(train.labels[r] for r in rows), train.mean[rows], train.n_cells[rows])
        out[at] = _training_mean("perturbed_mean_cells", tuple(labels[k] for k in at), part, None, leave_one_out)
    return out
