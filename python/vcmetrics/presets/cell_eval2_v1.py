"""cell-eval2 0.20.0, version 1: cell-eval's rules and names, in float64."""

from __future__ import annotations

from vcmetrics.presets.cell_eval2 import TIED_FOLD_CHANGES, TIES_ACROSS_DEPTHS
from vcmetrics.presets.cell_eval2_names import POLICIES, PROFILES_V1, SPELLINGS
from vcmetrics.presets.page import Page
from vcmetrics.presets.preset import DERules, Preset

_DE = DERules(
    mean="geometric",
    epsilon=0.0,
    clip=20.0,
    fdr_scope="global",
    cpm_gate=None,
    nan_lfc="keep",
    auc_floor="replace_zero",
)

PRESET = Preset(
    name="cell-eval2-v1",
    title="cell-eval2, version 1 (cell-eval's rules)",
    source="cell-eval2 (preset v1) with pdex 0.3.0",
    version="0.20.0",
    profiles=PROFILES_V1,
    default_profile="full",
    policies=POLICIES,
    spellings=SPELLINGS,
    naming="v1",
    de=_DE,
    de_variants={"pdex": _DE},
    control_source="pred",
    prediction_needs_control=True,
    input_type="autodetect",
    check_values=False,
    max_counts_per_cell=1e9,
    target_sum="median_real_control",
    comparator="lognorm",
    exclude="row",
    ties="position",
    denominator="n",
    gated=False,
    page=Page(
        space="Means of logs; counts are scaled to the median total of the observed control cells, both sides alike.",
        control="Each side's own control cells.",
        reference="Each side's own control.",
        genes="All genes; a perturbation's own is left out of its match rank alone.",
        ties="Equal distances keep the order of the labels; ranks are divided by n. Undefined values stay so.",
        aggregation="Mean over perturbations, undefined ones left out.",
    ),
    quirks=(
        "Each side is taken against its own control cells.",
        "Each side's type is guessed from up to 500 row sums; the declared type is ignored and values are not checked.",
        "Counts are scaled to the median total of the observed control cells, both sides alike, then logged.",
        "Match ranks divide by n, so the worst is 1/n and chance (n+1)/2n; equal distances keep label order; only "
        "the own gene is left out, and nowhere else is any gene left out.",
        "Fold changes are of geometric means, clipped at a factor of 20 where a mean is 0; Benjamini-Hochberg runs "
        "once over all rows; no gene is filtered.",
        "There are no gates and no fills: undefined values stay NaN or have no row; means skip them.",
        "Only the 29 metrics with a version 1 name are reported.",
        "A predicted p_adj that is 0 in float32 counts as 1e-10 in pr_auc and roc_auc.",
        TIED_FOLD_CHANGES,
        TIES_ACROSS_DEPTHS,
    ),
)
