"""The README's commands and tables are true. ``python tests/test_readme.py`` rewrites the tables."""

import re
import shlex
from pathlib import Path

import click
import pytest

from vcmetrics.cli import entry
from vcmetrics.distances import conventions
from vcmetrics.metrics import registry
from vcmetrics.metrics.distance import registry as distances
from vcmetrics.presets.preset import get_preset, list_presets

README = Path(__file__).parents[1] / "README.md"
ARROWS = {"higher": "↑", "lower": "↓", "none": "–"}


def cell(text):
    return " ".join(str(text).split()).replace("|", r"\|")


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell(item) for item in line) + " |" for line in lines)


def preset_table():
    rows = []
    for name in list_presets():
        preset = get_preset(name)
        profiles = ", ".join(
            f"**{key}** ({len(members)})" if key == preset.default_profile else f"{key} ({len(members)})"
            for key, members in preset.profiles.items()
        )
        rows.append([f"`{name}`", preset.title, preset.source, profiles])
    return table(["preset", "what", "reproduces", "profiles (metrics); the default is bold"], rows)


def metric_table():
    rows = [
        [f"`{spec.name}`", ARROWS[spec.better], spec.definition, ", ".join(f"`{name}`" for name in spec.aliases) or "–"]
        for spec in registry.rows()
    ]
    return table(["metric", "", "definition", "other names"], rows)


def parameter_text(spec):
    return ", ".join(f"`{name}={value!r}`" for name, value in spec.defaults.items()) or "–"


def distance_table():
    rows = [
        [
            f"`{spec.name}`" + ("" if spec.symmetric else " →"),
            spec.definition,
            parameter_text(spec),
            ", ".join(f"`{name}`" for name in spec.aliases) or "–",
        ]
        for spec in distances.rows()
    ]
    return table(["distance", "definition", "parameters and their defaults", "other names"], rows)


def convention_table():
    rows = []
    for name in conventions.list_conventions():
        rules = conventions.get_convention(name)
        rows.append([f"`{name}`", rules.source, "; ".join(rules.quirks)])
    return table(["convention", "reproduces", "what that means"], rows)


TABLES = {
    "presets": preset_table,
    "metrics": metric_table,
    "distances": distance_table,
    "conventions": convention_table,
}


def block(name, text):
    match = re.search(rf"(<!-- {name}:[^\n]*-->\n)(.*?)(<!-- end {name} -->)", text, re.DOTALL)
    assert match, f"README.md has no block {name!r}"
    return match


@pytest.mark.parametrize("name", TABLES)
def test_table_is_current(name):
    found = block(name, README.read_text("utf-8"))[2]
    assert found.strip() == TABLES[name]().strip(), "run: python tests/test_readme.py"


def test_two_commands_from_a_fresh_clone():
    text = README.read_text("utf-8")
    assert re.findall(r"^pip install .*$", text, re.MULTILINE) == [
        "pip install . && vcmetrics demo",
        "pip install '.[test]' && pytest",
    ]


def test_commands_parse():
    """Every `vcmetrics …` line in a shell block is a command with options that exist."""
    for shell in re.findall(r"```sh\n(.*?)```", README.read_text("utf-8"), re.DOTALL):
        for line in shell.splitlines():
            for part in line.split("&&"):
                words = shlex.split(part)
                if words[:1] == ["vcmetrics"]:
                    command = entry.cli.get_command(click.Context(entry.cli), words[1])
                    command.make_context(words[1], words[2:])


def test_named_options_exist():
    text = README.read_text("utf-8")
    commands = [entry.cli.get_command(click.Context(entry.cli), name) for name in entry.COMMANDS]
    commands += [part for command in commands if isinstance(command, click.Group) for part in command.commands.values()]
    options = {option for command in commands for parameter in command.params for option in parameter.opts}
    named = set(re.findall(r"`(--[a-z-]+)", text)) | set(re.findall(r"`vcmetrics \w+ (--[a-z-]+)", text))
    assert named - {"--help"} <= options


def test_links_lead_somewhere_and_every_section_is_linked():
    text = README.read_text("utf-8")
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in sections}
    links = re.findall(r"\]\(([^)]*)\)", text)
    assert anchors == {link[1:] for link in links if link.startswith("#")}
    missing = [link for link in links if not link.startswith(("#", "http")) and not (README.parent / link).exists()]
    assert missing == []


if __name__ == "__main__":
    content = README.read_text("utf-8")
    for key, make in TABLES.items():
        match = block(key, content)
        content = content[: match.start(2)] + make() + "\n" + content[match.end(2) :]
    README.write_text(content, "utf-8")
