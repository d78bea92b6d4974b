"""Steps and pipelines in every style that the documentation shows."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, Field, SecretStr
from typing_extensions import TypedDict

from zenweb import (
    Choices,
    Default,
    File,
    ParameterError,
    get_step_context,
    log_metadata,
    pipeline,
    step,
    today,
    unmapped,
)
from zenweb.steps import Step


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Layer(BaseModel):
    units: int = Field(default=8, ge=1)
    activation: Literal["relu", "tanh"] = "relu"


@dataclass
class Optimizer:
    name: str = "adam"
    decay: float = 0.0


@dataclass
class Training:
    epochs: int = 3
    optimizer: Optimizer = field(default_factory=Optimizer)
    layers: list[Layer] = field(default_factory=list[Layer])


class Window(TypedDict):
    start: date
    days: int


class Point(NamedTuple):
    x: float
    y: float


def list_tables(region: str) -> list[str]:
    return [f"{region}_orders"]


def told(error: BaseException) -> None:
    print(error)


@step
def load(
    path: str,
    region: str = "eu",
    table: Annotated[str, Choices(list_tables, depends_on=["region"])] = "eu_orders",
    upload: Annotated[bytes, File(types=[".csv"])] | None = None,
    since: Annotated[date, Default(today - timedelta(days=7))] = date(2026, 1, 1),
    at: datetime | None = None,
    price: Decimal = Decimal("1.50"),
    password: SecretStr | None = None,
) -> list[float]:
    if not path:
        raise ParameterError("path", "it is empty")
    log_metadata({"rows": 3})
    return [float(price)]


@step(retry={"max_retries": 2}, timeout=timedelta(minutes=5), queue="gpu", enable_cache=False)
def train(
    data: list[float],
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.1,
    training: Training = Training(),
    colour: Colour = Colour.RED,
    window: Window | None = None,
    origin: Point | None = None,
) -> tuple[Annotated[float, "score"], Annotated[dict[str, Any], "model"]]:
    return learning_rate * get_step_context().attempt, {"colour": colour.value}


@step(name="evaluator", on_failure=told)
def evaluate(score: float, threshold: float = 0.5) -> Annotated[bool, "is_good"]:
    return score > threshold


fast: Step[..., Any] = train.with_options(name="fast_train", parameters={"learning_rate": 0.9})
patient = evaluate.with_options(retry={"max_retries": 3, "delay": 10})


@pipeline(tags=["nightly"], execution_mode="fail_fast", settings={"resources": {"memory": "4GB"}})
def training_pipeline(n_models: int = 3, with_report: bool = True) -> None:
    data = load()
    first = load(path="other", after=data, id="other_load")
    for number in range(n_models):
        score, _ = train(data, learning_rate=0.1 * (number + 1), colour=Colour.BLUE)
        evaluate(score, after="other_load")
        evaluate(score=score, threshold=0.9)
    if with_report:
        patient(threshold=0.2, after=[first, train])
    scores, _ = train.map(unmapped(data), learning_rate=[0.1, 0.2])
    evaluate.map(score=scores)
    good = evaluate(0.7, id="sure")
    load("better", when=good)
    load("worse", unless=(good, True), id="worse")


def use() -> None:
    training_pipeline()
    training_pipeline(n_models=5)
    training_pipeline.with_options(parameters={"n_models": 4}).create_run_template(name="four")
    training_pipeline.configure(enable_cache=False)
    assert evaluate(0.3) is False  # outside of a pipeline it is the plain function
    answer: bool = evaluate(0.3, threshold=0.1)
    print(answer)
