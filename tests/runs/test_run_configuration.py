"""One validator: what it accepts, what it refuses, and in which words."""

from typing import Any

import pytest

from runs_app.run_configuration import validate, without_unset

PARAMETERS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["data_path"],
    "properties": {
        "data_path": {"type": "string"},
        "learning_rate": {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.1},
        "depth": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}], "default": None},
        "since": {"type": "string", "format": "date-time"},
        "at": {"type": "string", "format": "time"},
        "options": {"type": "object"},
    },
}
STEP = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"parameters": PARAMETERS, "enable_cache": {"type": "boolean"}},
}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "run_name": {"type": "string"},
        "steps": {"type": "object", "additionalProperties": False, "properties": {"trainer": STEP}},
    },
}


def errors(parameters: dict[str, Any]) -> dict[str, str]:
    found = validate(SCHEMA, {"steps": {"trainer": {"parameters": parameters}}})
    return {error.pointer.removeprefix("/steps/trainer/parameters/"): error.message for error in found}


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"learning_rate": 1, "depth": 0},
        {"depth": None, "options": {}},
        {"since": "2026-03-01T12:30:00", "options": {"a": None}},
        {"since": "2026-03-01T12:30:00+02:00"},
        {"at": "08:30:00"},
        {"at": "00:00"},
        {"at": "08:30:00+02:00"},
    ],
)
def test_what_fits_is_accepted(parameters: dict[str, Any]) -> None:
    assert errors({"data_path": "x", **parameters}) == {}


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"learning_rate": 2}, {"learning_rate": "This must be at most 1."}),
        ({"learning_rate": 0}, {"learning_rate": "This must be more than 0."}),
        ({"learning_rate": "0.1"}, {"learning_rate": "This must be a number."}),
        ({"learning_rate": None}, {"learning_rate": "This must be a number."}),
        ({"depth": -1}, {"depth": "This must be at least 0."}),
        ({"depth": "deep"}, {"depth": "This must be a whole number or empty."}),
        ({"since": "soon"}, {"since": "This must be a date and time, such as 2026-03-01T12:30:00+00:00."}),
        (
            {"learnin_rate": 1},
            {"learnin_rate": "There is no 'learnin_rate' here. Did you mean 'learning_rate'?"},
        ),
    ],
)
def test_what_does_not_fit_is_named_at_its_place(
    parameters: dict[str, Any], expected: dict[str, str]
) -> None:
    assert errors({"data_path": "x", **parameters}) == expected


def test_every_error_is_told_at_once() -> None:
    assert set(errors({"learning_rate": 2, "depth": -1, "typo": 1})) == {
        "learning_rate",
        "depth",
        "typo",
        "data_path",
    }


def test_a_required_parameter_is_missed_even_when_its_step_is_not_mentioned() -> None:
    assert [error.pointer for error in validate(SCHEMA, None)] == ["/steps/trainer/parameters/data_path"]


def test_an_unknown_step_is_refused_with_a_suggestion() -> None:
    found = validate(SCHEMA, {"steps": {"triner": {}, "trainer": {"parameters": {"data_path": "x"}}}})
    assert [str(error) for error in found] == [
        "/steps/triner: There is no 'triner' here. Did you mean 'trainer'?"
    ]


@pytest.mark.parametrize(
    ("configuration", "pointer"),
    [
        ({"stps": {}}, "/stps"),
        ({"stps": None}, "/stps"),
        ({"steps": {"trainer": {"parametrs": {}}}}, "/steps/trainer/parametrs"),
        ({"steps": {"trainer": []}}, "/steps/trainer"),
    ],
)
def test_what_is_misspelt_is_told_even_when_it_is_empty(configuration: dict[str, Any], pointer: str) -> None:
    assert pointer in [error.pointer for error in validate(SCHEMA, configuration)]


def test_null_and_empty_mean_not_set_for_keys_but_are_values_inside_parameters() -> None:
    full_dump = {
        "run_name": None,
        "steps": {"trainer": {"enable_cache": None, "settings": {}, "parameters": {"a": None, "b": {}}}},
    }
    assert without_unset(full_dump) == {"steps": {"trainer": {"parameters": {"a": None, "b": {}}}}}


@pytest.mark.parametrize("key", ["build", "schedule", "parameters"])
def test_what_cannot_change_at_a_run_is_refused_in_words(key: str) -> None:
    configuration = {key: {"x": 1}, "steps": {"trainer": {"parameters": {"data_path": "x"}}}}
    assert [error.pointer for error in validate(SCHEMA, configuration)] == [f"/{key}"]


@pytest.mark.parametrize("configuration", ["text", [1], 3, True])
def test_what_is_no_object_is_refused(configuration: Any) -> None:
    assert validate(SCHEMA, configuration)[0].message == "A run configuration is an object with named values."


def test_deep_nesting_is_refused_quickly() -> None:
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(5_000):
        inner["a"] = {}
        inner = inner["a"]
    assert [error.message for error in validate(SCHEMA, {"steps": deep})] == [
        "This is nested more than 100 levels deep."
    ]


@pytest.mark.parametrize(
    ("configuration", "pointer", "begins"),
    [
        ({"build": "x"}, "/build", "Can't set build when running pipeline via Rest API."),
        ({"schedule": {"cron": "x"}}, "/schedule", "Can't set schedule when running pipeline via Rest API."),
        (
            {"settings": {"docker": {"requirements": ["x"]}}},
            "/settings/docker",
            "Can't set DockerSettings when",
        ),
        (
            {"steps": {"trainer": {"settings": {"docker": {"user": "x"}}}}},
            "/steps/trainer/settings/docker",
            "Can't set DockerSettings when",
        ),
    ],
)
def test_what_belongs_to_making_a_template_is_refused_as_zenml_does(
    configuration: dict[str, Any], pointer: str, begins: str
) -> None:
    told = {error.pointer: error.message for error in validate(SCHEMA, configuration)}
    assert told[pointer].startswith(begins)
