"""How files are compared, column by column."""

import csv

import numpy as np
import pytest


def rows(path, key):
    with open(path, newline="") as file:
        found = list(csv.DictReader(file))
    return list(found[0]), {tuple(r[k] for k in key): r for r in found}


@pytest.fixture
def same_table():
    """Same columns in the same order, same rows, empty cells, NaN and texts in the same places, numbers close."""

    def check(got, want, key, *, tolerance, only=None, without=()):
        got_columns, got_rows = rows(got, key)
        want_columns, want_rows = rows(want, key)
        if only is not None:
            want_columns = [c for c in want_columns if c in only]
        assert got_columns == want_columns
        assert set(got_rows) == set(want_rows)
        for label, row in want_rows.items():
            for column in want_columns:
                text, mine = row[column], got_rows[label][column]
                if column in without:
                    continue
                try:
                    number = float(text)
                except ValueError:
                    number = None
                if column in key or number is None or np.isnan(number):
                    assert mine == text, (label, column)
                else:
                    bound = tolerance(column) if callable(tolerance) else tolerance
                    np.testing.assert_allclose(float(mine), number, rtol=bound, atol=bound, err_msg=f"{label} {column}")

    return check
