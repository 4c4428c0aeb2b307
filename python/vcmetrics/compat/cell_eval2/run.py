"""``compute_metrics``: cell-eval2's front door, and what its command line keeps of a run."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vcmetrics._errors import DataError
from vcmetrics.compat.cell_eval2.config import EvalConfig, with_overrides
from vcmetrics.compat.cell_eval2.rules import metric_names, preset_of, settings_of, target_map, threads
from vcmetrics.compat.cell_eval2.tables import long_table
from vcmetrics.compat.frames import frame
from vcmetrics.results.files import require_parquet
from vcmetrics.results.score_result import ContextResult
from vcmetrics.results.staging import staged_directory
from vcmetrics.scoring.evaluate import SideInput
from vcmetrics.scoring.fingerprint import source_fingerprint
from vcmetrics.scoring.jobs import make_input
from vcmetrics.scoring.reading import read_groups
from vcmetrics.scoring.score import score
from vcmetrics.scoring.settings import Settings
from vcmetrics.sources import open_cells
from vcmetrics.sources.cells import Cells
from vcmetrics.summary.de_reading import read_de_table
from vcmetrics.summary.de_table import DETable
from vcmetrics.summary.plan import group_cells


@dataclass(frozen=True)
class Side:
    """One side opened: its cells, and the same checked and grouped."""

    cells: Cells
    one: SideInput


def fingerprint(cells: Cells, config: EvalConfig, *, strict: bool) -> str:
    """Digest of the reference, with its values where ``strict``; else they are not read."""
    groups = group_cells(cells.column(config.pert_col), config.control)
    rows = cells.rows(threads(config)) if strict else None
    return source_fingerprint(cells.genes, groups.labels, groups.codes, cells.dtype, rows)


def open_side(data: Any, config: EvalConfig, settings: Settings, *, predicted: bool) -> Side:
    """Open and check one side by the rules of a run."""
    cells = open_cells(data, name="pred" if predicted else "real")
    (groups,) = read_groups(cells, config.pert_col, config.control, None, settings.preset).values()
    if not predicted and groups.control_code < 0:
        msg = f"{cells.name}: no cell is labelled {config.control!r} in {config.pert_col!r}; pass control="
        raise DataError(msg)
    order = cells.group_order(config.pert_col) or ()
    one = make_input(cells, groups, settings, predicted=predicted, reference_median=None, order=order)
    return Side(cells, one)


@dataclass(frozen=True)
class Finished:
    """A finished run: its configuration, values and DE tables."""

    config: EvalConfig
    context: ContextResult
    de_real: DETable | None
    de_pred: DETable | None

    @property
    def table(self) -> dict[str, Any]:
        """The long table's columns."""
        return long_table(self.context)


def run_metrics(pred: Any, real: Any, config: EvalConfig, *, de_pred: Any = None, de_real: Any = None) -> Finished:
    """Score a prediction by a configuration."""
    preset = preset_of(config)
    by_name = isinstance(config.metrics, str)
    given = tuple(None if t is None else read_de_table(plain_de(t)) for t in (de_real, de_pred))
    result = score(
        pred,
        real,
        preset=preset,
        profile=config.metrics if isinstance(config.metrics, str) else None,
        metrics=None if by_name else metric_names(config),
        pert_col=config.pert_col,
        control=config.control,
        target_map=target_map(config),
        de_real=given[0],
        de_pred=given[1],
        cache=config.cache_real,
        n_threads=threads(config),
    )
    (context,) = result.contexts
    return Finished(config, context, given[0], given[1])


def plain_de(table: Any) -> Any:
    """A DE table as :func:`read_de_table` takes it; paths as text."""
    return os.fspath(table) if isinstance(table, os.PathLike) else table


def with_resolved_target(config: EvalConfig, real: Any, settings: Settings) -> EvalConfig:
    """The configuration with ``target_sum`` None replaced by the number that it means for counts."""
    if config.target_sum is not None:
        return config
    one = open_side(real, config, settings, predicted=False).one
    return replace(config, target_sum=float(one.target_sum)) if one.kind == "counts" else config


def write_de_tables(finished: Finished, folder: str | os.PathLike[str]) -> None:
    """Write ``de_real.parquet`` and ``de_pred.parquet``; nothing where no metric reads them."""
    require_parquet()
    for name, table in (("real", finished.context.de_real), ("pred", finished.context.de_pred)):
        if table is not None:
            made = table.to_frame()
            made = made.rename(columns={"fdr": "p_adj"})
            made["abs_log2_fold_change"] = made["log2_fold_change"].abs()
            columns = ["target", "feature", "log2_fold_change", "p_value", "p_adj", "abs_log2_fold_change"]
            made = made[columns].assign(**{c: made[c].astype(str) for c in ("target", "feature")})
            made.to_parquet(Path(folder) / f"de_{name}.parquet", index=False)


def compute_metrics(
    pred: Any,
    real: Any,
    *,
    config: EvalConfig | None = None,
    de_pred: Any = None,
    de_real: Any = None,
    write_de: bool = False,
    **overrides: Any,
) -> Any:
    """Values of the metrics, one row a perturbation and metric.

    Parameters
    ----------
    pred, real
        AnnData, or the path of an ``.h5ad`` or ``.zarr``; n_obs × n_vars each, the same genes in the same order. They
        are not changed.
    config
        :class:`EvalConfig`; its defaults where None. ``cache_real`` keeps the summary of ``real`` in that folder (in
        this package's own form).
    de_pred, de_real
        DE tables made elsewhere: frame, ``.csv`` or ``.parquet``.
    write_de
        Write ``de_real.parquet`` and ``de_pred.parquet`` to ``config.outdir``.
    overrides
        Fields of the configuration to change.

    Returns
    -------
    Frame with the columns perturbation, metric, value; NaN where undefined, no row where the rules leave one out.

    Raises
    ------
    DataError
        If the data do not fit together or the configuration (a ``ValueError``).
    DeviceError
        If a GPU is asked for.

    References
    ----------
    cell-eval2 0.20.0.

    Examples
    --------
    >>> from vcmetrics import datasets
    >>> demo = datasets.demo()
    >>> df = compute_metrics(demo.path, demo.path, pert_col=demo.pert_col, metrics=["pds_cosine"])
    >>> list(df.columns)
    ['perturbation', 'metric', 'value']
    """
    chosen = with_overrides(config, overrides)
    if write_de and chosen.outdir is None:
        msg = "write_de=True writes files; set outdir= as well"
        raise DataError(msg)
    finished = run_metrics(pred, real, chosen, de_pred=de_pred, de_real=de_real)
    if chosen.outdir is not None:
        resolved = with_resolved_target(chosen, real, settings_of(chosen))
        with staged_directory(chosen.outdir) as stage:
            resolved.to_yaml(stage / "run_params.yaml")
            if write_de:
                write_de_tables(finished, stage)
    return frame(finished.table)
