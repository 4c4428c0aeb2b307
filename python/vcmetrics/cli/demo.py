"""``vcmetrics demo``: what the scores mean, shown on real data."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from vcmetrics.results.score_result import ScoreResult

SEED = 0

# how each stand-in is made, in the order of the columns
STAND_INS = {
    "unperturbed": "control cells, relabelled: a model that predicts no effect at all",
    "mean response": "the average over all knock-outs: a model that ignores which gene was knocked out",
    "replicate": "the other half of the real cells: the experiment done again",
}

LESSONS = """\
What to conclude:

  * 0 is the mean response and 1 is the replicate, by definition. That is how `vcmetrics score --scale auto`
    places your model: above 0 it has learnt something about single perturbations; 1 is as good as repeating
    the experiment.
  * The mean response does not know which gene was knocked out, and some of its raw values look respectable
    all the same. A raw value says little without the other two columns beside it.
  * Predicting no effect scores below 0: cautious is not the same as right.
  * Even the replicate stays short of the ideal value on most metrics. Cells are few and shallow; that noise is
    the ceiling. A model far above 1 has averaged the noise away, or has seen the answer.

Your own files:  vcmetrics score pred.h5ad real.h5ad --scale auto -o scores
"""


@click.command("demo")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--threads", "n_threads", type=click.IntRange(min=1), help="Number of threads.")
def command(as_json: bool, n_threads: int | None) -> None:
    """Score three stand-ins for a model on a real Perturb-seq screen that ships with the package.

    Half of the cells of eight knock-outs in THP-1 cells (Papalexi et al. 2021) is the truth. Predictions of it are its
    own control cells, its mean response, and the other half.
    """
    results = score_stand_ins(n_threads)
    scaled, overall = scale(results)
    if as_json:
        record = {
            name: {"value": dict(result.aggregate_values), "scaled": scaled[name], "overall": overall[name]}
            for name, result in results.items()
        }
        from vcmetrics.results.files import plain

        print(json.dumps(plain(record), indent=2))
        return
    show(results, scaled, overall)


def score_stand_ins(n_threads: int | None) -> dict[str, ScoreResult]:
    """Score every stand-in against the same half of the real cells."""
    from vcmetrics.cli.progress import Bar
    from vcmetrics.datasets import demo
    from vcmetrics.datasets.stand_ins import halves, unperturbed
    from vcmetrics.scoring.mean_response import mean_response_of
    from vcmetrics.scoring.score import score

    about = demo()
    data = about.load()
    first, second = halves(data.obs[about.pert_col].astype(str).to_numpy(), SEED)
    real = data[first].copy()
    labels: dict[str, Any] = {"pert_col": about.pert_col, "control": about.control}
    predictions = {
        "unperturbed": unperturbed(real, **labels, seed=SEED),
        "mean response": mean_response_of(real, **labels, seed=SEED)[0].to_anndata(about.pert_col),
        "replicate": data[second].copy(),
    }
    results = {}
    with Bar("scoring") as progress:
        for done, name in enumerate(STAND_INS):
            # the mean response is an average of counts, so its values are not whole numbers
            changes = {"allow_fractional": name == "mean response"}
            results[name] = score(predictions[name], real, **labels, overrides=changes, n_threads=n_threads)
            progress(done + 1, len(STAND_INS))
    return results


def scale(results: dict[str, ScoreResult]) -> tuple[dict[str, dict[str, float]], dict[str, float | None]]:
    """Scaled scores and overall of every stand-in, between the mean response and the replicate."""
    from vcmetrics.presets.preset import get_preset
    from vcmetrics.scoring.scale import from_replicate

    preset = get_preset("vcc2026")
    base, best = results["mean response"].aggregate_values, results["replicate"].aggregate_values
    policies = {name: policy for name, policy in preset.policies.items() if name in base}
    anchors = {name: best[name] for name in policies}
    scored = {
        name: from_replicate(result.aggregate_values, base, anchors, policies) for name, result in results.items()
    }
    return {name: dict(s.scores) for name, s in scored.items()}, {name: s.overall for name, s in scored.items()}


def show(
    results: dict[str, ScoreResult], scaled: dict[str, dict[str, float]], overall: dict[str, float | None]
) -> None:
    """Print the table, raw value and scaled score side by side, and what to conclude."""
    from rich.table import Table

    from vcmetrics.results.terminal import shown, table_console, timing_line

    console = table_console()
    console.print(
        "Eight knock-outs in THP-1 cells (Papalexi et al. 2021), preset vcc2026; the truth is half of the cells."
    )
    console.print("Each column is a prediction of it: value, and score between mean response and replicate.\n")
    for name, text in STAND_INS.items():
        console.print(f"  [bold]{name}[/bold]: {text}", highlight=False)
    console.print()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("metric")
    table.add_column("", width=1)
    for name in STAND_INS:
        table.add_column(name, justify="right")
        table.add_column("score", justify="right", style="cyan")
    directions = results["replicate"].directions
    for metric in scaled["replicate"]:
        row = [metric, {"higher": "↑", "lower": "↓"}.get(str(directions.get(metric)), "")]
        for name, result in results.items():
            row += [shown(result.aggregate_values[metric]), f"{scaled[name][metric]:.2f}"]
        table.add_row(*row)
    last = ["overall", ""]
    for value in overall.values():
        last += ["", "undefined" if value is None or math.isnan(value) else f"{value:.2f}"]
    table.add_row(*last, style="bold")
    console.print(table)
    console.print()
    console.print(LESSONS, highlight=False, markup=False)
    slowest = max(results.values(), key=lambda r: sum(r.timings.values()))
    console.print(f"Three runs of 3,478 cells, the longest {timing_line(slowest)}.", style="dim", highlight=False)
