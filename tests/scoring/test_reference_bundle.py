"""A bundle made from a reference gives what the organisers' bundle of that reference gives."""

from pathlib import Path

import pytest

from vcmetrics._errors import DataError, VcmetricsWarning
from vcmetrics.scoring.bundle import read_bundle
from vcmetrics.scoring.reference_bundle import make_bundle
from vcmetrics.scoring.score import score

GOLDEN = Path(__file__).parents[1] / "golden" / "cell_eval2"
REAL = GOLDEN / "inputs" / "a_real.h5ad"


def test_own_bundle_agrees_with_the_official_one(tmp_path):
    made = make_bundle(REAL, tmp_path / "mine", n_threads=1)
    official = read_bundle(GOLDEN / "bundle")
    assert made.name == "mine"
    assert made.members == official.members
    assert made.manifest["real_fingerprint"] == official.manifest["real_fingerprint"]
    assert made.anchor_meta["real_fingerprint_meta"] == official.anchor_meta["real_fingerprint_meta"]
    assert dict(made.replicate) == pytest.approx(dict(official.replicate), rel=1e-11, abs=1e-13)
    assert dict(made.baseline) == pytest.approx(dict(official.baseline), rel=1e-9)
    pred = GOLDEN / "inputs" / "a_noise.h5ad"
    want = score(pred, REAL, scale=GOLDEN / "bundle", n_threads=1)
    with pytest.warns(VcmetricsWarning, match="built by vcmetrics"):
        got = score(pred, REAL, scale=tmp_path / "mine", n_threads=1)
    assert got.overall == pytest.approx(want.overall, rel=1e-9)
    with pytest.raises(DataError, match="not an empty directory"):
        make_bundle(REAL, tmp_path / "mine", n_threads=1)


def test_what_cannot_be_a_bundle(tmp_path):
    with pytest.raises(DataError, match="no replicate scale"):
        make_bundle(REAL, tmp_path / "mine", preset="cell-eval")
    with pytest.raises(DataError, match="no cell is labelled 'ctrl'"):
        make_bundle(REAL, tmp_path / "mine", control="ctrl")
    with pytest.raises(DataError, match="fewer than 2 cells"):
        make_bundle(GOLDEN / "inputs" / "b_edge.h5ad", tmp_path / "mine")
    assert not (tmp_path / "mine").exists()
