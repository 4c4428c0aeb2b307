"""Tables of numbers from whatever array library they come from, without copying where they lie on the host."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DeviceError, VcmetricsWarning

Array = NDArray[Any]
LARGE_COPY = 64 << 20
_HOST = (1, 3)  # DLPack's numbers for memory of the CPU, and for such that is pinned for a GPU


def on_gpu(data: object) -> bool:
    """Whether an array lies in the memory of a GPU (CuPy, PyTorch, JAX and others that say so)."""
    if isinstance(data, np.ndarray):
        return False
    if hasattr(type(data), "__dlpack_device__"):
        return int(data.__dlpack_device__()[0]) not in _HOST  # type: ignore[attr-defined]
    return hasattr(data, "__cuda_array_interface__")


def host_array(data: Any, name: str, *, what: str) -> Array:
    """``data`` as a NumPy array, its memory shared where it can be.

    Parameters
    ----------
    data
        NumPy array, anything with DLPack in host memory (PyTorch, JAX, CuPy says no), with ``__array__``, or a list.
    name, what
        The argument and the function that asks, for messages.

    Raises
    ------
    DeviceError
        If it lies on a GPU: there are no kernels for it yet, and it is not copied in silence.
    TypeError
        If it is no array.
    """
    if isinstance(data, np.ndarray):
        return np.asarray(data)
    if on_gpu(data):
        kind = type(data).__module__.partition(".")[0]
        msg = (
            f"{name} is a {kind} array in the memory of a GPU, and {what} has no CUDA kernels yet; "
            "copy it to the host first (cupy.asnumpy(x), x.cpu())"
        )
        raise DeviceError(msg)
    if hasattr(data, "tocsr"):
        msg = f"{name} is a sparse matrix; {what} takes dense rows: pass {name}.toarray()"
        raise TypeError(msg)
    if hasattr(data, "__dlpack__"):
        try:
            return np.from_dlpack(data)
        except (BufferError, RuntimeError, TypeError, ValueError):
            if not hasattr(data, "__array__"):
                raise
    if hasattr(data, "__array__") or isinstance(data, list | tuple):
        return np.asarray(data)
    msg = f"{name} is a {type(data).__name__}; {what} takes NumPy arrays and what has DLPack or __array__"
    raise TypeError(msg)


def host_table(data: Any, name: str, *, what: str) -> Array:
    """``data`` as float32 or float64 rows without gaps; copied only where it is anything else.

    Raises
    ------
    TypeError, ValueError
        If it holds no real numbers or is not two-dimensional.
    """
    given = host_array(data, name, what=what)
    if given.ndim != 2:
        msg = f"{name} has {given.ndim} dimensions; {what} takes rows × features"
        raise ValueError(msg)
    if given.dtype.kind not in "biuf":
        msg = f"{name} holds {given.dtype}; {what} takes real numbers"
        raise TypeError(msg)
    small = given.dtype == np.float32 or given.dtype == np.float16
    out = np.ascontiguousarray(given, np.float32 if small else np.float64)
    if out.nbytes > LARGE_COPY and not np.may_share_memory(out, given):
        msg = (
            f"{name}: {out.nbytes / 2**30:.2f} GiB were copied because it is not a C-contiguous float32 or float64 "
            "array; numpy.ascontiguousarray beforehand saves it"
        )
        warnings.warn(msg, VcmetricsWarning, stacklevel=4)
    return out
