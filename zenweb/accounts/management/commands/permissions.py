"""Prints the table of docs/permissions.md: what each role lets one do."""

import re
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from zenweb.accounts.actions import Action, Scope
from zenweb.enums import GRANTABLE, Role

PLACE = re.compile(r"(<!-- made by [^\n]*-->\n)(.*?)(\n<!-- end -->)", re.DOTALL)
HEADINGS = {Scope.TEMPLATE: "On a run template", Scope.PROJECT: "In a project"}


class Command(BaseCommand):
    """`make docs` puts it into the page."""

    help = "Print what each role lets one do, as docs/permissions.md has it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--into", type=Path, help="A page that has a place for it.")

    def handle(self, *, into: Path | None = None, **options: Any) -> None:
        if into is None:
            self.stdout.write(table())
        else:
            into.write_text(PLACE.sub(lambda place: f"{place[1]}{table()}{place[3]}", into.read_text()))


def table() -> str:
    """In Markdown, one row for each action."""
    return "\n\n".join(_part(scope, heading) for scope, heading in HEADINGS.items())


def _part(scope: Scope, heading: str) -> str:
    roles = " | ".join(role.word for role in GRANTABLE)
    lines = [f"| {heading} | {roles} |", "|---" * (len(GRANTABLE) + 1) + "|"]
    lines += [
        f"| {action.words} | {' | '.join(_cell(action, role) for role in GRANTABLE)} |"
        for action in Action
        if action.value.scope is scope
    ]
    return "\n".join(lines)


def _cell(action: Action, role: Role) -> str:
    if action.is_for(role):
        return "yes"
    return "one's own" if action.is_for(role, is_own=True) else ""
