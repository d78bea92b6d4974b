"""JSON Schema as the server can check it, where pydantic's own says too little or too much."""

import builtins
import dataclasses
import enum
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta
from decimal import Decimal
from math import isfinite
from types import CodeType
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema, to_jsonable_python

# pydantic's own pattern looks ahead, which takes a machine without a time bound.
DECIMAL_PATTERN = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
DECIMAL_OR_NOT_FINITE = DECIMAL_PATTERN.replace("^", "^([+-]?(Infinity|NaN)|").replace("$", ")$")
# JSON Schema has bounds for numbers only, and a Decimal that keeps its digits is a text.
DECIMAL_RULES = "zenweb-decimal"
# Of a Decimal that comes as a number: {"max_digits": 5}; the float it is read as keeps only so many digits.
DIGIT_RULES = "zenweb-digits"
BOUNDS = ("gt", "ge", "lt", "le", "multiple_of")
DIGITS = ("max_digits", "decimal_places")
# JSON Schema knows no moments: {"zone": "naive" or "aware", "now": "past" or "future", "ge": "2026-01-01"}; of times of
# day and lengths of time the limits alone: {"le": "PT1H"}.
MOMENT_RULES = "zenweb-moment"
LIMITS = ("gt", "ge", "lt", "le")
# Of a text that is looked at without the blanks at its ends: {"minLength": 1}.
STRIPPED_RULES = "zenweb-stripped"
# How an address may start: ["http", "https"].
ADDRESS_SCHEMES = "zenweb-schemes"
# Beside `enum`, what values are called that do not say it themselves: [["#800", "Dark red"]].
LABELS = "zenweb-labels"
# A value that is made anew wherever none is given, so that there is none to show.
MADE_DEFAULT = "zenweb-made-default"
COLLECTIONS = (list, dict, set, frozenset, tuple)
# The names of a dictionary are texts in JSON, whatever the keys are in Python.
WHOLE_NUMBER_PATTERN = "^[+-]?[0-9]+$"
KEY_PATTERNS = {"int": WHOLE_NUMBER_PATTERN, "float": DECIMAL_OR_NOT_FINITE}
# What a parameter that takes a file takes: {"as": "path", "bytes" or "table", "types": [".csv"], "max_size": bytes}.
FILE_RULES = "zenweb-file"
# A default that is found when a run is asked for.
DYNAMIC_DEFAULT = "zenweb-default"
# How a parameter stands in the form: {"hidden", "locked", "markdown": true, "placeholder", "widget": a text}.
FORM_HINTS = "zenweb-form"
# At the root, the sections of the form: [{"title", "help", "parameters": ["trainer.learning_rate"]}].
SECTIONS = "zenweb-sections"
# What is chosen among what a worker is told: {"depends_on": ["region", "step.parameter"], "cache": s, "timeout": s}.
CHOICE_RULES = "zenweb-choices"


class ParameterSchema(GenerateJsonSchema):
    """pydantic's schemas, with what else the types say: of texts that are numbers or moments, of names and defaults."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> dict[str, Any]:
        described = super().decimal_schema(schema)
        for branch in described.get("anyOf", [described]):
            # A bound of 0 is read by people: not as 0.0.
            branch.update(
                {
                    key: int(limit)
                    for key, limit in branch.items()
                    if isinstance(limit, float) and limit.is_integer()
                }
            )
            digits = {name: schema[name] for name in DIGITS if schema.get(name) is not None}  # type: ignore[literal-required]
            if branch.get("type") == "number":
                branch[DIGIT_RULES] = digits
            if branch.get("type") == "string":
                branch["pattern"] = DECIMAL_OR_NOT_FINITE if schema.get("allow_inf_nan") else DECIMAL_PATTERN
                branch[DECIMAL_RULES] = {
                    **{name: str(schema[name]) for name in BOUNDS if schema.get(name) is not None},  # type: ignore[literal-required]
                    **digits,
                }
        return described

    def date_schema(self, schema: core_schema.DateSchema) -> dict[str, Any]:
        return _with_moment_rules(super().date_schema(schema), schema)

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> dict[str, Any]:
        return _with_moment_rules(super().datetime_schema(schema), schema)

    def time_schema(self, schema: core_schema.TimeSchema) -> dict[str, Any]:
        return _with_moment_rules(super().time_schema(schema), schema)

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> dict[str, Any]:
        return _with_moment_rules(super().timedelta_schema(schema), schema)

    def str_schema(self, schema: core_schema.StringSchema) -> dict[str, Any]:
        described = super().str_schema(schema)
        if schema.get("strip_whitespace") and schema.get("min_length"):
            return {**described, STRIPPED_RULES: {"minLength": schema["min_length"]}}
        return described

    def url_schema(self, schema: core_schema.UrlSchema) -> dict[str, Any]:
        return _with_schemes(super().url_schema(schema), schema)

    def multi_host_url_schema(self, schema: core_schema.MultiHostUrlSchema) -> dict[str, Any]:
        return _with_schemes(super().multi_host_url_schema(schema), schema)

    def enum_schema(self, schema: core_schema.EnumSchema) -> dict[str, Any]:
        described = super().enum_schema(schema)
        labels = _labels(schema["members"])
        return {**described, LABELS: labels} if labels else described

    def dict_schema(self, schema: core_schema.DictSchema) -> dict[str, Any]:
        described = super().dict_schema(schema)
        names = self._names(schema.get("keys_schema", {}), described)
        if patterns := described.pop("patternProperties", None):
            # The names tell the pattern: what does not match it by JavaScript's rules would have any value else.
            [described["additionalProperties"]] = patterns.values()
        return {**described, "propertyNames": names} if names else described

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> dict[str, Any]:
        described = super().dataclass_schema(schema)
        properties = described.get("properties", {})
        for field in dataclasses.fields(schema["cls"]):
            # As transformers' arguments are described.
            words = field.metadata.get("help")
            if isinstance(words, str) and field.name in properties:
                properties[field.name].setdefault("description", words)
        return described

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        if "default_factory" not in schema:
            return super().default_schema(schema)
        inner: Any = {key: value for key, value in schema.items() if not key.startswith("default_factory")}
        made = _told(schema)
        if made is not None:
            inner["default"] = made
        described = super().default_schema(inner)
        return described if "default" in described else {**described, MADE_DEFAULT: True}

    def _names(self, keys: Any, described: Mapping[str, Any]) -> dict[str, Any]:
        """What the names in a dictionary have to be, if pydantic's own schema does not say it."""
        if pattern := KEY_PATTERNS.get(keys.get("type")):
            return {"pattern": pattern}
        if patterns := described.get("patternProperties"):
            return {"pattern": next(iter(patterns))}
        names = described.get("propertyNames", {})
        found = self.get_schema_from_definitions(names["$ref"]) if "$ref" in names else names
        values = (found or {}).get("enum", [])
        return (
            {"enum": [str(value) for value in values]}
            if any(isinstance(value, int) and not isinstance(value, bool) for value in values)
            else {}
        )


def _with_moment_rules(described: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    rules = {
        "zone": schema.get("tz_constraint"),
        "now": schema.get("now_op"),
        **{name: _limit(limit) for name in LIMITS if (limit := schema.get(name)) is not None},
    }
    said = {name: rule for name, rule in rules.items() if isinstance(rule, str)}
    return {**described, MOMENT_RULES: said} if said else described


def _limit(limit: Any) -> Any:
    return to_jsonable_python(limit) if isinstance(limit, timedelta) else limit.isoformat()


def _with_schemes(described: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    schemes = schema.get("allowed_schemes")
    return {**described, ADDRESS_SCHEMES: list(schemes)} if schemes else described


def _labels(members: list[enum.Enum]) -> list[list[Any]]:
    """What the members of an enum are called; nothing where all of their values say as much as their names do."""
    if not any(_says_more(member) for member in members):
        return []
    return [[to_jsonable_python(member.value), _label(member)] for member in members]


def _label(member: enum.Enum) -> str:
    own = getattr(member, "label", None)  # as Django's enums have it
    if isinstance(own, str) and own:
        return own
    words = (member.name.lower() if member.name.isupper() else member.name).replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _says_more(member: enum.Enum) -> bool:
    """Whether its name tells a person more than its value: than 5 or `#800`, not than `random_forest` or two words."""
    value = member.value
    if isinstance(getattr(member, "label", None), str) or not isinstance(value, str):
        return True
    return not value[:1].isalpha() or (" " not in value and _letters(value) < _letters(member.name))


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _told(schema: Mapping[str, Any]) -> Any:
    """The default that a factory makes; None where another call may well make another one, and it is not called.

    Lists and the like need a factory to be no one's shared value; a plain value has one because it differs each time.
    """
    factory: Callable[[], Any] = schema["default_factory"]
    if schema.get("default_factory_takes_data") or not _makes_the_same(factory):
        return None
    try:
        made, again = factory(), factory()
        is_told = not _is_plain(made) and _is_constant(made) and bool(made == again)
    except Exception:  # noqa: BLE001  # user code: it may need what is there only in a run
        return None
    return made if is_told else None


def _makes_the_same(factory: Callable[[], Any]) -> bool:
    """Whether it can be seen that it only puts values together: `list`, `Layer`, `lambda: [Layer(units=8)]`."""
    if isinstance(factory, type):
        return _puts_together(factory)
    code = getattr(factory, "__code__", None)
    if code is None or code.co_freevars or any(isinstance(const, CodeType) for const in code.co_consts):
        return False
    if getattr(factory, "__defaults__", None) or getattr(factory, "__kwdefaults__", None):
        return False
    known = {**vars(builtins), **getattr(factory, "__globals__", {})}
    used = [known[name] for name in code.co_names if name in known]
    members = {member for kind in used if _is_enum(kind) for member in kind.__members__}
    return all(map(_puts_together, used)) and {*code.co_names} - known.keys() <= members


def _puts_together(kind: Any) -> bool:
    """Whether this is a class whose instances are what they are made of, and nothing of the moment."""
    if not isinstance(kind, type):
        return False
    if kind in COLLECTIONS or _is_enum(kind):
        return True
    if issubclass(kind, BaseModel):
        own = kind.__pydantic_decorators__
        if own.validators or own.field_validators or own.root_validators or own.model_validators:
            return False
        if kind.model_post_init is not BaseModel.model_post_init or kind.__init__ is not BaseModel.__init__:
            return False
        factories: list[Any] = [
            field.default_factory for field in kind.model_fields.values() if field.default_factory
        ]
    elif dataclasses.is_dataclass(kind) and not hasattr(kind, "__post_init__"):
        given = [field.default_factory for field in dataclasses.fields(kind)]
        factories = [each for each in given if each is not dataclasses.MISSING]
    else:
        return False
    return all(map(_makes_the_same, factories))


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    return value is None or isinstance(value, str | int | Decimal | enum.Enum | timedelta)


def _is_constant(value: Any) -> bool:
    """Whether it is made of plain values alone: no moments and UUIDs, which differ each time, no files, no secrets."""
    is_whole = isinstance(value, Mapping | list | tuple | AbstractSet | BaseModel)
    is_whole = is_whole or dataclasses.is_dataclass(value)
    return _is_plain(value) or (is_whole and all(map(_is_constant, _parts(value))))


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, BaseModel):
        yield from dict(value).values()
    elif dataclasses.is_dataclass(value):
        yield from (getattr(value, field.name) for field in dataclasses.fields(value))
    else:
        yield from value
