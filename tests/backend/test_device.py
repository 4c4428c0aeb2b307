import subprocess
import sys
from pathlib import Path

import pytest

import vcmetrics
from vcmetrics.backend import device as door


def extension():
    return pytest.importorskip("vcmetrics._cuda", reason="vcmetrics was built without its CUDA extension")


def test_auto_and_cpu_stay_on_the_cpu():
    assert door.resolve_device("auto", what="score") == "cpu"
    assert door.resolve_device("cpu", what="score") == "cpu"
    assert door.resolve_device(what="score", has_cuda=True) == "cpu"


def test_cuda_without_kernels_raises_and_names_the_function():
    with pytest.raises(vcmetrics.DeviceError, match=r"score has no CUDA kernels.*device='cpu'"):
        door.resolve_device("cuda", what="score")


def test_cuda_without_a_device_raises_with_the_reason(monkeypatch):
    monkeypatch.setattr(door, "cuda_status", lambda: (0, "no driver here"))
    with pytest.raises(vcmetrics.DeviceError, match="no driver here"):
        door.resolve_device("cuda", what="cdist", has_cuda=True)


def test_cuda_with_a_device(monkeypatch):
    monkeypatch.setattr(door, "cuda_status", lambda: (1, ""))
    assert door.resolve_device("cuda", what="cdist", has_cuda=True) == "cuda"


def test_another_word_is_refused():
    with pytest.raises(ValueError, match=r"'tpu'.*'auto', 'cpu' or 'cuda'"):
        door.resolve_device("tpu", what="score")


def test_status_always_answers():
    count, reason = door.cuda_status()
    assert (count > 0) == (reason == "")


def test_status_without_the_extension(monkeypatch):
    monkeypatch.setitem(sys.modules, "vcmetrics._cuda", None)
    monkeypatch.delattr(vcmetrics, "_cuda", raising=False)
    count, reason = door.cuda_status()
    assert count == 0
    assert "built without" in reason


def test_extension_answers_without_a_driver():
    count, reason = extension().device_count()
    assert isinstance(count, int)
    assert (count > 0) == (reason == "")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the CUDA extension is built on Linux only")
def test_extension_links_neither_runtime_nor_driver():
    needed = subprocess.run(["ldd", extension().__file__], capture_output=True, text=True, check=True).stdout
    assert "libcudart" not in needed
    assert "libcuda" not in needed
    assert Path(extension().__file__).stat().st_size < 8_000_000


@pytest.mark.gpu
def test_devices_on_this_machine():
    count, reason = door.cuda_status()
    assert count >= 1, reason
