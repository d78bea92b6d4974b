"""A configuration schema and a curation make a configuration schema: the one that every channel judges by."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from templates_app.curation import Curation, ElementsCuration, ParameterCuration, Widget
from templates_app.schema_places import is_same, referred, step_sections
from zenweb.config.json_schema import DECIMAL_RULES, DYNAMIC_DEFAULT, FORM_HINTS, SECTIONS

Schema = dict[str, Any]
Key = tuple[str, str]
"""A step, and a parameter of it."""

# Each bound of a curation: JSON Schema's word for it, and that of the rules for decimal numbers.
NUMBERS = {
    "minimum": ("minimum", "ge"),
    "exclusive_minimum": ("exclusiveMinimum", "gt"),
    "maximum": ("maximum", "le"),
    "exclusive_maximum": ("exclusiveMaximum", "lt"),
    "multiple_of": ("multipleOf", "multiple_of"),
}
TEXTS = {"min_length": "minLength", "max_length": "maxLength", "pattern": "pattern"}
BOUNDS = (*NUMBERS, *TEXTS, "choices")
SECRET_BOUNDS = frozenset({"min_length", "max_length"})  # the others would write down what a secret may be
# A narrower bound of one kind leaves nothing to say for the pipeline's own of the other.
OTHERS = {"minimum": "exclusive_minimum", "maximum": "exclusive_maximum"}
OTHERS |= {other: name for name, other in OTHERS.items()}


def curate(config_schema: Schema, curation: Curation) -> Schema:
    """The schema with the owner's words in it. What it is made of stays as it is, and the curation must fit it."""
    known, curated = parameters_of(config_schema), config_schema
    for name, asked in curation.parameters.items():
        if (key := key_of(name)) in known:
            shaped = _shaped(known[key], asked, config_schema)
            curated = with_parameter(curated, key, shaped, is_required=False if asked.gives_value else None)
    if curation.sections:
        sections = [section.model_dump(exclude_defaults=True) for section in curation.sections]
        curated = {**curated, SECTIONS: sections}
    return curated


def defaults_of(curation: Curation) -> dict[str, dict[str, Any]]:
    """The values that parameters start from instead of the pipeline's own defaults, by step and name."""
    defaults: dict[str, dict[str, Any]] = {}
    for name, asked in curation.parameters.items():
        if asked.gives_value:
            step, parameter = key_of(name)
            defaults.setdefault(step, {})[parameter] = asked.value
    return defaults


def restricts(asked: ParameterCuration) -> bool:
    """Whether not every value that the pipeline takes may be given."""
    return asked.is_locked or any(getattr(asked, bound) is not None for bound in BOUNDS)


def key_of(name: str) -> Key:
    """`trainer.learning_rate` as a step and a parameter; a step's name may have dots in it."""
    step, _, parameter = name.rpartition(".")
    return step, parameter


def name_of(key: Key) -> str:
    return ".".join(filter(None, key))


def path_of_key(key: Key) -> tuple[str, ...]:
    """Where a configuration gives it."""
    step, name = key
    return ("steps", step, "parameters", name) if step else ("parameters", name)


def parameters_of(config_schema: Schema) -> dict[Key, Schema]:
    """Everything that the pipeline and its steps may be given and that a schema describes, in their order.

    Of the pipeline itself, the step is "".
    """
    own = _object(config_schema.get("properties", {}).get("parameters")).get("properties")
    return {("", name): schema for name, schema in _object(own).items() if isinstance(schema, dict)} | {
        (step, name): schema
        for step, section in step_sections(config_schema).items()
        for name, schema in _object(_object(section["properties"]["parameters"]).get("properties")).items()
        if isinstance(schema, dict)
    }


def is_required(config_schema: Schema, key: Key) -> bool:
    step, name = key
    if not step:
        return False
    section = step_sections(config_schema)[step]
    return name in section["properties"]["parameters"].get("required", ())


def parts_of(schema: Schema, root: Schema) -> list[Schema]:
    """What a value may be besides null: each alternative, its references followed."""
    whole = _inlined(schema, root)
    branches = next((whole[union] for union in ("anyOf", "oneOf") if union in whole), [whole])
    return [_inlined(branch, root) for branch in branches if not _is_null(branch)]


def kind_of(part: Schema) -> str:
    """What may be said about such a part of a schema."""
    if DECIMAL_RULES in part:
        return "decimal"
    if "enum" in part or "const" in part:
        return "choice"
    kinds = {"string": "text", "number": "number", "integer": "number", "boolean": "boolean"}
    types = part.get("type")
    types = [name for name in types if name != "null"] if isinstance(types, list) else [types]
    return kinds.get(types[0], "other") if len(types) == 1 else "other"


def takes(parts: Sequence[Schema], bound: str) -> bool:
    """Whether values of these kinds can be narrowed by such a bound."""
    kinds = {kind_of(part) for part in parts}
    if bound in NUMBERS:
        return bool(kinds) and kinds <= {"number", "decimal"}
    if bound in TEXTS:
        return kinds == {"text"}
    return kinds == {"choice"} or (len(parts) == 1 and kinds <= {"text", "number"})


def fitting_widgets(parts: Sequence[Schema]) -> list[Widget]:
    """The inputs that one can choose among, the usual one first; none where there is only one."""
    kinds = {kind_of(part) for part in parts}
    if kinds == {"choice"}:
        return [Widget.SELECT, Widget.RADIO]
    is_free_text = kinds == {"text"} and not any(
        part.get("format") in {"date", "date-time", "time", "duration", "password", "color"} for part in parts
    )
    return [Widget.LINE, Widget.PARAGRAPH] if is_free_text else []


def narrow(schema: Schema, asked: ParameterCuration, root: Schema) -> Schema:
    """The schema of a parameter with the bounds that are asked for."""
    if all(getattr(asked, bound) is None for bound in BOUNDS):
        return schema
    whole = _inlined(schema, root)
    union = next((union for union in ("anyOf", "oneOf") if union in whole), None)
    if union is None:
        return _narrow_part(whole, asked)
    branches = [
        branch if _is_null(branch) else _narrow_part(_inlined(branch, root), asked)
        for branch in whole[union]
        if not _is_left_out(branch, asked)
    ]
    return {**whole, union: branches}


def _narrow_part(part: Schema, asked: ParameterCuration) -> Schema:
    given = {name: limit for name in NUMBERS if (limit := getattr(asked, name)) is not None}
    dropped = [OTHERS[name] for name in given if name in OTHERS]
    narrowed = {
        word: value for word, value in part.items() if word not in {NUMBERS[name][0] for name in dropped}
    }
    if DECIMAL_RULES in part:
        rules = dict(part[DECIMAL_RULES])
        for name in dropped:
            rules.pop(NUMBERS[name][1], None)
        rules |= {NUMBERS[name][1]: str(limit) for name, limit in given.items()}
        return {**narrowed, DECIMAL_RULES: rules}
    narrowed |= {NUMBERS[name][0]: limit for name, limit in given.items()}
    narrowed |= {TEXTS[name]: limit for name in TEXTS if (limit := getattr(asked, name)) is not None}
    if asked.pattern is not None and "pattern" in part:
        # Both hold: which of two patterns is the narrower one, nobody can tell.
        narrowed["allOf"] = [*part.get("allOf", []), {"pattern": part["pattern"]}]
    if asked.choices is not None and "const" not in part:
        is_nullable = isinstance(part.get("type"), list) and "null" in part["type"]
        narrowed["enum"] = [*asked.choices, None] if is_nullable else list(asked.choices)
    return narrowed


def _is_left_out(branch: Schema, asked: ParameterCuration) -> bool:
    """Whether it is one of several labelled values, and not chosen."""
    return (
        asked.choices is not None
        and "const" in branch
        and not _is_null(branch)
        and not any(is_same(branch["const"], value) for value in asked.choices)
    )


def _shaped(schema: Schema, asked: ParameterCuration, root: Schema) -> Schema:
    if isinstance(asked, ElementsCuration):
        return _with_shaped_elements(schema, asked, root)
    shaped = dict(narrow(schema, asked, root))
    if asked.label:
        shaped["title"] = asked.label
    if asked.help:
        shaped["description"] = asked.help
    if asked.gives_value:
        shaped.pop(DYNAMIC_DEFAULT, None)
        shaped["default"] = asked.value
    if asked.is_locked:
        shaped["const"] = asked.locked
    hints = {
        "hidden": asked.hidden,
        "locked": asked.is_locked,
        "markdown": bool(asked.help),
        "placeholder": asked.placeholder,
        "widget": asked.widget.value if asked.widget else "",
    }
    if said := {name: hint for name, hint in hints.items() if hint}:
        shaped[FORM_HINTS] = said
    return shaped


def _with_shaped_elements(schema: Schema, asked: ElementsCuration, root: Schema) -> Schema:
    whole = _inlined(schema, root)
    elements = dict(narrow(_object(whole.get("items")), asked, root))
    if asked.is_locked:
        elements["const"] = asked.locked
    return {**whole, "items": elements}


def with_parameter(
    config_schema: Schema, key: Key, schema: Schema, *, is_required: bool | None = None
) -> Schema:
    """A copy in which a parameter has this schema; whether it is required stays as it is, unless that is said."""
    step, name = key

    def change(parameters: Schema) -> Schema:
        required = parameters.get("required", [])
        if is_required is not None and step:
            others = [each for each in required if each != name]
            required = [*others, name] if is_required else others
        return {**parameters, "properties": {**parameters["properties"], name: schema}, "required": required}

    path: tuple[str, ...] = ("properties", "steps", "properties", step, "properties", "parameters")
    if not step:
        path = ("properties", "parameters")
    return _changed(config_schema, path, change)


def _changed(schema: Schema, path: Sequence[str], change: Callable[[Schema], Schema]) -> Schema:
    """A copy with a changed part; all else is shared."""
    if not path:
        return change(schema)
    key, *rest = path
    return {**schema, key: _changed(schema[key], rest, change)}


def _inlined(schema: Any, root: Mapping[str, Any]) -> Schema:
    """The schema with what it refers to in its own words, so that these can be narrowed here alone."""
    keywords, seen = dict(_object(schema)), set[str]()
    while isinstance(reference := keywords.get("$ref"), str) and reference not in seen:
        seen.add(reference)
        del keywords["$ref"]
        found = referred(reference, root)
        keywords = {**_object(found), **keywords}
    return keywords


def _is_null(branch: Schema) -> bool:
    return branch.get("type") == "null" or ("const" in branch and branch["const"] is None)


def _object(value: Any) -> Schema:
    return value if isinstance(value, dict) else {}
