"""Both ends of the scale of a reference, computed once and kept as a bundle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from vcmetrics._errors import DataError
from vcmetrics.presets.preset import Preset
from vcmetrics.scoring.build_bundle import write_bundle
from vcmetrics.scoring.bundle import Bundle
from vcmetrics.scoring.compare import compare
from vcmetrics.scoring.fingerprint import source_fingerprint
from vcmetrics.scoring.jobs import make_input
from vcmetrics.scoring.reading import default_column, read_groups
from vcmetrics.scoring.scaled import by_metric, computed_baseline, computed_replicate
from vcmetrics.scoring.settings import resolve_settings
from vcmetrics.sources import open_cells


def make_bundle(
    real: Any,
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    preset: str | Preset = "vcc2026",
    profile: str | None = None,
    pert_col: str | None = None,
    control: str | None = None,
    layer: str | None = None,
    target_map: Mapping[str, str | None] | None = None,
    overwrite: bool = False,
    n_threads: int | None = None,
) -> Bundle:
    """Compute the mean-response baseline and the split-half replicate of a reference and keep them as a bundle.

    Parameters
    ----------
    real
        AnnData, or the path of an ``.h5ad`` or ``.zarr``; n_obs × n_vars raw counts. It is not modified.
    path
        Directory to make; ``score(..., bundle=path)`` scores against it.
    name
        The bundle's name; the directory's where None.
    preset, profile
        Rules and metrics, of a rule set that shares the observed control.
    pert_col, control, layer, target_map
        As in :func:`vcmetrics.score`.
    overwrite
        Replace a directory that is not empty.
    n_threads
        Number of threads; None takes the CPUs that this process may use.

    Returns
    -------
    Bundle

    Raises
    ------
    DataError
        If the reference cannot be scored by these rules, a metric has no baseline or no replicate, or the directory
        cannot be written.

    Notes
    -----
    Cost: seven passes over the reference, then the digest of its values (some seconds a gigabyte).
    """
    settings = resolve_settings(
        preset,
        profile,
        None,
        overrides=None,
        target_map=target_map,
        embed_key=None,
        arithmetic="f64",
        n_threads=n_threads,
        progress=None,
    )
    rules = settings.preset
    if rules.control_source != "real":
        msg = f"preset {rules.name!r} has no replicate scale, since each side has its own control; use 'vcc2026'"
        raise DataError(msg)
    control = rules.control if control is None else control
    with open_cells(real, layer=layer) as cells:
        (groups,) = read_groups(cells, pert_col, control, None, rules).values()
        if groups.control_code < 0:
            msg = f"{cells.name}: no cell is labelled {control!r}; pass control= with the label of the control cells"
            raise DataError(msg)
        order = cells.group_order(default_column(cells, rules) if pert_col is None else pert_col) or ()
        one = make_input(cells, groups, settings, predicted=False, reference_median=None, order=order)
        # only the real side of this comparison is read: its DE table and its targets
        scored = compare(one, replace(one, side=replace(one.side)), cells.genes, settings)
        baseline = by_metric(computed_baseline(one, cells.genes, scored, settings).aggregate, settings)
        anchors = computed_replicate(one, cells.genes, scored, settings)
        undefined = [row.metric for row in anchors.rows if row.replicate != row.replicate]
        if undefined:
            msg = f"{cells.name}: {', '.join(undefined)} has no replicate, so no bundle can be made of this reference"
            raise DataError(msg)
        marks = [
            source_fingerprint(cells.genes, groups.labels, groups.codes, one.dtype, rows)
            for rows in (one.side.rows, None)
        ]
    return write_bundle(
        path,
        name=os.path.basename(os.path.abspath(path)) if name is None else name,
        preset=rules,
        profile=settings.profile,
        control=control,
        baseline={"mean": baseline},
        anchors=anchors,
        fingerprint=marks[0],
        fingerprint_meta=marks[1],
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        overwrite=overwrite,
    )
