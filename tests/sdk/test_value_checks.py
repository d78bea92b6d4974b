"""Values of a run against the types that a function declares."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, field_validator

from tests.templates.corpus import CORPUS
from zenweb.config.parameters import typed_parameters
from zenweb.execution.value_checks import errors_in


class Options(BaseModel):
    depth: int = Field(3, le=10)
    names: list[str] = []

    @field_validator("names")
    @classmethod
    def without_blanks(cls, names: list[str]) -> list[str]:
        if any(" " in name for name in names):
            raise ValueError("a name has no blanks")
        return names


def step(rate: Annotated[float, Field(gt=0, le=1)] = 0.1, options: Options = Options()) -> None: ...  # noqa: B008


def of_type(hint: Any) -> Any:
    def function(value): ...

    function.__annotations__ = {"value": hint}
    return function


@pytest.mark.parametrize("kind", CORPUS)
def test_what_a_form_sends_is_right(kind: str) -> None:
    hint, value = CORPUS[kind]
    if kind == "by JSON":  # its values are texts
        value = "[1, 2]"
    function = of_type(hint)
    [frozen] = typed_parameters("It", function, {"value": value})
    assert errors_in(function, {"value": frozen.value}, "/p") == []


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"rate": 0.5, "options": {"depth": 1}}, []),
        ({"rate": 7}, ["/p/rate: Input should be less than or equal to 1."]),
        ({"rate": "0.5"}, ["/p/rate: Input should be a valid number."]),
        ({"rat": 0.5}, ["/p/rat: There is no such parameter. Did you mean 'rate'?"]),
        ({"options": {"depth": 11}}, ["/p/options/depth: Input should be less than or equal to 10."]),
        ({"options": {"names": ["a", "b c"]}}, ["/p/options/names: a name has no blanks."]),
        (
            {"rate": 0, "a/b": 1},
            [
                "/p/rate: Input should be greater than 0.",
                "/p/a~1b: There is no such parameter. There is: rate, options.",
            ],
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_place(values: dict[str, Any], told: list[str]) -> None:
    assert [str(error) for error in errors_in(step, values, "/p")] == told
