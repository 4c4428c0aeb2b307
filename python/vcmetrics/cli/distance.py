"""``vcmetrics distance``: distances between groups of cells."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from vcmetrics._errors import DataError
from vcmetrics.cli.options import Setting, layer_option, machine_options, split_names

if TYPE_CHECKING:
    import pandas as pd


@click.command(
    "distance",
    epilog="Example: vcmetrics distance screen.h5ad --pert-col gene --obsm X_pca --metric edistance -o matrix.csv",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--pert-col", metavar="COLUMN", required=True, help="Column of obs with the group of each cell.")
@click.option(
    "--metric", default="edistance", show_default=True, metavar="NAME", help="Distance; --list shows all of them."
)
@click.option("--to", "references", multiple=True, metavar="LABEL,…", help="Distances to these groups only.")
@click.option("--test", is_flag=True, help="Permutation test of every group against the one named by --to.")
@click.option("--permutations", type=click.IntRange(min=1), default=1000, show_default=True, help="Of the test.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the test.")
@click.option(
    "--correction", metavar="METHOD", help="For several tests: fdr_bh [default], fdr_by, holm-sidak and others."
)
@layer_option
@click.option("--obsm", metavar="KEY", help="Read this embedding instead of X.")
@click.option("--groups", multiple=True, metavar="LABEL,…", help="These groups, in this order [default: all].")
@click.option("--genes", type=click.Path(path_type=Path), metavar="FILE", help="Use these genes only, one a line.")
@click.option("--within", multiple=True, metavar="COLUMN,…", help="One table inside each label of these columns.")
@click.option("--convention", metavar="NAME", help="Compute as another library does; --list shows them.")
@click.option(
    "--mirror",
    type=click.Choice(["upper", "lower", "mean"]),
    help="Of asymmetric distances: repeat one triangle, or average both [default: the full matrix].",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    type=Setting(),
    metavar="NAME=VALUE",
    help="Parameter of the distance, such as estimator=u.",
)
@machine_options
@click.option(
    "--list",
    "listed",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda context, parameter, asked: _list(context) if asked else None,
    help="List distances with their parameters, and conventions.",
)
@click.option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE", help="Clustered heat map: a .png, .pdf or .svg file."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A .csv, .parquet or .npz file; else stdout.",
)
def command(
    file: Path,
    pert_col: str,
    metric: str,
    references: tuple[str, ...],
    test: bool,
    permutations: int,
    seed: int,
    correction: str | None,
    groups: tuple[str, ...],
    genes: Path | None,
    within: tuple[str, ...],
    convention: str | None,
    mirror: str | None,
    changes: tuple[tuple[str, Any], ...],
    plot: Path | None,
    output: Path | None,
    **options: Any,
) -> None:
    """Distances between all groups of cells in FILE, an .h5ad or .zarr of cells × genes; or to some of them.

    The result is a matrix (a column for each label of --to, a table of tests with --test) as .csv, .parquet or .npz,
    or as .csv on the terminal.
    """
    towards = split_names(references)
    _check(metric, convention, dict(changes), towards, test, mirror, within, plot, output)
    names = None if genes is None else _names(genes)
    how: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    how |= {"pert_col": pert_col, "metric": metric, "genes": names, "convention": convention, **dict(changes)}
    how |= {"groups": split_names(groups) or None, "within": split_names(within) or None}
    from vcmetrics.results.staging import staged_file

    with ExitStack() as stack:
        # entered first: an output that cannot be written is known before the long work begins
        table_file = None if output is None else stack.enter_context(staged_file(output))
        picture = None if plot is None else stack.enter_context(staged_file(plot))
        try:
            if test:
                from vcmetrics.distances.permutation import permutation_test

                table: pd.DataFrame | pd.Series = permutation_test(
                    file, towards[0], n_permutations=permutations, random_state=seed, correction=correction, **how
                )
            elif towards:
                from vcmetrics.distances.matrix import distances_to

                table = distances_to(file, towards, **how)
            else:
                from vcmetrics.distances.matrix import distance_matrix

                table = distance_matrix(file, mirror=mirror, **how)
        except DataError:
            raise
        except ImportError as error:
            raise DataError(str(error)) from error
        except (TypeError, ValueError) as error:  # a parameter that the distance does not take
            raise click.UsageError(str(error)) from error
        from vcmetrics.distances.files import write_table

        if table_file is not None and output is not None:
            write_table(table, table_file, output.suffix)
        if picture is not None and plot is not None:
            from vcmetrics.distances.heatmap import plot_heatmap

            plot_heatmap(table, picture, title=metric, suffix=plot.suffix)
    if output is None and plot is None:
        write_table(table, sys.stdout, ".csv")
    for written in (output, plot):
        if written is not None:
            print(f"written: {written}")


def _check(
    metric: str,
    convention: str | None,
    changes: dict[str, Any],
    references: list[str],
    test: bool,
    mirror: str | None,
    within: tuple[str, ...],
    plot: Path | None,
    output: Path | None,
) -> None:
    """Refuse wrong usage, and what this installation lacks, before any data are opened."""
    from vcmetrics.distances.conventions import choose
    from vcmetrics.distances.files import SUFFIXES
    from vcmetrics.distances.heatmap import SUFFIXES as PICTURES
    from vcmetrics.distances.heatmap import require_matplotlib
    from vcmetrics.results.files import require_parquet

    wrong = None
    if test and len(references) != 1:
        wrong = "--test compares with one group: pass --to LABEL"
    elif mirror is not None and references:
        wrong = "--mirror is for a whole matrix; --to asks for columns"
    elif plot is not None and (references or within):
        wrong = "--plot draws one whole matrix; leave out --to and --within"
    elif output is not None and output.suffix not in SUFFIXES:
        wrong = f"{output}: the name must end in {', '.join(SUFFIXES)}"
    elif plot is not None and plot.suffix not in PICTURES:
        wrong = f"{plot}: the name must end in {', '.join(PICTURES)}"
    if wrong:
        raise click.UsageError(wrong)
    try:
        choose(metric, convention, changes)
    except ImportError as error:
        raise DataError(str(error)) from error
    except (TypeError, ValueError) as error:
        raise click.UsageError(str(error)) from error
    if output is not None and output.suffix == ".parquet":
        require_parquet()
    if plot is not None:
        require_matplotlib()


def _names(path: Path) -> list[str]:
    """One name a line; empty lines do not count."""
    return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]


def _list(context: click.Context) -> NoReturn:
    """Print distances and conventions, and stop."""
    from vcmetrics.distances.conventions import get_convention, list_conventions
    from vcmetrics.metrics.distance.registry import rows

    for spec in rows():
        parameters = ", ".join(f"{name}={value!r}" for name, value in spec.defaults.items())
        also = f" (also {', '.join(spec.aliases)})" if spec.aliases else ""
        print(f"{spec.name}{also}\n    {spec.definition}")
        if parameters:
            print(f"    {parameters}")
    print("\nconventions:")
    for name in list_conventions():
        print(f"{name:<18} {get_convention(name).source}")
    context.exit(0)
