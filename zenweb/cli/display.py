"""Tables: pretty in a terminal, plain columns where another program reads them; and colours where they are wanted."""

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime

import click

GAP = 2  # blanks between columns
LEAST_COLUMNS = 3  # that a narrow terminal shows


def wants_color() -> bool | None:
    """What the environment says of colours (no-color.org, force-color.org); None: as the terminal is."""
    if os.environ.get("NO_COLOR"):
        return False
    return True if os.environ.get("FORCE_COLOR") else None


def is_live(*, err: bool = False) -> bool:
    """Whether somebody looks at a terminal that can be written over."""
    stream = sys.stderr if err else sys.stdout
    return stream.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}


def show_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str, err: bool = False
) -> None:
    """`empty` is the sentence shown in place of a table without rows."""
    lines = list(rows)
    if not lines:
        click.echo(empty, err=err)
    elif is_live(err=err):
        _show_in_terminal(columns, lines, err)
    else:
        _show_plain(columns, lines, err)


def show_facts(facts: Iterable[tuple[str, str]]) -> None:
    """One `name  value` per line."""
    known = [(name, value) for name, value in facts if value]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        click.echo(f"{name:<{width}}  {value}")


def moment(when: datetime) -> str:
    """As the clock on the wall shows it."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def fitting(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> int:
    """How many columns, from the left, a terminal of this width has room for; the last ones are told apart least."""
    widths = [max(len(row[place]) for row in [columns, *rows]) for place in range(len(columns))]
    number = len(columns)
    while number > LEAST_COLUMNS and sum(widths[:number]) + GAP * (number - 1) > width:
        number -= 1
    return number


def _show_in_terminal(columns: Sequence[str], rows: list[Sequence[str]], err: bool) -> None:
    from rich.console import Console  # noqa: PLC0415  # a tenth of a second that pipes and scripts need not spend
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(stderr=err)
    number = fitting(columns, rows, console.width)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns[:number]:
        table.add_column(column, overflow="fold")
    for row in rows:
        # As it is: a name may hold what rich takes for markup.
        table.add_row(*(Text(cell, STYLES.get(cell, "")) for cell in row[:number]))
    console.print(table)
    if number < len(columns):
        left_out = ", ".join(column for column in columns[number:])
        console.print(Text(f"Not shown, for want of room: {left_out}.", "dim"))


# Beside the word, never in its place.
STYLES = {
    "completed": "green",
    "cached": "green",
    "failed": "bold red",
    "running": "cyan",
    "stopping": "yellow",
    "stopped": "yellow",
    "retrying": "yellow",
}


def _show_plain(columns: Sequence[str], rows: list[Sequence[str]], err: bool) -> None:
    widths = [max(len(row[place]) for row in [columns, *rows]) for place in range(len(columns))]
    for row in [columns, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo((" " * GAP).join(cells).rstrip(), err=err)
