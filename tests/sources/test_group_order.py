"""The order in which a column's labels are grouped is that of pandas."""

import numpy as np
import pandas as pd
import pytest

from vcmetrics.sources import open_cells


@pytest.fixture(params=["memory", "h5ad", "zarr"])
def cells(request, adata, tmp_path):
    n = adata.n_obs
    adata.obs["text"] = [f"t{i % 3}" for i in range(n)]
    adata.obs["number"] = np.arange(n) % 12
    adata.obs["flag"] = np.arange(n) % 2 == 0
    adata.obs["some"] = pd.Categorical([f"g{i % 2}" if i % 5 else None for i in range(n)], categories=["g1", "g0"])
    if request.param == "memory":
        return open_cells(adata)
    path = tmp_path / f"cells.{request.param}"
    if request.param == "h5ad":
        adata.write_h5ad(path)
    else:
        adata.write_zarr(path)
    return open_cells(path)


@pytest.mark.filterwarnings("ignore")
def test_order(cells, adata):
    assert cells.group_order("target") == ["never", "g3", "g2", "g1", "g0"]
    assert cells.group_order("some") == ["g1", "g0"]
    assert cells.group_order("number") == [str(i) for i in range(12)]
    assert cells.group_order("flag") == ["False", "True"]
    # a writer may have made categories of plain text; they are sorted
    assert cells.group_order("text") in (None, ["t0", "t1", "t2"])
    for column in ("target", "some", "number"):
        groups = [str(key) for key in adata.obs.groupby(column, observed=True).indices]
        assert [x for x in cells.group_order(column) if x in groups] == groups
