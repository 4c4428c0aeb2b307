"""``vcmetrics cell-eval2``: cell-eval2's command line, option by option."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from vcmetrics.cli.argparse_words import ArgparseGroup
from vcmetrics.cli.options import stack

shown: dict[str, Any] = {"show_default": True}
config_options = stack(
    click.option("--config", metavar="YAML", help="Settings to start from."),
    click.option("--preset", metavar="NAME", help="Preset to start from: vcc2026, v2, v1, cell-eval-0.7.6."),
    click.option("--profile", metavar="NAME", help="Set of metrics [default: full]."),
    click.option("--pert-col", metavar="COLUMN", help="Column of obs with the labels [default: target]."),
    click.option("--control", metavar="LABEL", help="Label of the control cells [default: non-targeting]."),
    click.option("--input-type", type=click.Choice(["counts", "lognorm"]), help="What X holds [default: counts]."),
    click.option("--version", type=click.Choice(["v1", "v2"]), help="Names and rules of the metrics [default: v2]."),
    click.option("--cache-real", metavar="DIR", help="Keep the summary of the reference here; use it."),
    click.option("--cache-pred", metavar="DIR", help="Accepted; a prediction is read once and not kept."),
    click.option("--cache-strict/--no-cache-strict", default=None, help="Digests include the values."),
    click.option(
        "--set", "set_overrides", multiple=True, metavar="KEY.PATH=VALUE", help="Change any setting by its dotted path."
    ),
    click.option("--no-target-genes", is_flag=True, help="The perturbations have no target gene."),
)
anchor_options = stack(
    click.option("--anchor-base-seed", type=int, default=0, help="Seed of the splits' seeds.", **shown),
    click.option("--anchor-splits", type=click.IntRange(min=1), default=5, help="Number of splits.", **shown),
)


def call(name: str, options: dict[str, Any]) -> None:
    """Run one function of the façade; what is wrong with a setting is wrong usage."""
    from vcmetrics.compat.cell_eval2 import command as commands

    function: Callable[..., None] = getattr(commands, name)
    function(**options)


@click.group("cell-eval2", cls=ArgparseGroup, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """The commands of cell-eval2 0.20.0 with its options, files and columns, on a CPU.

    Its caches (prep-cache, cache) and cell archives are its own; --cache-real keeps the summary of the reference in the
    form of this package.
    """


@command.command("run")
@click.option("-ap", "--adata-pred", metavar="FILE", help="The prediction; may be left out with an estimate below.")
@click.option("-ar", "--adata-real", required=True, metavar="FILE", help="The observed cells.")
@click.option("--settings-from", metavar="FILE", help="Replay an evaluation_results.json.")
@click.option("--de-pred", metavar="FILE", help="Ready DE table of the prediction (.csv, .parquet).")
@click.option("--de-real", metavar="FILE", help="Ready DE table of the observed cells (.csv, .parquet).")
@click.option("-o", "--outdir", metavar="DIR", help="Folder of the files [default: ./cell-eval2-outdir].")
@click.option("--ceiling", is_flag=True, help="What one half of the observed cells scores against the other.")
@click.option("--ceiling-seed", type=int, default=0, help="Seed of those halves.", **shown)
@click.option("--lfc-nmae-ref", is_flag=True, help="The split-half reference of lfc_nmae.")
@click.option("--lfc-nmae-ref-seed", type=int, default=0, help="Seed of those halves.", **shown)
@click.option("--anchor", is_flag=True, help="The replicate anchors of the observed cells.")
@anchor_options
@click.option("--write-degenes", is_flag=True, help="Write de_real.parquet and de_pred.parquet.")
@config_options
def run(**options: Any) -> None:
    """Score a prediction against observed cells, or estimate from these alone."""
    if options["adata_pred"] is None and not (options["ceiling"] or options["lfc_nmae_ref"] or options["anchor"]):
        msg = "--adata-pred is needed unless --ceiling, --lfc-nmae-ref or --anchor is given"
        raise click.UsageError(msg)
    call("run", options)


@command.command("baseline")
@click.option("-ar", "--adata-real", required=True, metavar="FILE", help="The observed cells.")
@click.option("--de-real", metavar="FILE", help="Ready DE table of the observed cells (.csv, .parquet).")
@click.option("-o", "--outdir", metavar="DIR", help="Folder of the files [default: ./cell-eval2-baseline].")
@click.option(
    "--exclude-target-gene/--no-exclude-target-gene", default=True, help="Leave own genes out of the mean.", **shown
)
@click.option(
    "--emit", type=click.Choice(["dispersed", "tile"]), default="dispersed", help="Form of the cells.", **shown
)
@click.option("--seed", type=int, default=0, help="Seed of the draw of control cells.", **shown)
@click.option("--save-pred", metavar="FILE", help="Write the cells (.h5ad).")
@click.option("--allow-degenerate-baseline", is_flag=True, help="Write it even where a metric has no scale.")
@config_options
def baseline(**options: Any) -> None:
    """Make the mean response of the observed cells and score it."""
    call("baseline", options)


@command.command("score")
@click.option("--user-agg", required=True, metavar="FILE", help="agg_results.csv of the prediction.")
@click.option("--baseline-agg", metavar="FILE", help="baseline_agg.csv.")
@click.option("--real-bundle", metavar="DIR", help="Bundle: baseline and replicate in one.")
@click.option("--diagnostic-supplied-de-pred", is_flag=True, help="Score a run with a given DE table as a diagnosis.")
@click.option("--scale", multiple=True, metavar="NAME", help="A fixed scale; may be repeated.")
@click.option("--lfc-nmae-ref", metavar="FILE", help="lfc_nmae_ref_agg.csv: adds from_reference.")
@click.option("--anchor", metavar="DIR", help="Folder of anchors: adds from_replicate.")
@click.option("--anchor-cache", metavar="DIR", help="Not read here; pass --anchor.")
@click.option("-o", "--output", metavar="FILE", help="The .csv to write [default: the terminal].")
@click.option("--comparison-statistic", default="mean", metavar="NAME", help="Row that is compared.", **shown)
@click.option("--penalty-exponent", type=float, help="Power of the errors' penalty [default: 2].")
@click.option("--penalty-cap", type=float, help="Cap of the errors' penalty [default: 6].")
@click.option("--baseline-meta", metavar="FILE", help="baseline_meta.json [default: beside --baseline-agg].")
@click.option("--user-meta", metavar="FILE", help="run_meta.json [default: beside --user-agg].")
@click.option("--allow-config-mismatch", is_flag=True, help="Score against a baseline of another run.")
@click.option("--allow-degenerate-baseline", is_flag=True, help="Accepted; it waives nothing here.")
def score(**options: Any) -> None:
    """Place aggregates on a scale."""
    if not (options["baseline_agg"] or options["scale"] or options["real_bundle"]):
        msg = "--baseline-agg, --scale or --real-bundle is needed: there is nothing to score against"
        raise click.UsageError(msg)
    call("score", options)


@command.command("prep-real-bundle")
@click.option("--real", required=True, metavar="FILE", help="The observed cells.")
@click.option("--baseline", required=True, metavar="FILE", help="The cells of the baseline.")
@click.option("-o", "--outdir", required=True, metavar="DIR", help="Folder of the bundle.")
@click.option("--id", "bundle_id", metavar="NAME", help="Name of the bundle [default: that of the folder].")
@anchor_options
@click.option("--force", is_flag=True, help="Replace a folder that is not empty.")
@config_options
def prep_real_bundle(**options: Any) -> None:
    """Write both ends of a reference's scale as a bundle."""
    call("prep_real_bundle", options)
