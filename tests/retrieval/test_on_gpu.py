"""discrimination with device="cuda", which here is the kernels' twin on the host."""

from __future__ import annotations

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

import vcmetrics as vcm
from vcmetrics.retrieval.pairs import METRICS

RNG = np.random.default_rng(0)
GENES = [f"G{k:02}" for k in range(40)]
LABELS = GENES[:25]
REAL = RNG.normal(size=(26, 40)).astype(np.float32)
PRED = (REAL[1:] + RNG.normal(size=(25, 40))).astype(np.float32)
PRED[3] = REAL[5]
HOW = {"labels": LABELS, "real_labels": ["ctrl", *LABELS], "genes": GENES, "control": "ctrl", "return_distances": True}


def agree(metric, scope, **more):
    want, got = (
        vcm.discrimination(PRED, REAL, metric=metric, exclude_targets=scope, device=device, **HOW, **more)
        for device in ("cpu", "cuda")
    )
    for a, b in zip(want, got, strict=True):
        assert_frame_equal(a, b, check_exact=True)


@pytest.mark.parametrize("scope", ["none", "panel"])
@pytest.mark.parametrize("metric", METRICS)
def test_the_bits_of_the_cpu(gpu_by_twin, metric, scope):
    before = PRED.copy(), REAL.copy()
    agree(metric, scope)
    agree(metric, scope, direction="real_to_pred")
    np.testing.assert_array_equal(PRED, before[0])
    np.testing.assert_array_equal(REAL, before[1])


@pytest.mark.gpu
@pytest.mark.parametrize("scope", ["none", "panel"])
@pytest.mark.parametrize("metric", METRICS)
def test_the_bits_on_a_device(metric, scope):
    agree(metric, scope)


def test_blocks_of_queries(gpu_by_twin, monkeypatch):
    monkeypatch.setattr("vcmetrics.retrieval.ranking._BLOCK", 1)
    monkeypatch.setattr("vcmetrics.retrieval.ranking._FEWEST", 7)
    agree("cosine", "panel")


def test_scopes_without_kernels(gpu_by_twin):
    for scope in ("row", "pair"):
        with pytest.raises(vcm.DeviceError, match=f"exclude_targets='{scope}' has no CUDA kernels"):
            vcm.discrimination(PRED, REAL, metric="cosine", exclude_targets=scope, device="cuda", **HOW)
    with pytest.raises(vcm.DeviceError, match="metric 'kendall' has no CUDA kernels"):
        vcm.discrimination(PRED, REAL, metric="kendall", exclude_targets="none", device="cuda", **HOW)
