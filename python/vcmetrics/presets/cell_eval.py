"""cell-eval 0.8.2 with pdex 0.3.0."""

from __future__ import annotations

from types import MappingProxyType

from vcmetrics.presets.cell_eval2 import TIED_FOLD_CHANGES
from vcmetrics.presets.cell_eval2_names import V1_NAMES
from vcmetrics.presets.page import Page
from vcmetrics.presets.policy import ScalePolicy
from vcmetrics.presets.preset import DERules, Member, Preset

_METRICS = {output: metric for metric, output in V1_NAMES.items()}
_DE_NAMES = (
    *(f"overlap_at_{k}" for k in ("N", "50", "100", "200", "500")),
    *(f"precision_at_{k}" for k in ("N", "50", "100", "200", "500")),
    "de_spearman_sig",
    "de_direction_match",
    "de_spearman_lfc_sig",
    "de_sig_genes_recall",
    "de_nsig_counts_real",
    "de_nsig_counts_pred",
    "pr_auc",
    "roc_auc",
)
_ANNDATA_NAMES = (
    "pearson_delta",
    "mse",
    "mae",
    "mse_delta",
    "mae_delta",
    "discrimination_score_l1",
    "discrimination_score_l2",
    "discrimination_score_cosine",
    "pearson_edistance",
    "clustering_agreement",
)
_MINIMAL = (
    *("overlap_at_N", "precision_at_N", "de_nsig_counts_real", "de_nsig_counts_pred"),
    *("pearson_delta", "mse", "mae", "discrimination_score_l1"),
)


def _members(names: tuple[str, ...]) -> tuple[Member, ...]:
    return tuple(Member(_METRICS.get(name, name), name) for name in names)


def _policies() -> dict[str, ScalePolicy]:
    zero = ScalePolicy("lower", anchor=0.0, low=0.0)
    one = ScalePolicy("higher", anchor=1.0, low=0.0)
    errors = ("mse", "mae", "mse_delta", "mae_delta")
    unscored = ("de_nsig_counts_real", "de_nsig_counts_pred")
    names = (*_DE_NAMES, *_ANNDATA_NAMES)
    return {_METRICS.get(n, n): zero if n in errors else one for n in names if n not in unscored}


_DE = DERules(
    mean="geometric",
    epsilon=0.0,
    cpm_gate=None,
    gate_on="either",
    nan_lfc="zero",
    auc_floor="clip",
    single_precision=True,
    key="lognorm32",
)

PRESET = Preset(
    name="cell-eval",
    title="cell-eval",
    source="cell-eval with pdex 0.3.0",
    version="0.8.2",
    profiles=MappingProxyType(
        {
            "full": _members((*_DE_NAMES, *_ANNDATA_NAMES)),
            "minimal": _members(_MINIMAL),
            "vcc": _members(("overlap_at_N", "mae", "discrimination_score_l1")),
            "de": _members(_DE_NAMES),
            "anndata": _members(_ANNDATA_NAMES),
            "pds": _members(("discrimination_score_l1",)),
        }
    ),
    default_profile="full",
    policies=MappingProxyType(_policies()),
    spellings=MappingProxyType(
        {
            "profile": "default_profile",
            "allow_discrete": "discrete",
            "cpm_filter": "de.cpm_gate",
            "epsilon": "de.epsilon",
            "fdr_threshold": "de.alpha",
        }
    ),
    naming="v1",
    pert_cols=("target_gene", "target"),
    de=_DE,
    de_variants=MappingProxyType({"pdex": _DE}),
    control_source="pred",
    prediction_needs_control=True,
    input_type="guess",
    max_counts_per_cell=None,
    target_sum="median_own",
    comparator="lognorm",
    round_profiles=True,
    exclude="row",
    ties="position",
    denominator="n",
    needs_targets=False,
    gated=False,
    nan_rule="propagate",
    layout="wide",
    page=Page(
        space="Means of logs; counts are scaled to the median total of their own file and logged in float32.",
        control="Each side's own control cells: a submission that changes its control changes its score.",
        reference="Each side's own control.",
        genes="All genes; the gene named like the perturbation is left out of its match rank alone.",
        ties="Equal distances keep the order of the labels; ranks are divided by n: chance is (n + 1)/2n. NaN is kept.",
        aggregation="Mean over perturbations; one NaN makes it NaN. Scores against a baseline are floored at 0.",
    ),
    quirks=(
        "Each side is taken against its own control cells.",
        "A side whose values have no fraction above 1e-3 is taken for counts, scaled to the median total of that file "
        "and logged; two files of different depth get different scales. scanpy's median counts empty cells for sparse "
        "rows only.",
        "Profiles are means of logs, rounded to the data's precision; every gene counts, the own gene too.",
        "Match ranks divide by n, so the worst is 1/n and chance (n+1)/2n; equal distances keep label order (NumPy's "
        "unstable sort decides in cell-eval); only the gene named exactly like the label is left out.",
        "Columns of the DE tables are rounded to float32 before they are compared.",
        "Infinite fold changes are ordinary (nothing is added to the means) and rank first; 0/0 becomes 0.",
        TIED_FOLD_CHANGES,
        "precision_at_k cuts the observed list to k as well; overlap_at_N equals recall unless the prediction calls "
        "more genes than there are.",
        "pr_auc and roc_auc of a perturbation without significant genes are NaN, and one NaN makes the mean NaN; "
        "metrics without a row (null) are skipped.",
        "de_spearman_sig is 1 where no perturbation has a significant gene.",
        "Scores against a baseline are floored at 0, NaN counts as 0; a baseline at its optimum divides by zero.",
        "clustering_agreement depends on the versions of igraph and of the neighbour search.",
    ),
)
