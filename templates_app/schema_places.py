"""What a schema says about the places in a value: what may stand there, and which of them hold secrets."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

from zenweb.execution import masking

Json = Any
Schema = dict[str, Any]
Path = tuple[str, ...]

# Keywords whose schemas may apply to the very same value.
COMBINING = ("anyOf", "oneOf", "allOf")
CONDITIONAL = ("then", "else")
HIDDEN: Final = masking.HIDDEN
"""What is shown in the place of a secret, wherever somebody may look."""
TYPE_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


def is_same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 5 is 5.0, and true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return bool(one == other)


class _Dropped:
    """Stands for a value that is left out."""


DROP: Final = _Dropped()


def step_sections(config_schema: Schema) -> dict[str, Json]:
    """What a configuration's schema says of each step; of a pipeline that has none, it may say nothing."""
    sections: dict[str, Json] = config_schema.get("properties", {}).get("steps", {}).get("properties", {})
    return sections


def schemas_at(root: Schema, path: Sequence[str], start: Schema | None = None) -> list[Schema]:
    """Every schema that may apply at a path, whichever alternative is chosen on the way; none where nothing is.

    The path leads from `start`, a part of the whole, or from the root.
    """
    here = _expanded([root if start is None else start], root)
    for part in path:
        here = schemas_below(root, here, part)
    return here


def schemas_below(root: Schema, here: Sequence[Schema], part: str | int) -> list[Schema]:
    """Every schema that may apply to a member of an object, by its name, or of a list, by its index.

    An index that is a text, as in a path, may be either.
    """
    return _expanded([child for schema in here for child in _children(schema, part)], root)


def referred(reference: Any, root: Mapping[str, Any]) -> Any:
    """What a reference within this document points at. One that leaves the document is not followed."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    here: Any = root
    for part in reference.removeprefix("#").split("/")[1:]:
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        here = _entry(here, name) if isinstance(here, list) else _dict(here).get(name)
    return here


def types_of(schemas: Sequence[Schema]) -> set[str]:
    """The JSON types that are allowed there, as far as they are said."""
    said: set[str] = set()
    for schema in schemas:
        kind = schema.get("type")
        said |= {kind} if isinstance(kind, str) else set(kind if isinstance(kind, list) else ())
        listed = schema.get("enum")
        values = [
            *(listed if isinstance(listed, list) else ()),
            *([schema["const"]] if "const" in schema else []),
        ]
        said |= {type_of(value) for value in values}
    return said


def type_of(value: Json) -> str:
    return TYPE_NAMES.get(type(value), "null")


def is_secret(schemas: Sequence[Schema]) -> bool:
    """Whether a value there may not be shown or kept."""
    return any(schema.get("format") == "password" or schema.get("writeOnly") is True for schema in schemas)


def holds_secret(schemas: Sequence[Schema], root: Schema) -> bool:
    """Whether there is a secret at this place or anywhere below it."""
    found, waiting = list[Schema](), list(schemas)
    seen: set[int] = set()
    while waiting:
        level = [schema for schema in _expanded(waiting, root) if id(schema) not in seen]
        seen |= {id(schema) for schema in level}
        found += level
        waiting = [child for schema in level for child in _all_children(schema)]
    return is_secret(found)


def replace_secrets(root: Schema, value: Json, replace: Callable[[Path], Json]) -> Json:
    """The value with something else for each secret in it. DROP leaves it out; a list of secrets goes as a whole."""
    return _replace(_expanded([root], root), root, value, (), replace)


def replace_secrets_below(root: Schema, path: Path, value: Json, replace: Callable[[Path], Json]) -> Json:
    """The same of what stands at a path; `replace` is told paths from the root. Far quicker than looking everywhere."""
    return _replace(schemas_at(root, path), root, value, path, replace)


def without_secrets(root: Schema, value: Json) -> Json:
    """The value as it may be kept or shown to others.

    In a choice of several forms null stands for a secret whose name alone tells which of them is meant.
    """
    return replace_secrets(root, value, lambda _: DROP)


def secrets_in(root: Schema, value: Json) -> list[Path]:
    """The places of all secrets that are set. In a choice of several forms, what one of them calls a secret is one."""
    found: list[Path] = []

    def note(path: Path) -> Json:
        found.append(path)
        return DROP

    replace_secrets(root, value, note)
    return found


def secrets_left_out(root: Schema, value: Json) -> list[Path]:
    """The places where null stands for a secret, as `without_secrets` leaves it where that tells the form."""
    found: list[Path] = []

    def look(here: list[Schema], value: Json, path: Path) -> None:
        if value is None and is_secret(here):
            found.append(path)
        pairs = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for key, member in pairs:
            below = schemas_below(root, here, str(key))
            if holds_secret(below, root):
                look(below, member, (*path, str(key)))

    look(_expanded([root], root), value, ())
    return found


def stand_ins_in(root: Schema, value: Json) -> list[Path]:
    """The places of secrets at which what is shown for one was sent back."""
    return (
        [path for path in secrets_in(root, value) if value_at(value, path) == HIDDEN]
        if _mentions(value)
        else []
    )


def undeclared_in(root: Schema, here: Sequence[Schema], value: Json, path: Path = ()) -> Iterator[Path]:
    """Members of objects that no type there declares, though it declares some: models drop what they do not forbid."""
    if isinstance(value, list):
        for index, member in enumerate(value):
            yield from undeclared_in(root, schemas_below(root, here, index), member, (*path, str(index)))
    elif isinstance(value, dict):
        declared = {name for schema in here for name in _dict(schema.get("properties"))}
        is_closed = bool(declared) and not any(map(_takes_any_name, here))
        for name, member in value.items():
            if is_closed and name not in declared:
                yield (*path, name)
            else:
                yield from undeclared_in(root, schemas_below(root, here, name), member, (*path, name))


def _takes_any_name(schema: Schema) -> bool:
    if schema.get("additionalProperties", False) is not False or "patternProperties" in schema:
        return True
    return schema.get("type") == "object" and "properties" not in schema


def _mentions(value: Json) -> bool:
    """Whether it is there anywhere: hardly ever, and looking for secrets takes longer."""
    if isinstance(value, dict | list):
        return any(map(_mentions, value.values() if isinstance(value, dict) else value))
    return bool(value == HIDDEN)


def value_at(value: Json, path: Path) -> Json:
    """What stands at the place of a secret that `replace_secrets` has told."""
    for key in path:
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def _replace(
    here: list[Schema], root: Schema, value: Json, path: Path, replace: Callable[[Path], Json]
) -> Json:
    if value in (None, "") or not holds_secret(here, root):
        return value
    if is_secret(here):
        return replace(path)
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    replaced = {}
    for key, member in pairs:
        below = schemas_below(root, here, str(key))
        replaced[key] = _replace(below, root, member, (*path, str(key)), replace)
    if isinstance(value, dict):
        kept = {str(key): member for key, member in replaced.items() if member is not DROP}
        telling = [key for key in value if key not in kept and _tells_the_form(here, root, key, kept)]
        return kept | dict.fromkeys(telling)
    if isinstance(value, list):
        return DROP if DROP in replaced.values() else list(replaced.values())
    return value


def contradicts(properties: Mapping[str, Any], value: Mapping[str, Json]) -> bool:
    """Whether a value says itself that it is of another form (`kind: Literal["csv"]`)."""
    return any(
        name in value and not is_same(value[name], raw["const"])
        for name, raw in properties.items()
        if isinstance(raw, dict) and "const" in raw
    )


def _tells_the_form(here: list[Schema], root: Schema, name: str, rest: Mapping[str, Json]) -> bool:
    """Whether without this name what is left of an object could be of a form that has no such name."""
    branches = [
        part for schema in here for keyword in ("anyOf", "oneOf") for part in _list(schema.get(keyword))
    ]
    forms = [_properties(branch, root) for branch in branches]
    return any(
        name not in properties and rest.keys() <= properties.keys() and not contradicts(properties, rest)
        for properties in forms
        if properties
    )


def _properties(schema: Any, root: Schema) -> dict[str, Any]:
    """What an object may have, whatever else depends on it."""
    parts = _expanded([schema], root)
    return {name: raw for part in parts for name, raw in _dict(part.get("properties")).items()}


def _expanded(schemas: Sequence[Any], root: Schema) -> list[Schema]:
    """The schemas with all that they refer to and combine, each once."""
    found, seen, waiting = list[Schema](), set[int](), list(schemas)
    while waiting:
        schema = waiting.pop()
        if not isinstance(schema, dict) or id(schema) in seen:
            continue
        seen.add(id(schema))
        found.append(schema)
        waiting.append(referred(schema.get("$ref"), root))
        waiting += [part for keyword in COMBINING for part in _list(schema.get(keyword))]
        waiting += [schema.get(keyword) for keyword in CONDITIONAL]
        waiting += _dict(schema.get("dependentSchemas")).values()
    return found


def _children(schema: Schema, part: str | int) -> Iterator[Any]:
    """What may apply to one member of an object or one entry of a list."""
    if isinstance(part, int):
        first = _list(schema.get("prefixItems"))
        yield first[part] if part < len(first) else schema.get("items")
        return
    properties = _dict(schema.get("properties"))
    if part in properties:
        yield properties[part]
    else:
        yield schema.get("additionalProperties")
    yield from _dict(schema.get("patternProperties")).values()
    if part.isdecimal():
        yield schema.get("items")
        yield from _list(schema.get("prefixItems"))


def _all_children(schema: Schema) -> Iterator[Any]:
    for keyword in ("properties", "patternProperties"):
        yield from _dict(schema.get(keyword)).values()
    yield schema.get("additionalProperties")
    yield schema.get("items")
    yield from _list(schema.get("prefixItems"))


def _entry(values: list[Any], index: str) -> Any:
    return next((value for number, value in enumerate(values) if str(number) == index), None)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
