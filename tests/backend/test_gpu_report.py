"""What `vcmetrics info` says about the GPU, whatever is missing."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

import vcmetrics
from vcmetrics.backend import gpu, gpu_report


def machine(monkeypatch, *, module, status, wheel, cupy):
    """A machine with this extension, this answer of the driver, this CuPy wheel, and whether it imports."""
    monkeypatch.setitem(sys.modules, "vcmetrics._cuda", module)
    if module is None:
        monkeypatch.delattr(vcmetrics, "_cuda", raising=False)
    for place in (gpu, gpu_report):
        monkeypatch.setattr(place, "cuda_status", lambda: status)
    monkeypatch.setattr(gpu_report, "cupy_wheel", lambda: wheel)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace() if cupy else None)
    return gpu_report.gpu_report()


EXTENSION = SimpleNamespace(cuda_version=lambda: 13000, device_facts=lambda k: ("NVIDIA X", 80 << 30, 9, k))


def test_everything_is_there(monkeypatch):
    found = machine(monkeypatch, module=EXTENSION, status=(2, ""), wheel=("cupy-cuda13x", "14.2.0"), cupy=True)
    assert found == {
        "cuda_extension": "built with CUDA 13.0",
        "cuda_devices": "NVIDIA X, 80 GiB, compute capability 9.0; NVIDIA X, 80 GiB, compute capability 9.1",
        "cupy": "cupy-cuda13x 14.2.0",
        "gpu": "used for CuPy arrays, DLPack tensors on it, and device='cuda'",
    }


def test_without_cupy(monkeypatch):
    found = machine(monkeypatch, module=EXTENSION, status=(1, ""), wheel=None, cupy=False)
    assert found["cupy"] == "not installed (pip install 'vcmetrics[cuda]')"
    assert found["gpu"].startswith("not used: CuPy ")


def test_without_a_driver(monkeypatch):
    found = machine(monkeypatch, module=EXTENSION, status=(0, "no driver"), wheel=("cupy-cuda12x", "13"), cupy=True)
    assert found["cuda_devices"] == "none: no driver"
    assert found["cupy"].endswith("_cuda is built with CUDA 13: install cupy-cuda13x")
    assert found["gpu"] == "not used: no driver; everything runs on the CPU"


def test_without_the_extension(monkeypatch):
    found = machine(monkeypatch, module=None, status=(0, "built without"), wheel=None, cupy=False)
    assert found["cuda_extension"].startswith("not built")
    assert "cuda_devices" not in found
    assert found["gpu"].startswith("not used: built without")


def test_one_screen(capsys):
    vcmetrics.show_config()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert sum(line.startswith("gpu ") for line in lines) == 1


@pytest.mark.gpu
def test_this_device():
    found = gpu_report.gpu_report()
    assert "compute capability" in found["cuda_devices"]
    assert found["gpu"].startswith("used for")
