"""Options that describe a submission; names and defaults are those of the challenge's own tool."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from vcmetrics.cli.options import F, stack

if TYPE_CHECKING:
    from vcmetrics.challenge.contract import Contract

# NumPy's BLAS starts threads when it is imported, a third of that import; these commands never call it
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


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


RULES = ("vcc2026", "vcc2025", "obesity1", "obesity2", "obesity3")


def rules_option(*names: str) -> Callable[[F], F]:
    """``--rules``: whose contract."""
    return click.option(
        "--rules", type=click.Choice(names), default=names[0], show_default=True, help="Whose contract to apply."
    )


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
        help="That number, where --perts has no column n_cells; -1: none [default: 400].",
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
    click.option("--expected-gene-dim", type=Limit(), help="Genes expected; -1: any [default: 18,533]."),
    click.option("--max-cell-dim", type=Limit(), help="Most cells; -1: any [default: 400,000]."),
    click.option("--max-nnz", type=Limit(), help="Most stored values; -1: any [default: 4,750,000,000]."),
    click.option("--max-counts-per-cell", type=Limit(), help="Most counts a cell; -1: any [default: 1,000,000]."),
    click.option("--allow-discrete", is_flag=True, help="vcc2025: take whole numbers as they are, without log1p."),
    click.option(
        "--threads", "n_threads", type=click.IntRange(min=1), help="Number of threads [default: the allowed CPUs]."
    ),
)


def contract_of(options: dict[str, Any], base: Contract) -> Contract:
    """The contract with what was asked for otherwise."""
    limits = {
        "cells_per_pert": "cells_per_pert",
        "n_genes": "expected_gene_dim",
        "max_cells": "max_cell_dim",
        "max_stored": "max_nnz",
        "max_counts_per_cell": "max_counts_per_cell",
    }
    changes: dict[str, Any] = {
        "pert_col": options["pert_col"],
        "context_col": options["context_col"],
        "celltype_col": options["celltype_col"],
        "control": options["ntc_name"],
        "encoding": int(options["encoding"]),
        "check_cell_counts": options["check_cell_counts"],
        "with_control": base.with_control or not options["reject_controls"],
    }
    for name, option in limits.items():
        value = options[option]
        if value is not None:
            changes[name] = None if value == -1 else value
    return replace(base, **changes)


def submission(options: dict[str, Any]) -> tuple[ModuleType, dict[str, Any]]:
    """The module whose ``validate`` and ``pack`` follow ``--rules``, and their arguments."""
    if options["rules"] == "vcc2025":
        from vcmetrics.challenge import vcc2025

        how = {"genes": options["genes"], "contract": contract_of(options, vcc2025.CONTRACT)}
        return vcc2025, how | {"n_threads": options["n_threads"], "discrete": options["allow_discrete"]}
    from vcmetrics import challenge

    verify, perts, given = options["verify_targets"], options["perts"], options["contexts"]
    if verify and perts is None:
        msg = "labels cannot be compared with the official list; pass --perts pert_counts.csv, or --no-verify-targets"
        raise click.UsageError(msg)
    return challenge, {
        "genes": options["genes"],
        "perturbations": perts if verify else None,
        "contexts": None if given is None else [part.strip() for part in given.split(",") if part.strip()],
        "n_threads": options["n_threads"],
        "contract": contract_of(options, challenge.Contract()),
    }
