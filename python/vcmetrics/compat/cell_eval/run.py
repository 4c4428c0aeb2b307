"""The command ``cell-eval run``."""

from __future__ import annotations

import logging
import os
from typing import Any

from vcmetrics._errors import DataError
from vcmetrics.compat.cell_eval.evaluator import MetricsEvaluator
from vcmetrics.compat.cell_eval.utils import split_anndata_on_celltype
from vcmetrics.results.staging import staged_directory

logger = logging.getLogger(__name__)


class _StagedEvaluator(MetricsEvaluator):
    """Writes to a folder that is made already, and moved into place when all is done."""

    def _claimed(self, outdir: str) -> str:
        return outdir


def evaluate(
    *,
    adata_pred: str | None,
    adata_real: str,
    celltype_col: str | None,
    embed_key: str | None,
    profile: str,
    skip_metrics: str | None,
    ceiling: bool,
    ceiling_seed: int,
    cpm_filter: float | None,
    epsilon: float,
    outdir: str,
    **options: Any,
) -> None:
    """Evaluate a prediction, each cell type alone where ``celltype_col`` is named; options are the command line's."""
    configs: dict[str, dict[str, Any]] = {}
    if embed_key is not None:
        configs = {f"discrimination_score_{distance}": {"embed_key": embed_key} for distance in ("l2", "cosine")}
    options["pdex_kwargs"] = {"cpm_filter": cpm_filter, "epsilon": epsilon}
    options["skip_de"] = profile == "pds"
    what: dict[str, Any] = {
        "profile": profile,
        "metric_configs": configs,
        "skip_metrics": skip_metrics.split(",") if skip_metrics else None,
    }
    if os.path.exists(outdir):
        logger.warning("the folder %s exists; files in it may be replaced", outdir)
    with staged_directory(outdir) as stage:
        for pred, real, prefix in parts(adata_pred, adata_real, celltype_col):
            made = _StagedEvaluator(pred, real, prefix=prefix, outdir=str(stage), **options)
            if pred is not None:
                made.compute(**what)
            if ceiling:
                made.compute_ceiling(**what, seed=ceiling_seed)


def parts(pred: str | None, real: str, celltype_col: str | None) -> list[tuple[Any, Any, str | None]]:
    """(prediction, reality, prefix) of every cell type, or of everything."""
    if celltype_col is None:
        return [(pred, real, None)]
    from anndata import read_h5ad

    of_real = split_anndata_on_celltype(read_h5ad(real), celltype_col)
    of_pred = dict.fromkeys(of_real) if pred is None else split_anndata_on_celltype(read_h5ad(pred), celltype_col)
    if set(of_real) != set(of_pred):
        odd = sorted(map(str, set(of_real) ^ set(of_pred)))
        msg = f"{len(odd)} cell types are on one side only: {', '.join(odd[:5])}; both sides must hold the same"
        raise DataError(msg)
    return [(of_pred[kind], of_real[kind], str(kind)) for kind in of_real]
