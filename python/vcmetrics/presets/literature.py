"""What the rule sets of papers have in common, and how their metrics are listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from vcmetrics.presets.page import Page
from vcmetrics.presets.preset import Member, Preset

OBSERVED = "The observed control cells, on both sides."
SKIPPED = "An undefined value (the correlation of a constant) stays undefined and is left out of the mean."
ZERO = "An undefined correlation counts as 0."
PER_PERTURBATION = "One value a perturbation, then their plain mean."
ORACLE = "Lists of top genes are made of the observed cells: oracle sets."
TARGET_KEPT = (
    "Target genes are kept, so a prediction that knows only its target's drop gains; exclude='row' shows by how much."
)
LEAK = "Without training data (train=) the perturbed mean is that of the scored perturbations, and holds their truth."


def mean_of_logs(depth: str = "10,000", base: str = "log") -> str:
    """The usual space of profiles in words."""
    return (
        f"Means of logs: {base}(1 + {depth} × share of the cell's counts), averaged over cells in double precision; "
        "values that are no counts are averaged as they are."
    )


def member(metric: str, output: str, **parameters: Any) -> Member:
    """One metric under the paper's name for it."""
    return Member(metric, output, MappingProxyType(parameters))


def lengths(metric: str, output: str, genes: str, ks: Sequence[int], **parameters: Any) -> tuple[Member, ...]:
    """One metric over lists of genes of several lengths: ``output`` and ``genes`` with the length for ``{}``."""
    return tuple(member(metric, output.format(k), genes=genes.format(k), **parameters) for k in ks)


def paper(
    name: str,
    title: str,
    source: str,
    version: str,
    members: Sequence[Member],
    page: Page,
    quirks: tuple[str, ...],
    more: Mapping[str, Sequence[Member]] = MappingProxyType({}),
    **rules: Any,
) -> Preset:
    """A paper's rule set: what it says beside what most papers share.

    They take counts or log-normalised values, align genes by name, scale cells to 10,000 counts, average logs, take the
    observed control on both sides, leave no gene out and fill no undefined value.
    """
    shared: dict[str, Any] = {
        "input_type": "autodetect",
        "allow_fractional": True,
        "max_counts_per_cell": None,
        "target_sum": 1e4,
        "comparator": "mean_of_logs",
        "same_gene_order": False,
        "exclude": "none",
        "needs_targets": False,
        "gated": False,
    }
    profiles = {"paper": tuple(members)} | {key: tuple(listed) for key, listed in more.items()}
    return Preset(
        name=name,
        title=title,
        source=source,
        version=version,
        profiles=MappingProxyType(profiles),
        default_profile="paper",
        quirks=quirks,
        page=page,
        **(shared | rules),
    )
