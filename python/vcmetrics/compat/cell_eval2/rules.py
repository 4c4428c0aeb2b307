"""From a configuration of cell-eval2 to the rules of this package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vcmetrics._errors import DataError, DeviceError
from vcmetrics.compat.cell_eval2.config import EvalConfig
from vcmetrics.metrics import registry
from vcmetrics.presets.cell_eval2_names import V1_NAMES
from vcmetrics.presets.preset import Preset, get_preset
from vcmetrics.scoring.settings import Settings, resolve_settings

ENGINES = {"auto": "pdex", "pdex": "pdex", "scanpy": "scanpy"}  # what runs on a CPU


def engine_of(config: EvalConfig) -> str:
    """The engine whose numbers are wanted: ``pdex`` or ``scanpy``.

    Raises
    ------
    DeviceError
        For what needs a GPU.
    DataError
        For DESeq2.
    """
    if config.device == "cuda" or config.de.backend == "gpudge":
        what = "device='cuda'" if config.device == "cuda" else "de.backend='gpudge'"
        msg = f"{what} needs cell-eval2 on a GPU; use device='auto' and de.backend='pdex' (or 'scanpy') here"
        raise DeviceError(msg)
    if config.de.backend not in ENGINES:
        msg = f"de.backend={config.de.backend!r} is not available here; use 'pdex' or 'scanpy', or pass DE tables"
        raise DataError(msg)
    return ENGINES[config.de.backend]


def metric_names(config: EvalConfig) -> list[str]:
    """Registry names of the metrics, in order, the components of ratios among them.

    Raises
    ------
    DataError
        For an unknown profile or metric, and for a metric asked for by name that version 1 does not have.
    """
    if isinstance(config.metrics, str):
        return [m.metric for m in rules_of_version(config).members(config.metrics)]
    try:
        names = list(dict.fromkeys(registry.get(name).name for name in config.metrics))
    except ValueError as error:
        raise DataError(str(error)) from None
    for name in list(names):
        spec = registry.get(name)
        names += [part for part in (spec.numerator, spec.denominator) if part is not None and part not in names]
    if config.version == "v1":
        later = sorted(name for name in names if name not in V1_NAMES)
        if later:
            msg = f"version v1 has no metric {', '.join(later)}; leave it out, or use version='v2'"
            raise DataError(msg)
    return names


def rules_of_version(config: EvalConfig) -> Preset:
    """The preset that a version starts from."""
    return get_preset("cell-eval2-v1" if config.version == "v1" else "cell-eval2")


def preset_of(config: EvalConfig) -> Preset:
    """The preset with every setting of the configuration.

    Raises
    ------
    DataError
        For a setting that has no counterpart.
    """
    engine = engine_of(config)
    d, de = config.discrimination, config.de
    if d.embed_key is not None:
        msg = "discrimination.embed_key is not evaluated by cell-eval2 either; leave it out"
        raise DataError(msg)
    if de.auc_pval_floor_value != 1e-10:
        msg = f"de.auc_pval_floor_value is {de.auc_pval_floor_value}; only 1e-10 is known here"
        raise DataError(msg)
    if config.autodetect_input_type and config.version == "v2":
        msg = "autodetect_input_type guesses the prediction's type; say input_type='counts' or 'lognorm' instead"
        raise DataError(msg)
    changes: dict[str, Any] = {
        "control_source": config.control_source,
        "prediction_needs_control": config.control_source == "pred",
        "max_counts_per_cell": float(config.max_counts_per_cell),
        "target_sum": "median_real_control" if config.target_sum is None else float(config.target_sum),
        "bulk_target_sum": float(config.bulk_target_sum),
        "allow_fractional": config.allow_fractional_counts,
        "exclude": d.exclusion_scope if d.exclude_target_gene else "none",
        "ties": d.tie_policy,
        "denominator": d.rank_denominator,
        "de.alpha": de.p_adj_threshold,
        "de.min_abs_log2fc": de.min_abs_log2fc,
        "de.sort_by": de.sort_by,
        "de.nan_lfc": de.nan_lfc_policy,
        "de.mean": de.mean_calc,
        "de.epsilon": de.epsilon,
        "de.clip": de.clip_value,
        "de.fdr_scope": de.fdr_scope,
        "de.auc_floor": de.auc_pval_floor,
        "de.cpm_gate": config.filter.filter_gene_min_cpm_cell,
        "de.continuity": engine == "pdex",
    }
    if config.version == "v2":  # version 1 guesses the type and checks nothing
        changes |= {"input_type": config.input_type, "check_values": config.validate_input}
    elif config.allow_discrete:  # its one effect: version 1 takes every matrix for counts
        changes["input_type"] = "counts"
    return rules_of_version(config).replace(changes)


def settings_of(config: EvalConfig) -> Settings:
    """Rules and metrics of a run."""
    if isinstance(config.metrics, str):
        profile, metrics = config.metrics, None
    else:
        profile, metrics = None, metric_names(config)
    return resolve_settings(
        preset_of(config),
        profile,
        metrics,
        overrides=None,
        target_map=target_map(config),
        embed_key=None,
        arithmetic="f64",
        n_threads=threads(config),
        progress=None,
    )


def target_map(config: EvalConfig) -> Mapping[str, str | None] | None:
    """Label → own gene."""
    return config.target_gene_map or None


def threads(config: EvalConfig) -> int | None:
    """Number of threads; None for all."""
    return config.num_threads if config.num_threads > 0 else None


def output_names(config: EvalConfig) -> list[str]:
    """Names of the metrics in the results, in order."""
    names = metric_names(config)
    return [V1_NAMES[name] for name in names] if config.version == "v1" else names


def canonical(name: str) -> str:
    """Registry name of a metric under any of its names; the name itself where it is not known."""
    try:
        return registry.get(name).name
    except ValueError:
        return name
