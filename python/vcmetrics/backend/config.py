"""What this installation can use, in words."""

from __future__ import annotations

import platform
import sys
from importlib import metadata

from vcmetrics._version import __version__
from vcmetrics.backend.device import cuda_status
from vcmetrics.backend.gpu_report import gpu_report
from vcmetrics.backend.threads import resolve_threads

# what results can depend on, then what an optional metric or format needs
_PACKAGES = ("numpy", "scipy", "anndata", "h5py", "zarr", "pyarrow", "scikit-learn", "igraph")


def package_versions(names: tuple[str, ...] = _PACKAGES) -> dict[str, str | None]:
    """Versions of other packages without importing them; None where not installed."""
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def config() -> dict[str, object]:
    """Versions, instruction set, threads and device of this installation, ready for JSON."""
    from vcmetrics import _core

    count, reason = cuda_status()
    return {
        "vcmetrics": __version__,
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
        "isa": _core.isa(),
        "isa_available": list(_core.isa_available()),
        "n_threads": resolve_threads(),
        "cuda_devices": count,
        "cuda_reason": reason,
        "gpu": gpu_report(),
        "packages": package_versions(),
    }


def show_config() -> None:
    """Print what this installation can use: versions, instruction set, threads, CUDA and why not.

    Examples
    --------
    >>> show_config()  # doctest: +ELLIPSIS
    vcmetrics ...
    """
    facts = config()
    packages = facts.pop("packages")
    found = facts.pop("gpu")
    assert isinstance(found, dict)
    # the report says these in words
    del facts["cuda_devices"], facts["cuda_reason"]
    facts |= found
    for name, value in facts.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        print(f"{name:<14} {text}")
    assert isinstance(packages, dict)
    for name, version in packages.items():
        print(f"{name:<14} {version or 'not installed'}")
