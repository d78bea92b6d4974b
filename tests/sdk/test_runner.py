"""What the runner of a step makes of what its code raises."""

from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from zenweb import step
from zenweb.config.json_values import typed_value
from zenweb.execution.protocol import Assignment
from zenweb.execution.runner import describe, run_attempt


class Speechless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_error_that_cannot_say_itself_is_told_by_type_and_traceback():
    try:
        raise Speechless
    except Speechless as error:
        told = describe(error)
    assert (told.type, told.message) == ("Speechless", "<exception str() failed>")
    assert "raise Speechless" in told.traceback


class Size(BaseModel):
    rows: int | None = None


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (int, 1e19, 10**19),
        (int | None, 1e23, 10**23),
        (int | str, 1e22, 10**22),
        (dict[str, list[int]], {"a": [1, 1e19]}, {"a": [1, 10**19]}),
        (list[Size], [{"rows": 1e19}], [Size(rows=10**19)]),
    ],
)
def test_a_whole_number_with_an_exponent_arrives_as_one(hint: Any, value: Any, expected: Any) -> None:
    got = []

    def takes(x):
        got.append(x)

    takes.__annotations__ = {"x": hint}
    given = Assignment(
        run_id=UUID(int=1),
        run_name="r",
        pipeline_name="p",
        step_run_id=UUID(int=2),
        step_name="takes",
        attempt=1,
        source="m.takes",
        parameters={"x": value},
        inputs={},
        outputs=[],
        artifact_uri="nowhere",
        settings={},
    )
    assert run_attempt(step(takes), given, lambda event: None) is None
    assert got == [expected]


def test_what_is_no_whole_number_is_refused_in_the_words_of_before() -> None:
    with pytest.raises(ValidationError, match="got a number with a fractional part"):
        typed_value(TypeAdapter(list[int]), [1.5, 1e19])
