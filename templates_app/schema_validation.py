"""Checks values against a JSON Schema and says what is wrong in words a person can act on."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from typing import Any
from uuid import UUID

import jsonschema_rs
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy, ngettext
from jsonschema_rs import ValidationErrorKind as Kind
from pydantic import UUID1, UUID3, UUID4, UUID5, AnyUrl, TypeAdapter, ValidationError
from pydantic.networks import IPvAnyAddress, IPvAnyInterface, IPvAnyNetwork

from templates_app.address_rules import AddressRules
from templates_app.choice_rules import ChoiceRules
from templates_app.decimal_rules import DecimalRules, DigitRules
from templates_app.file_rules import FileRules, expected_words
from templates_app.moment_rules import OF_FORMAT, MomentRules
from templates_app.schema_circles import find_circle
from templates_app.suggestions import MOST_NAMED, did_you_mean, some_of, suggestion
from templates_app.text_rules import (
    PATTERN_WORDS,
    ContentRules,
    MediaRules,
    PatternRules,
    StrippedRules,
)
from zenweb.config.json_schema import (
    ADDRESS_SCHEMES,
    CHOICE_RULES,
    DECIMAL_RULES,
    DIGIT_RULES,
    FILE_RULES,
    FORM_HINTS,
    MOMENT_RULES,
    STRIPPED_RULES,
)
from zenweb.exceptions import FieldError, ValidationFailed
from zenweb.pointers import pointer_to

# A document deeper than this is hostile or broken; nobody writes it.
MAX_DEPTH = 100
MOST_VALUES = 100_000  # in one document
MOST_ERRORS = 200  # of one document: to word each takes time, and nobody reads more
Validator = jsonschema_rs.Draft202012Validator
MOST_SHOWN = 100  # characters
PARAMETER_DEPTH = 4  # steps, trainer, parameters, learning_rate
# What JSON Schema has no word for, or another one than pydantic: `https://müller.de` is an address to people,
# and a moment may lack the offset that RFC 3339 asks for. Whoever takes the value in the end says what it may be.
PYDANTIC_FORMATS: dict[str, TypeAdapter[Any]] = {
    "uri": TypeAdapter(AnyUrl),
    "uuid": TypeAdapter(UUID),
    "ipvanyaddress": TypeAdapter(IPvAnyAddress),
    "ipvanyinterface": TypeAdapter(IPvAnyInterface),
    "ipvanynetwork": TypeAdapter(IPvAnyNetwork),
    "ipv4interface": TypeAdapter(IPv4Interface),
    "ipv4network": TypeAdapter(IPv4Network),
    "ipv6interface": TypeAdapter(IPv6Interface),
    "ipv6network": TypeAdapter(IPv6Network),
    "uuid1": TypeAdapter(UUID1),
    "uuid3": TypeAdapter(UUID3),
    "uuid4": TypeAdapter(UUID4),
    "uuid5": TypeAdapter(UUID5),
}
# To pydantic `20260101` is a moment of 1970, which nobody means who types it.
BARE_NUMBER = re.compile(r"[+-]?[0-9.]+")
# Digits, a function such as rgb(…), or one word, which may be the name of a colour.
COLOUR = re.compile(
    r"#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})|(?:rgb|hsl)a?\([0-9a-z.,%/ ]{1,60}\)|[a-z]{3,30}"
)
TYPE_WORDS: dict[str, str | Promise] = {
    "string": gettext_lazy("a text"),
    "integer": gettext_lazy("a whole number"),
    "number": gettext_lazy("a number"),
    "boolean": gettext_lazy("true or false"),
    "array": gettext_lazy("a list"),
    "object": gettext_lazy("an object with named values"),
    "null": gettext_lazy("empty"),
}
FORMAT_WORDS: dict[str, str | Promise] = {
    "date": gettext_lazy("a date, such as 2026-03-01"),
    "date-time": gettext_lazy("a date and time, such as 2026-03-01T12:30:00+00:00"),
    "time": gettext_lazy("a time, such as 12:30:00"),
    "duration": gettext_lazy("a duration, such as PT1H30M"),
    "email": gettext_lazy("an e-mail address"),
    "uri": gettext_lazy("an address that starts with its scheme, such as https://"),
    "uuid": gettext_lazy("a UUID"),
    "color": gettext_lazy("a colour, such as #336699"),
    "ipv4": gettext_lazy("an IPv4 address, such as 192.168.0.1"),
    "ipv6": gettext_lazy("an IPv6 address, such as 2001:db8::1"),
    "ipvanyaddress": gettext_lazy("an IP address, such as 192.168.0.1"),
    **dict.fromkeys(
        ("ipvanyinterface", "ipv4interface"),
        gettext_lazy("an IP address with its network, such as 192.168.0.1/24"),
    ),
    "ipv6interface": gettext_lazy("an IPv6 address with its network, such as 2001:db8::1/64"),
    **dict.fromkeys(("ipvanynetwork", "ipv4network"), gettext_lazy("a network, such as 192.168.0.0/24")),
    "ipv6network": gettext_lazy("an IPv6 network, such as 2001:db8::/32"),
    "uuid1": gettext_lazy("a UUID of version 1"),
    "uuid3": gettext_lazy("a UUID of version 3"),
    "uuid4": gettext_lazy("a UUID of version 4"),
    "uuid5": gettext_lazy("a UUID of version 5"),
}


def check_schema(schema: Any) -> None:
    """Refuse what is not a usable JSON Schema, or what refers to anything outside itself."""
    if boundless := find_boundless(schema):
        raise ValidationFailed(f"The schema cannot be used: {boundless[0].message}")
    try:
        jsonschema_rs.meta.validate(schema)
        compile_schema(schema)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise ValidationFailed(f"The schema cannot be used: {str(error).splitlines()[0]}") from error
    if circle := find_circle(schema):
        raise ValidationFailed(f"The schema cannot be used: {circle}")


def find_errors(schema: dict[str, Any], value: Any, validator: Validator | None = None) -> list[FieldError]:
    """Everything that is wrong with the value, each thing once and at its place.

    `validator`: what the schema compiles to, where the caller keeps that.
    """
    if boundless := find_boundless(value):
        return boundless
    if unstorable := first_of(_unstorable(value)):
        return unstorable
    errors = (validator or compile_schema(schema)).iter_errors(value)
    return first_of(entry for error in errors for entry in _explain(error, schema))


def find_boundless(value: Any) -> list[FieldError]:
    """What is too deep, or has too many members, to be looked at any closer."""
    depth, number = _extent_of(value)
    if depth > MAX_DEPTH:
        sentence = gettext("This is nested more than %(depth)s levels deep.") % {"depth": MAX_DEPTH}
    elif number > MOST_VALUES:
        sentence = gettext("These are more than %(number)s values. Hand so many on as a file.")
        sentence %= {"number": f"{MOST_VALUES:,}"}
    else:
        return []
    return [FieldError("", sentence)]


def first_of(errors: Iterable[FieldError]) -> list[FieldError]:
    """Each of them once; of more than anybody reads the first, and that there are more."""
    found: dict[FieldError, None] = {}
    for error in errors:
        if len(found) == MOST_ERRORS and error not in found:
            sentence = gettext("More is wrong than these %(number)s things. Look at the others after these.")
            return [*found, FieldError("", sentence % {"number": MOST_ERRORS})]
        found[error] = None
    return list(found)


def _unstorable(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[FieldError]:
    """Texts with half a surrogate pair: JSON can write them, but no UTF-8 and so no database can."""
    if isinstance(value, str) and not _is_utf8(value):
        yield FieldError(
            pointer_to(path),
            gettext("This text has a character that cannot be stored (half a surrogate pair)."),
        )
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, child in children:
        if isinstance(name, str) and not _is_utf8(name):
            yield FieldError(pointer_to(path), gettext("A name here has a character that cannot be stored."))
        else:
            yield from _unstorable(child, (*path, name))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _extent_of(value: Any) -> tuple[int, int]:
    """How many levels of lists and objects a value has, and how many values; counted without recursion."""
    depth, number, level = 0, 1, [value]
    while level := [child for item in level for child in _children(item)]:
        depth, number = depth + 1, number + len(level)
        if depth > MAX_DEPTH or number > MOST_VALUES:
            break
    return depth, number


def place_words(path: Sequence[str | int]) -> str:
    """A path as a person reads it: the entries of a list count from 1."""
    entry = gettext("entry %(number)s")
    return ", ".join(entry % {"number": part + 1} if isinstance(part, int) else part for part in path)


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def compile_schema(schema: dict[str, Any]) -> Validator:
    return Validator(
        schema,
        validate_formats=True,
        formats=FORMATS,
        keywords=KEYWORDS,
        offline=True,  # a `$ref` is never fetched
        pattern_options=jsonschema_rs.RegexOptions(),  # linear time, whatever the pattern
    )


def standalone(schema: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    """A part of a schema as one of its own, with what it refers to."""
    return {**schema, **{name: root[name] for name in ("$defs", "definitions") if name in root}}


def accepts(schema: Any, root: Mapping[str, Any], value: Any) -> bool:
    """Whether a value fits a part of a schema, whose references are those of the whole."""
    if not isinstance(schema, Mapping):
        return schema is not False
    text = json.dumps(schema)
    try:
        if '"$ref"' not in text:
            return bool(_compiled(text).is_valid(value))
        return bool(compile_schema(standalone(schema, root)).is_valid(value))
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
        return False


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Validator:
    return compile_schema(json.loads(text))


def _is_of(adapter: TypeAdapter[Any], text: str) -> bool:
    try:
        adapter.validate_python(text)
    except ValidationError:
        return False
    return True


def _is_moment(adapter: TypeAdapter[Any], text: str) -> bool:
    return not BARE_NUMBER.fullmatch(text) and _is_of(adapter, text)


def _is_colour(text: str) -> bool:
    return bool(COLOUR.fullmatch(text.strip().lower()))


FORMATS: dict[str, Callable[[str], bool]] = {
    "color": _is_colour,
    **{name: partial(_is_of, adapter) for name, adapter in PYDANTIC_FORMATS.items()},
    **{name: partial(_is_moment, adapter) for name, adapter in OF_FORMAT.items()},
}
KEYWORDS: dict[str, Any] = {
    ADDRESS_SCHEMES: AddressRules,
    CHOICE_RULES: ChoiceRules,
    DECIMAL_RULES: DecimalRules,
    DIGIT_RULES: DigitRules,
    FILE_RULES: FileRules,
    MOMENT_RULES: MomentRules,
    STRIPPED_RULES: StrippedRules,
    "pattern": PatternRules,
    "contentMediaType": MediaRules,
    "contentSchema": ContentRules,
}


def _explain(error: jsonschema_rs.ValidationError, schema: dict[str, Any]) -> Iterator[FieldError]:
    path, kind = list(error.instance_path), error.kind
    if fixed := _fixed(path, schema):
        yield fixed
    elif expected := _expected_file(error, schema):
        yield FieldError(pointer_to(path), _must_be(expected))
    elif isinstance(kind, Kind.AdditionalProperties | Kind.UnevaluatedProperties):
        known = _known_names(schema, _at(schema, list(error.schema_path)[:-1]))
        for name in kind.unexpected:
            yield FieldError(pointer_to([*path, name]), unknown_name(name, known))
    elif isinstance(kind, Kind.Required):
        yield FieldError(pointer_to([*path, kind.property]), gettext("This value is required."))
    elif isinstance(kind, Kind.AnyOf | Kind.OneOfNotValid):
        yield from _explain_choice(error, kind.context, schema)
    elif isinstance(kind, Kind.PropertyNames):
        name = str(kind.error.instance)
        yield FieldError(
            pointer_to([*path, name]),
            gettext("The name “%(name)s”: %(error)s") % {"name": name, "error": _sentence(kind.error)},
        )
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
    value = gettext("“not set”") if part["const"] is None else _shown(part["const"])[:MOST_SHOWN]
    return FieldError(
        pointer_to(place),
        gettext("The owner of this template has fixed this at %(value)s.") % {"value": value},
    )


def _known_names(schema: dict[str, Any], part: dict[str, Any]) -> list[str]:
    """The names that an object may have here, those of what it refers to included."""
    return [*part.get("properties", {}), *_referred(schema, part).get("properties", {})]


def unknown_name(name: str, known: Sequence[str]) -> str:
    sentence = gettext("There is no %(name)r here.") % {"name": name}
    return f"{sentence}{_hint(name, known)}"


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
        if (word := _expected_file(inner, schema) or _expected_form(inner, schema) or _expected(inner))
    ]
    expected = gettext(" or ").join(dict.fromkeys(words)) or gettext("of one of the allowed forms")
    yield FieldError(pointer_to(list(error.instance_path)), _must_be(expected))


def _expected_file(error: jsonschema_rs.ValidationError, schema: dict[str, Any]) -> str:
    """What is missed where a file is to be given and something of another shape is."""
    if not isinstance(error.kind, Kind.Type | Kind.Required | Kind.AdditionalProperties):
        return ""
    part = _at(schema, list(error.schema_path)[:-1])
    return expected_words(part[FILE_RULES]) if FILE_RULES in part else ""


def _expected_form(error: jsonschema_rs.ValidationError, schema: dict[str, Any]) -> str:
    *place, keyword = error.schema_path
    pattern = _at(schema, place).get("pattern") if keyword == "pattern" else None
    return str(PATTERN_WORDS.get(pattern, "")) if isinstance(pattern, str) else ""


def _is_wrong_kind(inner: jsonschema_rs.ValidationError, outer: jsonschema_rs.ValidationError) -> bool:
    """Of another type, or with another tag (`kind: Literal["file"]`) than this form has."""
    place, within = list(inner.instance_path), list(outer.instance_path)
    if isinstance(inner.kind, Kind.Constant):
        return place[:-1] == within
    return isinstance(inner.kind, Kind.Type) and place == within


def _expected(error: jsonschema_rs.ValidationError) -> str:
    kind = error.kind
    if isinstance(kind, Kind.Type):
        return gettext(" or ").join(str(TYPE_WORDS.get(name, name)) for name in kind.types)
    if isinstance(kind, Kind.Format):
        return str(FORMAT_WORDS.get(kind.format, kind.format))
    return ""


_SENTENCES: dict[type[Any], Callable[[Any], str]] = {
    Kind.Minimum: lambda kind: gettext("This must be at least %(limit)s.") % {"limit": kind.limit},
    Kind.Maximum: lambda kind: gettext("This must be at most %(limit)s.") % {"limit": kind.limit},
    Kind.ExclusiveMinimum: lambda kind: gettext("This must be more than %(limit)s.") % {"limit": kind.limit},
    Kind.ExclusiveMaximum: lambda kind: gettext("This must be less than %(limit)s.") % {"limit": kind.limit},
    Kind.MultipleOf: lambda kind: (
        gettext("This must be a multiple of %(number)s.") % {"number": kind.multiple_of}
    ),
    Kind.MinLength: lambda kind: (
        ngettext(
            "This must have at least %(number)s character.",
            "This must have at least %(number)s characters.",
            kind.limit,
        )
        % {"number": kind.limit}
    ),
    Kind.MaxLength: lambda kind: (
        ngettext(
            "This must have at most %(number)s character.",
            "This must have at most %(number)s characters.",
            kind.limit,
        )
        % {"number": kind.limit}
    ),
    Kind.MinItems: lambda kind: (
        ngettext(
            "This must have at least %(number)s entry.",
            "This must have at least %(number)s entries.",
            kind.limit,
        )
        % {"number": kind.limit}
    ),
    Kind.MaxItems: lambda kind: (
        ngettext(
            "This must have at most %(number)s entry.",
            "This must have at most %(number)s entries.",
            kind.limit,
        )
        % {"number": kind.limit}
    ),
    Kind.UniqueItems: lambda _: gettext("Every entry may occur only once."),
    Kind.Constant: lambda kind: _must_be(some_of([_shown(kind.expected_value)])),
}


def _must_be(expected: str | Promise) -> str:
    return gettext("This must be %(expected)s.") % {"expected": expected}


def _sentence(error: jsonschema_rs.ValidationError) -> str:
    if expected := _expected(error):
        return _must_be(expected)
    if isinstance(error.kind, Kind.Enum):
        return _not_listed(error.instance, [_shown(option) for option in error.kind.options])
    words = _SENTENCES.get(type(error.kind))
    return words(error.kind) if words else str(error.message)


def _not_listed(value: Any, options: Sequence[str]) -> str:
    sentence = gettext("This must be one of: %(values)s.") % {"values": some_of(options)}
    # Where all are named, one sees which was meant.
    meant = did_you_mean(_shown(value), options) if len(options) > MOST_NAMED else ""
    return f"{sentence}{meant}"


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
