"""``score_metrics``: aggregates against a baseline, a replicate, a bundle or a fixed scale."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics.compat.cell_eval2.identity import check_submission
from vcmetrics.compat.cell_eval2.rules import canonical
from vcmetrics.compat.frames import frame, read_columns, write_csv
from vcmetrics.metrics import registry
from vcmetrics.presets.cell_eval2_names import POLICIES
from vcmetrics.presets.policy import ScalePolicy
from vcmetrics.scoring.bundle import Bundle, read_anchors, read_bundle
from vcmetrics.scoring.fingerprint import anchor_digest
from vcmetrics.scoring.replicate import FULL_GATED
from vcmetrics.scoring.scale import FIXED_SCALES, from_baseline, from_reference, from_replicate, on_fixed_scale

logger = logging.getLogger(__name__)

AVERAGE = "avg_score"
Aggregate = dict[str, float | None]  # by the names of the table


@dataclass(frozen=True)
class AnchorExpect:
    """What an anchor must have been made of."""

    fingerprint: str
    semantic_identity: str
    metrics: tuple[str, ...]


def expect_from_run_meta(meta: Mapping[str, Any]) -> AnchorExpect:
    """What a run's own record says that its anchor must be made of.

    Raises
    ------
    DataError
        If the record lacks a field, or its digest does not include the values.
    """
    needed = ("source_fingerprint", "source_fingerprint_strict", "anchor_semantic_identity", "anchor_metric_names")
    missing = [key for key in needed if key not in meta]
    version = meta.get("cell_eval2_version")
    if not isinstance(version, str) or not version.strip():
        missing.append("cell_eval2_version")
    if missing:
        msg = f"run_meta.json lacks {', '.join(missing)}; run again"
        raise DataError(msg)
    if not meta["source_fingerprint_strict"]:
        msg = "the run's digest of the reference does not include its values; run again with --cache-strict"
        raise DataError(msg)
    return AnchorExpect(
        meta["source_fingerprint"], meta["anchor_semantic_identity"], tuple(meta["anchor_metric_names"])
    )


def read_wide(source: Any, statistic: str) -> Aggregate:
    """One row of a wide aggregate."""
    table = read_columns(source)
    if "statistic" not in table:
        msg = "there is no column 'statistic'; pass the wide aggregate (agg_results.csv)"
        raise DataError(msg)
    rows = [k for k, name in enumerate(table["statistic"]) if name == statistic]
    if len(rows) != 1:
        msg = f"the aggregate has {len(rows)} rows {statistic!r} (rows: {', '.join(map(str, table['statistic']))})"
        raise DataError(msg)
    out: Aggregate = {}
    for name, values in table.items():
        if name != "statistic":
            value = values[rows[0]]
            out[name] = None if value is np.ma.masked else float(value)
    return out


def policies_of(
    names: Sequence[str],
    overrides: Mapping[str, ScalePolicy] | None,
    low: float | None,
    high: float | None,
    penalty: str | None,
    exponent: float | None,
    cap: float | None,
) -> dict[str, ScalePolicy]:
    """How each metric is scaled, by registry name."""
    own = {canonical(name): policy for name, policy in (overrides or {}).items()}
    unknown = sorted(name for name in own if name not in registry.list_metrics())
    if unknown:
        msg = f"overrides name {', '.join(unknown)}, which is no metric"
        raise DataError(msg)
    for key, value in (("penalty_exponent", exponent), ("penalty_cap", cap)):
        if value is not None and not (math.isfinite(value) and value > 0):
            msg = f"{key} must be a finite number above 0, not {value}"
            raise DataError(msg)
    if penalty not in (None, "boxcox", "linear", "none"):
        msg = f"penalty {penalty!r} is not known; pass 'boxcox' or 'linear'"
        raise DataError(msg)
    out = {}
    for name in map(canonical, names):
        policy = own.get(name, POLICIES.get(name))
        if policy is None:
            continue
        if name not in own:
            changes: dict[str, Any] = {} if low is None else {"low": low}
            changes |= {} if high is None else {"high": high}
            changes |= {} if penalty is None else {"boxcox": penalty == "boxcox"}
            changes |= {} if exponent is None else {"exponent": exponent}
            if cap is not None:
                changes["cap"] = cap
                if policy.boxcox and policy.low == -policy.cap and low is None:
                    changes["low"] = -cap
            policy = replace(policy, **changes)
        out[name] = policy
    return out


def reference_of(source: Any) -> float | None:
    """The lfc_nmae reference of ``lfc_nmae_ref_agg.csv``; None where nothing could be judged."""
    table = read_columns(source)
    missing = [name for name in ("statistic", "nmae_ref_raw", "n_perturbations") if name not in table]
    rows = [] if missing else [k for k, name in enumerate(table["statistic"]) if name == "mean"]
    if len(rows) != 1:
        msg = f"the lfc_nmae reference lacks {', '.join(missing) or 'its row mean'}; pass lfc_nmae_ref_agg.csv"
        raise DataError(msg)
    value, n = table["nmae_ref_raw"][rows[0]], table["n_perturbations"][rows[0]]
    empty = value is np.ma.masked
    if n is np.ma.masked or n < 0 or (n == 0) != empty:
        msg = f"the lfc_nmae reference has n_perturbations {n} and the value {value}; that cannot be"
        raise DataError(msg)
    if empty:
        logger.warning("the lfc_nmae reference scored no perturbation, so from_reference is empty")
        return None
    if value >= 1.0:
        logger.warning("the lfc_nmae reference is degenerate (%g): from_reference is 1 - value", value)
    return float(value)


@dataclass(frozen=True)
class Replicate:
    """The upper end of the scale: values by registry name, and where they come from."""

    values: Mapping[str, float]
    source: str
    digest: str


def read_anchor(path: str | os.PathLike[str], expect: AnchorExpect) -> Replicate:
    """Anchors that a run wrote, after checking that they belong to ``expect``."""
    root = Path(path)
    rows = read_anchors(root / "anchor_agg.parquet")
    try:
        meta = json.loads((root / "anchor_meta.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        msg = f"cannot read {root / 'anchor_meta.json'}: {error}"
        raise DataError(msg) from None
    pairs = [
        ("the reference's values", meta.get("real_fingerprint"), expect.fingerprint),
        ("the settings", meta.get("semantic_identity"), expect.semantic_identity),
        ("the metrics", sorted(meta.get("metric_names") or []), sorted(expect.metrics)),
        ("the control", meta.get("control_source_effective"), "pred"),
    ]
    differ = [what for what, one, other in pairs if one != other]
    if differ:
        msg = f"the anchors in {root} do not belong to this run: {', '.join(differ)} differ"
        raise DataError(msg)
    named = [(row["metric"], row["replicate"], row["estimator"]) for row in rows]
    digest = anchor_digest(named, meta["real_fingerprint"], meta["semantic_identity"], meta.get("cell_eval2_version"))
    values = {canonical(row["metric"]): float(row["replicate"]) for row in rows}
    return Replicate(values, "supplied", digest)


def score_metrics(
    results_user: Any,
    results_base: Any = None,
    output: str | os.PathLike[str] | None = None,
    comparison_statistic: str = "mean",
    *,
    penalty_exponent: float | None = None,
    penalty_cap: float | None = None,
    clamp_low: float | None = None,
    clamp_high: float | None = None,
    penalty: str | None = None,
    overrides: Mapping[str, ScalePolicy] | None = None,
    lfc_nmae_ref: Any = None,
    scale: str | Sequence[str] | None = None,
    anchor: str | os.PathLike[str] | None = None,
    anchor_cache: Any = None,
    anchor_expect: AnchorExpect | None = None,
    real_bundle: str | os.PathLike[str] | None = None,
    user_meta: Mapping[str, Any] | None = None,
    diagnostic_supplied_de_pred: bool = False,
) -> Any:
    """Scores of a prediction's aggregates.

    Parameters
    ----------
    results_user, results_base
        Wide aggregates (:func:`aggregate_metrics_wide`, or the path of an ``agg_results.csv``) of the prediction and of
        the baseline.
    output
        Write the table here.
    comparison_statistic
        Row of the aggregates that is compared; a replicate takes ``mean`` only.
    penalty_exponent, penalty_cap
        Power and cap of the errors' penalty below the baseline; 2 and 6, the rules' own, where None.
    clamp_low, clamp_high, penalty, overrides
        Clamps and penalty (``boxcox``, ``linear``) of all metrics; or a :class:`ScalePolicy` by metric, which wins.
    lfc_nmae_ref
        ``lfc_nmae_ref_agg.csv``: adds ``from_reference``.
    scale
        Names of fixed scales; each adds a column.
    anchor, anchor_expect
        Folder of replicate anchors, and what they must have been made of: adds ``from_replicate``.
    anchor_cache
        Not known here; pass ``anchor``.
    real_bundle, user_meta
        Bundle (baseline and replicate in one) and the run's own ``run_meta.json`` as a mapping.
    diagnostic_supplied_de_pred
        Let a run whose predicted DE table was given be scored against a bundle, as a diagnosis.

    Returns
    -------
    Frame: metric, from_baseline and the columns asked for; errors first, then the others, then ``avg_score``.

    Raises
    ------
    DataError
        If the tables do not fit, a decisive metric's baseline gives no scale, or the run does not belong to the bundle.
    """
    if anchor_cache is not None:
        msg = "anchor_cache: a cache of cell-eval2 is not read here; pass anchor= with the folder of anchors"
        raise DataError(msg)
    scales = [scale] if isinstance(scale, str) else list(scale or [])
    if len(set(scales)) != len(scales):
        msg = f"a scale is named twice ({', '.join(scales)})"
        raise DataError(msg)
    waivers: list[str] = []
    bundle: Bundle | None = None
    replicate: Replicate | None = None
    if real_bundle is not None:
        if results_base is not None or anchor is not None or anchor_expect is not None:
            msg = (
                "a bundle holds both ends of the scale; pass neither results_base nor anchor nor anchor_expect with it"
            )
            raise DataError(msg)
        if user_meta is None:
            msg = "scoring against a bundle needs user_meta, the run's own run_meta.json"
            raise DataError(msg)
        bundle = read_bundle(real_bundle)
        waivers = check_submission(bundle.manifest, user_meta, supplied_de_pred=diagnostic_supplied_de_pred)
        replicate = Replicate(
            {canonical(k): v for k, v in bundle.replicate.items()}, "real_bundle", bundle.manifest["anchor_digest"]
        )
        results_base = str(Path(bundle.path) / "baseline_agg.csv")
    elif diagnostic_supplied_de_pred:
        msg = "diagnostic_supplied_de_pred goes with real_bundle only"
        raise DataError(msg)
    elif anchor is not None:
        if anchor_expect is None or results_base is None:
            msg = "an anchor needs results_base, and anchor_expect=expect_from_run_meta(the run's run_meta.json)"
            raise DataError(msg)
        replicate = read_anchor(anchor, anchor_expect)
    if results_base is None and not scales:
        msg = "there is nothing to score against; pass results_base, scale or real_bundle"
        raise DataError(msg)
    needs_mean = replicate is not None or lfc_nmae_ref is not None
    if needs_mean and comparison_statistic != "mean":
        msg = f"a replicate or reference is a mean and cannot be compared with {comparison_statistic!r}"
        raise DataError(msg)
    user = read_wide(results_user, comparison_statistic)
    base = None if results_base is None else read_wide(results_base, comparison_statistic)
    policies = policies_of(list(user), overrides, clamp_low, clamp_high, penalty, penalty_exponent, penalty_cap)
    columns = score_columns(user, base, policies, replicate, lfc_nmae_ref, scales)
    if bundle is not None:
        official = bundle.official and not waivers
        if official:  # the competition's average is that of from_replicate
            columns["from_baseline"][AVERAGE] = None
    made = ordered(user, columns)
    n = len(made["metric"])
    if replicate is not None:
        at = list(made).index("from_replicate") + 1
        names = {"anchor_source": replicate.source, "anchor_digest": replicate.digest}
        if bundle is not None:
            names |= {"real_bundle_id": bundle.name, "real_bundle_digest": bundle.digest}
        items = list(made.items())
        made = dict([*items[:at], *((key, [text] * n) for key, text in names.items()), *items[at:]])
    if output is not None:
        write_csv(made, output)
    return frame(made)


Column = dict[str, float | None]  # by registry name, and the average


def score_columns(
    user: Aggregate,
    base: Aggregate | None,
    policies: Mapping[str, ScalePolicy],
    replicate: Replicate | None,
    lfc_nmae_ref: Any,
    scales: Sequence[str],
) -> dict[str, Column]:
    """Every column of the table."""
    values = {canonical(name): value for name, value in user.items()}
    named = {name for scale in scales for name in FIXED_SCALES.get(scale, {})} if base is None else set(values)
    spelt = [canonical(name) for name in user]
    twice = sorted({name for name in spelt if name in named and spelt.count(name) > 1})
    if twice:
        msg = f"the aggregate holds {', '.join(twice)} under two names"
        raise DataError(msg)
    # an empty cohort leaves a gated metric out; names of version 1 have no gates
    gated = [canonical(name) for name in user if name == canonical(name) and has_gate(name)]
    out: dict[str, Column] = {}
    if base is not None:
        if list(user) != list(base):
            odd = sorted(set(user) ^ set(base)) or ["their order differs"]
            msg = f"the two aggregates do not have the same columns ({', '.join(odd[:5])}); score both with one profile"
            raise DataError(msg)
        lower = {canonical(name): value for name, value in base.items()}
        made = from_baseline(values, lower, policies, gated=gated)
        out["from_baseline"] = {**made.scores, AVERAGE: made.overall}
    if lfc_nmae_ref is not None:
        reference = reference_of(lfc_nmae_ref)
        value = values.get(FULL_GATED)
        out["from_reference"] = {FULL_GATED: None if reference is None else from_reference(value, reference)}
    if replicate is not None:
        assert base is not None
        wanted = {k: v for k, v in replicate.values.items() if k in policies}
        top = from_replicate(values, lower, wanted, policies, gated=gated)
        out["from_replicate"] = {**top.scores, AVERAGE: top.overall}
    for name in scales:
        if name not in FIXED_SCALES:
            msg = f"there is no fixed scale {name!r}; choose from {', '.join(FIXED_SCALES)}"
            raise DataError(msg)
        fixed = on_fixed_scale(values, name)
        out[name] = {**fixed.scores, AVERAGE: fixed.overall}
    return out


def has_gate(name: str) -> bool:
    """Whether a metric judges only some perturbations."""
    try:
        return registry.get(name).gate is not None
    except ValueError:
        return False


def ordered(user: Aggregate, columns: Mapping[str, Column]) -> dict[str, Any]:
    """The columns in the order of the rows: errors, then the others, then the average."""
    scored = {name for column in columns.values() for name in column} - {AVERAGE}
    shown = [name for name in user if canonical(name) in scored]
    fixed = [name for column, values in columns.items() if column in FIXED_SCALES for name in values if name in scored]
    if "from_baseline" not in columns:  # a fixed scale has an order of its own
        shown = sorted(shown, key=lambda name: fixed.index(canonical(name)))
    rank = {
        name: POLICIES[canonical(name)].direction != "lower" if canonical(name) in POLICIES else True for name in shown
    }
    rows = [*sorted(shown, key=lambda name: rank[name]), AVERAGE]
    out: dict[str, Any] = {"metric": rows}
    for name, column in columns.items():
        cells = [column.get(AVERAGE if row == AVERAGE else canonical(row)) for row in rows]
        out[name] = np.ma.array([math.nan if c is None else c for c in cells], mask=[c is None for c in cells])
    return out
