"""``vcmetrics baseline``: what a model that ignores the perturbation would predict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vcmetrics.cli.options import label_options, layer_option, read_target_map


@click.command("baseline", epilog="Example: vcmetrics baseline real.h5ad -o mean_response.h5ad")
@click.argument("real", type=click.Path(path_type=Path))
@label_options
@layer_option
@click.option("--target-map", metavar="FILE|none", help="Target gene of each label, as in `vcmetrics score`.")
@click.option(
    "--emit",
    type=click.Choice(["dispersed", "tile"]),
    default="dispersed",
    show_default=True,
    help="Control cells rescaled to the mean response, or the mean response itself on every row.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draw of control cells.")
@click.option("--threads", "n_threads", type=click.IntRange(min=1), help="Number of threads.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", required=True, help="The .h5ad file to write."
)
def command(real: Path, output: Path, target_map: str | None, **options: Any) -> None:
    """Write the mean response of REAL to all its perturbations, as if a model had predicted it.

    Every perturbation gets the same profile: the mean over the perturbations of REAL, each leaving out its own
    target gene. A model must beat it to have learnt anything about single perturbations. Its values are averages of
    counts, so score it with --set allow_fractional=true.
    """
    from vcmetrics.results.staging import staged_file

    if output.suffix != ".h5ad":
        msg = f"{output}: the name must end in .h5ad"
        raise click.UsageError(msg)
    targets = read_target_map(target_map)
    with staged_file(output) as path:
        from vcmetrics.scoring.mean_response import mean_response_of

        chosen = {name: value for name, value in options.items() if value is not None}
        made, column = mean_response_of(real, target_map=targets, **chosen)
        made.write(path, column)
    print(f"written: {output} ({made.rows.n_rows} cells)")
