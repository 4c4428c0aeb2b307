"""What a metric is to the registry and the pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from vcmetrics.compat.cell_eval.enums import MetricBestValue, MetricType


class Metric(Protocol):
    """A function of a pair or of a DE comparison."""

    def __call__(self, data: Any, **kwargs: Any) -> float | dict[str, float]:
        """One number, or one a perturbation."""
        ...


@dataclass
class MetricResult:
    """One value of one metric."""

    name: str
    value: float | str
    perturbation: str | None = None

    def to_dict(self) -> dict[str, float | str | None]:
        """The row of the long table."""
        return {"perturbation": self.perturbation, "metric": self.name, "value": self.value}


@dataclass
class MetricInfo:
    """A row of the registry; ``is_class``: ``func`` is instantiated with ``kwargs`` and then called with the data."""

    name: str
    type: MetricType
    func: Callable[..., Any]
    description: str
    best_value: MetricBestValue
    is_class: bool = False
    kwargs: dict[str, Any] | None = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kwargs is None:
            self.kwargs = {}
