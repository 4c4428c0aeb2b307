"""`vcmetrics score` from files to files."""

import csv
import json
import os
import pty
import subprocess
import sys

import anndata
import pytest

import vcmetrics as vcm
from vcmetrics.cli import entry
from vcmetrics.cli import progress as bar
from vcmetrics.datasets import demo

COMMAND = [sys.executable, "-m", "vcmetrics", "score"]


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_files_hold_the_result(tmp_path, pair, capsys):
    out = tmp_path / "out"
    assert entry.run(["score", *map(str, pair), "-o", str(out)]) == 0
    assert sorted(os.listdir(out)) == ["agg_results.csv", "results.csv", "run.json", "scores.csv"]
    result = vcm.score(*pair)
    values = {(row["perturbation"], row["metric"]): float(row["value"]) for row in rows(out / "results.csv")}
    table = result.per_perturbation
    for (perturbation, metric), value in values.items():
        expected = table.loc[perturbation, metric]
        assert value == expected or (value != value and expected != expected)
    means = next(row for row in rows(out / "agg_results.csv") if row["statistic"] == "mean")
    scores = {row["metric"]: float(row["value"]) for row in rows(out / "scores.csv")}
    for metric, value in result.aggregate.items():
        assert scores[metric] == value or value != value
        assert float(means[metric]) == value or value != value
    record = json.loads((out / "run.json").read_text())
    assert record["preset"] == "vcc2026"
    assert record["installation"]["vcmetrics"] == vcm.__version__
    text = capsys.readouterr().out
    assert "pds_cosine" in text
    assert "written" in text


def test_a_pattern_stands_for_all_its_files(tmp_path, pair, capsys):
    real = anndata.read_h5ad(pair[1])
    for k, rows_of in enumerate((slice(None, 100), slice(100, None))):
        real[rows_of].copy().write_h5ad(tmp_path / f"plate{k}.h5ad")
    assert entry.run(["score", str(pair[0]), str(tmp_path / "plate*.h5ad"), "-o", str(tmp_path / "several")]) == 0
    assert entry.run(["score", *map(str, pair), "-o", str(tmp_path / "one")]) == 0
    assert (tmp_path / "several/results.csv").read_bytes() == (tmp_path / "one/results.csv").read_bytes()
    assert entry.run(["score", str(pair[0]), str(tmp_path / "well*.h5ad")]) == 1
    assert "no file matches this pattern" in capsys.readouterr().err


def test_write_equals_the_command(tmp_path, pair):
    entry.run(["score", *map(str, pair), "-o", str(tmp_path / "a")])
    vcm.score(*pair).write(tmp_path / "b")
    for name in ("results.csv", "agg_results.csv", "scores.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_json(pair, capsys):
    assert entry.run(["score", *map(str, pair), "--json", "--scale", "auto"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["n_perturbations"] == 4
    assert set(record["metrics"]["pds_cosine"]) >= {"value", "n_used", "n_undefined", "baseline", "replicate", "scaled"}
    assert isinstance(record["timings"], dict)


def test_scaled_table(tmp_path, pair, capsys):
    assert entry.run(["score", *map(str, pair), "--scale", "auto", "-o", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    for word in ("baseline", "replicate", "scaled", "n used", "undef", "overall"):
        assert word in text
    assert rows(tmp_path / "out" / "scores.csv")[-1]["metric"] == "overall"


def test_de_tables_on_request(tmp_path, pair):
    parquet = pytest.importorskip("pyarrow.parquet")
    assert entry.run(["score", *map(str, pair), "--write-de", "-o", str(tmp_path / "out")]) == 0
    table = parquet.read_table(tmp_path / "out" / "de_real.parquet")
    assert {"target", "feature", "log2_fold_change", "p_value", "fdr"} <= set(table.column_names)


def test_cache_gives_the_same_bytes(tmp_path, pair):
    for name in ("plain", "cold", "warm"):
        cache = [] if name == "plain" else ["--cache", str(tmp_path / "cache")]
        assert entry.run(["score", *map(str, pair), *cache, "-o", str(tmp_path / name)]) == 0
    first = (tmp_path / "plain" / "results.csv").read_bytes()
    assert (tmp_path / "cold" / "results.csv").read_bytes() == first
    assert (tmp_path / "warm" / "results.csv").read_bytes() == first


def test_the_path_of_score_imports_neither_pandas_nor_anndata(pair, tmp_path):
    code = (
        "import sys\nfrom vcmetrics.cli.entry import run\n"
        f"run(['score', {str(pair[0])!r}, {str(pair[1])!r}, '-o', {str(tmp_path / 'out')!r}, '--json'])\n"
        "print([m for m in ('pandas', 'anndata', 'rich', 'scipy', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def on_terminal(command):
    """Run with stderr on a terminal; return (exit code, stdout, what the terminal got)."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=os.environ | {"TERM": "xterm"})
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        seen += part
    os.close(ours)
    out = process.communicate()[0]
    return process.returncode, out, seen


WAITING = """
import sys
from vcmetrics.cli import entry, progress
from vcmetrics.scoring import score as module

progress.PATIENCE = 0.0
score = module.score


def waiting(*arguments, **options):
    # the bar comes from a thread of its own: let it come before the work is over
    bar = options["progress"]
    if sys.stderr.isatty():
        while bar._bar is None:
            pass
    result = score(*arguments, **options)
    bar(3, 4)
    return result


module.score = waiting
sys.exit(entry.run(sys.argv[1:]))
"""


def test_bar_on_a_terminal_only(pair):
    command = [sys.executable, "-c", WAITING, "score", *map(str, pair), "--json"]
    code, out, seen = on_terminal(command)
    assert code == 0
    assert json.loads(out)
    assert b"scoring" in seen
    assert b"%" in seen
    piped = subprocess.run(command, capture_output=True, check=True)
    assert piped.stderr == b""
    assert piped.stdout.startswith(b"{")


class FakeBar:
    """Notes what a bar is told."""

    def __init__(self):
        self.calls = []

    def add_task(self, text, *, total):
        self.calls.append((text, total))
        return 0

    def start(self):
        self.calls.append("start")

    def stop(self):
        self.calls.append("stop")

    def update(self, _, *, description, completed, total):
        self.calls.append((description, completed, total))


def test_bar_says_reading_then_counts(monkeypatch):
    fake = FakeBar()
    monkeypatch.setattr(bar.Bar, "_make", staticmethod(lambda: fake))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(bar, "PATIENCE", 3600.0)
    with bar.Bar("scoring") as progress:
        progress._appear()
        progress(1, 4)
        progress(4, 4)
    assert fake.calls == [("reading", None), "start", ("scoring", 1, 4), ("scoring", 4, 4), "stop"]


def test_short_work_shows_no_bar(monkeypatch):
    fake = FakeBar()
    monkeypatch.setattr(bar.Bar, "_make", staticmethod(lambda: fake))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(bar, "PATIENCE", 3600.0)
    with bar.Bar("scoring") as progress:
        progress(4, 4)
    progress._appear()  # the timer fires while the work ends
    assert fake.calls == []


def test_several_presets_say_the_same_once(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    about = demo()
    files = [str(about.path), str(about.path), "--pert-col", about.pert_col, "--preset", "all"]
    assert entry.run(["score", *files, "--train", str(about.path)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert text.count("every preset: 8 of 8 scored perturbations are in the training data") == 1
    assert text.count("its rank test is another one") == 1
    assert "open-problems-2023, prophet are left out: its values" in text


def test_a_missing_extra_is_one_line(tmp_path, pair, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "igraph", None)
    out = tmp_path / "out"
    files = [*map(str, pair), "--preset", "cell-eval", "--metrics", "clustering_agreement", "-o", str(out)]
    assert entry.run(["score", *files]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "pip install 'vcmetrics[cluster]'" in error
    assert not out.exists()
