"""Commands by name, and what an error becomes: one line and an exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import TextIO

import click

from vcmetrics._errors import DataError, DeviceError, VcmetricsWarning
from vcmetrics._version import __version__

GOOD, DATA_AT_FAULT, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

# command -> one line of help, so that `vcmetrics --help` imports none of them
COMMANDS = {
    "score": "Score a prediction against real data.",
    "correlate": "Correlate a prediction with real data gene by gene.",
    "validate": "Check submissions against the upload contract of the 2026 challenge.",
    "pack": "Check a prediction and write it as a submission.",
    "de": "Differential expression of every perturbation against the control.",
    "distance": "Distances between groups of cells, tests against a reference, heat maps.",
    "discriminate": "Rank each perturbation's own profile among all, seen from its prediction.",
    "baseline": "Write what a model without knowledge of the perturbation would predict.",
    "confounders": "Tell how much of a score cell numbers, depth or a shared effect explain.",
    "cell-eval": "cell-eval's commands, options and files: run, prep, baseline, score.",
    "cell-eval2": "cell-eval2's commands, options and files: run, baseline, score, prep-real-bundle.",
    "demo": "Score three stand-ins for a model on real data that ship with the package.",
    "metrics": "Say what each metric means: formula, chance, invariances, pitfalls, source.",
    "info": "Show presets, metrics and what this installation can use.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order they are meant to be met."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None where there is no such one."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"vcmetrics.cli.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table above."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vcmetrics")
def cli() -> None:
    """Metrics for virtual-cell models: scores, differential expression, baselines.

    Exit code 0: good; 1: the data are at fault (one line says what); 2: wrong usage. VCMETRICS_NUM_THREADS caps the
    threads, VCMETRICS_TRACEBACK=1 shows where an error came from.
    """


def _terminate(signum: int, frame: FrameType | None) -> None:
    """Turn SIGTERM into an exception, so that nothing half-written stays."""
    raise SystemExit(128 + signum)


def one_line(error: BaseException) -> str:
    """Text of an error without line breaks."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    if isinstance(error, MemoryError):
        detail = f" ({error})" if str(error) else ""
        return f"not enough memory{detail}; close other programs, or score fewer perturbations at a time"
    return " ".join(str(error).split()) or type(error).__name__


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors of the data become one line on stderr."""
    try:
        code = cli.main(args=arguments, prog_name="vcmetrics", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("vcmetrics: interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # the reader (head, less) has left; that is no fault, but the interpreter must not complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DATA_AT_FAULT
    except (DataError, DeviceError, OSError, MemoryError, ImportError) as error:  # ImportError: an extra is missing
        if os.environ.get("VCMETRICS_TRACEBACK"):
            raise
        print(f"vcmetrics: {one_line(error)}", file=sys.stderr)
        return DATA_AT_FAULT
    return code if isinstance(code, int) else GOOD


def warn_in_one_line() -> None:
    """Show each of our warnings once, as one line without the place in the code that it came from."""
    shown = set()
    others = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, VcmetricsWarning):
            others(message, category, filename, lineno, file, line)
            return
        text = " ".join(str(message).split())
        if text not in shown:
            shown.add(text)
            print(f"vcmetrics: {text}", file=sys.stderr)

    warnings.showwarning = show


def main() -> None:
    """Entry point of the console script."""
    warn_in_one_line()
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run())
