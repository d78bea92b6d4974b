"""What the commands say of themselves, as the last part of docs/command-line.md: `make docs` writes it there."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from zenweb.cli.main import main

PAGE = "docs/command-line.md"
BEGIN = "<!-- What follows is written by `make docs`. -->\n"


def reference() -> str:
    return "\n".join(_group(main, click.Context(main, info_name="zenweb")))


def write_into(page: Path) -> None:
    before, _, _ = page.read_text(encoding="utf-8").partition(BEGIN)
    page.write_text(f"{before}{BEGIN}{reference()}", encoding="utf-8")


def _group(group: click.Group, ctx: click.Context) -> Iterator[str]:
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        below = click.Context(command, info_name=name, parent=ctx)
        if isinstance(command, click.Group):
            yield from _group(command, below)
        else:
            yield from _command(command, below)


def _command(command: click.Command, ctx: click.Context) -> Iterator[str]:
    arguments = [each.make_metavar(ctx) for each in command.params if isinstance(each, click.Argument)]
    yield f"\n### `{' '.join([ctx.command_path, *arguments])}`\n"
    yield " ".join(inspect.cleandoc(command.help or "").split())
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    if options:
        yield "\n| option | |\n|---|---|"
    for option in options:
        yield f"| {_spelt(option, ctx)} | {_words(option)} |"


def _spelt(option: click.Option, ctx: click.Context) -> str:
    value = "" if option.is_flag else f" {option.make_metavar(ctx)}".replace(" RANGE", "").replace("|", "\\|")
    names = [*option.opts, *option.secondary_opts]
    return (
        ", ".join(f"`{name}`" for name in names[:-1]) + (", " if names[:-1] else "") + f"`{names[-1]}{value}`"
    )


def _words(option: click.Option) -> str:
    words = " ".join((option.help or "").split()).replace("|", "\\|")
    words += " Has to be given." if option.required else ""
    shows_default = option.show_default and option.default not in (None, "", ())
    return f"{words} Default: `{option.default}`." if shows_default else words


if __name__ == "__main__":
    write_into(Path(sys.argv[1]))
