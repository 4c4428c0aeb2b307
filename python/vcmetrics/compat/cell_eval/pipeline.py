"""``MetricPipeline``: a list of metrics, computed one after the other, as a wide table."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from vcmetrics.compat.cell_eval.enums import MetricBestValue, MetricType
from vcmetrics.compat.cell_eval.metrics import MetricResult, metrics_registry
from vcmetrics.compat.frames import frame
from vcmetrics.metrics.aggregate import describe

logger = logging.getLogger(__name__)

MINIMAL_METRICS = [
    *("pearson_delta", "mse", "mae", "discrimination_score_l1"),
    *("overlap_at_N", "precision_at_N", "de_nsig_counts"),
]
VCC_METRICS = ["mae", "discrimination_score_l1", "overlap_at_N"]
KNOWN_PROFILES = ["full", "minimal", "vcc", "de", "anndata", "pds"]
STATISTICS = ("count", "null_count", "mean", "std", "min", "25%", "50%", "75%", "max")
Table = dict[str, Any]  # "perturbation" and one masked column a metric


def metrics_of(profile: str | None) -> list[str]:
    """Metrics of a profile, those of DE tables first."""
    de, pair = (metrics_registry.list_metrics(kind) for kind in (MetricType.DE, MetricType.ANNDATA_PAIR))
    known: dict[str | None, list[str]] = {
        "full": [*de, *pair],
        "de": de,
        "anndata": pair,
        "minimal": MINIMAL_METRICS,
        "vcc": VCC_METRICS,
        "pds": ["discrimination_score_l1"],
        None: [],
    }
    if profile not in known:
        msg = f"profile {profile!r} is not known; choose from {', '.join(KNOWN_PROFILES)} or None"
        raise ValueError(msg)
    return list(known[profile])


class MetricPipeline:
    """Metrics of a profile, and of one's own.

    Parameters
    ----------
    profile
        ``full``, ``minimal``, ``vcc``, ``de``, ``anndata``, ``pds``, or None for an empty pipeline.
    metric_configs
        Metric → arguments; they stay with the registry for the rest of the process, as in cell-eval.
    break_on_error
        Raise where a metric fails; else it is logged and its column left out.
    """

    def __init__(
        self,
        profile: Literal["full", "minimal", "vcc", "de", "anndata", "pds"] | None = "full",
        metric_configs: dict[str, dict[str, Any]] | None = None,
        break_on_error: bool = False,
    ) -> None:
        self._metrics = metrics_of(profile)
        self._metric_configs: dict[str, dict[str, Any]] = {}
        self._break_on_error = break_on_error
        self._results: list[MetricResult] = []
        self._configure(metric_configs)

    def _configure(self, configs: dict[str, dict[str, Any]] | None) -> None:
        for name, kwargs in (configs or {}).items():
            self._metric_configs[name] = kwargs
            if name in metrics_registry.metrics:
                metrics_registry.update_metric_kwargs(name, kwargs)

    def add_metrics(self, metrics: list[str], configs: dict[str, dict[str, Any]] | None = None) -> None:
        """Append registered metrics."""
        self._metrics.extend(metrics)
        self._configure(configs)

    def add_metric(
        self,
        name: str,
        metric_type: MetricType,
        description: str,
        func: Callable[..., Any],
        best_value: MetricBestValue,
        is_class: bool = False,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Register a metric and append it; one that is registered already is left alone, with a warning."""
        if name in metrics_registry.metrics:
            logger.warning("metric %r is registered already; it is not added", name)
            return
        metrics_registry.register(name, metric_type, description, func, best_value, is_class, kwargs)
        self._metrics.append(name)
        if kwargs:
            self._metric_configs[name] = kwargs

    def skip_metrics(self, to_skip: list[str] | str) -> None:
        """Take metrics out."""
        names = [to_skip] if isinstance(to_skip, str) else to_skip
        self._metrics = [name for name in self._metrics if name not in names]

    def compute_de_metrics(self, data: Any) -> None:
        """Compute the metrics of DE tables; nothing without ``data``."""
        if data is not None:
            self._compute(MetricType.DE, data)

    def compute_anndata_metrics(self, data: Any) -> None:
        """Compute the metrics of a pair of AnnData."""
        self._compute(MetricType.ANNDATA_PAIR, data)

    def _compute(self, kind: MetricType, data: Any) -> None:
        known = metrics_registry.list_metrics(kind)
        for name in self._metrics:
            if name not in known:
                continue
            logger.info("computing %s", name)
            try:
                value = metrics_registry.compute(name, data, kwargs=self._metric_configs.get(name))
                self._results += _rows(name, value, data)
            except Exception as error:
                logger.error("%s failed: %s", name, error)
                if self._break_on_error:
                    raise

    def table(self) -> Table:
        """Perturbations by first appearance and one column a metric, masked where there is no value."""
        labels = list(dict.fromkeys(row.perturbation for row in self._results))
        at = {label: k for k, label in enumerate(labels)}
        out: Table = {"perturbation": labels}
        for row in self._results:
            if row.name not in out:
                out[row.name] = np.ma.array(np.full(len(labels), np.nan), mask=np.ones(len(labels), np.bool_))
            if row.value is not None:
                out[row.name][at[row.perturbation]] = float(row.value)
        return out if labels else {}

    def get_results(self) -> Any:
        """One row a perturbation, one column a metric."""
        return frame(self.table())

    def get_agg_results(self) -> Any:
        """Count, mean, spread and quartiles of every metric."""
        return frame(described(self.table()))


def _rows(name: str, value: Any, data: Any) -> list[MetricResult]:
    if not isinstance(value, dict):
        return [MetricResult(name, value, str(label)) for label in data.get_perts(include_control=False)]
    out = []
    for label, given in value.items():
        named = {f"{name}_{key}": v for key, v in given.items()} if isinstance(given, dict) else {name: given}
        out += [MetricResult(key, v, str(label)) for key, v in named.items()]
    return out


def described(table: Table) -> Table:
    """The statistics of a wide table, one row each."""
    out: Table = {"statistic": list(STATISTICS)}
    for name, values in table.items():
        if name != "perturbation":
            found = describe(values)
            row = np.ma.array([found[key] for key in STATISTICS])
            if found["count"] < 2:  # the spread of one value is null
                row[STATISTICS.index("std")] = np.ma.masked
            out[name] = row
    return out
