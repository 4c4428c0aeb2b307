"""Tables that others made, in every shape they come in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from vcmetrics import _errors
from vcmetrics.summary.de_reading import (
    adjust,
    apply_reading_rules,
    check_targets,
    read_de_table,
)
from vcmetrics.summary.de_table import DETable
from vcmetrics.summary.differential_expression import benjamini_hochberg

COLUMNS = {
    "target": ["B", "B", "A", "A", "A"],
    "feature": ["x", "z", "x", "y", "z"],
    "log2_fold_change": [1.0, -np.inf, 0.0, np.nan, 2.0],
    "p_value": [0.01, 0.2, 1.0, 0.5, 0.001],
    "fdr": [0.02, 0.2, 1.0, 0.5, 0.003],
}


def check(table: DETable) -> None:
    assert table.targets == ("A", "B")
    assert list(table.genes) == ["x", "z", "y"]
    np.testing.assert_array_equal(table.lfc, [[0.0, 2.0, np.nan], [1.0, -np.inf, np.nan]])
    np.testing.assert_array_equal(table.p_adj, [[1.0, 0.003, 0.5], [0.02, 0.2, np.nan]])
    np.testing.assert_array_equal(table.p_value, [[1.0, 0.001, 0.5], [0.01, 0.2, np.nan]])
    np.testing.assert_array_equal(table.present, [[True, True, True], [True, True, False]])
    # A lists x y z: not the order of the columns, so its own order is kept
    np.testing.assert_array_equal(table.position[0], [0, 2, 1])


def test_every_kind_of_source(tmp_path: Path) -> None:
    frame = pl.DataFrame(COLUMNS, nan_to_null=False)
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_csv(tmp_path / "t.csv")
    arrays = {k: np.array(v) for k, v in COLUMNS.items()}
    for source in (COLUMNS, arrays, frame, pd.DataFrame(COLUMNS), tmp_path / "t.parquet", str(tmp_path / "t.csv")):
        check(read_de_table(source))
    categorical = pd.DataFrame(COLUMNS).astype({"target": "category", "feature": "category"})
    check(read_de_table(categorical))
    table = read_de_table(COLUMNS)
    assert read_de_table(table) is table


def test_gene_order_may_be_given() -> None:
    table = read_de_table(COLUMNS, genes=["x", "y", "z"])
    assert list(table.genes) == ["x", "y", "z"]
    assert table.position is None


def test_missing_and_nan_stay_apart(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "target,feature,log2_fold_change,p_value,fdr\nA,x,,0.01,0.01\nA,y,NaN,0.01,0.01\nA,z,inf,,\n"
    )
    frame = pl.DataFrame(
        {
            "target": ["A"] * 3,
            "feature": ["x", "y", "z"],
            "log2_fold_change": [None, np.nan, np.inf],
            "p_value": [0.01, 0.01, None],
            "p_adj": [0.01, 0.01, None],
        },
        nan_to_null=False,
    )
    for source in (tmp_path / "t.csv", frame):
        table = read_de_table(source)
        np.testing.assert_array_equal(table.null, [[1, 0, 6]])
        read = apply_reading_rules(table)
        np.testing.assert_array_equal(read.p_adj, [[0.01, 1.0, np.nan]])
        np.testing.assert_array_equal(apply_reading_rules(table, nan_lfc="keep").p_adj, table.p_adj)


def test_p_values_may_lack() -> None:
    table = read_de_table({k: v for k, v in COLUMNS.items() if k != "p_value"})
    assert np.isnan(table.p_value).all()


def test_smallest_change() -> None:
    table = read_de_table(COLUMNS, genes=["x", "y", "z"])
    read = apply_reading_rules(table, nan_lfc="keep", min_abs_log2fc=1.0)
    np.testing.assert_array_equal(read.p_adj, [[1.0, 0.5, 0.003], [0.02, np.nan, 0.2]])
    assert apply_reading_rules(read, nan_lfc="keep") is read


def test_faults_are_named(tmp_path: Path) -> None:
    def changed(**columns: list) -> dict:
        return {**COLUMNS, **columns}

    with pytest.raises(_errors.DataError, match=r"lists \(A, x\) more than once"):
        read_de_table(changed(feature=["x", "z", "x", "x", "z"]))
    with pytest.raises(_errors.DataError, match=r"no column 'p_adj' or 'fdr' \(columns: target"):
        read_de_table({k: v for k, v in COLUMNS.items() if k != "fdr"})
    with pytest.raises(_errors.DataError, match=r"'p_adj'.*no number"):
        read_de_table(changed(fdr=["a"] * 5))
    with pytest.raises(_errors.DataError, match="column 'target' of the DE table has an empty cell"):
        read_de_table(changed(target=[None] * 5))
    with pytest.raises(TypeError, match="type int cannot be read"):
        read_de_table(3)
    with pytest.raises(ValueError, match="nan_lfc 'x' is not one of"):
        apply_reading_rules(read_de_table(COLUMNS), nan_lfc="x")
    with pytest.raises(ValueError, match="scope 'x' is not one of"):
        adjust(read_de_table(COLUMNS), "x")
    (tmp_path / "empty.csv").write_text("target,feature,log2_fold_change,p_value,fdr\n")
    assert read_de_table(tmp_path / "empty.csv").lfc.shape == (0, 0)


def test_targets_must_agree() -> None:
    both = read_de_table(COLUMNS)
    one = read_de_table({k: v[2:] for k, v in COLUMNS.items()})
    check_targets(both, both, ("A", "B"), "control")
    with pytest.raises(_errors.DataError, match="real and predicted DE tables or labels: B"):
        check_targets(both, one, None, None)
    with pytest.raises(_errors.DataError, match="real and data's DE tables or labels: C"):
        check_targets(both, both, ("A", "B", "C"), None)
    with pytest.raises(_errors.DataError, match="control 'A' is listed"):
        check_targets(both, both, None, "A")


def test_adjusted_p_values() -> None:
    p = np.array([[0.04, np.nan, 0.01, 0.03, 0.5]])
    np.testing.assert_allclose(benjamini_hochberg(p, "per_pert"), [[0.16 / 3, np.nan, 0.04, 0.16 / 3, 0.5]])
    np.testing.assert_array_equal(benjamini_hochberg(np.array([[np.nan]]), "global"), [[np.nan]])
    table = read_de_table(COLUMNS)
    np.testing.assert_allclose(adjust(table).p_adj, [[1.0, 0.003, 0.75], [0.02, 0.2, np.nan]])
    np.testing.assert_allclose(adjust(table, "global").p_adj, [[1.0, 0.005, 0.625], [0.025, 1 / 3, np.nan]])


def test_masked_value_is_no_longer_missing() -> None:
    table = read_de_table(pl.DataFrame({**COLUMNS, "fdr": [0.02, 0.2, 1.0, None, 0.003]}, nan_to_null=False))
    assert table.null[0].tolist() == [0, 0, 2]
    read = apply_reading_rules(table)
    assert read.null[0].tolist() == [0, 0, 0]
    assert read.p_adj[0, 2] == 1.0
