"""A parameter of every kind that the owner of a template may narrow, fix or hide."""

from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from zenweb import pipeline, step


class Colour(Enum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


@step
def trainer(
    name: str,
    rate: Annotated[float, Field(gt=0, le=1, description="How far each step goes.")] = 0.1,
    epochs: Annotated[int, Field(ge=1, multiple_of=5)] | None = None,
    price: Annotated[Decimal, Field(ge=0)] = Decimal("1.50"),
    code: Annotated[str, Field(min_length=2, max_length=20, pattern="^[a-z]+$")] = "abc",
    kind: Literal["svm", "rf", "knn"] = "svm",
    colour: Colour = Colour.RED,
    labels: tuple[str, ...] = ("a",),
    either: int | str = 1,
    shuffle: bool = True,
    key: SecretStr | None = None,
) -> Annotated[float, "score"]:
    print(f"{name} learns at {rate}")
    return rate


@step
def reporter(score: float, note: str = "") -> None:
    print(score, note)


@pipeline
def shaped_pipeline() -> None:
    reporter(trainer(name="nobody"))


@pipeline
def asking_pipeline() -> None:
    reporter(trainer())
