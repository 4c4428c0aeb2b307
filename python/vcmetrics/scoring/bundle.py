"""Official bundles: the baseline and the replicate of one reference, in a directory that names its data and rules."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vcmetrics._errors import DataError, VcmetricsWarning
from vcmetrics.presets.preset import Preset
from vcmetrics.scoring.fingerprint import anchor_digest, manifest_digest, semantic_identity
from vcmetrics.scoring.replicate import FULL_GATE_RAW, FULL_GATED, SPLIT_HALF_RAW
from vcmetrics.scoring.scale import read_aggregate

MANIFEST_VERSION = 1
# digest of the competition's rules, version 3
COMPETITION_RULE = "fb5aa56b74368a7bc5befc8ccca8ca02a2cf4c8c7ad59b156ab86c3ae0859762"

_FILES = ("manifest.json", "baseline_agg.csv", "baseline_meta.json", "anchor_agg.parquet", "anchor_meta.json")
_STAMP = (
    *("config_digest", "comparator", "source_fingerprint", "source_fingerprint_strict", "resolved_device"),
    *("resolved_de_backend", "input_type_real_effective", "de_real_fingerprint"),
    *("input_type_pred_effective", "cell_eval2_version"),
)
_REQUIRED = (
    *("manifest_version", "real_bundle_id", "created_utc", *_STAMP, "real_fingerprint", "anchor_semantic_identity"),
    *("anchor_config_hash", "anchor_metric_names", "anchor_digest", "base_seed", "n_splits", "seed_derivation"),
    *("derived_seeds", "bulk_target_sum", "control_source_effective", "estimators", "profile", "members"),
    *("rule_digest", "rule_mismatches"),
)
# settings of the anchors' own record that decide no number, or that the data decide
_NOT_COMPARED = frozenset({"pert_cols", "pert_col", "control", "check_values", "allow_fractional", "input_type"})
ANCHOR_COLUMNS = (
    *("metric", "replicate", "replicate_sd", "replicate_min", "replicate_max"),
    *("n_perturbations_min", "n_perturbations_max", "estimator"),
)


@dataclass(frozen=True)
class Bundle:
    """Both ends of the scale for one reference.

    ``baseline`` and ``replicate`` are aggregates by metric name; ``digest`` is that of the manifest.
    """

    path: Path
    manifest: Mapping[str, Any]
    baseline: Mapping[str, float | None]
    replicate: Mapping[str, float]
    anchor_meta: Mapping[str, Any]
    digest: str

    @property
    def name(self) -> str:
        """The bundle's own name."""
        return str(self.manifest["real_bundle_id"])

    @property
    def members(self) -> tuple[str, ...]:
        """Metrics whose scores are averaged."""
        return tuple(self.manifest["members"])

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that the bundle was made with."""
        return tuple(self.manifest["anchor_metric_names"])

    @property
    def official(self) -> bool:
        """Built under the competition's rules; else it is for diagnosis."""
        return bool(self.manifest["rule_digest"] == COMPETITION_RULE)

    @property
    def arithmetic(self) -> Literal["f64", "gpu32"]:
        """Arithmetic of the machine that built it: ``gpu32`` rounds profiles and per-cell CPM to float32."""
        cuda = str(self.manifest["resolved_device"]).startswith("cuda")
        return "gpu32" if cuda or self.manifest["resolved_de_backend"] == "gpudge" else "f64"

    @property
    def de_variant(self) -> str:
        """Name of the preset's DE rules that match the engine which built it."""
        return "scanpy" if self.manifest["resolved_de_backend"] == "scanpy" else "pdex"

    def check_rules(self, preset: Preset, metrics: Sequence[str], *, control: str | None = None) -> None:
        """Refuse to score under rules that the bundle was not built under.

        Parameters
        ----------
        preset
            Rules of this run.
        metrics
            Registry names of the metrics scored.
        control
            Control label of this run, where it is known.

        Raises
        ------
        DataError
            Naming the first settings that differ.
        """
        missing = sorted(set(self.members) - set(metrics))
        if missing:
            msg = (
                f"bundle {self.name!r} scores {', '.join(missing)}, which this run does not compute; "
                f"use preset vcc2026 (or profile {self.manifest['profile']!r})"
            )
            raise DataError(msg)
        ours, params = preset.as_dict(), dict(self.anchor_meta.get("semantic_params") or {})
        differ = []
        if control is not None and params.get("control", control) != control:
            differ.append(f"control is {params['control']!r} there and {control!r} here")
        for key, theirs in params.items():
            name = preset.spellings.get(key, key)
            if name in ours and name not in _NOT_COMPARED and ours[name] != theirs:
                differ.append(f"{name} is {theirs!r} there and {ours[name]!r} here")
        for key in ("bulk_target_sum", "comparator"):
            if self.manifest[key] != ours[key] and not any(text.startswith(key) for text in differ):
                differ.append(f"{key} is {self.manifest[key]!r} there and {ours[key]!r} here")
        if differ:
            what = "; ".join(differ[:4])
            msg = f"bundle {self.name!r} was built under other rules: {what}; use preset vcc2026 unchanged"
            raise DataError(msg)

    def check_reference(self, fingerprint: str, *, strict: bool) -> None:
        """Refuse a reference that is not the one the bundle was built from.

        Parameters
        ----------
        fingerprint
            Of :func:`vcmetrics.scoring.fingerprint.source_fingerprint`.
        strict
            It includes the values. Without them only shape, genes and labels are compared.

        Raises
        ------
        DataError
            If they differ.
        """
        key = "real_fingerprint" if strict else "real_fingerprint_meta"
        expected = self.anchor_meta.get(key)
        if expected is None:
            text = f"bundle {self.name!r} records no {key}, so the reference is not compared with it"
            warnings.warn(text, VcmetricsWarning, stacklevel=2)
        elif fingerprint != expected:
            what = "values" if strict else "genes, their order, the cells' labels or the element type"
            msg = (
                f"the reference is not the one that bundle {self.name!r} was built from: its {what} differ; "
                "pass the reference file that came with the bundle"
            )
            raise DataError(msg)


def read_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Read a bundle's directory and verify that its files belong together.

    Parameters
    ----------
    path
        The directory, or its ``manifest.json``.

    Returns
    -------
    Bundle

    Raises
    ------
    DataError
        If a file is missing or not what it should be, a digest does not match, or the bundle was built under other
        competition rules.

    Notes
    -----
    Reading ``anchor_agg.parquet`` needs pyarrow (extra ``parquet``). The files name no digest of the baseline, so an
    altered ``baseline_agg.csv`` cannot be noticed.
    """
    root = Path(path)
    root = root.parent if root.name == "manifest.json" else root
    missing = [name for name in _FILES if not (root / name).is_file()]
    if missing:
        hint = "is not a directory" if not root.is_dir() else f"lacks {', '.join(missing)}"
        msg = f"{root} {hint}; a bundle is a directory with {', '.join(_FILES)}"
        raise DataError(msg)
    manifest, baseline_meta, meta = (
        _read_json(root / name) for name in ("manifest.json", "baseline_meta.json", "anchor_meta.json")
    )
    absent = [key for key in _REQUIRED if key not in manifest]
    if absent:
        msg = f"{root / 'manifest.json'} lacks {', '.join(absent[:5])}; get the bundle again"
        raise DataError(msg)
    if manifest["manifest_version"] != MANIFEST_VERSION:
        msg = f"{root} is a bundle of version {manifest['manifest_version']!r}; version {MANIFEST_VERSION} can be read"
        raise DataError(msg)
    rows = read_anchors(root / "anchor_agg.parquet")
    _verify(root, manifest, baseline_meta, meta, rows)
    bundle = Bundle(
        path=root,
        manifest=manifest,
        baseline=read_aggregate(root / "baseline_agg.csv"),
        replicate={row["metric"]: float(row["replicate"]) for row in rows},
        anchor_meta=meta,
        digest=manifest_digest(manifest),
    )
    without = [name for name in bundle.members if name not in bundle.baseline or name not in bundle.replicate]
    if without:
        msg = f"{root} has no baseline or no replicate for {', '.join(without)}; get the bundle again"
        raise DataError(msg)
    rule = manifest["rule_digest"]
    if rule not in (None, COMPETITION_RULE):
        msg = f"bundle {bundle.name!r} was built under competition rules {str(rule)[:12]}…, which are not known here"
        raise DataError(msg)
    if rule is None:
        why = "; ".join(manifest["rule_mismatches"] or ["no reason recorded"])
        text = f"bundle {bundle.name!r} is for diagnosis, its scores are no competition scores: {why}"
        warnings.warn(text, VcmetricsWarning, stacklevel=2)
    return bundle


def _verify(
    root: Path,
    manifest: Mapping[str, Any],
    baseline_meta: Mapping[str, Any],
    meta: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Every statement that two files make must agree, and the anchors must have their digest."""
    version = meta.get("cell_eval2_version")
    named = [(row["metric"], row["replicate"], row["estimator"]) for row in rows]
    found = anchor_digest(named, meta.get("real_fingerprint"), meta.get("semantic_identity"), version)
    if found != manifest["anchor_digest"]:
        msg = f"{root}: the anchors do not have the digest in the manifest; a file was altered, get the bundle again"
        raise DataError(msg)
    params = meta.get("semantic_params")
    checks = [
        ("real_fingerprint", meta.get("real_fingerprint"), manifest["real_fingerprint"]),
        ("semantic_identity", meta.get("semantic_identity"), manifest["anchor_semantic_identity"]),
        ("semantic_identity", baseline_meta.get("anchor_semantic_identity"), manifest["anchor_semantic_identity"]),
        ("config_digest", baseline_meta.get("config_digest"), manifest["config_digest"]),
        ("source_fingerprint", baseline_meta.get("source_fingerprint"), manifest["source_fingerprint"]),
        ("metric names", sorted(meta.get("metric_names") or []), sorted(row["metric"] for row in rows)),
        ("metric names", sorted(manifest["anchor_metric_names"]), sorted(row["metric"] for row in rows)),
        ("estimators", dict(manifest["estimators"]), {row["metric"]: row["estimator"] for row in rows}),
    ]
    if params is not None:
        checks.append(("semantic_params", semantic_identity(params), meta.get("semantic_identity")))
    if manifest["source_fingerprint_strict"]:
        checks.append(("reference", manifest["source_fingerprint"], manifest["real_fingerprint"]))
    for what, one, other in checks:
        if one != other:
            msg = f"{root}: its files disagree on {what}; a file was altered or replaced, get the bundle again"
            raise DataError(msg)
    if manifest["control_source_effective"] != "pred":
        msg = f"{root}: its anchors were not taken against each half's own control; get the bundle again"
        raise DataError(msg)
    for row in rows:
        wanted = FULL_GATE_RAW if row["metric"] == FULL_GATED else SPLIT_HALF_RAW
        if row["estimator"] != wanted or row["replicate"] is None or not math.isfinite(row["replicate"]):
            what = f"the anchor of {row['metric']} is {row['replicate']} by {row['estimator']!r}"
            msg = f"{root}: {what}; get the bundle again"
            raise DataError(msg)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        msg = f"cannot read {path}: {error}"
        raise DataError(msg) from None
    if not isinstance(content, dict):
        msg = f"{path} does not hold a JSON object; get the bundle again"
        raise DataError(msg)
    return content


def parquet_library() -> Any:
    """pyarrow, or one clear line where it is missing."""
    try:
        import pyarrow.parquet
    except ImportError:
        msg = "bundles hold .parquet files, which need pyarrow: pip install 'vcmetrics[parquet]'"
        raise DataError(msg) from None
    return pyarrow


def read_anchors(path: Path) -> list[dict[str, Any]]:
    """Rows of an ``anchor_agg.parquet``; raises where it is not one."""
    arrow = parquet_library()
    try:
        rows: list[dict[str, Any]] = arrow.parquet.read_table(path).to_pylist()
    except (OSError, arrow.ArrowException) as error:
        msg = f"cannot read {path}: {error}"
        raise DataError(msg) from None
    names = [row.get("metric") for row in rows]
    if not rows or set(ANCHOR_COLUMNS) - set(rows[0]) or len(set(names)) != len(names):
        msg = f"{path} is not a table of anchors, one row a metric; get the bundle again"
        raise DataError(msg)
    return rows
