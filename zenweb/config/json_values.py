"""Values that come as JSON, on their way to the types that a function declares, with all their digits."""

import json
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


def typed_value(adapter: TypeAdapter[T], value: Any, context: dict[str, Any] | None = None) -> T:
    """The value of a type that a JSON value stands for. Raises ValidationError.

    What pydantic does not take as Python's value it gets as JSON again: there a strict type takes the text of a date,
    and 1e19 is as whole a number as 1.0.
    """
    try:
        return adapter.validate_python(value, context=context)
    except ValidationError as error:
        refusal = error
    try:
        return adapter.validate_json(json.dumps(_whole(value)), context=context)
    except ValidationError:
        raise refusal from None


def _whole(value: Any) -> Any:
    """The value with an int wherever a float is a whole number; with the digits that it is written with."""
    match value:
        case dict():
            return {name: _whole(member) for name, member in value.items()}
        case list():
            return [_whole(member) for member in value]
        case float() if value.is_integer():
            return int(Decimal(repr(value)))
    return value
