"""What a step's own types refuse of a value, in a sentence that names the parameter and the place inside of it."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from zenweb.exceptions import ParameterError

# Raised in a validator of the pipeline's author: no schema knows of it.
OWN = {"value_error", "assertion_error"}
MOST_TOLD = 3


def refusal_of(name: str, value: Any, error: ValidationError) -> ParameterError:
    """The error of a step that would have blamed the value itself; what a validator raised is its cause."""
    found = error.errors(include_url=False)
    # Of a union, every other kind says as well why it is not meant.
    told = [detail for detail in found if detail["type"] in OWN] or found
    first, *more = told[:MOST_TOLD]
    others = [f"{'.'.join(_place(value, detail)) or name}: {_sentence(detail)}" for detail in more]
    blamed = ParameterError(".".join([name, *_place(value, first)]), "; ".join([_sentence(first), *others]))
    blamed.__cause__ = _cause(first)  # never pydantic's error, which quotes the value: it may be a secret
    return blamed


def _place(value: Any, detail: ErrorDetails) -> list[str]:
    """The names and positions on the way to what is wrong, without those of the kinds that pydantic tried."""
    here, place = value, list[str]()
    for part in detail["loc"]:
        is_missing = detail["type"] == "missing" and part == detail["loc"][-1]
        if "." in str(part):
            break  # a path has no word for it: the whole is blamed
        if isinstance(here, Mapping) and (part in here or is_missing):
            here = here.get(part)
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
        else:
            continue
        place.append(str(part))
    return place


def _sentence(detail: ErrorDetails) -> str:
    cause = _cause(detail)
    return (str(cause) if cause else "") or detail["msg"].rstrip(", ")


def _cause(detail: ErrorDetails) -> BaseException | None:
    raised = detail.get("ctx", {}).get("error") if detail["type"] in OWN else None
    return raised if isinstance(raised, BaseException) else None
