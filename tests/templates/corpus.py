"""Parameters as they occur in real projects, with the values that they start from."""

import enum
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

from pydantic import (
    AnyUrl,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    NonNegativeInt,
    PositiveFloat,
    conlist,
)
from typing_extensions import TypedDict


class Scheduler(enum.StrEnum):
    LINEAR = "linear"
    COSINE = "cosine"


class Verbosity(enum.IntEnum):
    QUIET = 0
    LOUD = 2


class TrainingArguments(BaseModel):
    output: str = "out"
    learning_rate: float = Field(5e-5, gt=0, le=1)
    epochs: float = 3.0
    batch_size: int = Field(8, ge=1, multiple_of=8)
    warmup_ratio: float = Field(0.0, ge=0, le=1)
    weight_decay: float = 0.0
    scheduler: Scheduler = Scheduler.LINEAR
    bf16: bool | None = None
    seed: NonNegativeInt = 42
    resume_from: str | None = None
    report_to: list[Literal["none", "mlflow", "wandb"]] = ["none"]


class Uniform(BaseModel):
    kind: Literal["uniform"] = "uniform"
    low: float = 0.0
    high: float = 1.0


class LogUniform(BaseModel):
    kind: Literal["log"] = "log"
    low: PositiveFloat = 1e-5
    high: PositiveFloat = 1e-1


class Categorical(BaseModel):
    kind: Literal["categorical"] = "categorical"
    values: list[str | float] = ["a", 1.5]


Dimension = Annotated[Uniform | LogUniform | Categorical, Field(discriminator="kind")]


class SearchSpace(BaseModel):
    dimensions: dict[str, Dimension] = {"lr": LogUniform(), "depth": Categorical(values=[3.0, 5.0])}
    trials: int = Field(20, ge=1, le=1000)
    timeout: timedelta | None = timedelta(hours=2)
    direction: Literal["minimize", "maximize"] = "minimize"


class S3(BaseModel):
    type: Literal["s3"] = "s3"
    bucket: str = Field("data", pattern="^[a-z0-9.-]+$", min_length=3, max_length=63)
    prefix: str = ""


class Local(BaseModel):
    type: Literal["local"] = "local"
    path: str = "data/*.parquet"


class Warehouse(BaseModel):
    type: Literal["warehouse"] = "warehouse"
    query: str = "select *\nfrom orders"
    rows: int | None = None


DataSource = Annotated[S3 | Local | Warehouse, Field(discriminator="type")]


class Split(BaseModel):
    train: float = 0.8
    test: float = 0.2
    stratify: str | None = None


class Column(BaseModel):
    name: str
    type: Literal["int", "float", "text"] = "float"
    nullable: bool = False


class TableSchema(BaseModel):
    columns: list[Column] = [Column(name="id", type="int"), Column(name="price")]
    primary_key: list[str] = ["id"]


class Check(BaseModel):
    column: str
    between: tuple[float, float] | None = None
    one_of: list[str] | None = None


class Quality(BaseModel):
    checks: list[Check] = [
        Check(column="price", between=(0.0, 100.0)),
        Check(column="country", one_of=["CH", "IT"]),
    ]
    fail_fast: bool = False


class Expression(BaseModel):
    op: Literal["and", "or", "is"] = "and"
    parts: "list[Expression]" = []
    value: str | None = None


class Alert(BaseModel):
    channel: Literal["mail", "chat"] = "mail"
    to: list[str] = ["a@example.com"]
    at: time = time(8, 30)
    days: set[Literal["mon", "tue", "wed"]] = {"mon"}


class Window(NamedTuple):
    start: int = 0
    length: int = 7


class Thresholds(TypedDict, total=False):
    warn: float
    fail: float


class Point(TypedDict):
    x: float
    y: float


@dataclass
class Augmentation:
    flip: bool = True
    rotation: tuple[int, int] = (-10, 10)
    crop: float | None = None
    names: list[str] = field(default_factory=lambda: ["blur"])


@dataclass
class Model:
    layers: list[int] = field(default_factory=lambda: [64, 32])
    dropout: list[float] = field(default_factory=lambda: [0.1, 0.1])
    augmentation: Augmentation = field(default_factory=Augmentation)
    tags: dict[str, str] = field(default_factory=lambda: {"team": "risk"})


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str = "x"


class Aliased(BaseModel):
    batch_size: int = Field(3, alias="batch-size")
    first_name: str = Field("Ada", alias="first.name")


CORPUS: dict[str, tuple[Any, Any]] = {
    "training arguments": (TrainingArguments, TrainingArguments()),
    "search space": (SearchSpace, SearchSpace()),
    "data source": (DataSource, S3()),
    "another source": (DataSource, Warehouse(rows=10)),
    "sources": (list[DataSource], [S3(), Local()]),
    "optional source": (DataSource | None, None),
    "split": (Split, Split(stratify="label")),
    "table": (TableSchema, TableSchema()),
    "quality": (Quality, Quality()),
    "expression": (
        Expression,
        Expression(parts=[Expression(op="is", value="x"), Expression(parts=[Expression()])]),
    ),
    "alert": (Alert, Alert()),
    "alerts by name": (dict[str, Alert], {"ops": Alert(), "dev team": Alert(channel="chat", to=[])}),
    "window": (Window, Window(1, 2)),
    "thresholds": (Thresholds, {"warn": 0.5}),
    "points": (list[Point], [{"x": 0.0, "y": 1.0}]),
    "model": (Model, Model()),
    "models": (list[Model], [Model(), Model(layers=[])]),
    "anything": (Anything, Anything(name="y")),
    "aliased": (Aliased, Aliased()),
    "text": (str, "hello"),
    "paragraph": (Annotated[str, Field(json_schema_extra={"format": "multiline"})], "two\n\nlines"),
    "bounded text": (Annotated[str, Field(min_length=2, max_length=5)], "abc"),
    "pattern": (Annotated[str, Field(pattern=r"^[A-Z]{2}\d+$")], "AB12"),
    "url": (AnyUrl, AnyUrl("https://example.com/a?b=c")),
    "uuid": (UUID, UUID(int=7)),
    "ip": (IPv4Address, IPv4Address("10.0.0.1")),
    "path": (PurePosixPath, PurePosixPath("a/b")),
    "colour": (Annotated[str, Field(json_schema_extra={"format": "color"})], "#aabbcc"),
    "integer": (Annotated[int, Field(gt=0, lt=100)], 7),
    "huge integer": (int, 10**17),
    "number": (float, 1e-12),
    "decimal": (Annotated[Decimal, Field(max_digits=8, decimal_places=2)], Decimal("12.50")),
    "yes": (bool, True),
    "perhaps": (bool | None, None),
    "day": (date, date(2026, 2, 28)),
    "time": (time, time(23, 59, 59)),
    "moment": (datetime, datetime.fromisoformat("2026-03-29T00:30:00+00:00")),
    "optional moment": (datetime | None, None),
    "duration": (timedelta, timedelta(days=1, seconds=1)),
    "literal": (Literal["a", "b"], "b"),
    "mixed literal": (Literal[1, "1", True], "1"),
    "one literal": (Literal["only"], "only"),
    "enumeration": (Scheduler, Scheduler.COSINE),
    "numbers enumerated": (Verbosity, Verbosity.LOUD),
    "optional choice": (Scheduler | None, None),
    "texts": (list[str], ["a", "b c"]),
    "no texts": (list[str], []),
    "optional list": (list[int] | None, None),
    "numbers": (conlist(float, min_length=1, max_length=3), [0.1, 0.2]),
    "days": (list[date], [date(2026, 1, 1)]),
    "choices": (list[Scheduler], [Scheduler.COSINE]),
    "choices in order": (list[Literal["x", "y"]], ["y", "x"]),
    "set": (set[int], {3}),
    "frozen set": (frozenset[Literal["p", "q"]], frozenset({"q"})),
    "matrix": (list[list[float]], [[1.0, 0.0], [0.0, 1.0]]),
    "pair": (tuple[str, int], ("a", 1)),
    "endless tuple": (tuple[int, ...], (1, 2, 3)),
    "ranges": (dict[str, tuple[float, float]], {"lr": (0.1, 0.2)}),
    "lists by name": (dict[str, list[int]], {"a": [1], "b": []}),
    "grid": (dict[str, list[float | str]], {"C": [0.1, 1.0], "kernel": ["rbf"]}),
    "anything by name": (dict[str, Any], {"a": {"b": [1, None]}}),
    "number or auto": (float | Literal["auto"], "auto"),
    "number or text": (int | str, "7"),
    "one or many": (str | list[str], ["a"]),
    "by JSON": (Json[list[int]], [1, 2]),
}
