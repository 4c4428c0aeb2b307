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

ALL = "all"  # every preset that can score the data
ALONE = ("scale", "baseline", "cache", "ci", "de_real", "de_pred")  # options that go with one preset


@click.command("score", epilog="Example: vcmetrics score pred.h5ad real.h5ad --scale auto -o scores")
@click.argument("pred", type=click.Path(path_type=Path))
@click.argument("real", type=click.Path(path_type=Path))
@click.option(
    "--preset",
    "presets",
    multiple=True,
    default=("vcc2026",),
    show_default=True,
    metavar="NAME,…|all",
    help="Rule set; `vcmetrics info` lists them. Several, or 'all': over one reading of the files, with verdicts "
    "beside the mean baseline and where the presets disagree.",
)
@click.option("--profile", metavar="NAME", help="Set of metrics within the preset [default: the preset's].")
@click.option("--metrics", multiple=True, metavar="NAME,…", help="These metrics instead of a profile.")
@label_options
@click.option("--context-col", metavar="COLUMN", help="Score each context (cell line, donor) alone, then average.")
@click.option("--batch-col", metavar="COLUMN", help="Batches, for rules that match controls by batch.")
@click.option(
    "--train",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Training data apart from REAL: perturbed means are made of it, so that no truth is in its own reference.",
)
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
@click.option("--cells", is_flag=True, help="With several presets: metrics that compare cells with cells as well.")
@machine_options
@click.option("--write-de", is_flag=True, help="Write de_real.parquet and de_pred.parquet as well.")
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON instead of a table.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Write the results here.")
def command(
    pred: Path,
    real: Path,
    presets: tuple[str, ...],
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
    names = split_names(presets)
    several = len(names) > 1 or names == [ALL]
    if several:
        check_several(names, profile, metrics, dict(changes), options)
        chosen = None
    else:
        chosen = check_choices("".join(names), profile, metrics, dict(changes))
    if write_de and output is None:
        msg = "--write-de writes files; pass -o DIR as well"
        raise click.UsageError(msg)
    from vcmetrics.results.files import require_parquet, score_record, scores_record, write_into, write_scores_into
    from vcmetrics.results.staging import staged_directory

    if write_de:
        require_parquet()
    targets = read_target_map(target_map)
    with ExitStack() as stack:
        # entered first: an output that cannot be written is known before the long work begins
        folder = None if output is None else stack.enter_context(staged_directory(output))
        from vcmetrics.scoring.score import score

        with Bar("scoring") as progress:
            how: dict[str, Any] = {"overrides": dict(changes), "target_map": targets, "progress": progress}
            how |= {name: value for name, value in options.items() if value is not None}
            results = score(pred, real, preset=names, **how) if several else None
            if results is None:
                result = score(pred, real, preset="".join(names), profile=profile, metrics=chosen, **how)
        if folder is not None and results is not None:
            write_scores_into(results, folder, write_de=write_de)
        elif folder is not None:
            write_into(result, folder, write_de=write_de)
    if as_json:
        record = score_record(result) if results is None else scores_record(results)
        json.dump(record, sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
        print()
        return
    from vcmetrics.results.terminal import print_score, print_scores, table_console

    if results is None:
        print_score(result, table_console())
    else:
        print_scores(results, table_console())
    if output is not None:
        print(f"written: {output}")


def check_several(
    names: list[str], profile: str | None, metrics: tuple[str, ...], changes: dict[str, Any], options: dict[str, Any]
) -> None:
    """Refuse as wrong usage what several presets cannot be asked for, before any data are opened."""
    alone = {"profile": profile, "metrics": metrics} | {name: options.get(name) for name in ALONE}
    given = [f"--{name.replace('_', '-')}" for name, value in alone.items() if value]
    if given:
        msg = f"{', '.join(given)} and several presets exclude each other; score that preset alone"
        raise click.UsageError(msg)
    if ALL in names and names != [ALL]:
        msg = f"--preset {ALL} is every preset; name no other beside it"
        raise click.UsageError(msg)
    for name in names:
        if name != ALL:
            check_choices(name, None, (), changes)


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
