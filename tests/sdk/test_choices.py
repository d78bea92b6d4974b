"""What authors write about choices, what of it is refused, and what a provider may return."""

import sys
import time
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from tests.factories import PIPELINES
from zenweb import Choices
from zenweb.config.choices import chosen_by
from zenweb.config.source import import_source
from zenweb.config.suggestions import did_you_mean
from zenweb.exceptions import AuthoringError, ChoicesNotUsable, ValidationFailed
from zenweb.execution.choosing import answer_question, check_choices_here, options_of
from zenweb.execution.protocol import (
    PROTOCOL_VERSION,
    Answered,
    Argument,
    Assignment,
    Completed,
    Event,
    Failed,
    Question,
    Started,
    parse_event,
    parse_order,
    to_line,
)
from zenweb.pipelines import Pipeline


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


def days() -> list[int]:
    return [1, 2]


MODULE = """
from pathlib import Path
from typing import Annotated
from pydantic import BaseModel, SecretStr
from zenweb import Choices, pipeline, step

def tables(region: str) -> list[str]:
    return [region]

def days() -> list[int]:
    return [1, 2]

async def later() -> list[int]:
    return []

class Inside(BaseModel):
    table: Annotated[str, Choices(days)]

@step
def load({signature}) -> None: ...

@pipeline
def loading() -> None:
    load()
"""
OF_REGION = 'table: Annotated[str, Choices(tables, depends_on=["region"])]'


@pytest.fixture
def chosen() -> Iterator[Any]:
    sys.path.insert(0, str(PIPELINES))
    yield import_source("chosen.chosen_pipeline", Pipeline)
    sys.path.remove(str(PIPELINES))


def test_the_schema_says_how_to_ask_and_names_no_code(chosen: Any) -> None:
    schema = chosen.compile().steps[0].parameters_schema["properties"]
    assert schema["table"]["zenweb-choices"] == {"depends_on": ["region"], "cache": 60.0, "timeout": 60}
    assert schema["limit"]["anyOf"][0]["zenweb-choices"]["depends_on"] == []
    assert "list_tables" not in str(schema)


@pytest.mark.parametrize(
    ("hint", "is_many"),
    [
        (Annotated[str, Choices(days)], False),
        (Annotated[int, Choices(days)] | None, False),
        (Annotated[int | None, Choices(days)], False),
        (Annotated[Colour, Choices(days)], False),
        (list[Annotated[int, Choices(days)]], True),
        (Annotated[set[Annotated[int, Choices(days)]], Field(min_length=1)], True),
        (list[Annotated[int, Choices(days)]] | None, True),
    ],
)
def test_choices_stand_beside_a_type_or_that_of_a_lists_entries(hint: Any, is_many: bool) -> None:
    found = chosen_by(hint)
    assert found is not None
    assert (found.choices.provider, found.is_many) == (days, is_many)


@pytest.mark.parametrize(
    ("signature", "sentence"),
    [
        (
            "table: Annotated[str, Choices(lambda: [1])]",
            "'<lambda>' cannot be imported by the step's process",
        ),
        (f"regio: str, {OF_REGION}", "no parameter 'region' to depend on .* Did you mean 'regio'?"),
        ("table: Annotated[str, Choices(tables)]", r"tables\(\) is given nothing \(missing .*'region'\)"),
        (
            "region: str, table: Annotated[int, Choices(days, depends_on='region')]",
            r"days\(\) is given region \(.*\). Name in depends_on exactly",
        ),
        ("table: Annotated[int, Choices(later)]", r"later\(\) is async"),
        ("table: Annotated[list[int], Choices(days)]", r"For several of them write list\[Annotated"),
        ("table: Annotated[bool, Choices(days)]", "what is chosen is one text, number or Enum"),
        ("table: Annotated[Path, Choices(days)]", "in place of a file, choose its name"),
        ("table: Annotated[SecretStr, Choices(days)]", "a secret is not chosen from a list"),
        (f"region: SecretStr, {OF_REGION}", "'region' is a secret, which no provider is told"),
        (f"region: Path, {OF_REGION}", "'region' takes a file, which is not there before the run"),
        ("options: Inside", "Inside of other types, nobody would be asked"),
        ("options: dict[str, Annotated[int, Choices(days)]]", "Inside of other types, nobody would be asked"),
        (
            "region: Annotated[str, Choices(tables, depends_on='region')]",
            "depend on each other's choices in a circle: load.region → load.region",
        ),
    ],
)
def test_what_nobody_could_be_asked_is_refused_when_it_is_frozen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signature: str, sentence: str
) -> None:
    name = f"written_{abs(hash(signature))}"
    (tmp_path / f"{name}.py").write_text(MODULE.replace("{signature}", signature))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AuthoringError, match=sentence):
        import_source(f"{name}.loading", Pipeline).compile()


@pytest.mark.parametrize(
    "options", [{"cache": -1}, {"cache": float("nan")}, {"timeout": 0}, {"timeout": 1e6}]
)
def test_times_that_mean_nothing_are_refused(options: Any) -> None:
    with pytest.raises(AuthoringError, match="a number of seconds"):
        Choices(days, **options)


@pytest.mark.parametrize(
    ("hint", "returned", "options"),
    [
        (str, ["a", "b", "a"], [("a", "a"), ("b", "b")]),
        (str, [("a", "First  one"), ("b", 2)], [("a", "First one"), ("b", "2")]),
        (int, {1: "one", 2: "two"}, [(1, "one"), (2, "two")]),
        (str, (name for name in "ab"), [("a", "a"), ("b", "b")]),
        (Colour, list(Colour), [("red", "red"), ("blue", "blue")]),
        (float, [0.5], [(0.5, "0.5")]),
        (str, [], []),
    ],
)
def test_values_pairs_and_dicts_are_choices(hint: Any, returned: Any, options: Any) -> None:
    asked = chosen_by(Annotated[hint, Choices(lambda: returned)])
    assert asked is not None
    assert options_of(asked, {}) == options


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        (None, "returned nothing, where a list of values is asked for"),
        ("abc", "returned a str, where a list"),
        (["one"], "returned 'one', which does not fit the parameter: Input should be a valid integer"),
        ([[1, "one"]], r"returned \[1, 'one'\], which does not fit"),
        (range(10_001), "more than 10,000 choices"),
        ([(number, "x" * 190) for number in range(6_000)], "more than 1 MB of choices"),
    ],
)
def test_what_cannot_be_offered_is_told(returned: Any, sentence: str) -> None:
    asked = chosen_by(Annotated[int, Choices(lambda: returned)])
    assert asked is not None
    with pytest.raises(ChoicesNotUsable, match=sentence):
        options_of(asked, {})


def test_a_provider_gets_values_as_their_parameters_declare_them(chosen: Any) -> None:
    events: list[Event] = []
    steps = {each.name: each for each in chosen.compile().steps}
    arguments = [
        Argument(name="table", source=steps["load"].source, parameter="table", value="eu_orders"),
        Argument(name="size", source=steps["pick"].source, parameter="size", value=1),
    ]
    question = Question(source=steps["pick"].source, parameter="columns", arguments=arguments)
    answer_question(import_source(question.source), question, events.append)
    options = [("eu_orders.0", "Column 0 of eu_orders (Size)")]
    assert events == [Started(), Answered(options=options), Completed()]


def test_a_provider_that_raises_is_told_as_a_step_is(chosen: Any) -> None:
    events: list[Event] = []
    source = chosen.compile().steps[0].source
    wrong = [Argument(name="region", source=source, parameter="region", value=5)]
    answer_question(
        import_source(source), Question(source=source, parameter="table", arguments=wrong), events.append
    )
    assert [type(event) for event in events] == [Failed]


def test_a_local_run_asks_before_it_starts(chosen: Any) -> None:
    check_choices_here(chosen.compile())
    other = chosen.with_options(steps={"load": {"parameters": {"table": "eu_order", "limit": 11}}})
    with pytest.raises(ValidationFailed) as refused:
        check_choices_here(other.compile())
    assert [str(error) for error in refused.value.errors] == [
        "/steps/load/parameters/table: “eu_order” is not among the choices. Did you mean 'eu_orders'? "
        "There is: “eu_orders”, “eu_customers”.",
        "/steps/load/parameters/limit: “11” is not among the choices. There is: “10”, “100”.",
    ]


def test_a_name_mistyped_is_found_among_many_in_little_time() -> None:
    names = [f"warehouse_orders_{number % 100:02d}_{number:05d}" for number in range(10_000)]
    began = time.process_time()
    assert did_you_mean("warehouse_ordrs_42_04242", names) == " Did you mean 'warehouse_orders_42_04242'?"
    assert did_you_mean("warehouse_orders_4_04242", names) == " Did you mean 'warehouse_orders_42_04242'?"
    assert did_you_mean("x" * 100_000, names) == ""
    assert time.process_time() - began < 1


def test_questions_travel_beside_assignments_and_the_version_before_is_understood() -> None:
    question = Question(source="run.load", parameter="table")
    assert parse_order(to_line(question)) == question
    before = (
        b'{"version":1,"run_id":"00000000-0000-0000-0000-000000000000","run_name":"r","pipeline_name":"p",'
        b'"step_run_id":"00000000-0000-0000-0000-000000000000","step_name":"s","attempt":1,"source":"run.s",'
        b'"parameters":{},"inputs":{},"outputs":[],"artifact_uri":"/a"}'
    )
    assert isinstance(parse_order(before), Assignment)
    assert parse_event(b'{"version":1,"event":"completed","is_alone":true}') == Completed(
        version=1, is_alone=True
    )
    assert PROTOCOL_VERSION == 4
