"""Summaries of parts, merged and finished, are those of one pass."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import vcmetrics as vcm

FIELDS = ("sum", "linear", "log1p", "square", "nonzero", "rank", "jackknife")
KEY = "ratio@1e+06"
EXACT = ("sum", "square", "nonzero", "u2", "tie", "jackknife")


def cells(order):
    """400 cells × 30 genes; every perturbation in every part, or each in one."""
    rng = np.random.default_rng(11)
    counts = sparse.csr_matrix((rng.poisson(0.6, (400, 30)) * rng.integers(1, 90, (400, 30))).astype(np.float32))
    labels = np.array([f"g{i}" for i in rng.integers(0, 8, 400)], object)
    if order == "whole groups":
        labels.sort()
    labels[::5] = "non-targeting"
    obs = pd.DataFrame({"target": labels}, index=[f"c{i}" for i in range(400)])
    return anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"G{j}" for j in range(30)]))


def cut(a, order):
    if order == "mixed":
        return [a[:130].copy(), a[130:300].copy(), a[300:].copy()]
    plain = a.obs["target"].where(a.obs["target"] != "non-targeting").ffill().to_numpy()
    first, second = (np.flatnonzero(plain == label)[0] for label in ("g3", "g6"))
    return [a[:first].copy(), a[first:second].copy(), a[second:].copy()]


@pytest.mark.parametrize("order", ["mixed", "whole groups"])
@pytest.mark.parametrize("saved", [False, True])
def test_merged_and_finished_is_one_pass(order, saved, tmp_path):
    a = cells(order)
    whole = vcm.summarize(a, pert_col="target", fields=FIELDS)
    parts = [vcm.summarize(part, pert_col="target", fields=FIELDS) for part in cut(a, order)]
    if saved:
        paths = [tmp_path / f"{k}.npz" for k in range(len(parts))]
        for part, path in zip(parts, paths, strict=True):
            part.save(path)
        parts = paths
    left_out = vcm.merge_summaries(parts)
    assert not {"u2", "tie", "jackknife"} & left_out.tables[KEY].keys()
    merged = vcm.merge_summaries(parts, data=cut(a, order))
    assert merged.labels == whole.labels
    assert merged.n.tobytes() == whole.n.tobytes()
    assert merged.totals.tobytes() == whole.totals.tobytes()
    assert merged.tables[KEY].keys() == whole.tables[KEY].keys()
    for name, table in whole.tables[KEY].items():
        perturbed = np.array([label != "non-targeting" for label in whole.labels])
        if name in EXACT:
            assert merged.tables[KEY][name].tobytes() == table.tobytes(), name
        else:
            np.testing.assert_allclose(merged.tables[KEY][name], table, rtol=1e-13)
            if order == "whole groups":
                assert merged.tables[KEY][name][perturbed].tobytes() == table[perturbed].tobytes(), name
    a.write_h5ad(tmp_path / "a.h5ad")
    options = {"preset": "vcc2026", "pert_col": "target", "target_map": {"*": None}}
    one, other = (vcm.score(tmp_path / "a.h5ad", real, **options) for real in (a, merged))
    pd.testing.assert_frame_equal(one.per_perturbation, other.per_perturbation, rtol=1e-12)
    merged.save(tmp_path / "merged.npz")
    assert vcm.GroupSummary.load(tmp_path / "merged.npz").control_side.rows.nnz == whole.control_side.rows.nnz


def test_controls_are_added_where_nothing_is_ranked():
    a = cells("mixed")
    parts = [vcm.summarize(part, pert_col="target", fields=["sum"]) for part in cut(a, "mixed")]
    merged, whole = vcm.merge_summaries(parts), vcm.summarize(a, pert_col="target", fields=["sum"])
    assert merged.n.tolist() == whole.n.tolist()
    assert merged.table(KEY, "sum").tobytes() == whole.table(KEY, "sum").tobytes()


def test_one_control_is_kept_once():
    a = cells("whole groups")
    control = a.obs["target"] == "non-targeting"
    summary = vcm.summarize(a, pert_col="target")
    rows = [summary.rows_of([x for x in summary.labels if x < "g4"] + ["non-targeting"]), summary.rows_of(["g5"])]
    from dataclasses import replace

    halves = [
        replace(
            summary,
            labels=tuple(sorted(summary.labels[k] for k in keep)),
            n=summary.n[np.sort(keep)],
            totals=summary.totals[np.sort(keep)],
            tables={KEY: {name: table[np.sort(keep)] for name, table in summary.tables[KEY].items()}},
        )
        for keep in rows
    ]
    merged = halves[0].merge(halves[1])
    assert merged.n[merged.control_code] == control.sum()
    assert merged.control_digest == summary.control_digest
    assert np.array_equal(
        merged.table(KEY, "u2")[merged.rows_of(["g5"])], summary.table(KEY, "u2")[summary.rows_of(["g5"])]
    )


def test_what_cannot_be_merged_is_told():
    a = cells("mixed")
    first, second, third = cut(a, "mixed")
    one = vcm.summarize(first, pert_col="target")

    def refuse(match, part, **options):
        with pytest.raises(vcm.DataError, match=match):
            one.merge(vcm.summarize(part, pert_col="target", **options))

    refuse("controls are 'non-targeting' and 'g1'", second, control="g1")
    refuse("only one of them has ratio@1e.06/log1p", second, fields=("sum", "linear", "log1p", "rank", "jackknife"))
    refuse("only one of them has ratio@1.*100", second, target_sum=100)
    refuse("gate is None in one and 5 in the other", second, gate=5)
    refuse("their genes differ .the genes differ: 1 of 30 .*'G29'", second[:, :-1].copy())
    refuse("their genes differ .they are the same in another order", second[:, ::-1].copy())
    with pytest.raises(vcm.DataError, match="no summaries to merge"):
        vcm.merge_summaries([])
    parts = [one, vcm.summarize(second, pert_col="target")]
    with pytest.raises(vcm.DataError, match=r"holds other cells than the summaries were made of: .* labelled 'g0'"):
        vcm.merge_summaries(parts, data=[first, third])
    with pytest.raises(KeyError, match=r"merge_summaries.*data=. computes it"):
        vcm.merge_summaries(parts).table(KEY, "u2")
