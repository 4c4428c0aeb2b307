"""Differential expression of many targets, dense: targets × genes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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

    def to_frame(self) -> pd.DataFrame:
        """Long table in pdex's columns and order."""
        import pandas as pd

        t, g = self.lfc.shape
        keep = np.ones((t, g), bool) if self.present is None else self.present
        row, col = np.nonzero(keep)
        out: dict[str, object] = {
            "target": pd.Categorical.from_codes(row, categories=list(self.targets)),
            "feature": pd.Categorical.from_codes(col, categories=list(self.genes)),
        }
        if self.target_mean is not None and self.ref_mean is not None:
            tm, rm = self.target_mean, np.broadcast_to(self.ref_mean, (t, g))
            out["target_mean"], out["ref_mean"] = tm[row, col], rm[row, col]
        if self.target_membership is not None and self.ref_membership is not None:
            out["target_membership"] = self.target_membership[row]
            out["ref_membership"] = self.ref_membership[row]
        out["log2_fold_change"] = self.lfc[row, col]
        if self.target_mean is not None and self.ref_mean is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                change = (tm - rm) / (rm + self.epsilon)
            change[np.isnan(change)] = 0.0
            out["percent_change"] = change[row, col]
        out["p_value"] = self.p_value[row, col]
        if self.statistic is not None:
            out["statistic"] = self.statistic[row, col]
        out["fdr"] = self.p_adj[row, col]
        return pd.DataFrame(out)
