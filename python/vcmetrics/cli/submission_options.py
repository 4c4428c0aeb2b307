"""Options that describe a submission; names and defaults are those of the challenge's own tool."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from vcmetrics.cli.options import stack


class Limit(click.ParamType):  # type: ignore[type-arg]
    """A number from 1; -1 lifts the limit."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a whole number."""
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number", param, ctx)
        if number < 1 and number != -1:
            self.fail("must be 1 or more, or -1 for no limit", param, ctx)
        return number


panel_options = stack(
    click.option(
        "-g",
        "--genes",
        type=click.Path(path_type=Path),
        metavar="CSV",
        required=True,
        help="The official gene_names.csv.",
    ),
    click.option("--perts", type=click.Path(path_type=Path), metavar="CSV", help="The official pert_counts.csv."),
    click.option(
        "--verify-targets/--no-verify-targets", default=True, show_default=True, help="Compare labels with --perts."
    ),
    click.option(
        "--check-cell-counts/--no-check-cell-counts",
        default=True,
        show_default=True,
        help="Ask for the official number of cells of every perturbation.",
    ),
    click.option(
        "--cells-per-pert",
        type=Limit(),
        default=400,
        show_default=True,
        help="That number, where --perts has no column n_cells; -1: none.",
    ),
    click.option(
        "--contexts",
        metavar="A,B,C",
        help="Contexts to cover; empty: none [default: the manifest.json beside --perts or --genes].",
    ),
    click.option("-p", "--pert-col", metavar="COLUMN", default="target_gene", show_default=True, help="Perturbations."),
    click.option("-c", "--celltype-col", metavar="COLUMN", help="Cell types, to be kept."),
    click.option("--context-col", metavar="COLUMN", default="context", show_default=True, help="Contexts."),
    click.option(
        "-n", "--ntc-name", metavar="LABEL", default="non-targeting", show_default=True, help="Control cells."
    ),
    click.option(
        "--reject-controls/--allow-controls",
        default=True,
        show_default=True,
        help="Refuse control cells, or ask for them.",
    ),
    click.option(
        "-e", "--encoding", type=click.Choice(["32", "64"]), default="32", show_default=True, help="Bits a value."
    ),
    click.option(
        "--expected-gene-dim", type=Limit(), default=18_533, show_default=True, help="Genes expected; -1: any."
    ),
    click.option("--max-cell-dim", type=Limit(), default=400_000, show_default=True, help="Most cells; -1: any."),
    click.option(
        "--max-nnz", type=Limit(), default=4_750_000_000, show_default=True, help="Most stored values; -1: any."
    ),
    click.option(
        "--max-counts-per-cell", type=Limit(), default=1_000_000, show_default=True, help="Most counts a cell; -1: any."
    ),
    click.option(
        "--threads", "n_threads", type=click.IntRange(min=1), help="Number of threads [default: the allowed CPUs]."
    ),
)


def submission(options: dict[str, Any]) -> dict[str, Any]:
    """Arguments of :func:`vcmetrics.challenge.validate` from the options above."""
    from vcmetrics.challenge.contract import Contract

    verify, perts = options["verify_targets"], options["perts"]
    if verify and perts is None:
        msg = "labels cannot be compared with the official list; pass --perts pert_counts.csv, or --no-verify-targets"
        raise click.UsageError(msg)
    limit: Callable[[int], int | None] = lambda number: None if number == -1 else number  # noqa: E731
    given = options["contexts"]
    return {
        "genes": options["genes"],
        "perturbations": perts if verify else None,
        "contexts": None if given is None else [part.strip() for part in given.split(",") if part.strip()],
        "n_threads": options["n_threads"],
        "contract": Contract(
            pert_col=options["pert_col"],
            context_col=options["context_col"],
            celltype_col=options["celltype_col"],
            control=options["ntc_name"],
            with_control=not options["reject_controls"],
            cells_per_pert=limit(options["cells_per_pert"]),
            check_cell_counts=options["check_cell_counts"],
            n_genes=limit(options["expected_gene_dim"]),
            max_cells=limit(options["max_cell_dim"]),
            max_stored=limit(options["max_nnz"]),
            max_counts_per_cell=limit(options["max_counts_per_cell"]),
            encoding=int(options["encoding"]),
        ),
    }
