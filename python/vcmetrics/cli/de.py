"""``vcmetrics de``: differential expression, without a prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vcmetrics.cli.options import layer_option, machine_options
from vcmetrics.cli.progress import Bar


@click.command(
    "de", epilog="Example: vcmetrics de real.h5ad --pert-col target_gene --control non-targeting -o de.parquet"
)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--pert-col", metavar="COLUMN", required=True, help="Column of obs with the perturbation of each cell.")
@click.option(
    "--control", metavar="LABEL", default="non-targeting", show_default=True, help="Label of the control cells."
)
@layer_option
@click.option(
    "--input-type",
    type=click.Choice(["counts", "lognorm", "values"]),
    default="counts",
    show_default=True,
    help="What DATA holds: raw counts, log1p-normalised values, or values to be taken as they are.",
)
@click.option("--cpm-gate", type=float, help="Test only genes whose mean in the control is above this, per million.")
@click.option(
    "--mode",
    type=click.Choice(["reference", "all", "on_target"]),
    default="reference",
    show_default=True,
    help="Each perturbation against the control, against all other cells, or its own target gene only.",
)
@machine_options
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", required=True, help="A .parquet or .csv file."
)
def command(data: Path, mode: str, output: Path, **options: Any) -> None:
    """Test every gene of every perturbation in DATA: two-sided rank sum, fold change, false discovery rate.

    One row a perturbation and gene, in the columns of pdex: target, feature, target_mean, ref_mean,
    target_membership, ref_membership, log2_fold_change, percent_change, p_value, statistic, fdr.
    """
    from vcmetrics.results.files import require_parquet
    from vcmetrics.results.staging import staged_file

    if output.suffix not in (".parquet", ".csv"):
        msg = f"{output}: the name must end in .parquet or .csv"
        raise click.UsageError(msg)
    if output.suffix == ".parquet":
        require_parquet()
    with staged_file(output) as path:
        from vcmetrics.summary.summarize import differential_expression

        with Bar("testing") as progress:
            chosen = {name: value for name, value in options.items() if value is not None}
            table = differential_expression(data, mode=mode, progress=progress, **chosen)
        if output.suffix == ".parquet":
            table.to_parquet(path, index=False)
        else:
            table.to_csv(path, index=False, na_rep="NaN")
    print(f"written: {output} ({len(table)} rows)")
