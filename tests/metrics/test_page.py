"""Every metric has a complete page, and the pages say what the rows say."""

from __future__ import annotations

import json
import re

import pytest

from vcmetrics.metrics import page
from vcmetrics.metrics.registry import MetricSpec, get, rows

ROWS = list(rows())


def sections(text: str) -> dict[str, str]:
    found = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {heading: body.strip() for heading, body in zip(found[1::2], found[2::2], strict=True)}


@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
def test_page_is_complete(spec: MetricSpec) -> None:
    text = page.markdown(spec)
    found = sections(text)
    assert tuple(found) == page.SECTIONS
    assert all(found.values())
    assert spec.definition in found["Formula"]
    assert spec.source in found["Source"]
    assert all(pitfall in found["Pitfalls"] for pitfall in spec.pitfalls)
    assert len(found["Pitfalls"]) > 20
    assert len(found["Invariances"].splitlines()) == len(spec.invariants)
    assert all(f"`{name}`" in found["Parameters"] for name in spec.defaults)
    for word in ("direction", "best", "chance", "bounds", "over perturbations"):
        assert f"* {word}" in found["Reading"]
    assert not re.search(r"\): *$", found["Parameters"], re.MULTILINE)
    assert "``" not in text
    assert not re.search(r":\w+:`", text)
    assert "  \n" not in text


@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
def test_record_is_json(spec: MetricSpec) -> None:
    record = json.loads(json.dumps(page.record(spec), allow_nan=False))
    assert record["name"] == spec.name
    assert set(record["parameters"]) == set(spec.defaults)
    assert record["pitfalls"] == list(spec.pitfalls)


def test_laws_are_all_in_words() -> None:
    assert {law for spec in ROWS for law in spec.invariants} <= set(page.LAWS)
    assert {need for spec in ROWS for need in spec.needs} <= set(page.NEEDS)


def test_index_names_every_page() -> None:
    text = page.index()
    assert re.findall(r"^\| \[([^\]]+)\]\(\1\.md\)", text, re.MULTILINE) == [spec.name for spec in ROWS]
    for spec in ROWS:
        assert f"## {spec.family}" in text


def test_a_page() -> None:
    found = sections(page.markdown(get("nir")))
    assert "* direction: higher is better (↑)\n* best: 1\n* chance: 0.5\n* bounds: 0 to 1, unit 1" in found["Reading"]
    assert "* `tie_rule` (default `'pessimistic'`): Place among equal distances: `mid`" in found["Parameters"]
    assert (
        "* `classes` (must be given): Perturbation → class"
        in sections(page.markdown(get("phenotype_auroc")))["Parameters"]
    )
