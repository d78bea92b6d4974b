"""One parameter of every kind, with and without a default, and a step that says what it was given."""

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, SecretStr

from zenweb import Choices, Default, File, pipeline, step, today


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Layer(BaseModel):
    units: Annotated[int, Field(ge=1)]
    rate: float | None = None


class Csv(BaseModel):
    kind: Literal["csv"]
    path: str


class Query(BaseModel):
    kind: Literal["query"]
    sql: str
    password: SecretStr | None = None


class Net(BaseModel):
    layers: list[Layer] = []
    source: Annotated[Csv | Query, Field(discriminator="kind")] = Csv(kind="csv", path="a.csv")
    names: dict[str, int] = {}


@dataclass
class Point:
    x: float
    tags: list[str] = field(default_factory=list)


def regions() -> list[str]:
    return ["eu", "us"]


def tables(region: str) -> Iterator[tuple[str, str]]:
    yield f"{region}_orders", f"Orders of {region}"
    yield f"{region}_customers", f"Customers of {region}"


@step(enable_cache=False)
def numbers(
    whole: int,
    share: Annotated[float, Field(gt=0, le=1, description="How much of it.")] = 0.1,
    even: Annotated[int, Field(multiple_of=2)] = 4,
    big: int = 2**63,
    switch: bool = False,
    price: Annotated[Decimal, Field(ge=0, max_digits=6, decimal_places=2)] = Decimal("1.10"),
) -> Annotated[dict[str, str], "numbers"]:
    """Numbers of every kind.

    Args:
        whole: Has to be given.
        big: More than a float can hold.
    """
    return {name: repr(value) for name, value in locals().items()}


@step(enable_cache=False)
def texts(
    text: Annotated[str, Field(min_length=1, max_length=40, pattern="^[a-z ]+$")] = "plain words",
    lines: str = "one\ntwo\n",
    maybe: str | None = None,
    kind: Literal["svm", "rf"] = "svm",
    colour: Colour = Colour.RED,
    id: UUID = UUID(int=5),
    token: SecretStr | None = None,
) -> Annotated[dict[str, str], "texts"]:
    return {name: repr(value) for name, value in locals().items()}


@step(enable_cache=False)
def moments(
    day: date = date(2024, 2, 29),
    moment: datetime = datetime.fromisoformat("2024-07-01T08:00:00+05:30"),
    at: time = time(8, 30),
    took: timedelta = timedelta(hours=1, seconds=5),
    until: Annotated[date, Default(today)] = date(2020, 1, 1),
) -> Annotated[dict[str, str], "moments"]:
    return {name: f"{type(value).__name__} {value}" for name, value in locals().items()}


@step(enable_cache=False)
def collections(
    many: Annotated[list[int], Field(max_length=5)] = [1, 2],
    pair: tuple[int, str] = (1, "a"),
    several: set[int] = {3, 1},
    by_name: dict[str, float] = {"a": 0.5},
    anything: Any = None,
    net: Net = Net(layers=[Layer(units=3)]),
    layers: list[Layer] = [],
    point: Point = Point(1.5),
    number_or_text: int | str = 5,
) -> Annotated[dict[str, str], "collections"]:
    return {name: repr(value) for name, value in locals().items()}


@step(enable_cache=False)
def chosen(
    region: Annotated[str, Choices(regions)] = "eu",
    table: Annotated[str, Choices(tables, depends_on=["region"])] = "eu_orders",
    document: Path = Path("note.txt"),
    sheets: Annotated[list[Path], File(types=[".txt"], max_size="1 kB")] = [],
) -> Annotated[dict[str, str], "chosen"]:
    return {"region": region, "table": table, "document": document.read_text(), "sheets": repr(sheets)}


@pipeline(tags=["frozen"], run_name="values-{date}-{time}")
def values_pipeline() -> None:
    """Every kind of parameter."""
    numbers()
    texts()
    moments()
    collections()
    chosen()
