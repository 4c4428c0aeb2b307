"""differential_expression with device="cuda", which here is the kernels' twin on the host."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from scipy.sparse import csr_matrix

import vcmetrics as vcm


def cells(sparse=True, logged=False):
    rng = np.random.default_rng(0)
    x = rng.poisson(0.7, (140, 30)).astype(np.float32)
    x[:, 3], x[7] = 0.0, 0.0
    if logged:
        x = np.log1p(x)
    labels = rng.choice(["a", "b", "c", "control"], 140, p=[0.2, 0.2, 0.1, 0.5])
    obs = pd.DataFrame({"p": labels}, index=[str(i) for i in range(140)])
    return anndata.AnnData(csr_matrix(x) if sparse else x, obs=obs)


def agree(data, **how):
    want, got = (
        vcm.differential_expression(data, pert_col="p", control="control", device=device, **how)
        for device in ("cpu", "cuda")
    )
    exact = ["target", "feature", "target_membership", "ref_membership", "p_value", "statistic", "fdr"]
    assert_frame_equal(got[exact], want[exact], check_exact=True)
    # a pass without ranks adds in another order
    assert_frame_equal(got, want, rtol=1e-11, atol=1e-11)


CASES = [
    ({"sparse": True}, {}),
    ({"sparse": False}, {}),
    ({"logged": True}, {"input_type": "lognorm"}),
    ({}, {"input_type": "values"}),
]


@pytest.mark.parametrize(("made", "how"), CASES)
def test_the_same_table_as_on_the_cpu(gpu_by_twin, made, how):
    agree(cells(**made), **how)


@pytest.mark.gpu
@pytest.mark.parametrize(("made", "how"), CASES)
def test_the_same_table_on_a_device(made, how):
    agree(cells(**made), **how)


def test_groups_in_batches(gpu_by_twin, monkeypatch):
    whole = gpu_by_twin.kernels.rank_sums

    def scarce(control, control_starts, keys, starts, sizes, n_control):
        if len(sizes) > 1:
            msg = "no memory"
            raise MemoryError(msg)
        return whole(control, control_starts, keys, starts, sizes, n_control)

    monkeypatch.setattr(gpu_by_twin.kernels, "rank_sums", scarce)
    with pytest.warns(vcm.VcmetricsWarning, match="differential_expression: out of memory on the device"):
        agree(cells())


def test_what_is_refused(gpu_by_twin, monkeypatch):
    with pytest.raises(vcm.DeviceError, match="mode 'all' has no CUDA kernels"):
        vcm.differential_expression(cells(), pert_col="p", control="control", mode="all", device="cuda")
    monkeypatch.setattr(gpu_by_twin.kernels, "_module", type("M", (), {"LARGEST_RANKED": 10}))
    with pytest.raises(vcm.DeviceError, match="more than 10 cells together"):
        vcm.differential_expression(cells(), pert_col="p", control="control", device="cuda")
