"""What rows of the registry share that stem from the literature: their genes are chosen, their laws are named alike."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from vcmetrics.metrics.registry import Formula, MetricSpec, Need, Parity, register

CHOICE: Mapping[str, Any] = MappingProxyType({"genes": "all", "exclude": "none", "alpha": 0.05})
REFERENCED: Mapping[str, Any] = MappingProxyType({"reference": "control", "leave_one_out": True})
CLOSE = Parity(rtol=1e-11, atol=1e-13)


def literature_row(
    name: str,
    family: str,
    formula: Formula,
    reference: Formula,
    definition: str,
    source: str,
    defaults: Mapping[str, Any],
    *laws: str,
    needs: tuple[Need, ...] = ("profiles",),
    **more: Any,
) -> None:
    """Register a row; an error whose best is 0 unless ``more`` says otherwise."""
    shared: dict[str, Any] = {
        "better": "lower",
        "best": 0.0,
        "chance": None,
        "bounds": (0.0, np.inf),
        "parity": CLOSE,
    }
    register(
        MetricSpec(
            name=name,
            family=family,
            needs=frozenset(needs),
            definition=definition,
            formula=formula,
            reference=reference,
            source=source,
            defaults=MappingProxyType(dict(defaults)),
            invariants=("gene_order", "perturbation_order", *laws),
            **{**shared, **more},
        )
    )


def hashable(genes: Any) -> Any:
    """A choice of genes as part of a key."""
    return genes if isinstance(genes, str) else tuple(map(str, genes))
