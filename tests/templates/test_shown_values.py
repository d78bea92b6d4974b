"""Values as people read them, in the words of their schema."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from runs_app.templatetags.runs import setting
from templates_app.schema_forms.schemas import Schema
from templates_app.schema_forms.shown import Facts, Table, shown


class Speed(Enum):
    SLOW = "slow"
    FAST = "fast"


class Layer(BaseModel):
    units: int
    dropout_rate: float | None = None


class Wait(BaseModel):
    kind: Literal["wait"] = "wait"
    how_long: timedelta


class Skip(BaseModel):
    kind: Literal["skip"] = "skip"


@dataclass
class Plan:
    pace: Speed = Speed.FAST
    layers: list[Layer] = field(default_factory=list)


def words(annotation: Any, value: Any) -> Any:
    schema = TypeAdapter(annotation).json_schema()
    return shown(Schema.read(schema, schema), value)


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (int, 3, 3),
        (bool | None, None, None),
        (str, "P1D", "P1D"),
        (timedelta, "PT5400S", "1 h 30 min"),
        (timedelta | None, "P1DT2H", "1 d 2 h"),
        (datetime, "2026-01-31T14:30:00Z", "31 January 2026, 14:30:00 UTC"),
        (datetime, "2026-01-31T14:30:00", "2026-01-31T14:30:00"),
        (list[timedelta], ["PT60S"], ["1 min"]),
        (tuple[int, timedelta], [2, "PT60S"], [2, "1 min"]),
        (dict[str, timedelta], {"a": "PT1S"}, Facts([("a", "1 s")])),
        (Any, {"a": [1]}, {"a": [1]}),
    ],
)
def test_a_value_is_shown_in_words(annotation, value, expected):
    assert words(annotation, value) == expected


def test_a_model_is_shown_as_titles_with_values_and_a_list_of_them_as_a_table():
    value = {"pace": "slow", "layers": [{"units": 8, "dropout_rate": 0.5}, {"units": 4}]}

    assert words(Plan, value) == Facts(
        [("Pace", "slow"), ("Layers", Table(["Units", "Dropout Rate"], [[8, 0.5], [4, None]]))]
    )


def test_of_a_union_the_kind_that_fits_is_shown():
    either = Annotated[Wait | Skip, Field(discriminator="kind")]

    assert words(either, {"kind": "wait", "how_long": "PT90S"}) == Facts(
        [("Kind", "wait"), ("How Long", "1 min 30 s")]
    )


def test_a_long_list_is_cut():
    table = words(list[Layer], [{"units": number} for number in range(60)])

    assert (len(table.rows), table.more) == (50, 10)


def test_what_nests_without_end_stays_as_it_is():
    value: Any = {}
    for _ in range(12):
        value = {"inner": value}

    assert isinstance(words(dict[str, Any], value), Facts | dict)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", "empty"),
        ([], "none"),
        ({}, "none"),
        (0, "0"),
        (False, "no"),
        (None, "not set"),
        ([1, "a"], "1, a"),
    ],
)
def test_what_is_empty_has_a_word(value, expected):
    assert setting(value) == expected


def test_no_two_tables_have_the_same_name():
    table = words(list[Layer], [{"units": 8}])

    shown = setting(Facts([("Layers", table), ("Spare", table)]), "Plan (Trainer)")

    assert 'role="region" aria-label="Entries of Plan (Trainer) → Layers"' in shown
    assert 'role="region" aria-label="Entries of Plan (Trainer) → Spare"' in shown
    assert "region" not in setting(table)
