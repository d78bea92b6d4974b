"""What a schema's bounds say, in words a person reads beside the input."""

from collections.abc import Iterable

from templates_app.schema_forms.schemas import Schema, Step, from_pointer, label_of
from zenweb.exceptions import FieldError

FORMATS = {
    "email": "An e-mail address",
    "idn-email": "An e-mail address",
    "uri": "A full address such as https://example.com",
    "uuid": "A UUID",
    "color": "A colour such as #336699",
    "ipv4": "An IPv4 address",
    "ipv6": "An IPv6 address",
    "hostname": "A host name",
    "time": "A time such as 14:30:00",
    "duration": "An ISO 8601 duration such as PT30M",
    "path": "A path",
    "file-path": "A path to a file",
    "directory-path": "A path to a folder",
}


def worded(error: FieldError, steps: Iterable[Step]) -> str:
    """An error with its parameter's title instead of its pointer."""
    path = from_pointer(error.pointer)
    for step in steps:
        for parameter in step.parameters:
            if path[:4] == parameter.path:
                inside = f", at {'/'.join(path[4:])}" if path[4:] else ""
                return f"“{parameter.title}” ({step.title}{inside}): {error.message}"
    return str(error)


def describe_bounds(schema: Schema) -> str:
    """One short phrase, such as "More than 0, at most 1", or "" where everything goes."""
    parts = [
        *_number_bounds(schema),
        *_count("minLength", "maxLength", schema, "character"),
        *_items_bounds(schema),
    ]
    if words := FORMATS.get(schema.format):
        parts.insert(0, words)
    phrase = ", ".join(
        part if index == 0 else part[:1].lower() + part[1:] for index, part in enumerate(parts)
    )
    if pattern := schema.text("pattern"):
        phrase += f"{', must' if phrase else 'Must'} match {pattern}"
    return phrase


def _number_bounds(schema: Schema) -> list[str]:
    low, high = schema.number("minimum"), schema.number("maximum")
    above, below = schema.number("exclusiveMinimum"), schema.number("exclusiveMaximum")
    step = schema.number("multipleOf")
    if low is not None and high is not None and above is None and below is None:
        parts = [f"From {label_of(low)} to {label_of(high)}"]
    else:
        bounds = [("More than", above), ("At least", low), ("Less than", below), ("At most", high)]
        parts = [f"{words} {label_of(bound)}" for words, bound in bounds if bound is not None]
    return [*parts, f"In steps of {label_of(step)}"] if step is not None else parts


def _items_bounds(schema: Schema) -> list[str]:
    parts = _count("minItems", "maxItems", schema, "entry")
    return [*parts, "Each only once"] if schema.keywords.get("uniqueItems") is True else parts


def _count(low_keyword: str, high_keyword: str, schema: Schema, unit: str) -> list[str]:
    low, high = schema.number(low_keyword), schema.number(high_keyword)
    if low and low == high:
        return [f"Exactly {_counted(low, unit)}"]
    if low and high is not None:
        return [f"From {label_of(low)} to {_counted(high, unit)}"]
    if low:
        return [f"At least {_counted(low, unit)}"]
    return [f"At most {_counted(high, unit)}"] if high is not None else []


def _counted(number: int | float, unit: str) -> str:
    plural = {"entry": "entries"}.get(unit, f"{unit}s")
    return f"{label_of(number)} {unit if number == 1 else plural}"
