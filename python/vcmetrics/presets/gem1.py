"""GEM-1: correlation of each gene across samples."""

from __future__ import annotations

from vcmetrics.presets.literature import (
    mean_of_logs,
    member,
    paper,
)
from vcmetrics.presets.page import Page

PRESET = paper(
    name="gem1",
    title="GEM-1: within-gene correlation across perturbations",
    source="GEM-1 (its gene filter and transform could not be read)",
    version="1",
    members=(
        member("r_gene", "r_gene_median"),
        member("r_gene", "r_gene_mean", statistic="mean"),
        member("r_gene", "r_gene_spearman", method="spearman"),
        member("effect_pearson", "r_sample", reference="none"),
        member("gene_dispersion_ratio", "dispersion_ratio"),
        member("genes_predicted_constant", "predicted_constant"),
    ),
    page=Page(
        space=mean_of_logs(),
        control="None is read.",
        reference="None.",
        genes="All genes whose observed profiles vary; min_expression and min_variance filter more.",
        ties="A gene predicted constant has no correlation and is left out.",
        aggregation="Median (or mean) over genes of one correlation a gene; dispersion_ratio (predicted over "
        "observed spread across perturbations) is 0 for a collapsed prediction; r_sample is a mean over perturbations.",
    ),
    quirks=(
        "r_sample, across genes, is above 0.9 for any sane prediction, since genes differ more than samples do.",
        "A predictor that knows only the study or batch has a high r_gene: compare r_gene_within.",
        "One number for the whole panel: perturbations have no values of their own.",
    ),
    needs_control=False,
)
