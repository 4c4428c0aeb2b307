"""``vcmetrics confounders``: what a score follows besides biology."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vcmetrics.cli.options import Setting, label_options, layer_option, read_target_map

if TYPE_CHECKING:
    import pandas as pd

TABLES = {
    "covariates": "One row a perturbation.",
    "correlations": "Spearman correlation of covariates with the scores, over perturbations.",
    "known_only": "Share of the model's score that predictors reach which know one confounder alone.",
    "systematic_variation": "How alike the observed effects are, against the control and the perturbed mean.",
    "collapse": "Spread of predicted effects beside that of observed ones.",
}
NARROWEST = 8  # characters that a column of names keeps


@click.command("confounders", epilog="Example: vcmetrics confounders pred.h5ad real.h5ad --train train.h5ad")
@click.argument("pred", type=click.Path(path_type=Path))
@click.argument("real", type=click.Path(path_type=Path))
@click.option(
    "--preset", default="vcc2026", show_default=True, metavar="NAME", help="One rule set; `vcmetrics info` lists them."
)
@click.option("--metrics", multiple=True, metavar="NAME,…", help="These metrics [default: the preset's].")
@label_options
@layer_option
@click.option("--train", type=click.Path(path_type=Path), metavar="FILE", help="Training data of the predictors.")
@click.option(
    "--target-map",
    metavar="FILE|none",
    help="Target gene of each label: .json, or two columns label,gene; 'none': no label has a target gene.",
)
@click.option(
    "--space",
    type=click.Choice(["counts", "values"]),
    default="counts",
    show_default=True,
    help="What the files hold: counts, or log-normalised values.",
)
@click.option("--ci", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.95, show_default=True,
              metavar="SHARE", help="Confidence of the intervals.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of every draw.")
@click.option(
    "--set", "changes", multiple=True, type=Setting(), metavar="NAME=VALUE", help="Change a setting of the preset."
)
@click.option("--threads", "n_threads", type=click.IntRange(min=1), help="Number of threads.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Write the tables here, as .csv.")
def command(
    pred: Path,
    real: Path,
    preset: str,
    metrics: tuple[str, ...],
    control: str | None,
    target_map: str | None,
    changes: tuple[tuple[str, Any], ...],
    as_json: bool,
    output: Path | None,
    **options: Any,
) -> None:
    """Score PRED against REAL and tell how much of the score needs no biology.

    Tables: the number and depth of cells, the size of the effect, the knock-down achieved and the effect shared by all
    perturbations, each correlated with the score; what predictors score that know one of them alone; and whether the
    predictions are more alike than the truths.
    """
    from vcmetrics.cli.score import check_choices
    from vcmetrics.results.staging import staged_directory

    names = check_choices(preset, None, metrics, dict(changes))
    asked = {name: value for name, value in options.items() if value is not None}
    asked |= {"control": "non-targeting" if control is None else control}
    with ExitStack() as stack:
        folder = None if output is None else stack.enter_context(staged_directory(output))
        tables = all_tables(pred, real, preset, names, read_target_map(target_map), dict(changes), **asked)
        if folder is not None:
            for name, table in tables.items():
                table.to_csv(folder / f"{name}.csv")
    if as_json:
        print(json.dumps({name: records(table) for name, table in tables.items()}, indent=2))
        return
    show(tables, 0 if output is None else 1)
    if output is not None:
        print(f"written: {output}")


def all_tables(
    pred: Path,
    real: Path,
    preset: str,
    metrics: list[str] | None,
    target_map: Any,
    changes: dict[str, Any],
    *,
    space: str,
    ci: float,
    seed: int,
    **how: Any,
) -> dict[str, pd.DataFrame]:
    """The tables of :data:`TABLES`."""
    from vcmetrics import confounders
    from vcmetrics.scoring.score import score

    train = how.pop("train", None)
    shared: dict[str, Any] = {k: how[k] for k in ("pert_col", "control", "layer", "n_threads") if k in how}
    logged = space == "values"
    known = confounders.covariates(real, space="mean" if logged else "mean_of_logs", target_map=target_map, **shared)
    model = score(pred, real, preset=preset, metrics=metrics, target_map=target_map, overrides=changes, **shared)
    space_of_means = "mean" if logged else "log_of_sums"
    return {
        "covariates": known,
        "correlations": confounders.correlations(known, model, ci=ci, seed=seed),
        "known_only": confounders.known_only(
            pred,
            real,
            train=train,
            preset=preset,
            metrics=metrics,
            target_map=target_map,
            overrides=changes,
            ci=ci,
            seed=seed,
            space=space_of_means,
            **shared,
        ),
        "systematic_variation": shared_effect(real, space=space_of_means, **with_column(real, shared)),
        "collapse": confounders.collapse(pred, real, space=space_of_means, **with_column(real, shared)),
    }


def shared_effect(real: Path, **how: Any) -> pd.DataFrame:
    """What the effects have in common, against both references."""
    import pandas as pd

    from vcmetrics.confounders import systematic_variation
    from vcmetrics.summary.profile_rows import read_profiles

    rows = read_profiles(real, name="real", observed=True, **how)
    effects = rows.table - rows.control
    found = {
        "control": systematic_variation(effects),
        "perturbed_mean": systematic_variation(effects, reference=effects.mean(axis=0)),
    }
    return pd.DataFrame(found).rename_axis("measure")


def with_column(real: Path, shared: dict[str, Any]) -> dict[str, Any]:
    """The arguments with the label column named."""
    from vcmetrics.baselines.inputs import pert_column
    from vcmetrics.sources import open_cells

    with open_cells(real) as cells:
        return {**shared, "pert_col": pert_column(cells, shared.get("pert_col"))}


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON takes them."""
    from vcmetrics.results.files import plain

    return [plain(row) for row in table.reset_index().to_dict("records")]


def show(tables: dict[str, pd.DataFrame], first: int) -> None:
    """Print the tables, those from number ``first`` on."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for name in list(TABLES)[first:]:
        table = tables[name].reset_index()
        if "lower" in table.columns:
            ends = [f"{cell(a)} … {cell(b)}" for a, b in zip(table["lower"], table["upper"], strict=True)]
            table = table.drop(columns=["upper"]).assign(lower=ends).rename(columns={"lower": "interval"})
        reasons: dict[str, None] = {}
        if "reason" in table.columns:  # below the table, once each
            told = table.loc[table["reason"] != "", ["metric", "reason"]]
            reasons = dict.fromkeys(f"{metric}: {reason}" for metric, reason in told.itertuples(index=False))
            table = table.drop(columns=["reason"])
        if "metric" in table.columns:
            table["metric"] = table["metric"].where(table["metric"] != table["metric"].shift(), "")
        shown = Table(title=TABLES[name], title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for column in table.columns:
            number = table[column].dtype.kind in "fi"
            # names fold where the terminal is narrow, numbers do not
            width = max((len(cell(v)) for v in table[column]), default=0)
            shown.add_column(
                str(column),
                justify="right" if number else "left",
                overflow="fold",
                min_width=width if number or column == "interval" else min(width, NARROWEST),
            )
        for row in table.itertuples(index=False):
            shown.add_row(*(cell(value) for value in row))
        console.print(shown)
        for line in reasons:
            console.print(line, markup=False, highlight=False)


def cell(value: Any) -> str:
    """A value in a table for people."""
    if isinstance(value, float):
        return "–" if value != value else f"{value:.3g}"
    return str(value)
