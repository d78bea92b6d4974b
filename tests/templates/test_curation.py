"""A configuration schema and a curation make a schema that never takes more, and a sentence for what does not fit."""

import json
import re
import sys
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templates_app.curated_schema import curate
from templates_app.curation import Curation, ParameterCuration, read_curation, read_what_is_right
from templates_app.curation_fit import carry_over, check_curation, read_fitting
from templates_app.schema_validation import check_schema, find_errors
from tests.factories import PIPELINES
from zenweb.config.config_schema import build_config_schema
from zenweb.config.source import import_source
from zenweb.exceptions import FieldError, ValidationFailed
from zenweb.pipelines import Pipeline

Schema = dict[str, Any]
EXAMPLES = PIPELINES.parents[1] / "examples"


def schema_of(name: str) -> Schema:
    return build_config_schema(import_from(PIPELINES, f"shaped.{name}").compile())


def import_from(folder: Path, source: str) -> Any:
    sys.path.insert(0, str(folder))
    try:
        return import_source(source, Pipeline)
    finally:
        sys.path.remove(str(folder))


SCHEMA, ASKING = schema_of("shaped_pipeline"), schema_of("asking_pipeline")


def about(name: str, **entry: Any) -> Schema:
    return {"version": 1, "parameters": {f"trainer.{name}": entry}}


def curated(document: Schema, schema: Schema = SCHEMA) -> Schema:
    curation = read_curation(document)
    check_curation(schema, curation)
    found = curate(schema, curation)
    check_schema(found)
    return found


def errors_of(schema: Schema, name: str, value: Any) -> list[str]:
    parameters = {"name": "x", name: value}
    errors = find_errors(schema, {"steps": {"trainer": {"parameters": parameters}}})
    assert {error.pointer for error in errors} <= {f"/steps/trainer/parameters/{name}"}
    return [error.message for error in errors]


def refusal(document: Any, schema: Schema = SCHEMA) -> dict[str, str]:
    with pytest.raises(ValidationFailed) as caught:
        check_curation(schema, read_curation(document))
    return {error.pointer: error.message for error in caught.value.errors}


NARROWED = [
    # parameter, what the owner says, a value that is still taken, one that was, and why it is not any more
    ("rate", {"maximum": 0.5}, 0.5, 0.6, "at most 0.5"),
    ("rate", {"minimum": 0.05}, 0.05, 0.01, "at least 0.05"),
    ("rate", {"exclusive_maximum": 0.5}, 0.4, 0.5, "less than 0.5"),
    ("rate", {"exclusive_minimum": 0.05}, 0.06, 0.05, "more than 0.05"),
    ("epochs", {"maximum": 50}, 50, 55, "at most 50"),
    ("epochs", {"maximum": 50}, None, 55, "at most 50"),
    ("epochs", {"multiple_of": 10}, 20, 25, "a multiple of 10"),
    ("epochs", {"choices": [5, 10]}, 10, 15, "one of: 5, 10"),
    ("price", {"maximum": 10}, "9.99", "10.01", "at most 10"),
    ("price", {"maximum": 10}, 9, 11, "at most 10"),
    ("code", {"max_length": 5}, "abcde", "abcdef", "at most 5"),
    ("code", {"min_length": 3}, "abc", "ab", "at least 3"),
    ("code", {"pattern": "^a"}, "abc", "bcd", "expected form"),
    ("code", {"choices": ["abc", "xyz"]}, "xyz", "abd", "one of: abc, xyz"),
    ("kind", {"choices": ["svm", "rf"]}, "rf", "knn", "one of: svm, rf"),
    ("colour", {"choices": ["red", "blue"]}, "blue", "green", "one of: red, blue"),
]


@pytest.mark.parametrize(("name", "entry", "taken", "refused", "why"), NARROWED)
def test_a_narrower_bound_is_the_schemas_own(
    name: str, entry: Schema, taken: Any, refused: Any, why: str
) -> None:
    schema = curated(about(name, **entry))
    assert errors_of(schema, name, taken) == []
    assert errors_of(SCHEMA, name, refused) == []
    assert [message for message in errors_of(schema, name, refused) if why in message]


@pytest.mark.parametrize(("name", "entry"), [(name, entry) for name, entry, *_ in NARROWED])
def test_what_the_pipeline_refuses_stays_refused(name: str, entry: Schema) -> None:
    schema = curated(about(name, **entry))
    for value in (0, -5, 2, 7, "", "a", "UPPER", "violet", "-1", True, [], {}):
        assert not errors_of(SCHEMA, name, value) or errors_of(schema, name, value)


@given(low=st.floats(-1, 2, allow_nan=False), high=st.floats(-1, 2, allow_nan=False), value=st.floats(-1, 2))
def test_no_bound_ever_lets_more_through(low: float, high: float, value: float) -> None:
    try:
        schema = curated(about("rate", minimum=low, maximum=high, default=(low + high) / 2))
    except ValidationFailed:
        return
    is_taken = errors_of(schema, "rate", value) == []
    assert is_taken == (low <= value <= high and errors_of(SCHEMA, "rate", value) == [])


MISFITS = [
    (about("rate", maximum=2), "maximum", "The pipeline itself takes at most 1"),
    (about("rate", minimum=0), "minimum", "The pipeline itself takes more than 0"),
    (about("epochs", exclusive_minimum=0), "exclusive_minimum", "The pipeline itself takes at least 1"),
    (about("epochs", multiple_of=7), "multiple_of", "The pipeline itself takes multiples of 5"),
    (about("code", max_length=30), "max_length", "The pipeline itself takes at most 20 characters"),
    (about("price", minimum=-1), "minimum", "The pipeline itself takes at least 0"),
    (about("kind", choices=["svm", "gpt"]), "choices/1", "one of: svm, rf, knn"),
    (about("colour", choices=["violet"]), "choices", "None of these can be given"),
    (about("kind", maximum=3), "maximum", "cannot be bounded so"),
    (about("labels", choices=["a"]), "choices", "cannot be bounded so"),
    (about("either", maximum=3), "maximum", "cannot be bounded so"),
    (about("code", pattern="(?=a)b"), "pattern", "no regular expression"),
    (about("rate", minimum=0.6, maximum=0.5), "maximum", "Nothing is left"),
    (about("rate", maximum=0.05), "maximum", "The pipeline's default, 0.1, would not be allowed"),
    (about("kind", choices=["rf"]), "choices", "The pipeline's default"),
    (about("rate", maximum=0.5, default=0.7), "default", "at most 0.5"),
    (about("rate", locked=5), "locked", "at most 1"),
    (about("rate", locked="much"), "locked", "a number"),
    (about("rate", locked=None), "locked", "a number"),
    (about("rate", locked=0.2, default=0.3), "default", "fixed"),
    (about("key", locked="s3cret"), "locked", "This is a secret"),
    (about("key", default="s3cret"), "default", "This is a secret"),
    (about("key", choices=["s3cret"]), "choices", "This is a secret"),
    (about("key", pattern="^s3cret$"), "pattern", "This is a secret"),
    (about("shuffle", widget="paragraph"), "widget", "no such input"),
]


@pytest.mark.parametrize(("document", "place", "words"), MISFITS)
def test_what_does_not_fit_is_told_at_its_place(document: Schema, place: str, words: str) -> None:
    name = next(iter(document["parameters"]))
    assert words in refusal(document)[f"/parameters/{name}/{place}"]


def test_of_a_secret_its_length_may_be_bounded() -> None:
    schema = curated(about("key", min_length=4, max_length=9))
    assert errors_of(schema, "key", "hunter2") == []
    assert errors_of(schema, "key", "abc")


@pytest.mark.parametrize(
    ("document", "pointer", "words"),
    [
        (about("rate", maximun=1), "/parameters/trainer.rate/maximun", "Did you mean 'maximum'?"),
        (about("rat", hidden=True), "/parameters/trainer.rat", "Did you mean 'trainer.rate'?"),
        (about("rate", maximum="1"), "/parameters/trainer.rate/maximum", "must be a number"),
        (about("rate", hidden="yes"), "/parameters/trainer.rate/hidden", "must be a valid boolean"),
        (about("rate", widget="dial"), "/parameters/trainer.rate/widget", "must be 'line'"),
        ({"section": []}, "/section", "Did you mean 'sections'?"),
        ({"version": 2}, "/version", "made by a newer ZenWeb: it has version 2"),
        ({"sections": [{"titel": "A"}]}, "/sections/0/titel", "Did you mean 'title'?"),
        ({"sections": [{"title": "A", "parameters": ["rate"]}]}, "/sections/0/parameters/0", "no parameter"),
        (
            {"sections": [{"title": name, "parameters": ["trainer.rate"]} for name in "AB"]},
            "/sections/1/parameters/0",
            "one only",
        ),
        ([], "", "A form is an object"),
    ],
)
def test_a_misspelt_document_is_refused_with_its_pointer(document: Any, pointer: str, words: str) -> None:
    assert words in refusal(document)[pointer]


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("rate", 0.2, 0.3),
        ("rate", 0.2, "much"),
        ("epochs", None, 5),
        ("epochs", 5, None),
        ("price", "2.00", "2.01"),
        ("colour", "blue", "violet"),
        ("labels", ["x"], ["x", "y"]),
        ("labels", ["x"], [1]),
        ("shuffle", False, True),
    ],
)
def test_a_fixed_value_is_the_only_one(name: str, value: Any, other: Any) -> None:
    schema = curated(about(name, locked=value))
    assert errors_of(schema, name, value) == []
    (sentence,) = errors_of(schema, name, other)
    assert sentence.startswith("The owner of this template has fixed this at ")


def test_what_has_to_be_given_can_be_hidden_only_with_a_value() -> None:
    assert "hidden" in refusal(about("name", hidden=True), ASKING)["/parameters/trainer.name/hidden"]
    for given_value in ({"default": "Ada"}, {"locked": "Ada"}):
        schema = curated(about("name", hidden=True, **given_value), ASKING)
        assert find_errors(schema, {"steps": {"trainer": {"parameters": {}}}}) == []
    assert find_errors(ASKING, {"steps": {"trainer": {"parameters": {}}}})


def test_the_pipelines_own_schema_stays_as_it_is() -> None:
    before = deepcopy(SCHEMA)
    curated(about("colour", choices=["red"], label="Paint", help="**Bold**", locked="red"))
    curated({"sections": [{"title": "First", "parameters": ["trainer.rate"]}]})
    assert before == SCHEMA


def test_a_document_is_kept_without_what_says_nothing() -> None:
    document = about("rate", label="", hidden=False, minimum=None, default=0.2) | {"sections": []}
    assert read_curation(document).to_json() == about("rate", default=0.2)
    assert read_curation(about("rate", label="")).to_json() == {}
    assert read_curation(about("epochs", locked=None)).to_json() == about("epochs", locked=None)


# -- carried over to another deployment -------------------------------------------------------------------------------


def with_rate(**schema: Any) -> Schema:
    """The same pipeline, in which the rate is something else; nothing: it is gone."""
    changed = deepcopy(SCHEMA)
    parameters = changed["properties"]["steps"]["properties"]["trainer"]["properties"]["parameters"]
    del parameters["properties"]["rate"]
    if schema:
        parameters["properties"]["rate"] = schema
    return changed


KEPT = about("rate", label="Rate", maximum=0.5) | {
    "sections": [{"title": "A", "parameters": ["trainer.rate"]}]
}


def test_what_still_fits_is_carried_over() -> None:
    curation, notes = carry_over(with_rate(type="number", default=0.1), read_curation(KEPT))
    assert (curation.to_json(), notes) == (KEPT, [])


def test_a_parameter_that_is_gone_is_told_and_left_out() -> None:
    curation, notes = carry_over(with_rate(), read_curation(KEPT))
    assert curation.to_json() == {}  # a section that nothing is left in says nothing
    assert len(notes) == 2
    assert all("no parameter 'trainer.rate'" in note for note in notes)


def test_a_bound_that_the_pipeline_has_overtaken_is_told_and_left_out() -> None:
    curation, notes = carry_over(with_rate(type="number", maximum=0.2, default=0.1), read_curation(KEPT))
    assert curation.to_json()["parameters"] == {"trainer.rate": {"label": "Rate"}}
    assert "The pipeline itself takes at most 0.2" in notes[0]


@pytest.mark.parametrize(
    ("entry", "schema"),
    [
        ({"maximum": 0.5}, {"type": "string", "default": "x"}),
        ({"maximum": 0.5}, {"type": "number", "default": 0.9}),
        ({"locked": 0.5}, {"type": "number", "minimum": 0.6, "default": 0.7}),
        ({"locked": 0.5}, {"type": "string", "format": "password", "default": ""}),
        ({"choices": [0.1, 0.5]}, {"type": "number", "minimum": 0.6, "default": 0.7}),
        ({"choices": ["a"]}, {"type": "string", "format": "password", "default": ""}),
    ],
)
def test_a_restriction_is_never_lost_unless_told_to_drop_it(entry: Schema, schema: Schema) -> None:
    curation = read_curation(about("rate", label="Rate", **entry))
    with pytest.raises(ValidationFailed) as caught:
        carry_over(with_rate(**schema), curation)
    assert caught.value.errors[0].pointer == f"/curation/parameters/trainer.rate/{next(iter(entry))}"
    dropped, notes = carry_over(with_rate(**schema), curation, drops_misfits=True)
    assert dropped.to_json() == about("rate", label="Rate")
    assert notes


def test_choices_that_are_gone_leave_the_others() -> None:
    curation = read_curation(about("rate", choices=[*range(12), 0.1]))
    narrowed, notes = carry_over(with_rate(type="number", exclusiveMaximum=9, default=0.1), curation)
    assert narrowed.parameters["trainer.rate"].choices == [*range(9), 0.1]
    assert len(notes) == 3


def test_the_documents_example_fits_the_training_example() -> None:
    text = (EXAMPLES.parent / "docs" / "curation.md").read_text()
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    spec = import_from(EXAMPLES / "training", "run.training_pipeline").compile()
    schema = curated(json.loads(example), build_config_schema(spec))
    trainer = schema["properties"]["steps"]["properties"]["trainer"]["properties"]["parameters"]["properties"]
    assert trainer["n_estimators"]["const"] == 200
    assert read_curation(json.loads(example)).to_json() == json.loads(example)
    words = re.findall(r"`([a-z_]+)`", text.partition("| | |")[2].partition("Sections come")[0])
    assert set(ParameterCuration.model_fields) <= set(words)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "title", "trainer.rate", "line"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("version", "sections", "parameters", "title", "help", "trainer.rate", "trainer.code"),
                    *("choices", "minimum", "widget", "locked", "x"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.fixed_dictionaries({}, optional={"version": ANY, "sections": ANY, "parameters": ANY, "x": ANY}))
def test_whatever_a_document_is_all_that_is_wrong_in_it_is_told(document: Any) -> None:
    curation, errors = read_what_is_right(document)
    assert errors == told_by(read_curation, document)
    assert errors or curation == read_curation(document)
    assert told_by(partial(read_fitting, SCHEMA), document)[: len(errors)] == errors


def told_by(read: Callable[[Any], Curation], document: Any) -> list[FieldError]:
    try:
        read(document)
    except ValidationFailed as error:
        return error.errors
    return []
