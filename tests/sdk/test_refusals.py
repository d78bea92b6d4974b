"""What a step's own types refuse is told in one sentence, at its place, without what pydantic says beside it."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    BaseModel,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from zenweb.execution.refusals import refusal_of


class Depth(BaseModel):
    depth: int = Field(alias="how.deep", default=1)
    width: int

    @model_validator(mode="after")
    def check_depth(self) -> "Depth":
        if self.width > 5:
            raise ValueError("too wide")
        if self.width == 3:
            raise AssertionError
        return self


class Left(BaseModel):
    kind: Literal["left"]
    inner: Depth


class Right(BaseModel):
    kind: Literal["right"]
    height: int


class Login(BaseModel):
    key: SecretStr

    @field_validator("key")
    @classmethod
    def check_key(cls, key: SecretStr) -> SecretStr:
        raise ValueError("no such key")


@pytest.mark.parametrize(
    ("hint", "value", "told"),
    [
        (Depth, {"width": 9}, "p: too wide"),
        (Depth, {}, "p.width: Field required"),
        (Depth, {"width": 3}, "p: Assertion failed"),
        (Depth, {"width": 1, "how.deep": "x"}, "p: Input should be a valid integer"),
        (list[Depth], [{"width": 1}, {"width": 8}, {"width": 9}], "p.1: too wide; 2: too wide"),
        (Left | Right, {"kind": "left", "inner": {"width": 9}}, "p.inner: too wide"),
        (
            Annotated[Left | Right, Field(discriminator="kind")],
            {"kind": "left", "inner": {"width": 9}},
            "p.inner: too wide",
        ),
        (dict[int, bool], {"abc": True}, "p.abc: Input should be a valid integer"),
        (dict[str, Depth], {"int": {"width": 9}}, "p.int: too wide"),
    ],
)
def test_the_place_and_the_reason_are_told(hint: Any, value: Any, told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(hint).validate_python(value)
    error = refusal_of("p", value, refused.value)
    assert str(error).startswith(told)
    assert "pydantic" not in str(error)


def test_a_refused_secret_is_not_quoted() -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Login).validate_python({"key": "hunter2"})
    error = refusal_of("p", {"key": "hunter2"}, refused.value)
    assert str(error) == "p.key: no such key"
    assert isinstance(error.__cause__, ValueError)
    assert "hunter2" not in repr(error.__cause__)
