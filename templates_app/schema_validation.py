"""Checks values against a JSON Schema and says what is wrong in words a person can act on."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import Any

import jsonschema_rs
from jsonschema_rs import ValidationErrorKind as Kind
from pydantic import TypeAdapter, ValidationError

from templates_app.choice_rules import ChoiceRules
from templates_app.decimal_rules import DecimalRules
from templates_app.file_rules import FileRules, expected_words
from zenweb.config.json_schema import (
    CHOICE_RULES,
    DECIMAL_OR_NOT_FINITE,
    DECIMAL_PATTERN,
    DECIMAL_RULES,
    FILE_RULES,
    FORM_HINTS,
)
from zenweb.config.suggestions import did_you_mean, suggestion
from zenweb.exceptions import FieldError, ValidationFailed

# A document deeper than this is hostile or broken; nobody writes it.
MAX_DEPTH = 100
Validator = jsonschema_rs.Draft202012Validator
MOST_NAMED = 12
MOST_SHOWN = 100  # characters
PARAMETER_DEPTH = 4  # steps, trainer, parameters, learning_rate
DURATION = TypeAdapter(timedelta)
# Digits, a function such as rgb(…), or one word, which may be the name of a colour.
COLOUR = re.compile(
    r"#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})|(?:rgb|hsl)a?\([0-9a-z.,%/ ]{1,60}\)|[a-z]{3,30}"
)
TYPE_WORDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object with named values",
    "null": "empty",
}
FORMAT_WORDS = {
    "date": "a date, such as 2026-03-01",
    "date-time": "a date and time, such as 2026-03-01T12:30:00+00:00",
    "time": "a time, such as 12:30:00",
    "duration": "a duration, such as PT1H30M",
    "email": "an e-mail address",
    "uri": "an address that starts with its scheme, such as https://",
    "uuid": "a UUID",
    "color": "a colour, such as #336699",
}


def check_schema(schema: Any) -> None:
    """Refuse what is not a usable JSON Schema, or what refers to anything outside itself."""
    if depth_of(schema) > MAX_DEPTH:
        raise ValidationFailed(f"The schema is nested more than {MAX_DEPTH} levels deep.")
    try:
        jsonschema_rs.meta.validate(schema)
        compile_schema(schema)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise ValidationFailed(f"The schema cannot be used: {str(error).splitlines()[0]}") from error


def find_errors(schema: dict[str, Any], value: Any, validator: Validator | None = None) -> list[FieldError]:
    """Everything that is wrong with the value, each thing once and at its place.

    `validator`: what the schema compiles to, where the caller keeps that.
    """
    if depth_of(value) > MAX_DEPTH:
        return [FieldError("", f"This is nested more than {MAX_DEPTH} levels deep.")]
    if unstorable := list(_unstorable(value)):
        return unstorable
    errors = (validator or compile_schema(schema)).iter_errors(value)
    found = (entry for error in errors for entry in _explain(error, schema))
    return list(dict.fromkeys(found))


def _unstorable(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[FieldError]:
    """Texts with half a surrogate pair: JSON can write them, but no UTF-8 and so no database can."""
    if isinstance(value, str) and not _is_utf8(value):
        yield FieldError(
            pointer_to(path), "This text has a character that cannot be stored (half a surrogate pair)."
        )
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, child in children:
        if isinstance(name, str) and not _is_utf8(name):
            yield FieldError(pointer_to(path), "A name here has a character that cannot be stored.")
        else:
            yield from _unstorable(child, (*path, name))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def depth_of(value: Any) -> int:
    """How many levels of lists and objects a value has; counted without recursion."""
    depth, level = 0, [value]
    while level := [child for item in level for child in _children(item)]:
        depth += 1
        if depth > MAX_DEPTH:
            break
    return depth


def pointer_to(path: Sequence[str | int]) -> str:
    """A path as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def compile_schema(schema: dict[str, Any]) -> Validator:
    return Validator(
        schema,
        validate_formats=True,
        formats={"date-time": _is_date_time, "time": _is_time, "duration": _is_duration, "color": _is_colour},
        keywords={CHOICE_RULES: ChoiceRules, DECIMAL_RULES: DecimalRules, FILE_RULES: FileRules},
        offline=True,  # a `$ref` is never fetched
        pattern_options=jsonschema_rs.RegexOptions(),  # linear time, whatever the pattern
    )


def accepts(schema: Any, root: Mapping[str, Any], value: Any) -> bool:
    """Whether a value fits a part of a schema, whose references are those of the whole."""
    if not isinstance(schema, Mapping):
        return schema is not False
    text = json.dumps(schema)
    try:
        if '"$ref"' not in text:
            return bool(_compiled(text).is_valid(value))
        definitions = {name: root[name] for name in ("$defs", "definitions") if name in root}
        return bool(compile_schema({**schema, **definitions}).is_valid(value))
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
        return False


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Validator:
    return compile_schema(json.loads(text))


def _is_date_time(text: str) -> bool:
    # Python's and pydantic's date-times may lack the offset that RFC 3339 asks for; so may their defaults.
    try:
        return "T" in text.upper().replace(" ", "T") and bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _is_time(text: str) -> bool:
    try:
        return ":" in text and time.fromisoformat(text) is not None
    except ValueError:
        return False


def _is_duration(text: str) -> bool:
    # pydantic writes 366 days as P1Y1D, which RFC 3339 does not know.
    try:
        return text.lstrip("+-")[:1] in {"P", "p"} and DURATION.validate_python(text) is not None
    except ValidationError:
        return False


def _is_colour(text: str) -> bool:
    return bool(COLOUR.fullmatch(text.strip().lower()))


def _explain(error: jsonschema_rs.ValidationError, schema: dict[str, Any]) -> Iterator[FieldError]:
    path, kind = list(error.instance_path), error.kind
    if fixed := _fixed(path, schema):
        yield fixed
    elif expected := _expected_file(error, schema):
        yield FieldError(pointer_to(path), f"This must be {expected}.")
    elif isinstance(kind, Kind.AdditionalProperties | Kind.UnevaluatedProperties):
        known = _known_names(schema, _at(schema, list(error.schema_path)[:-1]))
        for name in kind.unexpected:
            yield FieldError(pointer_to([*path, name]), f"There is no {name!r} here.{_hint(name, known)}")
    elif isinstance(kind, Kind.Required):
        yield FieldError(pointer_to([*path, kind.property]), "This value is required.")
    elif isinstance(kind, Kind.AnyOf | Kind.OneOfNotValid):
        yield from _explain_choice(error, kind.context, schema)
    else:
        yield FieldError(pointer_to(path), _sentence(error))


def _fixed(path: Sequence[str | int], schema: dict[str, Any]) -> FieldError | None:
    """Of a parameter that the template's owner has fixed, there is one thing to say, whatever else is wrong with it."""
    if len(path) < PARAMETER_DEPTH:
        return None
    place = path[:PARAMETER_DEPTH]
    part = _at(schema, [word for name in place for word in ("properties", str(name))])
    hints = part.get(FORM_HINTS)
    if not isinstance(hints, dict) or not hints.get("locked") or "const" not in part:
        return None
    value = "“not set”" if part["const"] is None else _shown(part["const"])[:MOST_SHOWN]
    return FieldError(pointer_to(place), f"The owner of this template has fixed this at {value}.")


def _known_names(schema: dict[str, Any], part: dict[str, Any]) -> list[str]:
    """The names that an object may have here, those of what it refers to included."""
    return [*part.get("properties", {}), *_referred(schema, part).get("properties", {})]


def _hint(name: str, known: Sequence[str]) -> str:
    return suggestion(name, known) if len(known) <= MOST_NAMED else did_you_mean(name, known)


def _explain_choice(
    error: jsonschema_rs.ValidationError,
    branches: Sequence[Sequence[jsonschema_rs.ValidationError]],
    schema: dict[str, Any],
) -> Iterator[FieldError]:
    """Of several allowed forms, tell what is wrong with the one that was meant."""
    meant = [branch for branch in branches if not any(_is_wrong_kind(inner, error) for inner in branch)]
    if len(meant) == 1:
        for inner in meant[0]:
            yield from _explain(inner, schema)
        return
    words = [
        word
        for branch in branches
        for inner in branch
        if (word := _expected_file(inner, schema) or _expected(inner))
    ]
    expected = " or ".join(dict.fromkeys(words))
    yield FieldError(
        pointer_to(list(error.instance_path)), f"This must be {expected or 'of one of the allowed forms'}."
    )


def _expected_file(error: jsonschema_rs.ValidationError, schema: dict[str, Any]) -> str:
    """What is missed where a file is to be given and something of another shape is."""
    if not isinstance(error.kind, Kind.Type | Kind.Required | Kind.AdditionalProperties):
        return ""
    part = _at(schema, list(error.schema_path)[:-1])
    return expected_words(part[FILE_RULES]) if FILE_RULES in part else ""


def _is_wrong_kind(inner: jsonschema_rs.ValidationError, outer: jsonschema_rs.ValidationError) -> bool:
    """Of another type, or with another tag (`kind: Literal["file"]`) than this form has."""
    place, within = list(inner.instance_path), list(outer.instance_path)
    if isinstance(inner.kind, Kind.Constant):
        return place[:-1] == within
    return isinstance(inner.kind, Kind.Type) and place == within


def _expected(error: jsonschema_rs.ValidationError) -> str:
    kind = error.kind
    if isinstance(kind, Kind.Type):
        return " or ".join(TYPE_WORDS.get(name, name) for name in kind.types)
    if isinstance(kind, Kind.Format):
        return FORMAT_WORDS.get(kind.format, kind.format)
    if isinstance(kind, Kind.Pattern):
        return _PATTERN_WORDS.get(kind.pattern, "")
    return ""


_PATTERN_WORDS = {
    DECIMAL_PATTERN: "a number, such as 12.50",
    DECIMAL_OR_NOT_FINITE: "a number, such as 12.50, or NaN or Infinity",
}
_SENTENCES: dict[type[Any], Callable[[Any], str]] = {
    Kind.Minimum: lambda kind: f"This must be at least {kind.limit}.",
    Kind.Maximum: lambda kind: f"This must be at most {kind.limit}.",
    Kind.ExclusiveMinimum: lambda kind: f"This must be more than {kind.limit}.",
    Kind.ExclusiveMaximum: lambda kind: f"This must be less than {kind.limit}.",
    Kind.MultipleOf: lambda kind: f"This must be a multiple of {kind.multiple_of}.",
    Kind.MinLength: lambda kind: (
        f"This must have at least {_counted(kind.limit, 'character', 'characters')}."
    ),
    Kind.MaxLength: lambda kind: f"This must have at most {_counted(kind.limit, 'character', 'characters')}.",
    Kind.MinItems: lambda kind: f"This must have at least {_counted(kind.limit, 'entry', 'entries')}.",
    Kind.MaxItems: lambda kind: f"This must have at most {_counted(kind.limit, 'entry', 'entries')}.",
    Kind.UniqueItems: lambda _: "Every entry may occur only once.",
    Kind.Pattern: lambda kind: f"This does not have the expected form ({kind.pattern}).",
    Kind.Enum: lambda kind: f"This must be one of: {', '.join(_shown(option) for option in kind.options)}.",
    Kind.Constant: lambda kind: f"This must be {_shown(kind.expected_value)}.",
}


def _sentence(error: jsonschema_rs.ValidationError) -> str:
    if expected := _expected(error):
        return f"This must be {expected}."
    words = _SENTENCES.get(type(error.kind))
    return words(error.kind) if words else str(error.message)


def _counted(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else str(jsonschema_rs.canonical.json.to_string(value))


def _at(schema: Any, path: Sequence[str | int]) -> dict[str, Any]:
    """The part of the schema at a path of keywords, through the `$ref`s on the way."""
    here = schema
    for part in path:
        if part == "$ref" and isinstance(here, dict):
            here = _referred(schema, here)
        else:
            here = here[int(part)] if isinstance(here, list) else here.get(part, {})
    return here if isinstance(here, dict) else {}


def _referred(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """What the `$ref` of a part of the schema points to; nothing where it has none."""
    names = str(part.get("$ref", "")).split("/")[1:]
    return _at(schema, [name.replace("~1", "/").replace("~0", "~") for name in names]) if names else {}
