"""``build_generic_baseline``: the mean response of a reference, scored like a prediction."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.compat.cell_eval2.config import EvalConfig
from vcmetrics.compat.cell_eval2.identity import run_record
from vcmetrics.compat.cell_eval2.rules import canonical, output_names, settings_of, target_map
from vcmetrics.compat.cell_eval2.run import Finished, Side, fingerprint, open_side, run_metrics
from vcmetrics.compat.cell_eval2.tables import by_metric, wide_table
from vcmetrics.compat.frames import frame
from vcmetrics.presets.cell_eval2_names import POLICIES
from vcmetrics.scoring.baseline import BaselinePrediction, generic_baseline, group_means, mean_response
from vcmetrics.scoring.scale import degenerate
from vcmetrics.summary.plan import resolve_targets


@dataclass(frozen=True)
class GenericProfile:
    """The mean response: one value a gene, and what it is the mean of."""

    values: NDArray[np.float64]
    genes: NDArray[Any]
    n_perturbations: int
    exclude_target_gene: bool
    n_excluded: int


@dataclass(frozen=True)
class BaselineResult:
    """Values by perturbation, wide aggregate, the profile, and the record of the run."""

    results: Any
    agg: Any
    profile: GenericProfile
    meta: dict[str, Any]


def source_name(data: Any) -> str:
    """What a record calls the data."""
    return os.fspath(data) if isinstance(data, (str, os.PathLike)) else "<in-memory AnnData>"


def now() -> str:
    """The time, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def unusable(aggregate: Mapping[str, Any], statistic: str = "mean") -> list[dict[str, Any]]:
    """Scored metrics whose aggregate gives no scale: metric, value, reason, decisive."""
    row = list(aggregate["statistic"]).index(statistic)
    out = []
    for name, values in aggregate.items():
        policy = None if name == "statistic" else POLICIES.get(canonical(name))
        if policy is None:
            continue
        value = float(values[row])
        reason = degenerate(value, policy)
        if reason is not None:
            shown = value if np.isfinite(value) else None
            out.append({"metric": name, "value": shown, "reason": reason, "decisive": policy.decisive})
    return out


def build_generic_baseline(
    real: Any,
    *,
    config: EvalConfig,
    exclude_target_gene: bool = True,
    emit: str = "dispersed",
    seed: int = 0,
    de_real: Any = None,
    save_pred: str | os.PathLike[str] | None = None,
    allow_degenerate: bool = False,
) -> BaselineResult:
    """The mean response to all perturbations, as cells, scored by a configuration.

    Parameters
    ----------
    real
        AnnData or path; counts.
    config
        Rules of version 2.
    exclude_target_gene
        Leave each perturbation's own gene out of its contribution.
    emit, seed
        ``dispersed``: drawn control cells, scaled; ``tile``: the profile in every cell.
    de_real
        DE table of the reference, made elsewhere.
    save_pred
        Write the cells here (``.h5ad``).
    allow_degenerate
        Return it even where a scored metric's aggregate gives no scale.

    Raises
    ------
    DataError
        If the configuration is of version 1, the values are no counts, or a metric gives no scale.
    """
    if config.version == "v1":
        msg = "the baseline of version v1 is not made here; use version v2, or vcmetrics.compat.cell_eval's baseline"
        raise DataError(msg)
    settings = settings_of(config)
    side = open_side(real, config, settings, predicted=False)
    if emit == "dispersed" and side.one.kind != "counts":
        msg = "emit='dispersed' draws counts; pass emit='tile' for log-normalised values"
        raise DataError(msg)
    made, profile = baseline_cells(side, config, exclude=exclude_target_gene, emit=emit, seed=seed)
    finished = run_metrics(
        made.to_anndata(config.pert_col), real, replace(config, allow_fractional_counts=True), de_real=de_real
    )
    table = finished.table
    aggregate = wide_table(by_metric(frame(table)), output_names(config))
    if not any(canonical(name) in POLICIES for name in aggregate):
        msg = "no scoreable metric is in this selection, so there is no baseline to score against"
        raise DataError(msg)
    bad = unusable(aggregate)
    if bad and not allow_degenerate:
        what = "; ".join(f"{one['metric']}: {one['reason']}" for one in bad)
        msg = f"this baseline gives no scale for {what}; pass allow_degenerate=True (--allow-degenerate-baseline)"
        raise DataError(msg)
    meta = baseline_record(real, side, config, finished, profile, made, emit=emit, seed=seed, bad=bad)
    if save_pred is not None:
        made.write(save_pred, config.pert_col)
    return BaselineResult(frame(table), frame(aggregate), profile, meta)


def baseline_cells(
    side: Side, config: EvalConfig, *, exclude: bool, emit: str, seed: int
) -> tuple[BaselinePrediction, GenericProfile]:
    """The cells, and the profile that they show."""
    groups, genes = side.one.side.groups, side.cells.genes
    n = len(groups.perturbations)
    found = resolve_targets(groups.perturbations, genes, target_map(config)) if exclude else (None,) * n
    gene_of = dict(zip(groups.perturbations, found, strict=True))
    where = {str(gene): k for k, gene in enumerate(genes)}
    named = [gene_of.get(label) for label in groups.labels]
    own = np.array([-1 if gene is None else where[gene] for gene in named], np.int64)
    means = group_means(side.one.side.rows, groups.codes, len(groups.labels))
    others = [k for k, label in enumerate(groups.labels) if label != config.control]
    used = own[others] if exclude else np.full(len(others), -1)
    profile = GenericProfile(mean_response(means[others], used), genes, len(others), exclude, int((used >= 0).sum()))
    made = generic_baseline(
        side.one.side.rows,
        groups.labels,
        groups.codes,
        config.control,
        genes,
        own,
        emit=emit,
        seed=seed,
        exclude_target=exclude,
        means=means,
    )
    return made, profile


def baseline_record(
    real: Any,
    side: Side,
    config: EvalConfig,
    finished: Finished,
    profile: GenericProfile,
    made: BaselinePrediction,
    *,
    emit: str,
    seed: int,
    bad: list[dict[str, Any]],
) -> dict[str, Any]:
    """What ``baseline_meta.json`` holds."""
    kinds = (side.one.kind, side.one.kind)
    record = run_record(
        config,
        source=source_name(real),
        created_utc=now(),
        fingerprint=fingerprint(side.cells, config, strict=config.cache_strict),
        kinds=kinds,
        de_real=finished.de_real,
        de_pred=None,
    )
    for key in ("anchor_semantic_identity", "anchor_metric_names", "environment", "metrics_version"):
        del record[key]
    silent = list(made.notes.get("genes_silent_in_control", ()))
    emission = {
        "emit": emit,
        "seed": seed,
        "n_rows": made.rows.n_rows,
        "genes_control_zero": silent,
        "n_genes_control_zero": len(silent),
        "profile_mass_unreachable": made.notes.get("unreachable_share"),
        "r_max": made.notes.get("largest_factor"),
    }
    return {
        **record,
        "pert_col": config.pert_col,
        "control": config.control,
        "n_perturbations": profile.n_perturbations,
        "n_genes": int(profile.genes.size),
        "exclude_target_gene": profile.exclude_target_gene,
        "n_excluded": profile.n_excluded,
        "emit": emit,
        "seed": int(seed),
        "baseline_emission": emission,
        "control_source_requested": config.control_source,
        "control_source_effective": config.control_source,
        "allow_discrete_effective": config.allow_discrete,
        "de_real_supplied": finished.de_real is not None,
        "degenerate_metrics": bad,
        "metrics": output_names(config),
        "config_requested": config.to_dict(),
        "config": finished.config.to_dict(),
    }
