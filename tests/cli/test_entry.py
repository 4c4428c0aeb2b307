"""Help, exit codes and the one line an error becomes."""

import errno
import subprocess
import sys

import click
import pytest

from vcmetrics import DataError, DeviceError
from vcmetrics.cli import entry


def test_help_lists_every_command_and_imports_none(capsys):
    assert entry.run(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in entry.COMMANDS)
    code = (
        "import sys\nfrom vcmetrics.cli.entry import run\nrun(['--help'])\n"
        "print([m for m in ('numpy', 'rich', 'pandas', 'anndata', 'vcmetrics.cli.score') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", entry.COMMANDS)
def test_help_of_each_command_is_complete(name, capsys):
    assert entry.run([name, "--help"]) == 0
    assert "Usage: vcmetrics " + name in capsys.readouterr().out
    command = entry.cli.get_command(click.Context(entry.cli), name)
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


@pytest.mark.parametrize(
    "arguments",
    [["no-such-command"], ["score"], ["score", "a", "b", "--no-such-option"], ["score", "a", "b", "--threads", "0"]],
)
def test_wrong_usage_is_2(arguments, capsys):
    assert entry.run(arguments) == 2
    assert "Usage" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("a\nb"), 1, "vcmetrics: a b"),
        (DeviceError("no driver"), 1, "vcmetrics: no driver"),
        (OSError(errno.ENOSPC, "No space left on device", "x.csv"), 1, "vcmetrics: x.csv: No space left on device"),
        (OSError(errno.EIO, "Input/output error"), 1, "vcmetrics: Input/output error"),
        (
            MemoryError(),
            1,
            "vcmetrics: not enough memory; close other programs, or score fewer perturbations at a time",
        ),
        (KeyboardInterrupt(), 130, "vcmetrics: interrupted; nothing was written"),
    ],
)
def test_errors_become_one_line(monkeypatch, capsys, error, code, line):
    def fail(**_):
        raise error

    monkeypatch.setattr(entry.cli, "main", lambda **_: fail())
    assert entry.run([]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == line + "\n"


def test_traceback_on_request(monkeypatch):
    def fail(**_):
        raise DataError("x")

    monkeypatch.setenv("VCMETRICS_TRACEBACK", "1")
    monkeypatch.setattr(entry.cli, "main", fail)
    with pytest.raises(DataError):
        entry.run([])


def test_module_and_version():
    done = subprocess.run([sys.executable, "-m", "vcmetrics", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("vcmetrics, version ")


def test_warnings_are_one_line_each_and_shown_once():
    code = (
        "import warnings; from vcmetrics import VcmetricsWarning; from vcmetrics.cli import entry;"
        "entry.warn_in_one_line();"
        "warnings.warn('a\\n b', VcmetricsWarning); warnings.warn('a b', VcmetricsWarning);"
        "warnings.warn('of others', UserWarning)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert lines[0] == "vcmetrics: a b"
    assert len(lines) == 2
    assert lines[1].endswith("UserWarning: of others")
