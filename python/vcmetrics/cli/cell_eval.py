"""``vcmetrics cell-eval``: cell-eval's command line, option by option."""

from __future__ import annotations

from typing import Any

import click

from vcmetrics._version import __version__
from vcmetrics.cli.argparse_words import ArgparseGroup
from vcmetrics.cli.options import stack

PERT_COL = "target_gene"
CELLTYPE_COL = "celltype"
CONTROL = "non-targeting"
COUNTS_COL = "n_cells"
OUTDIR = "./cell-eval-outdir"
PROFILES = ("full", "minimal", "vcc", "de", "anndata", "pds")
EXPECTED_GENES = 18080
MAX_CELLS = 200_000

shown: dict[str, Any] = {"show_default": True}
version_option = click.version_option(__version__, prog_name="vcmetrics")
control_option = click.option(
    "--control-pert", default=CONTROL, metavar="LABEL", help="Label of the control cells.", **shown
)
pert_option = click.option(
    "--pert-col", default=PERT_COL, metavar="COLUMN", help="Column of obs with the labels.", **shown
)
discrete_option = click.option(
    "--allow-discrete", is_flag=True, help="Score counts as they are, without normalisation."
)


@click.group("cell-eval", cls=ArgparseGroup, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """The commands of cell-eval 0.8.2 with its options, files and columns."""


@command.command("prep")
@click.option("-i", "--input", "path", required=True, metavar="FILE", help="The .h5ad file to pack.")
@click.option(
    "-g", "--genes", required=True, metavar="FILE", help="Names of the genes in order: first column, no header."
)
@click.option("-o", "--output", metavar="FILE", help="The .vcc file to write [default: <input>.prep.vcc].")
@click.option("-p", "--pert-col", default=PERT_COL, metavar="COLUMN", help="Column of obs with the labels.", **shown)
@click.option("-c", "--celltype-col", metavar="COLUMN", help="Column of obs with the cell types.")
@click.option("-n", "--ntc-name", default=CONTROL, metavar="LABEL", help="Label of the control cells.", **shown)
@click.option(
    "-P", "--output-pert-col", default=PERT_COL, metavar="COLUMN", help="Name of the labels' column.", **shown
)
@click.option(
    "-C",
    "--output-celltype-col",
    default=CELLTYPE_COL,
    metavar="COLUMN",
    help="Name of the cell types' column.",
    **shown,
)
@click.option("-e", "--encoding", type=int, default=32, help="Bits of a value, 32 or 64.", **shown)
@discrete_option
@click.option("--expected-gene-dim", type=int, default=EXPECTED_GENES, help="Number of genes; -1: any.", **shown)
@click.option("--max-cell-dim", type=int, default=MAX_CELLS, help="Largest number of cells; -1: any.", **shown)
@version_option
def prep(**options: Any) -> None:
    """Pack a prediction as the challenge of 2025 takes it."""
    from vcmetrics.compat.cell_eval.prep import prepare

    print(f"written: {prepare(**options)}")


@command.command("run")
@stack(
    click.option("-ap", "--adata-pred", metavar="FILE", help="The prediction; may be left out with --ceiling."),
    click.option("-ar", "--adata-real", required=True, metavar="FILE", help="The observed cells."),
    click.option("-dp", "--de-pred", metavar="FILE", help="Ready DE table of the prediction (.csv)."),
    click.option("-dr", "--de-real", metavar="FILE", help="Ready DE table of the observed cells (.csv)."),
    control_option,
    pert_option,
    click.option("--celltype-col", metavar="COLUMN", help="Evaluate each cell type alone; files start with its name."),
    click.option("--embed-key", metavar="KEY", help="Entry of obsm that the L2 and cosine match ranks read."),
    click.option("-o", "--outdir", default=OUTDIR, metavar="DIR", help="Folder of the files.", **shown),
    click.option("--num-threads", type=int, default=1, help="Threads; -1: all.", **shown),
    discrete_option,
    click.option("--profile", type=click.Choice(PROFILES), default="full", help="Set of metrics.", **shown),
    click.option("--skip-metrics", metavar="NAME,…", help="Metrics to leave out."),
    click.option("--ceiling", is_flag=True, help="Score one half of the observed cells against the other as well."),
    click.option("--ceiling-seed", type=int, default=0, help="Seed of the halves.", **shown),
    click.option("--cpm-filter", type=float, help="Test genes above so many counts per million in either group."),
    click.option("--epsilon", type=float, default=0.0, help="Added to both means of a fold change.", **shown),
)
@version_option
def run(**options: Any) -> None:
    """Score a prediction against observed cells."""
    if options["adata_pred"] is None and not options["ceiling"]:
        msg = "--adata-pred is needed unless --ceiling is given"
        raise click.UsageError(msg)
    from vcmetrics.compat.cell_eval.run import evaluate

    evaluate(**options)


@command.command("baseline")
@click.option("-a", "--adata", required=True, metavar="FILE", help="The observed cells.")
@click.option("-c", "--counts", metavar="FILE", help="Number of cells by label (.csv) [default: as observed].")
@click.option("-o", "--output-path", default="./baseline.h5ad", metavar="FILE", help="The .h5ad to write.", **shown)
@click.option(
    "-O", "--output-de-path", default="./baseline_de.csv", metavar="FILE", help="The DE table to write.", **shown
)
@control_option
@pert_option
@click.option("--counts-col", default=COUNTS_COL, metavar="COLUMN", help="Column of the numbers in --counts.", **shown)
@click.option("-t", "--num-threads", type=int, default=1, help="Threads; -1: all.", **shown)
@discrete_option
@click.option("--skip-de", is_flag=True, help="Write no DE table.")
@version_option
def baseline(counts: str | None, output_de_path: str, skip_de: bool, **options: Any) -> None:
    """Write the mean of all group means as a prediction."""
    from vcmetrics.compat.cell_eval import build_base_mean_adata

    de_path = None if skip_de else output_de_path
    build_base_mean_adata(counts_df=counts, output_de_path=de_path, pdex_kwargs={"is_log1p": True}, **options)


@command.command("score")
@click.option("-i", "--user-input", required=True, metavar="FILE", help="agg_results.csv of the prediction.")
@click.option("-I", "--base-input", required=True, metavar="FILE", help="agg_results.csv of the baseline.")
@click.option("-o", "--output", default="./baseline_diff.csv", metavar="FILE", help="The .csv to write.", **shown)
@version_option
def score(user_input: str, base_input: str, output: str) -> None:
    """Scores from the baseline (0) to each metric's best value (1)."""
    from vcmetrics.compat.cell_eval import score_agg_metrics

    score_agg_metrics(user_input, base_input, output)
