"""What the commands of ``vcmetrics cell-eval2`` do."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vcmetrics._errors import DataError
from vcmetrics.compat.cell_eval2.baseline import build_generic_baseline, now, source_name
from vcmetrics.compat.cell_eval2.bundle import build_real_bundle
from vcmetrics.compat.cell_eval2.config import EvalConfig, set_by_path
from vcmetrics.compat.cell_eval2.document import (
    FILENAME,
    RunFacts,
    build_document,
    changed_fields,
    facts_checker,
    load_document,
    no_document_reason,
    settings_to_config,
    write_document,
)
from vcmetrics.compat.cell_eval2.identity import comparator_of, run_record
from vcmetrics.compat.cell_eval2.reference import (
    anchor_meta,
    compute_anchors,
    compute_ceiling,
    compute_lfc_nmae_reference,
    write_anchors,
)
from vcmetrics.compat.cell_eval2.rules import metric_names, output_names, settings_of
from vcmetrics.compat.cell_eval2.run import (
    fingerprint,
    open_side,
    run_metrics,
    with_resolved_target,
    write_de_tables,
)
from vcmetrics.compat.cell_eval2.score import expect_from_run_meta, score_metrics
from vcmetrics.compat.cell_eval2.tables import by_metric, cohorts, wide_table
from vcmetrics.compat.cell_eval2.yaml_text import scalar
from vcmetrics.compat.frames import columns_of, frame, write_csv
from vcmetrics.results.staging import staged_directory
from vcmetrics.sources import open_cells

logger = logging.getLogger(__name__)

FLAGS = ("pert_col", "control", "input_type", "version", "outdir", "cache_real", "cache_pred", "cache_strict")


def configured(options: dict[str, Any], base: EvalConfig | None = None) -> EvalConfig:
    """The configuration of a command; its options are taken out of ``options``."""
    file, preset = options.pop("config", None), options.pop("preset", None)
    profile = options.pop("profile", None)
    flags = {name: options.pop(name, None) for name in FLAGS}
    settings: Sequence[str] = options.pop("set_overrides", ())
    no_targets = options.pop("no_target_genes", False)
    if file is not None and preset is not None:
        msg = "--config and --preset are both where settings start from; pass one of them"
        raise DataError(msg)
    if base is not None:
        config = base
    elif preset is not None:
        config = EvalConfig.from_preset(preset)
    else:
        config = EvalConfig() if file is None else EvalConfig.from_yaml(file)
    changes = {name: value for name, value in flags.items() if value is not None}
    if profile is not None:
        changes["metrics"] = profile
    config = replace(config, **changes)
    for item in settings:
        path, sign, text = item.partition("=")
        if not sign or not path.strip():
            msg = f"--set {item!r} is not of the form KEY.PATH=VALUE"
            raise DataError(msg)
        config = set_by_path(config, path.strip(), scalar(text))
    if no_targets:
        config = replace(config, target_gene_map={**(config.target_gene_map or {}), "*": None})
    return config


def write_json(content: Any, path: Path) -> None:
    """Write a record."""
    path.write_text(json.dumps(content, indent=2, sort_keys=True, allow_nan=False), encoding="utf-8")


def run(
    *,
    adata_pred: str | None,
    adata_real: str,
    settings_from: str | None,
    de_pred: str | None,
    de_real: str | None,
    ceiling: bool,
    ceiling_seed: int,
    lfc_nmae_ref: bool,
    lfc_nmae_ref_seed: int,
    anchor: bool,
    anchor_base_seed: int,
    anchor_splits: int,
    write_degenes: bool,
    **options: Any,
) -> None:
    """``run``: score a prediction, or estimate from the reference alone."""
    document = None
    if settings_from is not None:
        if options.get("config") or options.get("preset") or options.get("profile"):
            msg = "--settings-from replays a run; it goes with neither --config, --preset nor --profile"
            raise DataError(msg)
        if adata_pred is None:
            msg = "--settings-from replays a scored run; pass --adata-pred"
            raise DataError(msg)
        document = load_document(settings_from)
        base = settings_to_config(document)
        config = configured(options, base)
        changed = changed_fields(base, config)
        if changed:
            msg = f"--settings-from: the options change {', '.join(changed)}, which would be another run"
            raise DataError(msg)
    else:
        config = configured(options)
    config = replace(config, outdir=config.outdir or "./cell-eval2-outdir")
    assert config.outdir is not None
    folder, written = Path(config.outdir), []
    with staged_directory(folder) as stage:
        if adata_pred is not None:
            scored_run(adata_pred, adata_real, config, de_pred, de_real, document, stage, write_degenes=write_degenes)
            written.append("results.csv")
        if anchor:
            side = open_side(adata_real, config, settings_of(config), predicted=False)
            anchors = compute_anchors(side, config, base_seed=anchor_base_seed, n_splits=anchor_splits)
            write_anchors(stage, anchors, anchor_meta(side, config, anchors))
            written.append("")
        if ceiling:
            tables = compute_ceiling(adata_real, config=config, seed=ceiling_seed)
            for name, table in zip(("ceiling_results.csv", "ceiling_agg.csv"), tables, strict=True):
                write_csv(columns_of(table), stage / name)
            written.append("ceiling_agg.csv")
        if lfc_nmae_ref:
            tables = compute_lfc_nmae_reference(adata_real, config=config, seed=lfc_nmae_ref_seed, de_real=de_real)
            for name, table in zip(("lfc_nmae_ref.csv", "lfc_nmae_ref_agg.csv"), tables, strict=True):
                write_counts(table, stage / name)
            written.append("lfc_nmae_ref_agg.csv")
        if adata_pred is not None and not (stage / FILENAME).exists():
            (folder / FILENAME).unlink(missing_ok=True)  # an earlier run's would not belong to these files
    for name in written:
        print(folder / name)


def write_counts(table: Any, path: Path) -> None:
    """Write a frame whose counts stay whole numbers."""
    columns = columns_of(table)
    for name in ("n_gate", "n_perturbations"):
        if name in columns:
            columns[name] = [int(n) for n in columns[name]]
    write_csv(columns, path)


def scored_run(
    pred: str,
    real: str,
    config: EvalConfig,
    de_pred: str | None,
    de_real: str | None,
    document: Any,
    folder: Path,
    *,
    write_degenes: bool,
) -> None:
    """Score and write every file of a run to ``folder``."""
    settings = settings_of(config)  # a wrong setting is found before any data are read
    if config.version == "v2":
        kinds = (config.input_type, config.input_type)
    else:
        sides = [open_side(d, config, settings, predicted=p).one.kind for d, p in ((real, False), (pred, True))]
        kinds = (sides[0], sides[1])  # type: ignore[assignment]
    with open_cells(real, name="real") as cells:
        mark = fingerprint(cells, config, strict=config.cache_strict)
        labels = sorted({str(x) for x in cells.column(config.pert_col)} - {config.control})
    facts = RunFacts(
        config,
        tuple(labels),
        *kinds,
        comparator=comparator_of(config, *kinds),
        de_real_given=de_real is not None,
        de_pred_given=de_pred is not None,
    )
    if document is not None:
        facts_checker(document)(facts)
    finished = run_metrics(pred, real, config, de_pred=de_pred, de_real=de_real)
    resolved = with_resolved_target(config, real, settings)
    facts = replace(facts, config=resolved)
    table = finished.table
    write_csv(table, folder / "results.csv")
    values, names = by_metric(frame(table)), output_names(config)
    reason = no_document_reason(config)
    made = None if reason else build_document(frame(table), facts, metrics=metric_names(config))
    write_csv(wide_table(values, names), folder / "agg_results.csv")
    write_csv(cohorts(values, names), folder / "metric_aggregation.csv")
    resolved.to_yaml(folder / "run_params.yaml")
    record = run_record(
        config,
        source=source_name(real),
        created_utc=now(),
        fingerprint=mark,
        kinds=kinds,
        de_real=finished.de_real,
        de_pred=finished.de_pred,
    )
    write_json(record, folder / "run_meta.json")
    if write_degenes:
        write_de_tables(finished, folder)
    if made is None:
        logger.warning("%s", reason)
    else:
        write_document(made, folder)


def baseline(
    *,
    adata_real: str,
    de_real: str | None,
    exclude_target_gene: bool,
    emit: str,
    seed: int,
    save_pred: str | None,
    allow_degenerate_baseline: bool,
    **options: Any,
) -> None:
    """``baseline``: make the mean response and score it."""
    config = configured(options)
    config = replace(config, outdir=config.outdir or "./cell-eval2-baseline")
    assert config.outdir is not None
    folder = Path(config.outdir)
    with staged_directory(folder) as stage:
        made = build_generic_baseline(
            adata_real,
            config=config,
            exclude_target_gene=exclude_target_gene,
            emit=emit,
            seed=seed,
            de_real=de_real,
            save_pred=save_pred,
            allow_degenerate=allow_degenerate_baseline,
        )
        write_csv(columns_of(made.agg), stage / "baseline_agg.csv")
        write_csv(columns_of(made.results), stage / "baseline_results.csv")
        write_json(made.meta, stage / "baseline_meta.json")
        used = replace(config, allow_fractional_counts=True)
        with_resolved_target(used, adata_real, settings_of(used)).to_yaml(stage / "run_params.yaml")
    print(folder / "baseline_agg.csv")


def prep_real_bundle(
    *,
    real: str,
    baseline: str,
    bundle_id: str | None,
    anchor_base_seed: int,
    anchor_splits: int,
    force: bool,
    **options: Any,
) -> None:
    """``prep-real-bundle``: write both ends of a scale."""
    target = options["outdir"]
    config = replace(configured({**options, "outdir": None}), outdir=None)
    name = bundle_id or os.path.basename(os.path.normpath(target))
    manifest = build_real_bundle(
        real,
        baseline,
        config=config,
        outdir=target,
        bundle_id=name,
        base_seed=anchor_base_seed,
        n_splits=anchor_splits,
        force=force,
    )
    if manifest["rule_digest"] is None:
        reasons = "; ".join(manifest["rule_mismatches"])
        print(f"written: bundle {name!r} in {target}, for diagnosis only: {reasons}")
    else:
        print(f"written: bundle {name!r} of the competition in {target}")


def beside(given: str | None, file: str, name: str) -> Any:
    """A record as given, or the one beside a file; None where there is none."""
    path = Path(given) if given is not None else Path(file).resolve().parent / name
    if given is None and not path.exists():
        return None
    return json.loads(path.read_text(encoding="utf-8"))


def check_pairing(user: Any, base: Any, *, waived: bool) -> None:
    """Refuse a baseline that belongs to another reference or other settings."""
    if user is None or base is None:
        logger.warning("run_meta.json or baseline_meta.json is missing, so the pairing is not checked")
        return
    keys = (
        *("cell_eval2_version", "config_digest", "source_fingerprint", "source_fingerprint_strict"),
        *("resolved_device", "resolved_de_backend", "input_type_real_effective", "de_real_fingerprint"),
    )
    absent = object()
    differ = [key for key in keys if base.get(key, absent) != user.get(key, absent) or key not in base]
    if differ:
        msg = f"the baseline belongs to another run: {', '.join(differ)} differ; --allow-config-mismatch scores anyway"
        if not waived:
            raise DataError(msg)
        logger.warning("%s", msg)


def score(
    *,
    user_agg: str,
    baseline_agg: str | None,
    real_bundle: str | None,
    diagnostic_supplied_de_pred: bool,
    scale: Sequence[str],
    lfc_nmae_ref: str | None,
    anchor: str | None,
    anchor_cache: str | None,
    output: str | None,
    comparison_statistic: str,
    penalty_exponent: float | None,
    penalty_cap: float | None,
    baseline_meta: str | None,
    user_meta: str | None,
    allow_config_mismatch: bool,
    allow_degenerate_baseline: bool,
) -> None:
    """``score``: aggregates to scores."""
    more: dict[str, Any] = {}
    meta = beside(user_meta, user_agg, "run_meta.json")
    if real_bundle is not None:
        if allow_config_mismatch or baseline_meta is not None or baseline_agg is not None:
            msg = "--real-bundle goes with neither --baseline-agg, --baseline-meta nor --allow-config-mismatch"
            raise DataError(msg)
        more["user_meta"] = meta
    elif baseline_agg is not None:
        check_pairing(meta, beside(baseline_meta, baseline_agg, "baseline_meta.json"), waived=allow_config_mismatch)
    if anchor is not None and real_bundle is None:
        if meta is None:
            msg = "--anchor needs the run's run_meta.json beside --user-agg, or --user-meta"
            raise DataError(msg)
        more["anchor_expect"] = expect_from_run_meta(meta)
    made = score_metrics(
        user_agg,
        baseline_agg,
        output,
        comparison_statistic,
        penalty_exponent=penalty_exponent,
        penalty_cap=penalty_cap,
        lfc_nmae_ref=lfc_nmae_ref,
        scale=list(scale),
        anchor=anchor,
        anchor_cache=anchor_cache,
        real_bundle=real_bundle,
        diagnostic_supplied_de_pred=diagnostic_supplied_de_pred,
        **more,
    )
    print(output if output is not None else made)
