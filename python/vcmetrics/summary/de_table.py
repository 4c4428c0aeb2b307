"""Differential expression of many targets, dense: targets × genes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class DETable:
    """One row a target, one column a tested gene; ``present`` marks the rows that exist (None: all).

    ``lfc`` is the log2 fold change; NaN where undefined, ±inf allowed. Shapes are
    ``(len(targets), len(genes))`` unless stated. Column order is the gene order of the data.
    """

    targets: tuple[str, ...]
    genes: NDArray[np.str_]
    lfc: NDArray[np.float64]
    p_value: NDArray[np.float64]
    p_adj: NDArray[np.float64]
    present: NDArray[np.bool_] | None = None
    # missing (null) as opposed to NaN cells of a table read from a file: bits 1 lfc, 2 p_adj, 4 p_value
    null: NDArray[np.uint8] | None = None
    # place of each row inside its target's table where that is not the column order; breaks ties of ranked lists
    position: NDArray[np.int64] | None = None
    # what pdex reports besides; None where the table came from a file
    target_mean: NDArray[np.float64] | None = None
    ref_mean: NDArray[np.float64] | None = None  # (genes,), or (targets, genes) in mode "all"
    statistic: NDArray[np.float64] | None = None  # U of the target
    target_membership: NDArray[np.int64] | None = None  # (targets,)
    ref_membership: NDArray[np.int64] | None = None  # (targets,)
    epsilon: float = 0.0  # added to the reference mean in percent_change

    def to_frame(self, *, copy: bool = True) -> pd.DataFrame:
        """Long table in pdex's columns and order; without ``copy`` it may share this table's memory."""
        import pandas as pd

        t, g = self.lfc.shape
        if self.present is None:
            row, col = np.repeat(np.arange(t, dtype=np.int32), g), np.tile(np.arange(g, dtype=np.int32), t)
        else:
            row, col = (x.astype(np.int32) for x in np.nonzero(self.present))

        def rows_of(table: NDArray[Any]) -> NDArray[Any]:
            """The table's rows that exist, one behind the other; all of them without a look-up."""
            full = np.broadcast_to(table, (t, g))
            return full.reshape(-1) if self.present is None else full[self.present]

        # millions of rows: codes are already right, so nothing is checked again
        out: dict[str, object] = {
            "target": pd.Categorical.from_codes(row, categories=list(self.targets), validate=False),
            "feature": pd.Categorical.from_codes(col, categories=list(self.genes), validate=False),
        }
        tm, rm = self.target_mean, self.ref_mean
        if tm is not None and rm is not None:
            out["target_mean"], out["ref_mean"] = rows_of(tm), rows_of(rm)
        if self.target_membership is not None and self.ref_membership is not None:
            out["target_membership"] = self.target_membership[row]
            out["ref_membership"] = self.ref_membership[row]
        out["log2_fold_change"] = rows_of(self.lfc)
        if tm is not None and rm is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                change = tm - rm
                change /= rm + self.epsilon
            change[np.isnan(change)] = 0.0
            out["percent_change"] = rows_of(change)
        out["p_value"] = rows_of(self.p_value)
        if self.statistic is not None:
            out["statistic"] = rows_of(self.statistic)
        out["fdr"] = rows_of(self.p_adj)
        return pd.DataFrame(out, copy=copy)
