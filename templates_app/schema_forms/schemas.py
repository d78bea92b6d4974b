"""Reading a JSON Schema that somebody else wrote: whatever it says, asking it a question never raises."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NoReturn, TypeAlias

from django.utils.translation import gettext

from templates_app.schema_places import referred
from zenweb.config.defaults import Source
from zenweb.config.json_schema import DYNAMIC_DEFAULT, FORM_HINTS, LABELS, MADE_DEFAULT, SECTIONS
from zenweb.written_numbers import number_of

Json: TypeAlias = Any
"""A value that came from JSON: dict, list, str, int, float, bool or None."""

# Definitions may refer to each other in circles; nobody nests this many "or null"s on purpose.
MAX_DEPTH = 20
LONGEST_DESCRIPTION, LONGEST_TITLE = 4_000, 200  # characters that are shown of one


class _Missing:
    """There is no value; None would be one."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()


@dataclass(frozen=True)
class Schema:
    """One schema, with its references followed and "or null" taken apart."""

    keywords: Mapping[str, Json]
    root: Mapping[str, Json]
    is_nullable: bool = False

    @classmethod
    def read(cls, raw: Json, root: Mapping[str, Json], depth: int = 0) -> "Schema":
        keywords = _follow_references(raw, root)
        for union in ("anyOf", "oneOf"):
            if isinstance(keywords.get(union), list) and depth < MAX_DEPTH:
                return cls._read_union(keywords, union, root, depth)
        return cls._read_plain(keywords, root)

    @classmethod
    def _read_plain(cls, keywords: dict[str, Json], root: Mapping[str, Json]) -> "Schema":
        nullable = False
        if isinstance(types := keywords.get("type"), list):
            nullable = "null" in types
            rest = [name for name in types if name != "null"]
            keywords = {**keywords, "type": rest[0] if len(rest) == 1 else rest}
        if isinstance(values := keywords.get("enum"), list) and None in values:
            nullable = True
            keywords = {**keywords, "enum": [value for value in values if value is not None]}
        return cls(keywords, root, nullable)

    @classmethod
    def _read_union(
        cls, keywords: dict[str, Json], union: str, root: Mapping[str, Json], depth: int
    ) -> "Schema":
        branches = [_follow_references(branch, root) for branch in keywords[union]]
        rest = [
            branch
            for branch in branches
            if branch.get("type") != "null" and branch.get("const", 0) is not None
        ]
        nullable = len(rest) < len(branches)
        outer = {name: value for name, value in keywords.items() if name != union}
        if len(rest) == 1:
            inner = cls.read(rest[0], root, depth + 1)
            return cls({**inner.keywords, **outer}, root, nullable or inner.is_nullable)
        return cls({**outer, union: rest}, root, nullable)

    @property
    def type(self) -> str:
        """The one type it allows, or "" where there is none or a choice of them."""
        return self.text("type")

    @property
    def format(self) -> str:
        return self.text("format")

    @property
    def items(self) -> "Schema":
        return Schema.read(self.keywords.get("items"), self.root)

    @property
    def is_object(self) -> bool:
        return self.type == "object" or (not self.type and bool(self.properties()))

    @property
    def is_composite(self) -> bool:
        """Whether its values consist of others."""
        return self.is_object or self.type == "array"

    def properties(self) -> Mapping[str, Json]:
        return _object(self.keywords.get("properties"))

    def prefix_items(self) -> list["Schema"]:
        """What stands at each place of a list of fixed length."""
        prefix = self.keywords.get("prefixItems")
        return [Schema.read(raw, self.root) for raw in prefix] if isinstance(prefix, list) else []

    def additional(self) -> "Schema | None":
        """What properties of any name hold; None where the schema allows none, or does not say."""
        for keyword in ("additionalProperties", "patternProperties"):
            found = self.keywords.get(keyword)
            if keyword == "patternProperties" and isinstance(found, Mapping) and len(found) == 1:
                found = next(iter(found.values()))
            if found is True or isinstance(found, Mapping):
                return Schema.read(found, self.root)
        return None

    def conditions(self) -> Iterator[tuple[Json, Json, Json]]:
        """Each `if` with its `then` and `else`; what depends on a property counts as one."""
        parts = self.keywords.get("allOf")
        for part in (self.keywords, *(map(_object, parts) if isinstance(parts, list) else ())):
            if "if" in part:
                yield part["if"], part.get("then"), part.get("else")
        for name, dependent in _object(self.keywords.get("dependentSchemas")).items():
            yield {"required": [name]}, dependent, None

    def text(self, keyword: str) -> str:
        value = self.keywords.get(keyword)
        return value if isinstance(value, str) else ""

    def number(self, keyword: str) -> int | float | None:
        value = self.keywords.get(keyword)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def branches(self) -> list["Schema"]:
        """The alternatives of a union, null left out."""
        for union in ("anyOf", "oneOf"):
            if isinstance(self.keywords.get(union), list):
                return [Schema.read(branch, self.root) for branch in self.keywords[union]]
        return []

    def choices(self) -> list[tuple[Json, str]]:
        """The values it lists, each with its label; empty where it does not list them."""
        return self._choices

    @cached_property
    def _choices(self) -> list[tuple[Json, str]]:
        if isinstance(values := self.keywords.get("enum"), list):
            if not (labels := self._labels()):
                return [(value, label_of(value)) for value in values]
            return [(value, labels.get(to_json(value)) or label_of(value)) for value in values]
        if "const" in self.keywords:
            return [(self.keywords["const"], label_of(self.keywords["const"]))]
        branches = [branch.keywords for branch in self.branches()]
        if branches and all("const" in branch for branch in branches):
            return [
                (branch["const"], _text(branch.get("title")) or label_of(branch["const"]))
                for branch in branches
            ]
        return []

    def label_for(self, value: Json) -> str:
        """What one of the values is called that it may list."""
        return self._labels().get(to_json(value)) or label_of(value)

    def _labels(self) -> dict[str, str]:
        """What values that it lists are called, by their JSON."""
        pairs = _list(self.keywords.get(LABELS))
        return {
            to_json(pair[0]): _text(pair[1]) for pair in pairs if isinstance(pair, list) and len(pair) == 2
        }


@dataclass(frozen=True)
class Parameter:
    """One value a person is asked for: where it goes, what it may be, what it starts from."""

    name: str
    path: tuple[str, ...]
    """Keys from the configuration's root, such as ("steps", "trainer", "parameters", "learning_rate")."""
    schema: Schema
    title: str
    description: str
    default: Json = MISSING
    is_required: bool = False
    within: tuple[str, ...] = ()
    """The titles of what it is a part of."""

    @property
    def full_title(self) -> str:
        """As it is called where it stands alone, such as in a list of errors."""
        return " → ".join(filter(None, [*self.within, self.title]))

    @property
    def step(self) -> str:
        """The name of its step; "" for one of the pipeline itself."""
        return self.path[1] if self.path[0] == "steps" else ""

    @property
    def field_name(self) -> str:
        return ".".join(self.path)

    @property
    def pointer(self) -> str:
        return to_pointer(self.path)

    @property
    def has_default(self) -> bool:
        return self.default is not MISSING

    @property
    def default_source(self) -> Source | None:
        """Where its default is found, if it is."""
        return Source.read(self.schema.keywords.get(DYNAMIC_DEFAULT))

    @property
    def is_secret(self) -> bool:
        """Whether its value may not be shown."""
        keywords = self.schema.keywords
        return self.schema.format == "password" or keywords.get("writeOnly") is True

    @property
    def hints(self) -> Mapping[str, Json]:
        """How it stands in the form, where the template's owner has said so."""
        return _object(self.schema.keywords.get(FORM_HINTS))

    @property
    def is_locked(self) -> bool:
        """Whether the owner has fixed its value, so that there is nothing to ask."""
        return self.hints.get("locked") is True and "const" in self.schema.keywords

    @property
    def is_markdown(self) -> bool:
        """Whether its description is written in it."""
        return self.hints.get("markdown") is True

    @property
    def is_hidden(self) -> bool:
        return self.hints.get("hidden") is True

    @property
    def is_beside_the_form(self) -> bool:
        """Whether it may be given, and the form does not ask for it."""
        return self.is_hidden and not self.is_locked

    @property
    def is_optional(self) -> bool:
        """Whether it may be "not set": None is allowed, or at least the default (`rate: float = None`)."""
        return (self.schema.is_nullable or self.default is None) and not self.is_found_later

    @property
    def is_found_later(self) -> bool:
        """Whether it is given a value when the run is accepted, if it has none by then."""
        return self.default_source is not None and not self.has_default and not self.is_required

    @property
    def is_made_in_code(self) -> bool:
        """Whether the code makes a value where none is given, which nobody can tell before."""
        return self.schema.keywords.get(MADE_DEFAULT) is True and not self.has_default

    @property
    def has_to_be_filled_in(self) -> bool:
        """Whether leaving it untouched says nothing yet: not even "not set"."""
        return self.is_required and not self.is_optional

    @property
    def may_be_empty(self) -> bool:
        """Whether a list or object without any entry is one that may be meant."""
        return not (self.schema.number("minItems") or self.schema.number("minProperties"))

    @property
    def unset(self) -> Json:
        """What "not set" is in a configuration: null, or nothing where the schema refuses null."""
        return None if self.schema.is_nullable and not self.is_made_in_code else MISSING


@dataclass(frozen=True)
class Step:
    """A step, or the pipeline itself, with what it may be given."""

    name: str
    """ "" of the pipeline."""
    title: str
    description: str
    parameters: tuple[Parameter, ...]


def read_steps(config_schema: Json) -> list[Step]:
    """The steps of a configuration schema with the parameters one may set, in the pipeline's order.

    Before them the pipeline itself, if it has parameters of its own.
    """
    root = _object(config_schema)
    properties = _object(root.get("properties"))
    steps = _object(_object(properties.get("steps")).get("properties"))
    own = tuple(read_parameters(_object(properties.get("parameters")), ("parameters",), root))
    words = gettext("What the pipeline is put together with: other values may make other steps.")
    pipeline = [Step("", gettext("Pipeline"), words, own)] if own else []
    return [
        *pipeline,
        *(_read_step(name, _follow_references(raw, root), root) for name, raw in steps.items()),
    ]


@dataclass(frozen=True)
class FormSection:
    """A part of the form that the template's owner has made."""

    title: str
    help: str
    """Markdown."""
    names: tuple[str, ...]
    """Of its parameters, each after its step: `trainer.learning_rate`."""


def read_sections(config_schema: Json) -> list[FormSection]:
    """The owner's sections, in the owner's order."""
    found = _object(config_schema).get(SECTIONS)
    return [
        FormSection(
            _text(raw.get("title")), _text(raw.get("help")), tuple(map(str, _list(raw.get("parameters"))))
        )
        for raw in map(_object, _list(found))
    ]


def _read_step(name: str, keywords: Mapping[str, Json], root: Mapping[str, Json]) -> Step:
    parameters = _follow_references(_object(keywords.get("properties")).get("parameters"), root)
    return Step(
        name=name,
        title=_shortened(_text(keywords.get("title")) or humanise(name), LONGEST_TITLE),
        description=_shortened(_text(keywords.get("description")), LONGEST_DESCRIPTION),
        parameters=tuple(read_parameters(parameters, ("steps", name, "parameters"), root)),
    )


def read_parameters(
    keywords: Mapping[str, Json], path: tuple[str, ...], root: Mapping[str, Json]
) -> Iterator[Parameter]:
    """The properties of an object schema, each as something to ask for under `path`."""
    required = keywords.get("required")
    for name, raw in _object(keywords.get("properties")).items():
        schema, own = Schema.read(raw, root), _object(raw)
        default = own.get("default", MISSING)
        yield Parameter(
            name=name,
            path=(*path, name),
            schema=schema,
            # A referenced definition is titled after its class, which says nothing about this parameter.
            title=_shortened(_text(own.get("title")) or humanise(name), LONGEST_TITLE),
            description=_shortened(
                _text(own.get("description")) or schema.text("description"), LONGEST_DESCRIPTION
            ),
            default=default,
            is_required=default is MISSING and isinstance(required, list) and name in required,
        )


def spoken(title: str) -> str:
    """The name of a class as words: `CsvSource` as `Csv source`. What has spaces was written to be read."""
    if " " in title or not title[:1].isupper():
        return title
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", title).split(" ")
    return " ".join([words[0], *(word if word.isupper() else word.lower() for word in words[1:])])


def humanise(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


def label_of(value: Json) -> str:
    return value if isinstance(value, str) else to_json(value)


def to_json(value: Json, indent: int | None = None) -> str:
    if type(value) is int:  # lists have tens of thousands of them, and this is five times as fast
        return str(value)
    return json.dumps(value, ensure_ascii=False, indent=indent, default=str)


def read_json(text: str) -> Json:
    """What a JSON text says. Raises ValueError, also for what only Python takes for JSON: NaN, 1e999, a key twice."""
    try:
        return json.loads(text, parse_constant=_refuse_number, parse_float=_finite, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise ValueError(
            gettext("This is not valid JSON (line %(line)s, column %(column)s: %(error)s).")
            % {"line": error.lineno, "column": error.colno, "error": error.msg}
        ) from None
    except RecursionError:
        raise ValueError(gettext("This JSON is nested too deeply.")) from None


def to_pointer(path: tuple[str, ...]) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def _follow_references(raw: Json, root: Mapping[str, Json], seen: set[str] | None = None) -> dict[str, Json]:
    """The schema's keywords with those of what it refers to, and of what it joins; its own say more and win.

    Each reference is followed once: circles end, and what is joined twice says the same twice.
    """
    keywords = dict(_object(raw))
    seen = set() if seen is None else seen
    while True:
        if isinstance(reference := keywords.pop("$ref", None), str) and reference not in seen:
            seen.add(reference)
            keywords = {**_object(referred(reference, root)), **keywords}
        elif _joins_descriptions(keywords.get("allOf")):
            own = {key: value for key, value in keywords.items() if key != "allOf"}
            parts = [_follow_references(part, root, seen) for part in keywords["allOf"]]
            keywords = _joined([*parts, own])
            if "allOf" in keywords:
                return keywords
        else:
            return keywords


def _joins_descriptions(parts: Json) -> bool:
    """Whether an `allOf` has no conditions in it."""
    return isinstance(parts, list) and bool(parts) and not any("if" in _object(part) for part in parts)


def _joined(parts: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """One description of what several say: later ones say more and win, properties come together."""
    joined: dict[str, Json] = {}
    for part in parts:
        properties = {**_object(joined.get("properties")), **_object(part.get("properties"))}
        required = [
            name
            for required in (joined.get("required"), part.get("required"))
            if isinstance(required, list)
            for name in required
        ]
        joined |= part
        joined |= {"properties": properties} if properties else {}
        joined |= {"required": required} if required else {}
    return joined


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(gettext("%(text)s is not a number that JSON can hold.") % {"text": text})


def _finite(text: str) -> int | float:
    return number if abs(number := number_of(text)) != float("inf") else _refuse_number(text)


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(gettext("The key “%(name)s” is there twice.") % {"name": repeated})
    return value


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
