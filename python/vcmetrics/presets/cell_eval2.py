"""cell-eval2 0.20.0, version 2: its corrected metrics, 54 members in the full profile."""

from __future__ import annotations

from vcmetrics.presets.cell_eval2_names import POLICIES, PROFILES_V2, SPELLINGS
from vcmetrics.presets.page import Page
from vcmetrics.presets.preset import DERules, Preset

TIES_ACROSS_DEPTHS = (
    "p-values of genes where cells of different depth tie as rational numbers can differ from pdex's by some percent: "
    "pdex ranks a rounded log1p, whose ties depend on the processor. pr_auc and roc_auc can move in the fourth digit, "
    "and a gene whose p-value lies at the level can change sides."
)
TIED_FOLD_CHANGES = (
    "Genes of equal fold change keep the table's order in the ranked lists of overlap and precision; the source sorts "
    "lists of more than 20 genes unstably, so where many are equal (clipped or infinite ones) its values can differ."
)

# cell-eval2's scanpy engine is the same test without the continuity correction
_DE = DERules()

PRESET = Preset(
    name="cell-eval2",
    title="cell-eval2, version 2",
    source="cell-eval2 (preset v2) with pdex 0.3.0",
    version="0.20.0",
    profiles=PROFILES_V2,
    default_profile="full",
    policies=POLICIES,
    spellings=SPELLINGS,
    de=_DE,
    de_variants={"pdex": _DE, "scanpy": DERules(continuity=False)},
    page=Page(
        space="Logs of sums: log(1 + 50,000 × share of the perturbation's counts). DE: counts per million a cell.",
        control="The observed control cells, on both sides.",
        reference="The observed control.",
        genes="All genes; the targets of the whole panel are left out of match ranks, a perturbation's own of errors "
        "and DE. DE: genes whose control mean is above 5 per million.",
        ties="Equal distances share the middle rank. Only perturbations that the reference can judge count; there an "
        "undefined prediction gets the worst value. Both sets of significant genes empty: Jaccard 1.",
        aggregation="Mean over perturbations, undefined ones left out; the error is a ratio of sums.",
    ),
    quirks=(
        "Predicted effects and tests are taken against the observed control; the prediction's own control is not read.",
        "Match ranks leave out every panel target; expression errors and the direction, Jaccard and lfc_nmae members "
        "only the own gene; the sampling correction, overlap, precision, AUC, direction_precision and "
        "direction_sensitivity keep it.",
        "Profiles are logs of sums at depth 50,000; differential expression uses per-cell CPM.",
        "A gene is tested where the control's mean CPM is strictly above 5, for all perturbations alike; "
        "Benjamini-Hochberg runs after that.",
        "Perturbations whose reference cannot be judged are NaN and leave the mean; undefined predictions of judged "
        "ones are charged the worst value. lfc_nmae omits perturbations with fewer than 10 genes.",
        "Means skip NaN. expr_mse_unbiased_capped_norm is a ratio of sums and has no value per perturbation.",
        "The sampling correction of a prediction is capped by the reference's and scaled down to what its spread "
        "between perturbations can account for; it depends on the whole panel.",
        "If either side is log-normalised, both sides' profiles are means of logs.",
        TIES_ACROSS_DEPTHS,
    ),
)
