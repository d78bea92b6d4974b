"""Whole numbers that JSON has with an exponent: `1e19` is one to JSON Schema, and too large a float to pydantic."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

TOO_LARGE = "int_parsing_size"


def with_whole_numbers(value: Any, error: ValidationError) -> Any:
    """The value with such numbers as ints, where they were refused; the value itself where none was."""
    refused = [
        (found["loc"], found["input"])
        for found in error.errors(include_url=False)
        if found["type"] == TOO_LARGE and isinstance(found["input"], float)
    ]
    if not refused:
        return value
    holder = [deepcopy(value)]
    for place, number in refused:
        _replace(holder, [0, *place], number)
    return holder[0]


def _replace(inside: Any, path: list[int | str], number: float) -> None:
    """What follows the number's own place in the path, pydantic says of a union's member."""
    key, *rest = path
    try:
        if inside[key] == number:
            inside[key] = int(Decimal(repr(number)))
        elif rest:
            _replace(inside[key], rest, number)
    except (KeyError, IndexError, TypeError):
        return
