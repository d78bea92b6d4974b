"""Holds JSON values against the types that a function declares, where its code can be imported."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from zenweb.config.parameters import parameter_adapters
from zenweb.config.run_configuration import field_errors
from zenweb.config.suggestions import suggestion
from zenweb.exceptions import FieldError


def errors_in(function: Callable[..., Any], values: Mapping[str, Any], pointer: str) -> list[FieldError]:
    """All that is wrong with values of its parameters; `pointer` leads to them."""
    adapters = parameter_adapters(function)
    return [error for name, value in values.items() for error in _errors(adapters, name, value, pointer)]


def _errors(
    adapters: Mapping[str, TypeAdapter[Any]], name: str, value: Any, pointer: str
) -> Iterator[FieldError]:
    here = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
    if name not in adapters:
        yield FieldError(here, f"There is no such parameter.{suggestion(name, adapters)}")
        return
    try:
        # As JSON, which has no more kinds of values: a date comes as a text, but a number does not.
        adapters[name].validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        yield from (FieldError(f"{here}{each.pointer}", each.message) for each in field_errors(error))
