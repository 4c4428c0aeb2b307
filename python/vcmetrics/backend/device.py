"""The one door through which a kernel's device is chosen."""

from __future__ import annotations

from importlib import import_module
from typing import Literal

from vcmetrics._errors import DeviceError

Device = Literal["cpu", "cuda"]


def cuda_status() -> tuple[int, str]:
    """Number of usable CUDA devices, and the reason where it is 0. Never raises, never needs a driver."""
    try:
        _cuda = import_module("vcmetrics._cuda")
    except ModuleNotFoundError:
        return 0, "vcmetrics was built without its CUDA extension (build with VCM_CUDA=ON where nvcc is)"
    except ImportError as error:
        return 0, f"the CUDA extension does not load: {error}"
    count, reason = _cuda.device_count()
    return int(count), str(reason)


def resolve_device(device: str = "auto", *, what: str, has_cuda: bool = False) -> Device:
    """Where ``what`` runs.

    Parameters
    ----------
    device
        ``"auto"`` follows the data: host data stay on the CPU. ``"cpu"`` and ``"cuda"`` are orders.
    what
        The public function that asks, for the message.
    has_cuda
        Whether that function has CUDA kernels.

    Raises
    ------
    DeviceError
        If ``"cuda"`` is ordered and cannot be had; there is no silent way back to the CPU.
    ValueError
        If ``device`` is another word.
    """
    if device not in ("auto", "cpu", "cuda"):
        msg = f"device {device!r} is not known; use 'auto', 'cpu' or 'cuda'"
        raise ValueError(msg)
    if device != "cuda":
        return "cpu"
    if not has_cuda:
        msg = f"{what} has no CUDA kernels yet; pass device='cpu' (or 'auto')"
        raise DeviceError(msg)
    count, reason = cuda_status()
    if count == 0:
        msg = f"device='cuda' cannot be used: {reason}; pass device='cpu' (or 'auto')"
        raise DeviceError(msg)
    return "cuda"
