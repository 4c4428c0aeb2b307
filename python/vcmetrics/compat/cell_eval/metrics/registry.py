"""The registry that users' own metrics join."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vcmetrics.compat.cell_eval.enums import MetricBestValue, MetricType
from vcmetrics.compat.cell_eval.metrics.base import MetricInfo


class MetricRegistry:
    """Metrics by name, in the order of registration, with the arguments they are called with.

    Attributes
    ----------
    metrics
        Name → :class:`MetricInfo`.
    """

    def __init__(self) -> None:
        self.metrics: dict[str, MetricInfo] = {}

    def register(
        self,
        name: str,
        metric_type: MetricType,
        description: str,
        func: Callable[..., Any],
        best_value: MetricBestValue,
        is_class: bool = False,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Add a metric; a name that is taken raises."""
        if name in self.metrics:
            msg = f"metric {name!r} is registered already; choose another name"
            raise ValueError(msg)
        self.metrics[name] = MetricInfo(name, metric_type, func, description, best_value, is_class, kwargs)

    def update_metric_kwargs(self, name: str, kwargs: dict[str, Any]) -> None:
        """Change the arguments of a metric, for the rest of the process."""
        info = self.get_metric(name)
        info.kwargs = {**(info.kwargs or {}), **kwargs}

    def get_metric(self, name: str) -> MetricInfo:
        """The row of a metric; an unknown name raises ``KeyError``."""
        if name not in self.metrics:
            msg = f"metric {name!r} is not registered; see list_metrics()"
            raise KeyError(msg)
        return self.metrics[name]

    def list_metrics(self, metric_type: MetricType | None = None) -> list[str]:
        """Names of all metrics, or of one type."""
        return [name for name, info in self.metrics.items() if metric_type in (None, info.type)]

    def compute(self, name: str, data: Any, kwargs: dict[str, Any] | None = None) -> Any:
        """One number, or a mapping perturbation → number (or → name → number); ``kwargs`` win over the stored ones."""
        info = self.get_metric(name)
        merged = {**(info.kwargs or {}), **(kwargs or {})}
        return info.func(**merged)(data) if info.is_class else info.func(data, **merged)
