"""``vcmetrics metrics``: what every metric means."""

from __future__ import annotations

import json
import sys

import click


@click.group("metrics", invoke_without_command=True)
@click.option("-o", "--out", "out", metavar="DIR", help="Write a Markdown page for every metric, and an index.")
@click.pass_context
def command(ctx: click.Context, out: str | None) -> None:
    """Say what metrics mean: formula, direction, best, chance, invariances, pitfalls, source.

    Without a command the metrics are listed; with -o DIR their pages are written.
    """
    if out is not None:
        if ctx.invoked_subcommand is not None:
            msg = "-o writes the pages of all metrics and takes no command"
            raise click.UsageError(msg)
        _write(out)
    elif ctx.invoked_subcommand is None:
        ctx.invoke(list_them)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print all that the rows say, as JSON.")
@click.option("--family", metavar="NAME", help="Only this family.")
def list_them(as_json: bool = False, family: str | None = None) -> None:
    """List the metrics, family by family."""
    from vcmetrics.metrics.page import ARROWS, record
    from vcmetrics.metrics.registry import rows

    chosen = [spec for spec in rows() if family in (None, spec.family)]
    if not chosen:
        known = ", ".join(dict.fromkeys(spec.family for spec in rows()))
        msg = f"family {family!r} is not known; choose from {known}"
        raise click.UsageError(msg)
    if as_json:
        print(json.dumps([record(spec) for spec in chosen], indent=2, ensure_ascii=False))
        return
    before = None
    for spec in chosen:
        if spec.family != before:
            print(("" if before is None else "\n") + spec.family)
            before = spec.family
        print(f"  {spec.name:<38} {ARROWS[spec.better]}  {spec.definition}")


@command.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def show(name: str, as_json: bool) -> None:
    """Show the page of the metric NAME (or of one of its other names)."""
    from vcmetrics.metrics.page import markdown, record
    from vcmetrics.metrics.registry import get

    try:
        spec = get(name)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        print(json.dumps(record(spec), indent=2, ensure_ascii=False))
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(markdown(spec)))
    else:
        print(markdown(spec), end="")


def _write(out: str) -> None:
    from vcmetrics.metrics.page import index, markdown
    from vcmetrics.metrics.registry import rows
    from vcmetrics.results.staging import staged_directory

    specs = list(rows())
    with staged_directory(out) as folder:
        (folder / "index.md").write_text(index(specs), "utf-8")
        for spec in specs:
            (folder / f"{spec.name}.md").write_text(markdown(spec), "utf-8")
    print(f"{len(specs)} pages and index.md are in {out}")
