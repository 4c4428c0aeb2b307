"""A rule set in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """A rule set on one page, for people; its quirks and sources are the preset's own.

    Attributes
    ----------
    space
        What profiles are made of: normalisation, depth, base of the logs, means of logs or logs of sums.
    control
        Whose control cells, and how they are matched.
    reference
        What effects are taken against.
    genes
        Which genes count, and whether target genes do.
    ties
        What ties, constant vectors, zero norms and undefined values are worth.
    aggregation
        From one value a perturbation to one number.
    """

    space: str
    control: str
    reference: str
    genes: str
    ties: str
    aggregation: str
