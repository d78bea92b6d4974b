"""Defaults that are found when a run is asked for: what signatures say, and what they may not."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, SecretStr

from zenweb import Default, last_successful, now, pipeline, today, yesterday
from zenweb.config.config_schema import parameter_schemas
from zenweb.config.defaults import Source
from zenweb.config.json_schema import DYNAMIC_DEFAULT
from zenweb.config.parameters import typed_parameters
from zenweb.exceptions import AuthoringError


def schema_of(function: Any, given: dict[str, Any] | None = None) -> dict[str, Any]:
    properties, _ = parameter_schemas({"it": typed_parameters("Step 'it'", function, given or {})})
    return properties["it"]


def test_a_default_that_is_found_is_not_asked_for_and_not_frozen() -> None:
    def load(
        day: Annotated[date, Default(today)], rate: Annotated[float, Default(last_successful)] = 0.5
    ) -> None: ...

    schema = schema_of(load)
    assert schema["required"] == []
    assert schema["properties"]["day"] == {
        "title": "Day",
        "type": "string",
        "format": "date",
        DYNAMIC_DEFAULT: {"source": "today"},
    }
    assert schema["properties"]["rate"]["default"] == 0.5
    assert schema["properties"]["rate"][DYNAMIC_DEFAULT] == {"source": "last-successful"}


def test_what_the_pipeline_gives_goes_before_what_is_found() -> None:
    def load(day: Annotated[date, Default(today)]) -> None: ...

    day = schema_of(load, {"day": date(2026, 1, 31)})["properties"]["day"]
    assert day["default"] == "2026-01-31"
    assert DYNAMIC_DEFAULT not in day


@pytest.mark.parametrize(
    ("source", "words", "rules"),
    [
        (today, "today", {"source": "today"}),
        (yesterday, "yesterday", {"source": "today", "offset": -86_400}),
        (today - timedelta(days=7), "7 days before today", {"source": "today", "offset": -604_800}),
        (now + timedelta(hours=1), "1 hour after now", {"source": "now", "offset": 3_600}),
        (now - timedelta(seconds=90), "90 seconds before now", {"source": "now", "offset": -90}),
        (last_successful, "as in the last successful run", {"source": "last-successful"}),
    ],
)
def test_a_source_is_told_in_words_and_read_from_its_schema(source: Source, words: str, rules: Any) -> None:
    assert str(source) == words
    assert Source.read(rules) == source


NO_SOURCES = [
    None,
    3,
    {},
    {"source": "tea"},
    {"source": "now", "offset": "x"},
    {"source": "now", "offset": 1e99},
]


@pytest.mark.parametrize("rules", NO_SOURCES)
def test_what_is_no_source_is_none(rules: Any) -> None:
    assert Source.read(rules) is None


class Span(BaseModel):
    start: Annotated[date, Default(today)]


@pytest.mark.parametrize(
    ("hint", "sentence"),
    [
        (Annotated[int, Default(today)], r"Default\(today\) is for a date or a str"),
        (Annotated[date, Default(now)], r"Default\(now\) is for a datetime or a str"),
        (Annotated[SecretStr, Default(last_successful)], "A secret is never kept"),
        (Span, "belongs to the parameter as a whole"),
        (Annotated[date, Default(today)] | None, "belongs to the parameter as a whole"),
    ],
)
def test_a_default_that_cannot_be_is_refused_where_it_is_written(hint: Any, sentence: str) -> None:
    def load(it: Any) -> None: ...

    load.__annotations__["it"] = hint
    with pytest.raises(AuthoringError, match=rf"parameter 'it': .*{sentence}"):
        schema_of(load)


def test_a_pipelines_own_parameter_has_none() -> None:
    """It would be frozen with the day of the freeze."""

    @pipeline
    def daily(day: Annotated[date, Default(today)]) -> None: ...

    with pytest.raises(AuthoringError, match=r"parameter 'day'.*Give it to the parameter of a step"):
        daily.compile()


def test_only_a_source_can_be_found() -> None:
    with pytest.raises(AuthoringError, match="write Default\\(today\\)"):
        Default(date.today)  # type: ignore[arg-type]
    with pytest.raises(AuthoringError, match="whole days"):
        today - timedelta(hours=1)
    with pytest.raises(AuthoringError, match="no time"):
        last_successful - timedelta(days=1)


@pytest.mark.parametrize("hint", [str, str | None, datetime | None])
def test_texts_and_what_may_be_not_set_take_one_too(hint: Any) -> None:
    def load(it: Any) -> None: ...

    load.__annotations__["it"] = Annotated[hint, Default(now)]
    assert DYNAMIC_DEFAULT in schema_of(load)["properties"]["it"]
