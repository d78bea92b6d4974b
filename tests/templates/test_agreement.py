"""What the server accepts, a step takes; and what a step takes, the server accepts: over all documented types.

The two judge in their own ways, the server by a schema and the step by pydantic. They differ on purpose where pydantic
makes a value of another kind of what was given (an int of the text "5", a moment of a number of seconds, a Decimal of
`1_0`), and where a float has lost digits that a Decimal keeps: such values are not in these lists.
"""

import enum
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import (
    AnyUrl,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    NaiveDatetime,
    StrictInt,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from templates_app.schema_validation import accepts, check_schema
from zenweb.config.json_schema import ParameterSchema
from zenweb.config.json_values import typed_value


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 10


class Day(BaseModel):
    model_config = ConfigDict(strict=True)

    day: date
    share: float = 0.5
    number: int = 1


MOMENTS = [
    *("2026-01-01T10:00", "2026-01-01T10:00:00Z", "2026-01-01 10:00:00Z", "2026-01-01t10:00:00z", ""),
    *("2026-01-01T10:00:00+05:30", "2026-01-01T10:00:00+0530", "2026-01-01T10:00:00+05", "2026-01-01T10:00:00+25:00"),
    *("2026-01-01 10:00:00 +05:30", "2026-01-01T10:00:00 Z", "20260101T100000", "2026-01-01T10", "2026-01-01T24:00:00"),
    *("2026-01-01", "2026-02-30", "2026-1-1", "2026-W01-1", "0000-01-01T00:00", "10000-01-01T00:00"),
    "+2026-01-01T10:00",
    *(" 2026-01-01T10:00 ", "2026-01-01T10:00:60", "2026-01-01T10:00:00,5", "2026-01-01T10:00:00.1234567", "today"),
    "2026-01-01_10:00:00",
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59"),
    *("2026-01-01T10:00:00-00:00", "2026-01-01T10:00:00\N{MINUS SIGN}05:00"),
]  # fmt: skip
DAYS = [
    "2026-01-01",
    "2026-02-30",
    "2026-1-1",
    "20260101T",
    "2026-01-01T00:00:00",
    "2026-01-01T10:00:00",
    "2026-W01-1",
]
TIMES = [
    *("12:30", "12:30:00", "12:30:00.123456", "12:30Z", "12:30:00+05:30", "12:30:00 +05:30", "12:30 PM", "1:30", "12"),
    *("T12:30", "25:00", "24:00", "12:30:60", "12:30:00.1234567", "12:30 Z", "00:00", "12:00:00.000001", ""),
]  # fmt: skip
LENGTHS = [
    *("PT1H", "PT2H", "-PT1H", "PT1.5H", "P1W", "P1Y", "P1M", "P1D12H", "P1DT12H", "PT", "P", "1 day"),
    *("1:00:00", "01:30"),
    *("PT1S1M", "+PT1H", "PT1,5S", "P-1D", "pt1h", "P1000000000D", "-P1DT2H", "P0.5D", "PT1H ", "PT3600.000001S", ""),
]  # fmt: skip
NUMBERS = [0, 1, -1, 5, 999, 1000, 99999, 10**19, 10**30, 0.5, 0.25, 1.005, 12345.5, 1e5, -0.0]
WHOLE = [0, 1, 1.0, -3, 1e3, 1.5, 1e15, 2.0**63, 1e19, 1e22, 1e23, 10**30, -(2**70), 0.1, 1e-5]
TEXTS = [
    "",
    " ",
    "  ",
    "a",
    "Zürich",
    "naïve café",
    "東京",
    "a b",
    "a-b",
    "١٢",
    "12",
    "\u00a0",
    "a\n",
    "_",
    "é",
    "ab_1",
    "!",
]
PATTERNS = [
    *(r"^\w+$", r"^[\w-]+$", r"^\W", r"\bü?\w\b", r"^\d+$", r"^[^\W\d]+$", r"\s", r"^\S*$", r"(?i)^ZÜ"),
    r"^[[:alpha:]]+$",
]
UUIDS = [
    *("00000000-0000-0000-0000-000000000001", "{00000000-0000-0000-0000-000000000001}", "0" * 31 + "1", "0" * 31),
    *("urn:uuid:00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-00000000000G", "x", ""),
]  # fmt: skip
HOUR = timedelta(hours=1)
VALUES: list[tuple[Any, list[Any]]] = [
    (int, WHOLE),
    (StrictInt, WHOLE),
    (Annotated[int, Field(ge=0, le=10**20)], WHOLE),
    (Level, [1, 10, 2, 1.0]),
    (Literal[1, 2], [1, 2, 3, 1.0]),
    (int | None, [None, 1, 1e19]),
    (list[int], [[1, 1e19], [1.5], [], [10**30, 2.0]]),
    (dict[str, dict[str, list[int | None]]], [{"a": {"b": [1.0, None]}}, {"a": None}]),
    (float, [*NUMBERS, *WHOLE]),
    (Decimal, [*NUMBERS, "1.", ".5", "0x1", "1,5", "", "-0", "1e1000", "NaN", "+1"]),
    (Annotated[Decimal, Field(max_digits=5, decimal_places=2)], [*NUMBERS, "999.99", "1000", "99999", "0.001", "1e3"]),
    (Annotated[Decimal, Field(ge=0, lt=1000)], [*NUMBERS, "999.99", "1000", "-1"]),
    (datetime, MOMENTS),
    (AwareDatetime, MOMENTS),
    (NaiveDatetime, MOMENTS),
    (Annotated[datetime, Field(ge=datetime(2026, 1, 1, 10, tzinfo=UTC))], MOMENTS),
    (date, DAYS),
    (Annotated[date, Field(gt=date(2026, 1, 1))], [*DAYS, "2026-01-02"]),
    (time, TIMES),
    (Annotated[time, Field(le=time(12))], TIMES),
    (Annotated[time, Field(gt=time(12, tzinfo=UTC))], TIMES),
    (timedelta, LENGTHS),
    (Annotated[timedelta, Field(le=HOUR)], LENGTHS),
    (Annotated[timedelta, Field(gt=timedelta(0), lt=HOUR)] | None, [*LENGTHS, None]),
    (UUID, UUIDS),
    *((Annotated[str, Field(pattern=pattern)], TEXTS) for pattern in PATTERNS),
    (dict[Annotated[str, StringConstraints(pattern=r"^\w+$")], int], [{"Zürich": 1}, {"Zürich": "x"}, {"a b": 1}]),
    (Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)], TEXTS),
    (Json, ["x", "1", '"x"', "[1, 2]", "", "nan"]),
    (Json[list[int]], ["[1, 2]", "[]", '["x"]', "1", "x"]),
    (IPv4Address, ["1.2.3.4", "1.2.3", "256.1.1.1", "1.2.3.4/24"]),
    (AnyUrl, ["http://", "a:b", "HTTP://A", "//x", "http://é.de", "http://a:99999", "https://müller.de/"]),
    (Day, [{"day": "2026-01-01"}, {"day": "2026-02-30"}, {"day": "2026-01-01", "share": 1, "number": 2.0}, {}]),
]  # fmt: skip
CASES = [(hint, value) for hint, values in VALUES for value in values]


def is_accepted(hint: Any, value: Any) -> bool:
    schema = TypeAdapter(hint).json_schema(schema_generator=ParameterSchema)
    check_schema(schema)
    return accepts(schema, schema, value)


def is_taken(hint: Any, value: Any) -> bool:
    try:
        typed_value(TypeAdapter(hint), value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(("hint", "values"), VALUES, ids=[f"{index}" for index in range(len(VALUES))])
def test_server_and_step_agree(hint: Any, values: list[Any]) -> None:
    told = {repr(value): (is_accepted(hint, value), is_taken(hint, value)) for value in values}
    assert {value: verdicts for value, verdicts in told.items() if verdicts[0] != verdicts[1]} == {}
