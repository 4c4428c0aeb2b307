"""References of effects: every definition against its plain mean, and what is missing or left out."""

from __future__ import annotations

import numpy as np
import pytest

import vcmetrics as vcm
from vcmetrics.reference.effect_reference import effect_reference as slow
from vcmetrics.summary.effect_reference import effect_reference

MEANS = ("perturbed_mean", "perturbed_mean_cells", "condition_mean", "guide_count_mean")


@pytest.fixture
def rows() -> dict:
    rng = np.random.default_rng(0)
    return {
        "rows": rng.normal(size=(9, 11)),
        "control": rng.normal(size=11),
        "n_cells": rng.integers(5, 40, 9),
        "labels": ["A", "B", "C", "A+B", "B+C", "A+C", "D", "D", "A+D"],
        "train": np.array([1, 1, 0, 1, 0, 1, 1, 1, 1], bool),
    }


@pytest.mark.parametrize("leave_one_out", [True, False])
@pytest.mark.parametrize("kind", MEANS)
def test_means(kind: str, leave_one_out: bool, rows: dict) -> None:
    table, control = rows.pop("rows"), rows.pop("control")
    before = table.copy()
    for train in (rows["train"], np.ones(9, bool)):
        rows["train"] = train
        got = effect_reference(kind, table, control, leave_one_out=leave_one_out, **rows)
        want = slow(kind, table, control, leave_one_out=leave_one_out, **rows)
        np.testing.assert_allclose(np.broadcast_to(got, want.shape), want, rtol=1e-13, atol=1e-14)
    np.testing.assert_array_equal(table, before)


def test_one_profile_serves_all_where_nothing_is_left_out(rows: dict) -> None:
    for kind in ("perturbed_mean", "perturbed_mean_cells", "condition_mean"):
        got = effect_reference(kind, rows["rows"], rows["control"], n_cells=rows["n_cells"], leave_one_out=False)
        assert got.shape == (11,)
    np.testing.assert_array_equal(effect_reference("control", rows["rows"], rows["control"]), rows["control"])
    np.testing.assert_array_equal(effect_reference("none", rows["rows"]), np.zeros(11))


def test_rows_outside_the_training_set_share_one_mean(rows: dict) -> None:
    got = effect_reference("perturbed_mean", rows["rows"], train=rows["train"])
    np.testing.assert_array_equal(got[2], got[4])


def test_nothing_left_is_undefined() -> None:
    assert np.isnan(effect_reference("perturbed_mean", np.ones((1, 3)))).all()
    assert np.isnan(effect_reference("perturbed_mean_cells", np.ones((2, 3)), n_cells=np.array([0, 3]))[1]).all()
    np.testing.assert_array_equal(effect_reference("condition_mean", np.ones((1, 3)), np.full(3, 2.0)), [[2.0] * 3])
    got = effect_reference("guide_count_mean", np.ones((3, 2)), n_cells=np.ones(3), labels=["A", "B", "A+B"])
    np.testing.assert_array_equal(np.isnan(got[:, 0]), [False, False, True])


def test_batch_matched_control() -> None:
    controls = np.array([[1.0, 2.0], [3.0, 6.0], [np.nan, np.nan]])
    got = effect_reference(
        "batch_control", np.zeros((2, 2)), batch_control=controls, batch_cells=np.array([[3, 1, 0], [0, 5, 0]])
    )
    np.testing.assert_allclose(got, [[1.5, 3.0], [3.0, 6.0]])
    with pytest.raises(vcm.DataError, match="1 of 3 batches hold perturbed cells and no control"):
        effect_reference("batch_control", np.zeros((1, 2)), batch_control=controls, batch_cells=np.array([[1, 1, 1]]))


def test_wrong_arguments() -> None:
    rows = np.zeros((2, 3))
    for arguments, error, words in (
        (("mean", rows), ValueError, "reference 'mean' is not known; choose from control"),
        (("control", rows), ValueError, "reference 'control' needs control"),
        (("condition_mean", rows), ValueError, "needs control"),
        (("perturbed_mean_cells", rows), ValueError, "needs n_cells"),
        (("batch_control", rows), ValueError, "needs batch_control"),
    ):
        with pytest.raises(error, match=words):
            effect_reference(*arguments)
    with pytest.raises(vcm.DataError, match="train chooses 0 of 2 rows"):
        effect_reference("perturbed_mean", rows, train=np.zeros(2, bool))
