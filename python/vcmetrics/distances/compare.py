"""A prediction between the perturbed cells and the control: :func:`compare_distance`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.backend.device import resolve_device
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.distances.conventions import choose
from vcmetrics.distances.inputs import plain_cells
from vcmetrics.sources.cell_groups import CellGroups, densified, require_finite


def compare_distance(
    pert: Any,
    pred: Any,
    ctrl: Any,
    *,
    metric: str = "edistance",
    mode: str = "simple",
    fit: str = "control",
    scale_control: bool | None = None,
    convention: str | None = None,
    device: str = "auto",
    n_threads: int | None = None,
    **parameters: Any,
) -> float:
    """How far a prediction is from the perturbed cells, in units of its distance from the control.

    Parameters
    ----------
    pert, pred, ctrl
        Perturbed, predicted and control cells × features, NumPy arrays or SciPy sparse matrices with the same features.
    metric
        Name of a distance.
    mode
        ``"simple"``: cells as they are. ``"scaled"``: every feature mapped so that it runs from 0 to 1 in the cells of
        ``fit`` (a constant one is only shifted).
    fit
        ``"control"``, or ``"both"`` for the control and the perturbed cells together.
    scale_control
        Scale the control as well, in mode ``"scaled"``; None: yes, unless the convention says otherwise (pertpy leaves
        it as it is, so that even a prediction equal to the control is apart from it).
    convention
        Compute as another library does.
    device, n_threads
        ``"auto"`` or ``"cpu"``; threads (None: all that this process may use). The result does not depend on them.
    **parameters
        Of the distance.

    Returns
    -------
    float
        d(pert, pred) / d(ctrl, pred), >= 0, unit 1: 0 is a prediction equal to the perturbed cells, 1 one as far from
        them as from the control. inf where the prediction is at the control; NaN where both distances are 0 or one is
        undefined.

    Raises
    ------
    DataError
        If the numbers of features differ, a group has no cells, or a value is NaN or infinite.

    Notes
    -----
    Cost: two distances.

    References
    ----------
    pertpy 1.0.3, Distance.compare_distance, whose behaviour ``convention="pertpy-1.0"`` reproduces.

    Examples
    --------
    >>> import numpy as np
    >>> ctrl, pert = np.zeros((4, 3)), np.full((5, 3), 2.0)
    >>> compare_distance(pert, np.full((2, 3), 1.5), ctrl, metric="euclidean")
    0.3333333333333333
    """
    resolve_device(device, what="compare_distance")
    if mode not in ("simple", "scaled"):
        msg = f"mode {mode!r} is not known; pass 'simple' or 'scaled'"
        raise ValueError(msg)
    if fit not in ("control", "both"):
        msg = f"fit {fit!r} is not known; pass 'control' or 'both'"
        raise ValueError(msg)
    choice = choose(metric, convention, parameters)
    threads = resolve_threads(n_threads)
    blocks = [_block(data, name, threads) for data, name in ((pert, "pert"), (pred, "pred"), (ctrl, "ctrl"))]
    widths = [block.shape[1] for block in blocks]
    if len(set(widths)) > 1:
        msg = f"pert, pred and ctrl have {widths[0]}, {widths[1]} and {widths[2]} features; give them the same ones"
        raise DataError(msg)
    if mode == "scaled":
        scaled_control = choice.convention.scale_control if scale_control is None else scale_control
        base = blocks[2] if fit == "control" else np.concatenate([blocks[0], blocks[2]])
        low = base.min(0)
        span = base.max(0) - low
        span[span == 0] = 1.0
        blocks = [(block - low) / span if k < 2 or scaled_control else block for k, block in enumerate(blocks)]
    codes = np.repeat(np.arange(3, dtype=np.int32), [len(block) for block in blocks])
    cells = CellGroups(("pert", "pred", "ctrl"), codes, np.concatenate(blocks), None, "the cells", threads)
    near, far = choice.spec.evaluate(cells, np.array([[0, 1], [2, 1]], np.int32), choice.parameters)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.divide(near, far))


def _block(data: Any, name: str, n_threads: int) -> NDArray[np.float64]:
    values, rows = plain_cells(data, name, n_threads)
    if values is None:
        assert rows is not None
        values = densified(rows)
    if not values.size:
        msg = f"{name}: has no cells or no features ({values.shape[0]} × {values.shape[1]})"
        raise DataError(msg)
    require_finite(values, np.zeros(len(values), np.int32), name)
    return values.astype(np.float64, copy=False)
