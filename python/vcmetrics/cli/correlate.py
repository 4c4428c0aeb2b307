"""``vcmetrics correlate``: prediction and reality, gene by gene."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from vcmetrics.cli.options import layer_option, machine_options, profile_options, target_sum_option


@click.command(
    "correlate",
    epilog="Example: vcmetrics correlate pred.h5ad real.h5ad --pert-col target_gene --within batch -o genes.csv",
)
@click.argument("pred", type=click.Path(path_type=Path))
@click.argument("real", type=click.Path(path_type=Path))
@profile_options
@click.option(
    "--method",
    type=click.Choice(["pearson", "spearman"]),
    default="pearson",
    show_default=True,
    help="Correlation of each gene over perturbations.",
)
@click.option(
    "--within", metavar="COLUMN", help="Study, batch or cell type: take the correlation apart within and between."
)
@click.option(
    "--over",
    type=click.Choice(["perturbations", "cells"]),
    default="perturbations",
    show_default=True,
    help="Rows: profiles of perturbations, or single cells that both files hold by name.",
)
@click.option(
    "--space",
    type=click.Choice(["log_of_sums", "mean_of_logs", "mean", "sum"]),
    help="Of the profiles [default: log_of_sums, of raw counts]; over cells: mean (as stored) or mean_of_logs.",
)
@target_sum_option
@click.option("--min-expression", type=float, help="Summarise only genes whose mean observed profile is at least this.")
@click.option("--min-variance", type=float, help="Summarise only genes whose observed variance is at least this.")
@click.option(
    "--ci",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Intervals of the summary of this confidence, such as 0.95, by a bootstrap over perturbations.",
)
@layer_option
@machine_options
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON instead of a table.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="All genes: a .csv or .parquet.")
def command(pred: Path, real: Path, as_json: bool, output: Path | None, **options: Any) -> None:
    """Correlate PRED with REAL gene by gene, over the perturbations (or cells) that both .h5ad or .zarr files hold.

    Prints a summary over genes. With -o every gene is written: pearson (spearman), concordance, dispersion_ratio,
    sign_agreement, n, expression, variance, whether a side is constant, and with --within the parts of the correlation
    within and between the studies.
    """
    from vcmetrics.results.files import plain, require_parquet
    from vcmetrics.results.staging import staged_file

    if options["over"] == "cells" and (options["method"] != "pearson" or options["ci"] is not None):
        msg = "--over cells gives Pearson without intervals; leave out --method and --ci"
        raise click.UsageError(msg)
    if options["over"] == "cells" and options["space"] not in ("mean", "mean_of_logs"):
        msg = "--over cells needs --space mean (values as they are) or mean_of_logs (log1p of raw counts)"
        raise click.UsageError(msg)
    if output is not None and output.suffix not in (".parquet", ".csv"):
        msg = f"{output}: the name must end in .parquet or .csv"
        raise click.UsageError(msg)
    if output is not None and output.suffix == ".parquet":
        require_parquet()
    with ExitStack() as stack:
        # entered first: an output that cannot be written is known before the long work begins
        path = None if output is None else stack.enter_context(staged_file(output))
        from vcmetrics.metrics.gene_correlation import gene_correlation

        table = gene_correlation(pred, real, **{name: value for name, value in options.items() if value is not None})
        facts = dict(table.attrs)
        if path is not None and output is not None:
            table.attrs = {}  # what is told besides has no place in a table of genes
            if output.suffix == ".parquet":
                table.to_parquet(path)
            else:
                table.to_csv(path, na_rep="NaN")
    if as_json:
        json.dump(plain(facts), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
        print()
        return
    show(facts, len(table), options["ci"])
    if output is not None:
        print(f"written: {output} ({len(table)} genes)")


def show(facts: dict[str, Any], n_genes: int, ci: float | None) -> None:
    """Print the summary."""
    from rich.table import Table

    from vcmetrics.results.terminal import shown, shown_interval, table_console

    console = table_console()
    method = facts["method"]
    kinds = {method: facts["summary"]} | {
        name.removeprefix("summary_"): found for name, found in facts.items() if name.startswith("summary_")
    }
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("over genes", no_wrap=True)
    for name in kinds:
        table.add_column(name, justify="right", no_wrap=True)
        if ci is not None:
            table.add_column(f"{100 * ci:g} % interval", justify="right", no_wrap=True)
    for statistic in facts["summary"]:
        row = [statistic]
        for found in kinds.values():
            one = found[statistic]
            row.append(shown(one["value"]))
            if ci is not None:
                row.append(shown_interval((one["lower"], one["upper"])) if "lower" in one else "–")
        table.add_row(*row)
    console.print(table)
    share = facts["share_constant_pred"]
    console.print(
        f"{facts['n_included']} of {n_genes} genes, {facts['n_undefined']} of them undefined; "
        f"predicted constant: {share:.1%}; rows: {facts['over']}, {facts['space']}",
        style="dim",
        highlight=False,
    )
