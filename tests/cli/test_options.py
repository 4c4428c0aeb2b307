import click
import pytest

from vcmetrics import DataError
from vcmetrics.cli.options import Setting, read_target_map, split_names


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("a=1", ("a", 1)),
        ("de.gate=null", ("de.gate", None)),
        ("ties=position", ("ties", "position")),
        ("a=b=c", ("a", "b=c")),
    ],
)
def test_settings(text, pair):
    assert Setting().convert(text, None, None) == pair


@pytest.mark.parametrize("text", ["a", "=1", ""])
def test_bad_settings(text):
    with pytest.raises(click.BadParameter, match="NAME=VALUE"):
        Setting().convert(text, None, None)


def test_names():
    assert split_names(["a, b", "c", ""]) == ["a", "b", "c"]


def test_target_maps(tmp_path):
    assert read_target_map(None) is None
    assert read_target_map("none") == {"*": None}
    table = tmp_path / "m.csv"
    table.write_text("label,gene\nA,GENE1\nB,\n\n")
    assert read_target_map(str(table)) == {"A": "GENE1", "B": None}
    tabs = tmp_path / "m.tsv"
    tabs.write_text("A\tG1\nB+C\tG,2\n")
    assert read_target_map(str(tabs)) == {"A": "G1", "B+C": "G,2"}
    table = tmp_path / "m.json"
    table.write_text('{"A": "G1", "*": null}')
    assert read_target_map(str(table)) == {"A": "G1", "*": None}


@pytest.mark.parametrize(
    ("name", "text"), [("m.csv", "A,B,C\n"), ("m.json", "[1]"), ("m.json", "{"), ("m.json", '{"a": 1}')]
)
def test_bad_target_maps(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=name):
        read_target_map(str(path))
