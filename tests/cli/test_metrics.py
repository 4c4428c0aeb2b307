import json

import pytest

from vcmetrics.cli import entry
from vcmetrics.metrics.registry import list_metrics


def test_list(capsys):
    assert entry.run(["metrics", "list"]) == 0
    text = capsys.readouterr().out
    assert [line.split()[0] for line in text.splitlines() if line.startswith("  ")] == list_metrics()
    assert entry.run(["metrics"]) == 0
    assert capsys.readouterr().out == text
    assert entry.run(["metrics", "list", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == list_metrics()
    assert entry.run(["metrics", "list", "--family", "phenocopy"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "phenocopy"
    assert "knn_recall" in {line.split()[0] for line in lines[1:]}


def test_show(capsys):
    assert entry.run(["metrics", "show", "discrimination_score_cosine"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("# pds_cosine\n")
    assert "## Pitfalls" in text
    assert entry.run(["metrics", "show", "pds_cosine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["chance"] == 0.5


def test_pages(tmp_path, capsys):
    out = tmp_path / "deep" / "pages"
    assert entry.run(["metrics", "-o", str(out)]) == 0
    assert f"{len(list_metrics())} pages" in capsys.readouterr().out
    assert {path.stem for path in out.iterdir()} == {*list_metrics(), "index"}
    assert (out / "index.md").read_text("utf-8").startswith("# Metrics\n")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["show", "pds_cosin"], "did you mean pds_cosine"),
        (["list", "--family", "x"], "family 'x' is not known"),
        (["-o", "x", "list"], "takes no command"),
    ],
)
def test_wrong_usage(arguments, word, capsys):
    assert entry.run(["metrics", *arguments]) == 2
    assert word in capsys.readouterr().err


def test_pages_where_they_cannot_be(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert entry.run(["metrics", "-o", str(tmp_path / "file")]) == 1
    assert "is a file, not a folder" in capsys.readouterr().err
