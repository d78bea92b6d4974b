"""From a schema to inputs, from what is typed there to JSON values, and from errors to the fields they belong to."""

from typing import Any

import pytest
from crispy_forms.utils import render_crispy_form
from django.utils.html import conditional_escape

from runs_app.run_configuration import validate
from templates_app.schema_forms import ConfigurationForm
from templates_app.schema_forms.schemas import Schema
from templates_app.schema_places import secrets_in

REQUIRED = {"required": ["p"]}
NULL = {"type": "null"}
DEFINITIONS = {
    "Kind": {"title": "Kind", "type": "string", "enum": ["a", "b"]},
    "Self": {"$ref": "#/$defs/Self"},
    "Ping": {"anyOf": [{"$ref": "#/$defs/Pong"}, NULL]},
    "Pong": {"anyOf": [{"$ref": "#/$defs/Ping"}, NULL]},
}


def schema_of(parameters: dict[str, Any], **keywords: Any) -> dict[str, Any]:
    inner = {"type": "object", "additionalProperties": False, "properties": parameters, **keywords}
    step = {
        "type": "object",
        "title": "Trainer",
        "description": "Fits it.",
        "properties": {"parameters": inner},
    }
    steps = {"type": "object", "additionalProperties": False, "properties": {"trainer": step}}
    return {"type": "object", "$defs": DEFINITIONS, "properties": {"steps": steps}}


def form_of(parameter: Any, typed: str | None = None, **keywords: Any) -> ConfigurationForm:
    """The form of a step with one parameter `p`, sent with what was typed there (None: not sent)."""
    data = None if typed is None else {"steps.trainer.parameters.p": typed}
    return ConfigurationForm(schema_of({"p": parameter}, **keywords), validate=validate, data=data)


def value_of(form: ConfigurationForm) -> Any:
    return form.configuration["steps"]["trainer"]["parameters"]["p"]


def errors_of(form: ConfigurationForm) -> list[str]:
    return form.errors.get("steps.trainer.parameters.p", [])


def initial_of(parameter: Any, **keywords: Any) -> str:
    return form_of(parameter, **keywords).initial["steps.trainer.parameters.p"]


@pytest.mark.parametrize(
    ("parameter", "typed", "value"),
    [
        ({"type": "string", "default": "x"}, " kept as it is ", " kept as it is "),
        ({"type": "string", "default": "x"}, "", ""),
        ({"type": "string", "default": "x"}, "a\r\nb", "a\nb"),
        ({"type": "integer"}, " 42 ", 42),
        ({"type": "integer"}, "-7", -7),
        ({"type": "number"}, "0.1", 0.1),
        ({"type": "number"}, "1e-3", 0.001),
        ({"type": "number"}, ".5", 0.5),
        ({"type": "boolean", "default": False}, "true", True),
        ({"type": "boolean", "default": True}, "false", False),
        ({"enum": ["svm", "rf"]}, "rf", "rf"),
        ({"enum": [1, 2.5, True, None]}, "2.5", 2.5),
        ({"enum": [1, True]}, "true", True),
        ({"enum": ["1", 1]}, '"1"', "1"),
        ({"enum": ["1", 1]}, "1", 1),
        ({"const": "only"}, "only", "only"),
        ({"$ref": "#/$defs/Kind"}, "b", "b"),
        ({"oneOf": [{"const": 1, "title": "Low"}, {"const": 2, "title": "High"}]}, "2", 2),
        ({"type": "string", "format": "date"}, "2026-02-28", "2026-02-28"),
        ({"type": "string", "format": "date-time"}, "2026-02-28T10:30", "2026-02-28T10:30:00+00:00"),
        ({"type": "string", "format": "date-time"}, "2026-02-28T10:30+02:00", "2026-02-28T10:30:00+02:00"),
        ({"type": "array", "items": {"type": "string"}}, "a\r\n\r\nb c\r\n", ["a", "b c"]),
        ({"type": "array", "items": {"type": "integer"}}, "1\n2", [1, 2]),
        ({"type": "array", "items": {"type": "string"}, "default": ["a"]}, "", []),
        ({"type": "array", "items": {"type": "string"}}, '["two\\nlines", ""]', ["two\nlines", ""]),
        ({"type": "array"}, '[{"a": 1}]', [{"a": 1}]),
        ({"type": ["object", "integer"]}, '{"a": [1, null]}', {"a": [1, None]}),
        ({}, '"text"', "text"),
        (True, "null", None),
    ],
)
def test_what_is_typed_becomes_a_json_value(parameter: Any, typed: str, value: Any) -> None:
    form = form_of(parameter, typed)
    assert form.is_valid(), form.errors
    assert (value_of(form), type(value_of(form))) == (value, type(value))


@pytest.mark.parametrize(
    ("parameter", "typed", "message"),
    [
        ({"type": "integer"}, "1.5", "Enter a whole number."),
        ({"type": "integer"}, "1_000", "Enter a whole number."),
        ({"type": "integer"}, "٣", "Enter a whole number."),
        ({"type": "integer"}, "9" * 5000, "This number is too large."),
        ({"type": "integer", "default": 3}, "", "Enter a whole number."),
        ({"type": "number"}, "0,5", "Enter a number with a point, such as 0.5."),
        ({"type": "number"}, "nan", "Enter a number."),
        ({"type": "number"}, "1e999", "This number is too large."),
        ({"type": "number", "maximum": 1}, "2", "This must be at most 1."),
        ({"type": "number", "exclusiveMinimum": 0}, "0", "This must be more than 0."),
        ({"type": "boolean", "default": True}, "perhaps", "Write yes or no."),
        ({"enum": ["svm", "rf"]}, "tree", "Choose one of the listed values."),
        ({"type": "string", "format": "date"}, "2026-02-30", "There is no such day."),
        ({"type": "string", "format": "date"}, "tomorrow", "Enter a date, such as 2026-01-31."),
        ({"type": "string", "format": "date-time"}, "2026-02-30T25:00", "There is no such date and time."),
        ({"type": "array", "items": {"type": "integer"}}, "1\ntwo", "Line 2: Enter a whole number."),
        (
            {"type": "array", "items": {"type": "integer", "maximum": 1}},
            "1\n5",
            "Entry 2: This must be at most 1.",
        ),
        ({}, "{a: 1}", "This is not valid JSON (line 1, column 2:"),
        ({}, '{"a": NaN}', "NaN is not a number that JSON can hold."),
        ({}, '{"a": 1, "a": 2}', "The key “a” is there twice."),
        (
            {"type": ["object", "null", "array"], "additionalProperties": {"type": "integer"}},
            '{"a": "x"}',
            "At a: ",
        ),
        ({}, "[" * 100_000, "This JSON is nested too deeply."),
    ],
)
def test_a_wrong_value_is_told_at_its_field_and_comes_back(parameter: Any, typed: str, message: str) -> None:
    form = form_of(parameter, typed)
    assert errors_of(form)[0].startswith(message)
    assert form["steps.trainer.parameters.p"].value() == typed


@pytest.mark.parametrize(
    "parameter",
    [
        {"type": "string", "default": ""},
        {"type": "string", "default": "several\n\n\nlines"},
        {"type": "integer", "default": 10**20},
        {"type": "number", "default": 1e-07},
        {"type": "number", "default": 1},
        {"type": "boolean", "default": False},
        {"enum": [1, "1", None], "default": None},
        {"anyOf": [{"type": "string"}, NULL], "default": ""},
        {"anyOf": [{"type": "string"}, NULL], "default": None},
        {"anyOf": [{"type": "integer"}, NULL], "default": 5},
        {"type": ["integer", "null"], "default": None},
        {"anyOf": [{"type": "boolean"}, NULL], "default": None},
        {"anyOf": [{"type": "boolean"}, NULL], "default": False},
        {"type": "string", "format": "date-time", "default": "2026-01-01T10:00:00.123456+05:30"},
        {"type": "array", "items": {"type": "string"}, "default": ["a\nb", "", " ", "[1]"]},
        {"type": "array", "items": {"type": "string"}, "default": ['["a"]']},
        {"anyOf": [{"type": "array", "items": {"type": "string"}}, NULL], "default": []},
        {"default": {"ü": [1.0, None, {"deep": True}]}},
        {"default": "any"},
    ],
)
def test_an_untouched_form_sends_the_defaults_themselves(parameter: dict[str, Any]) -> None:
    untouched = initial_of(parameter).replace("\n", "\r\n")  # as browsers send it
    form = form_of(parameter, untouched)
    assert form.is_valid(), form.errors
    assert value_of(form) == parameter["default"]
    assert type(value_of(form)) is type(parameter["default"])


@pytest.mark.parametrize(
    "parameter",
    [
        {"type": "number", "default": None},  # `rate: float = None`, which its own schema refuses
        {"type": "boolean", "default": None},
        {"type": "string", "format": "date-time", "default": "2026-01-01T10:00:00"},  # no offset to send
        {"type": "string", "format": "password", "default": "**********"},
    ],
)
def test_a_default_that_cannot_be_sent_is_left_to_the_step(parameter: dict[str, Any]) -> None:
    form = form_of(parameter, initial_of(parameter))
    assert form.is_valid(), form.errors
    assert form.configuration == {}


@pytest.mark.parametrize("kind", ["string", "integer", "number", "boolean", "array"])
def test_empty_means_not_set_where_null_is_allowed(kind: str) -> None:
    form = form_of({"anyOf": [{"type": kind, "items": {"type": "string"}}, NULL], "default": None}, "")
    assert form.is_valid()
    assert value_of(form) is None


def test_two_quotes_are_the_empty_text_where_empty_means_not_set() -> None:
    form = form_of({"anyOf": [{"type": "string"}, NULL]}, '""')
    assert form.is_valid()
    assert value_of(form) == ""


@pytest.mark.parametrize("kind", ["string", "integer", "array"])
def test_a_required_value_that_is_empty_is_missed_by_the_validator(kind: str) -> None:
    assert errors_of(form_of({"type": kind, "items": {"type": "string"}}, "", **REQUIRED)) == [
        "This value is required."
    ]


@pytest.mark.parametrize(
    ("parameter", "typed", "value", "bound"),
    [
        ({"type": "string"}, '""', "", {"minLength": 1}),
        ({"type": "array", "items": {"type": "string"}}, "[]", [], {"minItems": 1}),
    ],
)
def test_a_required_value_can_be_empty_where_the_schema_allows_it(
    parameter: dict[str, Any], typed: str, value: Any, bound: dict[str, int]
) -> None:
    form = form_of(parameter, typed, **REQUIRED)
    assert form.is_valid(), form.errors
    assert value_of(form) == value
    words = f"enter {conditional_escape(typed)}"
    assert words in render_crispy_form(form_of(parameter, **REQUIRED))
    assert words not in render_crispy_form(form_of(parameter | bound, **REQUIRED))
    assert words not in render_crispy_form(form_of(parameter | {"default": value}))


def test_what_was_not_sent_keeps_its_default_and_still_shows_it() -> None:
    schema = schema_of({"p": {"type": "boolean", "default": True}, "q": {"type": "integer", "default": 3}})
    form = ConfigurationForm(schema, validate=validate, data={"steps.trainer.parameters.q": "4"})
    assert form.is_valid()
    assert form.configuration == {"steps": {"trainer": {"parameters": {"q": 4}}}}
    assert form["steps.trainer.parameters.p"].value() == "true"


@pytest.mark.parametrize("reference", ["#/$defs/list/1", "#/$defs/a~1b%20%25"])
def test_forms_and_whoever_looks_for_secrets_follow_the_same_references(reference: str) -> None:
    key = {"type": "string", "format": "password"}
    root = {"$defs": {"list": [NULL, key], "a/b %": key}, "properties": {"p": {"$ref": reference}}}
    assert Schema.read(root["properties"]["p"], root).format == "password"
    assert secrets_in(root, {"p": "hush"}) == [("p",)]


def test_a_parameter_that_is_not_in_the_form_is_refused_by_name() -> None:
    schema = schema_of({"learning_rate": {"type": "number", "default": 0.1}})
    form = ConfigurationForm(schema, validate=validate, data={"steps.trainer.parameters.lerning_rate": "1"})
    assert "Did you mean 'learning_rate'?" in form.non_field_errors()[0]


def test_unreadable_and_refused_values_are_told_at_once() -> None:
    schema = schema_of({"a": {"type": "integer"}, "b": {"type": "number", "maximum": 1}}, required=["a"])
    data = {"steps.trainer.parameters.a": "x", "steps.trainer.parameters.b": "2"}
    form = ConfigurationForm(schema, validate=validate, data=data)
    assert form.errors == {
        "steps.trainer.parameters.a": ["Enter a whole number."],
        "steps.trainer.parameters.b": ["This must be at most 1."],
    }


def test_a_given_configuration_fills_the_form() -> None:
    given = {"steps": {"trainer": {"parameters": {"p": [1, 2]}}, "gone": {"parameters": {"x": 1}}}}
    parameter = {"type": "array", "items": {"type": "integer"}, "default": [9]}
    form = ConfigurationForm(schema_of({"p": parameter}), validate=validate, configuration=given)
    assert form["steps.trainer.parameters.p"].value() == "1\n2"


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"exclusiveMinimum": 0, "maximum": 1}, "More than 0, at most 1"),
        ({"minimum": 0, "maximum": 1}, "From 0 to 1"),
        ({"minimum": 0}, "At least 0"),
        ({"multipleOf": 5, "exclusiveMaximum": 50}, "Less than 50, in steps of 5"),
        ({"default": 0.5}, "Default: 0.5"),
    ],
)
def test_bounds_and_defaults_stand_beside_the_input_in_words(keywords: dict[str, Any], words: str) -> None:
    assert words in render_crispy_form(form_of({"type": "number", **keywords}))


def test_markup_in_a_schema_is_shown_and_not_obeyed() -> None:
    evil = "<script>alert(1)</script>"
    parameter = {"type": "string", "title": evil, "description": evil, "default": evil, "pattern": evil}
    html = render_crispy_form(form_of(parameter)) + render_crispy_form(form_of({"enum": [evil]}, evil + "x"))
    assert "<script>" not in html


def test_a_secret_is_never_shown() -> None:
    parameter = {"type": "string", "format": "password", "writeOnly": True, "minLength": 20}
    assert "hunter2" not in render_crispy_form(form_of(parameter, "hunter2"))


def test_every_error_is_linked_from_the_summary() -> None:
    html = render_crispy_form(form_of({"type": "integer", "title": "Trees"}, "x"))
    assert '<a href="#id_steps.trainer.parameters.p">Trees</a>: Enter a whole number.' in html


@pytest.mark.parametrize(
    "parameter",
    [
        None,
        [],
        "string",
        False,
        {"type": 5},
        {"type": ["string", "integer"]},
        {"type": "null"},
        {"enum": []},
        {"enum": "abc"},
        {"enum": [{"a": 1}, [2]]},
        {"anyOf": []},
        {"anyOf": "x"},
        {"anyOf": [NULL]},
        {"anyOf": [5, None]},
        {"anyOf": [{"type": "integer"}, {"type": "string"}, NULL]},
        {"allOf": [{"$ref": "#/$defs/Kind"}]},
        {"$ref": "#/$defs/Self"},
        {"$ref": "#/$defs/Ping"},
        {"$ref": "#/$defs/Missing"},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": 7},
        {"type": "array"},
        {"type": "array", "items": {"$ref": "#/$defs/Self"}},
        {"type": "array", "items": {"type": "array"}},
        {"type": "number", "minimum": "low", "default": "high"},
        {"type": "integer", "default": float("nan")},
        {"type": "string", "title": 5, "description": [], "default": {}},
        {"type": "string", "format": "date", "default": 20260101},
        {"type": "string", "format": "date-time", "default": "0001-01-01T00:00:00+23:59"},
    ],
)
def test_no_schema_breaks_the_page(parameter: Any) -> None:
    schema = schema_of({"p": parameter})
    assert 'name="steps.trainer.parameters.p' in render_crispy_form(
        ConfigurationForm(schema, validate=no_errors)
    )
    sent = ConfigurationForm(schema, validate=no_errors, data={"steps.trainer.parameters.p": "1"})
    assert 'name="steps.trainer.parameters.p' in render_crispy_form(sent)


@pytest.mark.parametrize("schema", [{}, {"properties": {"steps": None}}, schema_of({}), {"properties": 5}])
def test_a_pipeline_without_parameters_says_so(schema: dict[str, Any]) -> None:
    assert "There is nothing to fill in" in render_crispy_form(ConfigurationForm(schema, validate=no_errors))


def test_of_many_steps_that_ask_for_nothing_only_the_first_are_named_at_once() -> None:
    schema, empty = schema_of({"p": {"type": "string"}}), schema_of({})["properties"]["steps"]["properties"]
    for number in range(40):
        schema["properties"]["steps"]["properties"][f"s{number}"] = empty["trainer"] | {
            "title": f"S {number}"
        }
    html = render_crispy_form(ConfigurationForm(schema, validate=no_errors))
    summary = html[html.index("Runs too") : html.index("</summary>")]
    assert "S 11 and 28 more" in summary
    assert "S 12" not in summary
    assert "<p>S 12, S 13, " in html


def no_errors(schema: Any, configuration: Any) -> list[Any]:
    return []


@pytest.mark.parametrize(
    ("parameter", "typed", "sentence"),
    [
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, "[]", "at least 1 entry."),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2}, "a", "at least 2 entries."),
        ({"type": "string", "maxLength": 1}, "ab", "at most 1 character."),
    ],
)
def test_one_is_counted_as_one(parameter: Any, typed: str, sentence: str) -> None:
    assert errors_of(form_of(parameter, typed))[0].endswith(sentence)
