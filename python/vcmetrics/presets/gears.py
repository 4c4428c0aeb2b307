"""GEARS: errors and correlations over the 20 most differential genes."""

from __future__ import annotations

from vcmetrics.presets.literature import (
    OBSERVED,
    ORACLE,
    PER_PERTURBATION,
    TARGET_KEPT,
    ZERO,
    lengths,
    mean_of_logs,
    member,
    paper,
)
from vcmetrics.presets.page import Page

_TOP = "t_test:20"
_VARIABLE = "top_variable:200"

PRESET = paper(
    name="gears",
    title="GEARS: errors and correlations, all genes and the top 20",
    source="GEARS (f374e43)",
    version="1",
    members=(
        member("squared_error", "mse"),
        member("squared_error", "mse_de", genes="t_test:20"),
        member("squared_error", "mse_de_non_dropout", genes="t_test:20:non_dropout"),
        member("squared_error", "mse_de_non_zero", genes="t_test:20:non_zero"),
        member("effect_pearson", "pearson", reference="none", undefined="zero"),
        member("effect_pearson", "pearson_de", reference="none", genes="t_test:20", undefined="zero"),
        member("effect_pearson", "pearson_delta", undefined="zero"),
        *lengths("effect_pearson", "pearson_delta_top{}", "t_test:{}", (20, 50, 100, 200), undefined="zero"),
        member("squared_error", "mse_top200_hvg", genes=_VARIABLE),
        member("effect_pearson", "pearson_top200_hvg", reference="none", genes=_VARIABLE, undefined="zero"),
        member("effect_pearson", "pearson_delta_top200_hvg", genes=_VARIABLE, undefined="zero"),
        member("direction_correct", "frac_correct_direction_20", genes=_TOP),
        member("direction_opposite", "frac_opposite_direction_20", genes=_TOP),
        member("direction_one_zero", "frac_0/1_direction_20", genes=_TOP),
        member("sigma_share", "frac_sigma_below_1", genes=_TOP, within=1.0),
        member("sigma_share", "frac_sigma_below_2", genes=_TOP, within=2.0),
        member("in_range", "frac_in_range", genes=_TOP),
        member("in_range", "frac_in_range_25_75", genes=_TOP, low=0.25, high=0.75),
        member("in_range", "frac_in_range_40_60", genes=_TOP, low=0.4, high=0.6),
        member("in_range", "frac_in_range_45_55", genes=_TOP, low=0.45, high=0.55),
        member("fold_change_gap", "fold_change_gap_up_3", above=3.0),
        member("fold_change_gap", "fold_change_gap_up_10", above=10.0),
        member("fold_change_gap", "fold_change_gap_down_0.33", below=0.333),
        member("fold_change_gap", "fold_change_gap_down_0.1", below=0.1),
    ),
    page=Page(
        space=mean_of_logs(),
        control=OBSERVED,
        reference="The control; none where profiles themselves are correlated.",
        genes="All genes; the 20, 50, 100 and 200 of the largest |t| of the perturbation's cells against the control; "
        "the "
        "first 20 also without genes that the perturbation does not express; the 200 whose means vary most over the "
        "conditions.",
        ties=ZERO,
        aggregation=PER_PERTURBATION,
    ),
    quirks=(
        "Its processed Replogle data are scaled to 4,000 counts a cell: --set target_sum=4000.",
        "Highly variable genes are those of the scored conditions and the control; the source takes all conditions of "
        "its data, training ones among them.",
        "fold_change_gap_down_0.33 compares with 0.333, as the source does.",
        "Ranges (frac_in_range) read single cells, and are left out where several presets are scored, unless asked for "
        "(cells=True, --cells).",
        "Of genes with equal |t| the first in the order of the data is taken.",
        ORACLE,
        TARGET_KEPT,
    ),
)
