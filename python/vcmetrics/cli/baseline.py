"""``vcmetrics baseline``: what a model that ignores the perturbation would predict."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from vcmetrics._errors import DataError
from vcmetrics.cli.options import label_options, layer_option, read_target_map

MEAN_RESPONSE = "mean-response"
# as in vcmetrics.baselines.KINDS, which --help need not import; a test compares them
KINDS = (
    MEAN_RESPONSE,
    "no-change",
    "perturbed-mean",
    "matching-mean",
    "additive",
    "cell-type-transfer",
    "linear-pca",
    "random-perturbation",
    "nearest-by-depth",
    "technical-duplicate",
    "interpolated-duplicate",
    "oracle",
)
DUPLICATES = ("technical-duplicate", "interpolated-duplicate")
# options that the generic mean response does not have
_OTHERS = (
    "train", "context_col", "batch_col", "space", "target_sum", "separator", "n_cells", "weights", "n_components",
    "ridge", "n_neighbors", "truth",
)  # fmt: skip


@click.command(
    "baseline",
    epilog="Example: vcmetrics baseline test.h5ad --kind additive --train train.h5ad -o additive.h5ad",
)
@click.argument("real", type=click.Path(path_type=Path))
@click.option("--kind", type=click.Choice(KINDS), default=MEAN_RESPONSE, show_default=True, help="Which baseline.")
@label_options
@click.option("--context-col", metavar="COLUMN", help="Column of obs with cell types or donors, predicted apart.")
@click.option("--batch-col", metavar="COLUMN", help="Column of obs whose batches the cells written get.")
@layer_option
@click.option(
    "--train", type=click.Path(path_type=Path), metavar="FILE", help="Training data, so that no truth of REAL leaks."
)
@click.option(
    "--space",
    type=click.Choice(["log_of_sums", "mean_of_logs", "mean"]),
    help="Where means and differences are taken [default: log_of_sums]; 'mean' for log-normalised data.",
)
@click.option("--target-sum", type=click.FloatRange(min=0, min_open=True), help="Library size of the log spaces.")
@click.option("--separator", metavar="TEXT", help="What joins the parts of a combination [default: +].")
@click.option(
    "--weights",
    type=click.Choice(["perturbations", "cells"]),
    help="perturbed-mean: count each perturbation once [default], or by its cells.",
)
@click.option("--components", "n_components", type=click.IntRange(min=1), help="linear-pca: number [default: 10].")
@click.option("--ridge", type=click.FloatRange(min=0, min_open=True), help="linear-pca: penalty [default: 0.1].")
@click.option("--neighbors", "n_neighbors", type=click.IntRange(min=1), help="nearest-by-depth: number [default: 1].")
@click.option("--target-map", metavar="FILE|none", help="Target gene of each label, as in `vcmetrics score`.")
@click.option(
    "--emit",
    type=click.Choice(["dispersed", "tile", "cells", "profiles"]),
    help="Control cells rescaled to the profile exactly ('cells') or in expectation ('dispersed', the default of "
    "mean-response), the profile itself on every row ('tile'), or one row a perturbation ('profiles').",
)
@click.option("--n-cells", type=click.IntRange(min=1), help="Cells a perturbation [default: as many as REAL has].")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of every draw.")
@click.option("--threads", "n_threads", type=click.IntRange(min=1), help="Number of threads.")
@click.option(
    "--truth",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Duplicates: also write the half of REAL that they are to be scored against.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", required=True, help="The .h5ad file to write."
)
def command(real: Path, kind: str, output: Path, **options: Any) -> None:
    """Write what a model without knowledge of the single perturbation would predict for REAL.

    The default, mean-response, gives every perturbation the same profile: the mean over the perturbations of REAL,
    each leaving out its own target gene. A model must beat it to have learnt anything about single perturbations. Its
    values are averages of counts, so score it with --set allow_fractional=true; the other kinds write whole counts.

    Training data are given with --train; without them every perturbation of REAL is left out of its own baseline.
    """
    for path in (output, options["truth"]):
        if path is not None and path.suffix != ".h5ad":
            msg = f"{path}: the name must end in .h5ad"
            raise click.UsageError(msg)
    refuse_overwriting(real, output, options["train"], options["truth"])
    chosen = {name: value for name, value in options.items() if value is not None}
    if kind == MEAN_RESPONSE:
        write_mean_response(real, output, chosen)
    else:
        write_baseline(kind, real, output, chosen)


def write_mean_response(real: Path, output: Path, options: dict[str, Any]) -> None:
    """The generic baseline."""
    from vcmetrics.results.staging import staged_file
    from vcmetrics.scoring.mean_response import mean_response_of

    refuse(MEAN_RESPONSE, options, _OTHERS)
    if options.get("emit", "tile") not in ("dispersed", "tile"):
        msg = f"--emit {options['emit']}: {MEAN_RESPONSE} is emitted as 'dispersed' or 'tile'"
        raise click.UsageError(msg)
    options["target_map"] = read_target_map(options.get("target_map"))
    with staged_file(output) as path:
        made, column = mean_response_of(real, **options)
        made.write(path, column)
    print(f"written: {output} ({made.rows.n_rows} cells)")


def write_baseline(kind: str, real: Path, output: Path, options: dict[str, Any]) -> None:
    """One of :mod:`vcmetrics.baselines`."""
    from vcmetrics import baselines
    from vcmetrics.results.staging import staged_file

    own = baselines.KINDS[kind].options
    refuse(
        kind, options, [o for o in ("weights", "n_components", "ridge", "n_neighbors", "target_map") if o not in own]
    )
    truth = options.pop("truth", None)
    if truth is not None and kind not in DUPLICATES:
        msg = f"--truth is for {' and '.join(DUPLICATES)}; {kind} is scored against REAL itself"
        raise click.UsageError(msg)
    if "target_map" in options:
        options["target_map"] = read_target_map(options["target_map"])
    try:
        made = baselines.make(kind, real, **options)
    except DataError:
        raise
    except ValueError as error:  # arguments that do not go together
        raise click.UsageError(str(error)) from error
    half = None
    if truth is not None:
        shared = ("pert_col", "control", "context_col", "batch_col", "layer", "seed", "n_threads")
        half, _ = baselines.halves(real, **{name: options[name] for name in shared if name in options})
    with ExitStack() as stack:  # both files appear, or neither
        files = [(made, stack.enter_context(staged_file(output)))]
        if truth is not None:
            files.append((half, stack.enter_context(staged_file(truth))))
        for cells, path in files:
            cells.write_h5ad(path)
    print(f"written: {output} ({made.n_obs} rows); learnt from: {made.uns['baseline']['train']}")
    if half is not None:
        print(f"written: {truth} ({half.n_obs} cells), the half to score it against")


def refuse_overwriting(real: Path, output: Path, train: Path | None, truth: Path | None) -> None:
    """Wrong usage where a file would be written over one that is read, or two over each other."""
    read = [path.resolve() for path in (real, train) if path is not None]
    for option, path in (("-o", output), ("--truth", truth)):
        if path is not None and path.resolve() in read:
            msg = f"{option} {path} is a file that is read; pass another name"
            raise click.UsageError(msg)
    if truth is not None and truth.resolve() == output.resolve():
        msg = f"-o and --truth are the same file, {output}; pass two names"
        raise click.UsageError(msg)


def refuse(kind: str, options: dict[str, Any], names: Any) -> None:
    """Wrong usage where an option does not belong to this baseline."""
    spelled = {"n_components": "components", "n_neighbors": "neighbors"}
    for name in names:
        if name in options:
            msg = f"--{spelled.get(name, name).replace('_', '-')} does not belong to --kind {kind}"
            raise click.UsageError(msg)
