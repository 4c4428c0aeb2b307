"""Options are understood as argparse understands them."""

import argparse

import click
import pytest

from vcmetrics.cli.argparse_words import expanded

VALUES = [
    "--adata-pred",
    "-ap",
    "--adata-real",
    "-ar",
    "--outdir",
    "-o",
    "--preset",
    "--profile",
    "--set",
    "--settings-from",
]
FLAGS = ["--ceiling", "--write-degenes", "--cache-strict", "--no-cache-strict"]
KNOWN = dict.fromkeys(VALUES, True) | dict.fromkeys(FLAGS, False)
LINES = [
    "--adata-p x",
    "--adata-pred=x",
    "--adata-p=x=y",
    "-ap x -ar y",
    "-ap=x -o=y",
    "-ofolder",
    "--out a --out b",
    "--set a=b --set=c.d=e --settings f",
    "--ceil --write",
    "--cache --pres v",
    "--no v",
    "--adata x",
    "--pr v",
    "-a x",
    "--unknown",
    "-x",
    "--outdir --ceiling",
]


def peer(line):
    """What argparse makes of a line, None where it refuses it."""
    parser = argparse.ArgumentParser()
    for long, short in (("--adata-pred", "-ap"), ("--adata-real", "-ar"), ("--outdir", "-o")):
        parser.add_argument(short, long)
    for name in ("--preset", "--profile", "--settings-from"):
        parser.add_argument(name)
    parser.add_argument("--set", action="append")
    for name in FLAGS:
        parser.add_argument(name, action="store_true")
    try:
        return vars(parser.parse_args(line.split()))
    except SystemExit:
        return None


def ours(line):
    """The same by the words that are passed on, read in the plainest way."""
    try:
        words = expanded(line.split(), KNOWN)
    except click.UsageError:
        return None
    found = {}
    short = {"-ap": "--adata-pred", "-ar": "--adata-real", "-o": "--outdir"}
    while words:
        option, sign, value = words.pop(0).partition("=")
        option = short.get(option, option)
        if option not in KNOWN:
            return None
        if KNOWN[option]:
            value = value if sign else words.pop(0) if words else None
            if value is None:
                return None
        key = option.removeprefix("--").replace("-", "_")
        found[key] = [*found.get(key, []), value] if option == "--set" else value if KNOWN[option] else True
    return found


@pytest.mark.parametrize("line", LINES)
def test_as_argparse(line, capsys):
    theirs, mine = peer(line), ours(line)
    if line == "--outdir --ceiling":  # a value that looks like an option is taken here
        assert (theirs, mine) == (None, {"outdir": "--ceiling"})
        return
    assert (mine is None) == (theirs is None)
    if theirs is not None:
        assert mine == {key: value for key, value in theirs.items() if value not in (None, False)}


def test_what_follows_two_dashes_and_values_are_left_alone():
    assert expanded(["--set", "--out", "--", "--out"], KNOWN) == ["--set", "--out", "--", "--out"]
    assert expanded(["file", "-", "-ap", "-o"], KNOWN) == ["file", "-", "-ap", "-o"]
