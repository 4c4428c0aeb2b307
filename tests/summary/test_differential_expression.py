import numpy as np
import pytest
from scipy.stats import false_discovery_control, mannwhitneyu

from vcmetrics.summary.differential_expression import RankTest, de_table, log2_fold_change
from vcmetrics.summary.group_summary import Recipe


def recipe(*fields, key="ratio", scale=1e6):
    return Recipe(key, scale, frozenset({"rank", *fields}))


def table(counts, side_of, summary_of, test, r):
    s = summary_of(side_of(*counts), r)
    return de_table(s, s, ["a", "b"], r, test)


def test_agrees_with_scipy(counts, side_of, summary_of):
    x, labels = counts
    t = table(counts, side_of, summary_of, RankTest(), recipe("linear"))
    depth = x.sum(1, dtype=float)
    cpm = np.divide(x * 1e6, depth[:, None])
    ratio = x / depth[:, None]
    for k, label in enumerate(["a", "b"]):
        group, control = labels == label, labels == "c"
        want = mannwhitneyu(ratio[group], ratio[control], method="asymptotic")
        np.testing.assert_allclose(t.p_value[k], np.where(np.isnan(want.pvalue), 1.0, want.pvalue), rtol=1e-12)
        np.testing.assert_array_equal(t.statistic[k], want.statistic)
        np.testing.assert_allclose(t.p_adj[k], false_discovery_control(t.p_value[k]), rtol=1e-14)
        lfc = np.log2((cpm[group].mean(0) + 1e-9) / (cpm[control].mean(0) + 1e-9))
        np.testing.assert_allclose(t.lfc[k], lfc, rtol=1e-10, atol=1e-12)


def test_without_continuity(counts, side_of, summary_of):
    x, labels = counts
    t = table(counts, side_of, summary_of, RankTest(continuity=False), recipe("linear"))
    ratio = x / x.sum(1, dtype=float)[:, None]
    want = mannwhitneyu(ratio[labels == "a"], ratio[labels == "c"], method="asymptotic", use_continuity=False).pvalue
    np.testing.assert_allclose(t.p_value[0], np.where(np.isnan(want), 1.0, want), rtol=1e-12)


def test_global_adjustment_counts_all_rows(counts, side_of, summary_of):
    t = table(counts, side_of, summary_of, RankTest(fdr_scope="global"), recipe("linear"))
    want = false_discovery_control(t.p_value.ravel()).reshape(t.p_value.shape)
    np.testing.assert_allclose(t.p_adj, want, rtol=1e-14)


def test_the_control_gate_is_strict_and_leaves_the_same_genes_for_all(counts, side_of, summary_of):
    full = table(counts, side_of, summary_of, RankTest(), recipe("linear"))
    limit = float(np.sort(full.ref_mean)[12])
    gated = table(counts, side_of, summary_of, RankTest(gate=limit), recipe("linear"))
    assert gated.genes.tolist() == full.genes[full.ref_mean > limit].tolist()
    assert gated.present is None


def test_the_either_gate_keeps_a_gene_that_one_group_expresses(counts, side_of, summary_of):
    t = table(counts, side_of, summary_of, RankTest(gate=2e4, gate_on="either"), recipe("linear"))
    assert t.present is not None
    assert np.isnan(t.p_adj[~t.present]).all()
    assert np.isfinite(t.p_adj[t.present]).all()
    row = t.present[0]
    np.testing.assert_allclose(t.p_adj[0][row], false_discovery_control(t.p_value[0][row]), rtol=1e-14)


def test_geometric_means_are_means_of_logs(counts, side_of, summary_of):
    x, labels = counts
    t = table(counts, side_of, summary_of, RankTest(mean="geometric"), recipe("linear", "log1p"))
    cpm = x * 1e6 / x.sum(1, dtype=float)[:, None]
    np.testing.assert_allclose(t.target_mean[0], np.expm1(np.log1p(cpm[labels == "a"]).mean(0)), rtol=1e-12)


@pytest.mark.parametrize(
    ("target", "control", "clip", "want"),
    [(0, 0, 20, 0.0), (1, 0, 20, np.log2(20)), (0, 1, 20, -np.log2(20)), (8, 2, 20, 2.0), (80, 1, 20, np.log2(80))],
)
def test_clipping_replaces_fold_changes_with_a_zero_mean(target, control, clip, want):
    got = log2_fold_change(np.array([float(target)]), np.array([float(control)]), RankTest(clip=clip))
    assert got[0] == pytest.approx(want)


def test_no_epsilon_gives_infinities_and_the_chosen_value_for_nothing_over_nothing():
    a, b = np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0])
    got = log2_fold_change(a, b, RankTest(epsilon=0.0, zero_over_zero=0.0))
    assert got.tolist() == [-np.inf, np.inf, 0.0]
    assert np.isnan(log2_fold_change(a, b, RankTest(epsilon=0.0))[2])
