"""``prep-real-bundle``: both ends of a reference's scale in the files that cell-eval2 accepts."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from vcmetrics._errors import DataError
from vcmetrics.compat.cell_eval2.baseline import now, unusable
from vcmetrics.compat.cell_eval2.config import EvalConfig
from vcmetrics.compat.cell_eval2.identity import rule_digest, rule_mismatches, run_record
from vcmetrics.compat.cell_eval2.reference import anchor_meta, compute_anchors, write_anchors
from vcmetrics.compat.cell_eval2.rules import output_names, settings_of
from vcmetrics.compat.cell_eval2.run import fingerprint, open_side, run_metrics
from vcmetrics.compat.cell_eval2.tables import by_metric, wide_table
from vcmetrics.compat.frames import frame, write_csv
from vcmetrics.presets.cell_eval2_names import POLICIES
from vcmetrics.scoring.bundle import MANIFEST_VERSION, parquet_library
from vcmetrics.scoring.fingerprint import anchor_digest
from vcmetrics.scoring.replicate import BASE_SEED, N_SPLITS
from vcmetrics.scoring.scale import from_replicate

_PEERS = (
    *("config_digest", "comparator", "source_fingerprint", "source_fingerprint_strict", "resolved_device"),
    *("resolved_de_backend", "input_type_real_effective", "de_real_fingerprint"),
    *("input_type_pred_effective", "cell_eval2_version"),
)


def build_real_bundle(
    real: Any,
    baseline_pred: Any,
    *,
    config: EvalConfig,
    outdir: str | os.PathLike[str],
    bundle_id: str,
    base_seed: int = BASE_SEED,
    n_splits: int = N_SPLITS,
    de_real: Any = None,
    force: bool = False,
) -> dict[str, Any]:
    """Score a baseline and the reference's own halves, and write both as a bundle.

    Parameters
    ----------
    real, baseline_pred
        The reference, and the cells of the baseline; AnnData or path.
    config
        Rules; a bundle of the competition needs preset ``vcc2026`` unchanged.
    outdir, bundle_id, force
        Folder to make, the bundle's name, and whether a folder that is not empty may be replaced.
    base_seed, n_splits
        Of the halves.
    de_real
        Not allowed: both ends must come from the same table.

    Returns
    -------
    The manifest. ``rule_digest`` is null, with the reasons, where it is no bundle of the competition.

    Raises
    ------
    DataError
        If the folder is in use, the baseline gives no scale, or a metric has no anchor.
    """
    parquet_library()
    root = Path(outdir)
    if root.exists() and (not root.is_dir() or (any(root.iterdir()) and not force)):
        msg = f"{root} exists and is not an empty folder; choose another, or pass force=True (--force)"
        raise DataError(msg)
    if de_real is not None:
        msg = "a bundle's two ends must come from one DE table, so none can be given; leave de_real out"
        raise DataError(msg)
    side = open_side(real, config, settings_of(config), predicted=False)
    plain = replace(config, outdir=None, cache_real=None, cache_pred=None, allow_fractional_counts=True)
    finished = run_metrics(baseline_pred, real, plain)
    aggregate = wide_table(by_metric(frame(finished.table)), output_names(config))
    bad = [one for one in unusable(aggregate) if one["decisive"]]
    if bad:
        msg = f"the baseline gives no scale for {'; '.join(one['metric'] + ': ' + one['reason'] for one in bad)}"
        raise DataError(msg)
    anchors = compute_anchors(side, config, base_seed=base_seed, n_splits=n_splits)
    # both ends must lie on the right sides of each other, or nothing could be scored against the bundle
    at = list(aggregate["statistic"]).index("mean")
    ends = {name: float(values[at]) for name, values in aggregate.items() if name != "statistic"}
    top = {name: value for name, value in anchors.replicate.items() if name in POLICIES}
    from_replicate(ends, ends, top, POLICIES)
    sidecar = anchor_meta(side, config, anchors)
    strict = config.cache_strict
    record = run_record(
        config,
        source=bundle_id,
        created_utc=now(),
        fingerprint=sidecar["real_fingerprint"] if strict else fingerprint(side.cells, config, strict=False),
        kinds=(side.one.kind, side.one.kind),
        de_real=None,
        de_pred=None,
    )
    members = sorted(row.metric for row in anchors.rows if row.metric in POLICIES)
    reasons = rule_mismatches(config, members, anchors)
    named = [(row.metric, row.replicate, row.estimator) for row in anchors.rows]
    manifest = {
        "manifest_version": MANIFEST_VERSION,
        "real_bundle_id": bundle_id,
        "created_utc": record["created_utc"],
        **{key: record[key] for key in _PEERS},
        "real_fingerprint": sidecar["real_fingerprint"],
        "anchor_semantic_identity": sidecar["semantic_identity"],
        "anchor_config_hash": sidecar["config_hash"],
        "anchor_metric_names": sidecar["metric_names"],
        "anchor_digest": anchor_digest(
            named, sidecar["real_fingerprint"], sidecar["semantic_identity"], sidecar["cell_eval2_version"]
        ),
        **{key: sidecar[key] for key in ("base_seed", "n_splits", "seed_derivation", "derived_seeds")},
        **{key: sidecar[key] for key in ("bulk_target_sum", "control_source_effective")},
        "estimators": {row.metric: row.estimator for row in sorted(anchors.rows)},
        "profile": config.metrics,
        "members": members,
        "rule_digest": rule_digest(reasons),
        "rule_mismatches": reasons,
    }
    root.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        write_anchors(stage, anchors, sidecar)
        write_csv(aggregate, stage / "baseline_agg.csv")
        config.to_yaml(stage / "config.yaml")
        for name, content in (("baseline_meta.json", record), ("manifest.json", manifest)):
            text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False)
            (stage / name).write_text(text, encoding="utf-8")
        stage.chmod(0o755)
        if root.exists():
            shutil.rmtree(root)
        os.replace(stage, root)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return manifest
