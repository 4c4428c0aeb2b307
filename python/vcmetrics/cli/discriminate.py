"""``vcmetrics discriminate``: does each prediction find its own perturbation among all?"""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vcmetrics._errors import VcmetricsWarning
from vcmetrics.cli.options import layer_option, machine_options, profile_options, read_target_map, target_sum_option
from vcmetrics.cli.progress import Bar
from vcmetrics.retrieval.conventions import CONVENTIONS, DENOMINATORS
from vcmetrics.retrieval.ranking import DIRECTIONS, SCOPES
from vcmetrics.retrieval.ranks import TIES
from vcmetrics.retrieval.scales import NORM_MATCHES
from vcmetrics.summary.effect_reference import REFERENCES
from vcmetrics.summary.side_profiles import SPACES

if TYPE_CHECKING:
    import pandas as pd


@click.command(
    "discriminate",
    epilog="Example: vcmetrics discriminate pred.h5ad real.h5ad --pert-col target_gene --metric cosine --scope pair",
)
@click.argument("pred", type=click.Path(path_type=Path))
@click.argument("real", type=click.Path(path_type=Path))
@profile_options
@click.option("--context-col", metavar="COLUMN", help="Score each context of this column by itself.")
@click.option("--batch-col", metavar="COLUMN", help="Batches, for --reference batch_control.")
@layer_option
@click.option("--obsm", metavar="KEY", help="Compare this embedding instead of the genes (needs --scope none).")
@click.option(
    "--space", type=click.Choice(list(SPACES)), help="How cells become profiles [default: log_of_sums, of counts]."
)
@target_sum_option
@click.option("--metric", metavar="NAME", help="cosine, l1, l2, sqeuclidean, pearson, spearman, … [default: cosine].")
@click.option(
    "--scope",
    "exclude_targets",
    type=click.Choice(list(SCOPES)),
    help="Target genes left out: of all candidates, the query's own, of both in each duel, none [default: panel].",
)
@click.option("--ties", type=click.Choice([*TIES, "position"]), help="Where equals stand [default: mid].")
@click.option("--denominator", type=click.Choice(list(DENOMINATORS)), help="What ranks are divided by [default: n-1].")
@click.option("--norm-match", type=click.Choice(list(NORM_MATCHES)), help="Take the scale out [default: none].")
@click.option("--residual", is_flag=True, default=None, help="Subtract each side's mean effect first.")
@click.option("--direction", type=click.Choice(list(DIRECTIONS)), help="Who is looked for [default: pred_to_real].")
@click.option("--reference", type=click.Choice(list(REFERENCES)), help="What effects are against [default: control].")
@click.option("--control-source", type=click.Choice(["real", "own"]), help="Whose control [default: real].")
@click.option("--convention", type=click.Choice(list(CONVENTIONS)), help="Another's rules; options overrule them.")
@click.option(
    "--target-map", metavar="FILE|none", help="Labels and their target genes: .csv, .tsv or .json; or 'none'."
)
@click.option("--drop-unmatched", is_flag=True, help="Leave predictions without an observed partner out.")
@click.option(
    "--top-k",
    type=click.IntRange(min=1),
    multiple=True,
    default=(1, 5, 10),
    show_default=True,
    help="Report who is among the first K; repeat for several.",
)
@click.option("--sweep", is_flag=True, help="The score over a grid of scales of the prediction instead.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@machine_options
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="A .csv or .parquet file.")
def command(
    pred: Path,
    real: Path,
    target_map: str | None,
    drop_unmatched: bool,
    sweep: bool,
    as_json: bool,
    output: Path | None,
    **options: Any,
) -> None:
    """Rank, for every perturbation of PRED, its own observed profile in REAL among those of all perturbations.

    Prints the means: score (1 best, 0.5 chance), top-k, reciprocal rank. The file holds one row a perturbation, or
    with --sweep one a scale.
    """
    from vcmetrics.results.files import require_parquet
    from vcmetrics.results.staging import staged_file

    if output is not None and output.suffix not in (".parquet", ".csv"):
        msg = f"{output}: the name must end in .parquet or .csv"
        raise click.UsageError(msg)
    if output is not None and output.suffix == ".parquet":
        require_parquet()
    chosen = {name: value for name, value in options.items() if value is not None}
    chosen |= {
        "control": options["control"],
        "target_map": read_target_map(target_map),
        "unmatched": "drop" if drop_unmatched else "error",
    }
    if sweep:
        given = [name for name in ("direction", "norm_match") if name in chosen]
        if given:
            msg = f"--sweep takes no --{given[0].replace('_', '-')}"
            raise click.UsageError(msg)
        chosen.pop("top_k")
    if output is None:
        _print(_compute(pred, real, sweep, chosen), as_json)
        return
    with staged_file(output) as path:
        table = _compute(pred, real, sweep, chosen)
        flat = table.reset_index()
        if output.suffix == ".parquet":
            flat.attrs = {}
            flat.to_parquet(path, index=False)
        else:
            flat.to_csv(path, index=False, na_rep="NaN")
    _print(table, as_json)
    if not as_json:
        print(f"written: {output} ({len(table)} rows)")


def _compute(pred: Path, real: Path, sweep: bool, chosen: dict[str, Any]) -> pd.DataFrame:
    from vcmetrics.retrieval.discrimination import discrimination
    from vcmetrics.retrieval.sweep import discrimination_sweep

    with warnings.catch_warnings(record=True) as caught, Bar("reading") as progress:
        warnings.simplefilter("always", VcmetricsWarning)
        try:
            table: pd.DataFrame = (discrimination_sweep if sweep else discrimination)(
                pred, real, progress=progress, **chosen
            )
        except ValueError as error:
            if type(error) is ValueError:  # wrong options, not wrong data
                raise click.UsageError(str(error)) from error
            raise
    for warning in caught:
        if issubclass(warning.category, VcmetricsWarning):
            click.echo(f"vcmetrics: {warning.message}", err=True)
    return table


def _print(table: pd.DataFrame, as_json: bool) -> None:
    facts = table.attrs
    if as_json:
        rows = table.reset_index().to_dict(orient="records")
        print(json.dumps(_plain({**facts, "rows": rows}), allow_nan=False))
        return
    groups = facts.get("by_context") or {"": facts.get("aggregate") or facts}
    for context, found in groups.items():
        if context:
            print(f"{context}:")
        for name, value in found.items():
            if isinstance(value, bool | int | float):
                print(f"{name:<22} {value:.6g}" if isinstance(value, float) else f"{name:<22} {value}")


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: null and text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value
