"""Values that can be checked with pencil and paper."""

from __future__ import annotations

import numpy as np
import pytest

from vcmetrics import _errors
from vcmetrics.metrics.expression import correction_share
from vcmetrics.metrics.pair import Pair, Profiles
from vcmetrics.metrics.registry import get
from vcmetrics.summary.de_table import DETable


def profiles(pred: list, real: list, control: list, own: list[int], **more: object) -> Pair:
    real_side = Profiles(np.array(real, float), np.array(control, float), np.array(more.pop("c_real")), 0.25)
    pred_side = Profiles(np.array(pred, float), np.array(control, float), np.array(more.pop("c_pred")), 0.25)
    return Pair(
        perturbations=tuple("ABC"[: len(pred)]),
        genes=np.array([f"g{k}" for k in range(len(control))]),
        own=np.array(own),
        real=real_side,
        pred=pred_side,
        **more,
    )


@pytest.fixture
def small() -> Pair:
    return profiles(
        pred=[[1, 2, 0], [0, 0, 4]],
        real=[[2, 4, 0], [0, 0, 2]],
        control=[1, 1, 0],
        own=[0, -1],
        c_pred=[0.5, 2.0],
        c_real=[1.0, 0.5],
        target_sum=10.0,
    )


def value(pair: Pair, name: str, **settings: object) -> list[float | None]:
    return np.ma.asarray(get(name).evaluate(pair, settings)).tolist()


def test_errors(small: Pair) -> None:
    assert value(small, "expr_mae") == [1.0, 2 / 3]
    assert value(small, "expr_mse") == [5 / 3, 4 / 3]
    assert value(small, "delta_mae") == [1.0, 2 / 3]
    assert value(small, "delta_mse") == [5 / 3, 4 / 3]


def test_pearson(small: Pair) -> None:
    # effects: pred (0, 1, 0) and (-1, -1, 4); real (1, 3, 0) and (-1, -1, 2), the latter in line
    got = value(small, "delta_pearson")
    assert got == pytest.approx([(3 - 4 / 3) / np.sqrt((2 / 3) * (14 / 3)), 1.0], rel=1e-14)


def test_constant_effect() -> None:
    pair = profiles([[0.1] * 7, [1, 2, 3, 4, 5, 6, 7]], [range(7), [0.1] * 7], [0] * 7, [-1, -1], c_pred=[], c_real=[])
    assert np.isnan(value(pair, "delta_pearson")).all()
    gated = value(pair, "delta_pearson", gated=True)
    assert gated[0] == -1.0
    assert np.isnan(gated[1])


def test_unbiased(small: Pair) -> None:
    # without the own gene of A: |b^ - b|² = 4, two genes; B: 4, three genes
    assert value(small, "expr_mse_unbiased") == [(4 - 0.5 - 1) / 2, (4 - 2 - 0.5) / 3]
    assert value(small, "expr_distance_unbiased") == [(9 - 1 - 0.25) / 2, (1 + 1 + 4 - 0.5 - 0.25) / 3]
    assert value(small, "expr_mse_unbiased_capped_norm") == [None, None]
    # gene 1: weights 1/2, 1/3 of (2, 0): 1/2·1/3/(5/6)·4; gene 2: of (0, 4); gene 0 has one row only
    spread = (1 / 6) / (5 / 6) * (4 + 16)
    assert spread > (0.5 / 2 + 0.5 / 3)  # more than the corrections claim, so all of them is granted
    assert correction_share(small) == 1.0
    assert value(small, "expr_mse_unbiased_capped") == [(4 - 0.5 - 1) / 2, (4 - 0.5 - 0.5) / 3]


def test_spread_below_the_claim() -> None:
    pair = profiles([[1, 0], [1, 1]], [[0, 0], [0, 0]], [0, 0], [-1, -1], c_pred=[2.0, 2.0], c_real=[4.0, 4.0])
    # spread: 1/2 · 1/2 in gene 1, times weight 1/2: 0.25; claim (2 + 2) / 2 = 2
    assert correction_share(pair) == 0.125
    assert value(pair, "expr_mse_unbiased_capped") == [(1 - 0.25 - 4) / 2, (2 - 0.25 - 4) / 2]


def test_mass(small: Pair) -> None:
    whole = profiles([[0, 0]], [np.log1p([3, 7])], [0, 0], [-1], c_pred=[], c_real=[], target_sum=10.0)
    assert value(whole, "expr_real_mass_ratio") == pytest.approx([1.0])
    unknown = profiles([[0, 0]], [[0, 0]], [0, 0], [-1], c_pred=[], c_real=[], target_sum=None)
    assert np.isnan(value(unknown, "expr_real_mass_ratio"))


def test_what_is_missing_is_said() -> None:
    bare = Pair(perturbations=("A",), genes=np.array(["g"]), own=np.array([-1]))
    for name, words in (("expr_mae", "profiles"), ("pds_l1", "profiles"), ("de_wilcoxon_overlap", "tables")):
        with pytest.raises(_errors.DataError, match=words):
            get(name).evaluate(bare)
    plain = Profiles(np.zeros((1, 1)), np.zeros(1))
    pair = Pair(perturbations=("A",), genes=np.array(["g"]), own=np.array([-1]), real=plain, pred=plain)
    for name in ("expr_mse_unbiased", "expr_mse_unbiased_capped", "expr_distance_unbiased"):
        with pytest.raises(_errors.DataError, match="sampling variance"):
            get(name).evaluate(pair)


def de_pair(
    genes: str, real: dict[str, tuple[float, float]], pred: dict[str, tuple[float, float]], own: str = ""
) -> Pair:
    """One perturbation; gene -> (fold change, p_adj); genes that a side does not name are p_adj 1 there."""
    names = np.array(list(genes))

    def table(rows: dict[str, tuple[float, float]]) -> DETable:
        lfc = np.array([[rows.get(g, (0.0, 1.0))[0] for g in genes]])
        p_adj = np.array([[rows.get(g, (0.0, 1.0))[1] for g in genes]])
        return DETable(("P",), names, lfc, p_adj, p_adj)

    return Pair(
        perturbations=("P",),
        genes=names,
        own=np.array([genes.find(own) if own else -1]),
        de_real=table(real),
        de_pred=table(pred),
        own_de=(own or None,),
    )


def de(pair: Pair, name: str, **settings: object) -> float | None:
    return value(pair, f"de_wilcoxon_{name}", **settings)[0]


def test_lists() -> None:
    # R = c, b, a by size; Q = b, d, a, c
    real = {"a": (1.0, 0.01), "b": (-2.0, 0.01), "c": (3.0, 0.01)}
    pred = {"a": (2.0, 0.01), "b": (-9.0, 0.01), "c": (1.0, 0.01), "d": (3.0, 0.01)}
    pair = de_pair("abcdefgh", real, pred)
    assert de(pair, "overlap") == 2 / 3
    assert de(pair, "precision") == 3 / 4
    assert de(pair, "overlap", top=2) == 1 / 2
    assert de(pair, "precision", top=1) == 0.0
    assert de(pair, "sig_recall") == 1.0
    assert de(pair, "sig_jaccard") == 3 / 4
    assert de(pair, "nsig_counts_real") == 3
    assert de(pair, "nsig_counts_pred") == 4
    # 8 genes, 3 real, 4 predicted, 3 common
    assert de(pair, "sig_mcc") == pytest.approx((3 * 8 - 12) / np.sqrt(3 * 4 * 5 * 4))
    assert de(pair, "overlap_adjusted") == pytest.approx((2 * 8 - 9) / (3 * 5))
    assert de(pair, "sig_recall_adjusted") == pytest.approx(1 - 1 / 5)
    assert de(pair, "precision_adjusted") == 3 / 4 - 0 / 4
    assert de(pair, "direction_match") == 1.0
    assert de(pair, "lfc_spearman") == pytest.approx(-0.5 + 1.0)  # real ranks 2 1 3, predicted 3 1 2


def test_level_is_strict() -> None:
    pair = de_pair("ab", {"a": (1.0, 0.05), "b": (1.0, 0.0499)}, {})
    assert de(pair, "nsig_counts_real") == 1
    assert de(pair, "nsig_counts_real", alpha=0.04) == 0


def test_silent_perturbation() -> None:
    pair = de_pair("abc", {}, {})
    assert de(pair, "overlap") == 0.0
    assert de(pair, "sig_jaccard") == 1.0
    for name in ("sig_recall", "direction_match", "lfc_spearman", "lfc_nmae"):
        assert de(pair, name) is None, name
    for name in ("roc_auc", "pr_auc", "direction_fidelity_yield_raw", "direction_reach_raw"):
        assert np.isnan(de(pair, name)), name
    assert de(pair, "direction_fidelity") == 1.0
    assert de(pair, "nsig_spearman") == 1.0


def test_infinite_fold_changes_rank_first() -> None:
    real = {"a": (np.inf, 0.01), "b": (5.0, 0.01)}
    pred = {"a": (1.0, 0.01), "b": (-np.inf, 0.01)}
    assert de(de_pair("abc", real, pred), "overlap", top=1) == 0.0


def test_own_gene() -> None:
    rows = {"a": (-5.0, 0.001), "b": (1.0, 0.01)}
    pair = de_pair("abc", rows, {"a": (-5.0, 0.001)}, own="a")
    assert de(pair, "sig_jaccard") == 0.0
    assert de(pair, "sig_recall") == 0.5
    assert de(pair, "direction_precision") == 1.0
    assert np.isnan(de(pair, "direction_fidelity_raw"))


def test_claims() -> None:
    # 10 real changes: a-g rise, h-j fall. Claims by boldness a b c d x e; x is real but not significant, d is wrong
    real = {g: ((1.0 if g < "h" else -1.0), 0.01) for g in "abcdefghij"} | {"x": (-1.0, 0.5)}
    pred = {g: (2.0, p) for g, p in zip("abcdxe", (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 2e-2), strict=True)}
    pred["d"] = (-2.0, 1e-3)
    pair = de_pair("abcdefghijxyz", real, pred)
    # n_conf 10, n_pred 6, right a b c e; q = 0.7
    assert de(pair, "direction_fidelity_raw") == 4 / 6
    assert de(pair, "direction_fidelity") == pytest.approx((4 / 6 - 0.7) / 0.3)
    assert de(pair, "direction_coverage") == 0.6
    assert de(pair, "direction_yield_raw") == 0.4
    assert de(pair, "direction_yield") == pytest.approx((4 - 0.7 * 6) / (10 * 0.3))
    assert de(pair, "direction_fidelity_yield_raw") == 0.4
    assert de(pair, "direction_fidelity_yield") == pytest.approx(0.6 * (4 / 6 - 0.7) / 0.3)
    assert de(pair, "direction_precision") == 4 / 6
    # the first three are right, then 3/4 and 4/5, and the unclaimed rest (fold change 0) is wrong
    assert de(pair, "direction_reach_raw") == 0.3
    assert de(pair, "direction_reach_unbounded_raw") == 0.3
    assert de(pair, "direction_sensitivity") == 0.3


def test_reach_may_recover() -> None:
    real = dict.fromkeys("abcdefghij", (1.0, 0.01))
    pred = {g: (1.0, 0.001 * (k + 1)) for k, g in enumerate("abcdefghij")}
    pred["b"] = (-1.0, 0.002)
    assert de(de_pair("abcdefghij", real, pred), "direction_reach_raw") == 1.0  # 9 of 10, though 1 of 2 on the way


def test_fold_change_error() -> None:
    genes = "abcdefghij"
    real = dict.fromkeys(genes, (2.0, 0.01))
    pred = dict.fromkeys(genes[:-1], (1.0, 0.5)) | {"j": (np.inf, 0.5)}
    assert de(de_pair(genes, real, pred), "lfc_nmae") == pytest.approx((9 * 1 + 2) / 20)
    assert de(de_pair(genes, {g: real[g] for g in genes[:9]}, pred), "lfc_nmae") is None


def test_curves() -> None:
    real = {"a": (1.0, 0.01), "c": (1.0, 0.01)}
    pred = {"a": (1.0, 0.01), "b": (1.0, 0.2), "c": (1.0, 0.5)}
    pair = de_pair("abc", real, pred)
    assert de(pair, "roc_auc") == 0.5
    assert de(pair, "pr_auc") == pytest.approx(5 / 6)
    tied = de_pair("abc", real, {"a": (1.0, 0.2), "b": (1.0, 0.2), "c": (1.0, 0.2)})
    assert de(tied, "roc_auc") == 0.5
    assert de(tied, "pr_auc") == pytest.approx(2 / 3)


def test_floors() -> None:
    real = {"a": (1.0, 0.01)}
    pred = {"a": (1.0, 1e-12), "b": (1.0, 0.0)}
    pair = de_pair("abc", real, pred)
    assert de(pair, "roc_auc", auc_floor="preserve") == 0.5
    assert de(pair, "roc_auc", auc_floor="clip") == 0.75
    assert de(pair, "roc_auc", auc_floor="min_nonzero") == 0.75
    assert de(pair, "roc_auc", auc_floor="replace_zero") == 1.0
    with pytest.raises(ValueError, match="'x' is not one of"):
        de(pair, "roc_auc", auc_floor="x")


def test_gate_outside_and_inside() -> None:
    genes = "abcdefghijkl"
    real = {g: (1.0 + k, 0.01) for k, g in enumerate(genes[:10])}
    pair = de_pair(genes, real, {})
    assert de(pair, "sig_recall", gated=True) == 0.0
    assert de(pair, "lfc_spearman", gated=True) == -1.0  # all predictions alike: charged the worst
    assert de(pair, "direction_match", gated=True) == 0.0
    few = de_pair(genes, {g: real[g] for g in genes[:9]}, {})
    for name in ("sig_recall", "lfc_spearman", "direction_match", "roc_auc", "sig_mcc"):
        assert np.isnan(de(few, name, gated=True)), name


def test_nan_ranks_above_all_numbers() -> None:
    real = {"a": (np.nan, 0.01), "b": (-1.0, 0.01), "c": (np.inf, 0.01)}
    pair = de_pair("abcd", real, {"a": (3.0, 0.5), "b": (1.0, 0.5), "c": (np.nan, 0.5)})
    assert de(pair, "lfc_spearman") == pytest.approx(0.5)  # ranks 3 1 2 and 2 1 3
    assert de(pair, "lfc_spearman_pos") == pytest.approx(-1.0)  # of a and c, the NaN among them
    assert de(pair, "lfc_nmae") is None
