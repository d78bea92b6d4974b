"""Tables: pretty in a terminal, plain columns where another program reads them."""

import sys
from collections.abc import Iterable, Sequence

import click


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """`empty` is the sentence shown in place of a table without rows."""
    lines = list(rows)
    if not lines:
        click.echo(empty)
    elif sys.stdout.isatty():
        _show_in_terminal(columns, lines)
    else:
        _show_plain(columns, lines)


def show_facts(facts: Iterable[tuple[str, str]]) -> None:
    """One `name  value` per line."""
    known = [(name, value) for name, value in facts if value]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        click.echo(f"{name:<{width}}  {value}")


def _show_in_terminal(columns: Sequence[str], rows: list[Sequence[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415  # a tenth of a second that pipes and scripts need not spend
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # as it is: a name may hold what rich takes for markup
    Console().print(table)


def _show_plain(columns: Sequence[str], rows: list[Sequence[str]]) -> None:
    widths = [max(len(row[place]) for row in [columns, *rows]) for place in range(len(columns))]
    for row in [columns, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
