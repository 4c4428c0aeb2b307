"""``evaluation_results.json``: the run for machines, and its replay."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics._version import __version__
from vcmetrics.compat.cell_eval2.config import EvalConfig
from vcmetrics.compat.cell_eval2.identity import DEVICE, METRICS_VERSION, VERSION, is_de, resolved_engine
from vcmetrics.compat.cell_eval2.tables import array, by_metric, is_ratio, ratio
from vcmetrics.metrics import registry
from vcmetrics.metrics.aggregate import mean, statistics
from vcmetrics.presets.cell_eval2_names import POLICIES, V1_NAMES
from vcmetrics.results.staging import staged_file

FILENAME = "evaluation_results.json"
SCHEMA, SUITE = 1, "cell_eval2"
ONE_VALUE = ("de_wilcoxon_nsig_spearman",)  # the same for every perturbation
FACTS = ("pert_col", "control", "input_type_real", "input_type_pred", "comparator", "scoring_path")
ENGINES = ("vcmetrics", "pdex", "scanpy")  # engines whose numbers a replay can give
_NOT_RECORDED = frozenset(
    {"metrics", "outdir", "cache_real", "cache_pred", "cache_strict", "num_threads", "gather_threads"}
    | {"allow_fractional_counts", "input_type"}
)
_STATISTICS: Mapping[str, tuple[str, str, str]] = {
    "count": ("Count", "Values along the axis, null ones included.", "sum"),
    "null_count": ("Null count", "Null values along the axis.", "sum"),
    "mean": ("Mean", "Mean of the values that are not null.", "mean"),
    "std": ("Standard deviation", "Sample standard deviation of the values that are not null.", "none"),
    "min": ("Minimum", "Smallest value that is not null.", "none"),
    "max": ("Maximum", "Largest value that is not null.", "none"),
    "median": ("Median", "Median of the values that are not null.", "none"),
    "value": ("Value", "One value for the whole context.", "mean"),
    "ratio_of_sums": ("Ratio of sums", "Sum of the numerators over the sum of the denominators.", "mean"),
}
_FACETS: Mapping[str, tuple[str, str]] = {
    "family": ("Family", "Topic of the metric."),
    "kind": ("Input", "Reads a DE table (de), profiles (anndata) or single cells (cell)."),
    "de_method": ("DE method", "Test behind the DE tables."),
}


@dataclass(frozen=True)
class RunFacts:
    """What a run settled: configuration, labels, kinds of values, space of the profiles, which tables were given."""

    config: EvalConfig
    labels: tuple[str, ...]
    input_type_real: str
    input_type_pred: str
    comparator: str
    de_real_given: bool = False
    de_pred_given: bool = False
    scoring_path: str = "in_memory"

    @property
    def engine_used(self) -> bool:
        """Whether a DE table was computed."""
        from vcmetrics.compat.cell_eval2.rules import metric_names

        return any(map(is_de, metric_names(self.config))) and not (self.de_real_given and self.de_pred_given)


def recorded(facts: RunFacts) -> dict[str, Any]:
    """The settings as the document holds them."""
    out = {k: v for k, v in facts.config.to_dict().items() if k not in _NOT_RECORDED}
    engine = resolved_engine(facts.config, de_real=facts.de_real_given)
    out["device"] = DEVICE
    if engine is not None:
        out["de"]["backend"] = engine
    name = {"name": "vcmetrics", "version": __version__, "provenance": "release", "commit": None}
    out["de"]["engine"] = name if facts.engine_used else None
    for key in ("input_type_real", "input_type_pred", "comparator", "scoring_path"):
        out[key] = getattr(facts, key)
    return out


def no_document_reason(config: EvalConfig) -> str | None:
    """Why a run has no document; None where it has one."""
    return f"version v1 has no {FILENAME}" if config.version == "v1" else None


def family_of(name: str) -> str:
    """Topic of a metric."""
    short = name.removeprefix("de_wilcoxon_")
    if short == name:
        return {"cell": "covariance"}.get(name.partition("_")[0], name.partition("_")[0])
    if short.endswith("_adjusted") or short == "sig_mcc":
        return "agreement"
    if short.startswith(("overlap", "precision")):
        return "overlap"
    if short.startswith(("direction", "model_direction")):
        return "direction"
    return "lfc" if short.startswith("lfc") else "significance"


def number(value: float | None) -> float | None:
    """A finite number, or null for NaN; an infinity raises."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        msg = f"a value is infinite, which {FILENAME} cannot hold"
        raise DataError(msg)
    return float(value)


def build_document(df: Any, facts: RunFacts, *, metrics: list[str]) -> dict[str, Any]:
    """The document of a run.

    Parameters
    ----------
    df
        Long table of the run.
    facts
        What the run settled.
    metrics
        Registry names of the metrics, in order.
    """
    values = by_metric(df)
    labels = list(facts.labels)
    entries = {name: entry(name, values, labels) for name in metrics}
    axis = {"display_name": "Perturbation", "description": "One perturbation of the context.", "labels": labels}
    return {
        "schema_version": SCHEMA,
        "suite": {"name": SUITE, "version": VERSION, "commit": None, "settings": recorded(facts)},
        "statistics": {
            key: {"display_name": name, "description": text, "combine": how}
            for key, (name, text, how) in _STATISTICS.items()
        },
        "axes": {"perturbation": axis} if any("axis" in e for e in entries.values()) else {},
        "facets": {key: {"display_name": name, "description": text} for key, (name, text) in _FACETS.items()},
        "metrics": entries,
    }


def entry(name: str, values: dict[str, dict[str, float | None]], labels: list[str]) -> dict[str, Any]:
    """One metric of the document."""
    spec = registry.get(name)
    statistic = "ratio_of_sums" if is_ratio(name) else "value" if name in ONE_VALUE else "mean"
    policy = POLICIES.get(name)
    headline: dict[str, Any] = {"statistic": statistic, "direction": None if policy is None else policy.direction}
    for key, bound in zip(("min", "max"), spec.bounds, strict=True):
        if math.isfinite(bound):
            headline[key] = float(bound)
    kind = "de" if is_de(name) else "cell" if name.startswith("cell_") else "anndata"
    facets = {"family": family_of(name), "kind": kind}
    if kind == "de":
        facets["de_method"] = "wilcoxon"
    out: dict[str, Any] = {
        "version": METRICS_VERSION,
        "headline": headline,
        "display_name": name.removeprefix("de_wilcoxon_").replace("_", " "),
        "description": spec.definition,
    }
    if name in V1_NAMES:
        out["aliases"] = [V1_NAMES[name]]
    out["facets"] = facets
    mine = values.get(name, {})
    if is_ratio(name):
        out["statistics"] = {"ratio_of_sums": number(ratio(values, name, required=True))}
    elif name in ONE_VALUE:
        found = [v for v in mine.values() if v is not None and not math.isnan(v)]
        out["statistics"] = {"value": number(found[0] if found else None)}
    else:
        listed = [number(mine.get(label)) for label in labels]
        given = array(dict(enumerate(listed)))  # type: ignore[arg-type]
        stats = statistics(np.ma.array(np.ma.compressed(given)))
        stats["mean"] = mean(given)
        out["statistics"] = {"count": len(labels), "null_count": listed.count(None)}
        out["statistics"] |= {key: number(stats[key]) for key in ("mean", "std", "min", "max", "median")}
        out |= {"axis": "perturbation", "values": listed}
    return out


def write_document(document: Mapping[str, Any], folder: str | os.PathLike[str]) -> None:
    """Write it, whole or not at all."""
    with staged_file(Path(folder) / FILENAME) as path:
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def load_document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read one and check that it can be replayed.

    Raises
    ------
    DataError
        If it is no such document.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        msg = f"cannot read {path}: {error}"
        raise DataError(msg) from None
    settings_of_document(found)
    return dict(found)


def settings_of_document(document: Any) -> dict[str, Any]:
    """The recorded settings, after checking the form."""
    if not isinstance(document, Mapping) or document.get("schema_version") != SCHEMA:
        msg = f"not an {FILENAME} of schema {SCHEMA}"
        raise DataError(msg)
    suite, metrics = document.get("suite"), document.get("metrics")
    if not isinstance(suite, Mapping) or suite.get("name") != SUITE or not isinstance(metrics, Mapping):
        msg = f"not a document of {SUITE}: suite.name or metrics is missing"
        raise DataError(msg)
    for name, one in metrics.items():
        version = one.get("version") if isinstance(one, Mapping) else None
        if name not in registry.list_metrics() or version != METRICS_VERSION:
            msg = f"metric {name!r} of version {version!r} is not known here"
            raise DataError(msg)
    settings = suite.get("settings")
    if not isinstance(settings, Mapping):
        msg = "the document has no suite.settings"
        raise DataError(msg)
    return dict(settings)


def settings_to_config(doc: Mapping[str, Any]) -> EvalConfig:
    """The configuration that replays a document.

    Raises
    ------
    DataError
        If the document is of another kind, or lacks or adds a setting.
    """
    settings = settings_of_document(doc)
    wanted = {k: v for k, v in EvalConfig().to_dict().items() if k not in _NOT_RECORDED}
    facts = {"input_type_real", "input_type_pred", "comparator", "scoring_path"}
    odd = sorted(set(settings) ^ (set(wanted) | facts))
    for section in ("filter", "discrimination", "de"):
        known = set(wanted[section]) | ({"engine"} if section == "de" else set())
        odd += [f"{section}.{key}" for key in sorted(set(settings.get(section) or {}) ^ known)]
    if odd:
        msg = f"the document's settings differ from those known here: {', '.join(odd)}"
        raise DataError(msg)
    data = {k: v for k, v in settings.items() if k not in facts}
    data["de"] = {k: v for k, v in settings["de"].items() if k != "engine"}
    data["input_type"] = settings["input_type_real"]
    data["metrics"] = list(doc["metrics"])
    return EvalConfig.from_dict(data)


def facts_checker(doc: Mapping[str, Any]) -> Callable[[RunFacts], None]:
    """A function that refuses a run whose facts differ from a document's."""
    settings = settings_of_document(doc)

    def check(facts: RunFacts) -> None:
        now = recorded(facts)
        differ = [f"{k} was {settings.get(k)!r} and is {now[k]!r}" for k in FACTS if settings.get(k) != now[k]]
        engine = (settings.get("de") or {}).get("engine")
        if (engine is None) != (now["de"]["engine"] is None) or (engine and engine.get("name") not in ENGINES):
            differ.append(f"de.engine was {engine and engine.get('name')!r}")
        if differ:
            msg = f"the run differs from the document: {'; '.join(differ)}"
            raise DataError(msg)

    return check


def changed_fields(base: EvalConfig, config: EvalConfig) -> list[str]:
    """Settings that would make a replay another run."""
    exempt = _NOT_RECORDED - {"metrics", "input_type"}
    out = []
    left, right = base.to_dict(), config.to_dict()
    for name in left:
        if name in exempt or left[name] == right[name]:
            continue
        inner = isinstance(left[name], dict) and isinstance(right[name], dict)
        out += [f"{name}.{k}" for k in left[name] if left[name][k] != right[name].get(k)] if inner else [name]
    return out
