"""``vcmetrics pack``: the archive that the challenge takes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from vcmetrics.cli.progress import Bar
from vcmetrics.cli.submission_options import panel_options, rules_option, submission


@click.command(
    "pack",
    epilog="Example: vcmetrics pack pred.h5ad -g gene_names.csv --perts pert_counts.csv --contexts A,B,C -o mine.vcc",
)
@click.argument("file", type=click.Path(path_type=Path))
@rules_option("vcc2026", "vcc2025")
@panel_options
@click.option("-P", "--output-pert-col", metavar="COLUMN", default="target_gene", show_default=True, help="As written.")
@click.option(
    "-C", "--output-celltype-col", metavar="COLUMN", default="celltype", show_default=True, help="As written."
)
@click.option(
    "--level", type=click.IntRange(1, 19), help="zstd's level of compression [default: the fastest for such content]."
)
@click.option("--dry-run", is_flag=True, help="Only check; write nothing.")
@click.option("-f", "--force", is_flag=True, help="Replace the archive if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="VCC", help="The archive [default: FILE with .prep.vcc]."
)
@click.pass_context
def command(
    context: click.Context,
    /,
    file: Path,
    output_pert_col: str,
    output_celltype_col: str,
    level: int | None,
    dry_run: bool,
    force: bool,
    as_json: bool,
    output: Path | None,
    **options: Any,
) -> None:
    """Check FILE and write it as a submission to the 2026 (or 2025) challenge.

    FILE is an .h5ad of raw counts without control cells. The archive holds X, perturbations and contexts, nothing else;
    the same FILE gives the same bytes. Where anything is wrong all of it is listed, one problem a line, and nothing is
    written.
    """
    rules, how = submission(options)
    from vcmetrics.challenge.contract import ContractError

    names = {"pert_col": output_pert_col, "celltype_col": output_celltype_col, "context_col": options["context_col"]}
    final = output or (file.with_suffix(".prep.vcc") if file.suffix == ".h5ad" else Path(f"{file}.prep.vcc"))
    try:
        with Bar("packing") as progress:
            if dry_run:
                problems, done = rules.validate(file, progress=progress, **how), None
            else:
                problems = []
                done = rules.pack(file, final, names=names, level=level, overwrite=force, progress=progress, **how)
    except ContractError as error:
        problems, done = error.problems, None
    for problem in problems:
        print(f"{file}: {problem}", file=sys.stderr)
    if problems:
        context.exit(1)
    if done is None:
        print(json.dumps({"problems": []}) if as_json else f"{file}: good; nothing was written")
        return
    if as_json:
        record = {"output": str(done.path), "bytes": done.size, "n_obs": done.n_obs, "n_vars": done.n_vars}
        print(json.dumps(record | {"nnz": done.nnz, "notes": list(done.notes)}, indent=2))
        return
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
    print(f"written: {done.path} ({done.n_obs} cells, {done.nnz} stored values, {done.size / 2**20:.1f} MiB)")
