"""What stands between the data and a GPU, in a few lines: extension, driver, devices, CuPy, and the verdict."""

from __future__ import annotations

from importlib import import_module, metadata

from vcmetrics.backend.device import cuda_status
from vcmetrics.backend.gpu import gpu_status

_WHEELS = ("cupy-cuda13x", "cupy-cuda12x", "cupy-cuda11x", "cupy")


def cupy_wheel() -> tuple[str, str] | None:
    """Name and version of the installed CuPy distribution, without importing it."""
    for name in _WHEELS:
        try:
            return name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def gpu_report() -> dict[str, str]:
    """Lines for people, in the order in which a GPU is found: each says what is there or what is missing.

    ``gpu`` is the verdict: used, for what; or not used, and why.
    """
    lines: dict[str, str] = {}
    release = None
    try:
        module = import_module("vcmetrics._cuda")
        release = int(module.cuda_version())
        lines["cuda_extension"] = f"built with CUDA {release // 1000}.{release % 1000 // 10}"
    except ModuleNotFoundError:
        lines["cuda_extension"] = "not built (VCM_CUDA=ON builds it where nvcc is)"
    except ImportError as error:
        lines["cuda_extension"] = f"does not load: {error}"
    count, reason = cuda_status()
    if release is not None:
        lines["cuda_devices"] = "; ".join(describe(k) for k in range(count)) if count else f"none: {reason}"
    wheel = cupy_wheel()
    lines["cupy"] = "not installed (pip install 'vcmetrics[cuda]')" if wheel is None else " ".join(wheel)
    if wheel is not None and release is not None and wheel[0].startswith("cupy-cuda"):
        major = int(wheel[0].removeprefix("cupy-cuda").rstrip("x"))
        if major != release // 1000:
            lines["cupy"] += f"; _cuda is built with CUDA {release // 1000}: install cupy-cuda{release // 1000}x"
    usable, why = gpu_status()
    lines["gpu"] = (
        "used for CuPy arrays, DLPack tensors on it, and device='cuda'"
        if usable
        else f"not used: {why}; everything runs on the CPU"
    )
    return lines


def describe(device: int) -> str:
    """Name, memory and compute capability of one device."""
    name, memory, major, minor = import_module("vcmetrics._cuda").device_facts(device)
    return f"{name}, {memory / 2**30:.0f} GiB, compute capability {major}.{minor}"
