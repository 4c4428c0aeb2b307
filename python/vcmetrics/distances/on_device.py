"""Which distances between groups of cells a GPU computes."""

from __future__ import annotations

from typing import Any

from vcmetrics._errors import DeviceError
from vcmetrics.backend.gpu import Engine, engine_for
from vcmetrics.distances.conventions import Choice
from vcmetrics.metrics.distance.energy import cell_metric_name

ENERGIES = ("edistance", "mean_pairwise")


def has_kernels(choice: Choice) -> bool:
    """Whether all pairs of cells of this distance are summed by a CUDA kernel."""
    given = choice.parameters
    if choice.spec.name == "mmd":
        return bool(given["kernel"] == "rbf")
    if choice.spec.name not in ENERGIES or given.get("floor"):
        return False
    return cell_metric_name(given["cell_metric"]) in ("euclidean", "cityblock")


def engine_of(adata: Any, device: str, choice: Choice, *, what: str) -> Engine | None:
    """The engine of a GPU that is asked for, None for the CPU.

    Raises
    ------
    DeviceError
        If the distance has no CUDA kernels, the GPU cannot be used, or the cells lie on one.
    """
    if device == "cuda" and not has_kernels(choice):
        msg = (
            f"{what}: {choice.spec.name!r} with these parameters has no CUDA kernels (there are edistance and "
            "mean_pairwise of euclidean and cityblock cells, and mmd with kernel='rbf'); pass device='cpu'"
        )
        raise DeviceError(msg)
    with engine_for({"adata": adata}, device, what=what) as (engine, from_host):
        if not from_host:
            msg = f"{what}: cells in the memory of a GPU are not taken; pass them on the host, with device='cuda'"
            raise DeviceError(msg)
        return engine
