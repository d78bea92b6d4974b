"""Where a value holds secrets, as its JSON Schema tells: passwords, and what may be written but not read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
Path = tuple[str | int, ...]
MOST_PARTS = 200  # of one schema; definitions may refer to each other in circles


def secrets_in(schema: Any, value: Any) -> list[Path]:
    """The places of all secrets that are set. In a choice of several forms, what one of them calls a secret is one."""
    return list(_find([schema], value, schema, ()))


def without_secrets(schema: Any, value: Any) -> Any:
    """The value without its secrets; a list with secrets is left out whole, because its entries have no names."""
    for path in secrets_in(schema, value):
        value = _without(value, path)
    return value


def with_secrets_hidden(schema: Any, value: Any, stand_in: str) -> Any:
    """The value with the same word in place of each secret."""
    for path in secrets_in(schema, value):
        value = _replaced(value, path, stand_in)
    return value


def _find(schemas: Sequence[Any], value: Any, root: Any, path: Path) -> Iterator[Path]:
    parts = list(_parts(schemas, root))
    if value not in (None, "") and any(_is_secret(part) for part in parts):
        yield path
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from _find([_member(part, name) for part in parts], member, root, (*path, name))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _find([_entry(part, index) for part in parts], entry, root, (*path, index))


def _is_secret(part: Schema) -> bool:
    return part.get("format") == "password" or part.get("writeOnly") is True


def _parts(schemas: Sequence[Any], root: Any) -> Iterator[Schema]:
    """Every schema that these are made of: what they refer to, and each of their alternatives."""
    waiting, references = list(schemas), set[str]()
    for _ in range(MOST_PARTS):
        if not waiting:
            return
        part = waiting.pop()
        if not isinstance(part, dict):
            continue
        yield part
        reference = part.get("$ref")
        if isinstance(reference, str) and reference not in references:
            references.add(reference)
            waiting.append(_look_up(reference, root))
        for keyword in ("anyOf", "oneOf", "allOf"):
            if isinstance(members := part.get(keyword), list):
                waiting += members
        waiting += [part.get(keyword) for keyword in ("then", "else")]


def _look_up(reference: str, root: Any) -> Any:
    here = root
    for name in reference.removeprefix("#").split("/")[1:] if reference.startswith("#") else [""]:
        here = here.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(here, dict) else None
    return here


def _member(part: Schema, name: str) -> Any:
    known = part.get("properties")
    if isinstance(known, dict) and name in known:
        return known[name]
    return part.get("additionalProperties")


def _entry(part: Schema, index: int) -> Any:
    first = part.get("prefixItems")
    return first[index] if isinstance(first, list) and index < len(first) else part.get("items")


def _without(value: Any, path: Path) -> Any:
    name, *rest = path
    if not isinstance(value, dict) or name not in value:
        return value  # it went with a list that held it
    if rest and isinstance(rest[0], str):
        return {**value, name: _without(value[name], tuple(rest))}
    return {other: member for other, member in value.items() if other != name}


def _replaced(value: Any, path: Path, stand_in: str) -> Any:
    if not path:
        return stand_in
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _replaced(value[path[0]], path[1:], stand_in)
    return copy
