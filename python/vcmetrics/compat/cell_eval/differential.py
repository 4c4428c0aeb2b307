"""``DEResults`` and ``DEComparison``: differential-expression tables as cell-eval's metrics see them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vcmetrics.compat.cell_eval.engine import Measured, settings_of
from vcmetrics.compat.cell_eval.enums import DESortBy
from vcmetrics.compat.frames import has_polars
from vcmetrics.metrics.pair import Pair
from vcmetrics.summary.de_reading import read_de_table
from vcmetrics.summary.de_table import DETable

logger = logging.getLogger(__name__)


class DEResults:
    """One side's table.

    Parameters
    ----------
    data
        polars or pandas frame (or the path of a ``.csv``) with the columns named below; one row a target and gene.
    target_col, feature_col, log2_fold_change_col, abs_log2_fold_change_col, pvalue_col, fdr_col
        Names of the columns; the absolute fold change is made where it is missing.
    name
        What messages call it.

    Attributes
    ----------
    data
        Those columns as cell-eval keeps them: numbers in float32, names as categories.

    Raises
    ------
    ValueError
        If a column is missing.
    """

    def __init__(
        self,
        data: Any,
        target_col: str = "target",
        feature_col: str = "feature",
        log2_fold_change_col: str = "log2_fold_change",
        abs_log2_fold_change_col: str = "abs_log2_fold_change",
        pvalue_col: str = "p_value",
        fdr_col: str = "fdr",
        name: str = "de",
    ) -> None:
        self.target_col = target_col
        self.feature_col = feature_col
        self.log2_fold_change_col = log2_fold_change_col
        self.abs_log2_fold_change_col = abs_log2_fold_change_col
        self.pvalue_col = pvalue_col
        self.fdr_col = fdr_col
        self.name = name
        self.table: DETable = data if isinstance(data, DETable) else self._read(data)
        infinite, undefined = int(np.isinf(self.table.lfc).sum()), int(self._undefined().sum())
        for count, what in ((infinite, "infinite"), (undefined, "undefined")):
            if count:
                logger.warning("%s: %d log2 fold changes are %s", self.name, count, what)

    def _read(self, data: Any) -> DETable:
        if isinstance(data, str):
            return read_de_table(data)
        wanted = {
            self.target_col: "target",
            self.feature_col: "feature",
            self.log2_fold_change_col: "log2_fold_change",
            self.pvalue_col: "p_value",
            self.fdr_col: "fdr",
        }
        missing = sorted(set(wanted) - set(data.columns))
        if missing:
            msg = f"{self.name}: the DE table lacks {', '.join(missing)} (columns: {', '.join(map(str, data.columns))})"
            raise ValueError(msg)
        kept = data[list(wanted)]
        return read_de_table(kept.rename(wanted) if hasattr(data, "get_column") else kept.rename(columns=wanted))

    def _undefined(self) -> NDArray[np.bool_]:
        out = np.isnan(self.table.lfc)
        return out if self.table.present is None else out & self.table.present

    @cached_property
    def data(self) -> Any:
        """The table as a frame."""
        t = self.table
        shape = t.lfc.shape
        row, col = np.nonzero(np.ones(shape, np.bool_) if t.present is None else t.present)
        if t.position is not None:
            order = np.lexsort((t.position[row, col], row))
            row, col = row[order], col[order]
        with np.errstate(over="ignore"):
            lfc, p, q = (x[row, col].astype(np.float32) for x in (t.lfc, t.p_value, t.p_adj))
        names: dict[str, Any] = {
            self.target_col: np.array(t.targets, object)[row],
            self.feature_col: np.array([str(g) for g in t.genes], object)[col],
        }
        numbers = {
            self.log2_fold_change_col: (lfc, 1),
            self.pvalue_col: (p, 4),
            self.fdr_col: (q, 2),
            self.abs_log2_fold_change_col: (np.abs(lfc), 1),
        }
        null = np.zeros(row.size, np.uint8) if t.null is None else t.null[row, col]
        if has_polars():
            import polars as pl

            columns = [pl.Series(k, v.tolist(), dtype=pl.String).cast(pl.Categorical) for k, v in names.items()]
            for key, (values, bit) in numbers.items():
                gone = pl.Series("gone", (null & bit) != 0)
                columns.append(pl.select(pl.when(~gone).then(pl.Series(key, values))).to_series().alias(key))
            return pl.DataFrame(columns)
        import pandas as pd

        return pd.DataFrame(
            {**{k: pd.Categorical(v) for k, v in names.items()}, **{k: v for k, (v, _) in numbers.items()}}
        )

    def get_perts(self) -> NDArray[np.str_]:
        """Targets, sorted."""
        return np.array(self.table.targets)

    def filter_to_significant(self, fdr_threshold: float = 0.05) -> Any:
        """Rows of ``data`` below the level, strictly."""
        data = self.data
        if hasattr(data, "get_column"):
            import polars as pl

            return data.filter(pl.col(self.fdr_col) < fdr_threshold)
        return data[data[self.fdr_col] < np.float32(fdr_threshold)]

    def get_significant_genes(self, pert: str, fdr_threshold: float = 0.05) -> NDArray[np.object_]:
        """Significant genes of one target, (n, 1)."""
        return np.array(self._ranked(pert, fdr_threshold, None), object).reshape(-1, 1)

    def _ranked(self, pert: str, level: float, sort_by: DESortBy | None) -> list[str]:
        t = self.table
        k = t.targets.index(pert)
        with np.errstate(over="ignore", invalid="ignore"):
            chosen = t.p_adj[k].astype(np.float32) < np.float32(level)
            keys = {
                DESortBy.LOG2_FOLD_CHANGE: -t.lfc[k].astype(np.float32),
                DESortBy.ABS_LOG2_FOLD_CHANGE: -np.abs(t.lfc[k].astype(np.float32)),
                DESortBy.PVALUE: t.p_value[k].astype(np.float32),
                DESortBy.FDR: t.p_adj[k].astype(np.float32),
            }
        if t.present is not None:
            chosen &= t.present[k]
        where = np.flatnonzero(chosen)
        if t.position is not None:
            where = where[np.argsort(t.position[k, where], kind="stable")]
        if sort_by is not None:
            where = where[np.argsort(keys[sort_by][where], kind="stable")]
        return [str(g) for g in t.genes[where]]

    def get_top_genes(self, sort_by: DESortBy, fdr_threshold: float | None = None) -> Any:
        """Frame of significant genes, best first: a column ``rank`` and one a target, null below its last gene."""
        level = 0.05 if fdr_threshold is None else fdr_threshold
        lists = {t: self._ranked(t, level, DESortBy(sort_by)) for t in self.table.targets}
        depth = max((len(genes) for genes in lists.values()), default=0)
        filled: dict[str, Any] = {t: [*genes, *[None] * (depth - len(genes))] for t, genes in lists.items()}
        columns = {"rank": list(range(depth)), **filled}
        if has_polars():
            import polars as pl

            return pl.DataFrame(columns, schema={"rank": pl.UInt32, **dict.fromkeys(filled, pl.String)})
        import pandas as pd

        return pd.DataFrame(columns)


class DEComparison:
    """Both sides' tables; they must list the same targets.

    Attributes
    ----------
    real, pred
        :class:`DEResults`.
    perturbations, n_perts
        Targets, sorted, and their number.
    """

    def __init__(self, real: DEResults, pred: DEResults) -> None:
        self.real, self.pred = real, pred
        if real.table.targets != pred.table.targets:
            odd = sorted(set(real.table.targets) ^ set(pred.table.targets))
            msg = f"{len(odd)} targets are in only one of the two DE tables: {', '.join(odd[:5])}"
            raise ValueError(msg)
        self.perturbations = list(real.table.targets)
        self.n_perts = len(self.perturbations)

    @cached_property
    def measured(self) -> Measured:
        """What the formulas see."""
        labels = tuple(self.perturbations)
        pair = Pair(
            perturbations=labels,
            genes=self.real.table.genes,
            own=np.full(len(labels), -1, np.int64),
            de_real=self.real.table,
            de_pred=self.pred.table,
            own_de=(None,) * len(labels),
        )
        return Measured(pair, settings_of(), single=True)

    def iter_perturbations(self) -> Iterator[str]:
        """Targets, sorted."""
        yield from self.perturbations

    def get_perts(self, include_control: bool = False) -> list[str]:
        """Targets; the control is never among them."""
        if include_control:
            logger.warning("a DE comparison holds no control")
        return self.perturbations

    def compute_overlap(
        self,
        k: int | None,
        metric: Literal["overlap", "precision"] = "overlap",
        fdr_threshold: float | None = None,
        sort_by: DESortBy = DESortBy.ABS_LOG2_FOLD_CHANGE,
    ) -> dict[str, float]:
        """Shared share of the two ranked lists of significant genes, see the metric ``overlap_at_N``."""
        if metric not in ("overlap", "precision"):
            msg = f"metric must be 'overlap' or 'precision', not {metric!r}"
            raise ValueError(msg)
        order = DESortBy(sort_by).value
        return self.measured.values(
            f"{metric}_at_N",
            top=k or None,
            alpha=0.05 if fdr_threshold is None else fdr_threshold,
            sort_by="p_adj" if order == "fdr" else order,
        )


def initialize_de_comparison(
    real: Any,
    pred: Any,
    target_col: str = "target",
    feature_col: str = "feature",
    log2_fold_change_col: str = "log2_fold_change",
    abs_log2_fold_change_col: str = "abs_log2_fold_change",
    pvalue_col: str = "p_value",
    fdr_col: str = "fdr",
) -> DEComparison:
    """Two frames as one comparison; ``pvalue_col`` and ``fdr_col`` are honoured, which cell-eval does not do."""
    names = (target_col, feature_col, log2_fold_change_col, abs_log2_fold_change_col, pvalue_col, fdr_col)
    return DEComparison(real=DEResults(real, *names, name="real"), pred=DEResults(pred, *names, name="pred"))
