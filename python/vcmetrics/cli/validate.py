"""``vcmetrics validate``: would the challenge take these files?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from vcmetrics.cli.progress import Bar
from vcmetrics.cli.submission_options import panel_options, submission


@click.command(
    "validate",
    epilog="Example: vcmetrics validate pred.h5ad -g gene_names.csv --perts pert_counts.csv --contexts A,B,C",
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE …")
@panel_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
@click.pass_context
def command(context: click.Context, /, files: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Check FILEs against the upload contract of the 2026 challenge.

    FILE is an .h5ad of raw counts, or a packed .vcc. Every file is read once; all problems are listed, one a line,
    with how many cells, values or labels they concern and the first of them. Exit code 1 if there are any.
    """
    how = submission(options)
    from vcmetrics.challenge.validate import validate

    found = {}
    for file in files:
        with Bar("checking") as progress:
            found[str(file)] = validate(file, progress=progress, **how)
    if as_json:
        print(json.dumps({name: [p.as_dict() for p in problems] for name, problems in found.items()}, indent=2))
    else:
        for name, problems in found.items():
            for problem in problems:
                print(f"{name}: {problem}")
            if not problems:
                print(f"{name}: good")
    if any(found.values()):
        context.exit(1)
