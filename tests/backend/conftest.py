"""The engines that the same tests run on: the kernels' twin on the host, the plain reference, and the device."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from vcmetrics.backend.compiled import CompiledKernels, numpy_address
from vcmetrics.backend.gpu import Engine, engine
from vcmetrics.backend.plain import PlainKernels

TWINS = ("ascending", "descending", "strided")


def twin(order: str = "ascending") -> Engine:
    """The compiled kernels on the host, threads and tasks in this order."""
    module = pytest.importorskip("vcmetrics._cuda_twin", reason="built with VCM_CUDA_TWIN=OFF")
    module.thread_order(order)
    return Engine(np, CompiledKernels(np, module, numpy_address, lambda: 0))


def engine_of(name: str) -> Engine:
    if name in TWINS:
        return twin(name)
    if name == "plain":
        return Engine(np, PlainKernels(np))
    found = engine()
    if name == "plain-cupy":
        return Engine(found.xp, PlainKernels(found.xp), to_host=found.to_host)
    return found


GPU = [pytest.param(name, marks=pytest.mark.gpu) for name in ("cuda", "plain-cupy")]


@pytest.fixture(params=[*TWINS, "plain", *GPU])
def on(request):
    """Each engine in turn."""
    yield engine_of(request.param)
    if request.param in TWINS:
        importlib.import_module("vcmetrics._cuda_twin").thread_order("ascending")
