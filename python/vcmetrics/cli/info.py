"""``vcmetrics info``: presets, metrics, and what this installation can use."""

from __future__ import annotations

import json
from dataclasses import asdict

import click


@click.command("info")
@click.option("--metrics", "what", flag_value="metrics", help="List the metrics.")
@click.option("--preset", "preset", metavar="NAME", help="Show one preset: profiles, settings, quirks.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(what: str | None, preset: str | None, as_json: bool) -> None:
    """Show versions, instruction sets, devices and the presets; with an option, one subject in full."""
    if preset is not None:
        _preset(preset, as_json)
    elif what == "metrics":
        _metrics(as_json)
    else:
        _installation(as_json)


def _preset(name: str, as_json: bool) -> None:
    from vcmetrics._errors import DataError
    from vcmetrics.presets.preset import get_preset
    from vcmetrics.results.files import plain

    try:
        rules = get_preset(name)
    except DataError as error:
        raise click.UsageError(str(error)) from None
    profiles = {key: [m.output for m in members] for key, members in rules.profiles.items()}
    if as_json:
        record = {"name": rules.name, "title": rules.title, "source": rules.source, "profiles": profiles}
        record |= {"version": rules.version, "page": asdict(rules.page)}
        print(json.dumps(record | {"settings": plain(rules.as_dict()), "quirks": list(rules.quirks)}, indent=2))
        return
    print(f"{rules.name}: {rules.title}\nfrom {rules.source}, version {rules.version}\n")
    for key, members in profiles.items():
        default = " (default)" if key == rules.default_profile else ""
        print(f"profile {key}{default}, {len(members)} metrics: {', '.join(members)}\n")
    print("settings, each of which --set NAME=VALUE can change:")
    for key, value in rules.as_dict().items():
        print(f"  {key} = {value}")
    print("\nthe rules in words:")
    for key, value in asdict(rules.page).items():
        print(f"  {key}: {value}")
    print("\nquirks:")
    for quirk in rules.quirks:
        print(f"  * {quirk}")


def _metrics(as_json: bool) -> None:
    from vcmetrics.metrics.registry import get, list_metrics

    rows = [get(name) for name in list_metrics()]
    if as_json:
        print(json.dumps([{"name": r.name, "aliases": list(r.aliases), "better": r.better} for r in rows], indent=2))
        return
    for row in rows:
        also = f"   (also {', '.join(row.aliases)})" if row.aliases else ""
        print(f"{row.name:<40} {row.better}{also}")


def _installation(as_json: bool) -> None:
    from vcmetrics.backend.config import config, show_config
    from vcmetrics.presets.preset import get_preset, list_presets

    titles = {name: get_preset(name).title for name in list_presets()}
    if as_json:
        print(json.dumps(config() | {"presets": titles}, indent=2))
        return
    show_config()
    print("\npresets (--preset of `vcmetrics score`; `vcmetrics info --preset NAME` shows one in full):")
    for name, title in titles.items():
        print(f"  {name:<20} {title}")
