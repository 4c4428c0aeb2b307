"""The registry is complete: every row can be computed, checked, read and found."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import vcmetrics
from vcmetrics.distances.conventions import get_convention, list_conventions
from vcmetrics.metrics.distance import registry as distances
from vcmetrics.metrics.registry import MetricSpec, get, list_metrics, register, rows

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
ROWS = list(rows())
SECTIONS = ("Parameters", "Returns", "Examples")


@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
def test_row_is_complete(spec: MetricSpec) -> None:
    for section in SECTIONS:
        assert re.search(rf"^ +{section}\n +-{{{len(section)}}}$", spec.formula.__doc__, re.M), section
    assert spec.reference.__doc__
    assert ".reference." in spec.reference.__module__
    assert spec.reference is not spec.formula
    assert len(spec.source) > 10
    assert 0 <= spec.parity.rtol < 1e-4
    assert 0 <= spec.parity.atol < 1e-4
    assert spec.definition
    assert spec.invariants
    assert spec.needs
    assert spec.needs <= {"profiles", "correction", "variance", "batches", "train", "de", "cells"}
    assert all(spec.pitfalls)
    assert set(spec.required) <= set(spec.defaults)
    low, high = spec.bounds
    assert low < high
    if spec.better == "higher" and spec.best is not None:
        assert spec.best == high
    if spec.better == "lower":
        assert spec.best == 0
    if spec.chance is not None:
        assert low <= spec.chance <= high
    assert "\n" not in spec.definition


@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
def test_formula_and_reference_take_the_defaults(spec: MetricSpec) -> None:
    for function in (spec.formula, spec.reference):
        taken = {name for name, p in inspect.signature(function).parameters.items() if p.kind is p.KEYWORD_ONLY}
        assert taken == set(spec.defaults), function


@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
def test_readme_lists_it(spec: MetricSpec) -> None:
    assert f"| `{spec.name}` |" in README, "run: python tests/test_readme.py"


@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
def test_ratio_names_its_parts(spec: MetricSpec) -> None:
    parts = (spec.numerator, spec.denominator)
    if spec.aggregate == "mean":
        assert parts == (None, None)
    else:
        assert all(part in list_metrics() for part in parts)


def test_names_are_found() -> None:
    assert get("discrimination_score_cosine") is get("pds_cosine")
    assert get("overlap_at_N").name == "de_wilcoxon_overlap"
    assert get("lfc_nmae").name == "de_wilcoxon_lfc_nmae"
    for spec in ROWS:
        for name in (spec.name, *spec.aliases):
            assert get(name) is spec
    with pytest.raises(ValueError, match="'pds_cosin' is not known; did you mean pds_cosine"):
        get("pds_cosin")
    with pytest.raises(ValueError, match="'#' is not known; see list_metrics"):
        get("#")


def test_names_are_taken_once() -> None:
    from dataclasses import replace

    before = list_metrics()
    with pytest.raises(ValueError, match="'mae' of 'other' is taken by 'expr_mae'"):
        register(replace(get("expr_mae"), name="other"))
    assert list_metrics() == before


def test_every_family_of_cell_eval2_is_here() -> None:
    of_tables = [spec for spec in ROWS if "cells" not in spec.needs and spec.extra is None]
    assert len([s for s in of_tables if s.name.startswith("de_wilcoxon_")]) == 41
    assert len([s for s in of_tables if s.family in ("expression", "discrimination")]) == 13
    assert not any(np.isnan(spec.bounds).any() for spec in ROWS)


DISTANCES = list(distances.rows())


@pytest.mark.parametrize("spec", DISTANCES, ids=lambda spec: spec.name)
def test_distance_is_complete(spec: distances.DistanceSpec) -> None:
    assert len(inspect.getdoc(spec.formula) or "") > 40
    assert spec.formula.__module__.startswith("vcmetrics.metrics.distance.")
    assert spec.reference.__doc__
    assert ".reference." in spec.reference.__module__
    assert len(spec.source) > 10
    assert 0 <= spec.parity.rtol <= 1e-6
    assert 0 <= spec.parity.atol <= 1e-3
    assert spec.definition
    assert "\n" not in spec.definition
    assert spec.kind in ("profile", "moments", "cells")
    assert spec.invariants
    known = {"feature_order", "nonnegative", "translation", "rotation", "scale:0", "scale:1", "scale:2"}
    assert set(spec.invariants) <= known
    assert spec.extra is None or spec.extra in distances.EXTRAS


@pytest.mark.parametrize("spec", DISTANCES, ids=lambda spec: spec.name)
def test_distance_takes_its_defaults(spec: distances.DistanceSpec) -> None:
    for function in (spec.formula, spec.reference):
        parameters = inspect.signature(function).parameters
        taken = {name: p.default for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY and name != "others"}
        assert set(taken) == set(spec.defaults), function
        for name, default in taken.items():
            assert default == spec.defaults[name] or default != default, (function, name)


@pytest.mark.parametrize("spec", DISTANCES, ids=lambda spec: spec.name)
def test_readme_lists_the_distance(spec: distances.DistanceSpec) -> None:
    assert f"| `{spec.name}`" in README, "run: python tests/test_readme.py"


def test_conventions_name_rows_and_parameters_that_exist() -> None:
    for name in list_conventions():
        rules = get_convention(name)
        assert rules.quirks
        for table in (rules.parameters, rules.resampled):
            for row, values in table.items():
                assert row in vcmetrics.list_distances()
                assert set(values) <= set(distances.get(row).defaults), (name, row)
        for row, values in rules.names.values():
            assert set(values) <= set(distances.get(row).defaults), (name, row)


def test_extras_bring_what_distances_import() -> None:
    import tomllib

    extras = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    brings = {"ot": "POT", "sklearn": "scikit-learn", "statsmodels": "statsmodels"}
    for extra, modules in distances.EXTRAS.items():
        for module in modules:
            assert any(line.startswith(brings[module]) for line in extras[extra])
        assert extra in extras["test"][0]
