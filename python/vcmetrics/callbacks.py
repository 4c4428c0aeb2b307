"""Scores during training: predictions batch by batch, in a plain loop or as a callback of Lightning.

Nothing here imports a framework before it is used, and none is needed for :class:`Collector`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.backend.host import host_table
from vcmetrics.scoring.profile_reference import Reference, detached

__all__ = ["Collector", "evaluate", "lightning_callback"]


class Collector:
    """Predictions of an epoch, added up by perturbation as they come; no batch is kept.

    Parameters
    ----------
    reference
        What they are scored against.
    counts
        Predictions are cells of raw counts; otherwise profiles, or log-normalised cells to be averaged.

    Attributes
    ----------
    sums, cells
        (n_codes, n_genes) and (n_codes,) float64 by code, control rows last. Those of several workers may be added up.

    Examples
    --------
    >>> from vcmetrics import Reference, datasets
    >>> demo = datasets.demo()
    >>> ref = Reference(demo.path, pert_col=demo.pert_col, control=demo.control, metrics=["expr_mae"])
    >>> collected = Collector(ref)
    >>> for code in range(len(ref.perturbations)):
    ...     collected.update(ref.profiles[[code]], [code])
    >>> collected.compute()
    {'expr_mae': 0.0}
    """

    def __init__(self, reference: Reference, *, counts: bool = False) -> None:
        self.reference = reference
        self.counts = counts
        shape = (reference.n_codes, len(reference.genes))
        self.sums: NDArray[np.float64] = np.zeros(shape)
        self.cells: NDArray[np.float64] = np.zeros(shape[0])

    def reset(self) -> None:
        """Forget what was collected."""
        self.sums[...] = 0.0
        self.cells[...] = 0.0

    def update(self, x: Any, codes: Any) -> None:
        """Take in a batch, as :meth:`vcmetrics.Reference.score_arrays` takes ``x`` and ``codes``."""
        rows = host_table(detached(x), "x", what="Collector.update")
        if rows.shape[1] != len(self.reference.genes):
            msg = f"x has {rows.shape[1]} genes, the reference has {len(self.reference.genes)}"
            raise ValueError(msg)
        found = self.reference.as_codes(codes, len(rows))
        order = np.argsort(found, kind="stable")
        for code in np.unique(found):
            mine = order[np.searchsorted(found[order], code) : np.searchsorted(found[order], code, "right")]
            self.sums[code] += rows[mine].sum(axis=0, dtype=np.float64)
            self.cells[code] += mine.size

    def compute(self, *, per_perturbation: bool = False) -> dict[str, Any]:
        """Score what was collected, as :meth:`vcmetrics.Reference.score_arrays` returns it."""
        there = np.flatnonzero(self.cells)
        rows = self.sums[there] if self.counts else self.sums[there] / self.cells[there, None]
        return self.reference.score_arrays(rows, there, counts=self.counts, per_perturbation=per_perturbation)


def evaluate(
    model: Any,
    batches: Iterable[Any],
    reference: Reference,
    predict: Callable[[Any, Any], tuple[Any, Any]],
    *,
    counts: bool = False,
) -> dict[str, Any]:
    """Score a PyTorch model over some batches, without gradients.

    Parameters
    ----------
    model
        A ``torch.nn.Module``; put into evaluation mode for the time, and back.
    batches
        A ``DataLoader``, or anything that yields batches.
    reference
        What predictions are scored against.
    predict
        ``predict(model, batch)`` → predictions (n_rows × n_genes, in host memory: ``.cpu()``) and their codes or
        labels.
    counts
        As in :class:`Collector`.

    Returns
    -------
    Metric → value.

    Raises
    ------
    ImportError
        If PyTorch is not installed.

    Examples
    --------
    ::

        ref = vcmetrics.Reference("real.h5ad", metrics=["delta_pearson", "pds_cosine"])
        codes = torch.from_numpy(ref.codes(labels))
        loader = DataLoader(TensorDataset(inputs, codes), batch_size=256)
        for epoch in range(100):
            train(model)
            scores = evaluate(model, loader, ref, lambda model, batch: (model(batch[0]).cpu(), batch[1]))
            print(epoch, scores["pds_cosine"])
    """
    torch = _framework("torch")
    collected = Collector(reference, counts=counts)
    was_training = bool(getattr(model, "training", False))
    model.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                collected.update(*predict(model, batch))
    finally:
        model.train(was_training)
    return collected.compute()


def lightning_callback(
    reference: Reference,
    predict: Callable[[Any, Any, Any], tuple[Any, Any]],
    *,
    counts: bool = False,
    every_n_epochs: int = 1,
    prefix: str = "val/",
) -> Any:
    """Make a callback of Lightning that logs scores at the end of every validation.

    Parameters
    ----------
    reference
        What predictions are scored against.
    predict
        ``predict(module, outputs, batch)`` → predictions (n_rows × n_genes, in host memory) and their codes or labels;
        ``outputs`` is what ``validation_step`` returned.
    counts
        As in :class:`Collector`.
    every_n_epochs
        Score only every n-th epoch.
    prefix
        Of the logged names: ``val/pds_cosine``.

    Returns
    -------
    A ``lightning.pytorch.Callback`` (or one of ``pytorch_lightning``) for ``Trainer(callbacks=[…])``. Under several
    processes their predictions are added up before anything is scored; rows that a distributed sampler repeats to give
    all processes as many count twice.

    Raises
    ------
    ImportError
        If neither package is installed.

    Examples
    --------
    ::

        watch = lightning_callback(ref, lambda module, outputs, batch: (outputs["profile"].cpu(), batch["code"]))
        Trainer(callbacks=[watch, ModelCheckpoint(monitor="val/pds_cosine", mode="max")])
    """
    if every_n_epochs < 1:
        msg = f"every_n_epochs must be 1 or more, not {every_n_epochs!r}"
        raise ValueError(msg)
    base: Any = _framework("lightning.pytorch", "pytorch_lightning").Callback

    class ProfileScores(base):  # type: ignore[misc]
        """Collects predictions of a validation, scores and logs them."""

        def __init__(self) -> None:
            super().__init__()
            self.collected = Collector(reference, counts=counts)

        def __reduce__(self) -> tuple[Any, ...]:
            """Made anew where it is unpickled: trainers that start processes send their callbacks along."""
            how: dict[str, Any] = {"counts": counts, "every_n_epochs": every_n_epochs, "prefix": prefix}
            return partial(lightning_callback, reference, predict, **how), ()

        @staticmethod
        def _due(trainer: Any) -> bool:
            return not trainer.sanity_checking and trainer.current_epoch % every_n_epochs == 0

        def on_validation_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            self.collected.reset()

        def on_validation_batch_end(
            self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
        ) -> None:
            if self._due(trainer):
                self.collected.update(*predict(pl_module, outputs, batch))

        def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            if not self._due(trainer):
                return
            if trainer.world_size > 1:
                _add_up(self.collected, pl_module)
            values = self.collected.compute()
            # every process has the same numbers now, so there is nothing to reduce
            pl_module.log_dict({prefix + name: value for name, value in values.items()}, rank_zero_only=True)

    return ProfileScores()


def _add_up(collected: Collector, module: Any) -> None:
    """Replace what one process collected by the sum over all of them."""
    torch = _framework("torch")
    for array in (collected.sums, collected.cells):
        parts = module.all_gather(torch.from_numpy(array.copy()))
        array[...] = np.asarray(parts.sum(0).cpu())


def _framework(*names: str) -> Any:
    for name in names:
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):  # it is there, but lacks something
                raise
    msg = f"this needs {' or '.join(names)}, which is not installed; pip install {names[0].partition('.')[0]}"
    raise ImportError(msg)
