"""What the rule sets of papers have in common, and how their metrics are listed."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from vcmetrics.presets.page import Page
from vcmetrics.presets.preset import Member, Preset

MEAN_OF_LOGS = "Means of logs: log(1 + {depth} × share of the cell's counts) averaged over cells; values as they are where "
MEAN_OF_LOGS += "they are no counts."
OBSERVED = "The observed control cells, on both sides."
SKIPPED = "An undefined value (a constant effect) stays undefined and is left out of the mean."
PER_PERTURBATION = "One value a perturbation, then their plain mean."
ORACLE = "Top genes are chosen by the observed cells: an oracle set."
TARGET_KEPT = "Target genes are not left out, so a prediction that knows only its target's drop gains."


def member(metric: str, output: str, **parameters: Any) -> Member:
    """One metric under the paper's name for it."""
    return Member(metric, output, MappingProxyType(parameters))


def spread(metric: str, output: str, name: str, values: tuple[int, ...], **parameters: Any) -> tuple[Member, ...]:
    """One metric over lists of genes of several lengths: ``output_k`` with genes ``name:k``."""
    return tuple(member(metric, f"{output}_{k}", genes=f"{name}:{k}", **parameters) for k in values)


# the rule set of no paper: what each starts from
PAPER = Preset(
    name="paper",
    title="Rules that papers share",
    source="the papers' code",
    version="1",
    profiles=MappingProxyType({}),
    default_profile="paper",
    quirks=(),
    page=Page(
        space=MEAN_OF_LOGS.format(depth="10,000"),
        control=OBSERVED,
        reference="The control.",
        genes="All genes, target genes too.",
        ties=SKIPPED,
        aggregation=PER_PERTURBATION,
    ),
    input_type="autodetect",
    allow_fractional=True,
    max_counts_per_cell=None,
    target_sum=1e4,
    comparator="mean_of_logs",
    same_gene_order=False,
    exclude="none",
    needs_targets=False,
    gated=False,
)
