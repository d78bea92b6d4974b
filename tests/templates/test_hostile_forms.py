"""Schemas that were made to hurt: a form in bounded time, and nothing of theirs that acts."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from crispy_forms.utils import render_crispy_form
from django.template.loader import render_to_string

from runs_app.run_configuration import validate
from templates_app.schema_forms import ConfigurationForm
from templates_app.schema_validation import check_schema
from templates_app.shaping import Shape
from tests.templates.sending import sent
from zenweb.exceptions import ValidationFailed

P = "steps.trainer.parameters.p"
LIMIT = 10  # seconds of work
EVIL = "<script>alert(1)</script>"
OBJECT = {"type": "object"}


def whole(parameter: Any, definitions: dict[str, Any] | None = None) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"p": parameter}}
    step = {"type": "object", "properties": {"parameters": parameters}}
    steps = {"type": "object", "properties": {"trainer": step}}
    return {"type": "object", "$defs": definitions or {}, "properties": {"steps": steps}}


def page_of(schema: dict[str, Any], data: Any = None) -> str:
    return str(render_crispy_form(ConfigurationForm(schema, validate=validate, data=data)))


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


TWICE = {
    "Twice": {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/Twice"}, "b": {"$ref": "#/$defs/Twice"}},
    }
}
JOINED = {f"J{n}": {"allOf": [{"$ref": f"#/$defs/J{n + 1}"}] * 2} for n in range(60)} | {
    "J60": {"type": "string"}
}
CHOSEN = {f"C{n}": {"anyOf": [{"$ref": f"#/$defs/C{n + 1}"}, {"type": "integer"}]} for n in range(60)}
CHOSEN |= {"C60": {"type": "string"}}
HOSTILE: dict[str, tuple[Any, dict[str, Any]]] = {
    "without end": ({"$ref": "#/$defs/Twice"}, TWICE),
    "joined again and again": ({"$ref": "#/$defs/J0"}, JOINED),
    "kinds of kinds": ({"$ref": "#/$defs/C0"}, CHOSEN),
    "in a circle": (
        {"allOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]},
        {"A": {"allOf": [{"$ref": "#/$defs/B"}]}, "B": {"allOf": [{"$ref": "#/$defs/A"}]}},
    ),
    "deep": (nested(90), {}),
    "wide": ({"type": "object", "properties": {f"x{n}": {"type": "string"} for n in range(20_000)}}, {}),
    "many kinds": (
        {"anyOf": [{"type": "object", "properties": {f"k{n}": {"const": n}}} for n in range(2_000)]},
        {},
    ),
    "a huge list": ({"type": "array", "items": OBJECT, "default": [{"a": 1}] * 20_000}, {}),
    "slow pattern": ({"type": "string", "pattern": "^(a+)+$", "default": "a" * 50_000 + "!"}, {}),
    "elsewhere": ({"anyOf": [{"$ref": "https://example.com/x.json"}, {"$ref": "file:///etc/passwd"}]}, {}),
    "many values": ({"enum": [f"value-{n}" for n in range(50_000)], "default": "value-7"}, {}),
    "many values in rows": (
        {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"a": {"enum": list(range(20_000)), "description": "x" * 1_000_000}},
            },
            "default": [{"a": 5}] * 20,
        },
        {},
    ),
    "tuple": ({"type": "array", "prefixItems": [{"$ref": "#/$defs/Twice"}] * 50, "items": False}, TWICE),
    "conditions": (
        {
            "type": "object",
            "properties": {"a": {"type": "integer"}},
            "allOf": [
                {
                    "if": {"properties": {"a": {"const": n}}},
                    "then": {"properties": {f"x{n}": {"type": "string"}}},
                }
                for n in range(300)
            ],
        },
        {},
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_schema_makes_a_form_in_bounded_time(case: str) -> None:
    parameter, definitions = HOSTILE[case]
    schema = whole(parameter, definitions)
    began = time.process_time()
    page = page_of(schema)
    if case != "elsewhere":  # which no template is made of, see below
        page_of(schema, sent(page))
    assert time.process_time() - began < LIMIT
    assert f'name="{P}' in page


MOST_SHOWN = 20_000  # characters for one parameter
MANY = {"enum": [f"value-{n}" for n in range(10_000)], "default": "value-7"}


@pytest.mark.parametrize("typed", [None, "value-7", "velue-9999"])
def test_of_many_values_few_are_shown(typed: str | None) -> None:
    page = page_of(whole(MANY), None if typed is None else {P: typed})
    assert len(page) < MOST_SHOWN
    assert f"There are 10,000. {20 if typed == 'velue-9999' else 21} are shown" in page


def test_many_values_are_searched_on_the_server() -> None:
    schema = whole({**MANY, "type": "string"})
    page = page_of(schema, {P: "value-7", f"{P}.~search": "999", "do": f"show - {P}"})
    assert 'value="value-9990"' in page
    assert 'value="value-8"' not in page
    form = ConfigurationForm(schema, validate=validate, data={P: "value-9990", f"{P}.~search": "999"})
    assert form.is_valid(), form.errors
    assert form.configuration["steps"]["trainer"]["parameters"] == {"p": "value-9990"}


def test_a_wrong_value_is_told_a_few_of_many() -> None:
    [error] = validate(whole(MANY), {"steps": {"trainer": {"parameters": {"p": "velue-9999"}}}})
    assert error.message.endswith("value-11 and 9,988 more. Did you mean 'value-9999'?")
    assert len(error.message) < 300


def test_the_owner_gets_a_card_of_bounded_size_for_many_values() -> None:
    deployment = SimpleNamespace(config_schema=whole(MANY))
    shape = Shape(SimpleNamespace(deployment=deployment, curation={}))  # type: ignore[arg-type]
    page = render_to_string(
        "templates_app/_form_card.html", {"card": shape.cards["trainer.p"], "shape": shape}
    )
    assert len(page) < MOST_SHOWN
    card = shape.cards["trainer.p"]
    card.texts |= {"value": "value-9", "choices": "value-8\nvalue-9"}
    assert card.entry() == {"choices": ["value-8", "value-9"], "default": "value-9"}


def test_a_description_is_shown_up_to_a_few_thousand_characters() -> None:
    page = page_of(whole({"type": "string", "title": "T" * 1_000_000, "description": "x" * 10_000_000}))
    assert len(page) < MOST_SHOWN
    assert f"{'x' * 4000}…" in page


@pytest.mark.parametrize(
    "parameter",
    [
        {"type": "string", "title": EVIL, "description": EVIL, "default": EVIL, "pattern": EVIL},
        {"type": "object", "title": EVIL, "properties": {EVIL: {"type": "integer", "title": EVIL}}},
        {
            "type": "array",
            "title": EVIL,
            "items": {"type": "object", "title": EVIL, "properties": {EVIL: {"enum": [EVIL]}}},
            "default": [{EVIL: EVIL}],
        },
        {
            "anyOf": [
                {"title": EVIL, "const": EVIL},
                {"title": EVIL, "type": "object", "properties": {EVIL: {}}},
            ],
            "default": {EVIL: EVIL},
        },
        {"type": "object", "additionalProperties": {"type": "string"}, "default": {EVIL: EVIL}},
        {"type": "array", "uniqueItems": True, "items": {"enum": [EVIL, "b"]}, "default": [EVIL]},
        {
            "type": "string",
            "title": EVIL,
            "default": EVIL,
            "zenweb-choices": {"depends_on": [EVIL], "cache": 1, "timeout": 1},
        },
    ],
)
def test_markup_in_a_schema_is_text(parameter: Any) -> None:
    page = page_of(whole(parameter))
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    assert EVIL not in page_of(whole(parameter), sent(page))


@pytest.mark.parametrize("name", ["__proto__", "constructor", "a.b", "a~b", "a%2Eb", "ü", " ", "", "~", "0"])
def test_any_name_goes_there_and_back(name: str) -> None:
    value = {name: 1, "other": 2}
    properties = {
        "type": "object",
        "properties": {name: {"type": "integer"}, "other": {"type": "integer"}},
        "default": value,
    }
    for parameter in (
        properties,
        {"type": "object", "additionalProperties": {"type": "integer"}, "default": {"other": 2}},
    ):
        schema = whole(parameter)
        form = ConfigurationForm(schema, validate=validate, data=sent(page_of(schema)))
        assert form.is_valid(), form.errors
        assert form.configuration["steps"]["trainer"]["parameters"]["p"] == parameter["default"]


@pytest.mark.parametrize(
    "schema",
    [
        whole(nested(1000)),
        whole({"$ref": "https://example.com/x.json"}),
        whole({"$ref": "file:///etc/passwd"}),
    ],
    ids=["deep", "url", "file"],
)
def test_a_template_is_not_made_of_what_is_too_deep_or_elsewhere(schema: dict[str, Any]) -> None:
    with pytest.raises(ValidationFailed):
        check_schema(schema)


SELF = {"$ref": "#/$defs/A"}


@pytest.mark.parametrize(
    ("definitions", "words"),
    [
        ({"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}, "leads back to itself"),
        ({"A": {"allOf": [SELF]}}, "leads back to itself"),
        ({"A": {"anyOf": [{"type": "integer"}, SELF]}}, "leads back to itself"),
        ({"A": {"not": {"oneOf": [SELF]}}}, "leads back to itself"),
        ({"A": {"if": SELF, "then": {"type": "integer"}}}, "leads back to itself"),
        ({"A": {"type": "object", "required": ["a"], "properties": {"a": SELF}}}, "no value can be one"),
        ({"A": {"type": "array", "minItems": 1, "items": SELF}}, "no value can be one"),
    ],
)
def test_a_template_is_not_made_of_a_circle_that_says_nothing(definitions: Any, words: str) -> None:
    with pytest.raises(ValidationFailed, match=words) as refused:
        check_schema(whole(SELF, definitions))
    assert "“#/$defs/" in str(refused.value)


@pytest.mark.parametrize(
    "definition",
    [
        {"type": "object", "properties": {"a": SELF}},
        {"type": "object", "required": ["a"], "properties": {"a": {"anyOf": [SELF, {"type": "null"}]}}},
        {"type": "object", "required": ["a"], "properties": {"a": {"type": "array", "items": SELF}}},
        {"anyOf": [{"type": "integer"}, {"type": "object", "additionalProperties": SELF}]},
        {"type": "object", "properties": {"$ref": {"default": SELF}, "not": {"const": SELF}}},
    ],
)
def test_a_template_is_made_of_what_goes_on_in_its_parts(definition: Any) -> None:
    check_schema(whole(SELF, {"A": definition}))


@pytest.mark.parametrize(
    "unread", [{"type": "array", "minItems": "3", "items": {}}, {"type": "object", "required": [["a"]]}]
)
def test_what_stands_under_an_unknown_keyword_is_no_fault(unread: Any) -> None:
    check_schema({"type": "object", "x": unread})


def test_circles_are_looked_for_in_bounded_time() -> None:
    began = time.process_time()
    check_schema(whole(SELF, {**TWICE, **JOINED, **CHOSEN, "A": HOSTILE["many kinds"][0]}))
    assert time.process_time() - began < LIMIT


@pytest.mark.parametrize(
    "hints",
    [
        {"zenweb-form": {"locked": True}},
        {"zenweb-form": "locked"},
        {"zenweb-form": {"placeholder": {"a": 1}, "widget": [], "hidden": 1, "markdown": 5}},
        {"zenweb-form": {"locked": True}, "const": {"a": [1]}},
    ],
)
def test_hints_that_a_schema_brings_along_break_nothing(hints: dict[str, Any]) -> None:
    schema = whole({"type": "string", **hints})
    schema["zenweb-sections"] = [
        5,
        {"title": 3, "parameters": 7},
        {"title": "A", "parameters": [1, "trainer.p"]},
    ]
    check_schema(schema)
    for data in (None, {P: "5"}):
        assert page_of(schema, data)
