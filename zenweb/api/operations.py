"""What REST's description says of a view's method, written beside it: `@operation("List runs.", answer=Page[Run])`."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from zenweb.api.listing import (
    MOST_PER_PAGE,
    Absent,
    Column,
    Listing,
    Related,
    Tags,
    Whether,
    parse_bool,
    parse_time,
)

Json = dict[str, Any]
Method = TypeVar("Method", bound=Callable[..., Any])
TEXT: Json = {"type": "string"}
BYTES: Json = {"type": "string", "format": "binary"}
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Parameter:
    """What may stand in the address or a header, beside the path. `schema`: JSON Schema."""

    name: str
    description: str
    schema: Json = field(default_factory=lambda: TEXT)
    location: str = "query"
    is_required: bool = False


@dataclass(frozen=True)
class Operation:
    """`answer` and `body` are types: of both the description has the JSON Schema. None: nothing, or `null`."""

    summary: str
    answer: Any = None
    also: Mapping[str, Json] = field(default_factory=dict)
    """What else may be answered, by media type; a stream or a file. Alone where there is no `answer`: see `NOTHING`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What an answer may carry beside its content, each with a sentence."""
    otherwise: Mapping[int, tuple[str, Mapping[str, Json]]] = field(default_factory=dict)
    """Other statuses that are no errors: what each means, and its content by media type."""
    body: Any = None
    body_types: tuple[str, ...] = (JSON,)
    body_as: Mapping[str, Json] = field(default_factory=dict)
    """What else may be sent, by media type."""
    is_body_required: bool | None = None
    """None: where it has a key that must be there."""
    parameters: tuple[Parameter, ...] = ()
    errors: frozenset[int] = frozenset()
    """Beside those that every such method may answer."""
    example: Any = None
    """Of the body."""


NOT_JSON = object()
"""The `answer` of a method that answers only what `also` says."""


def operation(
    summary: str,
    *,
    parameters: Iterable[Parameter] = (),
    errors: Iterable[int] = (),
    **said: Any,
) -> Callable[[Method], Method]:
    def describe(method: Method) -> Method:
        method.operation = Operation(  # type: ignore[attr-defined]
            summary, parameters=tuple(parameters), errors=frozenset(errors), **said
        )
        return method

    return describe


BOOLEAN: Json = {"type": "boolean"}
HYDRATE = Parameter("hydrate", "Whether `metadata` is filled in.", BOOLEAN)
PROJECT = Parameter("project", "A project's name or id; usually `default`.")
PAGE = (
    Parameter("page", "The number of the page.", {"type": "integer", "minimum": 1, "default": 1}),
    Parameter(
        "size",
        "How many a page has.",
        {"type": "integer", "minimum": 1, "maximum": MOST_PER_PAGE, "default": 20},
    ),
)
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "Any text of your own. Sent again with the same body, nothing is done twice: the answer tells of what was made.",
    {"type": "string", "maxLength": 255},
    "header",
)
REPLAYED = {
    "Idempotent-Replayed": "`true`: this was asked for before, and the answer tells of what was made then."
}
DRY_RUN = Parameter("dry_run", "Only tell what would be done.", {"type": "boolean", "default": False})
KINDS: dict[Any, str] = {
    uuid.UUID: "An id.",
    parse_time: "A moment in UTC, such as `2026-11-29 06:30:00`.",
    parse_bool: "`True` or `False`.",
    int: "A whole number.",
    str: "A text.",
}


def listed(listing: Listing, *more: Parameter) -> tuple[Parameter, ...]:
    """What the address of a list takes: its filters, its order and its pages."""
    filters = [Parameter(name, _words(column)) for name, column in listing.columns.items()]
    order = [f"{direction}{name}" for name in listing.sortable for direction in ("", "asc:", "desc:")]
    return (
        *filters,
        Parameter(
            "sort_by",
            "Which field the list is sorted by.",
            {"type": "string", "enum": order, "default": listing.default_sort},
        ),
        Parameter(
            "logical_operator",
            "Whether all filters have to hold, or one of them.",
            {"type": "string", "enum": ["and", "or"], "default": "and"},
        ),
        *PAGE,
        HYDRATE,
        *more,
    )


def _words(column: Column) -> str:
    match column:
        case Related():
            return "A name or an id."
        case Tags():
            return "A tag, compared as a whole."
        case Whether():
            return "`True` or `False`."
        case Absent():
            return "Nothing here has one: with it the list is empty."
    return KINDS.get(column.parse, "`True` or `False`.")
