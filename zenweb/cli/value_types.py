"""What a parameter's schema says of a text that is typed for it: which value it is, and what it is called in help."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from math import isfinite
from typing import Any
from uuid import UUID

from zenweb.config.file_references import FileReference
from zenweb.config.json_schema import DECIMAL_RULES, FILE_RULES, LABELS
from zenweb.local_files import LocalFile
from zenweb.written_numbers import number_of

Schema = Mapping[str, Any]
MOST_REFERENCES = 50  # that lead to each other
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,4000}")
DECIMAL_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
JSON_TYPES = {
    "string": str,
    "integer": int,
    "number": int | float,
    "boolean": bool,
    "array": list,
    "object": dict,
}
WORDS = {"integer": "INTEGER", "number": "NUMBER", "string": "TEXT", "boolean": "true|false"}
METAVARS = {"date": "DATE", "date-time": "DATETIME", "time": "TIME", "duration": "DURATION", "uuid": "UUID"}


class Kind(StrEnum):
    """How a value is typed."""

    TEXT = "TEXT"
    NUMBER = "NUMBER"
    SWITCH = "SWITCH"
    CHOICE = "CHOICE"
    LIST = "LIST"
    OBJECT = "OBJECT"
    NAMES = "NAMES"  # an object whose names are not known beforehand
    FILE = "FILE"
    SECRET = "SECRET"  # noqa: S105  a kind
    ANY = "JSON"


@dataclass(frozen=True)
class ValueType:
    """The schema of one value, with the document that its references point into."""

    schema: Schema
    root: Schema

    @cached_property
    def words(self) -> dict[str, Any]:
        """The schema with what it refers to in its own words."""
        return _inlined(self.schema, self.root)

    @cached_property
    def parts(self) -> list[dict[str, Any]]:
        """Each alternative beside null."""
        branches = next((self.words[key] for key in ("anyOf", "oneOf") if key in self.words), [self.words])
        inlined = [_inlined(branch, self.root) for branch in branches]
        return [part for part in inlined if not _is_null(part)]

    @cached_property
    def types(self) -> set[str]:
        """JSON's words for what it may be; none where it may be anything."""
        return set().union(*map(_types, self.parts))

    @cached_property
    def is_nullable(self) -> bool:
        union = next((self.words[key] for key in ("anyOf", "oneOf") if key in self.words), None)
        is_one = any(_is_null(_inlined(branch, self.root)) for branch in union or ())
        return is_one or "null" in _types(self.words)

    @cached_property
    def kind(self) -> Kind:
        if self.holds_secret and self.types <= {"string"}:
            return Kind.SECRET
        if any(FILE_RULES in part for part in self.parts):
            return Kind.FILE
        if self.parts and all("enum" in part or "const" in part for part in self.parts):
            return Kind.CHOICE
        if self.types and self.types <= {"integer", "number"}:
            return Kind.NUMBER
        if self.types == {"string"} or any(DECIMAL_RULES in part for part in self.parts):
            return Kind.TEXT
        return self._whole_kind if len(self.parts) == 1 and len(self.types) == 1 else Kind.ANY

    @property
    def _whole_kind(self) -> Kind:
        [name] = self.types
        if name == "object":
            return Kind.OBJECT if self.parts[0].get("properties") else Kind.NAMES
        return {"boolean": Kind.SWITCH, "array": Kind.LIST}.get(name, Kind.ANY)

    @cached_property
    def holds_secret(self) -> bool:
        return any(node.get("writeOnly") is True for node in _nodes(self.words, self.root, set()))

    @cached_property
    def entry(self) -> "ValueType":
        """Of a list, what its entries are; of an object with any names, what stands under them."""
        [part] = self.parts
        found = part.get("items") if self.kind is Kind.LIST else part.get("additionalProperties")
        return ValueType(found if isinstance(found, dict) else {}, self.root)

    @property
    def members(self) -> dict[str, "ValueType"]:
        """The parts of an object that have flags of their own."""
        if self.kind is not Kind.OBJECT:
            return {}
        return {
            name: ValueType(schema, self.root)
            for name, schema in self.parts[0]["properties"].items()
            if isinstance(schema, dict) and re.fullmatch(r"[\w-]+", name)
        }

    @cached_property
    def choices(self) -> list[tuple[Any, str]]:
        """Values that may be chosen, each with what is typed for it."""
        found: list[tuple[Any, str]] = []
        for part in self.parts:
            labels = [(value, str(label)) for value, label in part.get(LABELS, ())]
            values = part.get("enum", [part["const"]] if "const" in part else [])
            for value in values:
                label = next((label for known, label in labels if known == value), part.get("title", ""))
                found.append(
                    (value, _typed(value) if isinstance(value, str) else str(label or _typed(value)))
                )
        return [(value, text) for value, text in found if value is not None]

    @property
    def metavar(self) -> str:
        """What stands beside the flag in help."""
        match self.kind:
            case Kind.CHOICE:
                return f"[{'|'.join(text for _, text in self.choices)}]"
            case Kind.LIST:
                return self.entry.metavar
            case Kind.OBJECT:
                return "JSON"
            case Kind.NAMES:
                return "NAME=VALUE"
            case Kind.NUMBER:
                return "INTEGER" if self.types == {"integer"} else "NUMBER"
            case Kind.TEXT:
                numeric = any(DECIMAL_RULES in part for part in self.parts)
                return "NUMBER" if numeric else METAVARS.get(str(self.parts[0].get("format")), "TEXT")
            case Kind.ANY if self.types and self.types <= WORDS.keys():
                return "|".join(words for name, words in WORDS.items() if name in self.types)
        return self.kind.value

    def value_of(self, text: str) -> Any:
        """The value that a text means; the text itself where it means none: the server then says what is wrong."""
        match self.kind:
            case Kind.FILE:
                return self._file(text)
            case Kind.CHOICE:
                return next((value for value, typed in self._spellings if typed == text), self._plain(text))
            case Kind.TEXT | Kind.SECRET:
                return text
            case Kind.NUMBER:
                return self._number(text)
        return self._plain(text)

    def list_of(self, texts: Sequence[str]) -> Any:
        """Of a flag that may be given several times: its entries, or the whole as JSON."""
        if len(texts) == 1 and texts[0].lstrip().startswith("["):
            whole = _json(texts[0])
            if isinstance(whole, list):
                return whole
        if len(texts) == 1 and self.is_nullable and texts[0] == "null":
            return None
        return [self.entry.value_of(text) for text in texts]

    def names_of(self, texts: Sequence[str]) -> Any:
        """NAME=VALUE, several times; or the whole as JSON. Raises ValueError."""
        if len(texts) == 1 and (texts[0].lstrip().startswith("{") or texts[0] == "null"):
            return _json(texts[0])
        found = {}
        for text in texts:
            name, equals, value = text.partition("=")
            if not equals:
                raise ValueError(f"write {text!r} as NAME=VALUE, or give the whole as JSON")
            found[name] = self.entry.value_of(value)
        return found

    @property
    def _spellings(self) -> Iterator[tuple[Any, str]]:
        yield from self.choices
        yield from ((value, _typed(value)) for value, _ in self.choices)

    def _plain(self, text: str) -> Any:
        """JSON where that is of a type that is taken, else the text."""
        value = _json(text)
        if value is None:
            return None if text == "null" and (self.is_nullable or not self.types) else text
        kinds = [JSON_TYPES[name] for name in self.types if name in JSON_TYPES]
        if isinstance(value, bool) and self.types and "boolean" not in self.types:
            return text
        return value if not self.types or any(isinstance(value, kind) for kind in kinds) else text

    def _number(self, text: str) -> Any:
        if WHOLE_NUMBER.fullmatch(text):
            return int(text)
        if text == "null" and self.is_nullable:
            return None
        if not DECIMAL_NUMBER.fullmatch(text):
            return text
        if self.types == {"integer"} and isfinite(float(text)) and _is_whole(Decimal(text)):
            return int(Decimal(text))  # of `1e23`, the float has other digits
        return number_of(text)

    def _file(self, text: str) -> Any:
        takes_text = "string" in self.types
        if text.startswith("@"):
            return LocalFile.at(text[1:]).path
        if text == "null" and self.is_nullable:
            return None
        if text.startswith("{"):
            return _json(text) or text
        try:
            return FileReference(str(UUID(text))).as_json()
        except ValueError:
            return text if takes_text else LocalFile.at(text).path


def _is_whole(number: Decimal) -> bool:
    return number == number.to_integral_value()


def _json(text: str) -> Any:
    """None where it is none, or where JSON proper has no such value."""
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=number_of)
    except (ValueError, RecursionError):
        return None


def _no_constant(name: str) -> Any:
    raise ValueError(f"JSON has no {name}")


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _types(schema: Schema) -> set[str]:
    said = schema.get("type")
    if said is None and "const" in schema:
        return {name for name, kind in JSON_TYPES.items() if isinstance(schema["const"], kind)}
    return {said} if isinstance(said, str) else set(said or ())


def _is_null(part: Schema) -> bool:
    return part.get("type") == "null" or ("const" in part and part["const"] is None)


def _inlined(schema: Any, root: Schema) -> dict[str, Any]:
    words = dict(schema) if isinstance(schema, dict) else {}
    for _ in range(MOST_REFERENCES):
        reference = words.pop("$ref", None)
        if not isinstance(reference, str):
            break
        words = {**_referred(reference, root), **words}
    return words


def _referred(reference: str, root: Any) -> dict[str, Any]:
    here = root
    for part in reference.removeprefix("#/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        here = here.get(key) if isinstance(here, dict) else None
    return here if isinstance(here, dict) else {}


def _nodes(node: Any, root: Schema, seen: set[str]) -> Iterator[Schema]:
    """A schema and all that it is made of, each reference followed once."""
    if isinstance(node, dict):
        yield node
        reference = node.get("$ref")
        if isinstance(reference, str) and reference not in seen:
            seen.add(reference)
            yield from _nodes(_referred(reference, root), root, seen)
        for member in node.values():
            yield from _nodes(member, root, seen)
    elif isinstance(node, list):
        for member in node:
            yield from _nodes(member, root, seen)
