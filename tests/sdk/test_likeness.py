"""Values that code gives and that JSON cannot carry as they are: told when they are frozen, and only those."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from zenweb import step
from zenweb.config.parameters import typed_parameters


class Colour(Enum):
    RED = "red"


class Size(IntEnum):
    LARGE = 9


class Word(StrEnum):
    YES = "yes"


class Base(BaseModel):
    k: str = "b"


class Sub(Base):
    extra: int = 3


@dataclass
class Point:
    x: float = 0
    inner: dict[str, Any] = field(default_factory=dict)


def told(hint: Any, value: Any, caplog: pytest.LogCaptureFixture) -> list[str]:
    def function(x): ...

    function.__annotations__ = {"x": hint}
    typed_parameters("Step 's'", step(function).entrypoint, {"x": value})
    return caplog.messages


@pytest.mark.parametrize(
    ("hint", "value", "arrives"),
    [
        (Base, Sub(extra=9), "Base(k='b')"),
        (list[Base], [Sub()], "[Base(k='b')]"),
        (dict[str, Base] | None, {"a": Sub()}, "{'a': Base(k='b')}"),
        (Point, Point(inner={"a": {1: 2}}), "Point(x=0.0, inner={'a': {'1': 2}})"),
        (Any, {1: date(2026, 1, 1)}, "{'1': '2026-01-01'}"),
        (Any, {None: 1}, "{'None': 1}"),
        (Any, (1, 2), "[1, 2]"),
        (Any, {1}, "[1]"),
        (Any, Decimal("1.10"), "'1.10'"),
        (Any, Colour.RED, "'red'"),
        (Any, Sub(), "{'k': 'b', 'extra': 3}"),
        (dict, {"when": date(2026, 1, 1)}, "{'when': '2026-01-01'}"),
    ],
)
def test_what_arrives_as_something_else_is_told_with_what_to_do(hint, value, arrives, caplog):
    [message] = told(hint, value, caplog)
    assert message.startswith(f"Step 's', parameter 'x': {value!r} arrives in the step as {arrives}, which ")
    assert message.endswith("or make it in a step and connect it.")


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Base, Base(k="c")),
        (Sub, Sub()),
        (Any, {"a": [1, 2.5, None, True, "x", {"b": []}]}),
        (Any, 2**70),
        (Any, Size.LARGE),
        (Sequence[int], (1, 2)),
        (tuple[int, str], (1, "a")),
        (Mapping[int, date], OrderedDict({1: date(2026, 1, 1)})),
        (set[int], {1, 2}),
        (frozenset[Colour], frozenset([Colour.RED])),
        (Word, Word.YES),
        (str, Word.YES),
        (float, 1),
        (int, "5"),
        (Decimal, Decimal("1.10")),
        (datetime, datetime(2026, 1, 1, tzinfo=UTC)),
        (UUID, UUID(int=7)),
        (Path, Path("a/b")),
        (bytes, b"ab"),
        (Point, Point(x=1, inner={"a": 1})),
        (Base | int | None, Base()),
    ],
)
def test_what_arrives_as_it_is_is_not_told(hint, value, caplog):
    assert told(hint, value, caplog) == []
