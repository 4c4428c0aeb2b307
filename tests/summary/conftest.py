"""Small random data sets for the tests of the summary."""

import numpy as np
import pytest
import scipy.sparse as sp

from vcmetrics.sources.rows import ChunkedArray, Rows
from vcmetrics.summary.group_summary import GroupSummary, Side, gather, group_totals
from vcmetrics.summary.plan import group_cells


def make_side(x, labels, control="c"):
    m = sp.csr_matrix(x)
    m.sort_indices()
    rows = Rows(
        *m.shape, m.indptr.astype(np.int64), ChunkedArray.of(m.indices.astype(np.int32)), ChunkedArray.of(m.data)
    )
    totals = np.asarray(m.sum(1), np.float64).ravel()
    return Side(rows, totals, group_cells(np.array(labels, object), control))


def make_summary(side, recipe, name="data", against=None, **how):
    (tables,) = gather([(side, against)], recipe, **how)
    n = tables.pop("n")
    return GroupSummary(
        name=name,
        genes=np.array([f"g{j}" for j in range(side.rows.n_cols)]),
        labels=side.groups.labels,
        control=side.groups.control,
        n=n,
        totals=group_totals(side),
        tables={recipe.name: tables},
        control_side=side if against is None else against,
        control_digest="one control",
    )


@pytest.fixture
def side_of():
    return make_side


@pytest.fixture
def summary_of():
    return make_summary


@pytest.fixture
def counts():
    rng = np.random.default_rng(5)
    x = rng.poisson(rng.gamma(0.5, 2.0, 30), (90, 30)).astype(np.float32)
    x[:, 7] = 0
    labels = rng.permutation(np.repeat(["c", "a", "b"], [40, 30, 20]))
    return x, labels


GROUPS = ("b", "control", "a", "e", "d", "c")


@pytest.fixture
def screen():
    """Makes small screens whose column ``p`` is sorted into blocks, or shuffled."""
    import anndata
    import pandas as pd

    def make(seed=0, n=240, genes=150, fractional=False, order="blocks", dtype="f4"):
        rng = np.random.default_rng(seed)
        x = rng.poisson(rng.gamma(0.4, 2.0, genes), (n, genes)).astype(dtype)
        x[:, 7] *= 40_000 if not fractional and dtype != "u1" else 1
        if fractional:
            x = (x * rng.random((n, genes))).astype(dtype)
        x[3] = 0
        labels = np.array(GROUPS)[np.sort(rng.integers(0, len(GROUPS), n))]
        if order == "shuffled":
            rng.shuffle(labels)
        obs = pd.DataFrame({"p": labels}, index=[str(i) for i in range(n)])
        var = pd.DataFrame(index=[f"g{j}" for j in range(genes)])
        return anndata.AnnData(sp.csr_matrix(x), obs=obs, var=var)

    return make


@pytest.fixture
def same_bytes():
    """Compares two summaries byte by byte."""

    def compare(one, other):
        assert one.labels == other.labels
        assert one.totals.tobytes() == other.totals.tobytes()
        assert one.n.tobytes() == other.n.tobytes()
        for key, tables in one.tables.items():
            for name, table in tables.items():
                again = other.tables[key][name]
                assert np.asarray(table).tobytes() == np.asarray(again).tobytes(), (key, name)

    return compare
