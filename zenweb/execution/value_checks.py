"""Holds JSON values against the types that a function declares, where its code can be imported."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from zenweb.config.parameters import parameter_adapters
from zenweb.config.suggestions import suggestion
from zenweb.exceptions import FieldError
from zenweb.execution.refusals import refusal_of
from zenweb.pointers import pointer_to


def errors_in(function: Callable[..., Any], values: Mapping[str, Any], pointer: str) -> list[FieldError]:
    """What is wrong with values of its parameters, one sentence each; `pointer` leads to them."""
    adapters = parameter_adapters(function)
    return [error for name, value in values.items() for error in _errors(adapters, name, value, pointer)]


def _errors(
    adapters: Mapping[str, TypeAdapter[Any]], name: str, value: Any, pointer: str
) -> Iterator[FieldError]:
    if name not in adapters:
        yield FieldError(
            pointer + pointer_to([name]), f"There is no such parameter.{suggestion(name, adapters)}"
        )
        return
    try:
        # As JSON, of which no value is taken for one of another kind: a date comes as a text, a number does not.
        adapters[name].validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        refused = refusal_of(name, value, error)
        place = pointer_to(refused.parameter.split("."))
        yield FieldError(pointer + place, f"{refused.message}.")
