import json

import pytest

from vcmetrics.cli import entry
from vcmetrics.metrics.registry import list_metrics
from vcmetrics.presets.preset import get_preset, list_presets


def test_installation(capsys):
    assert entry.run(["info"]) == 0
    text = capsys.readouterr().out
    for word in ("vcmetrics", "isa", "n_threads", "cuda_extension", "gpu", *list_presets()):
        assert word in text
    assert entry.run(["info", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["presets"]) == set(list_presets())


@pytest.mark.parametrize("name", list_presets())
def test_preset(name, capsys):
    assert entry.run(["info", "--preset", name]) == 0
    text = capsys.readouterr().out
    preset = get_preset(name)
    assert all(quirk in text for quirk in preset.quirks)
    assert all(f"  {setting} = " in text for setting in preset.as_dict())
    assert entry.run(["info", "--preset", name, "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["profiles"]) == set(preset.profiles)


def test_metrics(capsys):
    assert entry.run(["info", "--metrics"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list_metrics()
    assert entry.run(["info", "--metrics", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == list_metrics()


def test_unknown_preset_is_wrong_usage(capsys):
    assert entry.run(["info", "--preset", "nope"]) == 2
    assert "nope" in capsys.readouterr().err
