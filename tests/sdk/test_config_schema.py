"""A signature becomes a JSON Schema, and JSON becomes the declared types again."""

import dataclasses
import datetime
import enum
import io
import pathlib
import sys
from typing import Annotated, Any, Literal, TypedDict

import jsonschema_rs
import pytest
from pydantic import BaseModel, Field, SecretStr

from zenweb import pipeline, step
from zenweb.config.config_schema import (
    build_config_schema,
    build_config_template,
    parameter_adapters,
    step_keys,
)
from zenweb.config.parameters import description, typed_parameters
from zenweb.exceptions import AuthoringError


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Window(BaseModel):
    start: datetime.date
    days: int = Field(default=7, ge=1)


def other_window() -> type:
    @dataclasses.dataclass
    class Window:
        width: int

    return Window


OtherWindow: Any = other_window()


@step
def train(
    rows: list,
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.1,
    model_type: Literal["forest", "boosting"] = "forest",
    colour: Colour = Colour.RED,
    window: Window = Window(start=datetime.date(2026, 3, 1)),  # noqa: B008  # what users write
    depth: Annotated[int | None, Field(title="Depth of trees", description="None: no limit.")] = None,
    trees: int = Field(default=10, ge=1),
    size: int = None,  # noqa: RUF013  # what users write
    anything=(1, 2),
) -> float:
    """Train a model.

    Args:
        rows: What `load` returns.
        learning_rate: How fast it learns,
            between 0 and 1.
        depth: Not shown: the field describes itself.
    """
    return learning_rate


@step
def report(title: str, window: OtherWindow, key: SecretStr = SecretStr("built in")) -> None:  # noqa: B008
    """
    Write it down.

    Parameters
    ----------
    title : str
        What stands above.
    """


@step
def load() -> list:
    return []


@pipeline
def training():
    train(load())
    report()


@pytest.fixture(scope="module")
def schema():
    return build_config_schema(training.compile())


@pytest.fixture(scope="module")
def parameters(schema):
    return schema["properties"]["steps"]["properties"]["train"]["properties"]["parameters"]


def test_the_whole_is_a_valid_json_schema_whose_references_resolve(schema):
    jsonschema_rs.meta.validate(schema)
    steps = {
        "train": {"parameters": {"window": {"start": "2026-03-01"}}},
        "report": {"parameters": {"title": 3}},
    }
    errors = list(jsonschema_rs.Draft202012Validator(schema).iter_errors({"steps": steps}))
    assert {"/".join(map(str, error.instance_path)) for error in errors} == {
        "steps/report/parameters",
        "steps/report/parameters/title",
    }


def test_inputs_are_not_parameters_and_the_order_is_that_of_the_signature(parameters):
    assert list(parameters["properties"]) == [
        *("learning_rate", "model_type", "colour", "window", "depth", "trees", "size", "anything"),
    ]


def test_bounds_title_description_and_default_are_all_there(parameters):
    assert parameters["properties"]["learning_rate"] == {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 1,
        "title": "Learning rate",
        "description": "How fast it learns, between 0 and 1.",
        "default": 0.1,
    }


def test_what_a_field_says_of_itself_goes_before_name_and_docstring(parameters):
    depth = parameters["properties"]["depth"]
    assert (depth["title"], depth["description"], depth["default"]) == (
        "Depth of trees",
        "None: no limit.",
        None,
    )


def test_defaults_are_json_of_the_declared_type(parameters):
    properties = parameters["properties"]
    assert properties["colour"]["default"] == "red"
    assert properties["window"]["default"] == {"start": "2026-03-01", "days": 7}
    assert properties["trees"]["default"] == 10
    assert properties["anything"]["default"] == [1, 2]


def test_a_default_of_none_makes_a_type_optional(parameters):
    assert parameters["properties"]["size"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]


def test_what_has_no_value_is_required_and_a_secret_default_is_written_nowhere(schema):
    section = schema["properties"]["steps"]["properties"]["report"]["properties"]["parameters"]
    assert section["required"] == ["title", "window"]
    assert section["properties"]["title"]["description"] == "What stands above."
    assert "default" not in section["properties"]["key"]
    assert "built in" not in str(training.compile().model_dump())


def test_types_of_one_name_do_not_clash(schema):
    assert len([name for name in schema["$defs"] if name.endswith("Window")]) == 2


def test_a_step_section_has_the_keys_of_zenmls_clients_and_a_description(schema):
    section = schema["properties"]["steps"]["properties"]["train"]
    assert (section["title"], section["description"]) == ("Train", "Train a model.")
    keys = step_keys(schema, "train").keys()
    assert {"parameters", "enable_cache", "retry", "settings", "extra", "outputs"} <= keys


def test_a_zenml_clients_dump_full_of_nulls_is_accepted(schema):
    unset = dict.fromkeys(schema["properties"].keys() - {"steps"})
    step_unset = dict.fromkeys(
        schema["properties"]["steps"]["properties"]["train"]["properties"].keys() - {"parameters"}
    )
    dump = {
        **unset,
        "settings": {},
        "extra": {},
        "steps": {"train": {**step_unset, "parameters": {}, "outputs": {}}},
    }
    assert jsonschema_rs.Draft202012Validator(schema).is_valid(dump)


def test_the_template_holds_every_default(schema):
    template = build_config_template(training.compile())
    assert template["run_name"] == "training-{date}-{time}"
    assert template["steps"]["train"]["parameters"]["learning_rate"] == 0.1
    assert template["steps"]["report"] == template["steps"]["load"] == {"parameters": {}}
    assert build_config_template(training.compile(), "nightly")["run_name"] == "nightly"


def test_adapters_turn_json_into_the_declared_types():
    adapters = parameter_adapters(train.entrypoint)
    assert adapters["colour"].validate_python("blue") is Colour.BLUE
    assert adapters["window"].validate_python({"start": "2026-01-02"}) == Window(
        start=datetime.date(2026, 1, 2)
    )
    assert adapters["size"].validate_python(None) is None


def test_what_only_an_artifact_can_fill_has_no_adapter():
    def show(stream: io.BytesIO, path: pathlib.Path) -> None: ...

    assert list(parameter_adapters(show)) == ["path"]


def test_an_optional_artifact_that_nobody_connected_is_not_asked_for():
    def show(title: str, stream: io.BytesIO | None = None) -> None: ...

    assert [parameter.name for parameter in typed_parameters("Step 'show'", show, {})] == ["title"]


@pytest.mark.parametrize("pattern", ["(?=look)ahead"])
def test_a_pattern_that_cannot_be_checked_is_refused(pattern):
    def show(title: Annotated[str, Field(pattern=pattern)]) -> None: ...

    with pytest.raises(AuthoringError, match="Step 'show', parameter 'title': its type cannot be used"):
        typed_parameters("Step 'show'", show, {})


@pytest.mark.parametrize(
    "docstring",
    [
        "Train it.\n\nArgs:\n    rate: How fast.",
        "Train it.\n\nParameters\n----------\nrate : float\n    How fast.",
        "Train it.\n\n:param rate: How fast.",
    ],
)
def test_descriptions_come_from_docstrings_of_every_style(docstring):
    def train_it(rate: float) -> None: ...

    train_it.__doc__ = docstring
    [rate] = typed_parameters("Step 'train_it'", train_it, {})
    assert (rate.description, description(train_it)) == ("How fast.", "Train it.")


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there it can be used")
def test_a_typed_dict_of_the_wrong_module_names_the_right_one():
    class Point(TypedDict):
        x: int

    def show(point: Point) -> None: ...

    with pytest.raises(AuthoringError, match=r"'point': .* import TypedDict from typing_extensions"):
        typed_parameters("Step 'show'", show, {})
