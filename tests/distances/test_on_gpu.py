"""Distances between groups with device="cuda", which here is the kernels' twin on the host."""

from __future__ import annotations

import numpy as np
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal
from scipy.sparse import csr_matrix

import vcmetrics as vcm

RNG = np.random.default_rng(0)
CELLS = RNG.poisson(2.0, (203, 21)).astype(np.float32)
LABELS = np.repeat(["a", "b", "one", "d"], [70, 66, 1, 66])
CASES = [
    ("edistance", {}),
    ("edistance", {"estimator": "u", "cell_metric": "l1", "one_cell": "zero"}),
    ("mean_pairwise", {"estimator": "u"}),
    ("mmd", {"kernel": "rbf", "gamma": [0.1, 0.5], "estimator": "u"}),
    ("mmd", {"kernel": "rbf", "gamma": "median"}),
]


def agree(metric, parameters):
    for cells in (CELLS, CELLS.astype(np.float64), csr_matrix(CELLS)):
        how = {"pert_col": LABELS, "metric": metric, **parameters}
        want, got = (vcm.distance_matrix(cells, device=device, **how) for device in ("cpu", "cuda"))
        assert_frame_equal(got, want, rtol=1e-11, atol=1e-13)
        want, got = (vcm.distances_to(cells, "b", device=device, **how) for device in ("cpu", "cuda"))
        assert_series_equal(got, want, rtol=1e-11, atol=1e-13)
    batch = np.where(np.arange(len(LABELS)) % 2, "x", "y")
    want, got = (vcm.distance_matrix(CELLS, device=device, within=batch, **how) for device in ("cpu", "cuda"))
    assert_frame_equal(got, want, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("metric", "parameters"), CASES)
def test_the_same_as_on_the_cpu(gpu_by_twin, metric, parameters):
    agree(metric, parameters)


@pytest.mark.gpu
@pytest.mark.parametrize(("metric", "parameters"), CASES)
def test_the_same_on_a_device(metric, parameters):
    agree(metric, parameters)


@pytest.mark.parametrize(
    ("metric", "parameters"),
    [("edistance", {"cell_metric": "sqeuclidean"}), ("mmd", {"kernel": "linear"}), ("euclidean", {})],
)
def test_what_has_no_kernel_is_refused(gpu_by_twin, metric, parameters):
    for call in (vcm.distance_matrix, lambda cells, **how: vcm.distances_to(cells, "a", **how)):
        with pytest.raises(vcm.DeviceError, match=f"{metric!r} with these parameters has no CUDA kernels"):
            call(CELLS, pert_col=LABELS, metric=metric, device="cuda", **parameters)


def test_a_gpu_that_cannot_be_used_is_told(monkeypatch):
    monkeypatch.setattr("vcmetrics.backend.device.cuda_status", lambda: (0, "no driver here"))
    with pytest.raises(vcm.DeviceError, match="device='cuda' cannot be used: no driver here"):
        vcm.distance_matrix(CELLS, pert_col=LABELS, device="cuda")
