"""The catalog of cell-eval2: names in both of its versions, profiles, score policies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from vcmetrics.presets.policy import ScalePolicy
from vcmetrics.presets.preset import Member

_TOPS = ("50", "100", "200", "500")

EXPRESSION = (
    "expr_mae",
    "pds_l1",
    "pds_l2",
    "pds_cosine",
    "delta_pearson",
    "expr_mse",
    "expr_mse_unbiased",
    "expr_mse_unbiased_capped",
    "expr_distance_unbiased",
    "expr_real_mass_ratio",
    "expr_mse_unbiased_capped_norm",
    "delta_mse",
    "delta_mae",
)
DIFFERENTIAL = tuple(
    f"de_wilcoxon_{name}"
    for name in (
        *("overlap", *(f"overlap_top{k}" for k in _TOPS)),
        *("precision", *(f"precision_top{k}" for k in _TOPS)),
        *("nsig_counts_real", "nsig_counts_pred", "nsig_spearman", "sig_recall"),
        *("direction_match", "model_direction_match"),
        *("lfc_spearman", "lfc_spearman_pos", "lfc_spearman_neg", "lfc_nmae"),
        *("pr_auc", "roc_auc"),
        *("overlap_adjusted", "precision_adjusted", "sig_recall_adjusted", "sig_mcc"),
        *("direction_precision", "direction_sensitivity", "direction_sensitivity_universe"),
        *("direction_fidelity", "direction_fidelity_raw", "direction_coverage"),
        *("direction_yield", "direction_yield_raw"),
        *("direction_fidelity_yield", "direction_fidelity_yield_raw"),
        *("direction_reach", "direction_reach_raw", "direction_reach_unbounded", "direction_reach_unbounded_raw"),
        "sig_jaccard",
    )
)
CELL = ("cell_cov_corr", "cell_cov_eig_ratio", "cell_cov_ccc")
MINIMAL = (
    "expr_mae",
    "pds_l1",
    "delta_pearson",
    "expr_mse",
    *(f"de_wilcoxon_{name}" for name in ("overlap", "precision", "nsig_counts_real", "nsig_counts_pred")),
)
VCC = ("expr_mae", "pds_l1", "de_wilcoxon_overlap")
VCC2026 = (
    "pds_cosine",
    "expr_mse_unbiased",
    "expr_mse_unbiased_capped",
    "expr_distance_unbiased",
    "expr_real_mass_ratio",
    "expr_mse_unbiased_capped_norm",
    "de_wilcoxon_lfc_nmae",
    "de_wilcoxon_direction_fidelity_yield_raw",
    "de_wilcoxon_direction_reach_raw",
    "de_wilcoxon_sig_jaccard",
)

# names of version 1, which are those of cell-eval; a metric that is not here has none and v1 leaves it out
V1_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "expr_mae": "mae",
        "expr_mse": "mse",
        "delta_mae": "mae_delta",
        "delta_mse": "mse_delta",
        "delta_pearson": "pearson_delta",
        "pds_l1": "discrimination_score_l1",
        "pds_l2": "discrimination_score_l2",
        "pds_cosine": "discrimination_score_cosine",
        "de_wilcoxon_overlap": "overlap_at_N",
        **{f"de_wilcoxon_overlap_top{k}": f"overlap_at_{k}" for k in _TOPS},
        "de_wilcoxon_precision": "precision_at_N",
        **{f"de_wilcoxon_precision_top{k}": f"precision_at_{k}" for k in _TOPS},
        "de_wilcoxon_nsig_counts_real": "de_nsig_counts_real",
        "de_wilcoxon_nsig_counts_pred": "de_nsig_counts_pred",
        "de_wilcoxon_nsig_spearman": "de_spearman_sig",
        "de_wilcoxon_sig_recall": "de_sig_genes_recall",
        "de_wilcoxon_direction_match": "de_direction_match",
        "de_wilcoxon_model_direction_match": "de_model_direction_match",
        "de_wilcoxon_lfc_spearman": "de_spearman_lfc_sig",
        "de_wilcoxon_lfc_spearman_pos": "de_spearman_pos_lfc_sig",
        "de_wilcoxon_lfc_spearman_neg": "de_spearman_neg_lfc_sig",
        "de_wilcoxon_pr_auc": "pr_auc",
        "de_wilcoxon_roc_auc": "roc_auc",
    }
)

_PROFILES = {
    "full": (*EXPRESSION, *DIFFERENTIAL),
    "de": DIFFERENTIAL,
    "anndata": EXPRESSION,
    "minimal": MINIMAL,
    "vcc": VCC,
    "vcc2026": VCC2026,
    "pds": ("pds_l1",),
    "cell": CELL,
}


def v2(names: Iterable[str]) -> tuple[Member, ...]:
    """Members under the names of version 2, which are the registry's own."""
    return tuple(Member(name, name) for name in names)


def v1(names: Iterable[str]) -> tuple[Member, ...]:
    """Members that version 1 knows, under its names."""
    return tuple(Member(name, V1_NAMES[name]) for name in names if name in V1_NAMES)


PROFILES_V2: Mapping[str, tuple[Member, ...]] = MappingProxyType({k: v2(names) for k, names in _PROFILES.items()})
# the profiles of 2026 and of single cells hold (nearly) nothing that version 1 has a name for
PROFILES_V1: Mapping[str, tuple[Member, ...]] = MappingProxyType(
    {k: v1(names) for k, names in _PROFILES.items() if k not in ("vcc2026", "cell")}
)


def _policies() -> dict[str, ScalePolicy]:
    error = ScalePolicy("lower", anchor=0.0, boxcox=True, low=-6.0, decisive=True)
    unfloored = ScalePolicy("higher", anchor=1.0, missing=0.0, decisive=True)
    against_baseline = ScalePolicy("higher", low=-2.0, high=2.0)
    special = {
        **dict.fromkeys(("expr_mae", "expr_mse", "delta_mae", "delta_mse"), error),
        "expr_mse_unbiased_capped_norm": ScalePolicy(
            "lower", anchor=0.0, boxcox=True, low=0.0, high=1.0, decisive=True
        ),
        "de_wilcoxon_lfc_nmae": ScalePolicy("lower", anchor=0.0, low=-6.0, decisive=True),
        "pds_cosine": unfloored,
        "de_wilcoxon_direction_fidelity_yield_raw": unfloored,
        "de_wilcoxon_direction_reach_raw": unfloored,
        "de_wilcoxon_sig_jaccard": unfloored,
        "de_wilcoxon_direction_yield": ScalePolicy("higher", low=-2.0, high=2.0, absolute=True),
        "de_wilcoxon_direction_coverage": against_baseline,
        "de_wilcoxon_direction_yield_raw": against_baseline,
        "de_wilcoxon_direction_reach_unbounded": against_baseline,
        "de_wilcoxon_direction_reach_unbounded_raw": against_baseline,
        "de_wilcoxon_direction_sensitivity_universe": against_baseline,
    }
    unscored = {
        "expr_mse_unbiased",
        "expr_mse_unbiased_capped",
        "expr_distance_unbiased",
        "expr_real_mass_ratio",
        "de_wilcoxon_nsig_counts_real",
        "de_wilcoxon_nsig_counts_pred",
    }
    return {
        name: special.get(name) or ScalePolicy("higher", anchor=1.0, low=0.0, decisive=name in V1_NAMES)
        for name in (*EXPRESSION, *DIFFERENTIAL)
        if name not in unscored
    }


POLICIES: Mapping[str, ScalePolicy] = MappingProxyType(_policies())

# keys of cell-eval2's configuration files, so that its users' settings can be passed as they are
SPELLINGS: Mapping[str, str] = MappingProxyType(
    {
        "metrics": "default_profile",
        "profile": "default_profile",
        "allow_fractional_counts": "allow_fractional",
        "validate_input": "check_values",
        "allow_discrete": "discrete",
        "filter.filter_gene_min_cpm_cell": "de.cpm_gate",
        "discrimination.rank_denominator": "denominator",
        "discrimination.tie_policy": "ties",
        "discrimination.exclusion_scope": "exclude",
        "de.p_adj_threshold": "de.alpha",
        "de.mean_calc": "de.mean",
        "de.clip_value": "de.clip",
        "de.nan_lfc_policy": "de.nan_lfc",
        "de.auc_pval_floor": "de.auc_floor",
    }
)
