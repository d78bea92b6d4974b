"""Schemas that lead back to themselves where they must not: they would take anything, or nothing at all."""

from collections.abc import Callable, Iterator
from typing import Any

from templates_app.schema_places import COMBINING, CONDITIONAL, referred

Json = Any
Schema = dict[str, Any]
# What stands in these is a value and no schema.
VALUES = frozenset({"const", "default", "enum", "examples"})
EMPTY = (
    "“{place}” leads back to itself with no property and no entry of a list on the way, so it says nothing. "
    "Take that reference away."
)
ENDLESS = (
    "“{place}” requires another of itself in each value, without end, so no value can be one. "
    "Let that part be left out, or be null."
)


def find_circle(root: Schema) -> str:
    """A sentence about a circle by which the schema cannot be used, or "" where there is none."""
    for follow, sentence in ((_same_value, EMPTY), (_required, ENDLESS)):
        if place := _circle(root, follow):
            return sentence.format(place=place)
    return ""


def _circle(root: Schema, follow: Callable[[Schema, Schema], Iterator[Json]]) -> str:
    """A reference in the circle, which has one: without, a document is a tree. No recursion: it may be long."""
    open_ones, done = set[int](), set[int]()
    for start in _schemas(root):
        waiting: list[tuple[Schema, Iterator[Json]]] = [(start, iter([start]))]
        open_ones.clear()
        while waiting:
            schema, ways = waiting[-1]
            after = next((way for way in ways if isinstance(way, dict) and id(way) not in done), None)
            if after is None:
                waiting.pop()
                done.add(id(schema))
            elif id(after) in open_ones:
                return next(str(each["$ref"]) for each, _ in reversed(waiting) if "$ref" in each)
            else:
                open_ones.add(id(after))
                waiting.append((after, follow(after, root)))
    return ""


def _schemas(root: Json) -> Iterator[Schema]:
    """Everything that may be a schema."""
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += [child for name, child in part.items() if name not in VALUES]
        elif isinstance(part, list):
            waiting += part


def _same_value(schema: Schema, root: Schema) -> Iterator[Json]:
    """What is asked about the very same value."""
    yield _reference(schema, root)
    for keyword in COMBINING:
        yield from _list(schema.get(keyword))
    for keyword in ("if", "not", *CONDITIONAL):
        yield schema.get(keyword)
    yield from _dict(schema.get("dependentSchemas")).values()


def _required(schema: Schema, root: Schema) -> Iterator[Json]:
    """What has to fit something in every value."""
    yield _reference(schema, root)
    yield from _list(schema.get("allOf"))
    if schema.get("type") == "object":
        properties = _dict(schema.get("properties"))
        yield from (properties.get(name) for name in _list(schema.get("required")) if isinstance(name, str))
    least, fixed = schema.get("minItems"), len(_list(schema.get("prefixItems")))
    if schema.get("type") == "array" and isinstance(least, int | float) and least > fixed:
        yield schema.get("items")


def _reference(schema: Schema, root: Schema) -> Json:
    reference = schema.get("$ref")
    is_pointer = isinstance(reference, str) and (reference == "#" or reference.startswith("#/"))
    return referred(reference, root) if is_pointer else None


def _dict(value: Json) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Any]:
    return value if isinstance(value, list) else []
