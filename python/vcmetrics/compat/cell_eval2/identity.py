"""Digests and records by which cell-eval2 decides that two runs belong together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics._version import __version__
from vcmetrics.compat.cell_eval2.config import EvalConfig
from vcmetrics.compat.cell_eval2.rules import engine_of, metric_names, output_names
from vcmetrics.metrics import registry
from vcmetrics.presets.preset import get_preset
from vcmetrics.scoring.bundle import COMPETITION_RULE
from vcmetrics.scoring.fingerprint import digest_of, semantic_identity
from vcmetrics.scoring.replicate import (
    FULL_GATE_RAW,
    FULL_GATED,
    N_SPLITS,
    SEED_DERIVATION,
    SPLIT_HALF_RAW,
    Anchors,
    split_seeds,
)
from vcmetrics.summary.de_table import DETable

# the release whose files these are, and who wrote them
VERSION = f"0.20.0+vcmetrics.{__version__}"
METRICS_VERSION = 1
PROFILE = "vcc2026"
DEVICE = "cpu"
PURITY_FLOOR = 0.9  # of direction_reach_raw

_EXEMPT = frozenset(
    {"outdir", "cache_real", "cache_pred", "cache_strict", "num_threads", "gather_threads", "allow_fractional_counts"}
)
_NOT_HASHED = frozenset(
    {"cache_real", "cache_pred", "cache_strict", "outdir", "num_threads", "gather_threads", "metrics"}
)
_SEMANTIC = (
    *("version", "input_type", "target_sum", "bulk_target_sum", "allow_discrete", "autodetect_input_type"),
    *("allow_fractional_counts", "max_counts_per_cell", "validate_input", "pert_col", "control"),
)
_SEMANTIC_DE = (
    *("method", "mean_calc", "epsilon", "p_adj_threshold", "sort_by", "nan_lfc_policy", "min_abs_log2fc"),
    *("clip_value", "fdr_scope", "auc_pval_floor", "auc_pval_floor_value"),
)
_SEMANTIC_RANKS = ("rank_denominator", "exclude_target_gene", "exclusion_scope", "tie_policy", "embed_key")
_OWN_GENE_OUT = ("direction_fidelity", "direction_coverage", "direction_yield", "direction_reach", "sig_jaccard")
_TARGETED = ("lfc_nmae", *_OWN_GENE_OUT)
# metric → what is charged inside its gate, and the gate as the digests spell it
_GATES: Mapping[str, tuple[float | None, list[Any]]] = {
    "delta_pearson": (-1.0, ["delta_var", None, "all"]),
    **{
        f"de_wilcoxon_{name}": (worst, [kind, 10, which])
        for name, worst, kind, which in (
            ("nsig_spearman", -1.0, "count_corr", "all"),
            ("sig_recall", None, "sig_set", "all"),
            ("direction_match", 0.0, "sig_lfc", "all"),
            ("model_direction_match", 0.0, "lfc_present", "all"),
            ("lfc_spearman", -1.0, "rank_corr", "all"),
            ("lfc_spearman_pos", -1.0, "rank_corr", "pos"),
            ("lfc_spearman_neg", -1.0, "rank_corr", "neg"),
            ("pr_auc", None, "two_class", "all"),
            ("roc_auc", None, "two_class", "all"),
            ("overlap_adjusted", None, "ranked_universe", "all"),
            ("sig_recall_adjusted", None, "sig_universe", "all"),
            ("sig_mcc", None, "sig_universe", "all"),
            ("direction_precision", 0.0, "adjudicable", "all"),
            ("direction_sensitivity", None, "sig_set", "all"),
            ("direction_sensitivity_universe", None, "sig_set", "all"),
        )
    },
}
_CELL_KNOBS: Mapping[str, list[list[Any]]] = {
    "cell_cov_ccc": [
        *(["alpha", 0.05], ["correction", "none"], ["max_cells", 500], ["min_cells", 50]),
        *(["seed", 0], ["significance", "intersection"]),
    ],
    **{
        name: [
            *(["max_cells", 500], ["min_cells", 50], ["min_genes", 20], ["min_nonzero_cells", 10]),
            *(["seed", 0], ["top_genes", 100], ["which", which]),
        ]
        for name, which in (("cell_cov_corr", "corr"), ("cell_cov_eig_ratio", "eig_ratio"))
    },
}


def is_de(name: str) -> bool:
    """Whether a metric reads DE tables."""
    return "de" in registry.get(name).needs


def config_hash(config: EvalConfig) -> str:
    """Digest of what moves a number, the metrics left out."""
    kept = {k: v for k, v in config.to_dict().items() if k not in _NOT_HASHED}
    return digest_of("config", json.dumps(kept, sort_keys=True, default=str))


def config_digest(config: EvalConfig, comparator: str, *, de_real: bool = False) -> str:
    """Digest of a run's settings with its metrics; ``de_real``: the real table was given."""
    names = metric_names(config)
    flat = {k: v for k, v in config.to_dict().items() if k not in _EXEMPT}
    if config.target_gene_map is None:
        del flat["target_gene_map"]
    ratios = sorted(name for name in names if registry.get(name).aggregate == "ratio_of_sums")
    flat["comparator"] = comparator
    flat["metrics"] = names
    flat["metric_agg"] = [[name, registry.get(name).aggregate] for name in names]
    flat["metric_derived"] = [
        [n, "ratio_of_sums", registry.get(n).numerator, registry.get(n).denominator] for n in ratios
    ]
    flat["metric_normalization"] = normalization(names, comparator)
    flat["device"] = DEVICE
    if resolved_engine(config, de_real=de_real) is not None:
        flat["de"]["backend"] = engine_of(config)
    return hashlib.sha256(json.dumps(flat, sort_keys=True, default=str).encode()).hexdigest()


def normalization(names: Sequence[str], comparator: str) -> list[list[str | None]]:
    """(metric, space of its profiles); None where it reads none."""
    return [[n, comparator if registry.get(n).needs & {"profiles", "correction"} else None] for n in names]


def resolved_engine(config: EvalConfig, *, de_real: bool = False) -> str | None:
    """The DE engine that a pairing depends on; None where the real table is given or nothing is tested."""
    return engine_of(config) if not de_real and any(map(is_de, metric_names(config))) else None


def comparator_of(config: EvalConfig, real_kind: str, pred_kind: str) -> str:
    """Space of the profiles."""
    counts = config.version == "v2" and real_kind == pred_kind == "counts"
    return "bulk_lognorm" if counts else "lognorm"


def semantic_params(config: EvalConfig, kind: str) -> dict[str, Any]:
    """The settings that an anchor's value depends on; ``kind`` is that of the real values."""
    names = metric_names(config)
    params: dict[str, Any] = {name: getattr(config, name) for name in _SEMANTIC}
    params |= {"input_type_effective_real": kind, "input_type_effective_pred": kind}
    params["comparator"] = comparator_of(config, kind, kind)
    params["device"] = DEVICE
    any_de = any(map(is_de, names))
    ranks = any(name.startswith("pds_") for name in names)
    suffixes = {name.removeprefix("de_wilcoxon_") for name in names}
    own = any(s.startswith(_TARGETED) for s in suffixes) or bool(
        suffixes & {"expr_mse_unbiased", "expr_mse_unbiased_capped", "expr_distance_unbiased"}
    )
    cells = [[name, _CELL_KNOBS[name]] for name in sorted(names) if name in _CELL_KNOBS]
    if any(s.startswith("direction_reach") for s in suffixes):
        params["reach_purity_floor"] = PURITY_FLOOR
    if params["comparator"] == "bulk_lognorm":
        params["grouped_sum_reduction_semantics"] = 1
    policy = sorted([name, *_GATES[name]] for name in names if name in _GATES) if config.version == "v2" else []
    if policy:
        params |= {"no_drop_policy": policy, "real_gate_semantics": 1}
    if cells:
        params |= {"cell_metric_params": cells, "cell_metric_semantics": 1}
    if ranks:
        params |= {f"discrimination.{k}": getattr(config.discrimination, k) for k in _SEMANTIC_RANKS}
        params["pert_chunk"] = config.pert_chunk
    if ranks or any_de or own or cells:
        params["target_gene_map"] = config.target_gene_map
        if config.target_gene_map and None in config.target_gene_map.values():
            params["no_target_gene_semantics"] = 1
    if own:
        params["ontarget_exclusion_semantics"] = 2
    if any_de:
        params |= {f"de.{k}": getattr(config.de, k) for k in _SEMANTIC_DE}
        params["de.backend_resolved"] = engine_of(config)
        params["filter.filter_gene_min_cpm_cell"] = config.filter.filter_gene_min_cpm_cell
    return params


def table_digest(table: DETable) -> str:
    """Digest of a DE table that was given."""
    state = hashlib.sha256()
    for values in (table.lfc, table.p_value, table.p_adj):
        state.update(np.ascontiguousarray(values).data)
    return digest_of("de", table.targets, [str(g) for g in table.genes], state.hexdigest())


def environment() -> dict[str, Any]:
    """Versions of what computed the numbers."""
    from importlib.metadata import version

    found = {name: version(name) for name in ("numpy", "scipy", "anndata")}
    return {name: {"version": v, "provenance": "release"} for name, v in {"vcmetrics": __version__, **found}.items()}


def run_record(
    config: EvalConfig,
    *,
    source: str,
    created_utc: str,
    fingerprint: str,
    kinds: tuple[str, str],
    de_real: DETable | None,
    de_pred: DETable | None,
) -> dict[str, Any]:
    """What ``run_meta.json`` holds; ``kinds`` are those of the real and the predicted values."""
    names = metric_names(config)
    comparator = comparator_of(config, *kinds)
    return {
        "cell_eval2_version": VERSION,
        "metrics_version": METRICS_VERSION,
        "created_utc": created_utc,
        "source": source,
        "resolved_device": DEVICE,
        "resolved_de_backend": resolved_engine(config, de_real=de_real is not None),
        "environment": environment(),
        "de_real_fingerprint": None if de_real is None else table_digest(de_real),
        "de_pred_fingerprint": None if de_pred is None else table_digest(de_pred),
        "source_fingerprint": fingerprint,
        "source_fingerprint_strict": config.cache_strict,
        "input_type_real_effective": kinds[0],
        "input_type_pred_effective": kinds[1],
        "anchor_semantic_identity": semantic_identity(semantic_params(config, kinds[0])),
        "anchor_metric_names": output_names(config),
        "comparator": comparator,
        "metric_normalization": normalization(names, comparator),
        "config_digest": config_digest(config, comparator, de_real=de_real is not None),
    }


def anchor_record(config: EvalConfig, kind: str, anchors: Anchors, marks: tuple[str, str]) -> dict[str, Any]:
    """What ``anchor_meta.json`` holds; ``marks`` are the reference's digests with and without its values."""
    params = semantic_params(config, kind)
    return {
        "real_fingerprint": marks[0],
        "real_fingerprint_meta": marks[1],
        "semantic_identity": semantic_identity(params),
        "semantic_params": params,
        "config_hash": config_hash(config),
        "control_source_requested": config.control_source,
        "control_source_effective": "pred",
        "base_seed": anchors.base_seed,
        "seed_derivation": SEED_DERIVATION,
        "derived_seeds": list(anchors.seeds),
        "n_splits": len(anchors.seeds),
        "cell_eval2_version": VERSION,
        "bulk_target_sum": float(config.bulk_target_sum),
        "metric_names": output_names(config),
    }


def rule_mismatches(config: EvalConfig, members: Sequence[str], anchors: Anchors) -> list[str]:
    """Why a bundle is not one of the competition; empty where it is."""
    wanted = EvalConfig.from_preset(PROFILE)
    engine = replace(config.de, backend=wanted.de.backend)
    plain = replace(config, device=wanted.device, pert_chunk=wanted.pert_chunk, pert_col=wanted.pert_col, de=engine)
    out = []
    if config_hash(plain) != config_hash(wanted):
        out.append(f"the settings are not those of preset {PROFILE}")
    if sorted(metric_names(config)) != sorted(metric_names(wanted)):
        out.append(f"the metrics are not those of profile {PROFILE}")
    if not config.cache_strict:
        out.append("cache_strict is off, so the reference's values are not part of its digest")
    scored = {m.metric for m in get_preset(PROFILE).scored(PROFILE)}
    if set(members) != scored:
        out.append(f"the scored members differ: {', '.join(sorted(set(members) ^ scored))}")
    if anchors.base_seed != 0 or list(anchors.seeds) != split_seeds(0, N_SPLITS):
        out.append(
            f"the anchor has base seed {anchors.base_seed} and {len(anchors.seeds)} splits, not 0 and {N_SPLITS}"
        )
    for row in anchors.rows:
        if row.estimator != (FULL_GATE_RAW if row.metric == FULL_GATED else SPLIT_HALF_RAW):
            out.append(f"the anchor of {row.metric} is taken by {row.estimator}")
    return out


def rule_digest(mismatches: Sequence[str]) -> str | None:
    """The competition's rule where nothing differs from it."""
    return None if mismatches else COMPETITION_RULE


def check_submission(manifest: Mapping[str, Any], meta: Mapping[str, Any], *, supplied_de_pred: bool) -> list[str]:
    """Refuse a run that does not belong to a bundle; returns what makes it no competition score.

    Raises
    ------
    DataError
        Naming every field that differs.
    """
    peers = (
        *("config_digest", "comparator", "source_fingerprint", "source_fingerprint_strict", "resolved_device"),
        *("resolved_de_backend", "input_type_real_effective", "de_real_fingerprint"),
    )
    differ = []
    for key in peers:
        if key not in manifest or key not in meta:
            differ.append(f"{key} is missing from {'the bundle' if key not in manifest else 'the run'}")
        elif manifest[key] != meta[key]:
            differ.append(f"{key} is {manifest[key]!r} there and {meta[key]!r} here")
    if meta.get("anchor_semantic_identity") != manifest.get("anchor_semantic_identity"):
        differ.append("anchor_semantic_identity differs")
    if sorted(meta.get("anchor_metric_names") or []) != sorted(manifest.get("anchor_metric_names") or []):
        differ.append("anchor_metric_names differ")
    given = "de_pred_fingerprint" not in meta or meta["de_pred_fingerprint"] is not None
    if given and not supplied_de_pred:
        differ.append("the prediction's DE table was given (de_pred); it must be computed from the submitted cells")
    if differ:
        msg = f"the run does not belong to bundle {manifest.get('real_bundle_id')!r}: {'; '.join(differ)}"
        raise DataError(msg)
    return ["the prediction's DE table was given"] if given else []
