"""`--output`: a table, JSON in the wire's shape, or ids; with these two all else that is said goes to stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from enum import StrEnum
from typing import Any, TypeVar

import click

from zenweb.cli.display import show_facts, show_table
from zenweb.responses import Entity, Page

Shown = TypeVar("Shown", bound=Entity)


class Output(StrEnum):
    """How an answer is printed."""

    TABLE = "table"
    JSON = "json"
    ID = "id"

    @property
    def is_for_people(self) -> bool:
        return self is Output.TABLE

    def say(self, sentence: str = "", **style: Any) -> None:
        """What is told beside the answer: never where a program reads that."""
        click.secho(sentence, err=not self.is_for_people, **style)

    @contextmanager
    def printing_beside(self) -> Iterator[None]:
        """While it lasts, what other code prints is told beside the answer, too."""
        with nullcontext() if self.is_for_people else redirect_stdout(sys.stderr):
            yield

    def show_table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
        """A table that is told beside the answer."""
        show_table(columns, rows, empty=empty, err=not self.is_for_people)

    def show_page(
        self, page: Page[Shown], columns: Sequence[str], row: Callable[[Shown], Sequence[str]], *, empty: str
    ) -> None:
        """A list. `empty` is the sentence for one without anything in it."""
        match self:
            case Output.JSON:
                told = {"index": page.index, "max_size": page.max_size, "total_pages": page.total_pages}
                show_json({**told, "total": page.total, "items": [entity.envelope for entity in page]})
            case Output.ID:
                for entity in page:
                    click.echo(str(entity.id))
            case Output.TABLE:
                show_table(columns, map(row, page), empty=empty)
                if page.total > len(page):
                    self.say(f"{len(page)} of {page.total}.{_more()}", dim=True)

    def show_entity(self, entity: Entity, show: Callable[[], None]) -> None:
        """One thing; `show` tells a person of it."""
        match self:
            case Output.JSON:
                show_json(entity.envelope)
            case Output.ID:
                click.echo(str(entity.id))
            case Output.TABLE:
                show()

    def show_facts(self, entity: Entity, facts: Iterable[tuple[str, str]]) -> None:
        self.show_entity(entity, lambda: show_facts(facts))


output_option = click.option(
    "-o",
    "--output",
    type=click.Choice([each.value for each in Output]),
    default=Output.TABLE.value,
    show_default=True,
    callback=lambda _ctx, _option, word: Output(word),
    help="A table; the JSON of the REST interface; or one id per line, as xargs takes them.",
)


def _more() -> str:
    command = click.get_current_context().command
    return " --limit shows more." if any("--limit" in option.opts for option in command.params) else ""


def show_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
