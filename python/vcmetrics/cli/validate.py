"""``vcmetrics validate``: would the challenge take these files?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vcmetrics.cli.progress import Bar
from vcmetrics.cli.submission_options import RULES, panel_options, rules_option, submission

if TYPE_CHECKING:
    from vcmetrics.challenge.contract import Problem


@click.command(
    "validate",
    epilog="Example: vcmetrics validate pred.h5ad -g gene_names.csv --perts pert_counts.csv --contexts A,B,C",
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE …")
@rules_option(*RULES)
@panel_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
@click.pass_context
def command(context: click.Context, /, files: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Check FILEs against the upload contract of a challenge.

    FILE is an .h5ad, or a packed .vcc. For the obesity challenge (--rules obesity1 …) it is a prediction.h5ad,
    predict_program_proportion.csv or prediction.parquet, and -g and --perts name plain lists. Every file is read once;
    all problems are listed, one a line, with how many cells, values or labels they concern and the first of them.
    Exit code 1 if there are any.
    """
    if options["rules"].startswith("obesity"):
        found = {str(file): obesity_problems(file, options) for file in files}
    else:
        rules, how = submission(options)
        found = {}
        notes: list[str] = []
        for file in files:
            with Bar("checking") as progress:
                found[str(file)] = rules.validate(file, progress=progress, note=notes.append, **how)
        for text in dict.fromkeys(notes):
            click.echo(f"note: {text}", err=True)
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


def obesity_problems(file: Path, options: dict[str, Any]) -> list[Problem]:
    """Problems of one file of the obesity challenge; what it is its name tells."""
    from vcmetrics.challenge import obesity
    from vcmetrics.challenge.panel import read_names

    crunch = int(options["rules"][-1])
    perts = None if options["perts"] is None else read_names(options["perts"])
    kinds = {".parquet"} if crunch == 3 else {".h5ad", ".csv"}
    if file.suffix not in kinds:
        msg = f"{file}: crunch {crunch} of the obesity challenge takes {' and '.join(sorted(kinds))} files"
        raise click.UsageError(msg)
    if file.suffix == ".parquet":
        return obesity.validate_ranking(file)
    if file.suffix == ".csv":
        return obesity.validate_proportions(file, perturbations=perts, crunch=crunch)
    names = read_names(options["genes"])
    return obesity.validate_cells(file, genes=names, perturbations=perts, crunch=crunch, n_threads=options["n_threads"])
