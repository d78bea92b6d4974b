"""JSON on the database's terms: what SQLite and PostgreSQL both take, and give back equal."""

import json
import math
from collections import OrderedDict
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from zenweb.artifacts.json_encoding import NotEncodable, decode, encode

AWKWARD = [
    math.inf,
    -math.inf,
    1e16,
    1e23,
    -1e300,
    5e-324,
    123456789.123456789,
    "a\x00b",
    "\udfff",
    {"key\x00": ["\x00"]},
    {"$zenweb": "str"},
    (1, {2}, frozenset({3})),
    OrderedDict(b=1, a=2),
    b"\x00",
    datetime(2024, 1, 1, tzinfo=UTC),
    2**64,
    10**5000,
]


def through_jsonb(tree):
    """What PostgreSQL's `jsonb` does to JSON: numbers without exponents, keys in another order."""
    text = json.dumps(tree, allow_nan=False, ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()  # refuses lone surrogates

    def plain(number):
        digits = format(Decimal(number), "f")
        return float(digits) if "." in digits else int(digits)

    printed = json.loads(text, parse_float=plain, object_pairs_hook=lambda pairs: dict(sorted(pairs)))
    return json.loads(json.dumps(printed))


@pytest.mark.parametrize("value", AWKWARD, ids=[str(number) for number in range(len(AWKWARD))])
def test_awkward_values_survive_the_database(value):
    back = decode(through_jsonb(encode(value)))
    assert back == value
    assert type(back) is type(value)


def test_not_a_number_survives_the_database():
    assert math.isnan(decode(through_jsonb(encode({"loss": math.nan})))["loss"])


def test_ordinary_values_are_themselves():
    ordinary = {"accuracy": 0.93, "rows": 150, "names": ["a", None, True], "nested": {"b": -1e-9}}
    assert encode(ordinary) == ordinary


def test_an_unknown_value_is_refused_unless_the_caller_knows_it():
    with pytest.raises(NotEncodable, match="'object'"):
        encode([object()])
    assert encode([object()], lambda value: "known") == ["known"]


@pytest.mark.parametrize(
    "tree",
    [
        {"$zenweb": "float"},
        {"$zenweb": "uuid", "value": 1},
        {"$zenweb": "decimal", "value": "x"},
        {"$zenweb": "set", "value": [[]]},
        {"$zenweb": ["list"], "value": 1},
        {"$zenweb": "dataclass", "type": "os.system", "value": {}},
    ],
)
def test_what_only_claims_to_be_encoded_is_refused_and_imports_nothing(tree):
    with pytest.raises(ValueError, match=r"This is no|unknown kind"):
        decode(tree)
