import json
import os

import numpy as np
import pytest

from vcmetrics._errors import DataError
from vcmetrics.summary.group_summary import GroupSummary, Recipe

RECIPE = Recipe("ratio", 1e6, frozenset({"sum", "linear", "rank", "jackknife"}))
(KEY,) = (RECIPE.name,)


def same(a, b, only=None):
    assert a.labels == b.labels
    assert np.array_equal(a.n, b.n)
    for name in only or a.tables[KEY]:
        np.testing.assert_array_equal(a.table(KEY, name), b.table(KEY, name), err_msg=name)


def test_saved_and_loaded_is_the_same(counts, tmp_path, side_of, summary_of):
    x, labels = counts
    side = side_of(x, labels)
    s = summary_of(side, RECIPE)
    s.save(tmp_path / "s.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["s.npz"]
    back = GroupSummary.load(tmp_path / "s.npz")
    same(s, back)
    assert back.control_code == s.control_code
    again = summary_of(side, RECIPE, against=back.control_side)
    assert np.array_equal(again.table(KEY, "sum"), s.table(KEY, "sum"))


def test_a_damaged_file_is_refused_in_one_line(counts, tmp_path, side_of, summary_of):
    s = summary_of(side_of(*counts), RECIPE)
    path = tmp_path / "s.npz"
    s.save(path)
    whole = path.read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match="not a readable summary"):
            GroupSummary.load(path)
    with pytest.raises(DataError, match="no such file"):
        GroupSummary.load(tmp_path / "absent.npz")


def test_another_format_is_refused(counts, tmp_path):
    path = tmp_path / "s.npz"
    np.savez(path, head=np.frombuffer(json.dumps({"format": 0}).encode(), np.uint8))
    with pytest.raises(DataError, match="format 0"):
        GroupSummary.load(path)


def test_nothing_is_left_when_writing_fails(counts, tmp_path, monkeypatch, side_of, summary_of):
    s = summary_of(side_of(*counts), RECIPE)

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OSError, match="No space left"):
        s.save(tmp_path / "s.npz")
    assert os.listdir(tmp_path) == []


def test_parts_with_different_perturbations_merge_to_the_whole(counts, side_of, summary_of):
    x, labels = counts
    whole = summary_of(side_of(x, labels), RECIPE)
    parts = [np.isin(labels, ["c", "a"]), np.isin(labels, ["c", "b"])]
    a, b = (summary_of(side_of(x[p], labels[p]), RECIPE) for p in parts)
    merged = a.merge(b)
    same(whole, merged, ["sum", "linear", "jackknife"])
    for label in ("a", "b"):
        k = whole.labels.index(label)
        assert np.array_equal(merged.table(KEY, "u2")[k], whole.table(KEY, "u2")[k])


def test_parts_that_share_a_perturbation_add_up_and_lose_what_must_be_recomputed(counts, side_of, summary_of):
    x, labels = counts
    whole = summary_of(side_of(x, labels), RECIPE)
    half = np.arange(90) % 2 == 0
    a, b = (summary_of(side_of(x[p], labels[p]), RECIPE) for p in (half, ~half))
    from dataclasses import replace

    merged = a.merge(replace(b, control_digest="another"))
    assert np.array_equal(merged.table(KEY, "sum"), whole.table(KEY, "sum"))
    np.testing.assert_allclose(merged.table(KEY, "linear"), whole.table(KEY, "linear"), rtol=1e-13)
    assert "u2" not in merged.tables[KEY]
    finished = merged.finish(side_of(x, labels), RECIPE)
    same(whole, finished, ["u2", "tie", "jackknife"])


def test_other_genes_cannot_be_merged(counts, side_of, summary_of):
    x, labels = counts
    with pytest.raises(DataError, match="their genes differ"):
        summary_of(side_of(x, labels), RECIPE).merge(summary_of(side_of(x[:, :9], labels), RECIPE))


def test_a_table_that_was_not_gathered_is_named(counts, side_of, summary_of):
    with pytest.raises(KeyError, match="square was not gathered"):
        summary_of(side_of(*counts), RECIPE).table(RECIPE, "square")
