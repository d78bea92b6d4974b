"""A parameter of every kind that is typed on the command line."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr

from zenweb import pipeline, step


class Optimizer(BaseModel):
    lr: Annotated[float, Field(gt=0)] = 0.5
    momentum: float = 0.0
    warm_up: bool = False


@dataclass
class Login:
    user: str
    password: SecretStr


STEADY = Optimizer(momentum=0.9)


class Size(IntEnum):
    SMALL = 1
    LARGE = 9


@step
def trainer(
    name: str,
    learning_rate: Annotated[float, Field(gt=0, le=1, description="How far each step goes.")] = 0.1,
    epochs: int | None = 3,
    kind: Literal["svm", "rf"] = "svm",
    size: Size = Size.SMALL,
    shuffle: bool = True,
    balance: bool | None = True,
    labels: list[str] = ["a"],
    layers: Annotated[list[int], Field(max_length=3)] = [8],
    optimizer: Optimizer = STEADY,
    weights: dict[str, float] = {},
    since: date = date(2026, 1, 1),
    price: Decimal = Decimal("1.50"),
    either: int | str = 1,
    data: Path | None = None,
    api_key: SecretStr | None = None,
    login: Login | None = None,
) -> None:
    """Train a model."""


@step
def report(title: str = "report") -> None:
    """Say how it went."""


@pipeline
def typed_pipeline() -> None:
    trainer()
    report.with_options(name="final report")()
