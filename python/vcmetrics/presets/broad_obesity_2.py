"""Broad obesity challenge, crunch 2."""

from __future__ import annotations

from vcmetrics.presets.broad_obesity_rules import crunch

PRESET = crunch(
    2,
    sigma=849,
    n_genes=500,
    reference="guide_count_mean",
    reference_text="The mean of the training perturbed cells that carry as many guides (single or double, by the + in "
    "their labels).",
    notebook="The delta-mean notebook scores with the sigma of crunch 1 on 1,000 genes; the scorer takes 849.",
)
