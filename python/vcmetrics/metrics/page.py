"""A page a metric, made of its registry row and its formula's docstring."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from vcmetrics.metrics.docstring import described, docstring_parts
from vcmetrics.metrics.registry import MetricSpec, rows

ARROWS: Mapping[str, str] = MappingProxyType({"higher": "↑", "lower": "↓", "none": "–"})
DIRECTIONS: Mapping[str, str] = MappingProxyType(
    {"higher": "higher is better", "lower": "lower is better", "none": "no direction: a fact or a component, no score"}
)
# what every law that a row declares says
LAWS: Mapping[str, str] = MappingProxyType(
    {
        "gene_order": "The order of the genes does not matter.",
        "perturbation_order": "The order of the perturbations does not matter.",
        "cell_order": "The order of the cells does not matter.",
        "scale_invariant": "Effects of both sides times one positive number: unchanged.",
        "scale_homogeneous": "Effects of both sides times a positive number: times it (squared errors: its square).",
        "scale_degree_0": "All profiles times one positive number: unchanged.",
        "scale_degree_1": "All profiles times a positive number: times the same number.",
        "scale_degree_2": "All profiles times a positive number: times its square.",
        "common_shift": "One vector added to all profiles, the reference included: unchanged.",
        "prediction_scale": "Predicted effects times a positive number: unchanged.",
        "prediction_offset": "One number added to the predicted effect of every gene: unchanged.",
        "duplicate_rows_tie": "Equal observed profiles share their rank.",
        "translation": "One vector added to all cells of both sides: unchanged.",
        "rotation": "A rotation of the space of the cells: unchanged.",
        "scale:0": "All cells times a positive number: unchanged.",
        "scale:1": "All cells times a positive number: times the same number.",
        "scale:2": "All cells times a positive number: times its square.",
    }
)
NEEDS: Mapping[str, str] = MappingProxyType(
    {
        "profiles": "profiles of both sides",
        "correction": "their sampling variance",
        "variance": "variances of the cells",
        "batches": "batches with controls (--batch-col)",
        "train": "training data",
        "de": "differential expression",
        "cells": "single cells of both sides",
    }
)
# of the page, in their order
SECTIONS = ("Formula", "Reading", "Parameters", "Invariances", "Pitfalls", "Example", "Source")


def number(value: float | None) -> str:
    """A bound, best value or chance level as text."""
    if value is None:
        return "none"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:g}"


def reading(spec: MetricSpec, returns: str) -> list[str]:
    """How the number is read: direction, best, chance, bounds, aggregation."""
    low, high = spec.bounds
    lines = [
        f"* direction: {DIRECTIONS[spec.better]} ({ARROWS[spec.better]})",
        f"* best: {number(spec.best)}",
        f"* chance: {number(spec.chance)}",
        f"* bounds: {number(low)} to {number(high)}, unit {spec.unit}",
    ]
    if spec.aggregate == "ratio_of_sums":
        lines.append(f"* over perturbations: sum of `{spec.numerator}` over sum of `{spec.denominator}`")
    elif spec.panel is not None:
        lines.append("* over perturbations: one number for the panel, the same in every row")
    else:
        lines.append("* over perturbations: mean of the defined values")
    if spec.gate is not None:
        charged = "" if spec.gate.worst is None else f"; an undefined prediction there costs {number(spec.gate.worst)}"
        lines.append(f"* gate (presets that judge by the reference): {spec.gate.text}{charged}")
    return [*lines, "", returns]


def parameter_lines(spec: MetricSpec, text: str) -> list[str]:
    """One line a parameter: name, default, what it says."""
    said = {name: words for names, words in described(text) for name in names}
    lines = []
    for name, value in spec.defaults.items():
        default = "must be given" if name in spec.required else f"default `{value!r}`"
        lines.append(f"* `{name}` ({default}): {said.get(name, '')}")
    return lines or ["None."]


def parts(spec: MetricSpec) -> dict[str, list[str]]:
    """Section → lines of a metric's page."""
    told = docstring_parts(spec.formula)
    source = [spec.source + ("" if spec.source.endswith(".") else ".")]
    if told.get("Notes"):
        source += ["", told["Notes"]]
    return {
        "Formula": [f"    {spec.definition}", "", told[""]],
        "Reading": reading(spec, told.get("Returns", "")),
        "Parameters": parameter_lines(spec, told.get("Parameters", "")),
        "Invariances": [f"* {LAWS[law]}" for law in spec.invariants],
        "Pitfalls": [f"* {text}" for text in spec.pitfalls],
        "Example": [told.get("Examples", "")],
        "Source": source,
    }


def markdown(spec: MetricSpec) -> str:
    """The page of a metric.

    Examples
    --------
    >>> from vcmetrics.metrics.registry import get
    >>> markdown(get("nir")).splitlines()[0]
    '# nir'
    """
    needs = ", ".join(words for need, words in NEEDS.items() if need in spec.needs)
    extra = "" if spec.extra is None else f"; the extra `{spec.extra}`"
    other = "" if not spec.aliases else " Other names: " + ", ".join(f"`{name}`" for name in spec.aliases) + "."
    lines = [f"# {spec.name}", "", f"Family {spec.family}. Needs {needs}{extra}.{other}"]
    for heading, body in parts(spec).items():
        lines += ["", f"## {heading}", "", *body]
    return "\n".join(line.rstrip() for line in "\n".join(lines).split("\n")) + "\n"


def index(specs: Iterable[MetricSpec] | None = None) -> str:
    """The list of all pages, family by family."""
    about = "One page a metric: formula, reading, parameters, invariances, pitfalls, example, source."
    head = ["| metric | | best | chance | formula |", "| --- | --- | --- | --- | --- |"]
    lines = ["# Metrics", "", about]
    family = None
    for spec in rows() if specs is None else specs:
        if spec.family != family:
            family = spec.family
            lines += ["", f"## {family}", "", *head]
        formula = spec.definition.replace("|", r"\|")
        name = f"[{spec.name}]({spec.name}.md)"
        lines.append(f"| {name} | {ARROWS[spec.better]} | {number(spec.best)} | {number(spec.chance)} | {formula} |")
    return "\n".join(lines) + "\n"


def record(spec: MetricSpec) -> dict[str, Any]:
    """The row for machines: no infinities, defaults as JSON has them or as text."""

    def bound(value: float) -> float | None:
        return None if math.isinf(value) else value

    def default(value: Any) -> Any:
        if isinstance(value, str | int | float | bool | None):
            return None if isinstance(value, float) and not math.isfinite(value) else value
        return list(value) if isinstance(value, tuple | list) else str(value)

    return {
        "name": spec.name,
        "aliases": list(spec.aliases),
        "family": spec.family,
        "definition": spec.definition,
        "better": spec.better,
        "best": spec.best,
        "chance": spec.chance,
        "bounds": [bound(value) for value in spec.bounds],
        "unit": spec.unit,
        "needs": sorted(spec.needs),
        "extra": spec.extra,
        "aggregate": "panel" if spec.panel else spec.aggregate,
        "parameters": {name: default(value) for name, value in spec.defaults.items()},
        "required": list(spec.required),
        "invariances": {law: LAWS[law] for law in spec.invariants},
        "pitfalls": list(spec.pitfalls),
        "source": spec.source,
    }
