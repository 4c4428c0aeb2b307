"""Broad obesity challenge, crunch 1."""

from __future__ import annotations

from vcmetrics.presets.broad_obesity_rules import crunch

PRESET = crunch(
    1,
    sigma=2326,
    n_genes=1000,
    reference="perturbed_mean_cells",
    reference_text="The mean of all training perturbed cells.",
    notebook="The published perturbed-mean notebook repeats the control centroid in truth.",
)
