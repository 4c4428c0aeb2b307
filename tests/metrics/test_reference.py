"""Every formula against its slow meaning, on pairs full of ties, infinities, NaN and missing cells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import MetricSpec, get, rows
from vcmetrics.summary.effect_reference import REFERENCES

# what a random pair does not hold, or what has no default, is tested beside its row
SUMMARY_METRICS = [
    spec for spec in rows() if not spec.needs & {"cells", "train"} and spec.extra is None and not spec.required
]
# what presets may choose, beside the defaults
CHOICES = {
    "alpha": (0.05, 0.01),
    "single_precision": (False, True),
    "exclude": ("panel", "row", "none"),
    "ties": ("midrank", "position", "last", "optimistic", "pessimistic"),
    "denominator": ("n-1", "n"),
    "sort_by": ("abs_log2_fold_change", "log2_fold_change", "p_value", "p_adj"),
    "auc_floor": ("min_nonzero", "clip", "replace_zero", "preserve"),
    "genes": ("all", "top_effect:5", "effect_rank:5", "t_test:4", "union_t_test:2", "top_expressed:3", "all:non_zero"),
    "reference": REFERENCES,
    "leave_one_out": (True, False),
    "correct": ("both", "real"),
    "weights": ("t_rest", "t_control", "uniform"),
    "flat": ("by_score", "uniform", "nan"),
    "quantile": (0.1, 0.5),
    "relative": (False, True),
    "undefined": ("nan", "zero"),
    "arguments": ("truth_first", "swapped"),
    "min_cells": (0, 3),
    "of": ("variance", "sd"),
    "zero_weights": ("nan", "uniform"),
    "decimals": (None, 1, 2),
    "correction": (True, False),
    "side": ("real", "pred"),
    "statistic": ("mean", "median"),
    "k": (20, 3),
    "rank_rule": ("average", "first"),
    "min_abs_lfc": (0.5, 1.0),
    "column": ("p_value", "p_adj"),
    "clip": (4.0, None, 1.0),
    "min_expression": (None, 0.1),
    "min_variance": (None, 0.2001),  # no variance of eighths, so rounding decides nothing
    "ddof": (0, 1),
    "within": (1.0, 0.3),
    "above": (0.0, 2.0),
    "below": (None, 3.0),
    "min_mean": (0.5, 0.0),
}
# of parameters whose values differ from row to row
OWN_CHOICES = {
    # references of match ranks are tested in test_match_ranks, target ranks by value in theirs
    **{spec.name: {"reference": ("none", "control")} for spec in rows() if spec.family == "match_ranks"},
    **{spec.name: {"of": ("value", "effect")} for spec in rows() if spec.family == "target_ranking"},
    "r_gene_within": {"method": ("pearson", "spearman")},
    "squared_error": {"reduce": ("mean", "sum", "root", "root_sum")},
    "absolute_error": {"reduce": ("mean", "sum")},
    # ties of effects against a mean are a matter of its rounding; see test_delta_correlation for the others
    **{
        name: {"reference": ("control", "none")}
        for name in (
            "effect_spearman",
            "direction_correct",
            "direction_opposite",
            "direction_one_zero",
            "direction_p_value",
            "fold_change_contrast",
            "overlap_top_n",
            "jaccard_top",
        )
    },
    "effect_pair_cosine": {"exclude": ("none", "panel")},
    "r_gene": {"method": ("pearson", "spearman", "concordance"), "statistic": ("median", "mean", "q25")},
    "effect_undefined": {"method": ("pearson", "spearman", "cosine")},
}


def agree(spec: MetricSpec, fast: np.ndarray, slow: np.ndarray, note: str) -> None:
    np.testing.assert_array_equal(np.ma.getmaskarray(fast), np.ma.getmaskarray(slow), f"{spec.name} rows, {note}")
    np.testing.assert_allclose(
        np.ma.filled(fast, 0.0),
        np.ma.filled(slow, 0.0),
        rtol=spec.parity.rtol,
        atol=spec.parity.atol,
        err_msg=f"{spec.name}, {note}",
    )


@pytest.mark.parametrize("spec", SUMMARY_METRICS, ids=lambda spec: spec.name)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 6), g=st.integers(1, 24))
def test_formula_equals_reference(spec: MetricSpec, make_pair: Callable[..., Pair], seed: int, n: int, g: int) -> None:
    pair = make_pair(seed, n, g)
    by_panel = "panel" in (spec.defaults.get("exclude"), spec.defaults.get("scope"))
    if by_panel and np.unique(pair.own[pair.own >= 0]).size == g:
        return  # refused: no gene is left (see test_discrimination)
    if spec.name.startswith("expr_") and g == 1 and (pair.own >= 0).any():
        return  # no gene is scored at all
    choices = {**CHOICES, **OWN_CHOICES.get(spec.name, {})}
    chosen = [key for key in choices if key in spec.defaults]
    rng = np.random.default_rng(seed)
    picked = [tuple(choices[key][rng.integers(len(choices[key]))] for key in chosen) for _ in range(3)]
    for values in [tuple(spec.defaults[key] for key in chosen), *picked]:
        parameters = dict(zip(chosen, values, strict=True))
        agree(spec, spec.evaluate(pair, parameters), spec.evaluate(pair, parameters, slow=True), str(parameters))


@pytest.mark.parametrize("spec", SUMMARY_METRICS, ids=lambda spec: spec.name)
def test_larger_pair(spec: MetricSpec, make_pair: Callable[..., Pair]) -> None:
    for rough in (True, False):
        pair = make_pair(7, 12, 90, rough=rough)
        agree(spec, spec.evaluate(pair), spec.evaluate(pair, slow=True), f"rough={rough}")


@pytest.mark.parametrize("spec", SUMMARY_METRICS, ids=lambda spec: spec.name)
def test_bounds_and_inputs_left_alone(spec: MetricSpec, make_pair: Callable[..., Pair]) -> None:
    pair = make_pair(3, 9, 60)
    before = [np.array(a) for a in (pair.real.mean, pair.pred.mean, pair.de_real.p_adj, pair.de_pred.lfc)]
    values = np.ma.compressed(spec.evaluate(pair))
    values = values[~np.isnan(values)]
    low, high = spec.bounds
    assert ((values >= low - 1e-12) & (values <= high + 1e-12)).all()
    after = (pair.real.mean, pair.pred.mean, pair.de_real.p_adj, pair.de_pred.lfc)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


def test_gate_leaves_reference_decide(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair(5, 8, 60)
    for spec in SUMMARY_METRICS:
        if spec.gate is None:
            continue
        values = spec.evaluate(pair, {"gated": True})
        inside = spec.gate.inside(pair, spec.parameters())
        assert not np.ma.getmaskarray(values).any()
        np.testing.assert_array_equal(np.isfinite(values), inside, spec.name)
    assert get("delta_pearson").gate is not None
