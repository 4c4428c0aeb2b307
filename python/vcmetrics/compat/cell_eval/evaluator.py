"""``MetricsEvaluator``: cell-eval's front door."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vcmetrics.compat.cell_eval.differential import DEComparison, DEResults
from vcmetrics.compat.cell_eval.engine import Passed, Sides, settings_of
from vcmetrics.compat.cell_eval.pair import PerturbationAnndataPair
from vcmetrics.compat.cell_eval.pipeline import MetricPipeline, Table, described
from vcmetrics.compat.cell_eval.utils import is_lognorm
from vcmetrics.compat.frames import de_frame, frame, write_csv, write_frame
from vcmetrics.metrics.aggregate import mean
from vcmetrics.presets.cell_eval2_names import V1_NAMES
from vcmetrics.scoring.evaluate import SideInput
from vcmetrics.scoring.replicate import spearman_brown, split_halves
from vcmetrics.scoring.scaled import with_codes
from vcmetrics.sources import open_cells

if TYPE_CHECKING:
    from anndata import AnnData

logger = logging.getLogger(__name__)

Profile = Literal["full", "vcc", "minimal", "de", "anndata", "pds"]
# pdex's argument → setting of the preset
DE_SETTINGS = {"epsilon": "de.epsilon", "cpm_filter": "de.cpm_gate"}
REGISTRY_NAMES = {output: metric for metric, output in V1_NAMES.items()}


def de_settings(pdex_kwargs: Mapping[str, Any], *, allow_discrete: bool, control: str, pert_col: str) -> dict[str, Any]:
    """Arguments of pdex as settings of the preset ``cell-eval``.

    Raises
    ------
    ValueError
        For an argument that would test other cells, or other values, than the rest of the evaluation sees.
    """
    out: dict[str, Any] = {}
    fixed = {"reference": control, "groupby": pert_col, "is_log1p": not allow_discrete, "mode": "ref"}
    for name, value in pdex_kwargs.items():
        if name in DE_SETTINGS:
            out[DE_SETTINGS[name]] = value
        elif name == "geometric_mean":
            out["de.mean"] = "geometric" if value else "arithmetic"
        elif name in fixed:
            if value != fixed[name]:
                msg = (
                    f"pdex_kwargs: {name}={value!r} is not supported here, where it is {fixed[name]!r}; pass de_real= "
                )
                msg += "and de_pred= made by vcmetrics.differential_expression"
                raise ValueError(msg)
        elif name not in ("threads", "as_pandas"):
            logger.warning("pdex_kwargs: %s is not known to pdex 0.3.0 and is left out", name)
    return out


class MetricsEvaluator:
    """Scores of a prediction, metric by metric.

    Parameters
    ----------
    adata_pred, adata_real
        AnnData or the path of an ``.h5ad``: log1p-normalised values, or counts, which are normalised to the median
        total of each side and logged. The AnnData are not changed. Without a prediction (None) only
        :meth:`compute_ceiling` can be called.
    de_pred, de_real
        Differential-expression tables made elsewhere: polars or pandas frame, or the path of a ``.csv``; columns
        target, feature, log2_fold_change, p_value, fdr.
    control_pert, pert_col
        Label of the control, and the column of ``obs`` with the labels.
    num_threads
        Threads; -1 for all that this process may use.
    outdir
        Folder that is made for the files.
    allow_discrete
        Score counts as they are.
    prefix
        Start of the names of the files; a slash becomes a dash.
    pdex_kwargs
        ``epsilon``, ``cpm_filter``, ``geometric_mean``, ``threads`` as pdex takes them.
    skip_de
        Compute no differential expression; metrics that need it are left out.

    Attributes
    ----------
    anndata_pair, de_comparison
        What the metrics see.
    ceiling_only, outdir, prefix
        As given.

    Raises
    ------
    DataError
        If the two sides do not fit together or hold neither counts nor log1p-normalised values (a ``ValueError``).

    Notes
    -----
    One pass over both sides, made here unless ``skip_de``; writes ``real_de.csv`` and ``pred_de.csv``.

    References
    ----------
    cell-eval 0.8.2.

    Examples
    --------
    >>> import tempfile
    >>> from vcmetrics.compat.cell_eval.data import build_random_anndata
    >>> adata = build_random_anndata(n_cells=300)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = MetricsEvaluator(adata, adata, control_pert="control", pert_col="perturbation", outdir=folder)
    ...     results, agg_results = made.compute(profile="vcc")
    >>> list(results.columns)
    ['perturbation', 'overlap_at_N', 'mae', 'discrimination_score_l1']
    """

    def __init__(
        self,
        adata_pred: AnnData | str | None,
        adata_real: AnnData | str,
        de_pred: Any = None,
        de_real: Any = None,
        control_pert: str = "non-targeting",
        pert_col: str = "target",
        num_threads: int = -1,
        outdir: str = "./cell-eval-outdir",
        allow_discrete: bool = False,
        prefix: str | None = None,
        pdex_kwargs: dict[str, Any] | None = None,
        skip_de: bool = False,
    ) -> None:
        self.outdir = self._claimed(outdir)
        self.prefix = prefix
        self.ceiling_only = adata_pred is None
        self._skip_de = skip_de
        self._pdex_kwargs = dict(pdex_kwargs or {})
        if self.ceiling_only:
            for name, table in (("de_pred", de_pred), ("de_real", de_real)):
                if table is not None:
                    logger.warning("%s is ignored in ceiling-only mode: the halves need tables of their own", name)
        overrides: dict[str, Any] = {"discrete": allow_discrete}
        overrides |= de_settings(
            self._pdex_kwargs, allow_discrete=allow_discrete, control=control_pert, pert_col=pert_col
        )
        threads = self._pdex_kwargs.get("threads", num_threads)
        settings = settings_of(overrides, threads if threads and threads > 0 else None)
        real = open_cells(adata_real, name="real")
        pred = real if adata_pred is None else open_cells(adata_pred, name="pred")
        for cells in dict.fromkeys((real, pred)):
            is_lognorm(cells, validate=not allow_discrete, n_threads=settings.n_threads)
        self._sides = Sides.of(real, pred, pert_col, control_pert, settings)
        self.de_comparison: DEComparison | None = None
        with_de = not (skip_de or self.ceiling_only)
        passed = Passed(self._sides, de=with_de and (de_pred is None or de_real is None))
        given_pred = adata_real if adata_pred is None else adata_pred
        self.anndata_pair = PerturbationAnndataPair.from_pass(adata_real, given_pred, pert_col, control_pert, passed)
        if with_de:
            self.de_comparison = self._compare_de(passed, de_real, de_pred)

    def _claimed(self, outdir: str) -> str:
        """The folder of the files, made."""
        if os.path.exists(outdir):
            logger.warning("the folder %s exists; files in it may be replaced", outdir)
        os.makedirs(outdir, exist_ok=True)
        return outdir

    def _compare_de(self, passed: Passed, de_real: Any, de_pred: Any) -> DEComparison:
        sides = []
        for which, table in (("real", de_real), ("pred", de_pred)):
            if table is None:
                pair = passed.measured.pair
                made = pair.de_real if which == "real" else pair.de_pred
                assert made is not None
                one: SideInput = getattr(self._sides, which)
                write_frame(de_frame(made, single=one.single), self._path(f"{which}_de.csv"))
                sides.append(DEResults(made, name=which))
            else:
                if self._pdex_kwargs:
                    logger.warning("pdex_kwargs do nothing where a DE table is given (%s)", which)
                sides.append(DEResults(table, name=which))
        return DEComparison(real=sides[0], pred=sides[1])

    def _path(self, name: str) -> Path:
        prefix = "" if not self.prefix else self.prefix.replace("/", "-") + "_"
        return Path(self.outdir) / f"{prefix}{name.replace('/', '-')}"

    def compute(
        self,
        profile: Profile = "full",
        metric_configs: dict[str, dict[str, Any]] | None = None,
        skip_metrics: list[str] | None = None,
        basename: str = "results.csv",
        write_csv: bool = True,
        break_on_error: bool = False,
    ) -> tuple[Any, Any]:
        """Score the prediction.

        Parameters
        ----------
        profile
            ``full``, ``vcc``, ``minimal``, ``de``, ``anndata`` or ``pds``.
        metric_configs
            Metric → arguments (they stay for the rest of the process); metrics to leave out.
        skip_metrics
            Metrics to leave out.
        basename
            Name of the file; that of the aggregates starts with ``agg_``.
        write_csv
            Write both files to ``outdir``.
        break_on_error
            Raise where a metric fails; else it is logged and its column left out.

        Returns
        -------
        Frame with one row a perturbation and one column a metric, and frame of their statistics.
        """
        if self.ceiling_only:
            msg = "this evaluator was made without a prediction (ceiling-only mode); call compute_ceiling()"
            raise ValueError(msg)
        made = self._run(profile, metric_configs, skip_metrics, break_on_error, self.de_comparison, self.anndata_pair)
        return self._finish(made, described(made), basename, write_csv)

    def _run(
        self,
        profile: str,
        metric_configs: dict[str, dict[str, Any]] | None,
        skip_metrics: list[str] | None,
        break_on_error: bool,
        de: DEComparison | None,
        pair: Any,
    ) -> Table:
        pipeline = MetricPipeline(profile, metric_configs, break_on_error)  # type: ignore[arg-type]
        pipeline.skip_metrics(skip_metrics or [])
        pipeline.compute_de_metrics(de)
        pipeline.compute_anndata_metrics(pair)
        return pipeline.table()

    def _finish(self, made: Table, aggregate: Table, basename: str, write: bool) -> tuple[Any, Any]:
        if write:
            write_csv(made, self._path(basename))
            write_csv(aggregate, self._path(f"agg_{basename}"))
        return frame(made), frame(aggregate)

    def compute_ceiling(
        self,
        profile: Profile = "full",
        metric_configs: dict[str, dict[str, Any]] | None = None,
        skip_metrics: list[str] | None = None,
        basename: str = "ceiling_results.csv",
        write_csv: bool = True,
        break_on_error: bool = False,
        seed: int = 0,
    ) -> tuple[Any, Any]:
        """What the observed cells themselves reach: one half of every group scored against the other half.

        Parameters are those of :meth:`compute`; ``seed`` draws the halves.

        Returns
        -------
        Frame of the halves' values by perturbation, and a frame of one row: their means carried to full depth by
        Spearman and Brown's formula, NaN for metrics that are no agreement.
        """
        halves = Passed(self._halves(seed), de=not self._skip_de)
        pair = PerturbationAnndataPair.from_pass(
            None, None, self.anndata_pair.pert_col, self.anndata_pair.control_pert, halves
        )
        seen = halves.measured.pair
        de = None
        if not self._skip_de:
            de = DEComparison(real=DEResults(seen.de_real, name="half A"), pred=DEResults(seen.de_pred, name="half B"))
        made = self._run(profile, metric_configs, skip_metrics, break_on_error, de, pair)
        means = {REGISTRY_NAMES.get(k, k): mean(v, nan="propagate") for k, v in made.items() if k != "perturbation"}
        full = spearman_brown(means, list(means), "cell-eval")
        aggregate = {k: np.ma.array([full[REGISTRY_NAMES.get(k, k)]]) for k in made if k != "perturbation"}
        return self._finish(made, aggregate, basename, write_csv)

    def _halves(self, seed: int) -> Sides:
        """Both halves of the observed cells as the two sides."""
        real = self._sides.real
        groups = real.side.groups
        number = {label: k for k, label in enumerate(groups.labels)}
        order = [number[label] for label in real.order if label in number] or None
        half = split_halves(groups.codes, len(groups.labels), seed, order)
        codes = [np.where(half == which, groups.codes, -1).astype(np.int32) for which in (0, 1)]
        sizes = np.bincount(codes[0][codes[0] >= 0], minlength=len(groups.labels))
        if not sizes.any():
            msg = "no perturbation has >= 2 cells to split into halves, so there is no ceiling"
            raise ValueError(msg)
        if sizes[groups.control_code] == 0:
            msg = f"the control {groups.control!r} has < 2 cells, so there are no halves to compare"
            raise ValueError(msg)
        lost = int((sizes == 0).sum())
        if lost:
            logger.warning("%d perturbations have < 2 cells and are left out of the ceiling", lost)
        a, b = (with_codes(real, c) for c in codes)
        cells = self._sides.real_cells
        return replace(self._sides, pred_cells=cells, real=a, pred=b)
