"""What to gather, decided from labels and gene names alone, before any value is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.sources.genes import some

NAN_LABEL = "nan"  # what a missing label is called, as in the scorers that stringify labels


@dataclass(frozen=True)
class Groups:
    """Cells of one side in groups: ``codes[i]`` is the group of cell ``i``, -1 where it is not used.

    ``labels`` are sorted by code point and hold the control where this side has one.
    """

    labels: tuple[str, ...]
    codes: NDArray[np.int32]
    control: str

    @property
    def control_code(self) -> int:
        """Group number of the control cells, -1 where this side has none."""
        return self.labels.index(self.control) if self.control in self.labels else -1

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Number of cells of every group, (n_groups,)."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.labels)).astype(np.int64)

    @property
    def perturbations(self) -> tuple[str, ...]:
        """All labels but the control."""
        return tuple(x for x in self.labels if x != self.control)

    def without_control(self) -> Groups:
        """The perturbed cells alone; the control's are not used. ``self`` where there are none."""
        code = self.control_code
        if code < 0:
            return self
        # labels are sorted, so those behind the control move up by one
        moved = np.arange(-1, len(self.labels), dtype=np.int32)
        moved[code + 1] = -1
        moved[code + 2 :] -= 1
        return Groups(self.perturbations, moved[self.codes + 1], self.control)

    def select(self, wanted: Sequence[str]) -> NDArray[np.int64]:
        """Group numbers of ``wanted``, in that order."""
        where = {label: k for k, label in enumerate(self.labels)}
        return np.array([where[x] for x in wanted], np.int64)


def group_cells(column: NDArray[Any], control: str, used: NDArray[np.bool_] | None = None) -> Groups:
    """Number the groups of ``column`` (labels as strings; None = missing), over the cells ``used``."""
    # object arrays of a few labels repeated often: a dictionary is several times quicker than a sort
    numbers: dict[str, int] = {}
    codes = np.empty(column.shape[0], np.int32)
    mask = np.ones(column.shape[0], bool) if used is None else used
    for i, (label, use) in enumerate(zip(column.tolist(), mask.tolist(), strict=True)):
        codes[i] = numbers.setdefault(NAN_LABEL if label is None else str(label), len(numbers)) if use else -1
    labels = sorted(numbers)
    rank = np.empty(len(labels) + 1, np.int32)
    rank[-1] = -1
    for new, label in enumerate(labels):
        rank[numbers[label]] = new
    return Groups(labels=tuple(labels), codes=rank[codes], control=control)


def check_labels(
    pred: Groups,
    real: Groups,
    *,
    pred_needs_control: bool,
    names: tuple[str, str],
    real_needs_control: bool = True,
) -> None:
    """Both sides must hold the same labels, and the control where it is read."""
    pred_name, real_name = names
    control = real.control
    if real_needs_control and real.control_code < 0:
        msg = (
            f"{real_name}: no cell is labelled {control!r} (labels: {some(real.labels)}); "
            "pass control= (command line: --control) with the label of the control cells"
        )
        raise DataError(msg)
    if pred_needs_control and pred.control_code < 0:
        msg = (
            f"{pred_name}: no cell is labelled {control!r}, and this preset reads the prediction's own control cells; "
            "add them or use a preset that takes the observed control, such as 'vcc2026'"
        )
        raise DataError(msg)
    only_pred = sorted(set(pred.perturbations) - set(real.perturbations))
    only_real = sorted(set(real.perturbations) - set(pred.perturbations))
    if only_pred or only_real:
        parts = [f"only in {pred_name}: {some(only_pred)}"] if only_pred else []
        parts += [f"only in {real_name}: {some(only_real)}"] if only_real else []
        msg = f"the two sides hold different perturbations; {'; '.join(parts)}; remove or add those cells"
        raise DataError(msg)
    if not real.perturbations:
        msg = f"{real_name}: every cell is labelled {control!r}, so there is no perturbation to score; check pert_col="
        raise DataError(msg)


def target_of(label: str, target_map: Mapping[str, str | None] | None) -> str | None:
    """The gene that a label is declared or presumed to target; None where declared to have none."""
    if target_map is not None:
        if label in target_map:
            return target_map[label]
        if "*" in target_map:
            return None
    return label


def resolve_targets(
    labels: Sequence[str], genes: Sequence[str] | NDArray[Any], target_map: Mapping[str, str | None] | None = None
) -> tuple[str | None, ...]:
    """Own target gene of every label among ``genes``; None where it has none or is not measured.

    Raises
    ------
    DataError
        If not a single label is a gene name, mapped to one, or declared to have none.
    """
    known = set(map(str, genes))
    targets = [target_of(x, target_map) for x in labels]
    found = tuple(t if t is not None and t in known else None for t in targets)
    declared = any(t is None for t in targets)
    if labels and not declared and not any(found):
        msg = (
            f"no perturbation is the name of a measured gene (perturbations: {some(list(labels))}; genes: "
            f"{some([str(g) for g in genes[:5]])}); pass target_map={{label: gene}} (or {{'*': None}} for none, "
            "command line: --target-map)"
        )
        raise DataError(msg)
    return found
