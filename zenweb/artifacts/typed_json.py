"""JSON for values of classes: enums, dataclasses, pydantic models, named tuples, numpy scalars, timestamps.

Extends `json_encoding` by kinds that name a class. Decoding imports that class: it happens only where user code runs.
As with pickle, an object is made without running its `__init__`, and comes back as it was.
"""

import dataclasses
import importlib
import sys
from collections.abc import Callable
from enum import Enum, Flag
from typing import Any

from zenweb.artifacts.class_paths import class_path, find_class, is_importable
from zenweb.artifacts.json_encoding import Json, decode, encode, refuse, tagged

Leaf = Callable[[object], Json]


def encode_typed(value: object, leaf: Leaf = refuse) -> Json:
    """JSON for the value; `leaf` is asked for parts of it that have none."""

    def other(part: object) -> Json:
        for is_of_kind, encoder in _KINDS:
            if is_of_kind(part):
                return encoder(part, other)
        return leaf(part)

    return encode(value, other)


def decode_typed(tree: Json, leaf: Callable[[str, dict[str, Json]], object] | None = None) -> Any:
    """What `encode_typed` was given; `leaf` is asked for what its `leaf` made."""

    def other(kind: str, part: dict[str, Json]) -> object:
        decoder = _DECODERS.get(kind)
        if decoder is not None:
            return decoder(part, other)
        if leaf is None:
            raise ValueError(f"JSON of the unknown kind '{kind}' cannot be decoded.")
        return leaf(kind, part)

    return decode(tree, other)


Other = Callable[[str, dict[str, Json]], object]


def is_numpy_scalar(value: object) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.generic)


def is_pydantic_model(value: object) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(value, pydantic.BaseModel)


def _is_enum(value: object) -> bool:
    return isinstance(value, Enum) and is_importable(type(value))


def _encode_enum(value: Enum, _: Leaf) -> Json:
    # A combination of flags has no name of its own.
    return tagged(
        "enum", value.value if isinstance(value, Flag) else value.name, type=class_path(type(value))
    )


def _decode_enum(tree: dict[str, Json], _: Other) -> object:
    cls: Any = find_class(tree["type"])
    return cls(tree["value"]) if issubclass(cls, Flag) else cls[tree["value"]]


def _is_dataclass(value: object) -> bool:
    # The class itself is none of its values, and one that is also a list or a dict holds more than its fields.
    is_more = isinstance(value, (type, list, dict, tuple, set, str, bytes))
    return dataclasses.is_dataclass(value) and not is_more and is_importable(type(value))


def _encode_dataclass(value: Any, other: Leaf) -> Json:
    names = [field.name for field in dataclasses.fields(value) if hasattr(value, field.name)]
    state = {name: getattr(value, name) for name in names} | getattr(value, "__dict__", {})
    return tagged("dataclass", encode(state, other), type=class_path(type(value)))


def _decode_dataclass(tree: dict[str, Json], other: Other) -> object:
    cls: Any = find_class(tree["type"])
    value = object.__new__(cls)
    # A field that the class gained since then: plain defaults are found on the class, made ones are not.
    made = {
        field.name: field.default_factory()
        for field in dataclasses.fields(cls)
        if field.default_factory is not dataclasses.MISSING
    }
    for name, item in (made | decode(tree["value"], other)).items():
        object.__setattr__(value, name, item)
    return value


def _is_pydantic(value: object) -> bool:
    return is_pydantic_model(value) and is_importable(type(value))


def _encode_pydantic(value: Any, other: Leaf) -> Json:
    fields = {name: value.__dict__[name] for name in type(value).model_fields}
    return tagged(
        "pydantic",
        encode(fields | (value.model_extra or {}), other),
        type=class_path(type(value)),
        private=encode(value.__pydantic_private__ or {}, other),
        fields_set=sorted(value.model_fields_set),
    )


def _decode_pydantic(tree: dict[str, Json], other: Other) -> object:
    cls: Any = find_class(tree["type"])
    value = cls.model_construct(_fields_set=set(tree["fields_set"]), **decode(tree["value"], other))
    for name, item in decode(tree["private"], other).items():
        setattr(value, name, item)
    return value


def _is_named_tuple(value: object) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields") and is_importable(type(value))


def _encode_named_tuple(value: tuple[object, ...], other: Leaf) -> Json:
    return tagged("namedtuple", encode(list(value), other), type=class_path(type(value)))


def _decode_named_tuple(tree: dict[str, Json], other: Other) -> object:
    cls: Any = find_class(tree["type"])
    return cls._make(decode(tree["value"], other))


_NUMPY_KINDS_WITH_JSON = frozenset("biufcmMUS")
_WIDEST_NUMBER = {"f": 8, "c": 16}


def _is_plain_numpy_scalar(value: Any) -> bool:
    if not is_numpy_scalar(value):
        return False
    kind: str = value.dtype.kind
    # `longdouble` is wider than a Python float.
    return kind in _NUMPY_KINDS_WITH_JSON and value.dtype.itemsize <= _WIDEST_NUMBER.get(kind, sys.maxsize)


def _encode_numpy_scalar(value: Any, _: Leaf) -> Json:
    # Dates of numpy are counts of a unit that Python's may not have.
    item = int(value.astype("int64")) if value.dtype.kind in "mM" else value.item()
    return tagged("numpy", encode(item), dtype=value.dtype.str)


def _decode_numpy_scalar(tree: dict[str, Json], _: Other) -> object:
    numpy = importlib.import_module("numpy")
    scalar: object = numpy.array(decode(tree["value"]), dtype=tree["dtype"])[()]
    return scalar


def _is_timestamp(value: object) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.Timestamp)


def _encode_timestamp(value: Any, _: Leaf) -> Json:
    return tagged("timestamp", value.isoformat(), zone=getattr(value.tzinfo, "key", None), unit=value.unit)


def _decode_timestamp(tree: dict[str, Json], _: Other) -> object:
    pandas = importlib.import_module("pandas")
    value = pandas.Timestamp(tree["value"]).as_unit(tree["unit"])
    stamp: object = value if tree["zone"] is None else value.tz_convert(tree["zone"])
    return stamp


_KINDS: list[tuple[Callable[[Any], bool], Callable[[Any, Leaf], Json]]] = [
    (_is_plain_numpy_scalar, _encode_numpy_scalar),
    (_is_enum, _encode_enum),
    (_is_timestamp, _encode_timestamp),
    (_is_pydantic, _encode_pydantic),
    (_is_dataclass, _encode_dataclass),
    (_is_named_tuple, _encode_named_tuple),
]
_DECODERS: dict[str, Callable[[dict[str, Json], Other], object]] = {
    "numpy": _decode_numpy_scalar,
    "enum": _decode_enum,
    "timestamp": _decode_timestamp,
    "pydantic": _decode_pydantic,
    "dataclass": _decode_dataclass,
    "namedtuple": _decode_named_tuple,
}
