"""Options that several commands share, and how their text is read."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from vcmetrics._errors import DataError

F = TypeVar("F", bound=Callable[..., Any])


class Setting(click.ParamType):  # type: ignore[type-arg]
    """``NAME=VALUE``; the value is read as JSON where it is JSON."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        """Split at the first equals sign."""
        if isinstance(value, tuple):
            return value
        key, sign, text = str(value).partition("=")
        if not sign or not key.strip():
            self.fail(f"{value!r} is not of the form NAME=VALUE", param, ctx)
        try:
            return key.strip(), json.loads(text)
        except json.JSONDecodeError:
            return key.strip(), text.strip()


def read_target_map(text: str | None) -> dict[str, str | None] | None:
    """Read ``--target-map``: ``none``, or a file label → gene.

    ``none`` says that no perturbation has a target gene. A .json file holds one object (null: no gene); any
    other file has two columns, comma- or tab-separated, label and gene (empty: no gene).
    """
    if text is None:
        return None
    if text == "none":
        return {"*": None}
    path = Path(text)
    content = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".json":
        return _map_from_json(path, content)
    out: dict[str, str | None] = {}
    delimiter = "\t" if "\t" in content.partition("\n")[0] else ","
    for number, row in enumerate(csv.reader(content.splitlines(), delimiter=delimiter), 1):
        if not row:
            continue
        if len(row) != 2:
            msg = f"{path}: line {number} has {len(row)} columns; two are needed, label and gene"
            raise DataError(msg)
        label, gene = (cell.strip() for cell in row)
        if (
            number == 1
            and label.lower() in ("label", "perturbation", "target")
            and gene.lower() in ("gene", "target_gene")
        ):
            continue  # a header
        out[label] = gene or None
    return out


def _map_from_json(path: Path, content: str) -> dict[str, str | None]:
    try:
        found = json.loads(content)
    except json.JSONDecodeError as error:
        msg = f"{path}: not JSON ({error}); one object label → gene is needed"
        raise DataError(msg) from error
    good = isinstance(found, dict) and all(v is None or isinstance(v, str) for v in found.values())
    if not good:
        msg = f"{path}: one object with text or null as values is needed, label → gene"
        raise DataError(msg)
    return dict(found)


def split_names(text: Sequence[str]) -> list[str]:
    """Names from repeated options, each of which may hold several, separated by commas."""
    return [name.strip() for part in text for name in part.split(",") if name.strip()]


def stack(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, listed in the order given."""

    def apply(function: F) -> F:
        for decorate in reversed(decorators):
            function = decorate(function)
        return function

    return apply


label_options = stack(
    click.option("--pert-col", metavar="COLUMN", help="Column of obs with the perturbation of each cell."),
    click.option("--control", metavar="LABEL", help="Label of the control cells [default: the preset's]."),
)
profile_options = stack(
    click.option(
        "--pert-col", metavar="COLUMN", required=True, help="Column of obs with the perturbation of each cell."
    ),
    click.option(
        "--control",
        metavar="LABEL",
        default="non-targeting",
        show_default=True,
        callback=lambda _context, _option, label: label or None,
        help="Label of the control cells; '' where there are none.",
    ),
)
target_sum_option = click.option(
    "--target-sum",
    type=click.FloatRange(min=0, min_open=True),
    default=5e4,
    show_default=True,
    help="Library size of the log spaces.",
)
layer_option = click.option("--layer", metavar="NAME", help="Read this layer instead of X.")


def _checked_budget(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    from vcmetrics.backend.memory import resolve_budget

    try:
        resolve_budget(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return text


def _spill_folder(_context: click.Context, _option: click.Parameter, folder: str | None) -> None:
    if folder is not None:
        from vcmetrics.sources.spill import FOLDER

        os.environ[FOLDER] = folder


machine_options = stack(
    click.option(
        "--threads", "n_threads", type=click.IntRange(min=1), help="Number of threads [default: the allowed CPUs]."
    ),
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where to compute; 'auto' follows the data.",
    ),
    click.option(
        "--memory-budget",
        metavar="SIZE",
        callback=_checked_budget,
        help="Memory for cells: 4GiB, bytes, or a share such as 0.25 [default: half of what is available].",
    ),
    click.option(
        "--spill-dir",
        metavar="DIR",
        type=click.Path(exists=True, file_okay=False, writable=True),
        callback=_spill_folder,
        expose_value=False,
        help="Where cells beyond the budget are kept meanwhile [default: $VCMETRICS_SPILL_DIR, else $TMPDIR].",
    ),
)
