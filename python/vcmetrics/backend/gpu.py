"""Arrays in the memory of a GPU, and the kernels that run there. CuPy is imported here and nowhere else."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from vcmetrics._errors import DeviceError, VcmetricsWarning
from vcmetrics.backend.compiled import CompiledKernels
from vcmetrics.backend.device import cuda_status, resolve_device
from vcmetrics.backend.host import on_gpu
from vcmetrics.backend.plain import PlainKernels

Array = Any
_CUDA = (2, 13)  # DLPack's numbers for memory of CUDA, and for its managed memory
_INSTALL = "pip install 'vcmetrics[cuda]'"


@dataclass(frozen=True)
class Engine:
    """Where a call runs: an array library, its kernels, and how memory behaves.

    Attributes
    ----------
    xp
        ``cupy``; in tests of the kernels' twin ``numpy``.
    kernels
        Compiled, or the plain-CuPy reference.
    out_of_memory
        What allocation raises.
    release
        Gives cached memory back.
    free
        Bytes that can be allocated.
    to_host
        A NumPy copy of an array; waits for the device.
    """

    xp: Any
    kernels: CompiledKernels | PlainKernels
    out_of_memory: type[BaseException] = MemoryError
    release: Callable[[], None] | None = None
    free: Callable[[], int] = field(default=lambda: 1 << 62)
    to_host: Callable[[Array], Any] = field(default=np.asarray)


def load_cupy() -> Any:
    """CuPy.

    Raises
    ------
    DeviceError
        If it is not installed or does not load, with the reason.
    """
    try:
        return import_module("cupy")
    except ModuleNotFoundError as error:
        msg = f"CuPy is not installed ({_INSTALL})" if error.name == "cupy" else f"CuPy does not load: {error}"
        raise DeviceError(msg) from error
    except ImportError as error:
        msg = f"CuPy does not load: {error}"
        raise DeviceError(msg) from error


def gpu_status() -> tuple[int, str]:
    """Devices that kernels of ours can use, and the reason where that is 0: extension, driver, then CuPy."""
    count, reason = cuda_status()
    if count == 0:
        return 0, reason
    try:
        load_cupy()
    except DeviceError as error:
        return 0, str(error)
    return count, ""


@cache
def _warn_plain(reason: str) -> None:
    """Once a process and reason."""
    msg = f"arrays on the GPU are computed by plain CuPy, many times slower than our kernels: {reason}"
    warnings.warn(msg, VcmetricsWarning, stacklevel=4)


def engine() -> Engine:
    """The engine of the current device; plain CuPy, with one warning, where our kernels cannot be used.

    Raises
    ------
    DeviceError
        If there is no CuPy.
    """
    cupy = load_cupy()
    count, reason = cuda_status()
    kernels: CompiledKernels | PlainKernels
    if count:
        module = import_module("vcmetrics._cuda")
        module.use_device(int(cupy.cuda.Device().id))
        kernels = CompiledKernels(
            cupy, module, lambda array: int(array.data.ptr), lambda: int(cupy.cuda.get_current_stream().ptr)
        )
    else:
        _warn_plain(reason)
        kernels = PlainKernels(cupy)
    pool = cupy.get_default_memory_pool()

    def free() -> int:
        return int(cupy.cuda.Device().mem_info[0]) + int(pool.free_bytes())

    return Engine(cupy, kernels, cupy.cuda.memory.OutOfMemoryError, pool.free_all_blocks, free, cupy.asnumpy)


@contextmanager
def engine_for(data: dict[str, Any], device: str, *, what: str) -> Iterator[tuple[Engine | None, bool]]:
    """Where ``what`` runs on these arguments: (engine or None for the CPU, whether the data lie on the host).

    Enters the device that the data lie on. A GPU that is asked for and cannot be used raises, with the reason.

    Parameters
    ----------
    data
        Name and value of each array argument, None allowed.
    device
        ``"auto"`` follows the data; ``"cpu"`` and ``"cuda"`` are orders.
    what
        The public function, for messages.

    Raises
    ------
    DeviceError
        If the device cannot be had, or the arguments lie in different places.
    """
    given = {name: value for name, value in data.items() if value is not None}
    there = [name for name, value in given.items() if on_gpu(value)]
    if not there:
        if resolve_device(device, what=what, has_cuda=True) == "cpu":
            yield None, True
            return
        with _named(what, "device='cuda'"):
            found = engine()
        yield found, True
        return
    elsewhere = [name for name in given if name not in there]
    for name in there:
        if _kind_of_device(given[name]) not in _CUDA:
            msg = f"{what}: {name} lies on a device that is no CUDA GPU; copy it to the host first"
            raise DeviceError(msg)
    if device == "cpu":
        msg = f"{what}: {there[0]} lies on a GPU and device='cpu' was asked for; pass cupy.asnumpy(x) or x.cpu()"
        raise DeviceError(msg)
    if device not in ("auto", "cuda"):
        resolve_device(device, what=what)
    if device == "cuda":
        resolve_device(device, what=what, has_cuda=True)
    if elsewhere:
        msg = f"{what}: {there[0]} lies on a GPU, {elsewhere[0]} on the host; bring both to one place"
        raise DeviceError(msg)
    kind = type(given[there[0]]).__module__.partition(".")[0]
    with _named(what, f"{there[0]} is a {kind} array in the memory of a GPU, which"):
        cupy = load_cupy()
    with cupy.cuda.Device(_device_of(given[there[0]])):
        yield engine(), False


@contextmanager
def _named(what: str, subject: str) -> Iterator[None]:
    """Say in a DeviceError who asked for what."""
    try:
        yield
    except DeviceError as error:
        msg = f"{what}: {subject} cannot be used: {error}; or copy the data to the host and pass device='cpu'"
        raise DeviceError(msg) from error


def _kind_of_device(data: Any) -> int:
    """DLPack's number for the kind of memory; arrays with CUDA's own interface have no other."""
    return int(data.__dlpack_device__()[0]) if hasattr(data, "__dlpack_device__") else _CUDA[0]


def _device_of(data: Any) -> int:
    """Number of the device that an array lies on."""
    if hasattr(data, "__dlpack_device__"):
        return int(data.__dlpack_device__()[1])
    return int(getattr(getattr(data, "device", 0), "id", 0))


def device_table(data: Any, name: str, found: Engine, *, what: str) -> Array:
    """``data`` as C-contiguous float32 or float64 rows on the device; copied only where it is anything else.

    Host arrays are uploaded; CuPy arrays and DLPack tensors stay where they are.

    Raises
    ------
    TypeError, ValueError
        If it holds no real numbers or is not two-dimensional.
    """
    table = device_array(data, found)
    if table.ndim != 2:
        msg = f"{name} has {table.ndim} dimensions; {what} takes rows × features"
        raise ValueError(msg)
    if table.dtype.kind not in "biuf":
        msg = f"{name} holds {table.dtype}; {what} takes real numbers"
        raise TypeError(msg)
    small = table.dtype in (np.float32, np.float16)
    return found.xp.ascontiguousarray(table, dtype=np.float32 if small else np.float64)


def device_array(data: Any, found: Engine) -> Array:
    """``data`` as an array of the engine, without a copy where it lies on the device."""
    xp = found.xp
    if isinstance(data, xp.ndarray):
        return data
    if on_gpu(data) and hasattr(data, "__dlpack__"):
        return xp.from_dlpack(data)  # makes our stream wait for theirs
    return xp.asarray(data)
