"""The one way Python values become JSON that every database takes and gives back equal.

JSON on database terms has no NaN or Infinity token, no NUL and no lone surrogate in a text, and a number that
PostgreSQL's `jsonb` prints without its exponent must not turn from a float into an integer. So most values are
themselves, and the few that cannot be are an object with the key `$zenweb`, which names the kind:

    nan, inf, 1e30        {"$zenweb": "float", "value": "nan"}      (every float of 1e16 and more)
    "a\\0b"                {"$zenweb": "str", "value": "a\\\\x00b"}     (Python's escapes)
    (1, 2)                {"$zenweb": "tuple", "value": [1, 2]}
    {1: "a"}              {"$zenweb": "dict", "value": [[1, "a"]]}  (keys that are no plain text, or are `$zenweb`)

and so on for sets, bytes, complex numbers, dates, times, UUID and Decimal. The order of an object's keys is not kept by
`jsonb`; where order matters, use a list. Decoding never imports anything, so servers may decode what users sent.
"""

import base64
import re
from collections import Counter, OrderedDict
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

Json: TypeAlias = Any
"""None, bool, int, float, str, or a list or dict (keys: str) of those."""

TAG = "$zenweb"

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_FLOAT_LIMIT = 1e16
_INT_BITS_LIMIT = 1024


class NotEncodable(TypeError):
    """A value without a JSON form."""

    def __init__(self, value: object) -> None:
        super().__init__(f"A value of type '{type(value).__qualname__}' has no JSON form.")


def refuse(value: object) -> Json:
    raise NotEncodable(value)


def encode(value: object, other: Callable[[object], Json] = refuse) -> Json:
    """JSON for the value. `other` is asked for what this module does not know; it may call `encode` for parts."""
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    encoder = _CONTAINERS.get(kind)
    if encoder is not None:
        return encoder(value, other)
    to_json = _ENCODERS.get(kind)
    return other(value) if to_json is None else to_json(value)


def decode(tree: Json, other: Callable[[str, dict[str, Json]], object] | None = None) -> Any:
    """The value that `encode` was given. `other` is asked for kinds this module does not know.

    Raises ValueError for an object that claims to be of a kind and is not.
    """
    if isinstance(tree, list):
        return [decode(item, other) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if TAG not in tree:
        return {key: decode(item, other) for key, item in tree.items()}
    try:
        return _decode_tagged(tree[TAG], tree, other)
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"This is no {tree[TAG]} in ZenWeb's JSON: {error}") from error


def _decode_tagged(
    kind: str, tree: dict[str, Json], other: Callable[[str, dict[str, Json]], object] | None
) -> object:
    from_items = _DECODED_CONTAINERS.get(kind)
    if from_items is not None:
        return from_items([decode(item, other) for item in tree["value"]])
    decoder = _DECODERS.get(kind)
    if decoder is not None:
        return decoder(tree)
    if other is not None:
        return other(kind, tree)
    raise ValueError(f"JSON of the unknown kind '{kind}' cannot be decoded here.")


def tagged(kind: str, value: Json, **more: Json) -> Json:
    return {TAG: kind, "value": value, **more}


def _encode_int(value: int) -> Json:
    # Beyond some thousand digits Python refuses to print an integer in decimal.
    return value if value.bit_length() < _INT_BITS_LIMIT else tagged("int", hex(value))


def _encode_float(value: float) -> Json:
    return value if -_FLOAT_LIMIT < value < _FLOAT_LIMIT else tagged("float", repr(value))


def _encode_str(value: str) -> Json:
    if _UNSTORABLE.search(value) is None:
        return value
    return tagged("str", value.encode("unicode_escape").decode("ascii"))


def _encode_clock(kind: str) -> Callable[[Any], Json]:
    # The offset in the text says which instant; the zone's name and the fold say which wall clock showed it.
    return lambda value: tagged(
        kind, value.isoformat(), zone=getattr(value.tzinfo, "key", None), fold=value.fold
    )


def _decode_clock(clock: type[datetime] | type[time]) -> Callable[[dict[str, Json]], object]:
    def decode_it(tree: dict[str, Json]) -> object:
        value = clock.fromisoformat(tree["value"]).replace(fold=tree["fold"])
        return value if tree["zone"] is None else value.replace(tzinfo=ZoneInfo(tree["zone"]))

    return decode_it


def _encode_list(value: list[object], other: Callable[[object], Json]) -> Json:
    return [encode(item, other) for item in value]


def _encode_dict(value: dict[object, object], other: Callable[[object], Json]) -> Json:
    if all(type(key) is str and _UNSTORABLE.search(key) is None for key in value) and TAG not in value:
        return {key: encode(item, other) for key, item in value.items()}
    return _encode_pairs("dict")(value, other)


def _encode_items(kind: str) -> Callable[[Any, Callable[[object], Json]], Json]:
    return lambda value, other: tagged(kind, [encode(item, other) for item in value])


def _encode_pairs(kind: str) -> Callable[[Any, Callable[[object], Json]], Json]:
    return lambda value, other: tagged(
        kind, [[encode(key, other), encode(item, other)] for key, item in value.items()]
    )


_AS_THEY_ARE = frozenset({bool, type(None)})
_CONTAINERS: dict[type, Callable[[Any, Callable[[object], Json]], Json]] = {
    list: _encode_list,
    dict: _encode_dict,
    tuple: _encode_items("tuple"),
    set: _encode_items("set"),
    frozenset: _encode_items("frozenset"),
    OrderedDict: _encode_pairs("OrderedDict"),
    Counter: _encode_pairs("Counter"),
}
_DECODED_CONTAINERS: dict[str, Callable[[list[Any]], object]] = {
    "dict": dict,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "OrderedDict": OrderedDict,
    "Counter": lambda pairs: Counter(dict(pairs)),
}
_ENCODERS: dict[type, Callable[[Any], Json]] = {
    int: _encode_int,
    float: _encode_float,
    str: _encode_str,
    complex: lambda value: tagged("complex", [_encode_float(value.real), _encode_float(value.imag)]),
    bytes: lambda value: tagged("bytes", base64.b64encode(value).decode("ascii")),
    bytearray: lambda value: tagged("bytearray", base64.b64encode(value).decode("ascii")),
    datetime: _encode_clock("datetime"),
    time: _encode_clock("time"),
    date: lambda value: tagged("date", value.isoformat()),
    timedelta: lambda value: tagged("timedelta", [value.days, value.seconds, value.microseconds]),
    UUID: lambda value: tagged("uuid", str(value)),
    Decimal: lambda value: tagged("decimal", str(value)),
}
_DECODERS: dict[str, Callable[[dict[str, Json]], object]] = {
    "int": lambda tree: int(tree["value"], 16),
    "float": lambda tree: float(tree["value"]),
    "str": lambda tree: tree["value"].encode("ascii").decode("unicode_escape"),
    "complex": lambda tree: complex(*(decode(part) for part in tree["value"])),
    "bytes": lambda tree: base64.b64decode(tree["value"]),
    "bytearray": lambda tree: bytearray(base64.b64decode(tree["value"])),
    "datetime": _decode_clock(datetime),
    "date": lambda tree: date.fromisoformat(tree["value"]),
    "time": _decode_clock(time),
    "timedelta": lambda tree: timedelta(*tree["value"]),
    "uuid": lambda tree: UUID(tree["value"]),
    "decimal": lambda tree: Decimal(tree["value"]),
}
