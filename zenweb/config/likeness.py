"""Whether a value comes back from JSON as what it was, as far as code that gets it would notice."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel

PLAIN = (str, int, float)


def is_like(value: Any, other: Any, *, tells_lists: bool = False) -> bool:
    """The same types all the way down, and equal where that can be asked.

    `tells_lists`: a tuple is no list. Where a type says what is taken, code gets along with both.
    """
    members, others = _members(value), _members(other)
    if members is not None and others is not None:
        return (
            _are_of_one_kind(value, other, tells_lists)
            and len(members) == len(others)
            and all(is_like(*pair, tells_lists=tells_lists) for pair in zip(members, others, strict=True))
        )
    if isinstance(value, PLAIN) and isinstance(other, PLAIN):
        return isinstance(value, bool) is isinstance(other, bool) and _are_equal(value, other)
    return type(value) is type(other) and _are_equal(value, other)


def _members(value: Any) -> list[Any] | None:
    """What it consists of, names first; None of what is one thing."""
    if isinstance(value, BaseModel):
        value = {**vars(value), **(value.model_extra or {})}
    elif is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name, None) for each in fields(value)}
    if isinstance(value, Mapping):
        return [*value, *value.values()]
    return list(value) if isinstance(value, list | tuple) else None


def _are_of_one_kind(value: Any, other: Any, tells_lists: bool) -> bool:
    if isinstance(value, list | tuple):
        is_told = tells_lists and isinstance(value, tuple) is not isinstance(other, tuple)
        return isinstance(other, list | tuple) and not is_told
    if isinstance(value, Mapping):
        return isinstance(other, Mapping)
    return type(value) is type(other)


def _are_equal(value: Any, other: Any) -> bool:
    """What has no equality of its own, or another than yes or no, is not told apart from another of its type."""
    if isinstance(value, AbstractSet):
        return bool(value == other)
    same = value == other
    if getattr(type(value), "__eq__", None) is object.__eq__:
        return True
    return not isinstance(same, bool) or same or (value != value and other != other)  # NaN
