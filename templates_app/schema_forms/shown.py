"""Values as people read them: durations and moments in words, models as titles with values, lists of them as tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format

from templates_app.schema_forms.schemas import Json, Parameter, Schema, label_of, read_parameters
from templates_app.schema_forms.times import duration_words
from templates_app.schema_places import is_same
from templates_app.schema_validation import accepts

DEEPEST = 6  # groups in each other; what is deeper stays JSON
MOST_ROWS = 50


@dataclass(frozen=True)
class Facts:
    """What a group of values holds: titles, each with what is shown of its value."""

    pairs: Sequence[tuple[str, Any]]


@dataclass(frozen=True)
class Table:
    """A list of groups of the same kind; a cell is None where an entry has no such value."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    more: int = 0
    """Entries beyond the rows."""


def shown(schema: Schema, value: Json, depth: int = 0) -> Any:
    """A value in the words of its schema: a text, Facts or a Table; the value itself where there is no better word."""
    for choice, label in schema.choices():
        if is_same(choice, value):
            return label
    if isinstance(value, str | int | float) and not isinstance(value, bool) and (unit := schema.text("unit")):
        return f"{label_of(value)} {unit}"
    branches = schema.branches()
    if fitting := [branch for branch in branches if accepts(branch.keywords, schema.root, value)]:
        return shown(fitting[0], value, depth)
    if isinstance(value, str):
        return _text(schema, value)
    if depth < DEEPEST and isinstance(value, Mapping) and value and schema.is_object:
        return _facts(schema, value, depth + 1)
    if depth < DEEPEST and isinstance(value, list):
        return _list(schema, value, depth + 1)
    return value


def _text(schema: Schema, value: str) -> Any:
    if schema.format == "duration":
        return duration_words(value) or value
    if schema.format != "date-time":
        return value
    try:
        moment = parse_datetime(value)
    except ValueError:
        return value
    if moment is None or timezone.is_naive(moment):
        return value
    local = timezone.localtime(moment)
    return f"{date_format(local, 'j F Y, H:i:s')} {local.tzname()}"


def _facts(schema: Schema, value: Mapping[str, Json], depth: int) -> Facts:
    known = _parts(schema)
    more = schema.additional() or Schema({}, schema.root)
    pairs = [
        (part.title, shown(part.schema, value[name], depth)) for name, part in known.items() if name in value
    ]
    return Facts(
        pairs + [(name, shown(more, entry, depth)) for name, entry in value.items() if name not in known]
    )


def _list(schema: Schema, value: list[Json], depth: int) -> Any:
    places, items = schema.prefix_items(), schema.items
    columns = _parts(items)
    if (
        columns
        and value
        and all(isinstance(entry, Mapping) and entry.keys() <= columns.keys() for entry in value)
    ):
        rows = [
            [
                shown(part.schema, entry[name], depth) if name in entry else None
                for name, part in columns.items()
            ]
            for entry in value[:MOST_ROWS]
        ]
        return Table([part.title for part in columns.values()], rows, len(value) - len(rows))
    return [
        shown(places[index] if index < len(places) else items, entry, depth)
        for index, entry in enumerate(value)
    ]


def _parts(schema: Schema) -> dict[str, Parameter]:
    return {part.name: part for part in read_parameters(schema.keywords, (), schema.root)}
