"""Make a bundle of one's own baseline and anchors."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vcmetrics._errors import DataError, VcmetricsWarning
from vcmetrics._version import __version__
from vcmetrics.presets.preset import Preset
from vcmetrics.scoring.bundle import ANCHOR_COLUMNS, MANIFEST_VERSION, Bundle, parquet_library, read_bundle
from vcmetrics.scoring.fingerprint import anchor_digest, semantic_identity
from vcmetrics.scoring.replicate import SEED_DERIVATION, Anchors

SPLIT_COLUMNS = ("split_index", "seed", "metric", "value", "n_perturbations")


def write_bundle(
    path: str | os.PathLike[str],
    *,
    name: str,
    preset: Preset,
    profile: str,
    control: str,
    baseline: Mapping[str, Mapping[str, float | None]],
    anchors: Anchors,
    fingerprint: str,
    fingerprint_meta: str,
    created_utc: str,
    strict: bool = True,
    overwrite: bool = False,
) -> Bundle:
    """Write one's own baseline and anchors in the files of an official bundle.

    Parameters
    ----------
    path
        Directory to make; it appears whole or not at all.
    name
        The bundle's name.
    preset, profile, control
        Rules that both ends were computed under, the profile scored, and the label of the control.
    baseline
        Aggregates of the baseline by statistic (``mean`` at least) and registry name.
    anchors
        The replicate end.
    fingerprint, fingerprint_meta
        Digests of the reference, with and without its values.
    created_utc
        Time to record, ISO 8601.
    strict
        ``fingerprint`` includes the values.
    overwrite
        Replace a directory that is not empty.

    Returns
    -------
    The bundle as read back; it is marked as one for diagnosis, since only the organisers' are official.

    Raises
    ------
    DataError
        If the directory is not empty or cannot be written.
    """
    root = Path(path)
    if root.exists() and (not root.is_dir() or (any(root.iterdir()) and not overwrite)):
        msg = f"{root} exists and is not an empty directory; choose another place or pass overwrite=True"
        raise DataError(msg)
    texts = _records(name, preset, profile, control, anchors, (fingerprint, fingerprint_meta), created_utc, strict)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    except OSError as error:
        msg = f"cannot write {root}: {error}"
        raise DataError(msg) from None
    try:
        for file, content in texts.items():
            (stage / file).write_text(json.dumps(content, indent=2, sort_keys=True, allow_nan=False), encoding="utf-8")
        # one JSON value a line is YAML
        settings = "".join(f"{key}: {json.dumps(value)}\n" for key, value in sorted(preset.as_dict().items()))
        (stage / "config.yaml").write_text(settings, encoding="utf-8")
        columns = sorted(baseline["mean"])
        with open(stage / "baseline_agg.csv", "w", newline="", encoding="utf-8") as handle:
            table = csv.writer(handle, lineterminator="\n")
            table.writerow(["statistic", *columns])
            for statistic, values in baseline.items():
                table.writerow([statistic, *(_cell(values.get(column, math.nan)) for column in columns)])
        write_parquet(stage / "anchor_agg.parquet", ANCHOR_COLUMNS, anchors.rows)
        write_parquet(stage / "anchor_splits.parquet", SPLIT_COLUMNS, anchors.splits)
        if root.exists():
            shutil.rmtree(root)
        os.replace(stage, root)
    except OSError as error:
        msg = f"cannot write {root}: {error}"
        raise DataError(msg) from None
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VcmetricsWarning)
        return read_bundle(root)


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return "NaN" if math.isnan(value) else repr(float(value))


def _records(
    name: str,
    preset: Preset,
    profile: str,
    control: str,
    anchors: Anchors,
    fingerprints: tuple[str, str],
    created_utc: str,
    strict: bool,
) -> dict[str, dict[str, Any]]:
    """Contents of the three JSON files."""
    metrics = [row.metric for row in anchors.rows]
    flat = preset.as_dict()
    spelt = {key: setting for key, setting in preset.spellings.items() if key not in ("metrics", "profile")}
    params = {key: flat[setting] for key, setting in spelt.items() if setting in flat}
    params |= {key: flat[key] for key in ("comparator", "bulk_target_sum", "target_sum", "max_counts_per_cell")}
    params |= {"control": control, "version": preset.naming}
    identity, config = semantic_identity(params), semantic_identity(flat)
    version = f"vcmetrics {__version__}"
    stamp: dict[str, Any] = {
        "config_digest": config,
        "comparator": preset.comparator,
        "source_fingerprint": fingerprints[0] if strict else fingerprints[1],
        "source_fingerprint_strict": strict,
        "resolved_device": "cpu",
        "resolved_de_backend": "pdex" if preset.de.continuity else "scanpy",
        "input_type_real_effective": preset.input_type,
        "input_type_pred_effective": preset.input_type,
        "de_real_fingerprint": None,
        "cell_eval2_version": version,
    }
    shared: dict[str, Any] = {
        "base_seed": anchors.base_seed,
        "n_splits": len(anchors.seeds),
        "derived_seeds": list(anchors.seeds),
        "seed_derivation": SEED_DERIVATION,
        "bulk_target_sum": float(preset.bulk_target_sum),
        "control_source_effective": "pred",
        "real_fingerprint": fingerprints[0],
    }
    meta = {
        **shared,
        "real_fingerprint_meta": fingerprints[1],
        "semantic_identity": identity,
        "semantic_params": params,
        "config_hash": config,
        "control_source_requested": preset.control_source,
        "cell_eval2_version": version,
        "metric_names": metrics,
    }
    named = [(row.metric, row.replicate, row.estimator) for row in anchors.rows]
    manifest = {
        **stamp,
        **shared,
        "manifest_version": MANIFEST_VERSION,
        "real_bundle_id": name,
        "created_utc": created_utc,
        "anchor_semantic_identity": identity,
        "anchor_config_hash": config,
        "anchor_metric_names": metrics,
        "anchor_digest": anchor_digest(named, fingerprints[0], identity, version),
        "estimators": {row.metric: row.estimator for row in anchors.rows},
        "profile": profile,
        "members": sorted(m.metric for m in preset.scored(profile) if m.metric in metrics),
        "rule_digest": None,
        "rule_mismatches": [f"built by {version}"],
    }
    baseline_meta = {
        **stamp,
        "anchor_semantic_identity": identity,
        "anchor_metric_names": metrics,
        "source": name,
        "created_utc": created_utc,
    }
    return {"manifest.json": manifest, "baseline_meta.json": baseline_meta, "anchor_meta.json": meta}


def write_parquet(path: Path, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows as a parquet table with the types of an official bundle's."""
    arrow = parquet_library()
    kinds = {"metric": "string", "estimator": "string", "split_index": "int64", "seed": "int64"}
    schema = arrow.schema(
        [(c, kinds.get(c, "int64" if c.startswith("n_perturbations") else "float64")) for c in columns]
    )
    table = {column: [row[k] for row in rows] for k, column in enumerate(columns)}
    arrow.parquet.write_table(arrow.table(table, schema=schema), path)
