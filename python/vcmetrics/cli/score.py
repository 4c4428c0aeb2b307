"""``vcmetrics score``: a prediction against real data."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from vcmetrics.cli.options import (
    Setting,
    label_options,
    layer_option,
    machine_options,
    read_target_map,
    split_names,
)
from vcmetrics.cli.progress import Bar


@click.command("score", epilog="Example: vcmetrics score pred.h5ad real.h5ad --scale auto -o scores")
@click.argument("pred", type=click.Path(path_type=Path))
@click.argument("real", type=click.Path(path_type=Path))
@click.option(
    "--preset", default="vcc2026", show_default=True, metavar="NAME", help="Rule set; `vcmetrics info` lists them."
)
@click.option("--profile", metavar="NAME", help="Set of metrics within the preset [default: the preset's].")
@click.option("--metrics", multiple=True, metavar="NAME,…", help="These metrics instead of a profile.")
@label_options
@click.option("--context-col", metavar="COLUMN", help="Score each context (cell line, donor) alone, then average.")
@layer_option
@click.option("--embed-key", metavar="KEY", help="Key of obsm for metrics that read an embedding.")
@click.option(
    "--target-map",
    metavar="FILE|none",
    help="Target gene of each label: .json, or two columns label,gene; 'none': no label has a target gene.",
)
@click.option("--de-real", type=click.Path(path_type=Path), help="Ready DE table of the real side (.parquet, .csv).")
@click.option("--de-pred", type=click.Path(path_type=Path), help="Ready DE table of the prediction.")
@click.option(
    "--scale",
    metavar="auto|BUNDLE",
    help="Place scores between baseline (0) and replicate (1): computed from REAL ('auto'), or read from a bundle. "
    "'baseline': between the baseline and the ideal value. Or the name of a fixed scale.",
)
@click.option("--baseline", metavar="FILE", help="Aggregate of another baseline (agg_results.csv) to scale against.")
@click.option("--cache", type=click.Path(path_type=Path), metavar="DIR", help="Keep the summary of REAL here; use it.")
@click.option(
    "--ci",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Show intervals of this confidence, such as 0.95, by a bootstrap over perturbations.",
)
@click.option(
    "--set", "changes", multiple=True, type=Setting(), metavar="NAME=VALUE", help="Change a setting of the preset."
)
@machine_options
@click.option("--write-de", is_flag=True, help="Write de_real.parquet and de_pred.parquet as well.")
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON instead of a table.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Write the results here.")
def command(
    pred: Path,
    real: Path,
    preset: str,
    profile: str | None,
    metrics: tuple[str, ...],
    changes: tuple[tuple[str, Any], ...],
    target_map: str | None,
    write_de: bool,
    as_json: bool,
    output: Path | None,
    **options: Any,
) -> None:
    """Score PRED against REAL, both .h5ad files or .zarr stores of cells × genes; PRED may be a packed .vcc.

    A pattern in quotes ('plates/*.h5ad') stands for all files that match: one data set.

    The result is a table on the terminal (or JSON) and, with -o, the files results.csv (perturbation, metric, value),
    agg_results.csv (statistic × metric), scores.csv (metric, value, scaled) and run.json (versions, settings, inputs,
    timings). All files appear together, or none.
    """
    chosen = check_choices(preset, profile, metrics, dict(changes))
    if write_de and output is None:
        msg = "--write-de writes files; pass -o DIR as well"
        raise click.UsageError(msg)
    from vcmetrics.results.files import require_parquet, score_record, write_into
    from vcmetrics.results.staging import staged_directory

    if write_de:
        require_parquet()
    targets = read_target_map(target_map)
    with ExitStack() as stack:
        # entered first: an output that cannot be written is known before the long work begins
        folder = None if output is None else stack.enter_context(staged_directory(output))
        from vcmetrics.scoring.score import score

        with Bar("scoring") as progress:
            result = score(
                pred,
                real,
                preset=preset,
                profile=profile,
                metrics=chosen,
                overrides=dict(changes),
                target_map=targets,
                progress=progress,
                **{name: value for name, value in options.items() if value is not None},
            )
        if folder is not None:
            write_into(result, folder, write_de=write_de)
    if as_json:
        json.dump(score_record(result), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
        print()
        return
    from vcmetrics.results.terminal import print_score, table_console

    print_score(result, table_console())
    if output is not None:
        print(f"written: {output}")


def check_choices(
    preset: str, profile: str | None, metrics: tuple[str, ...], changes: dict[str, Any]
) -> list[str] | None:
    """Refuse unknown presets, profiles, metrics and settings as wrong usage, before any data are opened."""
    from vcmetrics.scoring.settings import resolve_settings

    names = split_names(metrics) or None
    if names and profile is not None:
        msg = "--metrics and --profile exclude each other"
        raise click.UsageError(msg)
    try:
        resolve_settings(
            preset,
            profile,
            names,
            overrides=changes,
            target_map=None,
            embed_key=None,
            arithmetic="f64",
            n_threads=None,
            progress=None,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return names
