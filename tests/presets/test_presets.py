"""Every rule set is whole, findable, and changed only by known names."""

from __future__ import annotations

import csv
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict
from pathlib import Path

import pytest

from vcmetrics._errors import DataError
from vcmetrics.presets.preset import DERules, get_preset, list_presets, parse_override

GOLDEN = Path(__file__).parents[1] / "golden"


def _columns(path: Path) -> list[str]:
    with open(path, newline="") as handle:
        return next(csv.reader(handle))[1:]


@pytest.mark.parametrize("name", list_presets())
def test_preset_is_whole(name):
    preset = get_preset(name)
    assert preset.name == name
    assert preset.quirks
    assert all(quirk.endswith(".") for quirk in preset.quirks)
    for profile in preset.profiles:
        members = preset.members(profile)
        assert members
        assert len({m.output for m in members}) == len(members)
        # a metric is listed twice with different parameters only
        assert len({(m.metric, repr(sorted(m.params.items()))) for m in members}) == len(members)
    for name_, text in asdict(preset.page).items():
        assert text.endswith("."), name_
    assert preset.replace() == preset
    with pytest.raises(FrozenInstanceError):
        preset.ties = "midrank"


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("VCC_2026", "vcc2026"),
        ("v2", "cell-eval2"),
        ("legacy", "cell-eval2-v1"),
        ("cell_eval", "cell-eval"),
        ("cell_eval_0_7_6", "cell-eval2-0.7.6"),
        ("cell-eval-0.8.2", "cell-eval"),
        ("vcc-2025", "vcc2025"),
    ],
)
def test_aliases(alias, name):
    assert get_preset(alias).name == name


def test_unknown_preset_lists_what_there_is():
    with pytest.raises(DataError, match="no preset 'vcc2027'; choose from vcc2026"):
        get_preset("vcc2027")


@pytest.mark.parametrize(
    ("preset", "profile", "run"),
    [
        ("vcc2026", None, "cell_eval2/runs/a_noise.vcc2026.pdex"),
        ("cell-eval2", None, "cell_eval2/runs/a_noise.v2.pdex"),
        ("cell-eval2", "cell", "cell_eval2/runs/a_noise.v2cell.pdex"),
        ("cell-eval2-v1", None, "cell_eval2/runs/a_noise.v1.pdex"),
        ("cell-eval2-0.7.6", None, "cell_eval2/runs/a_noise.cell-eval-0.7.6.pdex"),
    ],
)
def test_cell_eval2_profiles_hold_the_golden_metrics(preset, profile, run):
    outputs = {m.output for m in get_preset(preset).members(profile)}
    assert outputs == set(_columns(GOLDEN / run / "agg_results.csv"))


@pytest.mark.parametrize("profile", ["full", "minimal", "vcc", "de", "anndata", "pds"])
def test_cell_eval_profiles_are_the_golden_columns_in_order(profile):
    outputs = [m.output for m in get_preset("cell-eval").members(profile)]
    assert outputs == _columns(GOLDEN / f"cell_eval/cell_eval_0.8.2/base_{profile}/results.csv")


def test_six_members_are_scored_in_2026():
    assert {m.metric for m in get_preset("vcc2026").scored()} == {
        "pds_cosine",
        "expr_mse_unbiased_capped_norm",
        "de_wilcoxon_lfc_nmae",
        "de_wilcoxon_direction_fidelity_yield_raw",
        "de_wilcoxon_direction_reach_raw",
        "de_wilcoxon_sig_jaccard",
    }


def test_replace_takes_dotted_names_spellings_and_variants():
    preset = get_preset("vcc2026").replace({"de.alpha": 0.2, "discrimination.tie_policy": "position"}, exclude="row")
    assert (preset.de.alpha, preset.ties, preset.exclude) == (0.2, "position", "row")
    assert preset.settings()["alpha"] == 0.2
    assert not get_preset("cell-eval2").replace(de="scanpy").de.continuity
    old = get_preset("vcc2025").replace(de="pdex-0.1.27")
    assert (old.de.fdr_scope, old.de.clip) == ("global", 20.0)
    assert get_preset("cell-eval2").replace(de=DERules(alpha=0.01)).de.alpha == 0.01
    assert get_preset("cell-eval").replace(target_sum=1e4).target_sum == 1e4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"de.alhpa": 0.1}, "no setting 'de.alhpa'; did you mean de.alpha"),
        ({"profiles": {}}, "no setting 'profiles'"),
        ({"ties": "sometimes"}, "setting ties must be 'midrank' or 'position'"),
        ({"gated": "yes"}, "setting gated must be true or false"),
        ({"de.epsilon": "small"}, "setting de.epsilon must be a number"),
        ({"de.alpha": 0}, "setting de.alpha must be a level above 0"),
        ({"target_sum": "mean"}, "setting target_sum must be 'median_real_control'"),
        ({"target_sum": True}, "setting target_sum must be"),
        ({"default_profile": "none"}, "setting default_profile must be a profile's name"),
        ({"de": "edgeR"}, "not a set of DE rules"),
    ],
)
def test_replace_refuses(changes, message):
    with pytest.raises(DataError, match=message):
        get_preset("vcc2026").replace(changes)


def test_unknown_profile_lists_what_there_is():
    with pytest.raises(DataError, match="has no profile 'tiny'; choose from full"):
        get_preset("cell-eval").members("tiny")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("de.alpha=0.1", ("de.alpha", 0.1)),
        ("de.cpm_gate=null", ("de.cpm_gate", None)),
        ("ties=position", ("ties", "position")),
        ("gated = false", ("gated", False)),
    ],
)
def test_parse_override(text, expected):
    assert parse_override(text) == expected


def test_parse_override_wants_an_equals_sign():
    with pytest.raises(DataError, match="NAME=VALUE"):
        parse_override("de.alpha")


def test_output_names():
    assert get_preset("cell-eval").output_name("pds_l1") == "discrimination_score_l1"
    assert get_preset("cell-eval").output_name("pds_cosine") == "discrimination_score_cosine"
    assert get_preset("vcc2025").output_name("delta_mae") == "delta_mae"


def test_presets_import_nothing_heavy():
    code = (
        "import sys; from vcmetrics.presets import get_preset; get_preset('vcc2026').as_dict();"
        "sys.exit(any(m in sys.modules for m in ('pandas', 'anndata', 'h5py', 'scipy.stats')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_presets_can_be_pickled():
    for name in list_presets():
        preset = get_preset(name)
        again = pickle.loads(pickle.dumps(preset))
        assert again.as_dict() == preset.as_dict()
