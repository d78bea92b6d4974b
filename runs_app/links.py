"""Every filled form has an address that fills it again: values to a query, and back."""

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext

from runs_app.differences import keepable, values_in, with_secrets_hidden
from runs_app.run_configuration import Configuration
from templates_app.schema_forms.schemas import Parameter, read_steps, to_json
from templates_app.schema_forms.wording import shortened
from templates_app.schema_places import (
    HIDDEN,
    holds_secret,
    is_secret,
    schemas_at,
    secrets_in,
    type_of,
    types_of,
)
from templates_app.suggestions import did_you_mean
from zenweb.api.parsing import parse_json
from zenweb.exceptions import MalformedRequest

# What else the page of a template understands in its address.
PAGE_NAMES = frozenset({"preset", "from", "view", "page"})
EMPTY_TEXT = '""'
MOST_NOTES = 8
LONGEST = 8000  # browsers and proxies cut longer addresses, or refuse them


@dataclass(frozen=True)
class LinkedValues:
    """What an address says."""

    values: list[tuple[tuple[str, ...], Any]]
    """Paths in the configuration with their values."""
    notes: list[str]
    """What was left out, in sentences for whoever opened it."""

    def over(self, start: Configuration) -> Configuration:
        configuration = deepcopy(start)
        for path, value in self.values:
            here = configuration
            for key in path[:-1]:
                if not isinstance(here.get(key), dict):
                    here[key] = {}
                here = here[key]
            here[path[-1]] = value
        return configuration


def read_link(config_schema: Configuration, query: Mapping[str, str]) -> LinkedValues:
    """The values in an address. What is unknown, unreadable or secret is left out with a note, never an error."""
    parameters = {
        parameter.field_name: parameter for step in read_steps(config_schema) for parameter in step.parameters
    }
    values, notes = [], []
    for name, text in query.items():
        if name in PAGE_NAMES:
            continue
        path = _path_of(name, parameters)
        schemas = schemas_at(config_schema, path) if path else []
        label = f"“{shortened(name.rpartition('.')[2])}”"
        if not path or not schemas:
            known = did_you_mean(name, parameters)
            notes.append(
                gettext("There is no field “%(name)s”, so its value was ignored.") % {"name": shortened(name)}
                + known
            )
        elif is_secret(schemas):
            notes.append(_secret_note(label))
        else:
            try:
                value, has_secrets = _without_secrets(config_schema, path, read_text(text, schemas))
                values.append((path, value))
                notes += [_secret_note(label)] if has_secrets else []
            except ValueError as error:
                # A text that could not be read may have a secret in it, which no page shows.
                wrong = HIDDEN if holds_secret(schemas, config_schema) else shortened(text)
                notes.append(
                    gettext("%(label)s was ignored: “%(text)s” is not %(error)s.")
                    % {"label": label, "text": wrong, "error": error}
                )
    return LinkedValues(values, _bounded(notes))


def link_query(config_schema: Configuration, configuration: Mapping[str, Any]) -> str:
    """The query that fills the form with these values; nothing for what is as it is by default, or secret."""
    pairs = [
        (".".join(path), write_text(value, schemas_at(config_schema, path)))
        for path, value in values_in(keepable(config_schema, configuration))
    ]
    return urlencode(pairs)


def read_text(text: str, schemas: Sequence[dict[str, Any]]) -> Any:
    """A text of an address as a value. Raises ValueError with words for what it had to be."""
    types = types_of(schemas)
    if types == {"string"}:
        return text
    if types == {"string", "null"}:
        return {"": None, EMPTY_TEXT: ""}.get(text, text)
    if text == "" and "null" in types:
        return None
    try:
        value = parse_json(text.encode())
    except MalformedRequest:
        value = _number(text) if "number" in types else None
        if value is None and (not types or "string" in types):
            return text
    if value is not None and (not types or _fits(value, types)):
        return value
    if text == "null" and (not types or "null" in types):
        return None
    if "string" in types:
        return text
    raise ValueError(_words(types))


def write_text(value: Any, schemas: Sequence[dict[str, Any]]) -> str:
    """The text that `read_text` reads as the value: a text as it is wherever that is clear, else JSON."""
    types = types_of(schemas)
    if types == {"string", "null"} and value in (None, ""):
        return "" if value is None else EMPTY_TEXT
    if isinstance(value, str) and _reads_back(value, schemas):
        return value
    return to_json(value)


def _reads_back(text: str, schemas: Sequence[dict[str, Any]]) -> bool:
    try:
        read = read_text(text, schemas)
    except ValueError:
        return False
    return isinstance(read, str) and read == text


def _without_secrets(config_schema: Configuration, path: Sequence[str], value: Any) -> tuple[Any, bool]:
    """The value with a stand-in for each secret, which a form then asks for; and whether there was one."""
    *above, last = path
    whole: Configuration = {}
    here = whole
    for key in above:
        here = here.setdefault(key, {})
    here[last] = value
    found = secrets_in(config_schema, whole)
    here = with_secrets_hidden(config_schema, whole)
    for key in above:
        here = here[key]
    return here[last], bool(found)


def _secret_note(label: str) -> str:
    return gettext("%(label)s is secret: it cannot come from an address. Type it below.") % {"label": label}


def _path_of(name: str, parameters: Mapping[str, Parameter]) -> tuple[str, ...]:
    """The path of a field's name: a parameter, or a place inside of one; nothing where there is none."""
    if name in parameters:
        return parameters[name].path
    outer = [known for known in parameters if name.startswith(f"{known}.")]
    if not outer:
        return ()
    longest = max(outer, key=len)
    rest = name.removeprefix(f"{longest}.").split(".")
    # A place in a list has no address of its own: the list goes as a whole.
    return () if any(part.isdecimal() or not part for part in rest) else (*parameters[longest].path, *rest)


def _number(text: str) -> float | None:
    """As people write them: .5 and 1. and +3."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _fits(value: Any, types: set[str]) -> bool:
    kind = type_of(value)
    is_whole = kind == "number" and value.is_integer()
    return kind in types or (kind == "integer" and "number" in types) or (is_whole and "integer" in types)


def _words(types: set[str]) -> str:
    words = {
        "integer": gettext("a whole number"),
        "number": gettext("a number"),
        "boolean": gettext("true or false"),
        "array": gettext('a list in JSON, such as ["a", "b"]'),
        "object": gettext('an object in JSON, such as {"a": 1}'),
    }
    names = [
        word
        for name, word in words.items()
        if name in types and not (name == "integer" and "number" in types)
    ]
    return gettext(" or ").join(names) or gettext("of a kind that is allowed here")


def _bounded(notes: list[str]) -> list[str]:
    more = len(notes) - MOST_NOTES
    return [*notes[:MOST_NOTES], gettext("And %(more)s more.") % {"more": more}] if more > 0 else notes
