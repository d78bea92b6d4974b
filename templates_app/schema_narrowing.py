"""What one JSON Schema takes and another does not: compared keyword by keyword, without any value at hand.

It never says less than there is: where it cannot tell whether the new schema takes all that the old one took, it says
that it may not. A value that the old schema takes and the new one refuses is so always told of.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from django.utils.translation import gettext, gettext_lazy

from templates_app.schema_places import is_same, referred, type_of
from templates_app.schema_validation import TYPE_WORDS, accepts
from templates_app.suggestions import some_of
from zenweb.config.json_schema import (
    CHOICE_RULES,
    DECIMAL_RULES,
    DIGIT_RULES,
    DYNAMIC_DEFAULT,
    FORM_HINTS,
    LABELS,
    MADE_DEFAULT,
    SECTIONS,
)
from zenweb.pointers import pointer_to

Schema = Mapping[str, Any]
Path = tuple[str, ...]
EACH = "*"
"""In a path: any entry of a list, or a value of any other name."""
MOST_STEPS = 20_000  # of one comparison
ALL_TYPES = frozenset({"null", "boolean", "number", "string", "array", "object"})
# Keywords that say nothing of which values are taken.
SILENT = {
    *("$schema", "$id", "$anchor", "$comment", "$defs", "definitions", "title", "description", "default"),
    *("examples", "deprecated", "readOnly", "writeOnly", "discriminator", "contentMediaType"),
    *("contentEncoding", "contentSchema", LABELS, MADE_DEFAULT, DYNAMIC_DEFAULT, FORM_HINTS, SECTIONS),
}
# Those that are followed, or looked at together with others.
FOLLOWED = {"$ref", "allOf", "anyOf", "oneOf"}
OBJECT = {"properties", "additionalProperties", "unevaluatedProperties", "required"}
ARRAY = {"items", "prefixItems"}
LOWER = {"minimum": False, "exclusiveMinimum": True}
UPPER = {"maximum": False, "exclusiveMaximum": True}
AT_LEAST = {"minLength": "string", "minItems": "array", "minProperties": "object"}
AT_MOST = {"maxLength": "string", "maxItems": "array", "maxProperties": "object"}
OF_TYPE = {
    **dict.fromkeys(("pattern", "format"), "string"),
    **dict.fromkeys(("uniqueItems", "contains", "minContains", "maxContains", "unevaluatedItems"), "array"),
    **dict.fromkeys(
        ("propertyNames", "patternProperties", "dependentRequired", "dependentSchemas"), "object"
    ),
    "multipleOf": "number",
}
UNCHECKED_FORMATS = {"password"}
BOUND_WORDS = {
    "minimum": gettext_lazy("It takes no numbers below %(now)s any more (before: %(before)s)."),
    "exclusiveMinimum": gettext_lazy("It takes only numbers above %(now)s now (before: %(before)s)."),
    "maximum": gettext_lazy("It takes no numbers above %(now)s any more (before: %(before)s)."),
    "exclusiveMaximum": gettext_lazy("It takes only numbers below %(now)s now (before: %(before)s)."),
    "minLength": gettext_lazy("It takes no texts shorter than %(now)s any more (before: %(before)s)."),
    "maxLength": gettext_lazy("It takes no texts longer than %(now)s any more (before: %(before)s)."),
    "minItems": gettext_lazy("It has to have %(now)s entries at least now (before: %(before)s)."),
    "maxItems": gettext_lazy("It may have %(now)s entries at most now (before: %(before)s)."),
    "minProperties": gettext_lazy("It has to have %(now)s names at least now (before: %(before)s)."),
    "maxProperties": gettext_lazy("It may have %(now)s names at most now (before: %(before)s)."),
}


@dataclass(frozen=True)
class Narrowing:
    """Something that was taken at a place of a value, and is not now, or may not be."""

    path: Path
    sentence: str
    is_gone: bool = False
    """Whether there is no such place any more."""

    @property
    def pointer(self) -> str:
        return pointer_to(self.path)


@dataclass(frozen=True)
class _Part:
    """One of several schemas that hold together. `chosen`: of its alternatives, those that are looked at beside it."""

    schema: Schema
    chosen: tuple[tuple[str, int], ...] = ()

    @property
    def key(self) -> tuple[int, tuple[tuple[str, int], ...]]:
        return id(self.schema), self.chosen

    def get(self, keyword: str) -> Any:
        return self.schema.get(keyword)


All = tuple[_Part, ...]
"""Schemas that hold together."""
NEVER: Schema = {"not": {}}


def narrowings(before: Schema, now: Schema) -> list[Narrowing]:
    """Everything that the schema before takes and the one now does not, or may not; nothing where it takes all."""
    if before == now and json.dumps(before) == json.dumps(now):
        return []
    comparison = _Comparison(before, now)
    found = comparison.compare(comparison.before(before), comparison.now(now), (), frozenset())
    return list(dict.fromkeys(found))


@dataclass
class _Comparison:
    old_root: Schema
    new_root: Schema
    steps: int = 0
    texts: dict[int, str] = field(default_factory=dict)

    def before(self, schema: Any) -> All:
        return tuple(_parts(schema, self.old_root))

    def now(self, schema: Any) -> All:
        return tuple(_parts(schema, self.new_root))

    def compare(self, old: All, new: All, path: Path, above: frozenset[Any]) -> Iterator[Narrowing]:
        """`above`: what is being compared already, further up: values end, so it may be taken for granted."""
        key = (tuple(part.key for part in old), tuple(part.key for part in new))
        self.steps += 1
        if key in above or any(_is_never(part) for part in old):
            return
        if self.steps > MOST_STEPS:
            yield Narrowing(path, gettext("This is too large to be compared: it may take less now."))
            return
        above |= {key}
        if any(_is_never(part) for part in new):
            yield Narrowing(path, gettext("This is not taken any more."))
            return
        if (values := self._finite(old)) is not None:
            yield from self._of_values(values, old, new, path)
            return
        if (cases := self._cases(old)) is not None:
            for case in cases:
                yield from self.compare(case, new, path, above)
            return
        types = _types(old)
        for part in new:
            if not self._is_among(part.schema, old):
                yield from self._part(old, part, types, path, above)

    def _cases(self, old: All) -> list[All] | None:
        """What holds with each of the alternatives that stand there first; None: there are none."""
        for place, part in enumerate(old):
            for word in ("anyOf", "oneOf"):
                if word in part.schema and word not in dict(part.chosen):
                    branches = part.schema[word]
                    chosen = [
                        _Part(part.schema, (*part.chosen, (word, index))) for index in range(len(branches))
                    ]
                    return [
                        (*old[:place], each, *old[place + 1 :], *self.before(branch))
                        for each, branch in zip(chosen, branches, strict=True)
                    ]
        return None

    def _is_among(self, schema: Schema, old: All) -> bool:
        """Whether it stands there already, word for word, and refers to the same."""
        text = self._text(schema)
        return any(self._text(part.schema) == text for part in old) and self._means_the_same(text)

    def _means_the_same(self, text: str) -> bool:
        if '"$ref"' not in text:
            return True
        before, now = ({"$defs": root.get("$defs")} for root in (self.old_root, self.new_root))
        return json.dumps(before, sort_keys=True) == json.dumps(now, sort_keys=True)

    def _text(self, value: Any) -> str:
        if id(value) not in self.texts:  # all of it lives as long as the two schemas
            said = value
            if isinstance(value, Mapping):
                said = {word: value[word] for word in value if word not in SILENT}
            self.texts[id(value)] = json.dumps(said, sort_keys=True)
        return self.texts[id(value)]

    def _part(
        self, old: All, part: _Part, types: frozenset[str], path: Path, above: frozenset[Any]
    ) -> Iterator[Narrowing]:
        schema = part.schema
        if missing := types - _types((part,)) - ({"integer"} if "number" in _types((part,)) else set()):
            yield Narrowing(path, _type_words(missing, types, _types((part,))))
        types -= missing
        if not types:
            return
        yield from self._bounds(old, schema, types, path)
        if "object" in types and OBJECT & schema.keys():
            yield from self._object(old, part, path, above)
        if "array" in types and ARRAY & schema.keys():
            yield from self._array(old, schema, path, above)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                yield from self._alternatives(old, schema[word], word, path, above)
        yield from self._rest(old, schema, types, path)

    def _finite(self, old: All) -> list[Any] | None:
        """All that these can take, where that is a list."""
        for part in old:
            if "const" in part.schema:
                return [part.schema["const"]]
            if isinstance(part.get("enum"), list):
                return list(part.schema["enum"])
        types = _types(old)
        if types and types <= {"null", "boolean"}:
            return [value for value in (None, True, False) if type_of(value) in types]
        return None

    def _of_values(self, values: Sequence[Any], old: All, new: All, path: Path) -> Iterator[Narrowing]:
        taken = [v for v in values if all(accepts(part.schema, self.old_root, v) for part in old)]
        lost = [v for v in taken if not all(accepts(part.schema, self.new_root, v) for part in new)]
        if lost:
            sentence = gettext("It does not take %(values)s any more.")
            words = some_of([json.dumps(value, ensure_ascii=False) for value in lost])
            yield Narrowing(path, sentence % {"values": words})

    def _bounds(self, old: All, schema: Schema, types: frozenset[str], path: Path) -> Iterator[Narrowing]:
        for word, bound in schema.items():
            former: Any = None
            if word in LOWER and types & {"number", "integer"}:
                former = _tightest(old, LOWER, max)
                fits = former is not None and _is_above(former, (bound, LOWER[word]))
            elif word in UPPER and types & {"number", "integer"}:
                former = _tightest(old, UPPER, min)
                fits = former is not None and _is_below(former, (bound, UPPER[word]))
            elif word in AT_LEAST and AT_LEAST[word] in types:
                former = max((part.schema[word] for part in old if word in part.schema), default=0)
                fits, former = former >= bound, (former, False)
            elif word in AT_MOST and AT_MOST[word] in types:
                found = [part.schema[word] for part in old if word in part.schema]
                former = (min(found), False) if found else None
                fits = former is not None and former[0] <= bound
            else:
                continue
            if not fits:
                told = {"now": bound, "before": gettext("any") if former is None else former[0]}
                yield Narrowing(path, str(BOUND_WORDS[word]) % told)

    def _object(self, old: All, part: _Part, path: Path, above: frozenset[Any]) -> Iterator[Narrowing]:
        schema, known = part.schema, _names(old)
        for name in schema.get("required", ()):
            if not any(name in (each.get("required") or ()) for each in old):
                is_new = not self._may_have(old, name)
                sentence = gettext("It has to be given now, and was not there before.")
                yield Narrowing((*path, name), sentence if is_new else gettext("It has to be given now."))
        properties = schema.get("properties") or {}
        for name in dict.fromkeys([*known, *properties]):
            if self._may_have(old, name) and (there := self._taken_as(part, name)) is not None:
                if there is NEVER:
                    yield Narrowing((*path, name), gettext("It is gone."), is_gone=True)
                else:
                    below = self._member(old, name)
                    yield from self.compare(below, self.now(there), (*path, name), above)
        if self._may_have(old, None) and (rest := self._taken_as(part, None)) is not None:
            sentence = gettext("Other names than those that are listed are not taken any more.")
            if rest is NEVER:
                yield Narrowing(path, sentence)
            else:
                yield from self.compare(self._member(old, None), self.now(rest), (*path, EACH), above)

    def _may_have(self, old: All, name: str | None) -> bool:
        """Whether an object may have this name, None: one that nobody lists. Where that is unclear, it may."""
        return not any(_is_never(part) for part in self._member(old, name)) and not (
            any(part.get("unevaluatedProperties") is False for part in old)
            and (name is None or name not in _names(old))
            and not any(_may_evaluate_more(part) for part in old)
        )

    def _member(self, old: All, name: str | None) -> All:
        """What the value of a name has to be. What is left out here makes it more than it was, and never less."""
        found: list[_Part] = []
        for part in old:
            properties = part.get("properties") or {}
            if name is not None and name in properties:
                found += self.before(properties[name])
            elif "additionalProperties" in part.schema and "patternProperties" not in part.schema:
                found += self.before(part.schema["additionalProperties"])
        return tuple(found)

    def _taken_as(self, part: _Part, name: str | None) -> Any:
        """What the new schema asks of the value of a name; NEVER: it takes no such name. None: nothing."""
        schema = part.schema
        properties = schema.get("properties") or {}
        if name is not None and name in properties:
            return properties[name]
        if "additionalProperties" in schema:
            further = schema["additionalProperties"]
            return NEVER if further is False else further
        if "unevaluatedProperties" in schema and (
            name is None or name not in _evaluated(schema, self.new_root)
        ):
            further = schema["unevaluatedProperties"]
            return NEVER if further is False else further
        return None

    def _array(self, old: All, schema: Schema, path: Path, above: frozenset[Any]) -> Iterator[Narrowing]:
        first: Sequence[Any] = schema.get("prefixItems") or ()
        longest = max([len(first), *(len(part.get("prefixItems") or ()) for part in old)])
        lengths = [part.schema["maxItems"] for part in old if "maxItems" in part.schema]
        most = min(lengths, default=None)
        for index in range(longest if most is None else min(longest, most)):
            there = first[index] if index < len(first) else schema.get("items", True)
            yield from self.compare(self._entry(old, index), self.now(there), (*path, str(index)), above)
        if "items" in schema and (most is None or most > longest):
            entry = self._entry(old, longest)
            if schema["items"] is False:
                if not any(_is_never(part) for part in entry):
                    sentence = gettext("It may have %(now)s entries at most now (before: %(before)s).")
                    yield Narrowing(path, sentence % {"now": len(first), "before": gettext("any")})
                return
            yield from self.compare(entry, self.now(schema["items"]), (*path, EACH), above)

    def _entry(self, old: All, index: int) -> All:
        found: list[_Part] = []
        for part in old:
            first = part.get("prefixItems") or ()
            if index < len(first):
                found += self.before(first[index])
            elif "items" in part.schema:
                found += self.before(part.schema["items"])
        return tuple(found)

    def _alternatives(
        self, old: All, branches: Sequence[Any], word: str, path: Path, above: frozenset[Any]
    ) -> Iterator[Narrowing]:
        tried: list[list[Narrowing]] = []
        for index, branch in enumerate(branches):
            found = list(self.compare(old, self.now(branch), path, above))
            if not found and (word == "anyOf" or self._are_others_out(old, branches, index)):
                return
            tried.append(found or [Narrowing(path, gettext("It may fit several forms now."))])
        # What is wrong with the form that comes nearest: not one of another kind, if that can be.
        nearest = min(
            tried, key=lambda found: (any(each.path == path for each in found), len(found)), default=[]
        )
        yield from nearest or [Narrowing(path, gettext("This is not taken any more."))]

    def _are_others_out(self, old: All, branches: Sequence[Any], index: int) -> bool:
        """Whether what the old ones take is none of the other forms, of which only one may fit."""
        return all(
            self._is_apart(old, self.now(branch)) for place, branch in enumerate(branches) if place != index
        )

    def _is_apart(self, old: All, branch: All) -> bool:
        """Whether nothing is both: of different types, or with different values of a name that both have to say."""
        if not _overlap(_types(old), _types(branch)):
            return True
        named = [name for part in old for name in part.get("required") or ()]
        for name in named:
            ours = self._finite(self._member(old, name))
            theirs = [
                value
                for part in branch
                if name in (part.get("properties") or {})
                for value in self._finite(self.now(part.schema["properties"][name])) or [...]
            ]
            are_known = ours is not None and theirs and ... not in theirs
            if are_known and not any(is_same(one, other) for one in ours or () for other in theirs):
                return True
        return False

    def _rest(self, old: All, schema: Schema, types: frozenset[str], path: Path) -> Iterator[Narrowing]:
        """The keywords that are not looked into: where they are the same, they hold as before."""
        for word, said in schema.items():
            looked_into = word in SILENT | FOLLOWED | OBJECT | ARRAY | LOWER.keys() | UPPER.keys()
            if looked_into or word in AT_LEAST or word in AT_MOST or word in {"type", "enum", "const"}:
                continue
            kind = OF_TYPE.get(word)
            is_of_no_concern = kind is not None and not _overlap(types, frozenset({kind}))
            if is_of_no_concern or self._holds(word, said, old):
                continue
            yield Narrowing(path, _rest_words(word, said))
        if ("enum" in schema or "const" in schema) and self._finite(old) is None:
            values = schema["enum"] if "enum" in schema else [schema["const"]]
            words = some_of([json.dumps(value, ensure_ascii=False) for value in values])
            yield Narrowing(path, gettext("It takes only %(values)s now.") % {"values": words})

    def _holds(self, word: str, said: Any, old: All) -> bool:
        former = [part.schema[word] for part in old if word in part.schema]
        if word == "format" and said in UNCHECKED_FORMATS:
            return True
        if word == "multipleOf":
            return any(_is_multiple(each, said) for each in former)
        if word == DECIMAL_RULES:
            return any(_are_tighter(each, said) for each in former)
        if word == DIGIT_RULES:
            # What is only told apart, since it would be rounded, is no less than was taken before.
            return not said or any(_are_tighter(each, said) for each in former)
        if word == CHOICE_RULES:
            return bool(former)  # what may be chosen was asked for before, too
        text = json.dumps(said, sort_keys=True)
        is_there = any(json.dumps(each, sort_keys=True) == text for each in former)
        return (is_there and self._means_the_same(text)) or (word == "uniqueItems" and said is False)


def _parts(schema: Any, root: Schema) -> Iterator[_Part]:
    """A schema with all that it refers to and that holds beside it, each once."""
    seen, waiting = set[int](), [schema]
    while waiting:
        here = waiting.pop(0)
        if here is False:
            yield _Part(NEVER)
        if not isinstance(here, Mapping) or id(here) in seen:
            continue
        seen.add(id(here))
        yield _Part(here)
        if "$ref" in here:
            waiting.append(referred(here["$ref"], root))
        waiting += here.get("allOf") or ()


def _is_never(part: _Part) -> bool:
    return part.schema is NEVER or part.get("not") == {}


def _types(parts: All) -> frozenset[str]:
    """The JSON types that all of these take."""
    types = ALL_TYPES
    for part in parts:
        said = part.get("type")
        if isinstance(said, str | list):
            own = frozenset([said] if isinstance(said, str) else said)
            types = _intersection(types, own)
        if isinstance(part.get("enum"), list):
            types = _intersection(types, frozenset(map(type_of, part.schema["enum"])))
        elif "const" in part.schema:
            types = _intersection(types, frozenset({type_of(part.schema["const"])}))
    return types


def _intersection(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    both = one & other
    if ("number" in one and "integer" in other) or ("integer" in one and "number" in other):
        both |= {"integer"}
    return both


def _overlap(one: frozenset[str], other: frozenset[str]) -> bool:
    return bool(_intersection(one, other))


def _names(parts: All) -> list[str]:
    return [name for part in parts for name in part.get("properties") or {}]


def _may_evaluate_more(part: _Part) -> bool:
    words = {
        "additionalProperties",
        "patternProperties",
        "if",
        "then",
        "else",
        "dependentSchemas",
        "anyOf",
        "oneOf",
    }
    return bool(words & part.schema.keys())


def _evaluated(schema: Schema, root: Schema) -> set[str]:
    """The names that a schema surely looks at, itself and by what it refers to."""
    return {name for part in _parts(schema, root) for name in part.get("properties") or {}}


def _tightest(old: All, words: Mapping[str, bool], pick: Any) -> tuple[Any, bool] | None:
    found = [
        (part.schema[word], is_open) for part in old for word, is_open in words.items() if word in part.schema
    ]
    if not found:
        return None
    best = pick(bound for bound, _ in found)
    return best, any(is_open for bound, is_open in found if bound == best)


def _is_above(one: tuple[Any, bool], other: tuple[Any, bool]) -> bool:
    """Whether a lower bound keeps to another one; each with whether it is itself left out."""
    return bool(one[0] > other[0] or (one[0] == other[0] and (one[1] or not other[1])))


def _is_below(one: tuple[Any, bool], other: tuple[Any, bool]) -> bool:
    return bool(one[0] < other[0] or (one[0] == other[0] and (one[1] or not other[1])))


def _is_multiple(one: Any, other: Any) -> bool:
    # As they are written: what is 0.1 to people is 0.1.
    return (Fraction(str(one)) / Fraction(str(other))).denominator == 1


def _are_tighter(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether rules for a Decimal keep to others."""
    for word, said in other.items():
        if word not in one:
            return False
        if word in {"max_digits", "decimal_places"}:
            fits = one[word] <= said
        elif word in {"gt", "ge"}:
            fits = Fraction(one[word]) >= Fraction(said)
        elif word in {"lt", "le"}:
            fits = Fraction(one[word]) <= Fraction(said)
        else:
            fits = one[word] == said
        if not fits:
            return False
    return True


def _type_words(missing: Iterable[str], before: frozenset[str], now: frozenset[str]) -> str:
    if before == ALL_TYPES:
        missing = ()
    if not missing or set(missing) == before:
        return gettext("It has to be %(now)s now.") % {"now": _words(now)}
    return gettext("It may not be %(lost)s any more.") % {"lost": _words(missing)}


def _words(types: Iterable[str]) -> str:
    return gettext(" or ").join(str(TYPE_WORDS[name]) for name in TYPE_WORDS if name in set(types))


def _rest_words(word: str, said: Any) -> str:
    if word in {"pattern", "format"}:
        return gettext("It has to be of another form now (%(form)s).") % {"form": said}
    if word == "multipleOf":
        return gettext("It takes only multiples of %(number)s now.") % {"number": said}
    if word == "uniqueItems":
        return gettext("Every entry may occur only once now.")
    if word == CHOICE_RULES:
        return gettext("It is chosen now among what a worker is asked for.")
    return gettext("Another rule holds for it now (%(word)s), so it may take less.") % {
        "word": re.sub(r"^zenweb-", "", word)
    }
