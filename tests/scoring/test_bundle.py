"""Official bundles are read, verified and scored against; one's own are written in the same files."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path

import anndata
import numpy as np
import pytest

from vcmetrics._errors import DataError, VcmetricsWarning
from vcmetrics.presets.preset import get_preset
from vcmetrics.scoring.build_bundle import write_bundle
from vcmetrics.scoring.bundle import read_bundle
from vcmetrics.scoring.fingerprint import source_fingerprint
from vcmetrics.scoring.replicate import SplitRow, assemble
from vcmetrics.scoring.scale import from_replicate, read_aggregate
from vcmetrics.sources.rows import ChunkedArray, Rows

GOLDEN = Path(__file__).parents[1] / "golden/cell_eval2"
PRESET = get_preset("vcc2026")


@pytest.fixture
def copy(tmp_path):
    return Path(shutil.copytree(GOLDEN / "bundle", tmp_path / "bundle"))


def _edit(path: Path, **changes) -> None:
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps(content))


@pytest.fixture(scope="module")
def reference():
    adata = anndata.read_h5ad(GOLDEN / "inputs/a_real.h5ad")
    labels, codes = np.unique(adata.obs["target"].astype(str), return_inverse=True)
    m = adata.X
    data = ChunkedArray.of(m.data.astype(np.uint16))
    rows = Rows(*m.shape, m.indptr.astype(np.int64), ChunkedArray.of(m.indices.astype(np.uint16)), data)
    return adata.var_names.to_numpy(), list(labels), codes, m.dtype, rows


def test_golden_bundle():
    bundle = read_bundle(GOLDEN / "bundle")
    with open(GOLDEN / "scores/a_noise.bundle.csv", newline="") as handle:
        golden = list(csv.DictReader(handle))
    assert {(bundle.name, bundle.digest)} == {(r["real_bundle_id"], r["real_bundle_digest"]) for r in golden}
    assert bundle.official
    assert bundle.arithmetic == "f64"
    assert bundle.de_variant == "pdex"
    members = [m.metric for m in PRESET.members()]
    assert set(bundle.metrics) == set(members)
    bundle.check_rules(PRESET, members, control="non-targeting")
    values = read_aggregate(GOLDEN / "runs/a_noise.vcc2026.pdex/agg_results.csv")
    scores = from_replicate(values, bundle.baseline, bundle.replicate, PRESET.policies)
    assert set(scores.scores) == set(bundle.members)
    assert scores.overall == pytest.approx(float(golden[-1]["from_replicate"]), rel=1e-12)


def test_reference_is_the_one_it_was_built_from(reference):
    genes, labels, codes, dtype, rows = reference
    bundle = read_bundle(GOLDEN / "bundle" / "manifest.json")
    strict = source_fingerprint(genes, labels, codes, dtype, rows)
    assert strict == bundle.manifest["real_fingerprint"]
    bundle.check_reference(strict, strict=True)
    bundle.check_reference(source_fingerprint(genes, labels, codes, dtype), strict=False)
    with pytest.raises(DataError, match="its genes, their order, the cells' labels"):
        bundle.check_reference(source_fingerprint(genes[::-1], labels, codes, dtype), strict=False)
    with pytest.raises(DataError, match="its values differ"):
        bundle.check_reference(source_fingerprint(genes, labels, codes, np.float64, rows), strict=True)


@pytest.mark.parametrize(("device", "engine", "arithmetic"), [("cuda:0", "gpudge", "gpu32"), ("cpu", "pdex", "f64")])
def test_arithmetic(copy, device, engine, arithmetic):
    _edit(copy / "manifest.json", resolved_device=device, resolved_de_backend=engine)
    assert read_bundle(copy).arithmetic == arithmetic


def test_scanpy_engine(copy):
    _edit(copy / "manifest.json", resolved_de_backend="scanpy")
    assert not PRESET.replace(de=read_bundle(copy).de_variant).de.continuity


@pytest.mark.parametrize(
    "name", ["manifest.json", "baseline_agg.csv", "baseline_meta.json", "anchor_agg.parquet", "anchor_meta.json"]
)
def test_missing_file(copy, name):
    (copy / name).unlink()
    with pytest.raises(DataError, match=f"lacks {name}"):
        read_bundle(copy)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("manifest.json", {"anchor_digest": "0" * 64}, "the anchors do not have the digest"),
        ("anchor_meta.json", {"real_fingerprint": "0" * 64}, "the anchors do not have the digest"),
        ("manifest.json", {"real_fingerprint": "0" * 64}, "disagree on real_fingerprint"),
        ("manifest.json", {"config_digest": "0" * 64}, "disagree on config_digest"),
        ("manifest.json", {"anchor_metric_names": ["pds_l1"]}, "disagree on metric names"),
        ("manifest.json", {"estimators": {}}, "disagree on estimators"),
        ("anchor_meta.json", {"semantic_params": {}}, "disagree on semantic_params"),
        ("manifest.json", {"control_source_effective": "real"}, "own control"),
        ("manifest.json", {"manifest_version": 2}, "version 2; version 1 can be read"),
        ("manifest.json", {"rule_digest": "abc"}, "rules abc"),
        ("manifest.json", {"members": ["pds_l1"]}, "no baseline or no replicate for pds_l1"),
    ],
)
def test_altered_file(copy, file, changes, message):
    _edit(copy / file, **changes)
    with pytest.raises(DataError, match=message):
        read_bundle(copy)


def test_damaged_files(copy, tmp_path):
    with pytest.raises(DataError, match="is not a directory"):
        read_bundle(tmp_path / "nowhere")
    (copy / "anchor_agg.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"cannot read .*anchor_agg.parquet"):
        read_bundle(copy)
    (copy / "manifest.json").write_text("{")
    with pytest.raises(DataError, match=r"cannot read .*manifest.json"):
        read_bundle(copy)
    (copy / "manifest.json").write_text("[]")
    with pytest.raises(DataError, match="does not hold a JSON object"):
        read_bundle(copy)
    (copy / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match="lacks manifest_version"):
        read_bundle(copy)


def test_without_pyarrow(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DataError, match=r"pip install 'vcmetrics\[parquet\]'"):
        read_bundle(GOLDEN / "bundle")


def test_diagnostic_bundle_warns(copy):
    _edit(copy / "manifest.json", rule_digest=None, rule_mismatches=["cache_strict is off"])
    with pytest.warns(VcmetricsWarning, match="no competition scores: cache_strict is off"):
        assert not read_bundle(copy).official


def test_other_rules_are_refused():
    bundle = read_bundle(GOLDEN / "bundle")
    members = [m.metric for m in PRESET.members()]
    with pytest.raises(DataError, match=r"scores .*sig_jaccard, which this run does not compute"):
        bundle.check_rules(PRESET, members[:6])
    with pytest.raises(DataError, match=r"de.alpha is 0.05 there and 0.1 here"):
        bundle.check_rules(PRESET.replace({"de.alpha": 0.1}), members)
    with pytest.raises(DataError, match="ties is 'midrank' there and 'position' here"):
        bundle.check_rules(PRESET.replace(ties="position"), members)
    with pytest.raises(DataError, match="bulk_target_sum is 50000"):
        bundle.check_rules(PRESET.replace(bulk_target_sum=1e6), members)
    with pytest.raises(DataError, match="control is 'non-targeting' there"):
        bundle.check_rules(PRESET, members, control="ctrl")


def _anchors():
    with open(GOLDEN / "reference/anchor/anchor_splits.csv", newline="") as handle:
        return assemble(
            [
                SplitRow(
                    int(r["split_index"]),
                    int(r["seed"]),
                    r["metric"],
                    float(r["value"]),
                    int(r["n_perturbations"]) if r["n_perturbations"] else None,
                )
                for r in csv.DictReader(handle)
            ]
        )


def _write(path, **changes):
    how = {
        "name": "mine",
        "preset": PRESET,
        "profile": "vcc2026",
        "control": "non-targeting",
        "baseline": {"mean": read_aggregate(GOLDEN / "bundle/baseline_agg.csv")},
        "anchors": _anchors(),
        "fingerprint": "f" * 64,
        "fingerprint_meta": "e" * 64,
        "created_utc": "2026-01-01T00:00:00+00:00",
    }
    return write_bundle(path, **{**how, **changes})


def test_own_bundle(tmp_path):
    written = _write(tmp_path / "deep" / "mine")
    with pytest.warns(VcmetricsWarning, match="built by vcmetrics"):
        read = read_bundle(tmp_path / "deep" / "mine")
    official = read_bundle(GOLDEN / "bundle")
    assert read.digest == written.digest
    assert not read.official
    assert dict(read.baseline) == dict(official.baseline)
    assert dict(read.replicate) == pytest.approx(dict(official.replicate), rel=1e-12)
    assert set(read.members) == set(official.members)
    read.check_rules(PRESET, read.metrics, control="non-targeting")
    with pytest.raises(DataError, match=r"de.mean is 'arithmetic' there"):
        read.check_rules(PRESET.replace({"de.mean": "geometric"}), read.metrics)
    read.check_reference("f" * 64, strict=True)
    read.check_reference("e" * 64, strict=False)
    assert {p.name for p in (tmp_path / "deep" / "mine").iterdir()} == {p.name for p in (GOLDEN / "bundle").iterdir()}
    assert not list((tmp_path / "deep").glob(".*"))


def test_own_bundle_does_not_overwrite(tmp_path):
    _write(tmp_path / "mine")
    with pytest.raises(DataError, match="not an empty directory"):
        _write(tmp_path / "mine")
    assert _write(tmp_path / "mine", name="again", overwrite=True).name == "again"
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="not an empty directory"):
        _write(tmp_path / "file", overwrite=True)
    with pytest.raises(DataError, match="cannot write"):
        _write(tmp_path / "file" / "below")
