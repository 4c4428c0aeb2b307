"""``PerturbationAnndataPair``: prediction and reality as cell-eval's own and its users' metrics see them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from vcmetrics.compat.cell_eval.engine import AS_THEY_ARE, Measured, Passed, Sides, settings_of
from vcmetrics.metrics.pair import Profiles
from vcmetrics.scoring.evaluate import SideInput
from vcmetrics.sources import open_cells
from vcmetrics.summary.single_precision import log_normalised

if TYPE_CHECKING:
    from anndata import AnnData

Array = NDArray[Any]
Which = Literal["real", "pred"]


@dataclass(frozen=True)
class BulkArrays:
    """Mean profiles of one perturbation and the control, (n_genes,) each."""

    key: str
    pert_real: Array
    pert_pred: Array
    ctrl_real: Array
    ctrl_pred: Array

    def perturbation_effect(self, which: Which, abs: bool = False) -> Array:
        """Perturbation minus control of one side, its magnitude with ``abs``."""
        if which not in ("real", "pred"):
            msg = f"which must be 'real' or 'pred', not {which!r}"
            raise ValueError(msg)
        effect = self.pert_real - self.ctrl_real if which == "real" else self.pert_pred - self.ctrl_pred
        return np.abs(effect) if abs else effect


@dataclass(frozen=True)
class CellArrays:
    """Cells of one perturbation and the control, n_cells × n_genes each, sparse where the data are."""

    key: str
    pert_real: Any
    pert_pred: Any
    ctrl_real: Any
    ctrl_pred: Any


class PerturbationAnndataPair:
    """Two AnnData with the same genes and labels; the values of both are taken as they are.

    Parameters
    ----------
    real, pred
        AnnData (or the path of an ``.h5ad``, read when first needed), n_obs × n_vars.
    pert_col, control_pert
        Column of ``obs`` with the labels, and the control's.
    embed_key
        An embedding that both sides must hold.

    Attributes
    ----------
    perts, genes
        Labels without the control, sorted; names of the genes.
    pert_mask_real, pert_mask_pred
        Label → row numbers.

    Raises
    ------
    DataError
        If genes, labels or the control do not fit (a ``ValueError``).
    """

    def __init__(self, real: Any, pred: Any, pert_col: str, control_pert: str, embed_key: str | None = None) -> None:
        real_cells = open_cells(real, name="real")
        pred_cells = real_cells if pred is real else open_cells(pred, name="pred")
        for cells, name in ((real_cells, "real"), (pred_cells, "pred")):
            if embed_key and embed_key not in cells.obsm_keys():
                msg = f"{name}: embedding {embed_key!r} is not in obsm (keys: {cells.obsm_keys()})"
                raise ValueError(msg)
        sides = Sides.of(real_cells, pred_cells, pert_col, control_pert, settings_of(AS_THEY_ARE))
        self._take(real, pred, pert_col, control_pert, embed_key, Passed(sides))

    @classmethod
    def from_pass(
        cls, real: Any, pred: Any, pert_col: str, control_pert: str, passed: Passed
    ) -> PerturbationAnndataPair:
        """A pair whose two sides are checked already."""
        made = cls.__new__(cls)
        made._take(real, pred, pert_col, control_pert, None, passed)
        return made

    def _take(
        self, real: Any, pred: Any, pert_col: str, control_pert: str, embed_key: str | None, passed: Passed
    ) -> None:
        self._given = {"real": real, "pred": pred}
        self._passed = passed
        self.pert_col = pert_col
        self.control_pert = control_pert
        self.embed_key = embed_key
        groups = passed.sides.real.side.groups
        self.perts: NDArray[np.str_] = np.array(groups.perturbations)
        self.genes: NDArray[np.str_] = np.array([str(g) for g in passed.sides.genes])

    @property
    def measured(self) -> Measured:
        """What the formulas see."""
        return self._passed.measured

    @cached_property
    def real(self) -> AnnData:
        """The observed cells; log-normalised where the evaluator was given counts."""
        return self._as_scored("real", self._passed.sides.real)

    @cached_property
    def pred(self) -> AnnData:
        """The predicted cells; log-normalised where the evaluator was given counts."""
        if self._given["pred"] is self._given["real"]:
            return self.real
        return self._as_scored("pred", self._passed.sides.pred)

    def _as_scored(self, which: Which, one: SideInput) -> AnnData:
        given = self._given[which]
        if isinstance(given, (str, os.PathLike)):
            from anndata import read_h5ad

            given = read_h5ad(given)
        if one.kind != "counts":
            return given
        from scipy.sparse import csr_matrix

        rows = log_normalised(one.side.rows, one.side.totals, one.target_sum)
        parts = (rows.data.read(0, rows.nnz), rows.indices.read(0, rows.nnz).astype(np.int32), rows.indptr)
        made = given.copy()
        made.X = csr_matrix(parts, shape=(rows.n_rows, rows.n_cols))
        return made

    @cached_property
    def pert_mask_real(self) -> dict[str, NDArray[np.int_]]:
        """Label → row numbers of the observed cells, the control's among them."""
        return _rows_by_label(self._passed.sides.real)

    @cached_property
    def pert_mask_pred(self) -> dict[str, NDArray[np.int_]]:
        """Label → row numbers of the predicted cells, the control's among them."""
        return _rows_by_label(self._passed.sides.pred)

    @staticmethod
    def pert_mask(perts: Array) -> dict[str, NDArray[np.int_]]:
        """Label → row numbers."""
        return {str(label): np.flatnonzero(perts == label) for label in np.unique(perts)}

    def get_perts(self, include_control: bool = False) -> NDArray[np.str_]:
        """Labels without the control; ``include_control`` changes nothing, as in cell-eval."""
        return self.perts

    def _bulk(self, which: Which, embed_key: str | None) -> tuple[Array, Array]:
        """(n_perturbations, n_features) means and the control's (n_features,)."""
        pred, real = self.measured.pair.profiles(embed_key)
        side: Profiles = real if which == "real" else pred
        single = embed_key is None and self.measured.single
        dtype = np.float32 if single else np.float64
        return side.mean.astype(dtype), side.control.astype(dtype)

    def _bulks(self, embed_key: str | None) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        return self._bulk("real", embed_key), self._bulk("pred", embed_key)

    def build_bulk_array(self, pert: str, embed_key: str | None = None) -> BulkArrays:
        """Mean profiles of one perturbation."""
        return self._bulk_arrays(pert, *self._bulks(embed_key or None))

    def _bulk_arrays(self, pert: str, real: tuple[Array, Array], pred: tuple[Array, Array]) -> BulkArrays:
        k = int(np.flatnonzero(self.perts == pert)[0])
        return BulkArrays(str(pert), real[0][k], pred[0][k], real[1], pred[1])

    def iter_bulk_arrays(self, embed_key: str | None = None) -> Iterator[BulkArrays]:
        """Mean profiles of every perturbation, in sorted order."""
        both = self._bulks(embed_key or None)
        for pert in self.perts:
            yield self._bulk_arrays(pert, *both)

    def _matrix(self, which: Which, embed_key: str | None) -> Any:
        adata = self.real if which == "real" else self.pred
        return adata.obsm[embed_key] if embed_key else adata.X

    def build_cell_array(self, pert: str, embed_key: str | None = None) -> CellArrays:
        """Cells of one perturbation and of the control."""
        real, pred = self._matrix("real", embed_key), self._matrix("pred", embed_key)
        at, control = str(pert), self.control_pert
        return CellArrays(
            at,
            real[self.pert_mask_real[at]],
            pred[self.pert_mask_pred[at]],
            real[self.pert_mask_real[control]],
            pred[self.pert_mask_pred[control]],
        )

    def iter_cell_arrays(self, embed_key: str | None = None) -> Iterator[CellArrays]:
        """Cells of every perturbation, in sorted order."""
        for pert in self.perts:
            yield self.build_cell_array(pert, embed_key)

    def ctrl_matrix(self, which: Which, embed_key: str | None = None) -> Any:
        """The control's cells of one side."""
        rows = self.pert_mask_real if which == "real" else self.pert_mask_pred
        return self._matrix(which, embed_key)[rows[self.control_pert]]


def _rows_by_label(one: SideInput) -> dict[str, NDArray[np.int_]]:
    groups = one.side.groups
    return {label: np.flatnonzero(groups.codes == k) for k, label in enumerate(groups.labels)}
