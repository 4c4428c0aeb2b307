"""Words of a command line as argparse takes them, for commands whose users come from tools built on it."""

from __future__ import annotations

from collections.abc import Mapping

import click


def expanded(words: list[str], takes_value: Mapping[str, bool]) -> list[str]:
    """The words with every option spelled out: unique beginnings completed, ``-o=DIR`` taken apart.

    Parameters
    ----------
    words
        What the user wrote behind the name of the command.
    takes_value
        Option → whether a value follows it.

    Raises
    ------
    click.UsageError
        If a beginning fits several options.

    Examples
    --------
    >>> expanded(["--out", "x", "-ap=y"], {"--outdir": True, "-ap": True})
    ['--outdir', 'x', '-ap', 'y']
    """
    out: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--":
            return out + words[at - 1 :]
        option, value = _option(word, takes_value)
        out.append(option)
        if value is not None:
            out[-1:] = [f"{option}={value}"] if option.startswith("--") else [option, value]
        elif takes_value.get(option, False) and at < len(words):
            out.append(words[at])
            at += 1
    return out


def _option(word: str, known: Mapping[str, bool]) -> tuple[str, str | None]:
    """The option that a word means and the value joined to it; any other word as it is."""
    if not word.startswith("-") or word in known or word == "-":
        return word, None
    name, sign, rest = word.partition("=")
    value = rest if sign else None
    if name in known:
        return name, value
    fits = [(option, value) for option in known if option.startswith(name)]
    if not word.startswith("--") and word[:2] in known:
        fits.append((word[:2], word[2:]))
    if len(fits) > 1:
        msg = f"ambiguous option: {name} could match {', '.join(option for option, _ in fits)}"
        raise click.UsageError(msg)
    return fits[0] if fits else (word, None)


class ArgparseCommand(click.Command):
    """A command whose options may be shortened and joined as argparse allows it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Spell the options out, then parse as usual."""
        takes_value = {
            option: isinstance(one, click.Option) and not (one.is_flag or one.count)
            for one in self.get_params(ctx)
            if isinstance(one, click.Option)
            for option in (*one.opts, *one.secondary_opts)
        }
        return super().parse_args(ctx, expanded(args, takes_value))


class ArgparseGroup(click.Group):
    """A group of such commands."""

    command_class = ArgparseCommand
